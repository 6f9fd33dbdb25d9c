/* Why this file exists: see caller_internal.h: connections to workers, kept between calls; at most as many as there are
 * places, the one unused for longest goes first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/caller_internal.h"

enum { OPEN_CALLS_MAX = 4096 };

static struct ftsi_caller_link *open_link(const struct fts_caller *caller, const char *address,
					  struct fts_error *out_error)
{
	struct ftsi_caller_link *link = calloc(1, sizeof *link);
	const struct fts_channel_options options = {
	    .endpoints = address, .tls = caller->tls, .max_open_calls = OPEN_CALLS_MAX};
	if (link == NULL) {
		(void)fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a connection");
		return NULL;
	}
	(void)snprintf(link->address, sizeof link->address, "%s", address);
	if (fts_channel_open(&options, &link->channel, out_error) == FTS_OK) return link;
	free(link);
	return NULL;
}

void ftsi_caller_close_links(struct ftsi_caller_link *links)
{
	while (links != NULL) {
		struct ftsi_caller_link *link = links;
		links = link->next;
		fts_channel_close(link->channel);
		free(link);
	}
}

/* The place for address: its own, a free one, or that of the one unused for longest. NULL: all are in use. Called with
 * lock held. */
static struct ftsi_caller_link **place_for(struct fts_caller *caller, const char *address)
{
	struct ftsi_caller_link **best = NULL;
	for (size_t i = 0; i < FTSI_CALLER_LINK_MAX; i++) {
		struct ftsi_caller_link *link = caller->links[i];
		if (link != NULL && strcmp(link->address, address) == 0) return &caller->links[i];
		if (link != NULL && link->use_count > 0) continue;
		if (best == NULL || (*best != NULL && (link == NULL || link->used_ns < (*best)->used_ns)))
			best = &caller->links[i];
	}
	return best;
}

static bool is_at(struct ftsi_caller_link *const *place, const char *address)
{
	return place != NULL && *place != NULL && strcmp((*place)->address, address) == 0;
}

/* fresh: owned; NULL: none was made. To be closed by the looker: this may be a callback, in which none is. Called with
 * lock held. */
static void put_away(struct fts_caller *caller, struct ftsi_caller_link *fresh)
{
	if (fresh == NULL) return;
	fresh->next = caller->old_links;
	caller->old_links = fresh;
}

/* The connection to address if there is one, or fresh (owned; NULL: none) in a place of its own. NULL: neither;
 * out_full: there is no place for one. */
static struct ftsi_caller_link *use(struct fts_caller *caller, const char *address, struct ftsi_caller_link *fresh,
				    bool *out_full)
{
	pthread_mutex_lock(&caller->lock);
	struct ftsi_caller_link **place = place_for(caller, address);
	*out_full = place == NULL;
	if (fresh != NULL && place != NULL && !is_at(place, address)) {
		put_away(caller, *place);
		*place = fresh;
		fresh = NULL;
	}
	put_away(caller, fresh); /* somebody was faster */
	struct ftsi_caller_link *link = is_at(place, address) ? *place : NULL;
	if (link != NULL) link->use_count++;
	pthread_mutex_unlock(&caller->lock);
	return link;
}

struct ftsi_caller_link *ftsi_caller_take_link(struct fts_caller *caller, const char *address,
					       struct fts_error *out_error)
{
	bool full;
	struct ftsi_caller_link *link = use(caller, address, NULL, &full), *fresh = NULL;
	if (link == NULL && !full) {
		fresh = open_link(caller, address, out_error); /* reads files: not with the lock */
		if (fresh == NULL) return NULL;
		link = use(caller, address, fresh, &full);
	}
	if (link == NULL)
		(void)fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "calls to %d workers are open",
				    FTSI_CALLER_LINK_MAX);
	return link;
}

void ftsi_caller_give_link(struct fts_caller *caller, struct ftsi_caller_link *link)
{
	pthread_mutex_lock(&caller->lock);
	link->use_count--;
	link->used_ns = fts_clock_monotonic_ns();
	pthread_mutex_unlock(&caller->lock);
}
