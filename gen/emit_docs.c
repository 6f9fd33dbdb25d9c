/* Why this file exists: what the .proto's comments say of messages, enums and their members, as a table: a server
 * tells it to whoever asks, so that `describe` needs no .proto. protobuf-c's descriptors keep no comments. */
#include <string.h>

#include "gen/emit.h"

struct walk {
	struct ftsi_text *text;
	struct ftsi_text rows; /* of file_types, written while the arrays it points to are */
	size_t row_count;
};

/* Returns how many rows it wrote: 0 when there is no doc. */
static size_t emit_doc_row(struct ftsi_text *text, const char *field, const char *doc)
{
	if (*doc == '\0') return 0;
	ftsi_text_add(text, "\t{\"%s\", ", field);
	ftsi_text_add_literal(text, 2, FTSI_TAB_COLUMNS + strlen("{\"\", ") + strlen(field), doc);
	ftsi_text_add(text, "},\n");
	return 1;
}

/* docs: doc_count rows, as text; they become an array in front of file_types, to which its row points. */
static void add_row(struct walk *walk, const char *member, const char *pb_c_prefix, const char *topic,
		    const struct ftsi_text *docs, size_t doc_count)
{
	if (doc_count > 0)
		ftsi_text_add(walk->text, "\nstatic const struct fts_field_doc docs_%s[] = {\n%s};\n", pb_c_prefix,
			      docs->data);
	ftsi_text_add(&walk->rows, "\t{\n\t\t.%s = &%s__descriptor,\n\t\t.topic = \"%s\",\n", member, pb_c_prefix,
		      topic);
	if (doc_count > 0)
		ftsi_text_add(&walk->rows, "\t\t.fields = docs_%s,\n\t\t.field_count = %zu,\n", pb_c_prefix, doc_count);
	ftsi_text_add(&walk->rows, "\t},\n");
	walk->row_count++;
}

static void walk_message(struct walk *walk, const struct ftsi_message *message)
{
	struct ftsi_text docs = ftsi_text_init(walk->text->arena);
	size_t doc_count = emit_doc_row(&docs, "", message->element.doc);

	if (message->is_map_entry) return;
	for (size_t i = 0; i < message->field_count; i++)
		doc_count += emit_doc_row(&docs, message->fields[i].element.name, message->fields[i].element.doc);
	if (doc_count > 0 || message->topic != NULL)
		add_row(walk, "message", message->pb_c_prefix, message->topic == NULL ? "" : message->topic, &docs,
			doc_count);
}

static void walk_enum(struct walk *walk, const struct ftsi_enum *e)
{
	struct ftsi_text docs = ftsi_text_init(walk->text->arena);
	size_t doc_count = emit_doc_row(&docs, "", e->element.doc);

	for (size_t i = 0; i < e->value_count; i++)
		doc_count += emit_doc_row(&docs, e->values[i].element.name, e->values[i].element.doc);
	if (doc_count > 0) add_row(walk, "enumeration", e->pb_c_prefix, "", &docs, doc_count);
}

/* ---- Types of other files ---- */

static void clear_marks(struct ftsi_model *model)
{
	for (size_t i = 0; i < model->file_count; i++) {
		for (size_t k = 0; k < model->files[i].message_count; k++)
			model->files[i].messages[k].mark = FTSI_UNSEEN;
		for (size_t k = 0; k < model->files[i].enum_count; k++)
			model->files[i].enums[k].mark = FTSI_UNSEEN;
	}
}

/* Mark message and what it is made of. Ends, since the checks found no message that contains itself. */
static void mark_needed(struct ftsi_message *message)
{
	if (message->mark != FTSI_UNSEEN) return;
	message->mark = FTSI_LEFT;
	for (size_t i = 0; i < message->field_count; i++) {
		if (message->fields[i].enumeration != NULL) message->fields[i].enumeration->mark = FTSI_LEFT;
		if (message->fields[i].message != NULL) mark_needed(message->fields[i].message);
	}
}

/* A file's own types, or those of another one that are marked. */
static void walk_file(struct walk *walk, const struct ftsi_file *file, bool own)
{
	for (size_t i = 0; i < file->enum_count; i++)
		if (own || file->enums[i].mark == FTSI_LEFT) walk_enum(walk, &file->enums[i]);
	for (size_t i = 0; i < file->message_count; i++)
		if (own || file->messages[i].mark == FTSI_LEFT) walk_message(walk, &file->messages[i]);
}

size_t ftsi_emit_type_docs(struct ftsi_text *text, struct ftsi_model *model, const struct ftsi_file *file)
{
	struct walk walk = {.text = text, .rows = ftsi_text_init(text->arena)};

	clear_marks(model);
	for (size_t i = 0; i < file->service_count; i++)
		for (size_t k = 0; k < file->services[i].method_count; k++) {
			mark_needed(file->services[i].methods[k].request);
			mark_needed(file->services[i].methods[k].response);
		}
	walk_file(&walk, file, true);
	for (size_t i = 0; i < model->file_count; i++)
		if (&model->files[i] != file) walk_file(&walk, &model->files[i], false);
	if (walk.row_count > 0)
		ftsi_text_add(text, "\nstatic const struct fts_type_doc file_types[] = {\n%s};\n", walk.rows.data);
	return walk.row_count;
}
