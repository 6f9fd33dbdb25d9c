/* Why this file exists: see replica/forming.h. */
#include "replica/forming.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "replica/environment.h"
#include "replica/forming_internal.h"
#include "replica/identity.h"
#include "replica/membership.h"

/* What others may know of it. */
void ftsi_forming_tell(struct fts_replica *replica)
{
	pthread_mutex_lock(&replica->status_lock);
	replica->status.node_id = replica->identity.node_id;
	replica->status.cluster_id = replica->forming->over ? replica->identity.cluster_id : 0;
	replica->status.formed = replica->forming->over;
	pthread_mutex_unlock(&replica->status_lock);
}

/* ---- What the others of these files ask ---- */

uint64_t ftsi_forming_random(const struct fts_replica *replica)
{
	uint64_t word = 0;
	while (word == 0)
		word = replica->environment->random(replica->environment->ctx);
	return word;
}

const struct raft_server *ftsi_forming_server(const struct fts_replica *replica, uint64_t node_id)
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	for (unsigned i = 0; i < configuration->n; i++) {
		if (configuration->servers[i].id == node_id) return &configuration->servers[i];
	}
	return NULL;
}

bool ftsi_forming_is_settled(const struct fts_replica *replica)
{
	const struct raft *raft = &replica->raft;
	return replica->raft_running && raft->configuration_uncommitted_index == 0 &&
	       raft->configuration_index <= raft->commit_index;
}

bool ftsi_forming_is_over(const struct fts_replica *replica)
{
	return replica->forming->over;
}

/* ---- Opening ---- */

/* A blank directory: who it belongs to is on disk before anybody hears of it. */
static enum fts_status make_identity(struct fts_replica *replica, struct fts_error *out_error)
{
	struct ftsi_identity *identity = &replica->identity;
	*identity = (struct ftsi_identity){.format = FTS_FORMAT_FIRST, .node_id = ftsi_forming_random(replica)};
	(void)snprintf(identity->name, sizeof identity->name, "%s", replica->name);
	(void)snprintf(identity->address, sizeof identity->address, "%s", replica->address);
	replica->forming->fresh = true;
	return ftsi_dir_sync(replica->data, out_error);
}

static enum fts_status check_identity(struct fts_replica *replica, struct fts_error *out_error)
{
	const struct ftsi_identity *identity = &replica->identity;
	enum fts_status status = ftsi_identity_check(identity, replica, out_error);
	if (status != FTS_OK) return status;
	if (identity->removed)
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION,
				     "%s: node %s was removed from its cluster; to bring it back, start it with --join "
				     "and another --data, or remove this directory",
				     replica->data, identity->name);
	replica->forming->over = identity->cluster_id != 0;
	return FTS_OK;
}

static bool is_alone(const struct fts_replica *replica)
{
	return replica->options.member_count <= 1 && !replica->options.join;
}

/* What there is to do before anybody is spoken to. */
static enum fts_status begin_forming(struct fts_replica *replica, struct fts_error *out_error)
{
	enum fts_status status = ftsi_forming_take_list(replica, out_error);
	if (status != FTS_OK) return status;
	if (!replica->forming->fresh && is_alone(replica))
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION,
				     "%s has been waiting to become a member of a cluster: start it with the same "
				     "--cluster or --join, or remove this directory",
				     replica->data);
	if (is_alone(replica)) return ftsi_forming_found_alone(replica, out_error);
	status = ftsi_log_write_identity(replica->log, &replica->identity);
	if (status == FTS_OK) return FTS_OK;
	return fts_error_set(out_error, status, "%s/log can't be written", replica->data);
}

enum fts_status ftsi_forming_open(struct fts_replica *replica, struct fts_error *out_error)
{
	replica->forming = calloc(1, sizeof *replica->forming);
	if (replica->forming == NULL)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the replica");
	enum fts_status status = ftsi_log_read_identity(replica->log, &replica->identity);
	if (status == FTS_NOT_FOUND)
		status = make_identity(replica, out_error);
	else if (status == FTS_OK)
		status = check_identity(replica, out_error);
	else
		(void)fts_error_set(out_error, status, "%s/log is damaged: it does not tell whose it is",
				    replica->data);
	if (status == FTS_OK && !replica->forming->over) status = begin_forming(replica, out_error);
	if (status == FTS_OK) ftsi_forming_tell(replica);
	return status;
}

void ftsi_forming_destroy(struct fts_replica *replica)
{
	free(replica->forming);
	replica->forming = NULL;
}

/* ---- Whom the transport keeps connections to ---- */

static size_t peers_of_list(const struct ftsi_forming *forming, char texts[][FTSI_MEMBER_TEXT_BYTES])
{
	size_t count = 0;
	for (size_t i = 0; i < forming->list_count; i++) {
		if (i != forming->self)
			(void)ftsi_member_text(forming->list[i].name, forming->list[i].address, texts[count++]);
	}
	return count;
}

static size_t peers_of_raft(const struct fts_replica *replica, char texts[][FTSI_MEMBER_TEXT_BYTES])
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	size_t count = 0;
	for (unsigned i = 0; i < configuration->n && count < FTS_REPLICA_MEMBER_MAX; i++) {
		if (configuration->servers[i].id == replica->identity.node_id) continue;
		(void)snprintf(texts[count++], FTSI_MEMBER_TEXT_BYTES, "%s", configuration->servers[i].address);
	}
	return count;
}

static void set_peers(struct fts_replica *replica)
{
	char texts[FTS_REPLICA_MEMBER_MAX][FTSI_MEMBER_TEXT_BYTES];
	const char *pointers[FTS_REPLICA_MEMBER_MAX];
	if (replica->transport == NULL) return;
	size_t count = replica->raft_running ? peers_of_raft(replica, texts) : peers_of_list(replica->forming, texts);
	for (size_t i = 0; i < count; i++)
		pointers[i] = texts[i];
	replica->transport->set_peers(replica->transport->ctx, pointers, count);
}

/* A follower learns that it is no member from its own log when the last entry it gets says so. */
static void look_for_self(struct fts_replica *replica)
{
	struct ftsi_forming *forming = replica->forming;
	bool member = ftsi_forming_server(replica, replica->identity.node_id) != NULL;
	bool settled = ftsi_forming_is_settled(replica);
	/* A change that lets it in may still be taken back, by a leader who lets it in again. */
	if (member && settled)
		forming->was_member = true;
	else if (!member && forming->was_member && settled && !replica->identity.removed)
		ftsi_forming_removed(replica, "its own log says so");
}

void ftsi_forming_turn(struct fts_replica *replica)
{
	struct ftsi_forming *forming = replica->forming;
	const struct raft *raft = &replica->raft;
	if (!replica->raft_running || replica->stopping || atomic_load(&replica->failed)) return;
	if (forming->seen_servers == raft->configuration.servers && forming->seen_count == raft->configuration.n &&
	    forming->seen_index == raft->configuration_index &&
	    forming->seen_uncommitted_index == raft->configuration_uncommitted_index)
		return;
	forming->seen_servers = raft->configuration.servers;
	forming->seen_count = raft->configuration.n;
	forming->seen_index = raft->configuration_index;
	forming->seen_uncommitted_index = raft->configuration_uncommitted_index;
	set_peers(replica);
	ftsi_membership_configured(replica);
	look_for_self(replica);
}

/* ---- While it waits ---- */

static void say_again(struct fts_replica *replica)
{
	struct ftsi_forming *forming = replica->forming;
	char texts[FTS_REPLICA_MEMBER_MAX][FTSI_MEMBER_TEXT_BYTES];
	size_t count = replica->raft_running ? peers_of_raft(replica, texts) : peers_of_list(forming, texts);
	for (size_t i = 0; i < count; i++)
		ftsi_forming_say_hello(replica, texts[i]);
	for (size_t i = 0; i < forming->host_count; i++)
		ftsi_forming_say_hello(replica, forming->hosts[i]);
}

/* A member that is no voter yet says Hello on and on: whoever leads then knows that it is there. */
bool ftsi_forming_is_voter(const struct fts_replica *replica)
{
	const struct raft_server *self = ftsi_forming_server(replica, replica->identity.node_id);
	return self != NULL && self->role == RAFT_VOTER;
}

static void tell_waiting(struct fts_replica *replica, uint64_t now_ns)
{
	char missing[FTS_DETAIL_MAX];
	if (replica->forming->list_count == 0)
		FTS_LOG_INFO("cluster.waiting", "node=%s for=\"a member that lets it in\"", replica->name);
	else if (ftsi_forming_missing(replica->forming, now_ns, missing) > 0)
		FTS_LOG_INFO("cluster.waiting", "node=%s missing=%s", replica->name, missing);
}

void ftsi_forming_begin(struct fts_replica *replica)
{
	struct ftsi_forming *forming = replica->forming;
	forming->begun = true;
	forming->begun_ns = forming->told_ns = ftsi_now_ns(replica);
	if (!forming->over) set_peers(replica);
}

void ftsi_forming_tick(struct fts_replica *replica, uint64_t now_ns)
{
	struct ftsi_forming *forming = replica->forming;
	if (!forming->begun || replica->stopping || atomic_load(&replica->failed)) return;
	if (forming->over && (!replica->raft_running || ftsi_forming_is_voter(replica))) return;
	if (now_ns - forming->said_ns >= (forming->over ? FTSI_HELLO_LEARNER_NS : FTSI_HELLO_AGAIN_NS)) {
		forming->said_ns = now_ns;
		say_again(replica);
	}
	if (!forming->over && now_ns - forming->told_ns >= FTSI_WAITING_TOLD_NS) {
		forming->told_ns = now_ns;
		tell_waiting(replica, now_ns);
	}
}

/* ---- What the transport tells ---- */

void ftsi_forming_connected(struct fts_replica *replica, const char *address)
{
	ftsi_forming_say_hello(replica, address);
}

/* Somebody of this cluster speaks who is in no configuration: perhaps it does not know yet that it was removed. */
static void hear_outsider(struct fts_replica *replica, uint64_t node_id)
{
	struct ftsi_forming *forming = replica->forming;
	const struct ftsi_member *member = ftsi_member_by_id(replica, node_id);
	if (member == NULL || replica->now_ns - forming->outsider_ns < FTSI_OUTSIDER_NS) return;
	forming->outsider_ns = replica->now_ns;
	ftsi_forming_tell_removed(replica, member->text, node_id);
}

bool ftsi_forming_receive(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	if (replica->stopping || atomic_load(&replica->failed)) return true;
	switch (message->kind_case) {
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_HELLO:
		ftsi_forming_hello(replica, message);
		return true;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_FORM:
		ftsi_forming_take_form(replica, message);
		return true;
	case FTS__REPLICA__V1__PEER_MESSAGE__KIND_REFUSED:
		ftsi_forming_refused(replica, message);
		return true;
	default:
		break;
	}
	if (!replica->raft_running || message->cluster_id == 0 || message->cluster_id != replica->identity.cluster_id ||
	    message->to != replica->identity.node_id || message->from == 0 ||
	    message->from == replica->identity.node_id)
		return true;
	if (ftsi_forming_server(replica, message->from) == NULL) hear_outsider(replica, message->from);
	return false;
}
