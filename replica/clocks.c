/* Why this file exists: see replica/clocks.h. */
#include "replica/clocks.h"

#define FRESH_NS 10000000000ull
#define WALL_MS_MAX (INT64_C(1) << 48) /* some nine thousand years: no clock says more, and sums stay in 64 bits */

static int64_t monotonic_ms(const struct fts_replica *replica)
{
	return (int64_t)(replica->now_ns / 1000000);
}

void ftsi_clocks_told(struct fts_replica *replica, struct ftsi_member *member, int64_t wall_ms)
{
	if (wall_ms <= 0 || wall_ms > WALL_MS_MAX) return;
	member->clock_offset_ms = wall_ms - monotonic_ms(replica);
	member->clock_ns = replica->now_ns;
}

static bool counts(const struct fts_replica *replica, const struct ftsi_member *member)
{
	return member->configured && member->clock_ns != 0 && replica->now_ns - member->clock_ns < FRESH_NS;
}

/* In ascending order. */
static void insert(int64_t *offsets, size_t count, int64_t offset)
{
	for (; count > 0 && offsets[count - 1] > offset; count--)
		offsets[count] = offsets[count - 1];
	offsets[count] = offset;
}

void ftsi_clocks_compare(struct fts_replica *replica)
{
	int64_t offsets[FTSI_MEMBER_MAX];
	size_t count = 0;
	for (size_t i = 0; i < replica->members.count; i++)
		if (counts(replica, &replica->members.each[i]))
			insert(offsets, count++, replica->members.each[i].clock_offset_ms);
	atomic_store(&replica->others_clock_ms, count == 0 ? INT64_MIN : offsets[count / 2]);
}

int64_t fts_replica_others_clock_ms(const struct fts_replica *replica)
{
	return atomic_load(&replica->others_clock_ms);
}
