/* Why this file exists: the frame of the two generated files; see emit.h. */
#include "gen/emit.h"

#include <string.h>

#include "gen/names.h"

bool ftsi_file_has_calls_or_topics(const struct ftsi_file *file)
{
	for (size_t i = 0; i < file->message_count; i++)
		if (file->messages[i].topic != NULL) return true;
	return file->service_count > 0;
}

bool ftsi_file_has_messages(const struct ftsi_file *file)
{
	if (file->pb_c.no_generate) return false;
	for (size_t i = 0; i < file->enum_count; i++)
		if (*file->enums[i].c_enum == '\0') return true;
	return file->message_count > 0 || file->service_count > 0;
}

static void emit_head(struct ftsi_text *text, const struct ftsi_file *file)
{
	ftsi_text_add_comment(text, 0,
			      ftsi_arena_format(text->arena, "Made by protoc-gen-fts from %s: do not edit.%s%s",
						file->name, *file->doc == '\0' ? "" : "\n\n", file->doc));
}

static void emit_topic_declarations(struct ftsi_text *text, const struct ftsi_file *file)
{
	for (size_t i = 0; i < file->message_count; i++) {
		const struct ftsi_message *message = &file->messages[i];
		const char *doc = message->element.doc;

		if (message->topic == NULL) continue;
		ftsi_text_add(text, "\n");
		ftsi_text_add_comment(text, 0,
				      ftsi_arena_format(text->arena,
							"%s%sThe payload of events under the topic \"%s\" is a %s. "
							"Static, read-only.",
							doc, *doc == '\0' ? "" : "\n", message->topic,
							message->pb_c_type));
		ftsi_text_add(text, "FTS_API extern const struct fts_topic %s_topic;\n", message->snake);
	}
}

static void emit_topics(struct ftsi_text *text, const struct ftsi_file *file)
{
	for (size_t i = 0; i < file->message_count; i++) {
		const struct ftsi_message *message = &file->messages[i];

		if (message->topic == NULL) continue;
		ftsi_text_add(text, "\nconst struct fts_topic %s_topic = {\n\t.name = \"%s\",\n", message->snake,
			      message->topic);
		ftsi_text_add(text, "\t.message = &%s__descriptor,\n\t.doc = ", message->pb_c_prefix);
		ftsi_text_add_literal(text, 2, FTSI_TAB_COLUMNS + strlen(".doc = "), message->element.doc);
		ftsi_text_add(text, ",\n};\n");
	}
}

static void emit_includes(struct ftsi_text *text, const struct ftsi_file *file)
{
	bool rpc = ftsi_file_has_calls_or_topics(file), messages = ftsi_file_has_messages(file);

	ftsi_text_add(text, "#include <fts/%s.h>\n", rpc ? "rpc" : "api");
	if (messages) ftsi_text_add(text, "\n#include \"%s.pb-c.h\"\n", ftsi_name_stem(text->arena, file->name));
}

const char *ftsi_emit_header(struct ftsi_model *model, const struct ftsi_file *file)
{
	struct ftsi_text text = ftsi_text_init(model->arena);
	const char *guard = ftsi_name_guard(model->arena, file->name);

	emit_head(&text, file);
	ftsi_text_add(&text, "#ifndef %s\n#define %s\n\n", guard, guard);
	emit_includes(&text, file);
	size_t head_bytes = text.size_bytes;
	ftsi_text_add(&text, "\nFTS_BEGIN_DECLS\n");
	size_t empty_bytes = text.size_bytes;
	for (size_t i = 0; i < file->enum_count; i++)
		if (*file->enums[i].c_enum != '\0') ftsi_emit_enum_declarations(&text, &file->enums[i]);
	emit_topic_declarations(&text, file);
	for (size_t i = 0; i < file->service_count; i++) {
		ftsi_emit_client_declarations(&text, &file->services[i]);
		ftsi_emit_server_declarations(&text, &file->services[i]);
	}
	if (text.size_bytes == empty_bytes)
		text.size_bytes = head_bytes; /* nothing was declared: no empty pair of brackets */
	else
		ftsi_text_add(&text, "\nFTS_END_DECLS\n");
	ftsi_text_add(&text, "\n#endif\n");
	return text.data;
}

static void emit_service(struct ftsi_text *text, const struct ftsi_service *service, size_t type_count)
{
	ftsi_text_add(text, "\n/* ---- %s ---- */\n", service->element.full_name);
	ftsi_emit_server_functions(text, service, type_count);
	for (size_t i = 0; i < service->method_count; i++)
		ftsi_emit_client_functions(text, &service->methods[i]);
}

const char *ftsi_emit_source(struct ftsi_model *model, const struct ftsi_file *file)
{
	struct ftsi_text text = ftsi_text_init(model->arena);
	size_t type_count = 0;

	ftsi_text_add_comment(
	    &text, 0, ftsi_arena_format(model->arena, "Made by protoc-gen-fts from %s: do not edit.", file->name));
	ftsi_text_add(&text, "#include \"%s.fts.h\"\n", ftsi_name_stem(model->arena, file->name));
	for (size_t i = 0; i < file->enum_count; i++)
		if (*file->enums[i].c_enum != '\0') ftsi_emit_enum_functions(&text, &file->enums[i]);
	/* Services point to the table of types; a file without any has no use for it. */
	if (file->service_count > 0) type_count = ftsi_emit_type_docs(&text, model, file);
	emit_topics(&text, file);
	for (size_t i = 0; i < file->service_count; i++)
		emit_service(&text, &file->services[i], type_count);
	return text.data;
}
