/* Why this file exists: comments and line numbers, which descriptors keep apart from what they belong to. */
#ifndef FTS_GEN_SOURCE_INFO_H
#define FTS_GEN_SOURCE_INFO_H

#include "gen/model.h"

/* Put the file's locations in the order of their paths. file: borrowed, its descriptor set. */
void ftsi_source_info_index(struct ftsi_arena *arena, struct ftsi_file *file);

/* path + two more steps: the child of that field number and index. */
struct ftsi_path ftsi_path_child(struct ftsi_arena *arena, struct ftsi_path parent, int32_t field, int32_t index);

/* The comments at path, before it and behind it on its line; "": none. Borrowed until the arena is destroyed. */
const char *ftsi_source_info_doc(struct ftsi_arena *arena, const struct ftsi_file *file, struct ftsi_path path);

/* The comment at the top of the file, apart from what follows or before its syntax or package line; "": none. */
const char *ftsi_source_info_file_doc(struct ftsi_arena *arena, const struct ftsi_file *file);

/* Line and column of path, from 1; false: the file doesn't tell (descriptors made without source info). */
bool ftsi_source_info_place(const struct ftsi_file *file, struct ftsi_path path, int *out_line, int *out_column);

#endif
