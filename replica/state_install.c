/* Why this file exists: a fetched state takes the place of the one in use, while the process goes on.
 *
 * Two ways lead here. raft's: the log did not reach far enough, so log and state are replaced together, in one batch of
 * DIR/log. Doubt's: the log is right, the state is not: only the state is replaced, and what it lacks of what raft has
 * already passed is applied from the log, in parts.
 *
 * Invariants
 * - Whatever crash there is, DIR/log names a state that is whole on disk and that fits it.
 * - raft gets an InstallSnapshot only when it needs no file any more: either it has the entries already, or the state
 *   that goes with it lies in keeper->fetched. It can't go back once it has begun.
 * - No snapshot of this node's own, no append and no batch of the state is on its way meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "replica/configuration.h"
#include "replica/digest_internal.h"
#include "replica/format.h"
#include "replica/guards.h"
#include "replica/state_internal.h"

enum { REPLAY_BYTES = 4 * 1024 * 1024 };

/* ---- The swap ---- */

struct farewell {
	struct ftsi_job job;     /* first */
	struct fts_store *store; /* owned */
};

static enum fts_status farewell_work(struct ftsi_job *job)
{
	fts_store_close(((struct farewell *)(void *)job)->store);
	return FTS_OK;
}

static void farewell_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	(void)replica;
	(void)status;
	free(job);
}

/* Closing takes a while: not on the loop. */
static void let_go(struct fts_replica *replica, struct fts_store *store)
{
	struct farewell *farewell = calloc(1, sizeof *farewell);
	fts_store_discard(store);
	if (farewell == NULL) {
		fts_store_close(store);
		return;
	}
	farewell->store = store;
	farewell->job.work = farewell_work;
	farewell->job.done = farewell_done;
	ftsi_worker_submit(&replica->state_worker, &farewell->job);
}

static void tell_machines(struct fts_replica *replica)
{
	struct fts_txn *view = NULL;
	if (fts_store_view(replica->state, &view) != FTS_OK) {
		ftsi_loop_fail(replica, FTS_RESOURCE_EXHAUSTED, "no memory to look at the new state");
		return;
	}
	for (size_t i = 0; i < replica->machine_count; i++)
		if (replica->machines[i]->on_replaced != NULL)
			replica->machines[i]->on_replaced(replica->machines[i]->ctx, view);
	fts_txn_abort(view);
}

static void swap(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_fetched fetched = keeper->fetched;
	struct fts_store *old = replica->state;
	FTS_ASSERT(replica->txn == NULL);
	keeper->fetched = (struct ftsi_fetched){0};
	pthread_mutex_lock(&replica->state_lock);
	replica->state = fetched.store;
	pthread_mutex_unlock(&replica->state_lock);
	ftsi_sessions_destroy(replica->sessions);
	replica->sessions = fetched.sessions;
	ftsi_event_log_take(replica->events, fetched.events);
	keeper->generation = fetched.generation;
	keeper->stopgap = false;
	keeper->came_with_index = fetched.applied.index;
	replica->time_ms = fetched.applied.time_ms;
	replica->idle_ms = fetched.applied.idle_ms;
	replica->writes = fetched.applied.writes;
	if (ftsi_format_take(replica, fetched.applied.format, NULL) != FTS_OK)
		ftsi_loop_fail(replica, FTS_INTERNAL, "%s/log can't be written", replica->data);
	atomic_store(&replica->applied_index, fetched.applied.index);
	replica->last_event_index = fetched.applied.index;
	ftsi_digest_reset(replica);
	let_go(replica, old);
	tell_machines(replica);
	FTS_LOG_INFO("replica.state_replaced", "node=%s index=%llu generation=%llu", replica->name,
		     (unsigned long long)fetched.applied.index, (unsigned long long)fetched.generation);
}

/* What waits for a change may have missed it. */
static void trust(struct fts_replica *replica)
{
	ftsi_state_trust(replica);
	ftsi_read_wake_all(replica);
}

/* ---- raft's way ---- */

struct install_job {
	struct ftsi_job job; /* first */
	struct fts_store *log;
	struct ftsi_mark mark;
	uint8_t *conf; /* owned: what mark.conf points to */
	struct ftsi_state_name name;
	struct raft_io_snapshot_put *request;
	raft_io_snapshot_put_cb done;
};

static enum fts_status install_work(struct ftsi_job *job)
{
	struct install_job *install = (struct install_job *)(void *)job;
	return ftsi_log_write_state(install->log, &install->name, &install->mark);
}

static void install_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct install_job *install = (struct install_job *)(void *)job;
	struct ftsi_state *keeper = replica->keeper;
	keeper->installing = false;
	replica->snapshot_running = false;
	if (status != FTS_OK) {
		ftsi_loop_fail(replica, status, "the snapshot at %llu can't be installed: %s",
			       (unsigned long long)install->mark.index, fts_status_name(status));
	} else {
		replica->next_append_index = install->mark.index + 1;
		replica->log_bytes = 0;
		keeper->sample_count = 0;
		keeper->replay_next = 0; /* a replay that was under way is of a log that is gone */
		swap(replica);
	}
	install->done(install->request, status == FTS_OK ? 0 : RAFT_IOERR);
	if (status == FTS_OK) {
		ftsi_guard_installed(replica);
		trust(replica);
	}
	ftsi_guard_observe(replica);
	free(install->conf);
	free(install);
}

bool ftsi_state_is_fetched(const struct fts_replica *replica, const struct raft_snapshot *snapshot)
{
	(void)snapshot;
	return replica->keeper->handing; /* raft takes none of its own from within a message */
}

int ftsi_state_put(struct fts_replica *replica, struct raft_io_snapshot_put *request,
		   const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done)
{
	struct ftsi_state *keeper = replica->keeper;
	const struct ftsi_offer *offer = &keeper->offer;
	struct install_job *install;
	FTS_ASSERT(keeper->fetched.store != NULL && snapshot->index == offer->last_index &&
		   keeper->fetched.applied.index >= snapshot->index && !replica->snapshot_running);
	install = calloc(1, sizeof *install);
	if (install == NULL || (install->conf = malloc(offer->conf_bytes + 1)) == NULL) {
		free(install);
		return RAFT_NOMEM;
	}
	memcpy(install->conf, offer->conf, offer->conf_bytes);
	install->log = replica->log;
	install->mark = (struct ftsi_mark){
	    snapshot->index, snapshot->term, snapshot->configuration_index, {install->conf, offer->conf_bytes}};
	install->name = (struct ftsi_state_name){keeper->fetched.generation, keeper->fetched.applied.index};
	install->request = request;
	install->done = done;
	install->job.work = install_work;
	install->job.done = install_done;
	keeper->installing = true;
	replica->snapshot_running = true; /* ticks wait, and no snapshot of our own begins */
	ftsi_guard_snapshot_due(replica, false);
	/* Behind all that raft has asked the log for before. */
	ftsi_worker_submit(&replica->append_worker, &install->job);
	return 0;
}

/* Give raft its InstallSnapshot. What it makes of it shows in keeper->installing. */
static void hand_over(struct fts_replica *replica, const char *address)
{
	struct ftsi_state *keeper = replica->keeper;
	const struct ftsi_offer *offer = &keeper->offer;
	struct raft_message message = {
	    .type = RAFT_IO_INSTALL_SNAPSHOT, .server_id = offer->from, .server_address = address};
	struct raft_install_snapshot *install = &message.install_snapshot;
	install->term = offer->term;
	install->last_index = offer->last_index;
	install->last_term = offer->last_term;
	install->conf_index = offer->conf_index;
	install->data.len = 1;
	install->data.base = raft_calloc(1, 1); /* raft only carries it to ftsi_state_put */
	if (install->data.base == NULL) return;
	if (ftsi_configuration_decode((struct fts_bytes){offer->conf, offer->conf_bytes}, &install->conf) != FTS_OK) {
		raft_free(install->data.base);
		return;
	}
	keeper->handing = true;
	replica->raft_recv(&replica->io, &message);
	keeper->handing = false;
	ftsi_guard_observe(replica);
}

static bool is_at_rest(const struct fts_replica *replica)
{
	return !replica->snapshot_running && replica->snapshot_job == NULL && replica->append_worker.open_count == 0 &&
	       replica->txn == NULL;
}

static void close_offer(struct ftsi_state *keeper)
{
	free(keeper->offer.conf);
	keeper->offer = (struct ftsi_offer){0};
}

static void drop_fetched(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	if (keeper->fetched.store == NULL) return;
	let_go(replica, keeper->fetched.store);
	keeper->fetched.store = NULL;
	ftsi_fetched_drop(&keeper->fetched);
}

static void take_offer(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	const struct ftsi_offer *offer = &keeper->offer;
	const char *address = ftsi_state_address_of(replica, offer->from);
	bool has_entries = offer->last_index <= replica->raft.commit_index;
	bool has_state = keeper->fetched.store != NULL && keeper->fetched.applied.index >= offer->last_index;
	if (offer->term < replica->raft.current_term || address == NULL ||
	    !ftsi_guard_may_follow(replica, offer->term)) {
		close_offer(keeper);
		return;
	}
	if (!has_entries && !has_state) {
		if (keeper->fetch.active || keeper->fetch.job_count > 0) return;
		if (offer->begun)
			close_offer(keeper); /* it comes again */
		else
			ftsi_fetch_follow(replica);
		return;
	}
	if (!is_at_rest(replica)) return;
	hand_over(replica, address);
	close_offer(keeper);
}

/* ---- Doubt's way ---- */

struct resync_job {
	struct ftsi_job job; /* first */
	struct fts_store *log;
	struct ftsi_state_name name;
};

static enum fts_status resync_work(struct ftsi_job *job)
{
	struct resync_job *resync = (struct resync_job *)(void *)job;
	return ftsi_log_write_state(resync->log, &resync->name, NULL);
}

static void resync_done(struct fts_replica *replica, struct ftsi_job *job, enum fts_status status)
{
	struct ftsi_state *keeper = replica->keeper;
	free(job);
	keeper->installing = false;
	if (status != FTS_OK) {
		ftsi_loop_fail(replica, status, "%s/log can't be written: %s", replica->data, fts_status_name(status));
		return;
	}
	swap(replica);
	keeper->replay_next = atomic_load(&replica->applied_index) + 1;
}

static void begin_resync(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	struct resync_job *resync;
	if (!is_at_rest(replica)) return;
	if (keeper->fetched.applied.index < replica->raft.log.offset) {
		/* The log does not reach back to where this state ends: a newer one does. */
		drop_fetched(replica);
		return;
	}
	resync = calloc(1, sizeof *resync);
	if (resync == NULL) return; /* tried again at the next turn */
	resync->log = replica->log;
	resync->name = (struct ftsi_state_name){keeper->fetched.generation, keeper->fetched.applied.index};
	resync->job.work = resync_work;
	resync->job.done = resync_done;
	keeper->installing = true;
	ftsi_worker_submit(&replica->append_worker, &resync->job);
}

void ftsi_install_turn(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	if (keeper->installing || atomic_load(&replica->failed)) return;
	if (keeper->offer.open) {
		take_offer(replica);
		return;
	}
	if (keeper->fetched.store == NULL || keeper->fetch.active) return;
	if (!atomic_load(&replica->doubted))
		drop_fetched(replica); /* raft went on without it */
	else if (keeper->replay_next == 0)
		begin_resync(replica);
}

/* ---- What the new state lacks ---- */

static enum fts_status replay_one(void *ctx, uint64_t index, unsigned short type, struct fts_bytes data)
{
	struct fts_replica *replica = ctx;
	if (type != RAFT_COMMAND || index <= atomic_load(&replica->applied_index)) return FTS_OK;
	return ftsi_apply_entry(replica, index, data);
}

static void wake_again(struct fts_replica *replica, struct ftsi_post *post)
{
	(void)post;
	replica->keeper->again_posted = false;
}

void ftsi_install_replay(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	uint64_t last = replica->raft.last_applied;
	enum fts_status status;
	if (keeper->replay_next == 0 || atomic_load(&replica->failed)) return;
	if (keeper->replay_next <= last) {
		status = ftsi_log_walk(replica->log, keeper->replay_next, last, REPLAY_BYTES, replay_one, replica,
				       &keeper->replay_next);
		if (status == FTS_OK) status = ftsi_apply_commit(replica);
		if (status != FTS_OK) {
			ftsi_loop_fail(replica, status, "%s/log can't be applied from %llu on", replica->data,
				       (unsigned long long)keeper->replay_next);
			return;
		}
	}
	if (keeper->replay_next > last) {
		keeper->replay_next = 0;
		trust(replica);
	} else if (!keeper->again_posted) {
		keeper->again.run = wake_again;
		keeper->again_posted = ftsi_mailbox_post(&replica->mailbox, &keeper->again);
	}
}
