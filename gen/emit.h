/* Why this file exists: the two files made of one .proto, x.fts.h and x.fts.c. They are to read as if written by
 * hand: one style, docstrings of everything, nothing a reader must skip. */
#ifndef FTS_GEN_EMIT_H
#define FTS_GEN_EMIT_H

#include "gen/model.h"
#include "gen/text.h"

/* The text of x.fts.h or x.fts.c. model (its marks are used), file: borrowed, checked. Returned text: borrowed until
 * the arena is destroyed. */
const char *ftsi_emit_header(struct ftsi_model *model, const struct ftsi_file *file);
const char *ftsi_emit_source(struct ftsi_model *model, const struct ftsi_file *file);

/* Is anything made of this file beyond its enums with c_enum? Then its header stands on <fts/rpc.h> or protobuf-c;
 * otherwise on <fts/api.h> alone. */
bool ftsi_file_has_messages(const struct ftsi_file *file);
bool ftsi_file_has_calls_or_topics(const struct ftsi_file *file);

/* Parts of the header and of the source, appended to text. All arguments are borrowed. */
void ftsi_emit_enum_declarations(struct ftsi_text *text, const struct ftsi_enum *e);
void ftsi_emit_enum_functions(struct ftsi_text *text, const struct ftsi_enum *e);
void ftsi_emit_client_declarations(struct ftsi_text *text, const struct ftsi_service *service);
void ftsi_emit_server_declarations(struct ftsi_text *text, const struct ftsi_service *service);
void ftsi_emit_client_functions(struct ftsi_text *text, const struct ftsi_method *method);
void ftsi_emit_server_functions(struct ftsi_text *text, const struct ftsi_service *service, size_t type_count);

/* The table of types with their docs, `file_types`, for describe: those of the file, and those of other files its
 * services' messages are made of. Returns how many; 0: no table was written. */
size_t ftsi_emit_type_docs(struct ftsi_text *text, struct ftsi_model *model, const struct ftsi_file *file);

#endif
