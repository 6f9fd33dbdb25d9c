/* Why this file exists: see replica/guards.h, which has the reason of each guard. */
#include "replica/guards.h"

#include <limits.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "replica/configuration.h"

enum { THRESHOLD_NEVER = INT_MAX };

/* ---- A leader's first entry ---- */

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

static void drop_results(struct fts_replica *replica)
{
	for (size_t i = 0; i < FTSI_MEMBER_MAX; i++)
		replica->guards.results[i].server_id = 0;
}

static void step_down(struct fts_replica *replica)
{
	atomic_store(&replica->serving, false);
	replica->barrier_term = 0;
	drop_results(replica);
}

static void append_barrier(struct fts_replica *replica)
{
	struct raft *raft = &replica->raft;
	FTS_ASSERT(raft->last_stored == raft_last_index(raft)); /* elected on what is on disk: see may_tick */
	replica->barrier.data = replica;
	replica->barrier_term = raft->current_term;
	replica->guards.barrier_index = raft_last_index(raft) + 1;
	if (raft_barrier(raft, &replica->barrier, barrier_done) != 0)
		replica->barrier_term = 0; /* tried again at the next tick */
}

static void check_indexes(const struct fts_replica *replica)
{
	const struct raft *raft = &replica->raft;
	FTS_ASSERT(raft->last_applied <= raft->commit_index);
	FTS_ASSERT(raft->commit_index <= raft_last_index((struct raft *)raft));
	FTS_ASSERT(raft->last_stored <= raft_last_index((struct raft *)raft));
}

static void keep_committed(struct fts_replica *replica)
{
	struct ftsi_guards *guards = &replica->guards;
	const struct raft *raft = &replica->raft;
	struct raft_configuration copy;
	if (raft->configuration_uncommitted_index != 0 || raft->configuration_index == guards->committed_index ||
	    raft->configuration_index > raft->commit_index)
		return;
	if (ftsi_configuration_copy(&raft->configuration, &copy) != FTS_OK) return; /* again at the next turn */
	raft_configuration_close(&guards->committed);
	guards->committed = copy;
	guards->committed_index = raft->configuration_index;
}

void ftsi_guard_observe(struct fts_replica *replica)
{
	unsigned short state = (unsigned short)raft_state(&replica->raft);
	if (atomic_load(&replica->failed) || !replica->raft_running || replica->closing) return;
	if (state == RAFT_UNAVAILABLE) {
		ftsi_loop_fail(replica, FTS_INTERNAL, "the log engine has given up at entry %llu of term %llu",
			       raft_last_index(&replica->raft), replica->raft.current_term);
		return;
	}
	ftsi_outbox_settle(replica);
	check_indexes(replica);
	keep_committed(replica);
	if (state != RAFT_LEADER) {
		/* libraft lets who was promised leadership have a second vote in a term: the promise ends here */
		replica->raft.transfer = NULL;
		if (replica->state_seen == RAFT_LEADER) step_down(replica);
	}
	replica->state_seen = state;
	if (state == RAFT_LEADER && replica->barrier_term != replica->raft.current_term) append_barrier(replica);
}

/* libraft takes the last change it finds for committed. Whether it is nobody knows yet, but the one before is. */
enum fts_status ftsi_guard_loaded(struct fts_replica *replica, const struct raft_snapshot *snapshot,
				  raft_index first_index, const struct raft_entry *entries, size_t count)
{
	struct ftsi_guards *guards = &replica->guards;
	size_t last = count, before = count; /* places of the last two changes; count: there is none */
	for (size_t i = 0; i < count; i++) {
		if (entries[i].type != RAFT_CHANGE) continue;
		if (snapshot != NULL && first_index + i <= snapshot->index) continue;
		before = last;
		last = i;
	}
	guards->append_term_stands = true;
	guards->proven_index = UINT64_MAX;
	if (before == count && snapshot == NULL) before = last; /* the first entry is everybody's */
	if (before == count && snapshot == NULL) return FTS_OK;
	if (before == count) {
		guards->committed_index = snapshot->configuration_index;
		return ftsi_configuration_copy(&snapshot->configuration, &guards->committed);
	}
	guards->committed_index = first_index + before;
	return ftsi_configuration_decode_entry((struct fts_bytes){entries[before].buf.base, entries[before].buf.len},
					       &guards->committed);
}

void ftsi_guard_end(struct fts_replica *replica)
{
	drop_results(replica);
	replica->guards.timeout_now.server_id = 0;
	raft_configuration_close(&replica->guards.committed);
	raft_configuration_init(&replica->guards.committed);
}

/* ---- What may be counted ---- */

bool ftsi_guard_may_count(struct fts_replica *replica, const struct raft_message *message)
{
	struct raft_message *place = NULL;
	if (raft_state(&replica->raft) != RAFT_LEADER || message->append_entries_result.rejected != 0 ||
	    message->append_entries_result.term != replica->raft.current_term ||
	    (replica->barrier_term == replica->raft.current_term &&
	     replica->raft.last_stored >= replica->guards.barrier_index))
		return true;
	for (size_t i = 0; i < FTSI_MEMBER_MAX; i++) {
		struct raft_message *at = &replica->guards.results[i];
		if (at->server_id == message->server_id) place = at;
		if (at->server_id == 0 && place == NULL) place = at;
	}
	if (place == NULL) return false; /* lost: the next heartbeat asks again */
	*place = *message;
	place->server_address = NULL; /* borrowed: found again by id */
	return false;
}

static void deliver_results(struct fts_replica *replica)
{
	for (size_t i = 0; i < FTSI_MEMBER_MAX; i++) {
		struct raft_message message = replica->guards.results[i];
		replica->guards.results[i].server_id = 0;
		if (message.server_id != 0) ftsi_receive_deliver(replica, &message);
	}
}

void ftsi_guard_skip_snapshot(const struct fts_replica *replica, struct raft_append_entries *message)
{
	const struct raft_log *log = &replica->raft.log;
	raft_index behind;
	if (message->prev_log_index >= log->snapshot.last_index) return;
	behind = log->snapshot.last_index - message->prev_log_index;
	message->prev_log_index = log->snapshot.last_index;
	message->prev_log_term = log->snapshot.last_term;
	if (message->n_entries == 0) return;
	if (behind < message->n_entries) {
		message->n_entries -= (unsigned)behind;
		memmove(message->entries, message->entries + behind, message->n_entries * sizeof *message->entries);
		return;
	}
	raft_free(message->entries[0].batch);
	raft_free(message->entries);
	message->entries = NULL;
	message->n_entries = 0;
}

void ftsi_guard_clamp_commit(struct raft_append_entries *message)
{
	raft_index proven = message->prev_log_index + message->n_entries;
	if (message->leader_commit > proven) message->leader_commit = proven;
}

void ftsi_guard_clamp_result(const struct fts_replica *replica, struct raft_append_entries_result *result)
{
	if (result->rejected == 0 && result->last_log_index > replica->guards.proven_index)
		result->last_log_index = replica->guards.proven_index;
}

bool ftsi_guard_term_stands(const struct fts_replica *replica, raft_term at_append)
{
	return replica->raft.current_term == at_append;
}

bool ftsi_guard_may_send(const struct fts_replica *replica, const struct raft_message *message)
{
	if (message->server_id == 0 || message->server_address == NULL) return false;
	return replica->guards.append_term_stands || message->type != RAFT_IO_APPEND_ENTRIES_RESULT ||
	       message->append_entries_result.rejected != 0;
}

bool ftsi_guard_may_follow(const struct fts_replica *replica, raft_term term)
{
	const struct raft *raft = &replica->raft;
	if (raft->state != RAFT_LEADER || raft->current_term != term) return true;
	FTS_LOG_ERROR("replica.second_leader", "node=%s term=%llu", replica->name, term);
	return false;
}

/* ---- The disk comes first ---- */

bool ftsi_guard_may_append(const struct fts_replica *replica)
{
	return !replica->inflight.active && replica->append_worker.open_count == 0;
}

/* libraft has nothing in its log while a snapshot from another node is being stored. */
static bool is_written(const struct fts_replica *replica)
{
	const struct raft *raft = &replica->raft;
	return replica->append_worker.open_count == 0 && !(raft->snapshot.put.data != NULL && raft->last_stored == 0);
}

bool ftsi_guard_may_tick(const struct fts_replica *replica)
{
	return raft_state((struct raft *)&replica->raft) == RAFT_LEADER || is_written(replica);
}

bool ftsi_guard_may_be_elected(struct fts_replica *replica, const struct raft_message *message)
{
	if (is_written(replica)) return true;
	replica->guards.timeout_now = *message;
	replica->guards.timeout_now.server_address = NULL; /* borrowed: found again by id */
	return false;
}

void ftsi_guard_written(struct fts_replica *replica)
{
	struct raft_message timeout_now = replica->guards.timeout_now;
	if (replica->barrier_term == replica->raft.current_term &&
	    replica->raft.last_stored >= replica->guards.barrier_index)
		deliver_results(replica);
	if (timeout_now.server_id == 0 || !is_written(replica)) return;
	replica->guards.timeout_now.server_id = 0;
	ftsi_receive_deliver(replica, &timeout_now);
}

void ftsi_guard_before_tick(struct fts_replica *replica)
{
	struct raft *raft = &replica->raft;
	raft_time now = raft->io->time(raft->io);
	if (raft_state(raft) != RAFT_CANDIDATE ||
	    now - raft->election_timer_start < raft->candidate_state.randomized_election_timeout)
		return;
	raft->candidate_state.in_pre_vote = true;
	raft->candidate_state.disrupt_leader = false;
}

/* ---- Votes of those who do not know yet that they vote ---- */

static struct raft_server *own_server(struct fts_replica *replica)
{
	struct raft_configuration *configuration = &replica->raft.configuration;
	for (unsigned i = 0; i < configuration->n; i++)
		if (configuration->servers[i].id == replica->raft.id) return &configuration->servers[i];
	return NULL;
}

void ftsi_guard_lend_vote(struct fts_replica *replica, const struct raft_message *message)
{
	struct raft_server *server = own_server(replica);
	if (message->type != RAFT_IO_REQUEST_VOTE || server == NULL) return;
	replica->guards.own_role = server->role;
	replica->guards.vote_is_lent = true;
	server->role = RAFT_VOTER;
}

void ftsi_guard_take_vote_back(struct fts_replica *replica)
{
	struct raft_server *server = own_server(replica);
	if (replica->guards.vote_is_lent && server != NULL) server->role = replica->guards.own_role;
	replica->guards.vote_is_lent = false;
}

/* ---- Snapshots and configurations ---- */

bool ftsi_guard_may_snapshot(const struct fts_replica *replica)
{
	return replica->raft.configuration_uncommitted_index == 0 &&
	       replica->raft.configuration_index <= replica->raft.commit_index;
}

void ftsi_guard_snapshot_due(struct fts_replica *replica, bool due)
{
	raft_set_snapshot_threshold(&replica->raft, due ? 1 : THRESHOLD_NEVER);
}

/* The term of entry index in libraft's memory; 0: it has none. (log.c of libraft: a ring of entries.) */
static raft_term term_of(const struct raft_log *log, raft_index index)
{
	size_t count = log->front <= log->back ? log->back - log->front : log->size - log->front + log->back;
	if (index <= log->offset || index > log->offset + count) return 0;
	return log->entries[(log->front + (size_t)(index - log->offset - 1)) % log->size].term;
}

/* This log has the entry behind which message goes on: otherwise the engine refuses it, and takes nothing back. */
static bool fits(const struct raft_log *log, const struct raft_append_entries *message)
{
	raft_index before = message->prev_log_index;
	if (before == 0) return true;
	if (before == log->snapshot.last_index) return message->prev_log_term == log->snapshot.last_term;
	return message->prev_log_term != 0 && term_of(log, before) == message->prev_log_term;
}

/* The first entry of ours that message takes back; 0: none. */
static raft_index conflict_of(const struct raft_log *log, const struct raft_append_entries *message)
{
	if (!fits(log, message)) return 0;
	for (unsigned i = 0; i < message->n_entries; i++) {
		raft_index index = message->prev_log_index + 1 + i;
		raft_term term = term_of(log, index);
		if (term == 0) return 0;
		if (term != message->entries[i].term) return index;
	}
	return 0;
}

void ftsi_guard_roll_back(struct fts_replica *replica, const struct raft_append_entries *message)
{
	struct raft *raft = &replica->raft;
	raft_index pending = raft->configuration_uncommitted_index != 0 ? raft->configuration_uncommitted_index
									: raft->configuration_index;
	raft_index conflict;
	struct raft_configuration copy;
	if (pending <= raft->commit_index || replica->guards.committed_index == 0 || message->n_entries == 0) return;
	conflict = conflict_of(&raft->log, message);
	if (conflict == 0 || conflict > pending) return;
	if (ftsi_configuration_copy(&replica->guards.committed, &copy) != FTS_OK) {
		ftsi_loop_fail(replica, FTS_RESOURCE_EXHAUSTED, "no memory for the members");
		return;
	}
	raft_configuration_close(&raft->configuration);
	raft->configuration = copy;
	raft->configuration_index = replica->guards.committed_index;
	raft->configuration_uncommitted_index = 0;
	FTS_LOG_INFO("replica.members_back", "node=%s index=%llu", replica->name, raft->configuration_index);
}

void ftsi_guard_installed(struct fts_replica *replica)
{
	replica->raft.configuration_uncommitted_index = 0;
}
