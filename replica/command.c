/* Why this file exists: see replica/command.h, which has the table of the byte format.
 *
 * Invariant: no read goes past the bytes given, whatever they are; unknown fields are skipped. */
#include "replica/command.h"

#include <string.h>

enum {
	TAG_METHOD = 0x0D,
	TAG_CLIENT_ID = 0x11,
	TAG_SEQUENCE = 0x18,
	TAG_LOWEST_UNANSWERED = 0x20,
	TAG_PAYLOAD = 0x2A,
	TAG_FENCE = 0x30,
	TAG_COMMANDS = 0x0A,
	TAG_TIME_MS = 0x10,
	TAG_TERM = 0x18,
	TAG_LEAD_INDEX = 0x20,
	TAG_FORMAT = 0x28,
	WIRE_VARINT = 0,
	WIRE_64 = 1,
	WIRE_LENGTH = 2,
	WIRE_32 = 5,
};

static size_t varint_size(uint64_t value)
{
	size_t size = 1;
	while (value >= 0x80) {
		value >>= 7;
		size++;
	}
	return size;
}

static uint8_t *write_varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

static uint8_t *write_little_endian(uint8_t *at, uint64_t value, unsigned width_bytes)
{
	for (unsigned i = 0; i < width_bytes; i++)
		*at++ = (uint8_t)(value >> (8 * i));
	return at;
}

static size_t varint_field_size(uint64_t value)
{
	return value == 0 ? 0 : 1 + varint_size(value);
}

static uint8_t *write_varint_field(uint8_t *at, uint8_t tag, uint64_t value)
{
	if (value == 0) return at;
	*at++ = tag;
	return write_varint(at, value);
}

static size_t body_size(const struct ftsi_command *command)
{
	size_t size = command->method == 0 ? 0 : 5;
	size += command->client_id == 0 ? 0 : 9;
	size += varint_field_size(command->sequence) + varint_field_size(command->lowest_unanswered);
	size += varint_field_size(command->fence);
	if (command->payload.size_bytes > 0)
		size += 1 + varint_size(command->payload.size_bytes) + command->payload.size_bytes;
	return size;
}

size_t ftsi_command_size(const struct ftsi_command *command)
{
	size_t body = body_size(command);
	return 1 + varint_size(body) + body;
}

uint8_t *ftsi_command_write(uint8_t *at, const struct ftsi_command *command)
{
	*at++ = TAG_COMMANDS;
	at = write_varint(at, body_size(command));
	if (command->method != 0) {
		*at++ = TAG_METHOD;
		at = write_little_endian(at, command->method, 4);
	}
	if (command->client_id != 0) {
		*at++ = TAG_CLIENT_ID;
		at = write_little_endian(at, command->client_id, 8);
	}
	at = write_varint_field(at, TAG_SEQUENCE, command->sequence);
	at = write_varint_field(at, TAG_LOWEST_UNANSWERED, command->lowest_unanswered);
	if (command->payload.size_bytes > 0) {
		*at++ = TAG_PAYLOAD;
		at = write_varint(at, command->payload.size_bytes);
		memcpy(at, command->payload.data, command->payload.size_bytes);
		at += command->payload.size_bytes;
	}
	return write_varint_field(at, TAG_FENCE, command->fence);
}

uint8_t *ftsi_batch_write_head(uint8_t *at, const struct ftsi_batch_head *head)
{
	at = write_varint_field(at, TAG_TIME_MS, (uint64_t)head->time_ms);
	at = write_varint_field(at, TAG_TERM, head->term);
	at = write_varint_field(at, TAG_LEAD_INDEX, head->lead_index);
	return write_varint_field(at, TAG_FORMAT, head->format);
}

static int read_varint(struct fts_bytes *at, uint64_t *out_value)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && at->size_bytes > 0; shift += 7) {
		uint8_t byte = *at->data++;
		at->size_bytes--;
		value |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80) {
			*out_value = value;
			return 0;
		}
	}
	return -1;
}

static int read_little_endian(struct fts_bytes *at, unsigned width_bytes, uint64_t *out_value)
{
	uint64_t value = 0;
	if (at->size_bytes < width_bytes) return -1;
	for (unsigned i = 0; i < width_bytes; i++)
		value |= (uint64_t)at->data[i] << (8 * i);
	at->data += width_bytes;
	at->size_bytes -= width_bytes;
	*out_value = value;
	return 0;
}

struct field {
	uint64_t tag;
	uint64_t value;         /* of varint and fixed fields */
	struct fts_bytes bytes; /* of length fields */
};

static int read_field(struct fts_bytes *at, struct field *out_field)
{
	if (read_varint(at, &out_field->tag) != 0) return -1;
	switch (out_field->tag & 7) {
	case WIRE_VARINT:
		return read_varint(at, &out_field->value);
	case WIRE_64:
		return read_little_endian(at, 8, &out_field->value);
	case WIRE_32:
		return read_little_endian(at, 4, &out_field->value);
	case WIRE_LENGTH:
		if (read_varint(at, &out_field->value) != 0 || out_field->value > at->size_bytes) return -1;
		out_field->bytes = (struct fts_bytes){at->data, (size_t)out_field->value};
		at->data += out_field->value;
		at->size_bytes -= (size_t)out_field->value;
		return 0;
	default:
		return -1;
	}
}

static int read_command(struct fts_bytes body, struct ftsi_command *out_command)
{
	struct field field;
	*out_command = (struct ftsi_command){0};
	while (body.size_bytes > 0) {
		if (read_field(&body, &field) != 0) return -1;
		if (field.tag == TAG_METHOD)
			out_command->method = (uint32_t)field.value;
		else if (field.tag == TAG_CLIENT_ID)
			out_command->client_id = field.value;
		else if (field.tag == TAG_SEQUENCE)
			out_command->sequence = field.value;
		else if (field.tag == TAG_LOWEST_UNANSWERED)
			out_command->lowest_unanswered = field.value;
		else if (field.tag == TAG_PAYLOAD)
			out_command->payload = field.bytes;
		else if (field.tag == TAG_FENCE)
			out_command->fence = field.value;
	}
	return 0;
}

int ftsi_batch_read_head(struct fts_bytes batch, struct ftsi_batch_head *out_head)
{
	struct field field;
	struct ftsi_batch_head head = {0};
	while (batch.size_bytes > 0) {
		if (read_field(&batch, &field) != 0) return -1;
		if (field.tag == TAG_TIME_MS) head.time_ms = (int64_t)field.value;
		if (field.tag == TAG_TERM) head.term = field.value;
		if (field.tag == TAG_LEAD_INDEX) head.lead_index = field.value;
		if (field.tag == TAG_FORMAT) head.format = field.value > UINT32_MAX ? UINT32_MAX : (uint32_t)field.value;
	}
	*out_head = head;
	return 0;
}

int ftsi_batch_next(struct fts_bytes *batch, struct ftsi_command *out_command)
{
	struct field field;
	while (batch->size_bytes > 0) {
		if (read_field(batch, &field) != 0) return -1;
		if (field.tag == TAG_COMMANDS) return read_command(field.bytes, out_command) == 0 ? 1 : -1;
	}
	return 0;
}
