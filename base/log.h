/* Why this file exists: logs are lines of logfmt on standard error, one write(2) a line, event names are API.
 *
 *   FTS_LOG_WARN("rpc.deadline", "node=%s waited_ms=%u", name, waited_ms);
 *   -> time=2026-11-21T04:07:00.123Z level=warn event=rpc.deadline node=n1 waited_ms=250
 *
 * Invariants: no payloads and no personal data in a line; a line is at most 1,024 bytes; repeats of one event
 * beyond 20 a second are counted, not written, and the count is told afterwards (`suppressed=N`).
 * A line waits for nobody: where nobody reads standard error (a full pipe, a stopped terminal) lines are dropped, and
 * counted likewise (`event=log.lost lines=N`), so that a thread that logs goes on, whatever it holds.
 * Events of the name audit.* are written at every level: they are the audit log.
 * Low layers return; whoever handles a failure logs it, once. Thread: any. */
#ifndef FTS_BASE_LOG_H
#define FTS_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum fts_log_level { FTS_LOG_LEVEL_ERROR, FTS_LOG_LEVEL_WARN, FTS_LOG_LEVEL_INFO, FTS_LOG_LEVEL_DEBUG };

/* Lines above this level are dropped (default: info). */
void fts_log_set_level(enum fts_log_level level);

/* "error", "warn", "info", "debug" -> level; false: none of these. */
bool fts_log_level_parse(const char *text, enum fts_log_level *out_level);

void fts_log_write(enum fts_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes text into buf as a logfmt value: quoted, with \" \\ \n escaped, when it needs to be. Returns buf. */
const char *fts_log_quote(char *buf, size_t size_bytes, const char *text);

#define FTS_LOG_ERROR(event, ...) fts_log_write(FTS_LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define FTS_LOG_WARN(event, ...) fts_log_write(FTS_LOG_LEVEL_WARN, event, __VA_ARGS__)
#define FTS_LOG_INFO(event, ...) fts_log_write(FTS_LOG_LEVEL_INFO, event, __VA_ARGS__)
#define FTS_LOG_DEBUG(event, ...) fts_log_write(FTS_LOG_LEVEL_DEBUG, event, __VA_ARGS__)

#endif
