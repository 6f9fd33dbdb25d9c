/* Made by protoc-gen-fts from acme/greeter/v1/greeter.proto: do not edit. */
#include "acme/greeter/v1/greeter.fts.h"

static const struct fts_field_doc docs_acme__greeter__v1__hello_request[] = {
	{"", "Who is to be greeted."},
	{"times", "Block comments are comments too."},
};

static const struct fts_field_doc docs_acme__greeter__v1__hello_response[] = {
	{"text", "the greeting"},
};

static const struct fts_field_doc docs_acme__greeter__v1__hello_response__receipt[] = {
	{"", "That it was done."},
};

static const struct fts_field_doc docs_acme__greeter__v1__greeted_event[] = {
	{"", "Published when somebody was greeted."},
};

static const struct fts_field_doc docs_acme__greeter__v1__silent__silence_event[] = {
	{"", "An event within another message, without a comment of its own fields."},
};

static const struct fts_field_doc docs_acme__types__v1__politeness[] = {
	{"", "How polite a greeting is."},
	{"FORMAL", "With title, and in full."},
};

static const struct fts_field_doc docs_acme__types__v1__person[] = {
	{"", "Somebody."},
	{"name", "as they want to be called"},
	{"names_by_language", "language code to name"},
};

static const struct fts_field_doc docs_acme__types__v1__person__title[] = {
	{"", "A title, if any."},
	{"text", "\"Dr.\""},
};

static const struct fts_type_doc file_types[] = {
	{
		.message = &acme__greeter__v1__hello_request__descriptor,
		.topic = "",
		.fields = docs_acme__greeter__v1__hello_request,
		.field_count = 2,
	},
	{
		.message = &acme__greeter__v1__hello_response__descriptor,
		.topic = "",
		.fields = docs_acme__greeter__v1__hello_response,
		.field_count = 1,
	},
	{
		.message = &acme__greeter__v1__hello_response__receipt__descriptor,
		.topic = "",
		.fields = docs_acme__greeter__v1__hello_response__receipt,
		.field_count = 1,
	},
	{
		.message = &acme__greeter__v1__greeted_event__descriptor,
		.topic = "greeter.greeted",
		.fields = docs_acme__greeter__v1__greeted_event,
		.field_count = 1,
	},
	{
		.message = &acme__greeter__v1__silent__silence_event__descriptor,
		.topic = "greeter.silence",
		.fields = docs_acme__greeter__v1__silent__silence_event,
		.field_count = 1,
	},
	{
		.enumeration = &acme__types__v1__politeness__descriptor,
		.topic = "",
		.fields = docs_acme__types__v1__politeness,
		.field_count = 2,
	},
	{
		.message = &acme__types__v1__person__descriptor,
		.topic = "",
		.fields = docs_acme__types__v1__person,
		.field_count = 3,
	},
	{
		.message = &acme__types__v1__person__title__descriptor,
		.topic = "",
		.fields = docs_acme__types__v1__person__title,
		.field_count = 2,
	},
};

const struct fts_topic acme_greeter_v1_greeted_event_topic = {
	.name = "greeter.greeted",
	.message = &acme__greeter__v1__greeted_event__descriptor,
	.doc = "Published when somebody was greeted.",
};

const struct fts_topic acme_greeter_v1_silent_silence_event_topic = {
	.name = "greeter.silence",
	.message = &acme__greeter__v1__silent__silence_event__descriptor,
	.doc = "An event within another message, without a comment of its own fields.",
};

/* ---- acme.greeter.v1.HTTPGreeter ---- */

static void invoke_acme_greeter_v1_http_greeter_say_hello(
	const void *handlers, struct fts_call *call, const ProtobufCMessage *request, void *ctx)
{
	const struct acme_greeter_v1_http_greeter_handlers *table = handlers;

	if (table->say_hello == NULL)
		fts_call_fail(
			call, FTS_UNIMPLEMENTED, "%s is not served here",
			acme_greeter_v1_http_greeter_say_hello_method->full_name);
	else
		table->say_hello(call, (const Acme__Greeter__V1__HelloRequest *)request, ctx);
}

static void invoke_acme_greeter_v1_http_greeter_remember_person(
	const void *handlers, struct fts_call *call, const ProtobufCMessage *request, void *ctx)
{
	const struct acme_greeter_v1_http_greeter_handlers *table = handlers;

	if (table->remember_person == NULL)
		fts_call_fail(
			call, FTS_UNIMPLEMENTED, "%s is not served here",
			acme_greeter_v1_http_greeter_remember_person_method->full_name);
	else
		table->remember_person(call, (const Acme__Types__V1__Person *)request, ctx);
}

static void invoke_acme_greeter_v1_http_greeter_compose_url2(
	const void *handlers, struct fts_call *call, const ProtobufCMessage *request, void *ctx)
{
	const struct acme_greeter_v1_http_greeter_handlers *table = handlers;

	if (table->compose_url2 == NULL)
		fts_call_fail(
			call, FTS_UNIMPLEMENTED, "%s is not served here",
			acme_greeter_v1_http_greeter_compose_url2_method->full_name);
	else
		table->compose_url2(call, (const Acme__Greeter__V1__HelloRequest *)request, ctx);
}

static const struct fts_method methods_acme_greeter_v1_http_greeter[] = {
	{
		.name = "SayHello",
		.full_name = "acme.greeter.v1.HTTPGreeter/SayHello",
		.id = 0x35f8cb12u,
		.request = &acme__greeter__v1__hello_request__descriptor,
		.response = &acme__greeter__v1__hello_response__descriptor,
		.invoke = invoke_acme_greeter_v1_http_greeter_say_hello,
		.timeout_ms = 5000,
		.longest_run_ms = 5000,
		.route = FTS_ROUTE_LEADER,
		.mutates = false,
		.blocking = false,
		.role = "",
		.doc = "Says hello. \"Quotes\", a back\\slash, a trigraph ?\?= and an umlaut \303\244 come through.",
	},
	{
		.name = "RememberPerson",
		.full_name = "acme.greeter.v1.HTTPGreeter/RememberPerson",
		.id = 0x87b4a0edu,
		.request = &acme__types__v1__person__descriptor,
		.response = &acme__greeter__v1__hello_response__receipt__descriptor,
		.invoke = invoke_acme_greeter_v1_http_greeter_remember_person,
		.timeout_ms = 1234567,
		.longest_run_ms = 250,
		.route = FTS_ROUTE_LEADER,
		.mutates = true,
		.blocking = false,
		.role = "host",
		.doc = "Remembers somebody.",
	},
	{
		.name = "ComposeURL2",
		.full_name = "acme.greeter.v1.HTTPGreeter/ComposeURL2",
		.id = 0x91a0bbc8u,
		.request = &acme__greeter__v1__hello_request__descriptor,
		.response = &acme__greeter__v1__hello_response__descriptor,
		.invoke = invoke_acme_greeter_v1_http_greeter_compose_url2,
		.timeout_ms = 5000,
		.longest_run_ms = 5000,
		.route = FTS_ROUTE_ANY,
		.mutates = false,
		.blocking = true,
		.role = "",
		.doc = "Thinks about a greeting for a while.",
	},
};

const struct fts_service acme_greeter_v1_http_greeter_service = {
	.name = "acme.greeter.v1.HTTPGreeter",
	.doc = "Greets.\n\nThe second paragraph stays one.",
	.methods = methods_acme_greeter_v1_http_greeter,
	.method_count = 3,
	.types = file_types,
	.type_count = 8,
};

const struct fts_method *const acme_greeter_v1_http_greeter_say_hello_method = &methods_acme_greeter_v1_http_greeter[0];
const struct fts_method *const acme_greeter_v1_http_greeter_remember_person_method =
	&methods_acme_greeter_v1_http_greeter[1];
const struct fts_method *const acme_greeter_v1_http_greeter_compose_url2_method =
	&methods_acme_greeter_v1_http_greeter[2];

enum fts_status acme_greeter_v1_http_greeter_register(
	struct fts_server *server, const struct acme_greeter_v1_http_greeter_handlers *handlers, void *ctx,
	struct fts_error *out_error)
{
	return fts_server_add(server, &acme_greeter_v1_http_greeter_service, handlers, ctx, out_error);
}

void acme_greeter_v1_http_greeter_say_hello_reply(
	struct fts_call *call, const Acme__Greeter__V1__HelloResponse *response)
{
	fts_call_reply(call, (const ProtobufCMessage *)response);
}

void acme_greeter_v1_http_greeter_remember_person_reply(
	struct fts_call *call, const Acme__Greeter__V1__HelloResponse__Receipt *response)
{
	fts_call_reply(call, (const ProtobufCMessage *)response);
}

void acme_greeter_v1_http_greeter_compose_url2_reply(
	struct fts_call *call, const Acme__Greeter__V1__HelloResponse *response)
{
	fts_call_reply(call, (const ProtobufCMessage *)response);
}

enum fts_status acme_greeter_v1_http_greeter_say_hello(
	struct fts_channel *channel, const Acme__Greeter__V1__HelloRequest *request,
	const struct fts_call_options *options, Acme__Greeter__V1__HelloResponse **out_response,
	struct fts_error *out_error)
{
	ProtobufCMessage *response = NULL;
	enum fts_status status;

	status = fts_channel_call(
		channel, acme_greeter_v1_http_greeter_say_hello_method, (const ProtobufCMessage *)request, options,
		&response, out_error);
	if (status == FTS_OK)
		*out_response = (Acme__Greeter__V1__HelloResponse *)response;
	return status;
}

enum fts_status acme_greeter_v1_http_greeter_say_hello_start(
	struct fts_channel *channel, const Acme__Greeter__V1__HelloRequest *request,
	const struct fts_call_options *options, acme_greeter_v1_http_greeter_say_hello_done_fn done, void *ctx,
	struct fts_call_id *out_id)
{
	/* The two callback types differ in the type response points to, and in nothing else. */
	return fts_channel_start(
		channel, acme_greeter_v1_http_greeter_say_hello_method, (const ProtobufCMessage *)request, options,
		(fts_done_fn)done, ctx, out_id);
}

enum fts_status acme_greeter_v1_http_greeter_remember_person(
	struct fts_channel *channel, const Acme__Types__V1__Person *request, const struct fts_call_options *options,
	Acme__Greeter__V1__HelloResponse__Receipt **out_response, struct fts_error *out_error)
{
	ProtobufCMessage *response = NULL;
	enum fts_status status;

	status = fts_channel_call(
		channel, acme_greeter_v1_http_greeter_remember_person_method, (const ProtobufCMessage *)request,
		options, &response, out_error);
	if (status == FTS_OK)
		*out_response = (Acme__Greeter__V1__HelloResponse__Receipt *)response;
	return status;
}

enum fts_status acme_greeter_v1_http_greeter_remember_person_start(
	struct fts_channel *channel, const Acme__Types__V1__Person *request, const struct fts_call_options *options,
	acme_greeter_v1_http_greeter_remember_person_done_fn done, void *ctx, struct fts_call_id *out_id)
{
	/* The two callback types differ in the type response points to, and in nothing else. */
	return fts_channel_start(
		channel, acme_greeter_v1_http_greeter_remember_person_method, (const ProtobufCMessage *)request,
		options, (fts_done_fn)done, ctx, out_id);
}

enum fts_status acme_greeter_v1_http_greeter_compose_url2(
	struct fts_channel *channel, const Acme__Greeter__V1__HelloRequest *request,
	const struct fts_call_options *options, Acme__Greeter__V1__HelloResponse **out_response,
	struct fts_error *out_error)
{
	ProtobufCMessage *response = NULL;
	enum fts_status status;

	status = fts_channel_call(
		channel, acme_greeter_v1_http_greeter_compose_url2_method, (const ProtobufCMessage *)request, options,
		&response, out_error);
	if (status == FTS_OK)
		*out_response = (Acme__Greeter__V1__HelloResponse *)response;
	return status;
}

enum fts_status acme_greeter_v1_http_greeter_compose_url2_start(
	struct fts_channel *channel, const Acme__Greeter__V1__HelloRequest *request,
	const struct fts_call_options *options, acme_greeter_v1_http_greeter_compose_url2_done_fn done, void *ctx,
	struct fts_call_id *out_id)
{
	/* The two callback types differ in the type response points to, and in nothing else. */
	return fts_channel_start(
		channel, acme_greeter_v1_http_greeter_compose_url2_method, (const ProtobufCMessage *)request, options,
		(fts_done_fn)done, ctx, out_id);
}

/* ---- acme.greeter.v1.Admin ---- */

static void invoke_greeter_admin_count(
	const void *handlers, struct fts_call *call, const ProtobufCMessage *request, void *ctx)
{
	const struct greeter_admin_handlers *table = handlers;

	if (table->count == NULL)
		fts_call_fail(call, FTS_UNIMPLEMENTED, "%s is not served here", greeter_admin_count_method->full_name);
	else
		table->count(call, (const Acme__Greeter__V1__CountRequest *)request, ctx);
}

static const struct fts_method methods_greeter_admin[] = {
	{
		.name = "Count",
		.full_name = "acme.greeter.v1.Admin/Count",
		.id = 0xc004c8bfu,
		.request = &acme__greeter__v1__count_request__descriptor,
		.response = &acme__greeter__v1__count_response__descriptor,
		.invoke = invoke_greeter_admin_count,
		.timeout_ms = 5000,
		.longest_run_ms = 5000,
		.route = FTS_ROUTE_REPLICA,
		.mutates = false,
		.blocking = false,
		.role = "",
		.doc = "",
	},
};

const struct fts_service greeter_admin_service = {
	.name = "acme.greeter.v1.Admin",
	.doc = "A second service in the same file, with a prefix of its own.",
	.methods = methods_greeter_admin,
	.method_count = 1,
	.types = file_types,
	.type_count = 8,
};

const struct fts_method *const greeter_admin_count_method = &methods_greeter_admin[0];

enum fts_status greeter_admin_register(
	struct fts_server *server, const struct greeter_admin_handlers *handlers, void *ctx,
	struct fts_error *out_error)
{
	return fts_server_add(server, &greeter_admin_service, handlers, ctx, out_error);
}

void greeter_admin_count_reply(struct fts_call *call, const Acme__Greeter__V1__CountResponse *response)
{
	fts_call_reply(call, (const ProtobufCMessage *)response);
}

enum fts_status greeter_admin_count(
	struct fts_channel *channel, const Acme__Greeter__V1__CountRequest *request,
	const struct fts_call_options *options, Acme__Greeter__V1__CountResponse **out_response,
	struct fts_error *out_error)
{
	ProtobufCMessage *response = NULL;
	enum fts_status status;

	status = fts_channel_call(
		channel, greeter_admin_count_method, (const ProtobufCMessage *)request, options, &response, out_error);
	if (status == FTS_OK)
		*out_response = (Acme__Greeter__V1__CountResponse *)response;
	return status;
}

enum fts_status greeter_admin_count_start(
	struct fts_channel *channel, const Acme__Greeter__V1__CountRequest *request,
	const struct fts_call_options *options, greeter_admin_count_done_fn done, void *ctx, struct fts_call_id *out_id)
{
	/* The two callback types differ in the type response points to, and in nothing else. */
	return fts_channel_start(
		channel, greeter_admin_count_method, (const ProtobufCMessage *)request, options, (fts_done_fn)done, ctx,
		out_id);
}
