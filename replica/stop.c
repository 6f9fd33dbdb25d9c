/* Why this file exists: the end of a replica's loop, step by step: what waits is refused, what is in the log is
 * finished, workers become idle, raft is closed, the loop ends.
 *
 * Invariants: after the mailbox is closed nothing reaches the loop any more: all work that was given to the workers has
 * ended. Nothing is waited for that only other nodes can bring about, but for a moment. */
#include "replica/guards.h"
#include "replica/membership.h"
#include "replica/state.h"

enum { STOP_MS_MAX = 2000 };

static void close_handle(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static void end_loop(struct fts_replica *replica)
{
	struct ftsi_post *left = ftsi_mailbox_close(&replica->mailbox);
	while (left != NULL) {
		struct ftsi_post *next = left->next;
		left->run(replica, left);
		left = next;
	}
	ftsi_propose_refuse_all(replica, "this node is stopping");
	ftsi_read_refuse_all(replica);
	replica->ended = true;
	if (!replica->environment->stepped) uv_walk(&replica->uv, close_handle, NULL);
}

static void raft_is_closed(struct raft *raft)
{
	struct fts_replica *replica = raft->data;
	replica->raft_open = false;
	end_loop(replica);
}

/* What a snapshot that never reached its worker still holds. */
static void drop_snapshot_job(struct fts_replica *replica)
{
	struct ftsi_job *job = replica->snapshot_job;
	replica->snapshot_job = NULL;
	if (job != NULL) job->done(replica, job, FTS_CANCELLED);
}

static bool workers_idle(const struct fts_replica *replica)
{
	return replica->append_worker.open_count == 0 && replica->snapshot_worker.open_count == 0 &&
	       ftsi_state_idle(replica);
}

/* An entry on its way gets its time to commit; without a majority it never does, and raft stands still by now. */
static bool is_waited_for(const struct fts_replica *replica)
{
	return replica->inflight.active && !atomic_load(&replica->failed) && replica->now_ns < replica->stop_ns;
}

void ftsi_loop_go_on_stopping(struct fts_replica *replica)
{
	raft_io_close_cb closed = replica->raft_closed;
	if (!replica->stopping || replica->ended || !workers_idle(replica) || is_waited_for(replica)) return;
	if (!replica->closing) {
		replica->closing = true;
		drop_snapshot_job(replica);
		ftsi_outbox_finish(replica);
		ftsi_guard_end(replica);
		if (replica->raft_open)
			raft_close(&replica->raft, raft_is_closed);
		else
			end_loop(replica);
		closed = replica->raft_closed;
	}
	if (closed != NULL) {
		replica->raft_closed = NULL;
		closed(&replica->io);
	}
}

void ftsi_loop_begin_stop(struct fts_replica *replica)
{
	static const char detail[] = "this node is stopping";
	replica->stopping = true;
	replica->stop_ns = ftsi_now_ns(replica) + (uint64_t)STOP_MS_MAX * 1000000;
	ftsi_state_stop(replica);
	atomic_store(&replica->accepting, false);
	atomic_store(&replica->serving, false);
	ftsi_transfer_end(replica, detail);
	ftsi_membership_stop(replica, detail);
	ftsi_propose_refuse_all(replica, detail);
	ftsi_read_refuse_all(replica);
}
