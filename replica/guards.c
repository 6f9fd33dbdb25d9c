/* Why this file exists: see replica/guards.h, which has the reason of each guard. */
#include "replica/guards.h"

#include <limits.h>

#include "base/log.h"

enum { THRESHOLD_NEVER = INT_MAX };

static void barrier_done(struct raft_barrier *request, int status)
{
	struct fts_replica *replica = request->data;
	if (status != 0) {
		replica->barrier_term = 0;
		return;
	}
	if (raft_state(&replica->raft) == RAFT_LEADER && replica->barrier_term == replica->raft.current_term) {
		atomic_store(&replica->serving, true);
		FTS_LOG_INFO("replica.leading", "node=%s term=%llu index=%llu", replica->name,
			     replica->raft.current_term, replica->raft.commit_index);
	}
}

static void step_down(struct fts_replica *replica)
{
	atomic_store(&replica->serving, false);
	replica->barrier_term = 0;
}

void ftsi_guard_observe(struct fts_replica *replica)
{
	unsigned short state = (unsigned short)raft_state(&replica->raft);
	if (atomic_load(&replica->failed)) return;
	if (state != RAFT_LEADER && replica->state_seen == RAFT_LEADER) step_down(replica);
	replica->state_seen = state;
	if (state != RAFT_LEADER || replica->barrier_term == replica->raft.current_term) return;
	replica->barrier.data = replica;
	replica->barrier_term = replica->raft.current_term;
	if (raft_barrier(&replica->raft, &replica->barrier, barrier_done) != 0)
		replica->barrier_term = 0; /* tried again at the next tick */
}

bool ftsi_guard_may_append(const struct fts_replica *replica)
{
	return !replica->inflight.active && replica->append_worker.open_count == 0;
}

bool ftsi_guard_may_snapshot(const struct fts_replica *replica)
{
	return replica->raft.configuration_uncommitted_index == 0;
}

void ftsi_guard_snapshot_due(struct fts_replica *replica, bool due)
{
	raft_set_snapshot_threshold(&replica->raft, due ? 1 : THRESHOLD_NEVER);
}

bool ftsi_guard_term_stands(const struct fts_replica *replica, raft_term at_append)
{
	return replica->raft.current_term == at_append;
}

bool ftsi_guard_may_send(const struct fts_replica *replica, const struct raft_message *message)
{
	if (message->server_id == 0 || message->server_address == NULL) return false;
	return replica->append_term_stands || message->type != RAFT_IO_APPEND_ENTRIES_RESULT ||
	       message->append_entries_result.rejected != 0;
}

bool ftsi_guard_may_tick(const struct fts_replica *replica)
{
	return raft_state((struct raft *)&replica->raft) == RAFT_LEADER ||
	       (replica->append_worker.open_count == 0 && !replica->snapshot_running);
}
