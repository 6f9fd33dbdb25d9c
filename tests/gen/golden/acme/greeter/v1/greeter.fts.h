/* Made by protoc-gen-fts from acme/greeter/v1/greeter.proto: do not edit.
 *
 * Greets people: a service with everything the generator knows.
 *
 * This comment stands at the top of the header. It may hold what would end a comment in C: * / or begin one: / * and
 * lines that are longer than a hundred and twenty columns, which are wrapped at a space so that the header can be
 * read without scrolling sideways. */
#ifndef ACME_GREETER_V1_GREETER_FTS_H
#define ACME_GREETER_V1_GREETER_FTS_H

#include <fts/rpc.h>

#include "acme/greeter/v1/greeter.pb-c.h"

FTS_BEGIN_DECLS

/* Published when somebody was greeted.
 * The payload of events under the topic "greeter.greeted" is a Acme__Greeter__V1__GreetedEvent. Static, read-only. */
FTS_API extern const struct fts_topic acme_greeter_v1_greeted_event_topic;

/* An event within another message, without a comment of its own fields.
 * The payload of events under the topic "greeter.silence" is a Acme__Greeter__V1__Silent__SilenceEvent. Static,
 * read-only. */
FTS_API extern const struct fts_topic acme_greeter_v1_silent_silence_event_topic;

/* ---- acme.greeter.v1.HTTPGreeter ---- */

/* Greets.
 *
 * The second paragraph stays one.
 * The service as a table, and each of its methods, for functions that take any. Static, read-only. */
FTS_API extern const struct fts_service acme_greeter_v1_http_greeter_service;
FTS_API extern const struct fts_method *const acme_greeter_v1_http_greeter_say_hello_method;
FTS_API extern const struct fts_method *const acme_greeter_v1_http_greeter_remember_person_method;
FTS_API extern const struct fts_method *const acme_greeter_v1_http_greeter_compose_url2_method;

/* Says hello. "Quotes", a back\slash, a trigraph ??= and an umlaut ä come through.
 * Changes nothing. Answered by the leader. Role: any. Time limit: 5,000 ms unless options name one.
 * channel, request, options: borrowed (options may be NULL). out_response: returned, with FTS_OK only; free it with
 * acme__greeter__v1__hello_response__free_unpacked(response, NULL). out_error: borrowed, may be NULL.
 * Errors: what the server answers, and those of fts_channel_call. Thread: any but a callback's. */
FTS_API FTS_MUST_USE enum fts_status acme_greeter_v1_http_greeter_say_hello(
	struct fts_channel *channel, const Acme__Greeter__V1__HelloRequest *request,
	const struct fts_call_options *options, Acme__Greeter__V1__HelloResponse **out_response,
	struct fts_error *out_error);

/* How acme_greeter_v1_http_greeter_say_hello_start ended. response: NULL unless status is FTS_OK; error: NULL if it
 * is; both borrowed until the callback returns. Thread: one of the runtime's; do not block. */
typedef void (*acme_greeter_v1_http_greeter_say_hello_done_fn)(
	void *ctx, enum fts_status status, const Acme__Greeter__V1__HelloResponse *response,
	const struct fts_error *error);

/* As acme_greeter_v1_http_greeter_say_hello, without waiting: done fires exactly once iff this returns FTS_OK, and
 * never inside it.
 * channel: borrowed until done has fired. request, options: borrowed (options may be NULL). ctx: handed to done.
 * out_id: borrowed, may be NULL; names the call for fts_channel_cancel. Errors: those of fts_channel_start. Thread:
 * any. */
FTS_API FTS_MUST_USE enum fts_status acme_greeter_v1_http_greeter_say_hello_start(
	struct fts_channel *channel, const Acme__Greeter__V1__HelloRequest *request,
	const struct fts_call_options *options, acme_greeter_v1_http_greeter_say_hello_done_fn done, void *ctx,
	struct fts_call_id *out_id);

/* Remembers somebody.
 * Changes state, once, however often it has to be sent. Answered by the leader. Role: "host". Time limit: 1,234,567
 * ms unless options name one.
 * channel, request, options: borrowed (options may be NULL). out_response: returned, with FTS_OK only; free it with
 * protobuf_c_message_free_unpacked(&response->base, NULL). out_error: borrowed, may be NULL.
 * Errors: what the server answers, and those of fts_channel_call. Thread: any but a callback's. */
FTS_API FTS_MUST_USE enum fts_status acme_greeter_v1_http_greeter_remember_person(
	struct fts_channel *channel, const Acme__Types__V1__Person *request, const struct fts_call_options *options,
	Acme__Greeter__V1__HelloResponse__Receipt **out_response, struct fts_error *out_error);

/* How acme_greeter_v1_http_greeter_remember_person_start ended. response: NULL unless status is FTS_OK; error: NULL
 * if it is; both borrowed until the callback returns. Thread: one of the runtime's; do not block. */
typedef void (*acme_greeter_v1_http_greeter_remember_person_done_fn)(
	void *ctx, enum fts_status status, const Acme__Greeter__V1__HelloResponse__Receipt *response,
	const struct fts_error *error);

/* As acme_greeter_v1_http_greeter_remember_person, without waiting: done fires exactly once iff this returns FTS_OK,
 * and never inside it.
 * channel: borrowed until done has fired. request, options: borrowed (options may be NULL). ctx: handed to done.
 * out_id: borrowed, may be NULL; names the call for fts_channel_cancel. Errors: those of fts_channel_start. Thread:
 * any. */
FTS_API FTS_MUST_USE enum fts_status acme_greeter_v1_http_greeter_remember_person_start(
	struct fts_channel *channel, const Acme__Types__V1__Person *request, const struct fts_call_options *options,
	acme_greeter_v1_http_greeter_remember_person_done_fn done, void *ctx, struct fts_call_id *out_id);

/* Thinks about a greeting for a while.
 * Changes nothing. Answered by whichever node is asked. Role: any. Time limit: 5,000 ms unless options name one.
 * channel, request, options: borrowed (options may be NULL). out_response: returned, with FTS_OK only; free it with
 * acme__greeter__v1__hello_response__free_unpacked(response, NULL). out_error: borrowed, may be NULL.
 * Errors: what the server answers, and those of fts_channel_call. Thread: any but a callback's. */
FTS_API FTS_MUST_USE enum fts_status acme_greeter_v1_http_greeter_compose_url2(
	struct fts_channel *channel, const Acme__Greeter__V1__HelloRequest *request,
	const struct fts_call_options *options, Acme__Greeter__V1__HelloResponse **out_response,
	struct fts_error *out_error);

/* How acme_greeter_v1_http_greeter_compose_url2_start ended. response: NULL unless status is FTS_OK; error: NULL if
 * it is; both borrowed until the callback returns. Thread: one of the runtime's; do not block. */
typedef void (*acme_greeter_v1_http_greeter_compose_url2_done_fn)(
	void *ctx, enum fts_status status, const Acme__Greeter__V1__HelloResponse *response,
	const struct fts_error *error);

/* As acme_greeter_v1_http_greeter_compose_url2, without waiting: done fires exactly once iff this returns FTS_OK,
 * and never inside it.
 * channel: borrowed until done has fired. request, options: borrowed (options may be NULL). ctx: handed to done.
 * out_id: borrowed, may be NULL; names the call for fts_channel_cancel. Errors: those of fts_channel_start. Thread:
 * any. */
FTS_API FTS_MUST_USE enum fts_status acme_greeter_v1_http_greeter_compose_url2_start(
	struct fts_channel *channel, const Acme__Greeter__V1__HelloRequest *request,
	const struct fts_call_options *options, acme_greeter_v1_http_greeter_compose_url2_done_fn done, void *ctx,
	struct fts_call_id *out_id);

/* What a server does for each method of acme.greeter.v1.HTTPGreeter; a NULL member answers FTS_UNIMPLEMENTED.
 * A handler answers its call exactly once, at once or later, from any thread: with the method's _reply, or with
 * fts_call_fail. call and request: borrowed until then. ctx: what acme_greeter_v1_http_greeter_register was given.
 * Thread: the one that read the call, which must not be blocked, or a worker where it says so. */
struct acme_greeter_v1_http_greeter_handlers {
	/* Says hello. "Quotes", a back\slash, a trigraph ??= and an umlaut ä come through. */
	void (*say_hello)(struct fts_call *call, const Acme__Greeter__V1__HelloRequest *request, void *ctx);
	/* Remembers somebody. */
	void (*remember_person)(struct fts_call *call, const Acme__Types__V1__Person *request, void *ctx);
	/* Thinks about a greeting for a while.
	 * Runs in a worker: it may wait and compute. */
	void (*compose_url2)(struct fts_call *call, const Acme__Greeter__V1__HelloRequest *request, void *ctx);
};

/* Offer acme.greeter.v1.HTTPGreeter at server (borrowed), before it is started. handlers: borrowed until the server
 * is destroyed. ctx: handed to every handler. out_error: borrowed, may be NULL.
 * Errors: those of fts_server_add. Thread: the one that made the server. */
FTS_API FTS_MUST_USE enum fts_status acme_greeter_v1_http_greeter_register(
	struct fts_server *server, const struct acme_greeter_v1_http_greeter_handlers *handlers, void *ctx,
	struct fts_error *out_error);

/* Answer a call of acme.greeter.v1.HTTPGreeter/SayHello: packs response (borrowed); call (owned) and its request are
 * gone when it returns. Thread: any. */
FTS_API void acme_greeter_v1_http_greeter_say_hello_reply(
	struct fts_call *call, const Acme__Greeter__V1__HelloResponse *response);

/* Answer a call of acme.greeter.v1.HTTPGreeter/RememberPerson: packs response (borrowed); call (owned) and its
 * request are gone when it returns. Thread: any. */
FTS_API void acme_greeter_v1_http_greeter_remember_person_reply(
	struct fts_call *call, const Acme__Greeter__V1__HelloResponse__Receipt *response);

/* Answer a call of acme.greeter.v1.HTTPGreeter/ComposeURL2: packs response (borrowed); call (owned) and its request
 * are gone when it returns. Thread: any. */
FTS_API void acme_greeter_v1_http_greeter_compose_url2_reply(
	struct fts_call *call, const Acme__Greeter__V1__HelloResponse *response);

/* ---- acme.greeter.v1.Admin ---- */

/* A second service in the same file, with a prefix of its own.
 * The service as a table, and each of its methods, for functions that take any. Static, read-only. */
FTS_API extern const struct fts_service greeter_admin_service;
FTS_API extern const struct fts_method *const greeter_admin_count_method;

/* acme.greeter.v1.Admin/Count
 * Changes nothing. Answered by any replica. Role: any. Time limit: 5,000 ms unless options name one.
 * channel, request, options: borrowed (options may be NULL). out_response: returned, with FTS_OK only; free it with
 * acme__greeter__v1__count_response__free_unpacked(response, NULL). out_error: borrowed, may be NULL.
 * Errors: what the server answers, and those of fts_channel_call. Thread: any but a callback's. */
FTS_API FTS_MUST_USE enum fts_status greeter_admin_count(
	struct fts_channel *channel, const Acme__Greeter__V1__CountRequest *request,
	const struct fts_call_options *options, Acme__Greeter__V1__CountResponse **out_response,
	struct fts_error *out_error);

/* How greeter_admin_count_start ended. response: NULL unless status is FTS_OK; error: NULL if it is; both borrowed
 * until the callback returns. Thread: one of the runtime's; do not block. */
typedef void (*greeter_admin_count_done_fn)(
	void *ctx, enum fts_status status, const Acme__Greeter__V1__CountResponse *response,
	const struct fts_error *error);

/* As greeter_admin_count, without waiting: done fires exactly once iff this returns FTS_OK, and never inside it.
 * channel: borrowed until done has fired. request, options: borrowed (options may be NULL). ctx: handed to done.
 * out_id: borrowed, may be NULL; names the call for fts_channel_cancel. Errors: those of fts_channel_start. Thread:
 * any. */
FTS_API FTS_MUST_USE enum fts_status greeter_admin_count_start(
	struct fts_channel *channel, const Acme__Greeter__V1__CountRequest *request,
	const struct fts_call_options *options, greeter_admin_count_done_fn done, void *ctx,
	struct fts_call_id *out_id);

/* What a server does for each method of acme.greeter.v1.Admin; a NULL member answers FTS_UNIMPLEMENTED.
 * A handler answers its call exactly once, at once or later, from any thread: with the method's _reply, or with
 * fts_call_fail. call and request: borrowed until then. ctx: what greeter_admin_register was given. Thread: the one
 * that read the call, which must not be blocked, or a worker where it says so. */
struct greeter_admin_handlers {
	void (*count)(struct fts_call *call, const Acme__Greeter__V1__CountRequest *request, void *ctx);
};

/* Offer acme.greeter.v1.Admin at server (borrowed), before it is started. handlers: borrowed until the server is
 * destroyed. ctx: handed to every handler. out_error: borrowed, may be NULL.
 * Errors: those of fts_server_add. Thread: the one that made the server. */
FTS_API FTS_MUST_USE enum fts_status greeter_admin_register(
	struct fts_server *server, const struct greeter_admin_handlers *handlers, void *ctx,
	struct fts_error *out_error);

/* Answer a call of acme.greeter.v1.Admin/Count: packs response (borrowed); call (owned) and its request are gone
 * when it returns. Thread: any. */
FTS_API void greeter_admin_count_reply(struct fts_call *call, const Acme__Greeter__V1__CountResponse *response);

FTS_END_DECLS

#endif
