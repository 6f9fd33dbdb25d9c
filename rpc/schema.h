/* Why this file exists: what a server says of itself (fts.rpc.v1.Reflection) made into protobuf-c descriptors at
 * run time, so that a tool calls any method and reads any event with no .proto and no generated code at hand.
 *
 * Invariants
 * - A description is a stranger's: counts, names and nesting are bounded, every name is an identifier, types that
 *   contain themselves are refused (protobuf-c unpacks without a limit of depth), nothing is built half.
 * - Descriptors live as long as their schema, and so must the messages made from them. They are read-only: any
 *   number of threads may use them.
 * - message_init is NULL in them: protobuf-c's unpack and rpc/json.h know how to do without, its macros don't. */
#ifndef FTS_RPC_SCHEMA_H
#define FTS_RPC_SCHEMA_H

#include <fts/rpc.h>
#include <fts/rpc/v1/reflection.pb-c.h>

#define FTS_SCHEMA_TYPE_MAX 2048    /* messages, and as many enums */
#define FTS_SCHEMA_FIELD_MAX 512    /* of one message */
#define FTS_SCHEMA_FIELDS_MAX 32768 /* of all messages, and as many enum values */
#define FTS_SCHEMA_METHOD_MAX 4096
#define FTS_SCHEMA_NAME_MAX_BYTES 255
#define FTS_SCHEMA_DEPTH_MAX 32 /* messages within messages */

struct fts_schema;

/* Build descriptors from a description (borrowed). out_schema: returned (fts_schema_destroy).
 * Errors: INVALID_ARGUMENT (the detail names what is wrong with the description), RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_schema_build(const Fts__Rpc__V1__DescribeResponse *description,
					      struct fts_schema **out_schema, struct fts_error *out_error);
/* owned; NULL: no-op. Every message of its types must have been freed. */
void fts_schema_destroy(struct fts_schema *schema);

/* By full name; NULL: not described. Returned pointers are borrowed until the schema is destroyed. */
const ProtobufCMessageDescriptor *fts_schema_message(const struct fts_schema *schema, const char *name);
const ProtobufCEnumDescriptor *fts_schema_enum(const struct fts_schema *schema, const char *name);
/* The message published under topic. */
const ProtobufCMessageDescriptor *fts_schema_topic(const struct fts_schema *schema, const char *topic);
/* full_name: "fts.lottery.v1.Lottery/StoreBet". The method has no invoke: it can be called, not served. */
const struct fts_method *fts_schema_method(const struct fts_schema *schema, const char *full_name);

/* A description (borrowed) as a person would write it in a .proto file. Control characters of a stranger's text
 * don't come through. out_text: returned (free()). Errors: RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_schema_print(const Fts__Rpc__V1__DescribeResponse *description, char **out_text,
					      struct fts_error *out_error);

#endif
