/* Why this file exists: what stands in a request or an answer, as bytes, made into messages and back, in either codec.
 * Invariant: no request makes more of this than FTSI_MESSAGE_MEMORY_BYTES, whatever it says (protobuf-c unpacks small
 * messages into large ones). Thread: any. */
#ifndef FTS_HTTP_MESSAGE_H
#define FTS_HTTP_MESSAGE_H

#include <fts/rpc.h>

#include "http/connect.h"

#define FTSI_MESSAGE_MEMORY_BYTES ((size_t)64 * 1024 * 1024)

/* body (borrowed) -> a message of this type; empty bytes are an empty message, in JSON too. out_message: returned
 * (protobuf_c_message_free_unpacked with NULL). Errors: INVALID_ARGUMENT (says what is wrong), RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_message_read(enum ftsi_codec codec, const ProtobufCMessageDescriptor *type,
					       struct fts_bytes body, ProtobufCMessage **out_message,
					       struct fts_error *out_error);
/* A packed message (borrowed) -> what the codec sends. out_body: returned (free()).
 * Errors: INTERNAL (it is none), RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_message_write(enum ftsi_codec codec, const ProtobufCMessageDescriptor *type,
						struct fts_bytes packed, uint8_t **out_body, size_t *out_size_bytes,
						struct fts_error *out_error);

#endif
