/* Why this file exists: a call of one request and one answer: into the channel, and back out. The answer is packed on
 * the channel's thread, which must be short, and becomes JSON on libmicrohttpd's. */
#include <stdlib.h>

#include "http/internal.h"
#include "http/message.h"

/* Thread: the channel's. Nobody else touches the exchange before it is resumed. */
static void on_done(void *ctx, enum fts_status status, const ProtobufCMessage *response, const struct fts_error *error)
{
	struct ftsi_exchange *exchange = ctx;
	if (status == FTS_OK) {
		exchange->packed_bytes = protobuf_c_message_get_packed_size(response);
		exchange->packed = malloc(exchange->packed_bytes + 1);
		if (exchange->packed != NULL) {
			protobuf_c_message_pack(response, exchange->packed);
		} else {
			(void)fts_error_set(&exchange->error, FTS_RESOURCE_EXHAUSTED, "out of memory for the answer");
			exchange->error.executed = FTS_EXECUTED_YES;
		}
	} else {
		exchange->error = *error;
	}
	MHD_resume_connection(exchange->connection);
}

bool ftsi_call_start(struct ftsi_exchange *exchange, const struct fts_method *method, const ProtobufCMessage *request)
{
	struct fts_door *door = exchange->door;
	struct fts_call_options options = {.timeout_ms = exchange->timeout_ms,
					   .fence = exchange->fence,
					   .stale = exchange->stale,
					   .token = exchange->token};
	/* All callers share the channel's connection, and the server slows down and cuts off one that brings tokens
	 * that nobody knows. */
	if (door->options.recognize != NULL &&
	    door->options.recognize(door->options.ctx, method, exchange->token, &exchange->error) != FTS_OK)
		return false;
	MHD_suspend_connection(exchange->connection); /* before the answer can come */
	pthread_rwlock_rdlock(&door->calls_lock);
	enum fts_status status =
	    door->is_cut ? FTS_CANCELLED
			 : fts_channel_start(door->options.channel, method, request, &options, on_done, exchange, NULL);
	pthread_rwlock_unlock(&door->calls_lock);
	if (status == FTS_OK) return true;
	(void)fts_error_set(&exchange->error, status,
			    status == FTS_CANCELLED ? "this node is stopping: go to another one"
						    : "the door has as many calls open as it may: try later");
	if (status == FTS_CANCELLED) exchange->error.status = FTS_UNAVAILABLE;
	MHD_resume_connection(exchange->connection);
	return true; /* it comes back with the error */
}

bool ftsi_unary_start(struct ftsi_exchange *exchange)
{
	ProtobufCMessage *request = NULL;
	struct fts_bytes body = {exchange->body, exchange->body_bytes};
	if (ftsi_message_read(exchange->codec, exchange->method->request, body, &request, &exchange->error) != FTS_OK)
		return false;
	bool suspended = ftsi_call_start(exchange, exchange->method, request);
	protobuf_c_message_free_unpacked(request, NULL);
	return suspended;
}

enum MHD_Result ftsi_unary_answer(struct ftsi_exchange *exchange)
{
	uint8_t *body = NULL;
	size_t size = 0;
	struct fts_bytes packed = {exchange->packed, exchange->packed_bytes};
	if (exchange->error.status != FTS_OK || ftsi_message_write(exchange->codec, exchange->method->response, packed,
								   &body, &size, &exchange->error) != FTS_OK)
		return ftsi_answer_error(exchange);
	return ftsi_answer(exchange, MHD_HTTP_OK, ftsi_connect_unary_name(exchange->codec), body, size);
}
