/* Why this file exists: which release this program is, and what it can read. A test's build may be a later one
 * (server/extra.h). Thread: any. */
#ifndef FTS_SERVER_RELEASE_H
#define FTS_SERVER_RELEASE_H

#include <stdint.h>

/* As "0.1.0". Borrowed for ever. */
const char *ftsi_release_version(void);
/* base/format.h. */
uint32_t ftsi_release_format_max(void);

#endif
