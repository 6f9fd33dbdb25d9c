/* Why this file exists: a guard that nothing needs is noise, and a simulation that finds nothing proves nothing. So
 * each guard of replica/guards.h can be switched off here, and the simulation has to notice. The linker puts these
 * functions before the replica's own (--wrap): the replica itself has no switch for it. */
#include <string.h>

#include "replica/guards.h"
#include "simulation.h"

enum guard { BARRIER, MAY_APPEND, MAY_SNAPSHOT, TERM_STANDS, MAY_TICK, GUARD_COUNT };

static const char *const names[GUARD_COUNT] = {
    [BARRIER] = "barrier",         [MAY_APPEND] = "may_append", [MAY_SNAPSHOT] = "may_snapshot",
    [TERM_STANDS] = "term_stands", [MAY_TICK] = "may_tick",
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

const char *sim_mutation_names(void)
{
	return "barrier, may_append, may_snapshot, term_stands, may_tick";
}

void __real_ftsi_guard_observe(struct fts_replica *replica);
bool __real_ftsi_guard_may_append(const struct fts_replica *replica);
bool __real_ftsi_guard_may_snapshot(const struct fts_replica *replica);
bool __real_ftsi_guard_term_stands(const struct fts_replica *replica, raft_term at_append);
bool __real_ftsi_guard_may_tick(const struct fts_replica *replica);
void __wrap_ftsi_guard_observe(struct fts_replica *replica);
bool __wrap_ftsi_guard_may_append(const struct fts_replica *replica);
bool __wrap_ftsi_guard_may_snapshot(const struct fts_replica *replica);
bool __wrap_ftsi_guard_term_stands(const struct fts_replica *replica, raft_term at_append);
bool __wrap_ftsi_guard_may_tick(const struct fts_replica *replica);

/* Without its barrier a leader serves as soon as it leads. */
void __wrap_ftsi_guard_observe(struct fts_replica *replica)
{
	if (!off[BARRIER] || atomic_load(&replica->failed)) {
		__real_ftsi_guard_observe(replica);
		return;
	}
	atomic_store(&replica->serving, raft_state(&replica->raft) == RAFT_LEADER);
}

bool __wrap_ftsi_guard_may_append(const struct fts_replica *replica)
{
	return off[MAY_APPEND] ? !replica->inflight.active : __real_ftsi_guard_may_append(replica);
}

bool __wrap_ftsi_guard_may_snapshot(const struct fts_replica *replica)
{
	return off[MAY_SNAPSHOT] || __real_ftsi_guard_may_snapshot(replica);
}

bool __wrap_ftsi_guard_term_stands(const struct fts_replica *replica, raft_term at_append)
{
	return off[TERM_STANDS] || __real_ftsi_guard_term_stands(replica, at_append);
}

bool __wrap_ftsi_guard_may_tick(const struct fts_replica *replica)
{
	return off[MAY_TICK] || __real_ftsi_guard_may_tick(replica);
}
