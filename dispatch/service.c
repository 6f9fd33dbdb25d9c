/* Why this file exists: see dispatch/service.h. */
#include "dispatch/service.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>

#include "base/assert.h"
#include "dispatch/read.h"
#include "dispatch/transition.h"
#include "dispatch/watch.h"

enum { MACHINE_COUNT = 2, METHOD_COUNT = 9, CLOCK_METHOD_COUNT = 1 };

struct fts_dispatch {
	struct fts_machine machines[MACHINE_COUNT];
	const struct fts_machine *machine_list[MACHINE_COUNT];
	struct fts_machine_method methods[METHOD_COUNT], clock_methods[CLOCK_METHOD_COUNT];
	struct ftsi_dispatch_watch *watch;
};

static void on_replaced(void *ctx, struct fts_txn *view)
{
	ftsi_dispatch_watch_load(ctx, view);
}

static void set_methods(struct fts_dispatch *dispatch)
{
	const struct fts_machine_method methods[] = {
	    {.apply = ftsi_dispatch_apply_register}, {.read = ftsi_dispatch_read_beat},
	    {.apply = ftsi_dispatch_apply_leave},    {.apply = ftsi_dispatch_apply_acquire},
	    {.read = ftsi_dispatch_read_await},      {.apply = ftsi_dispatch_apply_release},
	    {.apply = ftsi_dispatch_apply_finish},   {.read = ftsi_dispatch_read_fate},
	    {.read = ftsi_dispatch_read_list},
	};
	_Static_assert(sizeof methods == sizeof dispatch->methods, "one a method, in the service's order");
	FTS_ASSERT(fts_dispatch_service.method_count == METHOD_COUNT);
	FTS_ASSERT(fts_dispatch_clock_service.method_count == CLOCK_METHOD_COUNT);
	memcpy(dispatch->methods, methods, sizeof methods);
	dispatch->clock_methods[0] = (struct fts_machine_method){.apply = ftsi_dispatch_apply_expire};
	dispatch->machines[0] = (struct fts_machine){.service = &fts_dispatch_service,
						     .methods = dispatch->methods,
						     .ctx = dispatch->watch,
						     .on_replaced = on_replaced};
	dispatch->machines[1] = (struct fts_machine){.service = &fts_dispatch_clock_service,
						     .methods = dispatch->clock_methods,
						     .internal = true,
						     .ctx = dispatch->watch,
						     .on_turn = ftsi_dispatch_watch_turn};
	dispatch->machine_list[0] = &dispatch->machines[0];
	dispatch->machine_list[1] = &dispatch->machines[1];
}

enum fts_status fts_dispatch_create(struct fts_dispatch **out_dispatch, struct fts_error *out_error)
{
	struct fts_dispatch *dispatch = calloc(1, sizeof *dispatch);
	if (sodium_init() < 0) {
		free(dispatch);
		return fts_error_set(out_error, FTS_INTERNAL, "libsodium can't be initialised");
	}
	if (dispatch == NULL || (dispatch->watch = ftsi_dispatch_watch_create()) == NULL) {
		free(dispatch);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the dispatcher");
	}
	set_methods(dispatch);
	*out_dispatch = dispatch;
	return FTS_OK;
}

const struct fts_machine *const *fts_dispatch_machines(const struct fts_dispatch *dispatch, size_t *out_count)
{
	*out_count = MACHINE_COUNT;
	return dispatch->machine_list;
}

enum fts_status fts_dispatch_attach(struct fts_dispatch *dispatch, struct fts_replica *replica,
				    struct fts_error *out_error)
{
	enum fts_status status = ftsi_dispatch_watch_start(dispatch->watch, replica);
	return status == FTS_OK ? FTS_OK : fts_error_set(out_error, status, "no memory for the dispatcher");
}

void fts_dispatch_detach(struct fts_dispatch *dispatch)
{
	if (dispatch != NULL) ftsi_dispatch_watch_stop(dispatch->watch);
}

void fts_dispatch_destroy(struct fts_dispatch *dispatch)
{
	if (dispatch == NULL) return;
	ftsi_dispatch_watch_destroy(dispatch->watch);
	free(dispatch);
}
