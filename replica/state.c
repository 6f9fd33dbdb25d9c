/* Why this file exists: see replica/state.h: the life of the state, who may look at it, and what a turn does for it. */
#include "replica/state_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "replica/digest_internal.h"
#include "replica/environment.h"

const char ftsi_state_refusal[] = "this node's state is not that of the others: it is being fetched anew";

/* ---- Opening ---- */

static enum fts_status open_blank(struct fts_replica *replica, struct fts_error *out_error)
{
	struct ftsi_state *keeper = replica->keeper;
	keeper->generation = keeper->next_generation++;
	keeper->stopgap = true;
	return ftsi_state_open_at(replica, keeper->generation, true, &replica->state, out_error);
}

/* What lies there can't be opened: go on without it if the others can give it (ftsi_state_settle decides). */
static enum fts_status open_other(struct fts_replica *replica, const struct fts_error *why, struct fts_error *out_error)
{
	struct ftsi_state *keeper = replica->keeper;
	FTS_LOG_WARN("replica.state_unreadable", "node=%s generation=%llu status=%s", replica->name,
		     (unsigned long long)keeper->generation, fts_status_name(why->status));
	(void)snprintf(keeper->why, sizeof keeper->why, "%s", why->detail);
	atomic_store(&replica->doubted, true);
	return open_blank(replica, out_error);
}

/* A log that was never cut has everything: a state that is missing is made again from it. */
static enum fts_status open_named(struct fts_replica *replica, struct fts_error *out_error)
{
	struct ftsi_state *keeper = replica->keeper;
	struct fts_error why = {0};
	struct ftsi_mark mark;
	struct fts_value value = {0};
	enum fts_status marked = ftsi_log_read_mark(replica->log, &mark, &value);
	enum fts_status status =
	    ftsi_state_open_at(replica, keeper->generation, marked == FTS_NOT_FOUND, &replica->state, &why);
	fts_value_release(&value);
	if (status == FTS_NOT_FOUND)
		(void)fts_error_set(&why, FTS_DATA_LOSS,
				    "%s/log is there, but the state is missing: restore the whole directory from one "
				    "copy",
				    replica->data);
	if (status == FTS_NOT_FOUND || status == FTS_DATA_LOSS) return open_other(replica, &why, out_error);
	if (status != FTS_OK && out_error != NULL) *out_error = why;
	return status;
}

enum fts_status ftsi_state_open(struct fts_replica *replica, struct fts_error *out_error)
{
	struct ftsi_state_name name;
	struct ftsi_state *keeper = replica->keeper = calloc(1, sizeof *keeper);
	bool doubted = false;
	enum fts_status status;
	if (keeper == NULL || (keeper->digest = ftsi_digest_create()) == NULL)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the state");
	keeper->fetch_fd = -1;
	if (strlen(replica->data) > FTSI_STATE_PATH_BYTES - 256)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the directory's path is too long");
	if (ftsi_log_read_state(replica->log, &name) != FTS_OK || ftsi_log_read_doubt(replica->log, &doubted) != FTS_OK)
		return fts_error_set(out_error, FTS_DATA_LOSS, "%s/log is damaged: it does not name the state",
				     replica->data);
	keeper->generation = name.generation;
	keeper->came_with_index = name.applied_index;
	keeper->next_generation = ftsi_state_last_generation(replica) + 1;
	if (keeper->next_generation <= name.generation) keeper->next_generation = name.generation + 1;
	if ((status = ftsi_state_read_restored(replica, out_error)) != FTS_OK) return status;
	if (doubted) {
		(void)snprintf(keeper->why, sizeof keeper->why,
			       "the state in %s differs from that of the other members and was not fetched anew yet",
			       replica->data);
		atomic_store(&replica->doubted, true);
	}
	status = open_named(replica, out_error);
	if (status == FTS_OK) ftsi_state_remove_leftovers(replica, keeper->generation, name.generation);
	return status;
}

enum fts_status ftsi_state_load(struct fts_replica *replica, struct fts_error *out_error)
{
	struct fts_error why = {0};
	enum fts_status status = ftsi_apply_load(replica, &why);
	if (status == FTS_DATA_LOSS && !atomic_load(&replica->doubted)) {
		ftsi_sessions_destroy(replica->sessions);
		ftsi_event_log_destroy(replica->events);
		replica->sessions = ftsi_sessions_create();
		replica->events = ftsi_event_log_create();
		fts_store_close(replica->state);
		replica->state = NULL;
		if (replica->sessions == NULL || replica->events == NULL)
			return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the state");
		status = open_other(replica, &why, out_error);
		if (status == FTS_OK) status = ftsi_apply_load(replica, out_error);
		return status;
	}
	if (status != FTS_OK && out_error != NULL) *out_error = why;
	return status == FTS_OK ? ftsi_state_settle_restored(replica, out_error) : status;
}

void ftsi_state_unfit(struct fts_replica *replica, const char *why)
{
	if (atomic_exchange(&replica->doubted, true)) return;
	(void)snprintf(replica->keeper->why, sizeof replica->keeper->why, "%s", why);
}

/* There is another voter who can give its state. */
static bool has_others(const struct fts_replica *replica)
{
	const struct raft_configuration *conf = &replica->raft.configuration;
	for (unsigned i = 0; i < conf->n; i++)
		if (conf->servers[i].role == RAFT_VOTER && conf->servers[i].id != replica->raft.id) return true;
	return false;
}

int ftsi_state_settle(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	if (!atomic_load(&replica->doubted)) return 0;
	if (!has_others(replica)) {
		ftsi_loop_fail(replica, FTS_DATA_LOSS, "%s", keeper->why);
		return -1;
	}
	if (ftsi_log_write_doubt(replica->log) != FTS_OK) {
		ftsi_loop_fail(replica, FTS_INTERNAL, "%s/log can't be written", replica->data);
		return -1;
	}
	FTS_LOG_WARN("replica.state_doubted", "node=%s from=start detail=%s", replica->name,
		     "fetching it from the others");
	return 0;
}

bool ftsi_state_is_of(const struct fts_replica *replica, uint64_t cluster_id)
{
	const struct ftsi_restored *restored = &replica->keeper->restored;
	return cluster_id == replica->identity.cluster_id ||
	       (restored->identity != 0 && cluster_id == restored->cluster_id);
}

uint64_t ftsi_state_came_with(const struct fts_replica *replica)
{
	return replica->keeper->came_with_index;
}

/* ---- Closing ---- */

bool ftsi_state_idle(const struct fts_replica *replica)
{
	return replica->state_worker.open_count == 0;
}

/* raft gets no snapshot to send. */
static void refuse_gets(struct ftsi_state *keeper)
{
	for (unsigned i = 0; i < FTSI_GET_COUNT_MAX; i++) {
		struct ftsi_get get = keeper->gets[i];
		keeper->gets[i].request = NULL;
		if (get.request != NULL) get.done(get.request, NULL, RAFT_CANCELED);
	}
}

void ftsi_state_stop(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	if (keeper == NULL || keeper->stopping) return;
	keeper->stopping = true;
	ftsi_digest_stop(replica);
	refuse_gets(keeper);
}

void ftsi_state_close(struct fts_replica *replica)
{
	struct ftsi_state *keeper = replica->keeper;
	if (keeper != NULL) {
		ftsi_send_drop(replica);
		ftsi_copies_drop(replica);
		ftsi_fetch_drop(replica);
		ftsi_fetched_drop(&keeper->fetched);
		free(keeper->offer.conf);
		ftsi_digest_destroy(keeper->digest);
	}
	if (replica->state != NULL && keeper->stopgap) fts_store_discard(replica->state);
	fts_store_close(replica->state);
	replica->state = NULL;
	free(keeper);
	replica->keeper = NULL;
}

/* ---- Looking ---- */

enum fts_status ftsi_state_view(struct fts_replica *replica, struct fts_txn **out_view)
{
	struct fts_store *store;
	enum fts_status status;
	pthread_mutex_lock(&replica->state_lock);
	store = replica->state;
	fts_store_hold(store);
	pthread_mutex_unlock(&replica->state_lock);
	status = fts_store_view(store, out_view);
	fts_store_close(store);
	return status;
}

bool ftsi_state_may_serve(const struct fts_replica *replica)
{
	return !atomic_load(&replica->doubted);
}

bool ftsi_state_skips(const struct fts_replica *replica)
{
	return atomic_load(&replica->doubted);
}

bool ftsi_state_agrees(const struct fts_replica *replica)
{
	return !atomic_load(&replica->doubted) && !atomic_load(&replica->keeper->differs);
}

void ftsi_state_status(struct fts_replica *replica, struct fts_replica_status *status)
{
	status->digest_ok = ftsi_state_agrees(replica);
	status->syncing = atomic_load(&replica->keeper->syncing);
}

/* ---- Doubt ---- */

void ftsi_state_doubt(struct fts_replica *replica, const char *why)
{
	enum fts_status status;
	if (atomic_load(&replica->doubted)) return;
	if (ftsi_apply_commit(replica) != FTS_OK) return;
	/* Seldom, and more important than a stall: whoever crashes now must not serve from it again. */
	status = ftsi_log_write_doubt(replica->log);
	if (status != FTS_OK) {
		ftsi_loop_fail(replica, status, "%s/log can't be written", replica->data);
		return;
	}
	atomic_store(&replica->doubted, true);
	atomic_fetch_add(&replica->doubt_turns, 1);
	FTS_LOG_WARN("replica.state_doubted", "node=%s index=%llu detail=\"%s\"", replica->name,
		     (unsigned long long)atomic_load(&replica->applied_index), why);
	ftsi_send_drop(replica);
	ftsi_copies_disown(replica);
	refuse_gets(replica->keeper);
	ftsi_propose_lost(replica);
	ftsi_propose_refuse_all(replica, ftsi_state_refusal);
	ftsi_read_refuse_all(replica);
}

void ftsi_state_trust(struct fts_replica *replica)
{
	if (!atomic_load(&replica->doubted)) return;
	atomic_fetch_add(&replica->doubt_turns, 1); /* first: see ftsi_read_run_all */
	atomic_store(&replica->doubted, false);
	FTS_LOG_INFO("replica.state_trusted", "node=%s index=%llu", replica->name,
		     (unsigned long long)atomic_load(&replica->applied_index));
}

/* ---- Talking ---- */

const char *ftsi_state_address_of(const struct fts_replica *replica, uint64_t id)
{
	const struct raft_configuration *conf = &replica->raft.configuration;
	for (unsigned i = 0; i < conf->n; i++)
		if (conf->servers[i].id == id) return conf->servers[i].address;
	/* A node that has just been let in has no configuration yet, but has heard who speaks to it. */
	const struct ftsi_member *member = ftsi_member_by_id((struct fts_replica *)(uintptr_t)replica, id);
	return member == NULL ? NULL : member->text;
}

bool ftsi_state_tell_packed(struct fts_replica *replica, uint64_t to, struct fts_bytes packed)
{
	const char *address = ftsi_state_address_of(replica, to);
	if (address == NULL || replica->transport == NULL) return false;
	return replica->transport->send(replica->transport->ctx, address, packed);
}

bool ftsi_state_tell(struct fts_replica *replica, uint64_t to, Fts__Replica__V1__PeerMessage *message)
{
	uint8_t packed[1024];
	message->cluster_id = replica->identity.cluster_id;
	message->from = replica->identity.node_id;
	message->to = to;
	FTS_ASSERT(fts__replica__v1__peer_message__get_packed_size(message) <= sizeof packed);
	return ftsi_state_tell_packed(
	    replica, to, (struct fts_bytes){packed, fts__replica__v1__peer_message__pack(message, packed)});
}

size_t ftsi_state_backlog_bytes(struct fts_replica *replica, uint64_t to)
{
	const char *address = ftsi_state_address_of(replica, to);
	if (address == NULL || replica->transport == NULL) return 0;
	return replica->transport->backlog_bytes(replica->transport->ctx, address);
}

uint64_t ftsi_state_leader(const struct fts_replica *replica)
{
	raft_id id = 0;
	const char *address = NULL;
	if (!replica->raft_running) return 0;
	raft_leader((struct raft *)&replica->raft, &id, &address);
	return id == replica->raft.id ? 0 : id;
}

/* ---- Hooks ---- */

bool ftsi_state_receive(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	if (replica->keeper->stopping) return true;
	switch (message->kind_case) {
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_ASK:
		ftsi_send_ask(replica, message->from, message->state_ask);
		return true;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_TAKEN:
		if (message->state_taken->failed)
			ftsi_fetch_gone(replica, message->from, message->state_taken);
		else
			ftsi_send_taken(replica, message->from, message->state_taken);
		return true;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_CHUNK:
		ftsi_fetch_chunk(replica, message->from, message->state_chunk);
		return true;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_INSTALL_SNAPSHOT:
		ftsi_fetch_offer(replica, message);
		return true;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_DIGEST_REPORT:
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_DIGEST_VERDICT:
		ftsi_digest_receive(replica, message);
		return true;
	default:
		return false;
	}
}

bool ftsi_state_is_installing(const struct fts_replica *replica)
{
	return replica->keeper->installing;
}

void ftsi_state_turn(struct fts_replica *replica)
{
	if (!replica->raft_running || replica->keeper->stopping) return;
	ftsi_send_turn(replica);
	ftsi_install_turn(replica);
	ftsi_install_replay(replica);
	ftsi_digest_turn(replica);
}

void ftsi_state_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_state *keeper = replica->keeper;
	if (!replica->raft_running || keeper->stopping || atomic_load(&replica->failed)) return;
	ftsi_copies_tick(replica, now_ns);
	ftsi_send_tick(replica, now_ns);
	ftsi_fetch_tick(replica, now_ns);
	ftsi_digest_tick(replica, now_ns);
}
