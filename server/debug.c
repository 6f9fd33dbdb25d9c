/* Why this file exists: see server/debug.h. */
#include "server/debug.h"

#include <fts/debug/v1/debug.fts.h>

#include "base/clock.h"
#include "base/log.h"
#include "replica/debug.h"

#define DURATION_MS_MAX 3600000u

/* Compute, and get nowhere. */
static void spin(uint32_t duration_ms)
{
	uint64_t end_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), duration_ms);
	while (fts_clock_monotonic_ns() < end_ns)
		continue;
}

static enum fts_status begin(struct ftsi_debug *debug, const Fts__Debug__V1__CauseRequest *request,
			     struct fts_error *out_error)
{
	switch (request->fault) {
	case FTS__DEBUG__V1__FAULT__LOOP_HANGS:
		return fts_debug_fault_begin(debug->replica, FTS_DEBUG_LOOP_HANGS, request->duration_ms, out_error);
	case FTS__DEBUG__V1__FAULT__LOOP_SLOW:
		return fts_debug_fault_begin(debug->replica, FTS_DEBUG_LOOP_SLOW, request->duration_ms, out_error);
	case FTS__DEBUG__V1__FAULT__DISK_HANGS:
		return fts_debug_fault_begin(debug->replica, FTS_DEBUG_DISK_HANGS, request->duration_ms, out_error);
	case FTS__DEBUG__V1__FAULT__HANDLER_HANGS:
		spin(request->duration_ms);
		return FTS_OK;
	default:
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "fault: expected LOOP_HANGS, LOOP_SLOW, DISK_HANGS or HANDLER_HANGS");
	}
}

static void cause(struct fts_call *call, const Fts__Debug__V1__CauseRequest *request, void *ctx)
{
	static const Fts__Debug__V1__CauseResponse response = FTS__DEBUG__V1__CAUSE_RESPONSE__INIT;
	struct ftsi_debug *debug = ctx;
	struct fts_error error;
	if (!debug->allowed) {
		fts_call_fail(call, FTS_PERMISSION_DENIED, "this node was started without --debug-hooks");
		return;
	}
	if (request->duration_ms == 0 || request->duration_ms > DURATION_MS_MAX) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "duration_ms: expected 1 to %u", DURATION_MS_MAX);
		return;
	}
	FTS_LOG_WARN("debug.fault", "fault=%d duration_ms=%u", (int)request->fault, request->duration_ms);
	if (begin(debug, request, &error) == FTS_OK)
		fts_debug_cause_reply(call, &response);
	else
		fts_call_fail_error(call, &error);
}

enum fts_status ftsi_debug_serve(struct ftsi_debug *debug, struct fts_server *server, struct fts_error *out_error)
{
	static const struct fts_debug_handlers handlers = {.cause = cause};
	return fts_debug_register(server, &handlers, debug, out_error);
}
