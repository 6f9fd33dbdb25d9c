/* Made by protoc-gen-fts from plain.proto: do not edit. */
#include "plain.fts.h"

/* ---- Echo ---- */

static void invoke_echo_echo(const void *handlers, struct fts_call *call, const ProtobufCMessage *request, void *ctx)
{
	const struct echo_handlers *table = handlers;

	if (table->echo == NULL)
		fts_call_fail(call, FTS_UNIMPLEMENTED, "%s is not served here", echo_echo_method->full_name);
	else
		table->echo(call, (const Ping *)request, ctx);
}

static const struct fts_method methods_echo[] = {
	{
		.name = "Echo",
		.full_name = "Echo/Echo",
		.id = 0x6f4c48f0u,
		.request = &ping__descriptor,
		.response = &ping__descriptor,
		.invoke = invoke_echo_echo,
		.timeout_ms = 5000,
		.longest_run_ms = 5000,
		.route = FTS_ROUTE_LEADER,
		.mutates = false,
		.blocking = false,
		.role = "",
		.doc = "",
	},
};

const struct fts_service echo_service = {
	.name = "Echo",
	.doc = "",
	.methods = methods_echo,
	.method_count = 1,
	.types = NULL,
	.type_count = 0,
};

const struct fts_method *const echo_echo_method = &methods_echo[0];

enum fts_status echo_register(
	struct fts_server *server, const struct echo_handlers *handlers, void *ctx, struct fts_error *out_error)
{
	return fts_server_add(server, &echo_service, handlers, ctx, out_error);
}

void echo_echo_reply(struct fts_call *call, const Ping *response)
{
	fts_call_reply(call, (const ProtobufCMessage *)response);
}

enum fts_status echo_echo(
	struct fts_channel *channel, const Ping *request, const struct fts_call_options *options, Ping **out_response,
	struct fts_error *out_error)
{
	ProtobufCMessage *response = NULL;
	enum fts_status status;

	status = fts_channel_call(
		channel, echo_echo_method, (const ProtobufCMessage *)request, options, &response, out_error);
	if (status == FTS_OK)
		*out_response = (Ping *)response;
	return status;
}

enum fts_status echo_echo_start(
	struct fts_channel *channel, const Ping *request, const struct fts_call_options *options,
	echo_echo_done_fn done, void *ctx, struct fts_call_id *out_id)
{
	/* The two callback types differ in the type response points to, and in nothing else. */
	return fts_channel_start(
		channel, echo_echo_method, (const ProtobufCMessage *)request, options, (fts_done_fn)done, ctx, out_id);
}

/* ---- EchoTwice ---- */

static void invoke_echo_twice_echo(
	const void *handlers, struct fts_call *call, const ProtobufCMessage *request, void *ctx)
{
	const struct echo_twice_handlers *table = handlers;

	if (table->echo == NULL)
		fts_call_fail(call, FTS_UNIMPLEMENTED, "%s is not served here", echo_twice_echo_method->full_name);
	else
		table->echo(call, (const Ping *)request, ctx);
}

static const struct fts_method methods_echo_twice[] = {
	{
		.name = "Echo",
		.full_name = "EchoTwice/Echo",
		.id = 0x204a11dcu,
		.request = &ping__descriptor,
		.response = &ping__descriptor,
		.invoke = invoke_echo_twice_echo,
		.timeout_ms = 5000,
		.longest_run_ms = 5000,
		.route = FTS_ROUTE_LEADER,
		.mutates = false,
		.blocking = false,
		.role = "",
		.doc = "",
	},
};

const struct fts_service echo_twice_service = {
	.name = "EchoTwice",
	.doc = "",
	.methods = methods_echo_twice,
	.method_count = 1,
	.types = NULL,
	.type_count = 0,
};

const struct fts_method *const echo_twice_echo_method = &methods_echo_twice[0];

enum fts_status echo_twice_register(
	struct fts_server *server, const struct echo_twice_handlers *handlers, void *ctx, struct fts_error *out_error)
{
	return fts_server_add(server, &echo_twice_service, handlers, ctx, out_error);
}

void echo_twice_echo_reply(struct fts_call *call, const Ping *response)
{
	fts_call_reply(call, (const ProtobufCMessage *)response);
}

enum fts_status echo_twice_echo(
	struct fts_channel *channel, const Ping *request, const struct fts_call_options *options, Ping **out_response,
	struct fts_error *out_error)
{
	ProtobufCMessage *response = NULL;
	enum fts_status status;

	status = fts_channel_call(
		channel, echo_twice_echo_method, (const ProtobufCMessage *)request, options, &response, out_error);
	if (status == FTS_OK)
		*out_response = (Ping *)response;
	return status;
}

enum fts_status echo_twice_echo_start(
	struct fts_channel *channel, const Ping *request, const struct fts_call_options *options,
	echo_twice_echo_done_fn done, void *ctx, struct fts_call_id *out_id)
{
	/* The two callback types differ in the type response points to, and in nothing else. */
	return fts_channel_start(
		channel, echo_twice_echo_method, (const ProtobufCMessage *)request, options, (fts_done_fn)done, ctx,
		out_id);
}
