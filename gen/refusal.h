/* Why this file exists: what the generator refuses, each with file, line and what to do instead. All of a request
 * are gathered and shown at once, as a compiler does. */
#ifndef FTS_GEN_REFUSAL_H
#define FTS_GEN_REFUSAL_H

#include "gen/model.h"
#include "gen/text.h"

#define FTSI_REFUSALS_SHOWN 20

struct ftsi_refusals {
	struct ftsi_text text; /* one refusal a line, without the last line end */
	size_t count;
};

/* Refuse element (borrowed). The place named is the element's own. */
void ftsi_refuse(struct ftsi_refusals *refusals, const struct ftsi_element *element, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Refuse an option of element (borrowed): the place named is the option's, if the file tells it. options_field: the
 * number of `options` in the element's descriptor. */
void ftsi_refuse_option(struct ftsi_refusals *refusals, const struct ftsi_element *element, int32_t options_field,
			enum ftsi_option option, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* "file:line" of element, for a refusal that names a second place. Borrowed until the arena is destroyed. */
const char *ftsi_place_name(struct ftsi_arena *arena, const struct ftsi_element *element);

#endif
