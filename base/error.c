/* Why this file exists: filling an error the same way everywhere (fts/status.h). */
#include <fts/status.h>

#include <stdarg.h>
#include <stdio.h>

enum fts_status fts_error_set(struct fts_error *err, enum fts_status status, const char *format, ...)
{
	if (err == NULL) return status;
	err->status = status;
	err->executed = FTS_EXECUTED_NO;
	err->retry_after_ms = 0;
	va_list args;
	va_start(args, format);
	vsnprintf(err->detail, sizeof err->detail, format, args);
	va_end(args);
	return status;
}
