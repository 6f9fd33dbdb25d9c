/* Why this file exists: the loop thread: it wakes for what was posted, for raft's ticks and for the services' turns,
 * and ends each wake-up with ftsi_loop_turn.
 *
 * Order within a turn, and why: the next entry goes to the disk first, so that the disk works while the loop writes
 * what the last one did; answers leave after that is written; reads run last, on what is written now.
 *
 * Invariants: callbacks of libuv never nest, so a turn sees raft at rest. */
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/progress.h"
#include "replica/format.h"
#include "replica/forming.h"
#include "replica/guards.h"
#include "replica/membership.h"
#include "replica/state.h"

enum {
	STOP_STEPS_MAX = 1000,
	/* A job on a healthy machine takes no longer: what a watchdog takes for stuck. An append is one synced write; a
	 * flush, a copy or a scan goes through all of the state. */
	APPEND_MS_MAX = 10000,
	STATE_MS_MAX = 300000,
};

void ftsi_loop_fail(struct fts_replica *replica, enum fts_status status, const char *format, ...)
{
	struct fts_error error = {.status = status, .executed = FTS_EXECUTED_UNKNOWN};
	char quoted[2 * FTS_DETAIL_MAX];
	va_list args;
	if (atomic_exchange(&replica->failed, true)) return;
	atomic_store(&replica->accepting, false);
	atomic_store(&replica->serving, false);
	va_start(args, format);
	(void)vsnprintf(error.detail, sizeof error.detail, format, args);
	va_end(args);
	/* What this node may not be any more, or never may become, is no fault: who started it tells it. */
	if (status != FTS_FAILED_PRECONDITION)
		FTS_LOG_ERROR("replica.failed", "node=%s status=%s detail=%s", replica->name, fts_status_name(status),
			      fts_log_quote(quoted, sizeof quoted, error.detail));
	replica->failure = error;
	/* A failure to start is told by fts_replica_start instead. */
	if (replica->started && replica->options.on_fatal != NULL)
		replica->options.on_fatal(replica->options.ctx, &error);
}

uint64_t ftsi_now_ns(const struct fts_replica *replica)
{
	return replica->environment->monotonic_ns(replica->environment->ctx);
}

/* ---- What others may know ---- */

static void tell_status(struct fts_replica *replica, bool worked)
{
	struct fts_replica_status *status = &replica->status;
	bool was_ready;
	uint64_t applied_index = ftsi_applied_index(replica);
	if (worked) replica->progress++;
	pthread_mutex_lock(&replica->status_lock);
	was_ready = status->ready;
	status->leader = atomic_load(&replica->serving);
	status->term = replica->raft.current_term;
	status->commit_index = replica->raft.commit_index;
	status->applied_index = applied_index;
	status->progress = replica->progress;
	status->stalls = replica->stalls;
	ftsi_elections_tell(replica, status);
	if (status->ready != was_ready) pthread_cond_broadcast(&replica->status_changed);
	pthread_mutex_unlock(&replica->status_lock);
}

/* ---- A turn ---- */

uint64_t ftsi_applied_index(const struct fts_replica *replica)
{
	uint64_t applied_index = atomic_load(&replica->applied_index);
	/* Entries that change nothing, as barriers, leave no mark in DIR/state: raft alone knows of them. */
	if (replica->txn == NULL && replica->raft.last_applied > applied_index) return replica->raft.last_applied;
	return applied_index;
}

static bool is_sole_voter(const struct fts_replica *replica)
{
	unsigned voters = 0;
	bool self = false;
	for (unsigned i = 0; i < replica->raft.configuration.n; i++) {
		if (replica->raft.configuration.servers[i].role != RAFT_VOTER) continue;
		voters++;
		self = self || replica->raft.configuration.servers[i].id == replica->raft.id;
	}
	return self && voters == 1;
}

static void start_snapshot(struct fts_replica *replica)
{
	struct ftsi_job *job = replica->snapshot_job;
	if (job == NULL || atomic_load(&replica->failed)) return;
	/* barriers and configuration changes are applied by raft alone: the state must say that it is past them */
	if (ftsi_apply_mark(replica, raft_last_applied(&replica->raft)) != FTS_OK) return;
	replica->snapshot_job = NULL;
	ftsi_worker_submit(&replica->snapshot_worker, job);
}

static void run_turns(struct fts_replica *replica)
{
	bool leader = atomic_load(&replica->serving);
	int64_t now_ms = replica->environment->wall_ms(replica->environment->ctx);
	struct fts_txn *view = NULL;
	for (size_t i = 0; i < replica->machine_count; i++) {
		const struct fts_machine *machine = replica->machines[i];
		if (machine->on_turn == NULL) continue;
		if (view == NULL && fts_store_view(replica->state, &view) != FTS_OK)
			return; /* no memory now: there is another turn soon */
		machine->on_turn(machine->ctx, view, leader, now_ms);
	}
	fts_txn_abort(view);
}

/* Raft's part: what became of the messages and appends of this wake-up. */
static void turn_raft(struct fts_replica *replica)
{
	ftsi_outbox_finish(replica);
	ftsi_guard_observe(replica);
	atomic_store(&replica->sole, is_sole_voter(replica));
	ftsi_members_turn(replica);
	ftsi_elections_observe(replica);
	ftsi_transfer_turn(replica);
	ftsi_forming_turn(replica);
	ftsi_membership_turn(replica);
	if (replica->commit_tell_ns == 0 && ftsi_members_lack_commit(replica))
		replica->commit_tell_ns = replica->now_ns + (uint64_t)FTSI_COMMIT_TELL_MS * 1000000;
}

static void turn(struct fts_replica *replica)
{
	if (replica->raft_running) turn_raft(replica);
	ftsi_propose_batch(replica);
	if (atomic_load(&replica->failed) || ftsi_apply_commit(replica) != FTS_OK) return;
	start_snapshot(replica);
	ftsi_state_turn(replica);
	ftsi_read_index_turn(replica);
	if (replica->events_published) {
		replica->events_published = false;
		run_turns(replica);
	}
}

void ftsi_loop_turn(struct fts_replica *replica, bool worked)
{
	if (!atomic_load(&replica->failed) && !replica->closing) turn(replica);
	if (atomic_load(&replica->failed)) {
		ftsi_propose_lost(replica);
		ftsi_propose_refuse_all(replica, "this node has failed");
		ftsi_transfer_end(replica, "this node has failed");
		ftsi_membership_stop(replica, "this node has failed");
		ftsi_read_refuse_all(replica);
	}
	ftsi_loop_go_on_stopping(replica);
	tell_status(replica, worked);
}

/* ---- Wake-ups ---- */

static bool raft_may_run(const struct fts_replica *replica)
{
	return replica->raft_running && !replica->stopping && !atomic_load(&replica->failed);
}

void ftsi_loop_tick_raft(struct fts_replica *replica)
{
	if (!raft_may_run(replica) || !ftsi_guard_may_tick(replica)) return;
	ftsi_guard_before_tick(replica);
	replica->raft_tick(&replica->io);
	ftsi_guard_observe(replica);
}

static void tick(struct fts_replica *replica)
{
	uint64_t now_ns = replica->now_ns;
	ftsi_loop_tick_raft(replica);
	ftsi_propose_check_disk(replica, now_ns);
	ftsi_propose_expire(replica, now_ns);
	ftsi_read_expire(replica, now_ns);
	ftsi_forming_tick(replica, now_ns);
	if (!raft_may_run(replica)) return;
	ftsi_transfer_tick(replica, now_ns);
	ftsi_read_index_tick(replica, now_ns);
	ftsi_members_tick(replica, now_ns);
	ftsi_state_tick(replica, now_ns);
	ftsi_membership_tick(replica, now_ns);
	ftsi_format_tick(replica, now_ns);
}

/* Those who did not hear of the last commit by the next entry hear of it now. */
static void tell_commit(struct fts_replica *replica)
{
	replica->commit_tell_ns = 0;
	if (!raft_may_run(replica) || raft_state(&replica->raft) != RAFT_LEADER) return;
	ftsi_members_want_commit(replica);
	ftsi_loop_tick_raft(replica);
}

/* A turn that took long, a machine that is busy, a process that was stopped: whoever wonders about elections or slow
 * calls sees it in the status. */
static void note_lateness(struct fts_replica *replica, uint64_t late_ns)
{
	uint64_t late_ms = late_ns / 1000000;
	if (late_ms < FTSI_STALL_MS) return;
	if (late_ms > UINT32_MAX) late_ms = UINT32_MAX;
	if (replica->stalls.count < UINT32_MAX) replica->stalls.count++;
	if (late_ms > replica->stalls.max_ms) replica->stalls.max_ms = (uint32_t)late_ms;
}

static void run_timers(struct fts_replica *replica)
{
	uint64_t now_ns = replica->now_ns;
	if (now_ns >= replica->tick_ns) {
		note_lateness(replica, now_ns - replica->tick_ns);
		replica->tick_ns = now_ns + (uint64_t)replica->tick_ms * 1000000;
		tick(replica);
	}
	if (replica->commit_tell_ns != 0 && now_ns >= replica->commit_tell_ns) tell_commit(replica);
	if (raft_may_run(replica) && now_ns >= ftsi_elections_next_ns(replica)) ftsi_elections_run(replica);
	if (now_ns >= replica->turn_ns) {
		replica->turn_ns = now_ns + (uint64_t)FTSI_TURN_MS * 1000000;
		if (!replica->stopping && !atomic_load(&replica->failed)) run_turns(replica);
	}
}

void ftsi_loop_moves(struct fts_replica *replica)
{
	if (replica->strand != NULL) fts_strand_move(replica->strand);
}

static void run_posts(struct fts_replica *replica)
{
	struct ftsi_post *post = ftsi_mailbox_take(&replica->mailbox);
	while (post != NULL) {
		struct ftsi_post *next = post->next; /* post is gone once it has run */
		post->run(replica, post);
		post = next;
	}
}

static void wake(struct fts_replica *replica, bool worked)
{
	replica->now_ns = ftsi_now_ns(replica);
	ftsi_loop_moves(replica);
	run_posts(replica);
	run_timers(replica);
	ftsi_loop_turn(replica, worked);
}

uint64_t ftsi_replica_next_ns(const struct fts_replica *replica)
{
	uint64_t next_ns = replica->tick_ns < replica->turn_ns ? replica->tick_ns : replica->turn_ns;
	uint64_t election_ns = raft_may_run(replica) ? ftsi_elections_next_ns(replica) : UINT64_MAX;
	if (replica->ended) return UINT64_MAX;
	if (replica->commit_tell_ns != 0 && replica->commit_tell_ns < next_ns) next_ns = replica->commit_tell_ns;
	return election_ns < next_ns ? election_ns : next_ns;
}

void ftsi_replica_step(struct fts_replica *replica)
{
	if (!replica->ended) wake(replica, true);
}

static void on_timer(uv_timer_t *timer);

static void arm(struct fts_replica *replica)
{
	uint64_t next_ns = ftsi_replica_next_ns(replica), now_ns;
	if (replica->ended || next_ns == replica->armed_ns) return;
	replica->armed_ns = next_ns;
	uv_update_time(&replica->uv);
	now_ns = ftsi_now_ns(replica);
	(void)uv_timer_start(&replica->timer, on_timer, next_ns <= now_ns ? 0 : (next_ns - now_ns + 999999) / 1000000,
			     0);
}

static void on_timer(uv_timer_t *timer)
{
	struct fts_replica *replica = timer->data;
	replica->armed_ns = 0;
	wake(replica, false);
	arm(replica);
}

static void on_wake(uv_async_t *async)
{
	struct fts_replica *replica = async->data;
	wake(replica, true);
	arm(replica);
}

/* ---- Start ---- */

static int make_handles(struct fts_replica *replica)
{
	replica->now_ns = replica->started_ns = ftsi_now_ns(replica);
	replica->tick_ns = replica->now_ns + (uint64_t)replica->tick_ms * 1000000;
	replica->turn_ns = replica->now_ns + (uint64_t)FTSI_TURN_MS * 1000000;
	atomic_store(&replica->leader_heard_ns, replica->now_ns);
	if (replica->environment->stepped) {
		replica->loop_open = ftsi_mailbox_init(&replica->mailbox, NULL, NULL, NULL) == 0;
		return replica->loop_open ? 0 : -1;
	}
	if (uv_loop_init(&replica->uv) != 0) return -1;
	replica->loop_open = true;
	replica->timer.data = replica;
	if (ftsi_mailbox_init(&replica->mailbox, &replica->uv, on_wake, replica) != 0 ||
	    uv_timer_init(&replica->uv, &replica->timer) != 0)
		return -1;
	return 0;
}

static int init_raft(struct fts_replica *replica)
{
	char text[FTSI_MEMBER_TEXT_BYTES];
	int result;
	ftsi_raft_io_init(replica);
	ftsi_fsm_init(replica);
	result = raft_init(&replica->raft, &replica->io, &replica->fsm, replica->identity.node_id,
			   ftsi_member_text(replica->name, replica->address, text));
	if (result != 0) return result;
	replica->raft_open = true;
	replica->raft.data = replica;
	raft_set_heartbeat_timeout(&replica->raft, replica->heartbeat_ms);
	raft_set_election_timeout(&replica->raft, replica->election_ms);
	raft_set_pre_vote(&replica->raft, true);
	/* An offer carries a name, not a state: said again it costs nothing, and the one who lost it goes on at once.
	 */
	raft_set_install_snapshot_timeout(&replica->raft, FTSI_OFFER_MS);
	raft_set_max_catch_up_rounds(&replica->raft, FTSI_CATCH_UP_ROUNDS);
	raft_set_max_catch_up_round_duration(&replica->raft, FTSI_CATCH_UP_ROUND_MS);
	ftsi_guard_snapshot_due(replica, false);
	return 0;
}

int ftsi_loop_start_raft(struct fts_replica *replica)
{
	int result = init_raft(replica);
	if (result == 0) result = raft_start(&replica->raft);
	if (result != 0) {
		ftsi_loop_fail(replica, FTS_INTERNAL, "the log can't be started: %s", raft_errmsg(&replica->raft));
		return result;
	}
	if ((result = ftsi_state_settle(replica)) != 0) return result;
	replica->raft_running = true;
	replica->elections.leaderless_ns = replica->now_ns;
	replica->elections.ready_index = UINT64_MAX;
	atomic_store(&replica->sole, is_sole_voter(replica));
	ftsi_elections_begin(replica);
	return 0;
}

int ftsi_loop_start(struct fts_replica *replica)
{
	if (!replica->environment->stepped) {
		replica->strand = fts_strand_of("fts-loop", 0);
		fts_strand_add(replica->strand, 1); /* a turn is always due: raft ticks */
	}
	if (make_handles(replica) != 0) {
		ftsi_loop_fail(replica, FTS_RESOURCE_EXHAUSTED, "no memory for the replica");
		return -1;
	}
	ftsi_worker_start(&replica->append_worker, &replica->mailbox, replica->environment, "fts-append",
			  APPEND_MS_MAX);
	ftsi_worker_start(&replica->snapshot_worker, &replica->mailbox, replica->environment, "fts-snapshot",
			  STATE_MS_MAX);
	ftsi_worker_start(&replica->state_worker, &replica->mailbox, replica->environment, "fts-state", STATE_MS_MAX);
	if (ftsi_replica_open_network(replica) != 0) return -1;
	if (ftsi_forming_is_over(replica) && ftsi_loop_start_raft(replica) != 0) return -1;
	replica->started = true;
	ftsi_forming_begin(replica);
	atomic_store(&replica->accepting, true);
	ftsi_loop_turn(replica, true);
	return 0;
}

static void run_loop(struct fts_replica *replica)
{
	if (replica->environment->stepped) {
		for (uint32_t i = 0; i < STOP_STEPS_MAX && !replica->ended; i++)
			ftsi_replica_step(replica);
		FTS_ASSERT(replica->ended); /* else a job was never ended by its environment */
		replica->loop_open = false;
		return;
	}
	arm(replica);
	(void)uv_run(&replica->uv, UV_RUN_DEFAULT);
	(void)uv_loop_close(&replica->uv);
	replica->loop_open = false;
}

void ftsi_loop_run(struct fts_replica *replica)
{
	if (replica->loop_open) run_loop(replica);
	if (replica->strand != NULL) fts_strand_drop(replica->strand, 1);
	replica->strand = NULL;
}
