/* Why this file exists: see watchdog/quorum.h. */
#include "watchdog/quorum.h"

#include <stdio.h>
#include <string.h>

static bool is_voter(const Fts__Cluster__V1__NodeStatus *node)
{
	return node->role == FTS__CLUSTER__V1__ROLE__LEADER || node->role == FTS__CLUSTER__V1__ROLE__FOLLOWER ||
	       node->role == FTS__CLUSTER__V1__ROLE__CANDIDATE;
}

static const Fts__Cluster__V1__NodeStatus *node_of(const Fts__Cluster__V1__StatusResponse *said, const char *name)
{
	for (size_t i = 0; i < said->n_nodes; i++)
		if (strcmp(said->nodes[i]->name, name) == 0) return said->nodes[i];
	return NULL;
}

/* Was this answer given by the node of that name? */
static bool is_view_of(const struct ftsi_quorum_view *view, const char *name)
{
	const Fts__Cluster__V1__NodeStatus *node = node_of(view->said, name);
	return node != NULL && strcmp(node->address, view->endpoint) == 0;
}

/* Of those that others than member gave, the leader's own one, else the newest. NULL: nobody else answered. */
static const Fts__Cluster__V1__StatusResponse *best_view(const struct ftsi_quorum_view *views, size_t count,
							 const char *member)
{
	const Fts__Cluster__V1__StatusResponse *best = NULL;
	bool best_leads = false;
	for (size_t i = 0; i < count; i++) {
		if (views[i].said == NULL || is_view_of(&views[i], member)) continue;
		const Fts__Cluster__V1__StatusResponse *said = views[i].said;
		bool leads = said->leader[0] != '\0' && is_view_of(&views[i], said->leader);
		if (best == NULL || leads > best_leads || (leads == best_leads && said->term > best->term)) {
			best = said;
			best_leads = leads;
		}
	}
	return best;
}

/* Any answer names all members. */
static const Fts__Cluster__V1__StatusResponse *any_view(const struct ftsi_quorum_view *views, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (views[i].said != NULL) return views[i].said;
	return NULL;
}

bool ftsi_quorum_stays(const struct ftsi_quorum_view *views, size_t count, const char *member, bool takes_no_part,
		       char *out_detail, size_t size_bytes)
{
	const Fts__Cluster__V1__StatusResponse *said = best_view(views, count, member), *any = any_view(views, count);
	size_t voters = 0, others_alive = 0;
	const Fts__Cluster__V1__NodeStatus *self = any != NULL ? node_of(any, member) : NULL;
	if (any == NULL || said == NULL) {
		for (size_t i = 0; any != NULL && i < any->n_nodes; i++)
			voters += is_voter(any->nodes[i]);
		snprintf(out_detail, size_bytes, "no other node answers");
		return takes_no_part || voters == 1;
	}
	if (node_of(said, member) != NULL) self = node_of(said, member);
	for (size_t i = 0; i < said->n_nodes; i++) {
		voters += is_voter(said->nodes[i]);
		others_alive +=
		    is_voter(said->nodes[i]) && said->nodes[i]->alive && strcmp(said->nodes[i]->name, member) != 0;
	}
	snprintf(out_detail, size_bytes, "without %s %zu of %zu voters are alive", member, others_alive, voters);
	if (self == NULL || !is_voter(self) || others_alive > voters / 2) return true;
	return takes_no_part && !self->alive;
}
