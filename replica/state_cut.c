/* Why this file exists: how much of the log stays behind a snapshot, so that a member that lags a little gets entries
 * instead of a whole state. libraft counts entries; memory and disk are counted in bytes: samples of how many bytes
 * were appended up to which index translate one into the other.
 *
 * Invariant: samples ascend in index and bytes; two lie at least a hundredth of the log's limit apart, so that a full
 * table covers more than what is kept. Of what was appended before the process began nothing is known: the first cut
 * takes it away. */
#include <string.h>

#include "replica/members.h"
#include "replica/state_internal.h"

enum { FULL_COUNT = 4 };
#define FETCHED_BYTES_MIN ((uint64_t)64 * 1024 * 1024)

static uint64_t kept_bytes(const struct fts_replica *replica)
{
	return replica->log_bytes_max / 2;
}

void ftsi_state_appended(struct fts_replica *replica, uint64_t index, uint64_t size_bytes)
{
	struct ftsi_state *keeper = replica->keeper;
	struct ftsi_cut_sample *last = keeper->sample_count == 0 ? NULL : &keeper->samples[keeper->sample_count - 1];
	keeper->appended_bytes += size_bytes;
	if (last != NULL &&
	    keeper->appended_bytes - last->bytes < replica->log_bytes_max / (FTSI_CUT_SAMPLE_COUNT - 28))
		return;
	if (keeper->sample_count == FTSI_CUT_SAMPLE_COUNT) {
		memmove(keeper->samples, keeper->samples + 1, sizeof keeper->samples - sizeof keeper->samples[0]);
		keeper->sample_count--;
	}
	keeper->samples[keeper->sample_count++] = (struct ftsi_cut_sample){index, keeper->appended_bytes};
}

void ftsi_state_truncated(struct fts_replica *replica, uint64_t index)
{
	struct ftsi_state *keeper = replica->keeper;
	while (keeper->sample_count > 0 && keeper->samples[keeper->sample_count - 1].index >= index)
		keeper->sample_count--;
}

/* Some live member lacks entries that a snapshot now would cut off: it would need a state, and with a log that is cut
 * more quickly than a state is copied, one after the other for ever. */
static bool leaves_behind(const struct fts_replica *replica)
{
	const struct raft *raft = &replica->raft;
	uint64_t cut = raft->last_applied - ftsi_state_trailing(replica, raft->last_applied);
	for (size_t i = 0; i < replica->members.count; i++) {
		const struct ftsi_member *member = &replica->members.each[i];
		uint64_t has = ftsi_member_has_index(replica, member);
		if (member->configured && has >= raft->log.offset && has < cut && has != 0 &&
		    ftsi_member_is_alive(replica, member))
			return true;
	}
	return false;
}

/* Whoever fetches a state needs the entries behind it afterwards, until it has them; but memory has its limit. */
bool ftsi_state_may_cut(const struct fts_replica *replica)
{
	uint64_t limit = 2 * replica->log_bytes_max;
	if (limit < FETCHED_BYTES_MIN) limit = FETCHED_BYTES_MIN;
	if (atomic_load(&replica->doubted) || replica->keeper->offer.open) return false;
	if (replica->log_bytes > limit) return true;
	return !ftsi_send_is_moving(replica, replica->now_ns) && !leaves_behind(replica);
}

bool ftsi_state_is_full(const struct fts_replica *replica)
{
	return replica->log_bytes > FULL_COUNT * replica->log_bytes_max + FETCHED_BYTES_MIN;
}

unsigned ftsi_state_trailing(const struct fts_replica *replica, uint64_t index)
{
	const struct ftsi_state *keeper = replica->keeper;
	uint64_t keep = kept_bytes(replica);
	if (replica->raft.configuration.n < 2) return 0; /* nobody lags behind the only member */
	/* The first sample of which no more than keep is behind it. */
	for (uint32_t i = 0; i < keeper->sample_count; i++) {
		const struct ftsi_cut_sample *sample = &keeper->samples[i];
		if (keeper->appended_bytes - sample->bytes > keep) continue;
		return sample->index >= index ? 0 : (unsigned)(index - sample->index);
	}
	return 0;
}
