/* Why this file exists: a guard that nothing needs is noise, and a simulation that finds nothing proves nothing. So
 * each guard of replica/guards.h can be switched off here, and the simulation has to notice. The linker puts these
 * functions before the replica's own (--wrap): the replica itself has no switch for it. */
#include <string.h>

#include "replica/guards.h"
#include "simulation.h"

enum guard {
	BARRIER,
	MAY_COUNT,
	MAY_APPEND,
	MAY_SNAPSHOT,
	ROLL_BACK,
	TERM_STANDS,
	SKIP_SNAPSHOT,
	CLAMP_COMMIT,
	CLAMP_RESULT,
	INSTALLED,
	MAY_TICK,
	MAY_BE_ELECTED,
	BEFORE_TICK,
	GUARD_COUNT
};

static const char *const names[GUARD_COUNT] = {
    [BARRIER] = "barrier",
    [MAY_COUNT] = "may_count",
    [MAY_APPEND] = "may_append",
    [MAY_SNAPSHOT] = "may_snapshot",
    [ROLL_BACK] = "roll_back",
    [TERM_STANDS] = "term_stands",
    [SKIP_SNAPSHOT] = "skip_snapshot",
    [CLAMP_COMMIT] = "clamp_commit",
    [CLAMP_RESULT] = "clamp_result",
    [INSTALLED] = "installed",
    [MAY_TICK] = "may_tick",
    [MAY_BE_ELECTED] = "may_be_elected",
    [BEFORE_TICK] = "before_tick",
};
static bool off[GUARD_COUNT];

bool sim_mutation_set(const char *guard)
{
	for (int i = 0; i < GUARD_COUNT; i++) {
		if (strcmp(names[i], guard) != 0) continue;
		off[i] = true;
		return true;
	}
	return false;
}

void sim_mutation_list(FILE *out)
{
	for (int i = 0; i < GUARD_COUNT; i++)
		(void)fprintf(out, "%s%s", i == 0 ? "" : " ", names[i]);
}

/* Declares the replica's guard and ours before it. */
#define GUARD(type, name, ...)                                                                                         \
	type __real_ftsi_guard_##name(__VA_ARGS__);                                                                    \
	type __wrap_ftsi_guard_##name(__VA_ARGS__);                                                                    \
	type __wrap_ftsi_guard_##name(__VA_ARGS__)

/* Without its barrier a leader serves as soon as it leads. */
GUARD(void, observe, struct fts_replica *replica)
{
	__real_ftsi_guard_observe(replica);
	if (off[BARRIER] && !atomic_load(&replica->failed) && replica->raft_running && !replica->closing &&
	    !replica->stopping)
		atomic_store(&replica->serving, raft_state(&replica->raft) == RAFT_LEADER);
}

GUARD(bool, may_count, struct fts_replica *replica, const struct raft_message *message)
{
	return off[MAY_COUNT] || __real_ftsi_guard_may_count(replica, message);
}

GUARD(bool, may_append, const struct fts_replica *replica)
{
	return off[MAY_APPEND] ? !replica->inflight.active : __real_ftsi_guard_may_append(replica);
}

GUARD(bool, may_snapshot, const struct fts_replica *replica)
{
	return off[MAY_SNAPSHOT] || __real_ftsi_guard_may_snapshot(replica);
}

GUARD(void, roll_back, struct fts_replica *replica, const struct raft_append_entries *message)
{
	if (!off[ROLL_BACK]) __real_ftsi_guard_roll_back(replica, message);
}

GUARD(bool, term_stands, const struct fts_replica *replica, raft_term at_append)
{
	return off[TERM_STANDS] || __real_ftsi_guard_term_stands(replica, at_append);
}

GUARD(void, skip_snapshot, const struct fts_replica *replica, struct raft_append_entries *message)
{
	if (!off[SKIP_SNAPSHOT]) __real_ftsi_guard_skip_snapshot(replica, message);
}

GUARD(void, clamp_commit, struct raft_append_entries *message)
{
	if (!off[CLAMP_COMMIT]) __real_ftsi_guard_clamp_commit(message);
}

GUARD(void, clamp_result, const struct fts_replica *replica, struct raft_append_entries_result *result)
{
	if (!off[CLAMP_RESULT]) __real_ftsi_guard_clamp_result(replica, result);
}

GUARD(void, installed, struct fts_replica *replica)
{
	if (!off[INSTALLED]) __real_ftsi_guard_installed(replica);
}

GUARD(bool, may_tick, const struct fts_replica *replica)
{
	return off[MAY_TICK] || __real_ftsi_guard_may_tick(replica);
}

GUARD(bool, may_be_elected, struct fts_replica *replica, const struct raft_message *message)
{
	return off[MAY_BE_ELECTED] || __real_ftsi_guard_may_be_elected(replica, message);
}

GUARD(void, before_tick, struct fts_replica *replica)
{
	if (!off[BEFORE_TICK]) __real_ftsi_guard_before_tick(replica);
}
