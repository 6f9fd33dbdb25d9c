/* Why this file exists: see assert.h. */
#include "base/assert.h"

#include "base/log.h"

#include <stdlib.h>

void fts_assert_failed(const char *expression, const char *file, int line)
{
	char quoted[256];
	FTS_LOG_ERROR("assert.failed", "file=%s line=%d expression=%s", file, line,
	              fts_log_quote(quoted, sizeof quoted, expression));
	abort();
}
