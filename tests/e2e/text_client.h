/* Why this file exists: a client of the text protocol that can also behave badly: bytes in any pieces, and an exact
 * view of what comes back. */
#ifndef FTS_TESTS_E2E_TEXT_CLIENT_H
#define FTS_TESTS_E2E_TEXT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Connect to 127.0.0.1:port; fails the test when it can't within 5 s. Returns the socket. */
int text_connect(uint16_t port);
void text_send(int socket_fd, const char *text);
void text_send_bytes(int socket_fd, const void *bytes, size_t size_bytes);
/* One line without its end into line. False: closed, or nothing within timeout_ms. */
bool text_read_line(int socket_fd, char *line, size_t capacity_bytes, uint32_t timeout_ms);
/* The next line is this one; fails the test otherwise. */
void text_expect(int socket_fd, const char *line);
/* The server closes without another byte within timeout_ms; fails the test otherwise. Closes the socket. */
void text_expect_closed(int socket_fd, uint32_t timeout_ms);
/* Nothing has come and the connection stands. */
void text_expect_quiet(int socket_fd);
/* Connect, send, read one line, compare, close. */
void text_ask(uint16_t port, const char *packet, const char *answer);
/* Close with a reset: what was sent may be lost, and the server is told at once. */
void text_reset(int socket_fd);

#endif
