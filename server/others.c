/* Why this file exists: see server/others.h. */
#include "server/others.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define NS_PER_MS 1000000u
#define FORGET_NS ((uint64_t)FTSI_OTHERS_FORGET_MS * NS_PER_MS)
#define LOWEST_PORT 3 /* a surveyor counts from the port of calls, two below */

void ftsi_others_init(struct ftsi_others *others)
{
	pthread_mutex_init(&others->lock, NULL);
	others->count = 0;
}

void ftsi_others_fini(struct ftsi_others *others)
{
	pthread_mutex_destroy(&others->lock);
}

/* Called with lock held. */
static void forget_old(struct ftsi_others *others, uint64_t now_ns)
{
	size_t kept = 0;
	for (size_t i = 0; i < others->count; i++)
		if (others->list[i].heard_ns + FORGET_NS > now_ns) others->list[kept++] = others->list[i];
	others->count = kept;
}

/* The one of that name, or a free place; NULL: there is none. Called with lock held. */
static struct ftsi_other *place_of(struct ftsi_others *others, const char *name)
{
	for (size_t i = 0; i < others->count; i++)
		if (strcmp(others->list[i].name, name) == 0) return &others->list[i];
	if (others->count == FTSI_OTHERS_MAX) return NULL;
	others->list[others->count] = (struct ftsi_other){.heard_ns = 0};
	return &others->list[others->count++];
}

static enum fts_status check(const Fts__Health__V1__Announced *who, struct fts_error *out_error)
{
	struct ftsi_endpoint address;
	if (who->name[0] == '\0' || strlen(who->name) >= FTSI_OTHERS_NAME_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "who.name: expected 1 to %d bytes",
				     FTSI_OTHERS_NAME_MAX - 1);
	if (who->address[0] == '\0' &&
	    (who->left || (who->report.len > 0 && who->report.len <= FTSI_OTHERS_SAID_BYTES)))
		return FTS_OK;
	if (strlen(who->address) >= FTSI_ADDRESS_MAX || !ftsi_address_parse(who->address, &address) ||
	    address.port < LOWEST_PORT)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "who.address: \"%.100s\": expected HOST:PORT where surveys are answered",
				     who->address);
	return FTS_OK;
}

enum fts_status ftsi_others_note(struct ftsi_others *others, const Fts__Health__V1__Announced *who,
				 struct fts_error *out_error)
{
	uint64_t now_ns = fts_clock_monotonic_ns(), ago_ns = (uint64_t)who->heard_ago_ms * NS_PER_MS;
	uint64_t heard_ns = ago_ns < now_ns ? now_ns - ago_ns : 1;
	enum fts_status status = check(who, out_error);
	if (status != FTS_OK || heard_ns + FORGET_NS <= now_ns) return status;
	pthread_mutex_lock(&others->lock);
	forget_old(others, now_ns);
	struct ftsi_other *other = place_of(others, who->name);
	if (other == NULL) {
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED,
				       "%d workers, agents and watchdogs are known already", FTSI_OTHERS_MAX);
	} else if (heard_ns > other->heard_ns) {
		snprintf(other->name, sizeof(other->name), "%s", who->name);
		snprintf(other->address, sizeof(other->address), "%s", who->address);
		other->said_bytes = who->report.len <= sizeof(other->said) ? who->report.len : 0;
		if (other->said_bytes > 0) memcpy(other->said, who->report.data, other->said_bytes);
		other->kind = who->kind;
		other->heard_ns = heard_ns;
		other->left = who->left;
	}
	pthread_mutex_unlock(&others->lock);
	return status;
}

size_t ftsi_others_list(struct ftsi_others *others, struct ftsi_other *out_list)
{
	pthread_mutex_lock(&others->lock);
	forget_old(others, fts_clock_monotonic_ns());
	size_t count = others->count;
	memcpy(out_list, others->list, count * sizeof(out_list[0]));
	pthread_mutex_unlock(&others->lock);
	return count;
}
