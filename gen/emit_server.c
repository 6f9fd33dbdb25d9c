/* Why this file exists: the serving half of a service: the typed table of handlers, its registration, typed replies,
 * and the tables the runtime reads. */
#include <string.h>

#include "gen/emit.h"

/* ---- Header ---- */

static void emit_handlers(struct ftsi_text *text, const struct ftsi_service *service)
{
	ftsi_text_add(text, "\n");
	ftsi_text_add_comment(
	    text, 0,
	    ftsi_arena_format(text->arena,
			      "What a server does for each method of %s; a NULL member answers FTS_UNIMPLEMENTED.\n"
			      "A handler answers its call exactly once, at once or later, from any thread: with the "
			      "method's _reply, or with fts_call_fail. call and request: borrowed until then. ctx: "
			      "what %s_register was given. Thread: the one that read the call, which must not be "
			      "blocked, or a worker where it says so.",
			      service->element.full_name, service->c_prefix));
	ftsi_text_add(text, "struct %s_handlers {\n", service->c_prefix);
	for (size_t i = 0; i < service->method_count; i++) {
		const struct ftsi_method *method = &service->methods[i];
		const char *doc = method->element.doc;

		ftsi_text_add_comment(
		    text, 1,
		    ftsi_arena_format(text->arena, "%s%s%s", doc, *doc != '\0' && method->blocking ? "\n" : "",
				      method->blocking ? "Runs in a worker: it may wait and compute." : ""));
		const char *items[] = {
		    "struct fts_call *call",
		    ftsi_arena_format(text->arena, "const %s *request", method->request->pb_c_type),
		    "void *ctx",
		};
		ftsi_text_add_list(text, 1, ftsi_arena_format(text->arena, "void (*%s)(", method->snake), items, 3,
				   ");");
	}
	ftsi_text_add(text, "};\n");
}

static void emit_register_signature(struct ftsi_text *text, const struct ftsi_service *service, const char *attributes,
				    const char *tail)
{
	const char *items[] = {
	    "struct fts_server *server",
	    ftsi_arena_format(text->arena, "const struct %s_handlers *handlers", service->c_prefix),
	    "void *ctx",
	    "struct fts_error *out_error",
	};

	ftsi_text_add_list(
	    text, 0, ftsi_arena_format(text->arena, "%senum fts_status %s_register(", attributes, service->c_prefix),
	    items, sizeof(items) / sizeof(items[0]), tail);
}

static void emit_reply_signature(struct ftsi_text *text, const struct ftsi_method *method, const char *attributes,
				 const char *tail)
{
	const char *items[] = {
	    "struct fts_call *call",
	    ftsi_arena_format(text->arena, "const %s *response", method->response->pb_c_type),
	};

	ftsi_text_add_list(text, 0, ftsi_arena_format(text->arena, "%svoid %s_reply(", attributes, method->c_name),
			   items, sizeof(items) / sizeof(items[0]), tail);
}

void ftsi_emit_server_declarations(struct ftsi_text *text, const struct ftsi_service *service)
{
	emit_handlers(text, service);
	ftsi_text_add(text, "\n");
	ftsi_text_add_comment(text, 0,
			      ftsi_arena_format(text->arena,
						"Offer %s at server (borrowed), before it is started. handlers: "
						"borrowed until the server is destroyed. ctx: handed to every handler. "
						"out_error: borrowed, may be NULL.\n"
						"Errors: those of fts_server_add. Thread: the one that made the "
						"server.",
						service->element.full_name));
	emit_register_signature(text, service, "FTS_API FTS_MUST_USE ", ");");
	for (size_t i = 0; i < service->method_count; i++) {
		ftsi_text_add(text, "\n");
		ftsi_text_add_comment(text, 0,
				      ftsi_arena_format(text->arena,
							"Answer a call of %s: packs response (borrowed); call (owned) "
							"and its request are gone when it returns. Thread: any.",
							service->methods[i].element.full_name));
		emit_reply_signature(text, &service->methods[i], "FTS_API ", ");");
	}
}

/* ---- Source ---- */

static void emit_invoke(struct ftsi_text *text, const struct ftsi_service *service, const struct ftsi_method *method)
{
	static const char *const items[] = {
	    "const void *handlers",
	    "struct fts_call *call",
	    "const ProtobufCMessage *request",
	    "void *ctx",
	};

	const char *unserved[] = {
	    "call",
	    "FTS_UNIMPLEMENTED",
	    "\"%s is not served here\"",
	    ftsi_arena_format(text->arena, "%s_method->full_name", method->c_name),
	};

	ftsi_text_add(text, "\n");
	ftsi_text_add_list(text, 0, ftsi_arena_format(text->arena, "static void invoke_%s(", method->c_name), items,
			   sizeof(items) / sizeof(items[0]), ")");
	ftsi_text_add(text, "{\n\tconst struct %s_handlers *table = handlers;\n\n\tif (table->%s == NULL)\n",
		      service->c_prefix, method->snake);
	ftsi_text_add_list(text, 2, "fts_call_fail(", unserved, sizeof(unserved) / sizeof(unserved[0]), ");");
	ftsi_text_add(text, "\telse\n\t\ttable->%s(call, (const %s *)request, ctx);\n}\n", method->snake,
		      method->request->pb_c_type);
}

static void emit_string_member(struct ftsi_text *text, unsigned indent, const char *member, const char *value)
{
	for (unsigned i = 0; i < indent; i++)
		ftsi_text_add(text, "\t");
	ftsi_text_add(text, ".%s = ", member);
	ftsi_text_add_literal(text, indent + 1, indent * FTSI_TAB_COLUMNS + strlen(member) + 4, value);
	ftsi_text_add(text, ",\n");
}

static void emit_method_row(struct ftsi_text *text, const struct ftsi_method *method)
{
	static const char *const routes[FTSI_ROUTE_COUNT] = {
	    [FTSI_ROUTE_LEADER] = "FTS_ROUTE_LEADER",
	    [FTSI_ROUTE_REPLICA] = "FTS_ROUTE_REPLICA",
	    [FTSI_ROUTE_ANY] = "FTS_ROUTE_ANY",
	};

	ftsi_text_add(text, "\t{\n");
	emit_string_member(text, 2, "name", method->element.name);
	emit_string_member(text, 2, "full_name", method->element.full_name);
	ftsi_text_add(text, "\t\t.id = 0x%08xu,\n", method->id);
	ftsi_text_add(text, "\t\t.request = &%s__descriptor,\n", method->request->pb_c_prefix);
	ftsi_text_add(text, "\t\t.response = &%s__descriptor,\n", method->response->pb_c_prefix);
	ftsi_text_add(text, "\t\t.invoke = invoke_%s,\n", method->c_name);
	ftsi_text_add(text, "\t\t.timeout_ms = %u,\n\t\t.longest_run_ms = %u,\n", method->timeout_ms,
		      method->longest_run_ms);
	ftsi_text_add(text, "\t\t.route = %s,\n\t\t.mutates = %s,\n\t\t.blocking = %s,\n", routes[method->route],
		      method->mutates ? "true" : "false", method->blocking ? "true" : "false");
	if (method->no_side_effects) ftsi_text_add(text, "\t\t.no_side_effects = true,\n");
	emit_string_member(text, 2, "role", method->role);
	emit_string_member(text, 2, "doc", method->element.doc);
	ftsi_text_add(text, "\t},\n");
}

static void emit_method_pointer(struct ftsi_text *text, const struct ftsi_service *service, size_t place)
{
	const char *left = ftsi_arena_format(
	    text->arena, "const struct fts_method *const %s_method =", service->methods[place].c_name);
	const char *right = ftsi_arena_format(text->arena, "&methods_%s[%zu];", service->c_prefix, place);
	bool fits = strlen(left) + 1 + strlen(right) <= FTSI_COLUMNS;

	ftsi_text_add(text, "%s%s%s\n", left, fits ? " " : "\n\t", right);
}

static void emit_tables(struct ftsi_text *text, const struct ftsi_service *service, size_t type_count)
{
	const char *prefix = service->c_prefix;

	ftsi_text_add(text, "\nstatic const struct fts_method methods_%s[] = {\n", prefix);
	for (size_t i = 0; i < service->method_count; i++)
		emit_method_row(text, &service->methods[i]);
	ftsi_text_add(text, "};\n\nconst struct fts_service %s_service = {\n", prefix);
	emit_string_member(text, 1, "name", service->element.full_name);
	emit_string_member(text, 1, "doc", service->element.doc);
	ftsi_text_add(text, "\t.methods = methods_%s,\n\t.method_count = %zu,\n", prefix, service->method_count);
	ftsi_text_add(text, "\t.types = %s,\n\t.type_count = %zu,\n};\n\n", type_count > 0 ? "file_types" : "NULL",
		      type_count);
	for (size_t i = 0; i < service->method_count; i++)
		emit_method_pointer(text, service, i);
}

void ftsi_emit_server_functions(struct ftsi_text *text, const struct ftsi_service *service, size_t type_count)
{
	for (size_t i = 0; i < service->method_count; i++)
		emit_invoke(text, service, &service->methods[i]);
	emit_tables(text, service, type_count);
	ftsi_text_add(text, "\n");
	emit_register_signature(text, service, "", ")");
	ftsi_text_add(text, "{\n\treturn fts_server_add(server, &%s_service, handlers, ctx, out_error);\n}\n",
		      service->c_prefix);
	for (size_t i = 0; i < service->method_count; i++) {
		ftsi_text_add(text, "\n");
		emit_reply_signature(text, &service->methods[i], "", ")");
		ftsi_text_add(text, "{\n\tfts_call_reply(call, (const ProtobufCMessage *)response);\n}\n");
	}
}
