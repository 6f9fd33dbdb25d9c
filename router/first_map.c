/* Why this file exists: see router/first_map.h. They are looked at every FTSI_HURRY_MS by the thread for second looks
 * (router/hurry.h): whoever applies a map must not serve calls. */
#include "router/first_map.h"

#include <time.h>

#include "base/clock.h"

enum { SPARE_MS = 30, RETRY_MS = 20, LOOK_NS = 2 * 1000 * 1000 };

/* Lives in its call's memory. */
struct waiter {
	struct ftsi_hurry hurry; /* first */
	struct fts_router *router;
	struct fts_call *call;
	const void *request;
	ftsi_serve_fn serve;
};

static void refuse(struct fts_call *call)
{
	struct fts_error error;
	(void)fts_error_set(&error, FTS_UNAVAILABLE,
			    "this node does not know where keys lie yet: try again, or ask another node");
	error.retry_after_ms = RETRY_MS;
	error.executed = FTS_EXECUTED_NO;
	fts_call_fail_error(call, &error);
}

static bool is_ready(struct fts_router *router)
{
	const struct fts_router_owner *owner = router->options.owner;
	if (atomic_load_explicit(&router->was_ready, memory_order_relaxed)) return true; /* it is from then on */
	const struct fts_router_map *map = owner->map(owner->ctx);
	bool ready = map != NULL && owner->knows_time(owner->ctx);
	fts_router_map_release(map);
	atomic_store_explicit(&router->was_ready, ready, memory_order_relaxed);
	return ready;
}

static bool may_wait(struct fts_router *router, struct fts_call *call)
{
	return !atomic_load(&router->stopping) &&
	       fts_clock_left_ms(fts_clock_monotonic_ns(), fts_call_deadline_ns(call)) > SPARE_MS;
}

static void look(struct ftsi_hurry *hurry)
{
	struct waiter *waiter = (struct waiter *)hurry;
	struct fts_router *router = waiter->router;
	bool ready = is_ready(router);
	if (!ready && may_wait(router, waiter->call)) {
		ftsi_hurry_add(router->coordinator.hurries, hurry);
		return;
	}
	atomic_fetch_sub(&router->waiting_count, 1);
	if (ready)
		waiter->serve(router, waiter->call, waiter->request);
	else
		refuse(waiter->call);
}

void ftsi_with_map(struct fts_router *router, struct fts_call *call, const void *request, ftsi_serve_fn serve)
{
	if (is_ready(router)) {
		serve(router, call, request);
		return;
	}
	struct waiter *waiter = fts_call_alloc(call, sizeof *waiter);
	if (waiter == NULL || !may_wait(router, call)) {
		refuse(call);
		return;
	}
	if (atomic_fetch_add(&router->waiting_count, 1) >= FTSI_MAP_WAITERS_MAX) {
		atomic_fetch_sub(&router->waiting_count, 1);
		refuse(call);
		return;
	}
	*waiter = (struct waiter){
	    .hurry = {.look = look}, .router = router, .call = call, .request = request, .serve = serve};
	ftsi_hurry_add(router->coordinator.hurries, &waiter->hurry);
}

const struct fts_router_map *ftsi_wait_for_map(struct fts_router *router, struct fts_call *call)
{
	const struct fts_router_owner *owner = router->options.owner;
	const struct fts_router_map *map;
	while ((map = owner->map(owner->ctx)) == NULL && may_wait(router, call))
		nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	if (map == NULL) refuse(call);
	return map;
}
