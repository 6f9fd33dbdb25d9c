/* Why this file exists: what becomes of a message that arrives, and of the news of connections.
 *
 * Invariants: libraft sees only what is from a member of this cluster to this node, what makes sense, and what the
 * guards let through. A message is lost when there is no memory for it, as on any network. */
#include "base/log.h"
#include "fts/replica/v1/peer.pb-c.h"
#include "replica/allocator.h"
#include "replica/forming.h"
#include "replica/guards.h"
#include "replica/message.h"
#include "replica/state.h"

#define UNPACK_BYTES_MAX ((size_t)48 * 1024 * 1024)

static bool raft_takes_messages(const struct fts_replica *replica)
{
	return replica->raft_running && !replica->closing && !atomic_load(&replica->failed);
}

/* ---- To libraft ---- */

/* A node whose disk is down to its reserve, or whose memory is full of log, takes no more commands, but goes on voting,
 * and takes what a new leader needs. What is left out is sent again until there is room. */
static void leave_out_commands(struct fts_replica *replica, struct raft_append_entries *append)
{
	unsigned n = 0;
	if (!atomic_load(&replica->disk_full) && !ftsi_state_is_full(replica)) return;
	while (n < append->n_entries && append->entries[n].type != RAFT_COMMAND)
		n++;
	append->n_entries = n;
	if (n > 0 || append->entries == NULL) return;
	raft_free(append->entries[0].batch);
	raft_free(append->entries);
	append->entries = NULL;
}

static void before_append(struct fts_replica *replica, struct raft_append_entries *append)
{
	leave_out_commands(replica, append);
	if (append->term >= replica->raft.current_term) ftsi_guard_skip_snapshot(replica, append);
	ftsi_guard_clamp_commit(append);
	if (append->term < replica->raft.current_term) return;
	ftsi_guard_roll_back(replica, append);
	replica->guards.proven_index = append->prev_log_index + append->n_entries;
}

static bool may_deliver(struct fts_replica *replica, const struct raft_message *message)
{
	switch (message->type) {
	case RAFT_IO_APPEND_ENTRIES:
		return !ftsi_state_is_installing(replica) &&
		       ftsi_guard_may_follow(replica, message->append_entries.term);
	case RAFT_IO_APPEND_ENTRIES_RESULT:
		return ftsi_guard_may_count(replica, message);
	case RAFT_IO_REQUEST_VOTE:
		return ftsi_elections_may_vote(replica, message);
	case RAFT_IO_TIMEOUT_NOW:
		return ftsi_guard_may_be_elected(replica, message);
	default:
		return true;
	}
}

void ftsi_receive_deliver(struct fts_replica *replica, struct raft_message *message)
{
	const struct ftsi_member *member = ftsi_member_by_id(replica, message->server_id);
	struct raft *raft = &replica->raft;
	uint64_t told = message->type == RAFT_IO_APPEND_ENTRIES ? message->append_entries.leader_commit : 0;
	raft_term term = message->type == RAFT_IO_APPEND_ENTRIES ? message->append_entries.term : 0;
	if (member == NULL || !raft_takes_messages(replica) || !may_deliver(replica, message)) {
		ftsi_message_drop(message);
		return;
	}
	message->server_address = member->text;
	if (message->type == RAFT_IO_APPEND_ENTRIES) before_append(replica, &message->append_entries);
	ftsi_guard_lend_vote(replica, message);
	replica->raft_recv(&replica->io, message);
	ftsi_guard_take_vote_back(replica);
	replica->guards.proven_index = UINT64_MAX;
	if (message->type == RAFT_IO_APPEND_ENTRIES_RESULT && message->append_entries_result.rejected == 0)
		ftsi_outbox_confirmed(replica, message->server_id);
	ftsi_guard_observe(replica);
	if (term != 0 && term == raft->current_term && raft_state(raft) == RAFT_FOLLOWER)
		ftsi_elections_leader_heard(replica, told);
}

static void receive_raft(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	struct raft_message decoded;
	if (!ftsi_message_decode(message, &decoded)) {
		FTS_LOG_DEBUG("replica.odd_message", "node=%s from=%016llx kind=%d", replica->name,
			      (unsigned long long)message->from, (int)message->kind_case);
		return;
	}
	ftsi_receive_deliver(replica, &decoded);
}

/* ---- All kinds ---- */

static void dispatch(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	switch (message->kind_case) {
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES:
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES_RESULT:
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE:
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT:
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_TIMEOUT_NOW:
		receive_raft(replica, message);
		return;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_PROBE:
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_ACK:
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_ASK:
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_TOLD:
		ftsi_read_index_receive(replica, message);
		return;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_PULSE:
		ftsi_members_pulse(replica, message);
		return;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_PROPOSAL:
		ftsi_own_receive(replica, message->proposal->method,
				 (struct fts_bytes){message->proposal->payload.data, message->proposal->payload.len});
		return;
	default:
		(void)ftsi_state_receive(replica, message);
		return;
	}
}

void ftsi_replica_receive(struct fts_replica *replica, struct fts_bytes bytes)
{
	struct fts_arena *arena;
	ProtobufCAllocator allocator;
	Fts__Replica__V1__PeerMessage *message;
	if (replica->ended || replica->closing) return;
	arena = fts_arena_acquire(replica->apply_pool, UNPACK_BYTES_MAX);
	if (arena == NULL) return;
	allocator = ftsi_arena_allocator(arena);
	message = fts__replica__v1__peer_message__unpack(&allocator, bytes.size_bytes, bytes.data);
	if (message != NULL) {
		if (message->kind_case == FTS__REPLICA__V1__PEER_MESSAGE__KIND_HELLO) {
			ftsi_members_learn(replica, message->from, message->hello->name, message->hello->address);
			ftsi_members_note_program(replica, message->from, message->hello->format_max,
						  message->hello->version);
		}
		ftsi_members_heard(replica, message->from);
		if (!ftsi_forming_receive(replica, message)) dispatch(replica, message);
	}
	fts_arena_release(arena);
}

/* ---- Connections ---- */

void ftsi_replica_connected(struct fts_replica *replica, const char *address)
{
	const struct ftsi_member *member;
	if (replica->ended || replica->closing) return;
	member = ftsi_members_connected(replica, address, true);
	if (member != NULL && raft_takes_messages(replica)) {
		ftsi_elections_connected(replica, member);
		ftsi_member_offer_again(replica, member);
	}
	ftsi_forming_connected(replica, address);
}

void ftsi_replica_disconnected(struct fts_replica *replica, const char *address)
{
	struct ftsi_member *member;
	if (replica->ended || replica->closing) return;
	member = ftsi_members_connected(replica, address, false);
	if (member != NULL && raft_takes_messages(replica)) ftsi_elections_disconnected(replica, member);
}
