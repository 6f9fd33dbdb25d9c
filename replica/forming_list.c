/* Why this file exists: see replica/forming_internal.h; here: the list of a cluster's first members, as each was
 * started with it. Lists are compared by name and address, in whatever order they were written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/forming_internal.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ftsi_listed *)a)->name, ((const struct ftsi_listed *)b)->name);
}

struct ftsi_listed *ftsi_forming_listed(struct ftsi_forming *forming, const char *name)
{
	for (size_t i = 0; i < forming->list_count; i++) {
		if (strcmp(forming->list[i].name, name) == 0) return &forming->list[i];
	}
	return NULL;
}

static enum fts_status check_pairs(const struct ftsi_forming *forming, struct fts_error *out_error)
{
	for (size_t i = 0; i < forming->list_count; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct ftsi_listed *a = &forming->list[k], *b = &forming->list[i];
			if (strcmp(a->name, b->name) == 0)
				return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s stands twice in the list",
						     a->name);
			if (strcmp(a->address, b->address) == 0)
				return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s and %s are both at %s",
						     a->name, b->name, a->address);
		}
	}
	return FTS_OK;
}

static enum fts_status find_self(struct fts_replica *replica, struct fts_error *out_error)
{
	struct ftsi_forming *forming = replica->forming;
	struct ftsi_listed *self = ftsi_forming_listed(forming, replica->name);
	if (self == NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "this node, %s, does not stand in the list",
				     replica->name);
	if (strcmp(self->address, replica->address) != 0)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s is at %s, and the list says %s",
				     replica->name, replica->address, self->address);
	forming->self = (size_t)(self - forming->list);
	self->node_id = replica->identity.node_id;
	return FTS_OK;
}

enum fts_status ftsi_forming_take_list(struct fts_replica *replica, struct fts_error *out_error)
{
	struct ftsi_forming *forming = replica->forming;
	const struct fts_replica_options *options = &replica->options;
	if (options->member_count > FTS_REPLICA_MEMBER_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a cluster has at most %d members",
				     FTS_REPLICA_MEMBER_MAX);
	for (size_t i = 0; i < options->member_count; i++) {
		const struct fts_replica_member *member = &options->members[i];
		struct ftsi_listed *listed = &forming->list[i];
		if (member->name[0] == '\0' || strlen(member->name) >= sizeof listed->name ||
		    strchr(member->name, '=') != NULL || strlen(member->address) >= sizeof listed->address)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.70s=%.130s is no member", member->name,
					     member->address);
		(void)snprintf(listed->name, sizeof listed->name, "%s", member->name);
		(void)snprintf(listed->address, sizeof listed->address, "%s", member->address);
	}
	forming->list_count = options->member_count;
	if (forming->list_count == 0) return FTS_OK;
	qsort(forming->list, forming->list_count, sizeof forming->list[0], by_name);
	enum fts_status status = check_pairs(forming, out_error);
	return status == FTS_OK ? find_self(replica, out_error) : status;
}

/* ---- Comparing ---- */

static const Fts__Replica__V1__Member *find(Fts__Replica__V1__Member *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i]->name, name) == 0) return list[i];
	}
	return NULL;
}

static bool knows(const struct ftsi_forming *forming, const char *name)
{
	for (size_t i = 0; i < forming->list_count; i++) {
		if (strcmp(forming->list[i].name, name) == 0) return true;
	}
	return false;
}

bool ftsi_forming_lists_differ(const struct ftsi_forming *forming, const char *who,
			       Fts__Replica__V1__Member *const *list, size_t count, char *out)
{
	const struct ftsi_listed *self = &forming->list[forming->self];
	for (size_t i = 0; i < forming->list_count; i++) {
		const struct ftsi_listed *ours = &forming->list[i];
		const Fts__Replica__V1__Member *theirs = find(list, count, ours->name);
		if (theirs != NULL && strcmp(theirs->address, ours->address) == 0) continue;
		(void)snprintf(out, FTS_DETAIL_MAX,
			       "the lists of members differ: %s@%s is in the list of %s, %s%.130s in that of %s",
			       ours->name, ours->address, self->name, theirs == NULL ? "not" : "at ",
			       theirs == NULL ? "" : theirs->address, who);
		return true;
	}
	for (size_t i = 0; i < count; i++) {
		if (knows(forming, list[i]->name)) continue;
		(void)snprintf(out, FTS_DETAIL_MAX,
			       "the lists of members differ: %.64s@%.130s is in the list of %s, not in that of %s",
			       list[i]->name, list[i]->address, who, self->name);
		return true;
	}
	return false;
}

size_t ftsi_forming_missing(const struct ftsi_forming *forming, uint64_t now_ns, char *out)
{
	size_t missing = 0, at = 0;
	out[0] = '\0';
	for (size_t i = 0; i < forming->list_count; i++) {
		const struct ftsi_listed *listed = &forming->list[i];
		if (i == forming->self) continue;
		if (listed->node_id != 0 && now_ns - listed->heard_ns < FTSI_HELLO_FRESH_NS) continue;
		int size = snprintf(out + at, FTS_DETAIL_MAX - at, "%s%s@%s", missing == 0 ? "" : ",", listed->name,
				    listed->address);
		if (size > 0 && (size_t)size < FTS_DETAIL_MAX - at) at += (size_t)size;
		missing++;
	}
	return missing;
}
