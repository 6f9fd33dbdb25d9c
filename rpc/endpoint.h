/* Why this file exists: reading "HOST:PORT,HOST:PORT", the one form in which a person, a configuration or a
 * reply's leader hint names servers.
 *
 * Invariants: an endpoint is printed as it was given, without spaces; an IPv6 address stands in brackets;
 * a list has 1 to FTSI_ENDPOINT_COUNT_MAX endpoints, each once, in the order given. Nothing here resolves names. */
#ifndef FTS_RPC_ENDPOINT_H
#define FTS_RPC_ENDPOINT_H

#include <fts/status.h>

#include <stdbool.h>

#define FTSI_ENDPOINT_COUNT_MAX 64u
#define FTSI_ENDPOINT_TEXT_BYTES 128u /* as ReplyHeader.leader and fts_call_info.endpoint */

struct ftsi_endpoint {
	char text[FTSI_ENDPOINT_TEXT_BYTES]; /* "127.0.0.1:7400", "[::1]:7400", "node-1.example:7400" */
	char host[FTSI_ENDPOINT_TEXT_BYTES]; /* without brackets */
	uint16_t port;                       /* 1 to 65,535, host byte order */
	bool ipv6;                           /* host is an IPv6 address */
};

struct ftsi_endpoint_list {
	struct ftsi_endpoint items[FTSI_ENDPOINT_COUNT_MAX];
	uint32_t count;
};

/* Read one endpoint from text (borrowed, size_bytes bytes; spaces around it are dropped).
 * Errors: INVALID_ARGUMENT (detail quotes it and says what is wrong). Thread: any. */
FTS_MUST_USE enum fts_status ftsi_endpoint_parse(const char *text, size_t size_bytes,
						 struct ftsi_endpoint *out_endpoint, struct fts_error *out_error);

/* Read a list (borrowed; NULL: the default, 127.0.0.1:7400). One that is named twice counts once.
 * Errors: INVALID_ARGUMENT (a bad endpoint, an empty list, more than 64). Thread: any. */
FTS_MUST_USE enum fts_status ftsi_endpoint_list_parse(const char *text, struct ftsi_endpoint_list *out_list,
						      struct fts_error *out_error);

/* Is it on this machine by its text: 127.0.0.0/8, ::1 or localhost? Other names are not looked up: false.
 * Thread: any. */
bool ftsi_endpoint_is_loopback(const struct ftsi_endpoint *endpoint);

/* The same of a text to listen on, "HOST:PORT" (borrowed), whatever its port is. Thread: any. */
bool ftsi_listen_is_loopback(const char *text);

/* Index of the endpoint that is written text (borrowed), or -1. */
int ftsi_endpoint_list_find(const struct ftsi_endpoint_list *list, const char *text);

/* Add endpoint (borrowed) unless it is there. Returns its index; -1: the list is full. */
int ftsi_endpoint_list_add(struct ftsi_endpoint_list *list, const struct ftsi_endpoint *endpoint);

#endif
