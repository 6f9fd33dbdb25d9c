/* Why this file exists: commands that nodes propose of themselves: on the leader straight into its queue, elsewhere
 * sent on to the leader.
 *
 * Invariants: a suggestion is taken only for a method that callers can't reach otherwise, or that changes state like
 * any other; what it does is up to the transition, which may see it twice, late, or never. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fts/replica/v1/peer.pb-c.h"
#include "replica/internal.h"
#include "replica/outbox.h"

/* Freed when it is finished, or when it could not be posted. */
struct own_command {
	struct ftsi_slot slot; /* first */
	fts_propose_fn done;
	void *ctx;
	uint8_t payload[];
};

static void finish_own(struct fts_replica *replica, struct ftsi_slot *slot)
{
	struct own_command *own = (struct own_command *)(void *)slot;
	const struct ftsi_outcome *outcome = &slot->outcome;
	struct fts_error error = {
	    .status = outcome->status, .executed = outcome->executed, .retry_after_ms = outcome->retry_after_ms};
	(void)replica;
	if (outcome->status != FTS_OK) (void)snprintf(error.detail, sizeof error.detail, "%s", outcome->detail);
	if (own->done != NULL)
		own->done(own->ctx, outcome->status, outcome->payload, outcome->status == FTS_OK ? NULL : &error);
	free(own);
}

/* A command with room for its payload. NULL: no memory. */
static struct own_command *make_own(uint32_t method_id, size_t size_bytes)
{
	struct own_command *own = calloc(1, sizeof *own + size_bytes);
	if (own == NULL) return NULL;
	own->slot.finish = finish_own;
	own->slot.deadline_ns = UINT64_MAX;
	own->slot.command.method = method_id;
	own->slot.command.payload = (struct fts_bytes){own->payload, size_bytes};
	return own;
}

static struct own_command *pack_own(struct fts_replica *replica, const struct fts_method *method,
				    const ProtobufCMessage *request)
{
	size_t size = protobuf_c_message_get_packed_size(request);
	FTS_ASSERT(ftsi_target_find(replica, method->id) != NULL && method->mutates && size <= FTS_MESSAGE_MAX);
	struct own_command *own = make_own(method->id, size);
	if (own != NULL) (void)protobuf_c_message_pack(request, own->payload);
	return own;
}

enum fts_status fts_replica_propose(struct fts_replica *replica, const struct fts_method *method,
				    const ProtobufCMessage *request, fts_propose_fn done, void *ctx)
{
	struct own_command *own = pack_own(replica, method, request);
	struct fts_error error;
	enum fts_status status;
	if (own == NULL) return FTS_RESOURCE_EXHAUSTED;
	own->done = done;
	own->ctx = ctx;
	status = ftsi_propose_post(replica, &own->slot, &error);
	if (status != FTS_OK) free(own);
	return status;
}

/* ---- Suggestions ---- */

static void send_on(struct fts_replica *replica, const struct ftsi_command *command)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Proposal proposal = FTS__REPLICA__V1__PROPOSAL__INIT;
	const struct ftsi_member *leader = ftsi_member_by_id(replica, replica->elections.leader_id);
	if (leader == NULL || leader->node_id == replica->identity.node_id) return;
	proposal.method = command->method;
	proposal.payload = (ProtobufCBinaryData){command->payload.size_bytes,
						 (uint8_t *)(uintptr_t)command->payload.data}; /* only read */
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_PROPOSAL;
	message.proposal = &proposal;
	(void)ftsi_outbox_send(replica, leader->node_id, leader->text, &message);
}

static void suggest(struct fts_replica *replica, struct ftsi_post *post)
{
	struct own_command *own = (struct own_command *)(void *)post;
	struct fts_error error;
	if (atomic_load(&replica->serving) && ftsi_propose_post(replica, &own->slot, &error) == FTS_OK) return;
	if (!replica->stopping && !atomic_load(&replica->failed)) send_on(replica, &own->slot.command);
	free(own);
}

void fts_replica_suggest(struct fts_replica *replica, const struct fts_method *method, const ProtobufCMessage *request)
{
	struct own_command *own = pack_own(replica, method, request);
	if (own == NULL) return;
	own->slot.post.run = suggest;
	if (!ftsi_mailbox_post(&replica->mailbox, &own->slot.post)) free(own);
}

void ftsi_own_receive(struct fts_replica *replica, uint32_t method_id, struct fts_bytes payload)
{
	const struct ftsi_target *target = ftsi_target_find(replica, method_id);
	struct own_command *own;
	struct fts_error error;
	if (target == NULL || !target->method->mutates || payload.size_bytes > FTS_MESSAGE_MAX) return;
	own = make_own(method_id, payload.size_bytes);
	if (own == NULL) return;
	if (payload.size_bytes > 0) memcpy(own->payload, payload.data, payload.size_bytes);
	if (ftsi_propose_post(replica, &own->slot, &error) != FTS_OK) free(own);
}
