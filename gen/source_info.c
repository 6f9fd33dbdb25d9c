/* Why this file exists: see source_info.h. A file's locations are sorted by path once and then found by bisection:
 * large files have tens of thousands. */
#include "gen/source_info.h"

#include <stdlib.h>
#include <string.h>

#include "gen/text.h"

typedef Google__Protobuf__SourceCodeInfo__Location Location;

#define FILE_PACKAGE_FIELD 2
#define FILE_SYNTAX_FIELD 12

static int compare_steps(const int32_t *a, size_t a_count, const int32_t *b, size_t b_count)
{
	for (size_t i = 0; i < a_count && i < b_count; i++)
		if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
	return a_count == b_count ? 0 : a_count < b_count ? -1 : 1;
}

static int compare_locations(const void *left, const void *right)
{
	const Location *a = *(const Location *const *)left, *b = *(const Location *const *)right;

	return compare_steps(a->path, a->n_path, b->path, b->n_path);
}

static int compare_path(const void *key, const void *element)
{
	const struct ftsi_path *path = key;
	const Location *location = *(const Location *const *)element;

	return compare_steps(path->steps, path->step_count, location->path, location->n_path);
}

void ftsi_source_info_index(struct ftsi_arena *arena, struct ftsi_file *file)
{
	const Google__Protobuf__SourceCodeInfo *info = file->descriptor->source_code_info;

	file->location_count = info == NULL ? 0 : info->n_location;
	file->locations = ftsi_arena_alloc(arena, file->location_count + 1, sizeof(const Location *));
	for (size_t i = 0; i < file->location_count; i++)
		file->locations[i] = info->location[i];
	if (file->location_count > 1)
		qsort(file->locations, file->location_count, sizeof(const Location *), compare_locations);
}

struct ftsi_path ftsi_path_child(struct ftsi_arena *arena, struct ftsi_path parent, int32_t field, int32_t index)
{
	int32_t *steps = ftsi_arena_alloc(arena, parent.step_count + 2, sizeof(*steps));

	if (parent.step_count > 0) memcpy(steps, parent.steps, parent.step_count * sizeof(*steps));
	steps[parent.step_count] = field;
	steps[parent.step_count + 1] = index;
	return (struct ftsi_path){steps, parent.step_count + 2};
}

static const Location *find(const struct ftsi_file *file, struct ftsi_path path)
{
	const Location *const *found = NULL;

	if (file->location_count > 0)
		found = (const Location *const *)bsearch(&path, file->locations, file->location_count,
							 sizeof(const Location *), compare_path);
	return found == NULL ? NULL : *found;
}

/* Append a comment as protoc gives it, without the space that follows "//" and without empty lines at its ends. */
static void add_comment(struct ftsi_text *text, const char *comment)
{
	size_t empty_lines = 0;

	while (*comment != '\0') {
		size_t size_bytes = strcspn(comment, "\n");
		size_t skip = comment[0] == ' ' ? 1 : 0, used = size_bytes;

		while (used > skip && strchr(" \t\r", comment[used - 1]) != NULL)
			used--;
		if (used > skip) {
			for (; empty_lines > 0 && text->size_bytes > 0; empty_lines--)
				ftsi_text_add(text, "\n");
			ftsi_text_add(text, "%s%.*s", text->size_bytes > 0 ? "\n" : "", (int)(used - skip),
				      comment + skip);
			empty_lines = 0;
		} else {
			empty_lines += text->size_bytes > 0;
		}
		comment += size_bytes;
		comment += *comment == '\n';
	}
}

static const char *text_string(const struct ftsi_text *text)
{
	return text->data == NULL ? "" : text->data;
}

const char *ftsi_source_info_doc(struct ftsi_arena *arena, const struct ftsi_file *file, struct ftsi_path path)
{
	const Location *location = find(file, path);
	struct ftsi_text text = ftsi_text_init(arena);

	if (location != NULL && location->leading_comments != NULL) add_comment(&text, location->leading_comments);
	if (location != NULL && location->trailing_comments != NULL) add_comment(&text, location->trailing_comments);
	return text_string(&text);
}

const char *ftsi_source_info_file_doc(struct ftsi_arena *arena, const struct ftsi_file *file)
{
	static const int32_t fields[] = {FILE_SYNTAX_FIELD, FILE_PACKAGE_FIELD};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const Location *location = find(file, (struct ftsi_path){&fields[i], 1});
		struct ftsi_text text = ftsi_text_init(arena);

		if (location != NULL && location->leading_comments != NULL)
			add_comment(&text, location->leading_comments);
		else if (location != NULL && location->n_leading_detached_comments > 0)
			add_comment(&text, location->leading_detached_comments[0]);
		if (text.size_bytes > 0) return text.data;
	}
	return "";
}

bool ftsi_source_info_place(const struct ftsi_file *file, struct ftsi_path path, int *out_line, int *out_column)
{
	const Location *location = find(file, path);

	if (location == NULL || location->n_span < 3) return false;
	*out_line = location->span[0] + 1;
	*out_column = location->span[1] + 1;
	return true;
}
