/* Why this file exists: see simulation.h. */
#include <ftw.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "simulation.h"
#include "store/fault.h"

enum { START_S = 1000, HEAL_MAX_S = 30, CALM_MS = 1500, CHECK_MS = 50, EVENT_MAX = 20000000 };

struct plain {
	struct sim_event event; /* first */
};

void *sim_alloc(size_t size_bytes)
{
	void *memory = calloc(1, size_bytes);
	if (memory == NULL) abort();
	return memory;
}

void sim_after(struct simulation *sim, uint64_t delay_ns, struct sim_event *event,
	       void (*run)(struct simulation *sim, struct sim_event *event))
{
	event->at_ns = sim->now_ns + delay_ns;
	event->run = run;
	sim_schedule_add(&sim->schedule, event);
}

void sim_note(struct simulation *sim, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t hash = sim_mix(sim->trace_hash ^ sim->now_ns);
	for (const char *at = what; *at != 0; at++)
		hash = (hash ^ (uint8_t)*at) * 0x100000001b3u;
	hash = sim_mix(hash ^ a);
	hash = sim_mix(hash ^ b);
	sim->trace_hash = sim_mix(hash ^ c);
	sim->trace_count++;
	if (sim->trace)
		printf("%10.6f %s %llu %llu %llu\n", (double)(sim->now_ns - START_S * SIM_S) / 1e9, what,
		       (unsigned long long)a, (unsigned long long)b, (unsigned long long)c);
}

void sim_violation(struct simulation *sim, const char *format, ...)
{
	va_list args;
	int used;
	if (sim_violated(sim)) return; /* the first is the one to look at */
	used = snprintf(sim->violation, sizeof sim->violation,
			"at %.6f s: ", (double)(sim->now_ns - START_S * SIM_S) / 1e9);
	va_start(args, format);
	(void)vsnprintf(sim->violation + used, sizeof sim->violation - (size_t)used, format, args);
	va_end(args);
	if (sim->trace) printf("VIOLATION %s\n", sim->violation);
}

/* ---- Made from its seed ---- */

/* libsodium's randomness, of which services make keys and tokens. */
static struct sim_random *sodium_random;

static const char *sodium_name(void)
{
	return "simulation";
}

static uint32_t sodium_word(void)
{
	return (uint32_t)sim_random_next(sodium_random);
}

static void sodium_fill(void *out, size_t size_bytes)
{
	uint8_t *bytes = out;
	for (size_t i = 0; i < size_bytes; i++)
		bytes[i] = (uint8_t)sim_random_next(sodium_random);
}

static void take_over_sodium(struct sim_random *random)
{
	static struct randombytes_implementation ours = {
	    .implementation_name = sodium_name, .random = sodium_word, .buf = sodium_fill};
	static struct sim_random first;
	sodium_random = &first; /* what it takes for itself, once a process, is no part of a seed */
	(void)randombytes_set_implementation(&ours);
	if (sodium_init() < 0) abort();
	sodium_random = random;
}

static void choose_profile(struct simulation *sim)
{
	struct sim_random *random = &sim->random;
	struct sim_profile *profile = &sim->profile;
	bool wild = sim_random_chance(random, 250);
	profile->node_count = sim_random_chance(random, 650) ? 3 : 5;
	profile->client_count = (uint32_t)sim_random_between(random, 1, SIM_CLIENT_MAX);
	profile->agency_count =
	    sim_random_chance(random, 600) ? (uint32_t)sim_random_between(random, 1, SIM_AGENCY_MAX) : 0;
	profile->table_count =
	    sim_random_chance(random, 600) ? (uint32_t)sim_random_between(random, 1, SIM_TABLE_MAX) : 0;
	profile->member_changes = sim_random_chance(random, 400);
	/* Without a secret that was lost with its disk a draw waits for a minute. */
	profile->fixed_number = sim_random_chance(random, 500) || profile->member_changes;
	profile->election_ms = sim_random_chance(random, 500) ? 500 : 150;
	profile->snapshot_bytes = sim_random_chance(random, 800) ? sim_random_between(random, 500, 20000) : SIM_S;
	profile->faults_ns = sim_random_between(random, 4, 12) * SIM_S;
	profile->fault_gap_ns = sim_random_between(random, 60, 1200) * SIM_MS;
	profile->delay_min_ns = 30 * SIM_US;
	profile->delay_max_ns = sim_random_chance(random, 700) ? 400 * SIM_US : 15 * SIM_MS;
	profile->disk_min_ns = 50 * SIM_US;
	profile->disk_max_ns = sim_random_chance(random, 700) ? SIM_MS : 20 * SIM_MS;
	profile->think_max_ns = sim_random_between(random, 10, 80) * SIM_MS;
	profile->loss_permille = wild ? (uint32_t)sim_random_below(random, 100) : 0;
	profile->duplicate_permille = wild ? (uint32_t)sim_random_below(random, 100) : 0;
	profile->reorder_permille = wild ? (uint32_t)sim_random_below(random, 200) : 0;
	profile->backlog_max_bytes = sim_random_chance(random, 200) ? 20000 : 32 * 1024 * 1024;
	profile->ballast_max_bytes = sim_random_chance(random, 500) ? 0 : SIM_BALLAST_MAX;
}

static void make_dir(struct simulation *sim)
{
	struct stat found;
	const char *base = getenv("TMPDIR");
	if (stat("/dev/shm", &found) == 0 && S_ISDIR(found.st_mode)) base = "/dev/shm"; /* memory is fast enough */
	if (asprintf(&sim->dir, "%s/fts-simulation-XXXXXX", base == NULL ? "/tmp" : base) < 0 ||
	    mkdtemp(sim->dir) == NULL)
		abort();
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

void sim_remove_dir(const char *dir)
{
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void create(const struct sim_options *options, struct simulation *sim)
{
	memset(sim, 0, sizeof *sim);
	sim->seed = options->seed;
	sim->random.state = sim_mix(options->seed + 1);
	sim->trace = options->trace;
	sim->now_ns = START_S * SIM_S;
	fts_log_set_level(options->verbose ? FTS_LOG_LEVEL_DEBUG : FTS_LOG_LEVEL_ERROR);
	take_over_sodium(&sim->random);
	ftsi_store_still_set(true);
	make_dir(sim);
	choose_profile(sim);
	if (options->no_snapshots) sim->profile.snapshot_bytes = SIM_S;
	if (options->faults_ms != 0) sim->profile.faults_ns = options->faults_ms * SIM_MS;
	sim->end_ns = sim->now_ns + sim->profile.faults_ns;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		sim_node_init(sim, i);
}

/* ---- Run ---- */

static void run_start(struct simulation *sim, struct sim_event *event)
{
	free(event);
	for (uint32_t i = 0; i < sim->profile.node_count; i++) {
		struct sim_node *node = &sim->nodes[i];
		if (node->used) continue;
		sim_node_start(node);
		if (i + 1 < sim->profile.node_count) {
			uint64_t apart_ns =
			    sim_random_below(&sim->random, sim_random_chance(&sim->random, 100) ? 1000 : 3) * SIM_MS;
			sim_after(sim, apart_ns, sim_alloc(sizeof(struct plain)), run_start);
		}
		return;
	}
}

static void heal(struct simulation *sim)
{
	sim->healed = true;
	sim->healed_ns = sim->now_ns;
	sim_note(sim, "all is well", 0, 0, 0);
	sim_network_heal(sim);
	sim->profile.loss_permille = 0;
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		struct sim_node *node = &sim->nodes[i];
		node->slow_until_ns = 0;
		if (node->resume_ns > sim->now_ns + SIM_S) node->resume_ns = sim->now_ns + SIM_S;
		if (node->used && node->replica == NULL) sim_node_start(node);
	}
}

static void tell_where_all_stand(struct simulation *sim)
{
	uint32_t busy = 0;
	for (uint32_t i = 0; i < sim->caller_count; i++)
		busy += sim->callers[i]->busy;
	printf("%u callers wait, %u calls are with a node\n", busy, sim->open_calls);
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++) {
		const struct fts_replica *replica = sim->nodes[i].replica;
		if (!sim->nodes[i].used) continue;
		if (replica == NULL || !replica->raft_running) {
			printf("  %s: %s\n", sim->nodes[i].name, replica == NULL ? "down" : "not a member");
			continue;
		}
		printf("  %s: raft state %u, term %llu, snapshot %llu, last %llu, stored %llu, committed %llu, applied "
		       "%llu, "
		       "written %llu%s%s\n",
		       sim->nodes[i].name, replica->raft.state, replica->raft.current_term,
		       replica->raft.log.snapshot.last_index, raft_last_index((struct raft *)(uintptr_t)&replica->raft),
		       replica->raft.last_stored, replica->raft.commit_index, replica->raft.last_applied,
		       (unsigned long long)atomic_load(&replica->applied_index),
		       atomic_load(&replica->serving) ? ", serves" : "", replica->inflight.active ? ", in flight" : "");
	}
}

static void run_watch(struct simulation *sim, struct sim_event *event)
{
	if (!sim->healed && sim->now_ns >= sim->end_ns) heal(sim);
	if (sim->healed && !sim->ended && sim->now_ns > sim->healed_ns + CALM_MS * SIM_MS)
		sim->ended = true; /* no new calls */
	if (sim->ended && sim_check_converged(sim)) {
		free(event);
		sim->end_ns = 0;
		return;
	}
	if (sim->healed && sim->now_ns > sim->healed_ns + HEAL_MAX_S * SIM_S) {
		sim_violation(sim, "all is well for %d s, and still they have not come together", HEAL_MAX_S);
		tell_where_all_stand(sim);
	}
	sim_after(sim, CHECK_MS * SIM_MS, event, run_watch);
}

static void run_events(struct simulation *sim)
{
	for (uint64_t count = 0; sim->end_ns != 0 && !sim_violated(sim); count++) {
		struct sim_event *event = sim_schedule_take(&sim->schedule);
		if (event == NULL) break;
		sim->now_ns = event->at_ns;
		event->run(sim, event);
		if (count > EVENT_MAX) sim_violation(sim, "it never ends: %d events", EVENT_MAX);
	}
}

bool sim_world_run(const struct sim_options *options, struct simulation *sim)
{
	create(options, sim);
	sim_after(sim, 0, sim_alloc(sizeof(struct plain)), run_start);
	sim_after(sim, 0, sim_alloc(sizeof(struct plain)), run_watch);
	sim_faults_start(sim);
	sim_members_start(sim);
	for (uint32_t i = 0; i < sim->profile.client_count; i++)
		sim_client_start(sim, i);
	for (uint32_t i = 0; i < sim->profile.agency_count; i++)
		sim_agency_start(sim, i);
	for (uint32_t i = 0; i < sim->profile.table_count; i++)
		sim_table_start(sim, i);
	run_events(sim);
	for (uint32_t i = 0; i < SIM_NODE_MAX; i++)
		sim_node_kill(&sim->nodes[i], true);
	if (sim->open_calls > 0) sim_violation(sim, "%u calls were never finished", sim->open_calls);
	return !sim_violated(sim);
}

void sim_world_fini(struct simulation *sim)
{
	sim_schedule_fini(&sim->schedule);
	sim_network_fini(sim);
	sim_check_fini(sim);
	sim_remove_dir(sim->dir);
	free(sim->dir);
}
