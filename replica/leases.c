/* Why this file exists: see replica/leases.h. A hash table with chains under one lock: what is done under it is short,
 * but for the leader's look at all holders, which comes when a lease may have ended. */
#include "replica/leases.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { BUCKET_COUNT = 4096, LOOK_MAX_MS = 100, STALL_MS = 250 };

struct lease {
	struct lease *next;
	struct fts_late_lease who;
	uint64_t heard_ns;
	uint32_t lease_ms;
	bool expiring;
};

struct fts_leases {
	pthread_mutex_t lock;
	bool leads;                          /* guarded by lock */
	uint64_t term;                       /* in which it leads; guarded by lock */
	uint64_t looked_ns;                  /* last look as leader; 0: none; guarded by lock */
	size_t count;                        /* guarded by lock */
	struct lease *buckets[BUCKET_COUNT]; /* guarded by lock */
};

struct fts_leases *fts_leases_create(void)
{
	struct fts_leases *leases = calloc(1, sizeof *leases);
	if (leases != NULL) pthread_mutex_init(&leases->lock, NULL);
	return leases;
}

void fts_leases_destroy(struct fts_leases *leases)
{
	if (leases == NULL) return;
	fts_leases_clear(leases);
	pthread_mutex_destroy(&leases->lock);
	free(leases);
}

static struct lease **bucket_of(struct fts_leases *leases, const char *group, const char *id)
{
	uint64_t hash = fts_hash64((struct fts_bytes){(const uint8_t *)group, strlen(group)}, 0);
	hash = fts_hash64((struct fts_bytes){(const uint8_t *)id, strlen(id)}, hash);
	return &leases->buckets[hash % BUCKET_COUNT];
}

/* The link that points to the lease, or to the end of its chain. */
static struct lease **find(struct fts_leases *leases, const char *group, const char *id)
{
	struct lease **link = bucket_of(leases, group, id);
	while (*link != NULL && (strcmp((*link)->who.id, id) != 0 || strcmp((*link)->who.group, group) != 0))
		link = &(*link)->next;
	return link;
}

void fts_leases_joined(struct fts_leases *leases, const char *group, const char *id, uint64_t joined, uint32_t lease_ms)
{
	pthread_mutex_lock(&leases->lock);
	struct lease **link = find(leases, group, id);
	if (*link == NULL && (*link = calloc(1, sizeof **link)) != NULL) {
		leases->count++;
		memcpy((*link)->who.group, group, strlen(group));
		memcpy((*link)->who.id, id, strlen(id));
	}
	/* no memory: it will be expired late, by a leader that has it (the look after a change of leader) */
	if (*link != NULL) {
		if ((*link)->who.joined != joined) { /* another life; the same one stays what it was, expiring too */
			(*link)->heard_ns = 0;       /* set at the next look */
			(*link)->expiring = false;
		}
		(*link)->who.joined = joined;
		(*link)->lease_ms = lease_ms;
	}
	pthread_mutex_unlock(&leases->lock);
}

void fts_leases_forget(struct fts_leases *leases, const char *group, const char *id)
{
	pthread_mutex_lock(&leases->lock);
	struct lease **link = find(leases, group, id), *gone = *link;
	if (gone != NULL) {
		*link = gone->next;
		leases->count--;
	}
	pthread_mutex_unlock(&leases->lock);
	free(gone);
}

void fts_leases_clear(struct fts_leases *leases)
{
	pthread_mutex_lock(&leases->lock);
	for (size_t i = 0; i < BUCKET_COUNT; i++)
		while (leases->buckets[i] != NULL) {
			struct lease *gone = leases->buckets[i];
			leases->buckets[i] = gone->next;
			free(gone);
		}
	leases->count = 0;
	pthread_mutex_unlock(&leases->lock);
}

bool fts_leases_empty(struct fts_leases *leases)
{
	pthread_mutex_lock(&leases->lock);
	bool empty = leases->count == 0;
	pthread_mutex_unlock(&leases->lock);
	return empty;
}

/* Called with lock held. */
static void begin_to_lead(struct fts_leases *leases, uint64_t term, uint64_t now_ns)
{
	for (size_t i = 0; i < BUCKET_COUNT; i++)
		for (struct lease *lease = leases->buckets[i]; lease != NULL; lease = lease->next) {
			lease->heard_ns = now_ns;
			lease->expiring = false;
		}
	leases->leads = true;
	leases->term = term;
	leases->looked_ns = 0;
}

void fts_leases_lead(struct fts_leases *leases, bool leads, uint64_t term, uint64_t now_ns)
{
	pthread_mutex_lock(&leases->lock);
	if (leads && (!leases->leads || leases->term != term)) begin_to_lead(leases, term, now_ns);
	leases->leads = leads;
	pthread_mutex_unlock(&leases->lock);
}

bool fts_leases_renew(struct fts_leases *leases, const char *group, const char *id, uint64_t joined, uint64_t now_ns)
{
	pthread_mutex_lock(&leases->lock);
	struct lease *lease = *find(leases, group, id);
	if (!leases->leads) begin_to_lead(leases, 0, now_ns);
	bool renewed = lease != NULL && lease->who.joined == joined && !lease->expiring;
	if (renewed) lease->heard_ns = now_ns;
	pthread_mutex_unlock(&leases->lock);
	return renewed;
}

/* When lease ends; a lease not heard of since it was made counts from this look. */
static uint64_t end_of(struct lease *lease, uint64_t now_ns)
{
	if (lease->heard_ns == 0) lease->heard_ns = now_ns;
	return lease->heard_ns + (uint64_t)lease->lease_ms * 1000000;
}

uint32_t fts_leases_remaining_ms(struct fts_leases *leases, const char *group, const char *id, uint64_t joined,
				 uint64_t now_ns, uint32_t *out_lease_ms)
{
	uint64_t left_ns = 0;
	*out_lease_ms = 0;
	pthread_mutex_lock(&leases->lock);
	const struct lease *lease = *find(leases, group, id);
	bool counts = leases->leads && lease != NULL && lease->who.joined == joined && !lease->expiring;
	if (counts && lease->heard_ns != 0) {
		uint64_t end_ns = lease->heard_ns + (uint64_t)lease->lease_ms * 1000000;
		left_ns = end_ns > now_ns ? end_ns - now_ns : 0;
	}
	if (lease != NULL) *out_lease_ms = lease->lease_ms;
	pthread_mutex_unlock(&leases->lock);
	return (uint32_t)(left_ns / 1000000);
}

/* Called with lock held, at each look. */
static void forgive_own_stall(struct fts_leases *leases, uint64_t now_ns)
{
	uint64_t gap_ns = leases->looked_ns == 0 || now_ns < leases->looked_ns ? 0 : now_ns - leases->looked_ns;
	leases->looked_ns = now_ns;
	if (gap_ns < (uint64_t)STALL_MS * 1000000) return;
	for (size_t i = 0; i < BUCKET_COUNT; i++)
		for (struct lease *lease = leases->buckets[i]; lease != NULL; lease = lease->next)
			if (lease->heard_ns != 0)
				lease->heard_ns = now_ns - lease->heard_ns < gap_ns ? now_ns : lease->heard_ns + gap_ns;
}

struct fts_late_lease *fts_leases_late(struct fts_leases *leases, uint64_t now_ns, size_t max, size_t *out_count,
				       uint64_t *out_next_ns)
{
	struct fts_late_lease *late = NULL;
	*out_count = 0;
	*out_next_ns = now_ns + (uint64_t)LOOK_MAX_MS * 1000000;
	pthread_mutex_lock(&leases->lock);
	if (leases->leads) forgive_own_stall(leases, now_ns);
	for (size_t i = 0; leases->leads && i < BUCKET_COUNT; i++)
		for (struct lease *lease = leases->buckets[i]; lease != NULL; lease = lease->next) {
			uint64_t end_ns = end_of(lease, now_ns);
			if (lease->expiring) continue;
			if (end_ns > now_ns && end_ns < *out_next_ns) *out_next_ns = end_ns;
			if (end_ns > now_ns || *out_count == max) continue;
			if (late == NULL && (late = calloc(max, sizeof *late)) == NULL) continue;
			late[(*out_count)++] = lease->who;
			lease->expiring = true;
		}
	pthread_mutex_unlock(&leases->lock);
	return late;
}

void fts_leases_spare(struct fts_leases *leases, const struct fts_late_lease *late, size_t count)
{
	pthread_mutex_lock(&leases->lock);
	for (size_t i = 0; i < count; i++) {
		struct lease *lease = *find(leases, late[i].group, late[i].id);
		if (lease != NULL && lease->who.joined == late[i].joined) lease->expiring = false;
	}
	pthread_mutex_unlock(&leases->lock);
}
