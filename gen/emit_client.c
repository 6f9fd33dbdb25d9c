/* Why this file exists: the calling half of a service: one blocking and one asynchronous function a method.
 * They only put types on fts_channel_call and fts_channel_start, where everything is decided. */
#include <string.h>

#include "gen/emit.h"

/* 60000 -> "60,000" */
static const char *with_commas(struct ftsi_arena *arena, uint32_t number)
{
	const char *digits = ftsi_arena_format(arena, "%u", number);
	size_t n = strlen(digits), out = 0;
	char *result = ftsi_arena_alloc(arena, 2 * n + 1, 1);

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0) result[out++] = ',';
		result[out++] = digits[i];
	}
	return result;
}

/* What the options say of a method, as sentences. */
static const char *policy(struct ftsi_arena *arena, const struct ftsi_method *method)
{
	static const char *const routes[FTSI_ROUTE_COUNT] = {
	    [FTSI_ROUTE_LEADER] = "Answered by the leader.",
	    [FTSI_ROUTE_REPLICA] = "Answered by any replica.",
	    [FTSI_ROUTE_ANY] = "Answered by whichever node is asked.",
	};
	const char *role = *method->role == '\0' ? "any" : ftsi_arena_format(arena, "\"%s\"", method->role);

	return ftsi_arena_format(arena, "%s %s Role: %s. Time limit: %s ms unless options name one.",
				 method->mutates ? "Changes state, once, however often it has to be sent."
						 : "Changes nothing.",
				 routes[method->route], role, with_commas(arena, method->timeout_ms));
}

static const char *doc_or_name(const struct ftsi_method *method)
{
	return *method->element.doc == '\0' ? method->element.full_name : method->element.doc;
}

/* How a caller frees a response: protoc-gen-c makes a function for top-level messages only. */
static const char *how_to_free(struct ftsi_arena *arena, const struct ftsi_message *message)
{
	if (message->is_nested) return "protobuf_c_message_free_unpacked(&response->base, NULL)";
	return ftsi_arena_format(arena, "%s__free_unpacked(response, NULL)", message->pb_c_prefix);
}

/* ---- Signatures: for the header with ";" as tail, for the source with none ---- */

static void emit_blocking_signature(struct ftsi_text *text, const struct ftsi_method *method, const char *attributes,
				    const char *tail)
{
	const char *items[] = {
	    "struct fts_channel *channel",
	    ftsi_arena_format(text->arena, "const %s *request", method->request->pb_c_type),
	    "const struct fts_call_options *options",
	    ftsi_arena_format(text->arena, "%s **out_response", method->response->pb_c_type),
	    "struct fts_error *out_error",
	};

	ftsi_text_add_list(text, 0, ftsi_arena_format(text->arena, "%senum fts_status %s(", attributes, method->c_name),
			   items, sizeof(items) / sizeof(items[0]), tail);
}

static void emit_start_signature(struct ftsi_text *text, const struct ftsi_method *method, const char *attributes,
				 const char *tail)
{
	const char *items[] = {
	    "struct fts_channel *channel",
	    ftsi_arena_format(text->arena, "const %s *request", method->request->pb_c_type),
	    "const struct fts_call_options *options",
	    ftsi_arena_format(text->arena, "%s_done_fn done", method->c_name),
	    "void *ctx",
	    "struct fts_call_id *out_id",
	};

	ftsi_text_add_list(text, 0,
			   ftsi_arena_format(text->arena, "%senum fts_status %s_start(", attributes, method->c_name),
			   items, sizeof(items) / sizeof(items[0]), tail);
}

static void emit_done_type(struct ftsi_text *text, const struct ftsi_method *method)
{
	const char *items[] = {
	    "void *ctx",
	    "enum fts_status status",
	    ftsi_arena_format(text->arena, "const %s *response", method->response->pb_c_type),
	    "const struct fts_error *error",
	};

	ftsi_text_add_list(text, 0, ftsi_arena_format(text->arena, "typedef void (*%s_done_fn)(", method->c_name),
			   items, sizeof(items) / sizeof(items[0]), ");");
}

/* ---- Header ---- */

static void emit_method_declarations(struct ftsi_text *text, const struct ftsi_method *method)
{
	ftsi_text_add(text, "\n");
	ftsi_text_add_comment(
	    text, 0,
	    ftsi_arena_format(text->arena,
			      "%s\n%s\n"
			      "channel, request, options: borrowed (options may be NULL). out_response: returned, "
			      "with FTS_OK only; free it with %s. out_error: borrowed, may be NULL.\n"
			      "Errors: what the server answers, and those of fts_channel_call. "
			      "Thread: any but a callback's.",
			      doc_or_name(method), policy(text->arena, method),
			      how_to_free(text->arena, method->response)));
	emit_blocking_signature(text, method, "FTS_API FTS_MUST_USE ", ");");

	ftsi_text_add(text, "\n");
	ftsi_text_add_comment(text, 0,
			      ftsi_arena_format(text->arena,
						"How %s_start ended. response: NULL unless status is FTS_OK; error: "
						"NULL if it is; both borrowed until the callback returns. Thread: one "
						"of the runtime's; do not block.",
						method->c_name));
	emit_done_type(text, method);

	ftsi_text_add(text, "\n");
	ftsi_text_add_comment(
	    text, 0,
	    ftsi_arena_format(text->arena,
			      "As %s, without waiting: done fires exactly once iff this returns FTS_OK, and never "
			      "inside it.\n"
			      "channel: borrowed until done has fired. request, options: borrowed (options may be "
			      "NULL). ctx: handed to done. out_id: borrowed, may be NULL; names the call for "
			      "fts_channel_cancel. Errors: those of fts_channel_start. Thread: any.",
			      method->c_name));
	emit_start_signature(text, method, "FTS_API FTS_MUST_USE ", ");");
}

void ftsi_emit_client_declarations(struct ftsi_text *text, const struct ftsi_service *service)
{
	const struct ftsi_element *element = &service->element;

	ftsi_text_add(text, "\n/* ---- %s ---- */\n\n", element->full_name);
	ftsi_text_add_comment(text, 0,
			      ftsi_arena_format(text->arena,
						"%s%sThe service as a table, and each of its methods, for functions "
						"that take any. Static, read-only.",
						element->doc, *element->doc == '\0' ? "" : "\n"));
	ftsi_text_add(text, "FTS_API extern const struct fts_service %s_service;\n", service->c_prefix);
	for (size_t i = 0; i < service->method_count; i++)
		ftsi_text_add(text, "FTS_API extern const struct fts_method *const %s_method;\n",
			      service->methods[i].c_name);
	for (size_t i = 0; i < service->method_count; i++)
		emit_method_declarations(text, &service->methods[i]);
}

/* ---- Source ---- */

static void emit_blocking(struct ftsi_text *text, const struct ftsi_method *method)
{
	const char *items[] = {
	    "channel",
	    ftsi_arena_format(text->arena, "%s_method", method->c_name),
	    "(const ProtobufCMessage *)request",
	    "options",
	    "&response",
	    "out_error",
	};

	ftsi_text_add(text, "\n");
	emit_blocking_signature(text, method, "", ")");
	ftsi_text_add(text, "{\n\tProtobufCMessage *response = NULL;\n\tenum fts_status status;\n\n");
	ftsi_text_add_list(text, 1, "status = fts_channel_call(", items, sizeof(items) / sizeof(items[0]), ");");
	ftsi_text_add(text, "\tif (status == FTS_OK)\n\t\t*out_response = (%s *)response;\n\treturn status;\n}\n",
		      method->response->pb_c_type);
}

static void emit_start(struct ftsi_text *text, const struct ftsi_method *method)
{
	const char *items[] = {
	    "channel",
	    ftsi_arena_format(text->arena, "%s_method", method->c_name),
	    "(const ProtobufCMessage *)request",
	    "options",
	    "(fts_done_fn)done",
	    "ctx",
	    "out_id",
	};

	ftsi_text_add(text, "\n");
	emit_start_signature(text, method, "", ")");
	ftsi_text_add(text,
		      "{\n\t/* The two callback types differ in the type response points to, and in nothing else. "
		      "*/\n");
	ftsi_text_add_list(text, 1, "return fts_channel_start(", items, sizeof(items) / sizeof(items[0]), ");");
	ftsi_text_add(text, "}\n");
}

void ftsi_emit_client_functions(struct ftsi_text *text, const struct ftsi_method *method)
{
	emit_blocking(text, method);
	emit_start(text, method);
}
