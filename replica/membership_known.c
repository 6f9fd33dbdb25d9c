/* Why this file exists: see replica/membership_internal.h; here: who is a member, who was one, who has said Hello. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/membership_internal.h"

#define GONE_JUST_NOW_NS 10000000000ull

struct ftsi_membership *ftsi_membership_get(struct fts_replica *replica)
{
	struct ftsi_membership *membership = replica->membership;
	if (membership != NULL) return membership;
	membership = calloc(1, sizeof *membership);
	if (membership == NULL) return NULL;
	membership->last = &membership->first;
	membership->change.data = replica;
	replica->membership = membership;
	return membership;
}

void ftsi_membership_destroy(struct fts_replica *replica)
{
	free(replica->membership);
	replica->membership = NULL;
}

/* ---- Who is who ---- */

static const struct raft_configuration *configuration_of(const struct fts_replica *replica)
{
	return &replica->raft.configuration;
}

const struct raft_server *ftsi_membership_find(const struct fts_replica *replica, const char *name, const char *address)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	for (unsigned i = 0; i < configuration->n; i++) {
		char its_name[FTSI_MEMBER_NAME_BYTES], its_address[FTSI_MEMBER_ADDRESS_BYTES];
		ftsi_member_split(configuration->servers[i].address, its_name, its_address);
		if (name != NULL && strcmp(its_name, name) == 0) return &configuration->servers[i];
		if (address != NULL && strcmp(its_address, address) == 0) return &configuration->servers[i];
	}
	return NULL;
}

bool ftsi_membership_is_alive(struct fts_replica *replica, uint64_t node_id)
{
	const struct ftsi_member *member;
	if (node_id == replica->identity.node_id) return true;
	member = ftsi_member_by_id(replica, node_id);
	return member != NULL && ftsi_member_is_alive(replica, member);
}

bool ftsi_membership_was_heard(const struct ftsi_membership *membership, uint64_t node_id, uint64_t now_ns)
{
	for (size_t i = 0; i < FTSI_HEARD_MAX; i++) {
		if (membership->heard[i].node_id == node_id && membership->heard[i].heard_ns != 0)
			return now_ns - membership->heard[i].heard_ns < FTSI_HEARD_FRESH_NS;
	}
	return false;
}

void ftsi_membership_heard(struct fts_replica *replica, uint64_t node_id)
{
	struct ftsi_membership *membership = ftsi_membership_get(replica);
	size_t at = 0;
	if (membership == NULL) return;
	while (at < FTSI_HEARD_MAX && membership->heard[at].node_id != node_id)
		at++;
	if (at == FTSI_HEARD_MAX) at = membership->next_heard++ % FTSI_HEARD_MAX;
	membership->heard[at].node_id = node_id;
	membership->heard[at].heard_ns = replica->now_ns;
}

void ftsi_membership_hello(struct fts_replica *replica, const char *name, const char *address, uint64_t node_id)
{
	struct ftsi_membership *membership = ftsi_membership_get(replica);
	if (membership == NULL) return;
	(void)snprintf(membership->lost.name, sizeof membership->lost.name, "%s", name);
	(void)snprintf(membership->lost.address, sizeof membership->lost.address, "%s", address);
	membership->lost.node_id = node_id;
	membership->lost.heard_ns = replica->now_ns;
	ftsi_membership_heard(replica, node_id);
}

/* ---- Who was there ---- */

static bool is_configured(const struct fts_replica *replica, const char *text)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	for (unsigned i = 0; i < configuration->n; i++)
		if (strcmp(configuration->servers[i].address, text) == 0) return true;
	return false;
}

/* Who stood in the configuration and does so no more: so that a removal asked for twice is told from a mistake, and a
 * member whose new id has yet to come from a stranger. */
void ftsi_membership_configured(struct fts_replica *replica)
{
	const struct raft_configuration *configuration = configuration_of(replica);
	struct ftsi_membership *membership = ftsi_membership_get(replica);
	if (membership == NULL) return;
	for (size_t i = 0; i < membership->member_count; i++) {
		if (is_configured(replica, membership->members[i])) continue;
		struct gone *gone = &membership->gone[membership->next_gone++ % FTSI_GONE_MAX];
		(void)snprintf(gone->text, sizeof gone->text, "%s", membership->members[i]);
		gone->since_ns = replica->now_ns;
	}
	membership->member_count = 0;
	for (unsigned i = 0; i < configuration->n && membership->member_count < FTS_REPLICA_MEMBER_MAX; i++) {
		/* It has been let in, by whoever led then: should it go again, it is not to be brought back. */
		if (configuration->servers[i].id == membership->lost.node_id) membership->lost.heard_ns = 0;
		(void)snprintf(membership->members[membership->member_count++], FTSI_MEMBER_TEXT_BYTES, "%s",
			       configuration->servers[i].address);
	}
}

bool ftsi_membership_is_gone(const struct ftsi_membership *membership, const char *name)
{
	size_t size = strlen(name);
	for (size_t i = 0; i < FTSI_GONE_MAX; i++)
		if (strncmp(membership->gone[i].text, name, size) == 0 && membership->gone[i].text[size] == '=')
			return true;
	return false;
}

bool ftsi_membership_left_just_now(struct fts_replica *replica, const char *text)
{
	ftsi_membership_configured(replica); /* it may have left in this very turn; and makes membership */
	const struct ftsi_membership *membership = replica->membership;
	uint64_t now_ns = replica->now_ns;
	for (size_t i = 0; i < FTSI_GONE_MAX && membership != NULL; i++)
		if (strcmp(membership->gone[i].text, text) == 0 &&
		    now_ns - membership->gone[i].since_ns < GONE_JUST_NOW_NS)
			return true;
	return false;
}
