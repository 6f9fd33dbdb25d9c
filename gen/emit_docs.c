/* Why this file exists: what the .proto's comments say of messages, enums and their members, as a table: a server
 * tells it to whoever asks, so that `describe` needs no .proto. protobuf-c's descriptors keep no comments. */
#include <string.h>

#include "gen/emit.h"

struct walk {
	struct ftsi_text *text;
	const struct ftsi_file *file;
	struct ftsi_text rows; /* of file_types, written while the arrays it points to are */
	size_t row_count;
};

static void emit_doc_row(struct ftsi_text *text, const char *field, const char *doc)
{
	if (*doc == '\0') return;
	ftsi_text_add(text, "\t{\"%s\", ", field);
	ftsi_text_add_literal(text, 2, FTSI_TAB_COLUMNS + strlen("{\"\", ") + strlen(field), doc);
	ftsi_text_add(text, "},\n");
}

static void add_row(struct walk *walk, const char *member, const char *pb_c_prefix, const char *topic, const char *docs)
{
	ftsi_text_add(&walk->rows, "\t{.%s = &%s__descriptor, .topic = \"%s\"", member, pb_c_prefix, topic);
	if (docs != NULL)
		ftsi_text_add(&walk->rows, ",\n\t .fields = %s, .field_count = sizeof(%s) / sizeof(%s[0])", docs, docs,
			      docs);
	ftsi_text_add(&walk->rows, "},\n");
	walk->row_count++;
}

static void walk_message(struct walk *walk, const struct ftsi_message *message)
{
	struct ftsi_text rows = ftsi_text_init(walk->text->arena);
	const char *docs = ftsi_arena_format(walk->text->arena, "docs_%s", message->pb_c_prefix);

	if (message->is_map_entry) return;
	emit_doc_row(&rows, "", message->element.doc);
	for (size_t i = 0; i < message->field_count; i++)
		emit_doc_row(&rows, message->fields[i].element.name, message->fields[i].element.doc);
	if (rows.size_bytes > 0)
		ftsi_text_add(walk->text, "\nstatic const struct fts_field_doc %s[] = {\n%s};\n", docs, rows.data);
	if (rows.size_bytes > 0 || message->topic != NULL)
		add_row(walk, "message", message->pb_c_prefix, message->topic == NULL ? "" : message->topic,
			rows.size_bytes > 0 ? docs : NULL);
}

static void walk_enum(struct walk *walk, const struct ftsi_enum *e)
{
	struct ftsi_text rows = ftsi_text_init(walk->text->arena);
	const char *docs = ftsi_arena_format(walk->text->arena, "docs_%s", e->pb_c_prefix);

	emit_doc_row(&rows, "", e->element.doc);
	for (size_t i = 0; i < e->value_count; i++)
		emit_doc_row(&rows, e->values[i].element.name, e->values[i].element.doc);
	if (rows.size_bytes == 0) return;
	ftsi_text_add(walk->text, "\nstatic const struct fts_field_doc %s[] = {\n%s};\n", docs, rows.data);
	add_row(walk, "enumeration", e->pb_c_prefix, "", docs);
}

size_t ftsi_emit_type_docs(struct ftsi_text *text, const struct ftsi_model *model, const struct ftsi_file *file)
{
	struct walk walk = {.text = text, .file = file, .rows = ftsi_text_init(text->arena)};

	(void)model;
	for (size_t i = 0; i < file->enum_count; i++)
		walk_enum(&walk, &file->enums[i]);
	for (size_t i = 0; i < file->message_count; i++)
		walk_message(&walk, &file->messages[i]);
	if (walk.row_count > 0)
		ftsi_text_add(text, "\nstatic const struct fts_type_doc file_types[] = {\n%s};\n", walk.rows.data);
	return walk.row_count;
}
