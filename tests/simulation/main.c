/* Why this file exists: runs simulations, one seed after another, and says how to see a failing one again.
 *
 *   simulation --seed N [--trace] [--verbose] [--faults-ms N]  one seed; exit 1: something was violated
 *   simulation --from N --count N                              many, until one fails
 *   simulation ... --twice                                     each seed twice: the same trace
 *   simulation ... --without GUARD                             with a guard of the replica switched off: exit 0 when
 *                                                              a seed shows it, 1 when none does */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "simulation.h"

struct settings {
	struct sim_options one;
	uint64_t from, count;
	bool twice, mutated;
};

struct totals {
	uint64_t runs, acknowledged, reads, abandoned, kills, pauses, partitions, elections, messages, simulated_ms;
};

static volatile uint64_t running_seed;
static volatile bool assertion_expected;

/* An assertion of the replica's own ends the process: which seed it was must still be told. */
static void on_abort(int signal_number)
{
	char line[128];
	int size = snprintf(line, sizeof line, "\nseed %llu ended the process by signal %d\n",
			    (unsigned long long)running_seed, signal_number);
	ssize_t ignored = write(STDERR_FILENO, line, (size_t)size);
	(void)ignored;
	if (assertion_expected) _exit(0); /* that is a way to notice, too */
	(void)signal(signal_number, SIG_DFL);
	(void)raise(signal_number);
}

static void add_up(struct totals *totals, const struct simulation *sim)
{
	totals->runs++;
	totals->kills += sim->counts.kills;
	totals->pauses += sim->counts.pauses;
	totals->partitions += sim->counts.partitions;
	totals->elections += sim->counts.elections;
	totals->messages += sim->counts.messages;
	totals->simulated_ms += sim->now_ns / SIM_MS - 1000000;
	for (uint32_t i = 0; i < sim->profile.client_count; i++) {
		totals->acknowledged += sim->clients[i].acknowledged_count;
		totals->reads += sim->clients[i].read_count;
		totals->abandoned += sim->clients[i].abandoned_count;
	}
}

static void tell_failure(const struct settings *settings, const struct simulation *sim)
{
	const struct sim_profile *profile = &sim->profile;
	printf("seed %llu: %s\n", (unsigned long long)sim->seed, sim->violation);
	printf(
	    "  %u nodes, %u clients, election %u ms, snapshot every %llu bytes, loss %u, doubled %u, reordered %u of "
	    "1000\n",
	    profile->node_count, profile->client_count, profile->election_ms,
	    (unsigned long long)profile->snapshot_bytes, profile->loss_permille, profile->duplicate_permille,
	    profile->reorder_permille);
	if (!settings->mutated)
		printf("  see it again: build/bin/simulation --seed %llu --trace\n", (unsigned long long)sim->seed);
}

/* True: nothing was violated. */
static bool run_once(const struct settings *settings, uint64_t seed, struct totals *totals, uint64_t *out_trace_hash)
{
	struct simulation *sim = sim_alloc(sizeof *sim);
	struct sim_options options = settings->one;
	bool good;
	options.seed = seed;
	running_seed = seed;
	good = sim_world_run(&options, sim);
	add_up(totals, sim);
	*out_trace_hash = sim->trace_hash;
	if (!good) tell_failure(settings, sim);
	sim_world_fini(sim);
	free(sim);
	return good;
}

static bool run_seed(const struct settings *settings, uint64_t seed, struct totals *totals)
{
	uint64_t first, second;
	bool good = run_once(settings, seed, totals, &first);
	if (!settings->twice) return good;
	(void)run_once(settings, seed, totals, &second);
	if (first != second)
		printf("seed %llu: the trace is %016llx once and %016llx another time\n", (unsigned long long)seed,
		       (unsigned long long)first, (unsigned long long)second);
	return good && first == second;
}

static int run_all(const struct settings *settings)
{
	struct totals totals = {0};
	bool good = true;
	for (uint64_t i = 0; i < settings->count && good; i++)
		good = run_seed(settings, settings->from + i, &totals);
	printf("%llu runs, %llu s simulated: %llu commands and %llu reads answered, %llu given up; %llu kills, %llu "
	       "pauses, "
	       "%llu partitions, %llu elections, %llu messages\n",
	       (unsigned long long)totals.runs, (unsigned long long)totals.simulated_ms / 1000,
	       (unsigned long long)totals.acknowledged, (unsigned long long)totals.reads,
	       (unsigned long long)totals.abandoned, (unsigned long long)totals.kills,
	       (unsigned long long)totals.pauses, (unsigned long long)totals.partitions,
	       (unsigned long long)totals.elections, (unsigned long long)totals.messages);
	if (!settings->mutated) return good ? 0 : 1;
	printf(good ? "nothing was noticed\n" : "noticed\n");
	return good ? 1 : 0;
}

static int usage(void)
{
	(void)fputs("usage: simulation [--seed N | --from N --count N] [--trace] [--verbose] [--twice]\n"
		    "                  [--faults-ms N] [--no-snapshots] [--without GUARD]\nguards: ",
		    stderr);
	sim_mutation_list(stderr);
	(void)fputc('\n', stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
	    {"seed", required_argument, NULL, 's'},   {"from", required_argument, NULL, 'f'},
	    {"count", required_argument, NULL, 'c'},  {"faults-ms", required_argument, NULL, 'm'},
	    {"no-snapshots", no_argument, NULL, 'n'}, {"without", required_argument, NULL, 'w'},
	    {"trace", no_argument, NULL, 't'},        {"verbose", no_argument, NULL, 'v'},
	    {"twice", no_argument, NULL, '2'},        {NULL, 0, NULL, 0},
	};
	struct settings settings = {.from = 1, .count = 1};
	for (int option = getopt_long(argc, argv, "", known, NULL); option != -1;
	     option = getopt_long(argc, argv, "", known, NULL)) {
		switch (option) {
		case 's':
			settings.from = strtoull(optarg, NULL, 10);
			break;
		case 'f':
			settings.from = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			settings.count = strtoull(optarg, NULL, 10);
			break;
		case 'm':
			settings.one.faults_ms = strtoull(optarg, NULL, 10);
			break;
		case 't':
			settings.one.trace = true;
			break;
		case 'v':
			settings.one.verbose = true;
			break;
		case 'n':
			settings.one.no_snapshots = true;
			break;
		case '2':
			settings.twice = true;
			break;
		case 'w':
			settings.mutated = assertion_expected = true;
			if (sim_mutation_set(optarg)) break;
			return usage();
		default:
			return usage();
		}
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* in order with what the replicas log */
	(void)signal(SIGABRT, on_abort);
	(void)signal(SIGSEGV, on_abort);
	return run_all(&settings);
}
