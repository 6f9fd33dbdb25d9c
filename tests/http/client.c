/* Why this file exists: see tests/http/client.h. */
#include "tests/http/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int http_open(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval limit = {.tv_sec = HTTP_LIMIT_MS / 1000};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void http_send(int fd, const void *data, size_t size_bytes)
{
	/* Who refuses may close before all is sent: the answer tells. */
	for (size_t sent = 0; sent < size_bytes;) {
		ssize_t more = send(fd, (const char *)data + sent, size_bytes - sent, MSG_NOSIGNAL);
		if (more <= 0) return;
		sent += (size_t)more;
	}
}

static char read_byte(int fd)
{
	char byte = 0;
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	return byte;
}

static void read_line(int fd, char *out, size_t out_bytes)
{
	size_t size = 0;
	do {
		assert_true(size + 1 < out_bytes);
		out[size++] = read_byte(fd);
	} while (out[size - 1] != '\n');
	out[size] = '\0';
}

static void read_all(int fd, char *out, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes;) {
		ssize_t more = recv(fd, out + at, size_bytes - at, 0);
		assert_true(more > 0);
		at += (size_t)more;
	}
}

void http_read_head(int fd, struct http_answer *out_answer)
{
	size_t size = 0;
	memset(out_answer, 0, sizeof(*out_answer));
	while (size < 4 || memcmp(out_answer->head + size - 4, "\r\n\r\n", 4) != 0) {
		assert_true(size + 1 < sizeof(out_answer->head));
		out_answer->head[size++] = read_byte(fd);
	}
	assert_int_equal(sscanf(out_answer->head, "HTTP/1.%*c %u", &out_answer->status), 1);
}

const char *http_header(const struct http_answer *answer, const char *name)
{
	static char value[512];
	char wanted[80];
	snprintf(wanted, sizeof(wanted), "\r\n%s: ", name);
	const char *at = strcasestr(answer->head, wanted);
	value[0] = '\0';
	if (at == NULL) return value;
	at += strlen(wanted);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
	return value;
}

char *http_read_chunk(int fd, size_t *out_size_bytes)
{
	char line[64];
	read_line(fd, line, sizeof(line));
	size_t size = strtoul(line, NULL, 16);
	char *chunk = malloc(size + 1);
	assert_non_null(chunk);
	read_all(fd, chunk, size);
	chunk[size] = '\0';
	read_line(fd, line, sizeof(line));
	if (size == 0) {
		free(chunk);
		return NULL;
	}
	*out_size_bytes = size;
	return chunk;
}

static void add(struct http_answer *answer, const char *data, size_t size_bytes)
{
	answer->body = realloc(answer->body, answer->body_bytes + size_bytes + 1);
	assert_non_null(answer->body);
	if (size_bytes > 0) memcpy(answer->body + answer->body_bytes, data, size_bytes);
	answer->body_bytes += size_bytes;
	answer->body[answer->body_bytes] = '\0';
}

void http_read(int fd, struct http_answer *out_answer)
{
	http_read_head(fd, out_answer);
	add(out_answer, "", 0);
	if (http_header(out_answer, "Transfer-Encoding")[0] != '\0') {
		size_t size;
		for (char *chunk; (chunk = http_read_chunk(fd, &size)) != NULL; free(chunk))
			add(out_answer, chunk, size);
		return;
	}
	size_t size = strtoul(http_header(out_answer, "Content-Length"), NULL, 10);
	char *body = malloc(size + 1);
	assert_non_null(body);
	read_all(fd, body, size);
	add(out_answer, body, size);
	free(body);
}

void http_answer_free(struct http_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
}

void http_ask(uint16_t port, const char *method, const char *path, const char *headers, const void *body,
	      size_t body_bytes, struct http_answer *out_answer)
{
	char head[4096];
	int fd = http_open(port);
	int size = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\n%s%s", method, path,
			    strstr(headers, "Host:") != NULL ? "" : "Host: localhost\r\n", headers);
	if (body != NULL && strstr(headers, "Content-Length") == NULL)
		size += snprintf(head + size, sizeof(head) - (size_t)size, "Content-Length: %zu\r\n", body_bytes);
	size += snprintf(head + size, sizeof(head) - (size_t)size, "\r\n");
	assert_true((size_t)size < sizeof(head));
	http_send(fd, head, (size_t)size);
	if (body != NULL) http_send(fd, body, body_bytes);
	http_read(fd, out_answer);
	close(fd);
}

void http_call(uint16_t port, const char *method, const char *json, struct http_answer *out_answer)
{
	char path[160];
	snprintf(path, sizeof(path), "/%s", method);
	http_ask(port, "POST", path, "Content-Type: application/json\r\n", json, strlen(json), out_answer);
}
