/* Why this file exists: the bytes of calls and replies, with no I/O, so that server, client, tests and fuzzers
 * share one reader and one writer of the format.
 *
 *   connection   8 bytes  hello, sent by both at once: 00 53 50 00 00 30 00 00 (caller), .. 31 .. (server);
 *                         of events .. 21 .. (subscriber), .. 20 .. (publisher);
 *                         of peers .. 50 .. (who dialed: PUSH), .. 51 .. (who was dialed: PULL)
 *   message      8 bytes  length of what follows, big endian
 *                4n bytes words of devices the call came through, top bit clear (usually none)
 *                4 bytes  request id, big endian, top bit set
 *                varint   length of the header
 *                bytes    CallHeader or ReplyHeader (fts/rpc/v1/frame.proto)
 *                bytes    payload, up to the end
 *                between peers the payload alone follows the length: one-way messages, no request id, no header
 *
 * Invariants: nothing here allocates, reads past the bytes given, or trusts a length before it is checked.
 * A header that repeats the last one's bytes (or fields) costs one memcmp: nanopb stays off the hot path. */
#ifndef FTS_RPC_WIRE_H
#define FTS_RPC_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include <fts/rpc.h>
#include <fts/rpc/v1/frame.pb.h>

#define FTSI_HELLO_BYTES 8u
#define FTSI_LENGTH_BYTES 8u
#define FTSI_REQUEST_ID_BIT 0x80000000u
#define FTSI_ROUTE_MAX_BYTES 64u /* a request id behind 15 devices, nng's own limit */
#define FTSI_FRAME_VERSION 0u /* the highest that is read (CallHeader.frame) */
#define FTSI_HEADER_MAX_BYTES 1024u
#define FTSI_CACHED_HEADER_MAX_BYTES 128u
#define FTSI_HEADER_SLOT_COUNT 4u

enum ftsi_role {
	FTSI_ROLE_CALLER,
	FTSI_ROLE_SERVER,
	FTSI_ROLE_SUBSCRIBER,
	FTSI_ROLE_PUBLISHER,
	FTSI_ROLE_PUSH,
	FTSI_ROLE_PULL
};

/* What a side of this role sends first. out: 8 bytes, caller's. */
void ftsi_hello_write(enum ftsi_role role, uint8_t *out);
/* The other side's role. */
enum ftsi_role ftsi_role_peer(enum ftsi_role role);
/* True when these 8 bytes (borrowed) are what a side of this role sends. */
bool ftsi_hello_is(enum ftsi_role role, const uint8_t *bytes);

void ftsi_put_be32(uint8_t *out, uint32_t value);
uint32_t ftsi_get_be32(const uint8_t *in);
void ftsi_put_be64(uint8_t *out, uint64_t value);
uint64_t ftsi_get_be64(const uint8_t *in);

/* One message taken apart. All borrowed from the message. */
struct ftsi_frame {
	struct fts_bytes route; /* devices' words and the request id, to be sent back as they came */
	uint32_t request_id;    /* top bit set */
	struct fts_bytes header;
	struct fts_bytes payload;
};

/* Take message (borrowed; what follows the 8-byte length) apart.
 * INVALID_ARGUMENT: malformed; out->route.size_bytes > 0 tells that a request id could be read all the same,
 * so that the call can be refused by name. */
enum fts_status ftsi_frame_split(struct fts_bytes message, struct ftsi_frame *out);

/* ---- Writing headers ---- */

/* A call header to be sent. */
struct ftsi_call_fields {
	uint32_t method_id;
	uint32_t timeout_ms; /* > 0 */
	uint64_t client_id;
	uint64_t sequence;
	uint64_t lowest_unanswered;
	bool may_have_run; /* only with a sequence */
	uint64_t fence;
	uint64_t trace_id;
	struct fts_bytes token; /* borrowed, at most 128 bytes; equal address and size mean equal bytes, unless token_of_call */
	bool token_of_call;     /* the token lies in memory that other calls use too: such a header is never kept */
	bool stale;
};

/* A reply header to be sent. Strings: borrowed, NULL is "", cut at their field's size. */
struct ftsi_reply_fields {
	enum fts_status status;
	enum fts_executed executed;
	uint64_t term;
	uint64_t index;
	uint32_t retry_after_ms;
	uint32_t age_ms;
	uint32_t server_us;
	const char *node; /* equal address means equal text */
	const char *leader;
	const char *detail;
};

/* The last headers written on a connection, calls by method. Zeroed at the start. */
struct ftsi_call_writer {
	struct ftsi_call_written {
		struct ftsi_call_fields fields;
		size_t size_bytes; /* 0: none worth keeping */
		uint8_t bytes[FTSI_CACHED_HEADER_MAX_BYTES];
	} slots[FTSI_HEADER_SLOT_COUNT];
};
struct ftsi_reply_writer {
	struct ftsi_reply_fields fields;
	size_t size_bytes;
	uint8_t bytes[FTSI_CACHED_HEADER_MAX_BYTES];
};

/* Length and header, as they stand on the wire, into out (FTSI_HEADER_MAX_BYTES, caller's). Returns the bytes
 * written; 0: fields out of bounds. */
size_t ftsi_call_header_write(struct ftsi_call_writer *writer, const struct ftsi_call_fields *fields, uint8_t *out);
size_t ftsi_reply_header_write(struct ftsi_reply_writer *writer, const struct ftsi_reply_fields *fields, uint8_t *out);

/* ---- Reading headers ---- */

/* The last headers read on a connection, calls by method. Zeroed at the start. */
struct ftsi_call_reader {
	struct ftsi_call_read {
		fts_rpc_v1_CallHeader header;
		size_t size_bytes; /* 0: none worth keeping */
		uint8_t bytes[FTSI_CACHED_HEADER_MAX_BYTES];
	} slots[FTSI_HEADER_SLOT_COUNT];
};
struct ftsi_reply_reader {
	fts_rpc_v1_ReplyHeader header;
	size_t size_bytes;
	uint8_t bytes[FTSI_CACHED_HEADER_MAX_BYTES];
};

/* Decode header (borrowed). Returned: borrowed until the reader is used again; NULL: malformed. Strings are
 * bounded and terminated; code and executed are as sent: see fts_status_from_wire. */
const fts_rpc_v1_CallHeader *ftsi_call_header_read(struct ftsi_call_reader *reader, struct fts_bytes header);
const fts_rpc_v1_ReplyHeader *ftsi_reply_header_read(struct ftsi_reply_reader *reader, struct fts_bytes header);

#endif
