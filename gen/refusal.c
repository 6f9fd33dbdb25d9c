/* Why this file exists: see refusal.h. Written as "file:line:column: text", the form protoc itself uses and editors
 * know how to jump to. */
#include "gen/refusal.h"

#include "gen/source_info.h"

static void add(struct ftsi_refusals *refusals, const struct ftsi_file *file, struct ftsi_path place, const char *what)
{
	int line, column;

	refusals->count++;
	if (refusals->count > FTSI_REFUSALS_SHOWN + 1) return;
	if (refusals->count > 1) ftsi_text_add(&refusals->text, "\n");
	if (refusals->count == FTSI_REFUSALS_SHOWN + 1)
		ftsi_text_add(&refusals->text, "more than %d refusals: the rest is not shown", FTSI_REFUSALS_SHOWN);
	else if (ftsi_source_info_place(file, place, &line, &column))
		ftsi_text_add(&refusals->text, "%s:%d:%d: %s", file->name, line, column, what);
	else
		ftsi_text_add(&refusals->text, "%s: %s", file->name, what);
}

void ftsi_refuse(struct ftsi_refusals *refusals, const struct ftsi_element *element, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(refusals, element->file, element->path, ftsi_arena_vformat(refusals->text.arena, format, args));
	va_end(args);
}

void ftsi_refuse_option(struct ftsi_refusals *refusals, const struct ftsi_element *element, int32_t options_field,
			enum ftsi_option option, const char *format, ...)
{
	struct ftsi_path place = ftsi_path_child(refusals->text.arena, element->path, options_field, (int32_t)option);
	int line, column;
	va_list args;

	if (!ftsi_source_info_place(element->file, place, &line, &column)) place = element->path;
	va_start(args, format);
	add(refusals, element->file, place, ftsi_arena_vformat(refusals->text.arena, format, args));
	va_end(args);
}

const char *ftsi_place_name(struct ftsi_arena *arena, const struct ftsi_element *element)
{
	int line, column;

	if (!ftsi_source_info_place(element->file, element->path, &line, &column)) return element->file->name;
	return ftsi_arena_format(arena, "%s:%d", element->file->name, line);
}
