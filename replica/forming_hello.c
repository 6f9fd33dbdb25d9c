/* Why this file exists: see replica/forming_internal.h; here: what nodes say to each other before anything else, and
 * what each makes of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "replica/format.h"
#include "replica/forming_internal.h"
#include "replica/membership.h"
#include "replica/state.h"

#define HELLO_MAX_BYTES 8192

/* ---- Saying ---- */

bool ftsi_forming_say(struct fts_replica *replica, const char *address, Fts__Replica__V1__PeerMessage *message)
{
	uint8_t packed[HELLO_MAX_BYTES];
	if (replica->transport == NULL) return false;
	message->cluster_id = replica->identity.cluster_id;
	message->from = replica->identity.node_id;
	if (fts__replica__v1__peer_message__get_packed_size(message) > sizeof packed) return false;
	struct fts_bytes bytes = {packed, fts__replica__v1__peer_message__pack(message, packed)};
	return replica->transport->send(replica->transport->ctx, address, bytes);
}

static uint64_t waiting_ms(const struct fts_replica *replica)
{
	const struct ftsi_forming *forming = replica->forming;
	return forming->over ? 0 : (ftsi_now_ns(replica) - forming->begun_ns) / 1000000u;
}

void ftsi_forming_say_hello(struct fts_replica *replica, const char *address)
{
	const struct ftsi_forming *forming = replica->forming;
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Hello hello = FTS__REPLICA__V1__HELLO__INIT;
	Fts__Replica__V1__Member members[FTS_REPLICA_MEMBER_MAX], *pointers[FTS_REPLICA_MEMBER_MAX];
	hello.name = replica->name;
	hello.address = replica->address;
	hello.format = atomic_load(&replica->format);
	hello.format_max = replica->format_max;
	hello.version = replica->version;
	hello.formed = forming->over;
	hello.restored = forming->over ? 0 : ftsi_state_restored(replica);
	hello.waiting_ms = waiting_ms(replica);
	for (size_t i = 0; i < forming->list_count && !forming->over; i++) {
		fts__replica__v1__member__init(&members[i]);
		members[i].name = (char *)(uintptr_t)forming->list[i].name;
		members[i].address = (char *)(uintptr_t)forming->list[i].address;
		pointers[i] = &members[i];
		hello.n_list++;
	}
	hello.list = pointers;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_HELLO;
	message.hello = &hello;
	(void)ftsi_forming_say(replica, address, &message); /* not sent: said again with the next connection */
}

/* True once a minute for each text. */
static bool may_tell(struct fts_replica *replica, const char *text)
{
	struct ftsi_forming *forming = replica->forming;
	uint64_t now_ns = ftsi_now_ns(replica);
	for (size_t i = 0; i < FTS_REPLICA_MEMBER_MAX; i++) {
		struct ftsi_stranger *stranger = &forming->strangers[i];
		if (strcmp(stranger->text, text) != 0) continue;
		if (now_ns - stranger->told_ns < FTSI_REFUSAL_TOLD_NS) return false;
		stranger->told_ns = now_ns;
		return true;
	}
	struct ftsi_stranger *place = &forming->strangers[forming->next_stranger++ % FTS_REPLICA_MEMBER_MAX];
	(void)snprintf(place->text, sizeof place->text, "%s", text);
	place->told_ns = now_ns;
	return true;
}

static void refuse(struct fts_replica *replica, const char *text, const char *detail)
{
	char quoted[2 * FTS_DETAIL_MAX];
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Refused refused = FTS__REPLICA__V1__REFUSED__INIT;
	refused.detail = (char *)(uintptr_t)detail;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_REFUSED;
	message.refused = &refused;
	(void)ftsi_forming_say(replica, text, &message);
	if (!may_tell(replica, text)) return;
	FTS_LOG_WARN("cluster.refused", "node=%s who=%s detail=%s", replica->name, text,
		     fts_log_quote(quoted, sizeof quoted, detail));
}

/* ---- Hearing, before this node is formed ---- */

static void give_way(struct fts_replica *replica, const char *detail)
{
	ftsi_loop_fail(replica, FTS_FAILED_PRECONDITION, "%s", detail);
}

/* Two that don't fit have met: the one that came later ends. One of them decides for both, since each measures a little
 * differently. */
static void settle_dispute(struct fts_replica *replica, const char *text, const Fts__Replica__V1__PeerMessage *message,
			   const char *detail)
{
	if (replica->identity.node_id > message->from) return; /* the other decides */
	if (waiting_ms(replica) > message->hello->waiting_ms)
		refuse(replica, text, detail);
	else
		give_way(replica, detail);
}

static void note_host(struct fts_replica *replica, const char *text)
{
	struct ftsi_forming *forming = replica->forming;
	for (size_t i = 0; i < forming->host_count; i++) {
		if (strcmp(forming->hosts[i], text) == 0) return;
	}
	if (forming->host_count == FTS_REPLICA_MEMBER_MAX) return;
	(void)snprintf(forming->hosts[forming->host_count++], FTSI_MEMBER_TEXT_BYTES, "%s", text);
	ftsi_forming_say_hello(replica, text);
}

static void hear_unformed(struct fts_replica *replica, const char *text, const Fts__Replica__V1__PeerMessage *message)
{
	struct ftsi_forming *forming = replica->forming;
	const Fts__Replica__V1__Hello *hello = message->hello;
	char difference[FTS_DETAIL_MAX], who[FTSI_MEMBER_TEXT_BYTES];
	if (forming->list_count == 0 || hello->n_list == 0) return; /* one that joins: it asks by Cluster/Join */
	(void)snprintf(who, sizeof who, "%.63s", hello->name);
	if (ftsi_forming_lists_differ(forming, who, hello->list, hello->n_list, difference)) {
		settle_dispute(replica, text, message, difference);
		return;
	}
	if (hello->restored != ftsi_state_restored(replica)) {
		(void)snprintf(difference, sizeof difference,
			       "a new cluster begins with the same state everywhere: %s was restored from snapshot "
			       "%016llx, %s from %016llx (0: from none)",
			       replica->name, (unsigned long long)ftsi_state_restored(replica), who,
			       (unsigned long long)hello->restored);
		settle_dispute(replica, text, message, difference);
		return;
	}
	struct ftsi_listed *listed = ftsi_forming_listed(forming, hello->name);
	if (listed == NULL || listed == &forming->list[forming->self] || strcmp(listed->address, hello->address) != 0) {
		(void)snprintf(difference, sizeof difference, "%.100s calls itself a node that the list has elsewhere",
			       text);
		settle_dispute(replica, text, message, difference);
		return;
	}
	listed->node_id = message->from;
	listed->heard_ns = ftsi_now_ns(replica);
	ftsi_forming_found(replica);
}

/* ---- Hearing, as a member ---- */

/* The member at name or at address, with another node id; NULL: none. */
static const struct raft_server *namesake(const struct fts_replica *replica, const Fts__Replica__V1__Hello *hello,
					  bool *out_same)
{
	const struct raft_configuration *configuration = &replica->raft.configuration;
	for (unsigned i = 0; i < configuration->n; i++) {
		char name[FTSI_MEMBER_NAME_BYTES], address[FTSI_MEMBER_ADDRESS_BYTES];
		ftsi_member_split(configuration->servers[i].address, name, address);
		bool same_name = strcmp(name, hello->name) == 0, same_address = strcmp(address, hello->address) == 0;
		if (!same_name && !same_address) continue;
		*out_same = same_name && same_address;
		return &configuration->servers[i];
	}
	return NULL;
}

/* A member that lost its directory is for the leader to let in again: tell the leader of it. */
static void pass_on(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	const Fts__Replica__V1__Hello *hello = message->hello;
	raft_id leader_id = 0;
	const char *leader = NULL;
	if (atomic_load(&replica->serving)) {
		ftsi_membership_hello(replica, hello->name, hello->address, message->from);
		return;
	}
	raft_leader(&replica->raft, &leader_id, &leader);
	if (leader == NULL || leader_id == replica->identity.node_id) return;
	uint8_t packed[HELLO_MAX_BYTES];
	if (fts__replica__v1__peer_message__get_packed_size(message) > sizeof packed) return;
	struct fts_bytes bytes = {packed, fts__replica__v1__peer_message__pack(message, packed)};
	(void)replica->transport->send(replica->transport->ctx, leader, bytes);
}

static void hear_left_behind(struct fts_replica *replica, const char *text,
			     const Fts__Replica__V1__PeerMessage *message)
{
	const Fts__Replica__V1__Hello *hello = message->hello;
	char detail[FTS_DETAIL_MAX];
	bool same = false;
	if (ftsi_forming_server(replica, message->from) != NULL) {
		ftsi_membership_heard(replica, message->from);
		ftsi_forming_send_form(replica, text, message->from);
		return;
	}
	const struct raft_server *other = namesake(replica, hello, &same);
	if ((other != NULL && same) || (other == NULL && ftsi_membership_left_just_now(replica, text))) {
		pass_on(replica, message);
	} else if (hello->n_list > 0 &&
		   (atomic_load(&replica->serving) || !ftsi_forming_is_founder(replica, hello->name, hello->address))) {
		/* On one that was there from the beginning only who leads decides: another may have started just now,
		 * and not know that it was a member until a moment ago, whose old id has gone and whose new one is
		 * about to come. */
		(void)snprintf(detail, sizeof detail,
			       "the cluster at %s is formed, and %.64s at %.128s is no member of it: start it with "
			       "--join %s",
			       replica->address, hello->name, hello->address, replica->address);
		refuse(replica, text, detail);
	}
}

/* A node of this cluster that is in no configuration any more has to know. One that this node does not know yet may be
 * newer than what it has: the receiver compares the indexes. */
void ftsi_forming_tell_removed(struct fts_replica *replica, const char *text, uint64_t node_id)
{
	char detail[FTS_DETAIL_MAX];
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Refused refused = FTS__REPLICA__V1__REFUSED__INIT;
	if (!ftsi_forming_is_settled(replica)) return;
	(void)snprintf(detail, sizeof detail, "%s says that it was removed", replica->name);
	refused.detail = detail;
	refused.removed = true;
	message.to = node_id; /* another may be at this address by now */
	refused.configuration_index = replica->raft.configuration_index;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_REFUSED;
	message.refused = &refused;
	(void)ftsi_forming_say(replica, text, &message);
}

static void hear_formed(struct fts_replica *replica, const char *text, const Fts__Replica__V1__PeerMessage *message)
{
	char detail[FTS_DETAIL_MAX];
	if (message->cluster_id == replica->identity.cluster_id) {
		if (!ftsi_forming_is_voter(replica)) note_host(replica, text);
		if (ftsi_forming_server(replica, message->from) != NULL)
			ftsi_membership_heard(replica, message->from);
		else
			ftsi_forming_tell_removed(replica, text, message->from);
		return;
	}
	(void)snprintf(
	    detail, sizeof detail, "%.64s at %.128s belongs to another cluster (%016" PRIx64 ", here %016" PRIx64 ")",
	    message->hello->name, message->hello->address, message->cluster_id, replica->identity.cluster_id);
	refuse(replica, text, detail);
}

void ftsi_forming_hello(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	const Fts__Replica__V1__Hello *hello = message->hello;
	char text[FTSI_MEMBER_TEXT_BYTES], detail[FTS_DETAIL_MAX];
	if (message->from == 0 || message->from == replica->identity.node_id) return; /* nobody, or this node itself */
	if (strlen(hello->name) >= FTSI_MEMBER_NAME_BYTES || strlen(hello->address) >= FTSI_MEMBER_ADDRESS_BYTES)
		return;
	(void)ftsi_member_text(hello->name, hello->address, text);
	if (!ftsi_format_fits(replica, message, detail)) {
		refuse(replica, text, detail);
	} else if (replica->forming->over) {
		if (hello->formed)
			hear_formed(replica, text, message);
		else
			hear_left_behind(replica, text, message);
	} else if (hello->formed) {
		note_host(replica, text);
	} else {
		hear_unformed(replica, text, message);
	}
}

/* ---- Being refused ---- */

void ftsi_forming_removed(struct fts_replica *replica, const char *how)
{
	replica->identity.removed = true;
	if (ftsi_log_write_identity(replica->log, &replica->identity) != FTS_OK)
		FTS_LOG_WARN("cluster.removal_not_kept", "node=%s", replica->name); /* it will be told again */
	ftsi_loop_fail(
	    replica, FTS_FAILED_PRECONDITION,
	    "%s was removed from its cluster (%s): it ends; to bring it back, start it with --join and another "
	    "--data",
	    replica->name, how);
}

static uint64_t newest_configuration(const struct fts_replica *replica)
{
	const struct raft *raft = &replica->raft;
	return raft->configuration_uncommitted_index > raft->configuration_index ? raft->configuration_uncommitted_index
										 : raft->configuration_index;
}

void ftsi_forming_refused(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	const Fts__Replica__V1__Refused *refused = message->refused;
	char quoted[2 * FTS_DETAIL_MAX], from[32];
	if (refused->removed && message->to != replica->identity.node_id) return;
	if (!replica->forming->over) {
		give_way(replica, refused->detail);
		return;
	}
	bool ours = message->cluster_id == replica->identity.cluster_id;
	/* Only what comes behind all that it knows of itself, what has not committed here included: it may be newer
	 * than who speaks, as a node that was just let in. */
	if (ours && refused->removed && refused->configuration_index > newest_configuration(replica) &&
	    ftsi_forming_server(replica, replica->identity.node_id) != NULL) {
		ftsi_forming_removed(replica, refused->detail);
		return;
	}
	(void)snprintf(from, sizeof from, "%016" PRIx64, message->from);
	if (!refused->removed && may_tell(replica, from))
		FTS_LOG_WARN("cluster.refused_by", "node=%s who=%s detail=%s", replica->name, from,
			     fts_log_quote(quoted, sizeof quoted, refused->detail));
}
