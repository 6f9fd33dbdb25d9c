/* Why this file exists: a whole client of fts for places where libfts doesn't fit: one pair of files over BSD sockets
 * and nanopb, no threads, no malloc. It also proves that docs/wire.md is enough to write one. Copy fts_tiny.[ch] and
 * the generated frame.pb.[ch] into a program, and link nanopb.
 *
 * Invariants
 * - One call at a time on a connection, nothing in the background, nothing past the deadline.
 * - All memory is the caller's: struct fts_tiny, and a buffer that holds the reply.
 * - After any result but FTS_TINY_OK of fts_tiny_call the connection is closed; fts_tiny_open opens it anew.
 *   Nothing is sent twice: whoever repeats a changing call keeps client_id and sequence, and it runs once.
 * - Host may be an IPv4 or IPv6 literal or a name; only names go through the resolver of libc, which may allocate and
 *   keeps its own time. */
#ifndef FTS_TINY_H
#define FTS_TINY_H

#include <stddef.h>
#include <stdint.h>

#include "fts/rpc/v1/frame.pb.h"

enum fts_tiny_result {
	FTS_TINY_OK = 0,      /* a reply has come; its header says how the call went */
	FTS_TINY_INVALID,     /* a field of the call is out of bounds; nothing was sent */
	FTS_TINY_UNREACHABLE, /* no connection; nothing was sent */
	FTS_TINY_DEADLINE,    /* time is up; the call may have run, or not */
	FTS_TINY_CLOSED,      /* the connection broke; the call may have run, or not */
	FTS_TINY_NO_SPACE,    /* the reply is larger than the buffer; the call may have run */
	FTS_TINY_MALFORMED    /* what came is not a reply of an fts server */
};

/* A connection. fd < 0: none. Set it to FTS_TINY_CLOSED_INIT before the first fts_tiny_open. */
struct fts_tiny {
	int fd;
	uint32_t request_id;
};
/* clang-format off */
#define FTS_TINY_CLOSED_INIT {-1, 0}
/* clang-format on */

/* One call. Pointers are borrowed until fts_tiny_call returns. */
struct fts_tiny_call {
	const char *method;     /* "fts.lottery.v1.Lottery/StoreBet" */
	const uint8_t *payload; /* the packed request; NULL when payload_bytes is 0 */
	size_t payload_bytes;
	uint32_t timeout_ms; /* > 0 */
	uint64_t client_id;  /* of methods that change state: any 64 bits but 0, chosen once at random */
	uint64_t sequence;   /* of them: 1, 2, 3 ... */
	uint64_t fence;
	uint64_t trace_id;
	const uint8_t *token; /* at most 128 bytes */
	size_t token_bytes;
	int stale; /* not 0: a read may be answered from what the node has */
};

struct fts_tiny_reply {
	fts_rpc_v1_ReplyHeader header; /* header.code is gRPC's status number, 0: done */
	const uint8_t *payload;        /* the packed response, within the caller's buffer */
	size_t payload_bytes;
};

/* Connect to host (borrowed) and greet. Closes what tiny (caller's) held before. */
enum fts_tiny_result fts_tiny_open(struct fts_tiny *tiny, const char *host, uint16_t port, uint32_t timeout_ms);

/* Call, and wait for the reply. buffer: the caller's; the reply, headers included, must fit it. out_reply (caller's) is
 * valid as long as buffer is left alone, and only when FTS_TINY_OK is returned. Thread: one at a time. */
enum fts_tiny_result fts_tiny_call(struct fts_tiny *tiny, const struct fts_tiny_call *call, uint8_t *buffer,
				   size_t buffer_bytes, struct fts_tiny_reply *out_reply);

/* Any number of times. */
void fts_tiny_close(struct fts_tiny *tiny);

#endif
