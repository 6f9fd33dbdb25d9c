/* Made by protoc-gen-fts from plain.proto: do not edit. */
#ifndef PLAIN_FTS_H
#define PLAIN_FTS_H

#include <fts/rpc.h>

#include "plain.pb-c.h"

FTS_BEGIN_DECLS

/* ---- Echo ---- */

/* The service as a table, and each of its methods, for functions that take any. Static, read-only. */
FTS_API extern const struct fts_service echo_service;
FTS_API extern const struct fts_method *const echo_echo_method;

/* Echo/Echo
 * Changes nothing. Answered by the leader. Role: any. Time limit: 5,000 ms unless options name one.
 * channel, request, options: borrowed (options may be NULL). out_response: returned, with FTS_OK only; free it with
 * ping__free_unpacked(response, NULL). out_error: borrowed, may be NULL.
 * Errors: what the server answers, and those of fts_channel_call. Thread: any but a callback's. */
FTS_API FTS_MUST_USE enum fts_status echo_echo(
	struct fts_channel *channel, const Ping *request, const struct fts_call_options *options, Ping **out_response,
	struct fts_error *out_error);

/* How echo_echo_start ended. response: NULL unless status is FTS_OK; error: NULL if it is; both borrowed until the
 * callback returns. Thread: one of the runtime's; do not block. */
typedef void (*echo_echo_done_fn)(
	void *ctx, enum fts_status status, const Ping *response, const struct fts_error *error);

/* As echo_echo, without waiting: done fires exactly once iff this returns FTS_OK, and never inside it.
 * channel: borrowed until done has fired. request, options: borrowed (options may be NULL). ctx: handed to done.
 * out_id: borrowed, may be NULL; names the call for fts_channel_cancel. Errors: those of fts_channel_start. Thread:
 * any. */
FTS_API FTS_MUST_USE enum fts_status echo_echo_start(
	struct fts_channel *channel, const Ping *request, const struct fts_call_options *options,
	echo_echo_done_fn done, void *ctx, struct fts_call_id *out_id);

/* What a server does for each method of Echo; a NULL member answers FTS_UNIMPLEMENTED.
 * A handler answers its call exactly once, at once or later, from any thread: with the method's _reply, or with
 * fts_call_fail. call and request: borrowed until then. ctx: what echo_register was given. Thread: the one that read
 * the call, which must not be blocked, or a worker where it says so. */
struct echo_handlers {
	void (*echo)(struct fts_call *call, const Ping *request, void *ctx);
};

/* Offer Echo at server (borrowed), before it is started. handlers: borrowed until the server is destroyed. ctx:
 * handed to every handler. out_error: borrowed, may be NULL.
 * Errors: those of fts_server_add. Thread: the one that made the server. */
FTS_API FTS_MUST_USE enum fts_status echo_register(
	struct fts_server *server, const struct echo_handlers *handlers, void *ctx, struct fts_error *out_error);

/* Answer a call of Echo/Echo: packs response (borrowed); call (owned) and its request are gone when it returns.
 * Thread: any. */
FTS_API void echo_echo_reply(struct fts_call *call, const Ping *response);

/* ---- EchoTwice ---- */

/* The service as a table, and each of its methods, for functions that take any. Static, read-only. */
FTS_API extern const struct fts_service echo_twice_service;
FTS_API extern const struct fts_method *const echo_twice_echo_method;

/* EchoTwice/Echo
 * Changes nothing. Answered by the leader. Role: any. Time limit: 5,000 ms unless options name one.
 * channel, request, options: borrowed (options may be NULL). out_response: returned, with FTS_OK only; free it with
 * ping__free_unpacked(response, NULL). out_error: borrowed, may be NULL.
 * Errors: what the server answers, and those of fts_channel_call. Thread: any but a callback's. */
FTS_API FTS_MUST_USE enum fts_status echo_twice_echo(
	struct fts_channel *channel, const Ping *request, const struct fts_call_options *options, Ping **out_response,
	struct fts_error *out_error);

/* How echo_twice_echo_start ended. response: NULL unless status is FTS_OK; error: NULL if it is; both borrowed until
 * the callback returns. Thread: one of the runtime's; do not block. */
typedef void (*echo_twice_echo_done_fn)(
	void *ctx, enum fts_status status, const Ping *response, const struct fts_error *error);

/* As echo_twice_echo, without waiting: done fires exactly once iff this returns FTS_OK, and never inside it.
 * channel: borrowed until done has fired. request, options: borrowed (options may be NULL). ctx: handed to done.
 * out_id: borrowed, may be NULL; names the call for fts_channel_cancel. Errors: those of fts_channel_start. Thread:
 * any. */
FTS_API FTS_MUST_USE enum fts_status echo_twice_echo_start(
	struct fts_channel *channel, const Ping *request, const struct fts_call_options *options,
	echo_twice_echo_done_fn done, void *ctx, struct fts_call_id *out_id);

/* What a server does for each method of EchoTwice; a NULL member answers FTS_UNIMPLEMENTED.
 * A handler answers its call exactly once, at once or later, from any thread: with the method's _reply, or with
 * fts_call_fail. call and request: borrowed until then. ctx: what echo_twice_register was given. Thread: the one
 * that read the call, which must not be blocked, or a worker where it says so. */
struct echo_twice_handlers {
	void (*echo)(struct fts_call *call, const Ping *request, void *ctx);
};

/* Offer EchoTwice at server (borrowed), before it is started. handlers: borrowed until the server is destroyed. ctx:
 * handed to every handler. out_error: borrowed, may be NULL.
 * Errors: those of fts_server_add. Thread: the one that made the server. */
FTS_API FTS_MUST_USE enum fts_status echo_twice_register(
	struct fts_server *server, const struct echo_twice_handlers *handlers, void *ctx, struct fts_error *out_error);

/* Answer a call of EchoTwice/Echo: packs response (borrowed); call (owned) and its request are gone when it returns.
 * Thread: any. */
FTS_API void echo_twice_echo_reply(struct fts_call *call, const Ping *response);

FTS_END_DECLS

#endif
