/* Why this file exists: plain C enums with a table of names (option c_enum), for lists such as fts_status that stand
 * below everything else and must not need protobuf-c.
 * Unknown numbers come from newer peers: they become the value named UNKNOWN, which the checks demand. */
#include <string.h>

#include "gen/emit.h"

static const char *stripped(const struct ftsi_enum *e, const struct ftsi_value *value)
{
	size_t n = strlen(e->c_name_strip);

	return strncmp(value->element.name, e->c_name_strip, n) == 0 ? value->element.name + n : value->element.name;
}

static const struct ftsi_value *unknown_value(const struct ftsi_enum *e)
{
	for (size_t i = 0; i < e->value_count; i++)
		if (strcmp(stripped(e, &e->values[i]), "UNKNOWN") == 0) return &e->values[i];
	return &e->values[0];
}

/* Is an earlier value of the same number there (allow_alias)? */
static bool is_alias(const struct ftsi_enum *e, size_t place)
{
	for (size_t i = 0; i < place; i++)
		if (e->values[i].number == e->values[place].number) return true;
	return false;
}

/* The last value that is no alias: its name stands for how names look. */
static const struct ftsi_value *example_value(const struct ftsi_enum *e)
{
	size_t place = e->value_count - 1;

	while (place > 0 && is_alias(e, place))
		place--;
	return &e->values[place];
}

static char *value_line(struct ftsi_text *text, const struct ftsi_enum *e, size_t place)
{
	return ftsi_arena_format(text->arena, "%s%s = %d%s", e->c_value_prefix, e->values[place].element.name,
				 e->values[place].number, place + 1 < e->value_count ? "," : "");
}

/* Do all docs fit behind their values, one line each? Then *out_columns is the width of the widest value that has one.
 */
static bool docs_fit_behind(struct ftsi_text *text, const struct ftsi_enum *e, size_t *out_columns)
{
	size_t columns = 0, doc_columns = 0;

	for (size_t i = 0; i < e->value_count; i++) {
		const char *doc = e->values[i].element.doc;
		size_t n = strlen(value_line(text, e, i));

		if (strchr(doc, '\n') != NULL) return false;
		columns = *doc != '\0' && n > columns ? n : columns;
		doc_columns = strlen(doc) > doc_columns ? strlen(doc) : doc_columns;
	}
	*out_columns = columns;
	return FTSI_TAB_COLUMNS + columns + strlen(" /*  */") + doc_columns <= FTSI_COLUMNS;
}

static void emit_values(struct ftsi_text *text, const struct ftsi_enum *e)
{
	size_t columns = 0;
	bool behind = docs_fit_behind(text, e, &columns);

	for (size_t i = 0; i < e->value_count; i++) {
		const char *doc = e->values[i].element.doc;

		if (!behind) ftsi_text_add_comment(text, 1, doc);
		ftsi_text_add(text, "\t%s", value_line(text, e, i));
		if (behind && *doc != '\0') {
			ftsi_text_add(text, "%*s", (int)(columns - strlen(value_line(text, e, i)) + 1), "");
			ftsi_text_add_comment(text, 0, doc);
		} else {
			ftsi_text_add(text, "\n");
		}
	}
}

void ftsi_emit_enum_declarations(struct ftsi_text *text, const struct ftsi_enum *e)
{
	const struct ftsi_value *unknown = unknown_value(e), *last = example_value(e);
	const char *name_doc, *from_wire_doc;

	ftsi_text_add(text, "\n");
	ftsi_text_add_comment(text, 0, e->element.doc);
	ftsi_text_add(text, "enum %s {\n", e->c_enum);
	emit_values(text, e);
	name_doc =
	    ftsi_arena_format(text->arena,
			      "The name of value, \"%s\" for %s%s; \"UNKNOWN\" for a number that is none of them. "
			      "Static. Thread: any. Never fails.",
			      stripped(e, last), e->c_value_prefix, last->element.name);
	from_wire_doc = ftsi_arena_format(text->arena,
					  "The value of a number that came from elsewhere; %s%s for one this version "
					  "does not know. Thread: any. Never fails.",
					  e->c_value_prefix, unknown->element.name);
	ftsi_text_add(text, "};\n\n");
	ftsi_text_add_comment(text, 0, name_doc);
	ftsi_text_add(text, "FTS_API const char *%s_name(enum %s value);\n\n", e->c_enum, e->c_enum);
	ftsi_text_add_comment(text, 0, from_wire_doc);
	ftsi_text_add(text, "FTS_API enum %s %s_from_wire(int32_t number);\n", e->c_enum, e->c_enum);
}

void ftsi_emit_enum_functions(struct ftsi_text *text, const struct ftsi_enum *e)
{
	const struct ftsi_value *unknown = unknown_value(e);

	ftsi_text_add(text, "\nconst char *%s_name(enum %s value)\n{\n\tswitch (value) {\n", e->c_enum, e->c_enum);
	for (size_t i = 0; i < e->value_count; i++)
		if (!is_alias(e, i))
			ftsi_text_add(text, "\tcase %s%s:\n\t\treturn \"%s\";\n", e->c_value_prefix,
				      e->values[i].element.name, stripped(e, &e->values[i]));
	ftsi_text_add(text, "\t}\n\treturn \"UNKNOWN\";\n}\n");

	ftsi_text_add(text, "\nenum %s %s_from_wire(int32_t number)\n{\n\tswitch (number) {\n", e->c_enum, e->c_enum);
	for (size_t i = 0; i < e->value_count; i++)
		if (!is_alias(e, i))
			ftsi_text_add(text, "\tcase %s%s:\n", e->c_value_prefix, e->values[i].element.name);
	ftsi_text_add(text, "\t\treturn (enum %s)number;\n\tdefault:\n\t\treturn %s%s;\n\t}\n}\n", e->c_enum,
		      e->c_value_prefix, unknown->element.name);
}
