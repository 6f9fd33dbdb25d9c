/* Why this file exists: see router/quorum.h. */
#include "router/quorum.h"

Fts__Kv__V1__Consistency ftsi_quorum_level(Fts__Kv__V1__Consistency level)
{
	return level == FTS__KV__V1__CONSISTENCY__CONSISTENCY_DEFAULT ? FTS__KV__V1__CONSISTENCY__QUORUM : level;
}

static int count(uint64_t places)
{
	return __builtin_popcountll(places);
}

static int needed_of(uint64_t owners, Fts__Kv__V1__Consistency level)
{
	switch (level) {
	case FTS__KV__V1__CONSISTENCY__ONE:
	case FTS__KV__V1__CONSISTENCY__ANY:
		return 1;
	case FTS__KV__V1__CONSISTENCY__ALL:
		return count(owners);
	default:
		return count(owners) / 2 + 1;
	}
}

static enum ftsi_verdict judge_set(uint64_t owners, Fts__Kv__V1__Consistency level, uint64_t answered, uint64_t failed)
{
	int needed = needed_of(owners, level);
	if (count(owners & answered) >= needed) return FTSI_ENOUGH;
	return count(owners & ~failed) < needed ? FTSI_IMPOSSIBLE : FTSI_WAITING;
}

enum ftsi_verdict ftsi_quorum_judge(const struct fts_router_partition *partition, Fts__Kv__V1__Consistency level,
				    uint64_t answered, uint64_t failed)
{
	enum ftsi_verdict now = judge_set(partition->owners, level, answered, failed), next;
	if (level == FTS__KV__V1__CONSISTENCY__ONE || level == FTS__KV__V1__CONSISTENCY__ANY) return now;
	next = judge_set(partition->next, level, answered, failed);
	if (now == FTSI_IMPOSSIBLE || next == FTSI_IMPOSSIBLE) return FTSI_IMPOSSIBLE;
	return now == FTSI_ENOUGH && next == FTSI_ENOUGH ? FTSI_ENOUGH : FTSI_WAITING;
}
