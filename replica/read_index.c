/* Why this file exists: linearizable reads without a log entry. The leader notes its commit index, asks all voters
 * whether its term still stands, and reads once that index is applied; another node asks the leader for the index,
 * waits until it has applied that much, and reads itself. No clock is trusted. Source: Ongaro (2014), section 6.4.
 *
 * Invariants
 * - One round confirms all reads that wait when it starts, those of other nodes included; what comes later waits for
 *   the next. One is under way at a time.
 * - A round needs the barrier of this term to have committed (replica->serving), for only then is the commit index all
 *   that was committed before. An acknowledgement counts only in the term and for the round it names.
 * - A read that another node has confirmed is run there only when this node has applied the index it was told.
 * - A question that is asked again is the same question: any round that began after it was asked first answers it. So
 * its id is its own, over restarts too: what a leader tells of an earlier life's may come to this one.
 */
#include <string.h>

#include "fts/replica/v1/peer.pb-c.h"
#include "replica/guards.h"

/* No life of a node asks 65,536 times a millisecond, and so comes to where the next one begins. */
void ftsi_read_index_init(struct fts_replica *replica)
{
	replica->rounds.number = (uint64_t)replica->environment->wall_ms(replica->environment->ctx) << 16;
}

static struct ftsi_read_list take_all(struct ftsi_read_list *list)
{
	struct ftsi_read_list taken = *list;
	list->first = NULL;
	list->last = &list->first;
	list->count = 0;
	return taken;
}

static void move_all(struct ftsi_read_list *from, struct ftsi_read_list *to, uint64_t index)
{
	for (struct ftsi_read_job *job = from->first; job != NULL; job = job->next)
		job->index = index;
	if (from->first == NULL) return;
	*to->last = from->first;
	to->last = from->last;
	to->count += from->count;
	(void)take_all(from);
}

/* ---- A leader's rounds ---- */

static void tell(struct fts_replica *replica, const struct ftsi_read_ask *ask, bool leads, uint64_t index)
{
	const struct ftsi_member *member = ftsi_member_by_id(replica, ask->from);
	Fts__Replica__V1__ReadIndexTold told = FTS__REPLICA__V1__READ_INDEX_TOLD__INIT;
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	if (member == NULL) return;
	if (leads && member->commit_told < index) { /* it would wait for the next heartbeat otherwise */
		ftsi_member_want_append(replica, member);
		ftsi_loop_tick_raft(replica);
	}
	told.id = ask->id;
	told.leads = leads;
	told.index = index;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_TOLD;
	message.read_index_told = &told;
	(void)ftsi_outbox_send(replica, member->node_id, member->text, &message);
}

static void end_round(struct fts_replica *replica)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	uint32_t kept = 0;
	rounds->under_way = false;
	move_all(&rounds->confirming, &rounds->waiting, rounds->index);
	for (uint32_t i = 0; i < rounds->ask_count; i++) {
		struct ftsi_read_ask ask = rounds->asks[i];
		if (ask.in_round)
			tell(replica, &ask, true, rounds->index);
		else
			rounds->asks[kept++] = ask;
	}
	rounds->ask_count = kept;
}

static void send_probes(struct fts_replica *replica)
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	Fts__Replica__V1__ReadIndexProbe probe = FTS__REPLICA__V1__READ_INDEX_PROBE__INIT;
	probe.term = replica->rounds.term;
	probe.round = replica->rounds.number;
	for (unsigned i = 0; i < configuration->n; i++) {
		const struct raft_server *server = &configuration->servers[i];
		Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
		if (server->role != RAFT_VOTER || server->id == replica->raft.id) continue;
		message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_PROBE;
		message.read_index_probe = &probe;
		(void)ftsi_outbox_send(replica, server->id, server->address, &message);
	}
	replica->rounds.sent_ns = replica->now_ns;
}

static void start_round(struct fts_replica *replica)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	rounds->under_way = true;
	rounds->asked = false;
	rounds->number++;
	rounds->term = replica->raft.current_term;
	rounds->index = replica->raft.commit_index;
	rounds->acked_count = 0;
	rounds->confirming = take_all(&replica->unconfirmed);
	if (rounds->confirming.first == NULL) rounds->confirming.last = &rounds->confirming.first;
	for (uint32_t i = 0; i < rounds->ask_count; i++)
		rounds->asks[i].in_round = true;
	if (atomic_load(&replica->sole)) /* its own majority */
		end_round(replica);
	else
		send_probes(replica);
}

static bool have_majority(const struct fts_replica *replica)
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	const struct ftsi_rounds *rounds = &replica->rounds;
	uint32_t voters = 0, with_us = 0;
	for (unsigned i = 0; i < configuration->n; i++) {
		raft_id id = configuration->servers[i].id;
		bool agrees = id == replica->raft.id;
		if (configuration->servers[i].role != RAFT_VOTER) continue;
		for (uint32_t j = 0; j < rounds->acked_count && !agrees; j++)
			agrees = rounds->acked[j] == id;
		voters++;
		with_us += agrees;
	}
	return with_us > voters / 2;
}

static void receive_ack(struct fts_replica *replica, raft_id from, const Fts__Replica__V1__ReadIndexAck *ack)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	if (!rounds->under_way || rounds->asked || ack->round != rounds->number || ack->term != rounds->term ||
	    rounds->term != replica->raft.current_term || raft_state(&replica->raft) != RAFT_LEADER)
		return;
	for (uint32_t i = 0; i < rounds->acked_count; i++)
		if (rounds->acked[i] == from) return;
	if (rounds->acked_count < FTSI_MEMBER_MAX) rounds->acked[rounds->acked_count++] = from;
	if (have_majority(replica)) end_round(replica);
}

/* A voter's part: it has not seen a higher term. */
static void receive_probe(struct fts_replica *replica, raft_id from, const Fts__Replica__V1__ReadIndexProbe *probe)
{
	const struct ftsi_member *member = ftsi_member_by_id(replica, from);
	Fts__Replica__V1__ReadIndexAck ack = FTS__REPLICA__V1__READ_INDEX_ACK__INIT;
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	ack.term = replica->raft.current_term;
	ack.round = probe->round;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_ACK;
	message.read_index_ack = &ack;
	if (member != NULL) (void)ftsi_outbox_send(replica, member->node_id, member->text, &message);
}

static void receive_ask(struct fts_replica *replica, raft_id from, uint64_t id)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	struct ftsi_read_ask ask = {.from = from, .id = id};
	uint32_t at = 0;
	if (!atomic_load(&replica->serving)) {
		tell(replica, &ask, false, 0);
		return;
	}
	while (at < rounds->ask_count && rounds->asks[at].from != from)
		at++;
	if (at == FTSI_MEMBER_MAX) return; /* it asks again */
	/* Repeated: it stays in the round that is under way. A round that takes longer than the time after which a
	 * question is repeated would never answer it otherwise. */
	if (at < rounds->ask_count && rounds->asks[at].id == id) return;
	if (at == rounds->ask_count) rounds->ask_count++;
	rounds->asks[at] = ask;
}

/* ---- Another node's question ---- */

static void ask_leader(struct fts_replica *replica)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	const struct ftsi_member *leader = ftsi_member_by_id(replica, replica->elections.leader_id);
	Fts__Replica__V1__ReadIndexAsk ask = FTS__REPLICA__V1__READ_INDEX_ASK__INIT;
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	if (leader == NULL) return;
	ask.id = rounds->number;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_ASK;
	message.read_index_ask = &ask;
	rounds->sent_ns = replica->now_ns;
	(void)ftsi_outbox_send(replica, leader->node_id, leader->text, &message);
}

static void start_question(struct fts_replica *replica)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	rounds->under_way = rounds->asked = true;
	rounds->number++;
	rounds->confirming = take_all(&replica->unconfirmed);
	ask_leader(replica);
}

static void receive_told(struct fts_replica *replica, raft_id from, const Fts__Replica__V1__ReadIndexTold *told)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	/* A leader that has lost its term since may tell: what it tells was right when the question was open. */
	if (!rounds->under_way || !rounds->asked || told->id != rounds->number || !told->leads) return;
	(void)from;
	rounds->under_way = false;
	move_all(&rounds->confirming, &rounds->waiting, told->index);
}

/* ---- Turns ---- */

static bool leaves_when_applied(const struct ftsi_read_job *job, const void *ctx)
{
	return job->index <= *(const uint64_t *)ctx;
}

static bool leaves_when_short(const struct ftsi_read_job *job, const void *ctx)
{
	return leaves_when_applied(job, ctx) && (job->target == NULL || !job->target->method->blocking);
}

/* What comes behind the first count of a list. */
static struct ftsi_read_job *cut_behind(struct ftsi_read_job *job, uint32_t count)
{
	struct ftsi_read_job *rest;
	for (; job != NULL && count > 1; count--)
		job = job->next;
	if (job == NULL) return NULL;
	rest = job->next;
	job->next = NULL;
	return rest;
}

/* Short ones cost less than a change of threads does; what takes longer, or is too much at once, is for the readers. */
static void run_applied(struct fts_replica *replica)
{
	uint64_t applied = ftsi_applied_index(replica);
	struct ftsi_read_job *here = ftsi_read_take_if(&replica->rounds.waiting, &applied, leaves_when_short);
	ftsi_readers_give_all(replica, ftsi_read_take_if(&replica->rounds.waiting, &applied, leaves_when_applied));
	ftsi_readers_give_all(replica, cut_behind(here, FTSI_READS_HERE_MAX));
	if (here != NULL) ftsi_read_run_all(replica, here);
}

void ftsi_read_index_turn(struct fts_replica *replica)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	bool wanted = replica->unconfirmed.first != NULL;
	if (!rounds->under_way && atomic_load(&replica->serving) && (wanted || rounds->ask_count > 0))
		start_round(replica);
	else if (!rounds->under_way && wanted && atomic_load(&replica->leads) == FTSI_LEADS_OTHER)
		start_question(replica);
	if (rounds->waiting.first != NULL) run_applied(replica);
}

void ftsi_read_index_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	if (!rounds->under_way || now_ns - rounds->sent_ns < (uint64_t)replica->heartbeat_ms * 1000000) return;
	if (rounds->asked)
		ask_leader(replica);
	else
		send_probes(replica);
}

void ftsi_read_index_reset(struct fts_replica *replica)
{
	struct ftsi_rounds *rounds = &replica->rounds;
	rounds->under_way = false;
	rounds->ask_count = 0; /* who asked sees the new leader, and asks it */
	move_all(&rounds->confirming, &replica->unconfirmed, 0);
	ftsi_read_sort_out(replica);
}

void ftsi_read_index_receive(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	if (!replica->raft_running) return;
	switch (message->kind_case) {
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_PROBE:
		receive_probe(replica, message->from, message->read_index_probe);
		return;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_ACK:
		receive_ack(replica, message->from, message->read_index_ack);
		return;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_ASK:
		receive_ask(replica, message->from, message->read_index_ask->id);
		return;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_TOLD:
		receive_told(replica, message->from, message->read_index_told);
		return;
	default:
		return;
	}
}
