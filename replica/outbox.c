/* Why this file exists: see replica/outbox.h. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fts/replica/v1/peer.pb-c.h"
#include "replica/guards.h"
#include "replica/message.h"

enum { FIRST_CAPACITY = 64, PROGRESS_PROBE = 0, PROGRESS_PIPELINE = 1 /* of libraft's progress.h */ };
#define SCRATCH_KEPT_BYTES ((size_t)1024 * 1024)

/* ---- Bytes ---- */

static uint8_t *scratch(struct ftsi_outbox *outbox, size_t size_bytes)
{
	uint8_t *larger;
	if (outbox->scratch_bytes >= size_bytes) return outbox->scratch;
	larger = realloc(outbox->scratch, size_bytes);
	if (larger == NULL) return NULL;
	outbox->scratch = larger;
	outbox->scratch_bytes = size_bytes;
	return larger;
}

/* One large message must not cost its memory for ever. */
static void trim(struct ftsi_outbox *outbox)
{
	if (outbox->scratch_bytes <= SCRATCH_KEPT_BYTES) return;
	free(outbox->scratch);
	outbox->scratch = NULL;
	outbox->scratch_bytes = 0;
}

bool ftsi_outbox_send(struct fts_replica *replica, uint64_t node_id, const char *address,
		      Fts__Replica__V1__PeerMessage *message)
{
	const struct ftsi_transport *transport = replica->transport;
	size_t size;
	uint8_t *bytes;
	bool taken;
	if (transport == NULL) return false;
	message->cluster_id = replica->identity.cluster_id;
	message->from = replica->identity.node_id;
	message->to = node_id;
	size = fts__replica__v1__peer_message__get_packed_size(message);
	bytes = scratch(&replica->outbox, size);
	if (bytes == NULL) return false; /* lost, as on any network */
	fts__replica__v1__peer_message__pack(message, bytes);
	taken = transport->send(transport->ctx, address, (struct fts_bytes){bytes, size});
	trim(&replica->outbox);
	return taken;
}

/* ---- What libraft sends ---- */

static void remember(struct fts_replica *replica, struct raft_io_send *request, raft_io_send_cb done, int status)
{
	struct ftsi_outbox *outbox = &replica->outbox;
	if (done == NULL) return; /* the request may be gone already */
	if (outbox->count == outbox->capacity) {
		size_t capacity = outbox->capacity == 0 ? FIRST_CAPACITY : 2 * outbox->capacity;
		struct ftsi_sent *larger = realloc(outbox->sent, capacity * sizeof *larger);
		FTS_ASSERT(larger != NULL); /* a few hundred bytes; without them libraft leaks or waits for ever */
		outbox->sent = larger;
		outbox->capacity = capacity;
	}
	outbox->sent[outbox->count++] = (struct ftsi_sent){request, done, status};
}

/* How many of message's entries may go now. */
static unsigned bound(struct fts_replica *replica, const struct raft_message *message)
{
	const struct raft_append_entries *append = &message->append_entries;
	const struct ftsi_transport *transport = replica->transport;
	size_t size = 0;
	unsigned n = 0;
	if (append->n_entries == 0 || transport == NULL) return append->n_entries;
	if (transport->backlog_bytes(transport->ctx, message->server_address) > FTSI_BACKLOG_BYTES_MAX) return 0;
	while (n < append->n_entries) {
		size += append->entries[n].buf.len;
		if (n > 0 && size > FTSI_APPEND_BYTES_MAX) break;
		n++;
	}
	return n;
}

static int send_append(struct fts_replica *replica, const struct raft_message *message)
{
	struct ftsi_member *member = ftsi_member_by_id(replica, message->server_id);
	struct raft_message bounded = *message;
	struct raft_append_entries *append = &bounded.append_entries;
	raft_index next_index;
	append->n_entries = bound(replica, message);
	next_index = append->prev_log_index + append->n_entries + 1;
	if (member == NULL) return RAFT_NOCONNECTION;
	if (member->next_index != 0) return 0; /* settled first, then sent on */
	if (append->n_entries < message->append_entries.n_entries) {
		member->next_index = next_index;
		replica->outbox.cut = true;
		if (append->n_entries == 0) return 0; /* what waits there already will be answered: then it goes on */
	}
	if (!ftsi_message_send(replica, &bounded)) return RAFT_NOCONNECTION;
	if (append->leader_commit > member->commit_told) member->commit_told = append->leader_commit;
	return 0;
}

int ftsi_outbox_send_raft(struct fts_replica *replica, struct raft_io_send *request, const struct raft_message *message,
			  raft_io_send_cb done)
{
	struct raft_message changed = *message;
	int status = 0;
	if (!ftsi_guard_may_send(replica, message))
		status = RAFT_NOCONNECTION;
	else if (message->type == RAFT_IO_APPEND_ENTRIES)
		status = send_append(replica, message);
	else {
		if (message->type == RAFT_IO_APPEND_ENTRIES_RESULT)
			ftsi_guard_clamp_result(replica, &changed.append_entries_result);
		if (!ftsi_message_send(replica, &changed)) status = RAFT_NOCONNECTION;
	}
	remember(replica, request, done, status);
	return 0;
}

void ftsi_outbox_settle(struct fts_replica *replica)
{
	struct raft *raft = &replica->raft;
	bool leads = raft_state(raft) == RAFT_LEADER;
	if (!replica->outbox.cut) return;
	replica->outbox.cut = false;
	for (size_t i = 0; i < replica->members.count; i++) {
		struct ftsi_member *member = &replica->members.each[i];
		raft_index next_index = member->next_index;
		member->next_index = 0;
		if (!leads || next_index == 0) continue;
		for (unsigned j = 0; j < raft->configuration.n; j++) {
			struct raft_progress *progress = &raft->leader_state.progress[j];
			if (raft->configuration.servers[j].id != member->node_id) continue;
			if (progress->state == PROGRESS_PIPELINE && progress->next_index > next_index)
				progress->next_index = next_index;
		}
	}
}

void ftsi_outbox_confirmed(struct fts_replica *replica, uint64_t node_id)
{
	const struct raft *raft = &replica->raft;
	if (raft->state != RAFT_LEADER) return;
	for (unsigned i = 0; i < raft->configuration.n; i++) {
		struct raft_progress *progress = &raft->leader_state.progress[i];
		if (raft->configuration.servers[i].id == node_id && progress->state == PROGRESS_PROBE &&
		    progress->match_index != 0 && progress->next_index == progress->match_index + 1)
			progress->state = PROGRESS_PIPELINE;
	}
}

void ftsi_outbox_finish(struct fts_replica *replica)
{
	struct ftsi_outbox *outbox = &replica->outbox;
	/* A callback sends nothing itself, but let it be so: what it adds is told as well. */
	for (size_t i = 0; i < outbox->count; i++)
		outbox->sent[i].done(outbox->sent[i].request, outbox->sent[i].status);
	outbox->count = 0;
}

void ftsi_outbox_destroy(struct fts_replica *replica)
{
	FTS_ASSERT(replica->outbox.count == 0);
	free(replica->outbox.sent);
	free(replica->outbox.scratch);
}
