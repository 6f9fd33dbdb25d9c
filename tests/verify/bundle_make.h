/* Why this file exists: bundles for fts-verify, made as fts-cli makes them, of draws that never left this process. */
#ifndef FTS_TESTS_VERIFY_BUNDLE_MAKE_H
#define FTS_TESTS_VERIFY_BUNDLE_MAKE_H

#include <stdbool.h>
#include <stddef.h>

enum { BUNDLE_LINE_MAX = 64 };

struct bundle_lines {
	char *lines[BUNDLE_LINE_MAX]; /* owned, without line ends */
	size_t count;
};

/* A draw of three agencies and two nodes with everything a draw can have. fixed: its number is 7574, no nodes.
 * stop_at_seal: exported before it was drawn. salt: of the agencies, changes all that follows. */
void bundle_make(struct bundle_lines *out, bool fixed, bool stop_at_seal, const char *salt);
void bundle_free(struct bundle_lines *bundle);
/* A copy to be altered. */
void bundle_copy(struct bundle_lines *out, const struct bundle_lines *from);
void bundle_write(const struct bundle_lines *bundle, const char *path);

#endif
