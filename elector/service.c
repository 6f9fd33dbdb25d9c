/* Why this file exists: see elector/service.h. */
#include "elector/service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <fts/elector/v1/elector.fts.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "elector/read.h"
#include "elector/transition.h"
#include "replica/leases.h"

enum { MACHINE_COUNT = 2, METHOD_COUNT = 10, CLOCK_METHOD_COUNT = 1, LATE_COUNT_MAX = 256 };

struct fts_elector {
	struct fts_machine machines[MACHINE_COUNT];
	const struct fts_machine *machine_list[MACHINE_COUNT];
	struct fts_machine_method methods[METHOD_COUNT], clock_methods[CLOCK_METHOD_COUNT];
	struct fts_leases *leases;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct fts_replica *replica; /* guarded by lock; NULL: not attached */
	atomic_bool watching;        /* the watcher runs; set under lock, once */
	pthread_t watcher;
};

/* ---- What the state holds ---- */

static bool take_lease(void *ctx, const char *election, const Fts__Elector__V1__Member *member)
{
	fts_leases_joined(ctx, election, member->id, member->joined, member->lease_ms);
	return true;
}

static void load_leases(struct fts_leases *leases, struct fts_txn *view)
{
	enum fts_status status = ftsi_state_visit_members(view, take_lease, leases);
	if (status != FTS_OK) FTS_LOG_ERROR("elector.load_failed", "status=%s", fts_status_name(status));
}

static void on_replaced(void *ctx, struct fts_txn *view)
{
	fts_leases_clear(ctx);
	load_leases(ctx, view);
}

/* ---- Leases that end ---- */

/* Members on their way out. */
struct expiry {
	struct fts_elector *elector;
	size_t count;
	struct fts_late_lease *members; /* owned */
};

static void on_expired(void *ctx, enum fts_status status, struct fts_bytes response, const struct fts_error *error)
{
	struct expiry *expiry = ctx;
	(void)response;
	(void)error;
	(void)status;
	/* Not OK: the log may have it all the same; then the members are gone when it is applied, and nothing is
	 * spared. OK: they are gone, but for those that the command left to the next one. */
	fts_leases_spare(expiry->elector->leases, expiry->members, expiry->count);
	free(expiry->members);
	free(expiry);
}

static int by_election(const void *left, const void *right)
{
	const struct fts_late_lease *a = left, *b = right;
	return strcmp(a->group, b->group);
}

static void propose(struct fts_replica *replica, uint64_t term, struct expiry *expiry)
{
	Fts__Elector__V1__ExpireRequest request = FTS__ELECTOR__V1__EXPIRE_REQUEST__INIT;
	Fts__Elector__V1__Expired items[LATE_COUNT_MAX], *list[LATE_COUNT_MAX];
	qsort(expiry->members, expiry->count, sizeof *expiry->members, by_election); /* each is read once */
	for (size_t i = 0; i < expiry->count; i++) {
		fts__elector__v1__expired__init(&items[i]);
		items[i].election = expiry->members[i].group;
		items[i].id = expiry->members[i].id;
		items[i].joined = expiry->members[i].joined;
		list[i] = &items[i];
	}
	request.members = list;
	request.n_members = expiry->count;
	request.term = term;
	enum fts_status status =
	    fts_replica_propose(replica, fts_elector_clock_expire_method, &request.base, on_expired, expiry);
	if (status != FTS_OK) on_expired(expiry, status, (struct fts_bytes){NULL, 0}, NULL);
}

/* When to look again. */
static uint64_t look(struct fts_elector *elector, struct fts_replica *replica)
{
	struct fts_replica_status status;
	struct expiry *expiry = calloc(1, sizeof *expiry);
	uint64_t next_ns, now_ns = fts_clock_monotonic_ns();
	fts_replica_status(replica, &status);
	fts_leases_lead(elector->leases, status.leader, status.term, now_ns);
	if (expiry == NULL) return now_ns + 100000000;
	expiry->elector = elector;
	expiry->members = fts_leases_late(elector->leases, now_ns, LATE_COUNT_MAX, &expiry->count, &next_ns);
	if (expiry->members == NULL)
		free(expiry);
	else
		propose(replica, status.term, expiry);
	return next_ns;
}

static void *watch(void *data)
{
	struct fts_elector *elector = data;
	pthread_mutex_lock(&elector->lock);
	while (elector->replica != NULL) {
		uint64_t next_ns = look(elector, elector->replica);
		struct timespec until = {(time_t)(next_ns / 1000000000u), (long)(next_ns % 1000000000u)};
		if (elector->replica != NULL) (void)pthread_cond_timedwait(&elector->wake, &elector->lock, &until);
	}
	pthread_mutex_unlock(&elector->lock);
	return NULL;
}

/* Called with lock held. No thread: the next turn tries again. */
static void start_watcher(struct fts_elector *elector)
{
	if (pthread_create(&elector->watcher, NULL, watch, elector) != 0) {
		FTS_LOG_WARN("elector.no_thread", "leases=unwatched");
		return;
	}
	pthread_setname_np(elector->watcher, "fts-elector");
	atomic_store(&elector->watching, true);
}

/* The clock's machine has the elector as its ctx, for on_turn. */
static enum fts_status apply_expire(struct fts_apply *apply, const ProtobufCMessage *request,
				    ProtobufCMessage *response, void *ctx)
{
	const struct fts_elector *elector = ctx;
	return ftsi_elector_apply_expire(apply, request, response, elector->leases);
}

/* A node without elections has no thread for them. */
static void on_turn(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms)
{
	struct fts_elector *elector = ctx;
	(void)view;
	(void)now_ms;
	if (!leader || atomic_load(&elector->watching) || fts_leases_empty(elector->leases)) return;
	pthread_mutex_lock(&elector->lock);
	if (elector->replica != NULL) start_watcher(elector);
	pthread_mutex_unlock(&elector->lock);
}

/* ---- Life ---- */

static void set_methods(struct fts_elector *elector)
{
	const struct fts_machine_method methods[] = {
	    {.apply = ftsi_elector_apply_elect},    {.read = ftsi_elector_read_renew},
	    {.apply = ftsi_elector_apply_yield},    {.apply = ftsi_elector_apply_resign},
	    {.apply = ftsi_elector_apply_nominate}, {.apply = ftsi_elector_apply_message},
	    {.read = ftsi_elector_read_status},     {.read = ftsi_elector_read_list},
	    {.read = ftsi_elector_read_history},    {.read = ftsi_elector_read_check},
	};
	_Static_assert(sizeof methods == sizeof elector->methods, "one a method, in the service's order");
	FTS_ASSERT(fts_elector_service.method_count == METHOD_COUNT);
	FTS_ASSERT(fts_elector_clock_service.method_count == CLOCK_METHOD_COUNT);
	memcpy(elector->methods, methods, sizeof methods);
	elector->clock_methods[0] = (struct fts_machine_method){.apply = apply_expire};
	elector->machines[0] = (struct fts_machine){.service = &fts_elector_service,
						    .methods = elector->methods,
						    .ctx = elector->leases,
						    .on_replaced = on_replaced};
	elector->machines[1] = (struct fts_machine){.service = &fts_elector_clock_service,
						    .methods = elector->clock_methods,
						    .internal = true,
						    .ctx = elector,
						    .on_turn = on_turn};
	elector->machine_list[0] = &elector->machines[0];
	elector->machine_list[1] = &elector->machines[1];
}

enum fts_status fts_elector_create(struct fts_elector **out_elector, struct fts_error *out_error)
{
	pthread_condattr_t attributes;
	struct fts_elector *elector = calloc(1, sizeof *elector);
	if (elector == NULL || (elector->leases = fts_leases_create()) == NULL) {
		free(elector);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the elector");
	}
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&elector->lock, NULL);
	pthread_cond_init(&elector->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	set_methods(elector);
	*out_elector = elector;
	return FTS_OK;
}

const struct fts_machine *const *fts_elector_machines(const struct fts_elector *elector, size_t *out_count)
{
	*out_count = MACHINE_COUNT;
	return elector->machine_list;
}

enum fts_status fts_elector_attach(struct fts_elector *elector, struct fts_replica *replica,
				   struct fts_error *out_error)
{
	struct fts_txn *view = NULL;
	enum fts_status status = fts_replica_view(replica, &view);
	if (status != FTS_OK) return fts_error_set(out_error, status, "no memory for the elector");
	load_leases(elector->leases, view);
	fts_txn_abort(view);
	pthread_mutex_lock(&elector->lock);
	elector->replica = replica;
	pthread_mutex_unlock(&elector->lock);
	return FTS_OK;
}

void fts_elector_detach(struct fts_elector *elector)
{
	if (elector == NULL) return;
	pthread_mutex_lock(&elector->lock);
	elector->replica = NULL; /* no watcher is started from here on */
	pthread_cond_signal(&elector->wake);
	pthread_mutex_unlock(&elector->lock);
	if (atomic_exchange(&elector->watching, false)) pthread_join(elector->watcher, NULL);
}

void fts_elector_destroy(struct fts_elector *elector)
{
	if (elector == NULL) return;
	fts_leases_destroy(elector->leases);
	pthread_cond_destroy(&elector->wake);
	pthread_mutex_destroy(&elector->lock);
	free(elector);
}
