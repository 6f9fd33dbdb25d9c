/* Why this file exists: see base/progress.h. */
#include "base/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define NS_PER_MS 1000000u

struct fts_strand {
	char name[FTS_STRAND_NAME_BYTES];
	uint32_t longest_ms;
	atomic_uint_fast64_t moved;
	atomic_int_fast64_t waiting;   /* below 0 for a moment, when a piece is done before it is counted as waiting */
	atomic_uint_fast64_t since_ns; /* of the last move, or of the first piece that waits behind it */
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fts_strand table[FTS_STRAND_MAX + 1]; /* the last one is everybody's who came too late */
static atomic_size_t table_count;

struct fts_strand *fts_strand_of(const char *name, uint32_t longest_ms)
{
	struct fts_strand *found = NULL;
	pthread_mutex_lock(&table_lock);
	size_t count = atomic_load(&table_count);
	for (size_t i = 0; i < count && found == NULL; i++)
		if (strncmp(table[i].name, name, FTS_STRAND_NAME_BYTES - 1) == 0) found = &table[i];
	if (found == NULL) {
		found = &table[count < FTS_STRAND_MAX ? count : FTS_STRAND_MAX];
		snprintf(found->name, sizeof(found->name), "%s", name);
		found->longest_ms = longest_ms;
		if (count < FTS_STRAND_MAX) atomic_store(&table_count, count + 1);
	}
	pthread_mutex_unlock(&table_lock);
	return found;
}

void fts_strand_add(struct fts_strand *strand, uint32_t count)
{
	if (atomic_fetch_add(&strand->waiting, count) <= 0) atomic_store(&strand->since_ns, fts_clock_monotonic_ns());
}

void fts_strand_done(struct fts_strand *strand, uint32_t count)
{
	atomic_fetch_sub(&strand->waiting, count);
	fts_strand_move(strand);
}

void fts_strand_move(struct fts_strand *strand)
{
	atomic_fetch_add_explicit(&strand->moved, 1, memory_order_relaxed);
	atomic_store_explicit(&strand->since_ns, fts_clock_monotonic_ns(), memory_order_relaxed);
}

void fts_strand_drop(struct fts_strand *strand, uint32_t count)
{
	atomic_fetch_sub(&strand->waiting, count);
}

static void look(struct fts_strand *strand, uint64_t now_ns, struct fts_strand_status *out_status)
{
	int64_t waiting = atomic_load(&strand->waiting);
	uint64_t since_ns = atomic_load(&strand->since_ns);
	*out_status = (struct fts_strand_status){.name = strand->name,
						 .moved = atomic_load(&strand->moved),
						 .waiting = waiting > 0 ? (uint32_t)waiting : 0,
						 .longest_ms = strand->longest_ms};
	if (waiting > 0 && since_ns < now_ns) out_status->oldest_ms = (uint32_t)((now_ns - since_ns) / NS_PER_MS);
}

size_t fts_strand_list(struct fts_strand_status *out_status)
{
	size_t count = atomic_load(&table_count);
	uint64_t now_ns = fts_clock_monotonic_ns();
	for (size_t i = 0; i < count; i++)
		look(&table[i], now_ns, &out_status[i]);
	return count;
}

bool fts_strand_all_move(uint32_t patience_ms, char *out_name)
{
	struct fts_strand_status strands[FTS_STRAND_MAX];
	size_t count = fts_strand_list(strands);
	for (size_t i = 0; i < count; i++) {
		uint32_t most_ms = strands[i].longest_ms > patience_ms ? strands[i].longest_ms : patience_ms;
		if (strands[i].waiting == 0 || strands[i].oldest_ms <= most_ms) continue;
		snprintf(out_name, FTS_STRAND_NAME_BYTES, "%s", strands[i].name);
		return false;
	}
	return true;
}
