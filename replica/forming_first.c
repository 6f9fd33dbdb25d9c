/* Why this file exists: see replica/forming_internal.h; here: the first configuration, from the founder's decision to
 * the same first entry in every log.
 *
 * Order on disk, and why a kill between two steps harms nothing:
 * | founder                                   | others                                                      |
 * | 1. record the form (has no meaning alone) | 1. record the form                                          |
 * | 2. identity and first entry, one batch    | 2. identity and first entry, one batch (or: joined, empty)  |
 * | 3. send Form                              |                                                             |
 * After 2 the node is formed: it starts raft, and answers Hello of others on the form by Form. Before 2 it is as if
 * nothing had happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "replica/forming_internal.h"
#include "replica/state.h"

#define FORM_MAX_BYTES 8192

/* ---- The form on disk ---- */

static enum fts_status record_form(struct fts_replica *replica, const Fts__Replica__V1__Form *form)
{
	uint8_t packed[FORM_MAX_BYTES];
	if (fts__replica__v1__form__get_packed_size(form) > sizeof packed) return FTS_INVALID_ARGUMENT;
	return ftsi_log_write_form(replica->log,
				   (struct fts_bytes){packed, fts__replica__v1__form__pack(form, packed)});
}

/* The form of this cluster; NULL: not recorded. Returned (free_unpacked). */
static Fts__Replica__V1__Form *read_form(struct fts_replica *replica)
{
	struct fts_value value = {0};
	Fts__Replica__V1__Form *form = NULL;
	if (ftsi_log_read_form(replica->log, &value) == FTS_OK)
		form = fts__replica__v1__form__unpack(NULL, value.size_bytes, value.data);
	fts_value_release(&value);
	return form;
}

static const Fts__Replica__V1__Member *find(const Fts__Replica__V1__Form *form, uint64_t node_id)
{
	for (size_t i = 0; i < form->n_members; i++) {
		if (form->members[i]->node_id == node_id) return form->members[i];
	}
	return NULL;
}

bool ftsi_forming_is_founder(struct fts_replica *replica, const char *name, const char *address)
{
	Fts__Replica__V1__Form *form = read_form(replica);
	bool found = false;
	for (size_t i = 0; form != NULL && i < form->n_members; i++)
		found = found ||
			(strcmp(form->members[i]->name, name) == 0 && strcmp(form->members[i]->address, address) == 0);
	if (form != NULL) fts__replica__v1__form__free_unpacked(form, NULL);
	return found;
}

/* ---- The first entry ---- */

static enum fts_status configure(const Fts__Replica__V1__Form *form, struct raft_configuration *configuration)
{
	char text[FTSI_MEMBER_TEXT_BYTES];
	for (size_t i = 0; i < form->n_members; i++) {
		const Fts__Replica__V1__Member *member = form->members[i];
		int result = raft_configuration_add(configuration, member->node_id,
						    ftsi_member_text(member->name, member->address, text), RAFT_VOTER);
		if (result == RAFT_NOMEM) return FTS_RESOURCE_EXHAUSTED;
		if (result != 0) return FTS_INVALID_ARGUMENT;
	}
	return form->n_members == 0 ? FTS_INVALID_ARGUMENT : FTS_OK;
}

static enum fts_status write_first(struct fts_replica *replica, const Fts__Replica__V1__Form *form)
{
	struct raft_configuration configuration;
	raft_configuration_init(&configuration);
	enum fts_status status = configure(form, &configuration);
	if (status == FTS_OK) status = ftsi_state_bootstrap(replica, &configuration);
	raft_configuration_close(&configuration);
	return status;
}

static enum fts_status write_joined(struct fts_replica *replica)
{
	enum fts_status status = ftsi_log_write_hard(replica->log, 0, 0);
	replica->identity.joined = true;
	return status == FTS_OK ? ftsi_log_write_identity(replica->log, &replica->identity) : status;
}

/* Make this directory cluster_id's, on disk. join: its log begins empty. */
static enum fts_status settle(struct fts_replica *replica, const Fts__Replica__V1__Form *form, uint64_t cluster_id,
			      bool join)
{
	enum fts_status status = record_form(replica, form);
	if (status != FTS_OK) return status;
	replica->identity.cluster_id = cluster_id;
	status = join ? write_joined(replica) : write_first(replica, form);
	if (status != FTS_OK) return status;
	replica->forming->over = true;
	ftsi_forming_tell(replica);
	return FTS_OK;
}

static void start_raft(struct fts_replica *replica)
{
	if (ftsi_loop_start_raft(replica) != 0) return; /* it has been told */
	for (size_t i = 0; i < replica->forming->list_count; i++) {
		char text[FTSI_MEMBER_TEXT_BYTES];
		const struct ftsi_listed *listed = &replica->forming->list[i];
		if (i != replica->forming->self)
			ftsi_forming_say_hello(replica, ftsi_member_text(listed->name, listed->address, text));
	}
}

/* ---- Founding ---- */

/* form: its members lie in members and pointers, both for FTS_REPLICA_MEMBER_MAX. */
static void fill_form(const struct ftsi_forming *forming, Fts__Replica__V1__Form *form,
		      Fts__Replica__V1__Member *members, Fts__Replica__V1__Member **pointers)
{
	fts__replica__v1__form__init(form);
	for (size_t i = 0; i < forming->list_count; i++) {
		const struct ftsi_listed *listed = &forming->list[i];
		fts__replica__v1__member__init(&members[i]);
		members[i].name = (char *)(uintptr_t)listed->name;
		members[i].address = (char *)(uintptr_t)listed->address;
		members[i].node_id = listed->node_id;
		members[i].role = RAFT_VOTER;
		pointers[i] = &members[i];
	}
	form->members = pointers;
	form->n_members = forming->list_count;
}

static enum fts_status found(struct fts_replica *replica)
{
	Fts__Replica__V1__Form form;
	Fts__Replica__V1__Member members[FTS_REPLICA_MEMBER_MAX], *pointers[FTS_REPLICA_MEMBER_MAX];
	fill_form(replica->forming, &form, members, pointers);
	enum fts_status status = settle(replica, &form, ftsi_forming_random(replica), false);
	if (status == FTS_OK)
		FTS_LOG_INFO("cluster.founded", "node=%s cluster=%016llx members=%zu", replica->name,
			     (unsigned long long)replica->identity.cluster_id, form.n_members);
	return status;
}

enum fts_status ftsi_forming_found_alone(struct fts_replica *replica, struct fts_error *out_error)
{
	struct ftsi_forming *forming = replica->forming;
	struct ftsi_listed *self = &forming->list[0];
	(void)snprintf(self->name, sizeof self->name, "%s", replica->name);
	(void)snprintf(self->address, sizeof self->address, "%s", replica->address);
	self->node_id = replica->identity.node_id;
	forming->list_count = 1;
	enum fts_status status = found(replica);
	if (status == FTS_OK) return FTS_OK;
	return fts_error_set(out_error, status, "the first entry can't be written to %s/log", replica->data);
}

static bool everybody_is_there(const struct fts_replica *replica)
{
	char missing[FTS_DETAIL_MAX];
	return ftsi_forming_missing(replica->forming, ftsi_now_ns(replica), missing) == 0;
}

void ftsi_forming_found(struct fts_replica *replica)
{
	struct ftsi_forming *forming = replica->forming;
	/* A cluster was heard of: this node lost its directory, and waits to be let in. */
	if (forming->over || forming->list_count == 0 || forming->self != 0 || forming->host_count > 0) return;
	if (!everybody_is_there(replica)) return;
	enum fts_status status = found(replica);
	if (status != FTS_OK) {
		ftsi_loop_fail(replica, status, "the first entry can't be written to %s/log", replica->data);
		return;
	}
	for (size_t i = 1; i < forming->list_count; i++) {
		char text[FTSI_MEMBER_TEXT_BYTES];
		const struct ftsi_listed *listed = &forming->list[i];
		ftsi_forming_send_form(replica, ftsi_member_text(listed->name, listed->address, text), listed->node_id);
	}
	start_raft(replica);
}

void ftsi_forming_send_form(struct fts_replica *replica, const char *address, uint64_t node_id)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Form none = FTS__REPLICA__V1__FORM__INIT, *form = read_form(replica);
	message.to = node_id;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_FORM;
	message.form = form == NULL ? &none : form;
	(void)ftsi_forming_say(replica, address, &message); /* not sent: its next Hello brings another */
	if (form != NULL) fts__replica__v1__form__free_unpacked(form, NULL);
}

/* ---- Taking it ---- */

/* A form that names this node must be about the list it was started with. */
static bool fits_list(const struct ftsi_forming *forming, const Fts__Replica__V1__Form *form, char *out_difference)
{
	return forming->list_count == 0 ||
	       !ftsi_forming_lists_differ(forming, "the founder", form->members, form->n_members, out_difference);
}

void ftsi_forming_take_form(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message)
{
	struct ftsi_forming *forming = replica->forming;
	const Fts__Replica__V1__Member *self = find(message->form, replica->identity.node_id);
	char difference[FTS_DETAIL_MAX];
	if (forming->over || message->cluster_id == 0 || message->to != replica->identity.node_id) return;
	if (self != NULL && (strcmp(self->name, replica->name) != 0 || strcmp(self->address, replica->address) != 0 ||
			     !fits_list(forming, message->form, difference)))
		return;
	if (self == NULL && ftsi_state_restored(replica) != 0) { /* its log would begin empty, behind what it holds */
		ftsi_loop_fail(replica, FTS_FAILED_PRECONDITION,
			       "%s was restored from a snapshot, and its cluster runs already: a node joins it with an "
			       "empty directory",
			       replica->data);
		return;
	}
	enum fts_status status = settle(replica, message->form, message->cluster_id, self == NULL);
	if (status != FTS_OK) {
		ftsi_loop_fail(replica, status, "the first entry can't be written to %s/log", replica->data);
		return;
	}
	FTS_LOG_INFO("cluster.formed", "node=%s cluster=%016llx how=%s", replica->name,
		     (unsigned long long)message->cluster_id, self == NULL ? "joined" : "listed");
	start_raft(replica);
}
