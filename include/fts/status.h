/* Why this file exists: the one status enum of fts (generated from fts/rpc/v1/status.proto, numbered as
 * gRPC's codes), and the error a caller can show to a person. */
#ifndef FTS_STATUS_H
#define FTS_STATUS_H

#include <fts/api.h>
#include <fts/rpc/v1/status.fts.h> /* enum fts_status, enum fts_executed, fts_status_name(), fts_executed_name() */

FTS_BEGIN_DECLS

#define FTS_DETAIL_MAX 512

/* Why a call failed, and whether it took place all the same. Plain value: copy it freely.
 * Filled by every function that takes an `out_error` (which may be NULL); untouched on success. */
struct fts_error {
	enum fts_status status;
	enum fts_executed executed;    /* EXECUTED_UNKNOWN: only a retry with the same identity is safe */
	uint32_t retry_after_ms;       /* 0: no advice */
	char detail[FTS_DETAIL_MAX];   /* what was wrong and what to do; no trailing newline */
};

/* Fill err (borrowed, may be NULL) and return status, so that `return fts_error_set(...)` reads well.
 * executed becomes EXECUTED_NO. Thread: any. Never fails; detail is cut at FTS_DETAIL_MAX - 1 bytes. */
FTS_API enum fts_status fts_error_set(struct fts_error *err, enum fts_status status, const char *format, ...)
	FTS_PRINTF(3, 4);

FTS_END_DECLS

#endif
