/* Made by protoc-gen-fts from level.proto: do not edit.
 *
 * Enums only: the header stands on <fts/api.h> alone. */
#ifndef LEVEL_FTS_H
#define LEVEL_FTS_H

#include <fts/api.h>

FTS_BEGIN_DECLS

/* How loud. */
enum acme_level {
	ACME_LEVEL_UNKNOWN = 0,
	ACME_LEVEL_QUIET = -1, /* hardly to be heard */
	ACME_LEVEL_LOUD = 7,   /* to be heard in the next room */
	ACME_LEVEL_NOISY = 7   /* the same */
};

/* The name of value, "LOUD" for ACME_LEVEL_LOUD; "UNKNOWN" for a number that is none of them. Static. Thread: any.
 * Never fails. */
FTS_API const char *acme_level_name(enum acme_level value);

/* The value of a number that came from elsewhere; ACME_LEVEL_UNKNOWN for one this version does not know. Thread:
 * any. Never fails. */
FTS_API enum acme_level acme_level_from_wire(int32_t number);

enum acme_colour {
	UNKNOWN = 0,
	/* The colour of the sky on a clear day.
	 * (On other days: GREY.) */
	BLUE = 1,
	GREY = 2
};

/* The name of value, "GREY" for GREY; "UNKNOWN" for a number that is none of them. Static. Thread: any. Never fails. */
FTS_API const char *acme_colour_name(enum acme_colour value);

/* The value of a number that came from elsewhere; UNKNOWN for one this version does not know. Thread: any. Never
 * fails. */
FTS_API enum acme_colour acme_colour_from_wire(int32_t number);

FTS_END_DECLS

#endif
