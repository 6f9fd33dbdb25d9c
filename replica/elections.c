/* Why this file exists: who leads, and getting a new leader quickly when the old one is gone.
 *
 * libraft starts an election when its timer has run out. The end of a connection says it much sooner: then the leader
 * is forgotten at once and the live voters stand for election one after the other, the lowest id first. It is a hint
 * only. When just a line has broken, the others still hear their leader, refuse their votes, and nothing happens
 * (pre-vote).
 *
 * libraft refuses its vote while it knows a leader, and it knows one until its own timer ends: so it is made to forget
 * one that has been silent for the election time (thesis 4.2.3 and 9.6 ask for no more). A candidate may hear of a
 * death a moment before its voters do: what it asks is held until they do, HELD_MS at most. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "replica/guards.h"
#include "replica/member_text.h"

enum { RANK_MS = 15, HELD_MS = 30, SLOW_RANKS = 4, SPREAD_DIVISOR = 2 };

static uint64_t ns(uint64_t ms)
{
	return ms * 1000000;
}

/* ---- What libraft knows of the leader ---- */

static raft_id leader_of(const struct raft *raft)
{
	if (raft->state == RAFT_LEADER) return raft->id;
	return raft->state == RAFT_FOLLOWER ? raft->follower_state.current_leader.id : 0;
}

static void forget_leader(struct raft *raft)
{
	if (raft->state != RAFT_FOLLOWER) return;
	raft_free(raft->follower_state.current_leader.address);
	raft->follower_state.current_leader.address = NULL;
	raft->follower_state.current_leader.id = 0;
}

static bool is_silent(const struct fts_replica *replica)
{
	const struct raft *raft = &replica->raft;
	return raft->io->time((struct raft_io *)&replica->io) - raft->election_timer_start >= raft->election_timeout;
}

static bool is_voter(const struct raft *raft, raft_id id)
{
	for (unsigned i = 0; i < raft->configuration.n; i++)
		if (raft->configuration.servers[i].id == id) return raft->configuration.servers[i].role == RAFT_VOTER;
	return false;
}

/* ---- Elections before their time ---- */

/* How many live voters stand before this node. */
static uint32_t rank(const struct fts_replica *replica)
{
	const struct raft *raft = &replica->raft;
	uint32_t before = atomic_load(&replica->disk_slow) || atomic_load(&replica->disk_full) ? SLOW_RANKS : 0;
	for (size_t i = 0; i < replica->members.count; i++) {
		const struct ftsi_member *member = &replica->members.each[i];
		if (member->configured && member->connected && member->node_id < raft->id &&
		    is_voter(raft, member->node_id))
			before++;
	}
	return before;
}

static void stand_for_election(struct fts_replica *replica)
{
	replica->elections.due_ns = replica->now_ns + ns(rank(replica) * RANK_MS);
	replica->elections.due_term = replica->raft.current_term;
	replica->elections.due_at_start = false;
}

/* A cluster that starts need not wait for its timers: a leader that is there says so within a heartbeat. */
void ftsi_elections_begin(struct fts_replica *replica)
{
	if (!is_voter(&replica->raft, replica->raft.id) || atomic_load(&replica->sole)) return;
	replica->elections.due_ns = replica->now_ns + ns(replica->heartbeat_ms);
	replica->elections.due_term = replica->raft.current_term;
	replica->elections.due_at_start = true;
}

/* Whose vote was missing may have come. */
void ftsi_elections_connected(struct fts_replica *replica, const struct ftsi_member *member)
{
	const struct raft *raft = &replica->raft;
	if (leader_of(raft) != 0 || replica->elections.due_ns != 0 || !is_voter(raft, raft->id) ||
	    !is_voter(raft, member->node_id) || (raft->state == RAFT_CANDIDATE && !raft->candidate_state.in_pre_vote))
		return;
	ftsi_elections_begin(replica);
}

static void deliver_votes(struct fts_replica *replica, bool all)
{
	for (size_t i = 0; i < FTSI_MEMBER_MAX; i++) {
		struct ftsi_held_vote held = replica->elections.votes[i];
		struct raft_message message = {
		    .type = RAFT_IO_REQUEST_VOTE, .server_id = held.from, .request_vote = held.request};
		if (held.from == 0 || (!all && held.until_ns > replica->now_ns)) continue;
		replica->elections.votes[i].until_ns = 0; /* its time is over: see may_vote */
		ftsi_receive_deliver(replica, &message);
		replica->elections.votes[i].from = 0;
	}
}

void ftsi_elections_disconnected(struct fts_replica *replica, const struct ftsi_member *member)
{
	struct raft *raft = &replica->raft;
	if (raft->state != RAFT_FOLLOWER || member->node_id == 0 ||
	    raft->follower_state.current_leader.id != member->node_id)
		return;
	FTS_LOG_INFO("replica.leader_lost", "node=%s leader=%s term=%llu", replica->name, member->name,
		     raft->current_term);
	forget_leader(raft);
	if (is_voter(raft, raft->id)) stand_for_election(replica);
	deliver_votes(replica, true);
}

bool ftsi_elections_may_vote(struct fts_replica *replica, const struct raft_message *message)
{
	struct raft *raft = &replica->raft;
	const struct ftsi_member *leader;
	struct ftsi_held_vote *place = NULL;
	if (raft->state != RAFT_FOLLOWER || raft->follower_state.current_leader.id == 0 ||
	    message->request_vote.disrupt_leader)
		return true;
	leader = ftsi_member_by_id(replica, raft->follower_state.current_leader.id);
	if (is_silent(replica) || leader == NULL || !leader->connected) {
		forget_leader(raft);
		return true;
	}
	for (size_t i = 0; i < FTSI_MEMBER_MAX; i++) {
		struct ftsi_held_vote *at = &replica->elections.votes[i];
		if (at->from == message->server_id) place = at;
		if (at->from == 0 && place == NULL) place = at;
	}
	if (place == NULL || (place->from == message->server_id && place->until_ns == 0)) return true;
	*place = (struct ftsi_held_vote){message->server_id, replica->now_ns + ns(HELD_MS), message->request_vote};
	return false;
}

static void start_election(struct fts_replica *replica)
{
	struct raft *raft = &replica->raft;
	struct ftsi_elections *elections = &replica->elections;
	if (leader_of(raft) != 0 || raft->current_term != elections->due_term || !is_voter(raft, raft->id) ||
	    (raft->state == RAFT_CANDIDATE && !raft->candidate_state.in_pre_vote)) {
		elections->due_ns = 0; /* somebody else was faster */
		return;
	}
	if (!ftsi_guard_may_tick(replica)) return; /* at the turn that ends the append */
	if (elections->due_at_start) {
		stand_for_election(replica);
		if (elections->due_ns > replica->now_ns) return;
	}
	elections->due_ns = 0;
	if (raft->state == RAFT_FOLLOWER)
		raft->follower_state.randomized_election_timeout = 0;
	else
		raft->candidate_state.randomized_election_timeout = 0;
	ftsi_loop_tick_raft(replica);
}

uint64_t ftsi_elections_next_ns(const struct fts_replica *replica)
{
	const struct ftsi_elections *elections = &replica->elections;
	uint64_t next_ns = UINT64_MAX;
	if (elections->due_ns != 0 && ftsi_guard_may_tick(replica)) next_ns = elections->due_ns;
	for (size_t i = 0; i < FTSI_MEMBER_MAX; i++)
		if (elections->votes[i].from != 0 && elections->votes[i].until_ns < next_ns)
			next_ns = elections->votes[i].until_ns;
	return next_ns;
}

void ftsi_elections_run(struct fts_replica *replica)
{
	deliver_votes(replica, false);
	if (replica->elections.due_ns != 0 && replica->elections.due_ns <= replica->now_ns) start_election(replica);
}

/* A smaller spread than libraft's own: few nodes, and a pre-vote that harms nobody. Who would lead badly waits. */
int ftsi_elections_timeout_ms(struct fts_replica *replica, int min_ms)
{
	uint64_t random = replica->environment->random(replica->environment->ctx);
	int spread_ms = min_ms / SPREAD_DIVISOR;
	if (atomic_load(&replica->disk_slow) || atomic_load(&replica->disk_full)) return 2 * min_ms;
	return min_ms + (spread_ms <= 0 ? 0 : (int)(random % (uint64_t)spread_ms));
}

bool ftsi_is_held_too_long(const struct fts_replica *replica, uint64_t arrived_ns, uint64_t now_ns)
{
	uint64_t since_ns = replica->elections.leaderless_ns, hold_ms = 2 * (uint64_t)replica->election_ms;
	if (since_ns < arrived_ns) since_ns = arrived_ns;
	return now_ns - since_ns > ns(hold_ms < FTSI_HOLD_MS_MAX ? hold_ms : FTSI_HOLD_MS_MAX);
}

/* ---- Who leads ---- */

static void note_leader(struct fts_replica *replica, raft_id leader)
{
	struct ftsi_elections *elections = &replica->elections;
	const struct ftsi_member *member = ftsi_member_by_id(replica, leader);
	bool self = leader != 0 && leader == replica->raft.id;
	elections->leader_id = leader;
	elections->leader_term = replica->raft.current_term;
	if (leader == 0 || self) elections->leaderless_ns = replica->now_ns;
	if (leader != 0 && !self) elections->due_ns = 0;
	pthread_mutex_lock(&replica->status_lock);
	(void)snprintf(replica->status.leader_name, sizeof replica->status.leader_name, "%s",
		       self             ? replica->name
		       : member == NULL ? ""
					: member->name);
	(void)snprintf(replica->status.leader_address, sizeof replica->status.leader_address, "%s",
		       self             ? replica->address
		       : member == NULL ? ""
					: member->address);
	pthread_mutex_unlock(&replica->status_lock);
	atomic_store(&replica->leads, leader == 0 ? FTSI_LEADS_NOBODY : self ? FTSI_LEADS_SELF : FTSI_LEADS_OTHER);
	FTS_LOG_INFO("replica.leader", "node=%s leader=%s term=%llu", replica->name,
		     self             ? replica->name
		     : member == NULL ? "none"
				      : member->name,
		     replica->raft.current_term);
	ftsi_members_tell(replica);
}

void ftsi_elections_observe(struct fts_replica *replica)
{
	struct ftsi_elections *elections = &replica->elections;
	raft_id leader = leader_of(&replica->raft);
	if (leader == elections->leader_id && (leader == 0 || elections->leader_term == replica->raft.current_term))
		return;
	note_leader(replica, leader);
	ftsi_read_index_reset(replica);
	if (atomic_load(&replica->leads) == FTSI_LEADS_OTHER) {
		ftsi_propose_refuse_all(replica, "another node leads the log now");
		deliver_votes(replica, true);
	}
}

void ftsi_elections_leader_heard(struct fts_replica *replica, uint64_t leader_commit)
{
	atomic_store(&replica->leader_heard_ns, replica->now_ns);
	if (replica->elections.ready_index == UINT64_MAX) replica->elections.ready_index = leader_commit;
}

bool ftsi_leader_hint(struct fts_replica *replica, char *out)
{
	if (atomic_load(&replica->leads) != FTSI_LEADS_OTHER) return false;
	pthread_mutex_lock(&replica->status_lock);
	memcpy(out, replica->status.leader_address, sizeof replica->status.leader_address);
	pthread_mutex_unlock(&replica->status_lock);
	return out[0] != 0;
}

void ftsi_elections_tell(struct fts_replica *replica, struct fts_replica_status *status)
{
	switch ((enum ftsi_leads)atomic_load(&replica->leads)) {
	case FTSI_LEADS_NOBODY:
		status->ready = false;
		break;
	case FTSI_LEADS_SELF:
		status->ready = atomic_load(&replica->serving);
		break;
	case FTSI_LEADS_OTHER:
		status->ready = replica->elections.ready_index != UINT64_MAX &&
				status->applied_index >= replica->elections.ready_index;
		break;
	}
}
