/* Why this file exists: messages as people and scripts write them. Canonical protobuf JSON over protobuf-c's
 * descriptors, so that it works for generated messages and for those a server described at run time alike.
 *
 * Invariants
 * - encode then decode gives an equal message; decode never reads what the descriptor doesn't name.
 * - Text comes from users: bounded in size, depth and the memory it may ask for, every fault is told with the
 *   path of the field (`bets[3].birthdate`) and what was expected there; the first fault ends it.
 * - A map is what protoc-c makes of one: a repeated message named XEntry with key = 1 and value = 2.
 * Source: https://protobuf.dev/programming-guides/json (proto3, without the well-known types). */
#ifndef FTS_RPC_JSON_H
#define FTS_RPC_JSON_H

#include <stdbool.h>

#include <fts/rpc.h>

struct json_t; /* jansson's */

#define FTS_JSON_TEXT_MAX_BYTES (8u * 1024 * 1024)
#define FTS_JSON_MEMORY_MAX_BYTES (64u * 1024 * 1024) /* of one decoded message */
#define FTS_JSON_DEPTH_MAX 32

struct fts_json_options {
	bool print_defaults; /* fields that hold their default, too; messages and oneofs only when set */
	bool proto_names;    /* close_by_ms rather than closeByMs */
	bool pretty;         /* two spaces a level, a line a value */
};

/* message (borrowed) -> text. options: borrowed, NULL: all false. out_text: returned (free()), 0-terminated;
 * out_size_bytes: without the 0, may be NULL. Thread: any.
 * Errors: INVALID_ARGUMENT (a string that is not UTF-8, nesting too deep), RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status fts_json_encode(const ProtobufCMessage *message, const struct fts_json_options *options,
					     char **out_text, size_t *out_size_bytes, struct fts_error *out_error);

/* The same, as jansson's object. out_value: returned (json_decref). */
FTS_MUST_USE enum fts_status fts_json_value(const ProtobufCMessage *message, const struct fts_json_options *options,
					    struct json_t **out_value, struct fts_error *out_error);

/* The same from a packed message (borrowed) of this type (borrowed), unpacked within FTS_JSON_MEMORY_MAX_BYTES:
 * for what strangers sent, of types that strangers described. Errors: also DATA_LOSS (not such a message). */
FTS_MUST_USE enum fts_status fts_json_value_of_bytes(const ProtobufCMessageDescriptor *type, struct fts_bytes packed,
						     const struct fts_json_options *options, struct json_t **out_value,
						     struct fts_error *out_error);

/* text (borrowed) -> a message of this type (borrowed until the message is freed). allocator: borrowed, NULL:
 * malloc. out_message: returned, free it with protobuf_c_message_free_unpacked(message, allocator). Thread: any.
 * Errors: INVALID_ARGUMENT (the detail names the path), RESOURCE_EXHAUSTED (text or memory above the bounds). */
FTS_MUST_USE enum fts_status fts_json_decode(struct fts_bytes text, const ProtobufCMessageDescriptor *type,
					     ProtobufCAllocator *allocator, ProtobufCMessage **out_message,
					     struct fts_error *out_error);

#endif
