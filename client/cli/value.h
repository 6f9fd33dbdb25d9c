/* Why this file exists: how a user writes numbers, durations and times. Nothing is guessed: what is not wholly
 * a value is refused, with a sentence that says how to write it. Thread: any. */
#ifndef FTSI_VALUE_H
#define FTSI_VALUE_H

#include <stdint.h>

#include <fts/status.h>

/* text (borrowed): decimal digits, min to max. out_error says which part is wrong. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out_number,
					       struct fts_error *out_error);

/* "500ms", "5s", "2m", "1h", at least 1 ms, at most 24 days. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_duration_parse(const char *text, uint32_t *out_ms, struct fts_error *out_error);

/* A moment: "+10m" counted from now_ms (Unix ms), or RFC 3339 as "2027-03-17T18:00:00Z" or with "+02:00".
 * out_ms: Unix ms. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_time_parse(const char *text, int64_t now_ms, int64_t *out_ms,
					     struct fts_error *out_error);

/* A moment as RFC 3339 in UTC, seconds. buf: borrowed, at least 24 bytes. Returns buf. */
const char *ftsi_time_format(char *buf, size_t size_bytes, int64_t unix_ms);

/* Days of a month of the Gregorian calendar; month: 1 to 12. */
unsigned ftsi_month_days(unsigned year, unsigned month);

/* size_bytes at bytes (borrowed) as lower-case hex into buf (borrowed; 2 * size_bytes + 1). Returns buf. */
const char *ftsi_hex(char *buf, const uint8_t *bytes, size_t size_bytes);

#endif
