/* Why this file exists: a small HTTP client for tests of the door: it sends what it is told to, right or wrong, and
 * reads one answer. A connection that does not answer within the limit fails the test. */
#ifndef FTS_TESTS_HTTP_CLIENT_H
#define FTS_TESTS_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#define HTTP_LIMIT_MS 20000

struct http_answer {
	unsigned status;
	char head[8192]; /* status line and headers */
	char *body;      /* owned; 0-terminated, chunks put together */
	size_t body_bytes;
};

/* Connected to 127.0.0.1:port; fails the test when it can't be. Returned (close). */
int http_open(uint16_t port);
void http_send(int fd, const void *data, size_t size_bytes);
/* The head of an answer. */
void http_read_head(int fd, struct http_answer *out_answer);
/* The whole answer (http_answer_free). Several may follow each other on one connection. */
void http_read(int fd, struct http_answer *out_answer);
void http_answer_free(struct http_answer *answer);
/* Value of a header; "" : none. Borrowed from the answer until the next call. */
const char *http_header(const struct http_answer *answer, const char *name);
/* The next bytes of a chunked answer, whose head was read: one chunk. Returned (free()); NULL: the end. */
char *http_read_chunk(int fd, size_t *out_size_bytes);

/* One request on a connection of its own. headers: "Name: value\r\n..." or "". body: NULL: none. */
void http_ask(uint16_t port, const char *method, const char *path, const char *headers, const void *body,
	      size_t body_bytes, struct http_answer *out_answer);
/* POST of JSON to SERVICE/METHOD. */
void http_call(uint16_t port, const char *method, const char *json, struct http_answer *out_answer);

#endif
