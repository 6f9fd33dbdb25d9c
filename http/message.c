/* Why this file exists: see http/message.h. */
#include "http/message.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "rpc/json.h"

/* malloc within a limit. What is freed does not count back: a message is built once. */
struct allowance {
	size_t left_bytes;
	bool exhausted;
};

static void *take(void *ctx, size_t size_bytes)
{
	struct allowance *allowance = ctx;
	void *memory = size_bytes <= allowance->left_bytes ? malloc(size_bytes) : NULL;
	allowance->exhausted |= memory == NULL;
	if (memory != NULL) allowance->left_bytes -= size_bytes;
	return memory;
}

static void give(void *ctx, void *memory)
{
	(void)ctx;
	free(memory);
}

static enum fts_status read_proto(const ProtobufCMessageDescriptor *type, struct fts_bytes body,
				  ProtobufCMessage **out_message, struct fts_error *out_error)
{
	struct allowance allowance = {.left_bytes = FTSI_MESSAGE_MEMORY_BYTES};
	ProtobufCAllocator allocator = {take, give, &allowance};
	*out_message = protobuf_c_message_unpack(type, &allocator, body.size_bytes, body.data);
	if (*out_message != NULL) return FTS_OK;
	if (allowance.exhausted)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED,
				     "the request needs more memory than a request may have");
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the request is not a readable %s", type->name);
}

enum fts_status ftsi_message_read(enum ftsi_codec codec, const ProtobufCMessageDescriptor *type, struct fts_bytes body,
				  ProtobufCMessage **out_message, struct fts_error *out_error)
{
	static const struct fts_bytes nothing = {(const uint8_t *)"{}", 2};
	if (codec == FTSI_CODEC_PROTO) return read_proto(type, body, out_message, out_error);
	return fts_json_decode(body.size_bytes == 0 ? nothing : body, type, NULL, out_message, out_error);
}

static enum fts_status copy(struct fts_bytes packed, uint8_t **out_body, size_t *out_size_bytes,
			    struct fts_error *out_error)
{
	uint8_t *body = malloc(packed.size_bytes + 1);
	if (body == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory for the answer");
	if (packed.size_bytes > 0) memcpy(body, packed.data, packed.size_bytes);
	*out_body = body;
	*out_size_bytes = packed.size_bytes;
	return FTS_OK;
}

enum fts_status ftsi_message_write(enum ftsi_codec codec, const ProtobufCMessageDescriptor *type,
				   struct fts_bytes packed, uint8_t **out_body, size_t *out_size_bytes,
				   struct fts_error *out_error)
{
	json_t *value = NULL;
	if (codec == FTSI_CODEC_PROTO) return copy(packed, out_body, out_size_bytes, out_error);
	enum fts_status status = fts_json_value_of_bytes(type, packed, NULL, &value, out_error);
	if (status == FTS_DATA_LOSS || status == FTS_INVALID_ARGUMENT)
		return fts_error_set(out_error, FTS_INTERNAL, "the answer is not a readable %s", type->name);
	if (status != FTS_OK) return status;
	char *text = json_dumps(value, JSON_COMPACT);
	json_decref(value);
	if (text == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory for the answer");
	*out_body = (uint8_t *)text;
	*out_size_bytes = strlen(text);
	return FTS_OK;
}
