/* Why this file exists: see wire.h. */
#include "rpc/wire.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#define WORD_BYTES 4u
#define LENGTH_MAX_BYTES 2u /* of the header's length as a varint: 16,383 */

_Static_assert(fts_rpc_v1_CallHeader_size + LENGTH_MAX_BYTES <= FTSI_HEADER_MAX_BYTES, "call header fits");
_Static_assert(fts_rpc_v1_ReplyHeader_size + LENGTH_MAX_BYTES <= FTSI_HEADER_MAX_BYTES, "reply header fits");

void ftsi_hello_write(enum ftsi_role role, uint8_t *out)
{
	static const uint8_t hello[FTSI_HELLO_BYTES] = {0x00, 0x53, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00};
	static const uint8_t protocols[] = {
	    [FTSI_ROLE_CALLER] = 0x30,    [FTSI_ROLE_SERVER] = 0x31, [FTSI_ROLE_SUBSCRIBER] = 0x21,
	    [FTSI_ROLE_PUBLISHER] = 0x20, [FTSI_ROLE_PUSH] = 0x50,   [FTSI_ROLE_PULL] = 0x51};
	memcpy(out, hello, FTSI_HELLO_BYTES);
	out[5] = protocols[role];
}

enum ftsi_role ftsi_role_peer(enum ftsi_role role)
{
	static const enum ftsi_role peers[] = {[FTSI_ROLE_CALLER] = FTSI_ROLE_SERVER,
					       [FTSI_ROLE_SERVER] = FTSI_ROLE_CALLER,
					       [FTSI_ROLE_SUBSCRIBER] = FTSI_ROLE_PUBLISHER,
					       [FTSI_ROLE_PUBLISHER] = FTSI_ROLE_SUBSCRIBER,
					       [FTSI_ROLE_PUSH] = FTSI_ROLE_PULL,
					       [FTSI_ROLE_PULL] = FTSI_ROLE_PUSH};
	return peers[role];
}

bool ftsi_hello_is(enum ftsi_role role, const uint8_t *bytes)
{
	uint8_t expected[FTSI_HELLO_BYTES];
	ftsi_hello_write(role, expected);
	return memcmp(bytes, expected, FTSI_HELLO_BYTES) == 0;
}

void ftsi_put_be32(uint8_t *out, uint32_t value)
{
	uint32_t swapped = __builtin_bswap32(value);
	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "written for little-endian machines");
	memcpy(out, &swapped, sizeof swapped);
}

uint32_t ftsi_get_be32(const uint8_t *in)
{
	uint32_t value;
	memcpy(&value, in, sizeof value);
	return __builtin_bswap32(value);
}

void ftsi_put_be64(uint8_t *out, uint64_t value)
{
	uint64_t swapped = __builtin_bswap64(value);
	memcpy(out, &swapped, sizeof swapped);
}

uint64_t ftsi_get_be64(const uint8_t *in)
{
	uint64_t value;
	memcpy(&value, in, sizeof value);
	return __builtin_bswap64(value);
}

/* Bytes of the words up to and with the request id; 0: none within bounds. */
static size_t route_find(struct fts_bytes message, uint32_t *out_id)
{
	for (size_t at = 0; at + WORD_BYTES <= message.size_bytes && at < FTSI_ROUTE_MAX_BYTES; at += WORD_BYTES) {
		uint32_t word = ftsi_get_be32(message.data + at);
		if ((word & FTSI_REQUEST_ID_BIT) == 0) continue;
		*out_id = word;
		return at + WORD_BYTES;
	}
	return 0;
}

/* A varint of at most LENGTH_MAX_BYTES; returns its size, 0: malformed. */
static size_t length_read(const uint8_t *in, size_t size_bytes, size_t *out_length)
{
	size_t length = 0;
	for (size_t i = 0; i < size_bytes && i < LENGTH_MAX_BYTES; i++) {
		length |= (size_t)(in[i] & 0x7fu) << (7 * i);
		if ((in[i] & 0x80u) != 0) continue;
		*out_length = length;
		return i + 1;
	}
	return 0;
}

static size_t length_write(size_t length, uint8_t *out)
{
	if (length < 0x80) {
		out[0] = (uint8_t)length;
		return 1;
	}
	out[0] = (uint8_t)(length | 0x80);
	out[1] = (uint8_t)(length >> 7);
	return 2;
}

enum fts_status ftsi_frame_split(struct fts_bytes message, struct ftsi_frame *out)
{
	*out = (struct ftsi_frame){.route = {message.data, 0}};
	size_t at = route_find(message, &out->request_id);
	if (at == 0) return FTS_INVALID_ARGUMENT;
	out->route.size_bytes = at;
	size_t header_bytes = 0;
	size_t length_bytes = length_read(message.data + at, message.size_bytes - at, &header_bytes);
	if (length_bytes == 0) return FTS_INVALID_ARGUMENT;
	at += length_bytes;
	if (header_bytes > FTSI_HEADER_MAX_BYTES || header_bytes > message.size_bytes - at) return FTS_INVALID_ARGUMENT;
	out->header = (struct fts_bytes){message.data + at, header_bytes};
	at += header_bytes;
	out->payload = (struct fts_bytes){message.data + at, message.size_bytes - at};
	return FTS_OK;
}

/* ---- Writing ---- */

/* Bytes of the UTF-8 character at text; 0: none. */
static size_t utf8_size(const char *text)
{
	const uint8_t *in = (const uint8_t *)text;
	size_t size = in[0] < 0x80 ? 1 : in[0] >= 0xf0 ? 4 : in[0] >= 0xe0 ? 3 : 2;
	if (in[0] >= 0x80 && (in[0] < 0xc2 || in[0] > 0xf4)) return 0;
	for (size_t i = 1; i < size; i++) {
		if ((in[i] & 0xc0) != 0x80) return 0;
	}
	bool overlong = (in[0] == 0xe0 && in[1] < 0xa0) || (in[0] == 0xf0 && in[1] < 0x90);
	bool outside = (in[0] == 0xed && in[1] > 0x9f) || (in[0] == 0xf4 && in[1] > 0x8f);
	return overlong || outside ? 0 : size;
}

/* Protobuf strings are UTF-8: what isn't becomes '?', and no character is cut in two. */
static void text_copy(char *out, size_t size_bytes, const char *text)
{
	size_t at = 0;
	while (text != NULL && *text != '\0') {
		size_t count = utf8_size(text);
		size_t taken = count == 0 ? 1 : count;
		if (at + taken >= size_bytes) break;
		memcpy(out + at, count == 0 ? "?" : text, taken);
		at += taken;
		text += taken;
	}
	out[at] = '\0';
}

static size_t header_encode(const pb_msgdesc_t *type, const void *header, uint8_t *out)
{
	uint8_t *body = out + LENGTH_MAX_BYTES;
	pb_ostream_t stream = pb_ostream_from_buffer(body, FTSI_HEADER_MAX_BYTES - LENGTH_MAX_BYTES);
	if (!pb_encode(&stream, type, header)) return 0;
	size_t length_bytes = length_write(stream.bytes_written, out);
	if (length_bytes < LENGTH_MAX_BYTES) memmove(out + length_bytes, body, stream.bytes_written);
	return length_bytes + stream.bytes_written;
}

static bool call_fields_equal(const struct ftsi_call_fields *a, const struct ftsi_call_fields *b)
{
	return a->method_id == b->method_id && a->timeout_ms == b->timeout_ms && a->client_id == b->client_id &&
	       a->sequence == b->sequence && a->lowest_unanswered == b->lowest_unanswered && a->fence == b->fence &&
	       a->trace_id == b->trace_id && a->stale == b->stale && a->may_have_run == b->may_have_run &&
	       a->token.data == b->token.data && a->token.size_bytes == b->token.size_bytes;
}

static size_t call_encode(const struct ftsi_call_fields *fields, uint8_t *out)
{
	fts_rpc_v1_CallHeader header;
	if (fields->timeout_ms == 0 || fields->token.size_bytes > sizeof header.token.bytes) return 0;
	header.method = fields->method_id;
	header.timeout_ms = fields->timeout_ms;
	header.client_id = fields->client_id;
	header.sequence = fields->sequence;
	header.lowest_unanswered = fields->lowest_unanswered;
	header.fence = fields->fence;
	header.trace_id = fields->trace_id;
	header.stale = fields->stale;
	header.may_have_run = fields->may_have_run;
	header.frame = FTSI_FRAME_VERSION;
	header.token.size = (pb_size_t)fields->token.size_bytes;
	if (fields->token.size_bytes > 0) memcpy(header.token.bytes, fields->token.data, fields->token.size_bytes);
	return header_encode(fts_rpc_v1_CallHeader_fields, &header, out);
}

size_t ftsi_call_header_write(struct ftsi_call_writer *writer, const struct ftsi_call_fields *fields, uint8_t *out)
{
	struct ftsi_call_written *slot = &writer->slots[fields->method_id % FTSI_HEADER_SLOT_COUNT];
	if (slot->size_bytes > 0 && !fields->token_of_call && call_fields_equal(&slot->fields, fields)) {
		memcpy(out, slot->bytes, slot->size_bytes);
		return slot->size_bytes;
	}
	size_t size_bytes = call_encode(fields, out);
	/* A numbered call never comes again: it would only push out one that does. */
	if (size_bytes > 0 && size_bytes <= sizeof slot->bytes && fields->sequence == 0 && !fields->token_of_call) {
		slot->fields = *fields;
		slot->size_bytes = size_bytes;
		memcpy(slot->bytes, out, size_bytes);
	}
	return size_bytes;
}

static bool text_is_empty(const char *text)
{
	return text == NULL || *text == '\0';
}

static bool reply_fields_equal(const struct ftsi_reply_fields *a, const struct ftsi_reply_fields *b)
{
	return a->status == b->status && a->executed == b->executed && a->term == b->term && a->index == b->index &&
	       a->retry_after_ms == b->retry_after_ms && a->age_ms == b->age_ms && a->server_us == b->server_us &&
	       a->node == b->node && text_is_empty(b->leader) && text_is_empty(b->detail);
}

static size_t reply_encode(const struct ftsi_reply_fields *fields, uint8_t *out)
{
	fts_rpc_v1_ReplyHeader header;
	header.code = (uint32_t)fields->status;
	header.executed = (uint32_t)fields->executed;
	header.term = fields->term;
	header.index = fields->index;
	header.retry_after_ms = fields->retry_after_ms;
	header.age_ms = fields->age_ms;
	header.server_us = fields->server_us;
	text_copy(header.node, sizeof header.node, fields->node);
	text_copy(header.leader, sizeof header.leader, fields->leader);
	text_copy(header.detail, sizeof header.detail, fields->detail);
	return header_encode(fts_rpc_v1_ReplyHeader_fields, &header, out);
}

size_t ftsi_reply_header_write(struct ftsi_reply_writer *writer, const struct ftsi_reply_fields *fields, uint8_t *out)
{
	if (writer->size_bytes > 0 && reply_fields_equal(&writer->fields, fields)) {
		memcpy(out, writer->bytes, writer->size_bytes);
		return writer->size_bytes;
	}
	size_t size_bytes = reply_encode(fields, out);
	if (size_bytes > 0 && size_bytes <= sizeof writer->bytes && text_is_empty(fields->leader) &&
	    text_is_empty(fields->detail)) {
		writer->fields = *fields;
		writer->size_bytes = size_bytes;
		memcpy(writer->bytes, out, size_bytes);
	}
	return size_bytes;
}

/* ---- Reading ---- */

static bool header_decode(const pb_msgdesc_t *type, struct fts_bytes header, void *out)
{
	pb_istream_t stream = pb_istream_from_buffer(header.data, header.size_bytes);
	return pb_decode(&stream, type, out);
}

/* Calls begin with their method id (tag and four bytes): its last byte picks the slot. */
static struct ftsi_call_read *call_slot(struct ftsi_call_reader *reader, struct fts_bytes header)
{
	return &reader->slots[header.size_bytes < 5 ? 0 : header.data[1] % FTSI_HEADER_SLOT_COUNT];
}

const fts_rpc_v1_CallHeader *ftsi_call_header_read(struct ftsi_call_reader *reader, struct fts_bytes header)
{
	struct ftsi_call_read *slot = call_slot(reader, header);
	if (slot->size_bytes == header.size_bytes && slot->size_bytes > 0 &&
	    memcmp(slot->bytes, header.data, header.size_bytes) == 0)
		return &slot->header;
	slot->size_bytes = 0;
	if (!header_decode(fts_rpc_v1_CallHeader_fields, header, &slot->header)) return NULL;
	if (header.size_bytes <= sizeof slot->bytes) {
		memcpy(slot->bytes, header.data, header.size_bytes);
		slot->size_bytes = header.size_bytes;
	}
	return &slot->header;
}

const fts_rpc_v1_ReplyHeader *ftsi_reply_header_read(struct ftsi_reply_reader *reader, struct fts_bytes header)
{
	if (reader->size_bytes == header.size_bytes && reader->size_bytes > 0 &&
	    memcmp(reader->bytes, header.data, header.size_bytes) == 0)
		return &reader->header;
	reader->size_bytes = 0;
	if (!header_decode(fts_rpc_v1_ReplyHeader_fields, header, &reader->header)) return NULL;
	if (header.size_bytes <= sizeof reader->bytes) {
		memcpy(reader->bytes, header.data, header.size_bytes);
		reader->size_bytes = header.size_bytes;
	}
	return &reader->header;
}
