/* Why this file exists: see perft.h. */
#include "game/perft.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"

enum { LOOK_NODES = 1 << 16, SLOT_COUNT = 4 * 1024 * 1024 };

struct slot {
	uint64_t low, high; /* of the position's hash; both 0: free */
};

struct count {
	const struct ftsi_game_rules *rules;
	uint64_t deadline_ns;
	uint64_t leaf_count;
	uint32_t until_look;
	enum fts_status status;
	struct slot *seen; /* owned; NULL: every path counts */
	uint32_t seen_count;
};

static bool may_go_on(struct count *count)
{
	if (count->status != FTS_OK) return false;
	if (count->until_look-- > 0) return true;
	count->until_look = LOOK_NODES;
	if (fts_clock_monotonic_ns() >= count->deadline_ns) count->status = FTS_DEADLINE_EXCEEDED;
	return count->status == FTS_OK;
}

/* True: the position was not there yet, and is now. 128 bits of hash: that two of a few million positions meet is far
 * less likely than a fault of the machine. */
static bool see(struct count *count, const struct ftsi_position *position)
{
	XXH128_hash_t hash = XXH3_128bits(position, sizeof *position);
	struct slot wanted = {hash.low64 | 1, hash.high64};
	for (uint64_t i = hash.high64;; i++) {
		struct slot *slot = &count->seen[i % SLOT_COUNT];
		if (slot->low == wanted.low && slot->high == wanted.high) return false;
		if (slot->low != 0) continue;
		if (count->seen_count == FTSI_PERFT_POSITION_MAX) {
			count->status = FTS_RESOURCE_EXHAUSTED;
			return false;
		}
		*slot = wanted;
		count->seen_count++;
		return true;
	}
}

/* Recursion is bounded by the plies of a match. */
static void walk(struct count *count, const struct ftsi_position *position, uint32_t depth)
{
	ftsi_move moves[FTSI_GAME_MOVE_MAX];
	if (!may_go_on(count) || (count->seen != NULL && !see(count, position))) return;
	if (depth == 0) {
		count->leaf_count++;
		return;
	}
	uint32_t move_count = count->rules->legal(position, moves);
	if (move_count == 0 && count->seen == NULL && count->rules->perft_counts_ended) count->leaf_count++;
	if (depth == 1 && count->seen == NULL) {
		count->leaf_count += move_count;
		return;
	}
	for (uint32_t i = 0; i < move_count; i++) {
		struct ftsi_position next = *position;
		count->rules->apply(&next, moves[i]);
		walk(count, &next, depth - 1);
	}
}

static enum fts_status start(struct count *count, uint32_t depth, uint64_t *out_count)
{
	struct ftsi_position first;
	count->rules->init(&first);
	if (depth <= FTSI_GAME_PLY_MAX) walk(count, &first, depth); /* no match is longer: nothing is there */
	if (count->status == FTS_OK) *out_count = count->leaf_count;
	return count->status;
}

enum fts_status ftsi_perft_nodes(const struct ftsi_game_rules *rules, uint32_t depth, uint64_t deadline_ns,
				 uint64_t *out_nodes)
{
	struct count count = {.rules = rules, .deadline_ns = deadline_ns};
	return start(&count, depth, out_nodes);
}

enum fts_status ftsi_perft_positions(const struct ftsi_game_rules *rules, uint32_t depth, uint64_t deadline_ns,
				     uint64_t *out_positions)
{
	struct count count = {.rules = rules, .deadline_ns = deadline_ns};
	enum fts_status status;
	count.seen = calloc(SLOT_COUNT, sizeof *count.seen);
	if (count.seen == NULL) return FTS_RESOURCE_EXHAUSTED;
	status = start(&count, depth, out_positions);
	free(count.seen);
	return status;
}
