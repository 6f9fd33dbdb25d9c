/* Why this file exists: see tests/chaos/mix.h. */
#include "tests/chaos/mix.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/chaos/bettors.h"
#include "tests/chaos/players.h"
#include "tests/harness/clock.h"
#include "tests/harness/disk.h"
#include "tests/harness/lab.h"
#include "tests/register/clients.h"

#define CALLS_MAX 3000000u
#define KEYS_OF_A_STRETCH (1u << 17)
#define PROGRESS_CALLS 20
#define LEADER_MS 15000
#define AGENCIES 3
#define TABLES 2
#define WORTH_SAYING_MS 1000

struct mix {
	const struct mix_options *options;
	struct mix_counts *counts;
	struct harness_cluster cluster;
	struct harness_lab lab;
	bool has_lab;
	struct harness_slow_disk disks[HARNESS_MEMBER_MAX];
	struct harness_random random;
	struct linear_history *history;
	struct register_clients *clients;
	struct bettors *bettors;
	struct players *players;
	char draw[32];
	uint64_t started_ns;
	struct mix_counts before; /* of the stretches that are over */
};

/* ---- Choices ---- */

static uint32_t between(struct mix *mix, uint32_t low, uint32_t high)
{
	return low + harness_random_below(&mix->random, high - low + 1);
}

/* As long as the fault lasts: nothing to wait for but time. */
static void let_pass_ms(uint32_t time_ms)
{
	for (struct harness_wait wait = harness_wait_ms(time_ms); harness_wait_more(&wait);)
		;
}

/* Often the leader, since that hurts most. */
static size_t victim(struct mix *mix)
{
	bool wants_leader = between(mix, 0, 99) < 60;
	size_t any = harness_random_below(&mix->random, mix->options->node_count);
	size_t leader = wants_leader ? harness_cluster_leader(&mix->cluster) : HARNESS_NOBODY;
	return leader != HARNESS_NOBODY ? leader : any;
}

static void say(struct mix *mix, const char *format, ...)
{
	char text[160];
	va_list arguments;
	if (!mix->options->talks) return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	printf("%8.2f s  %s\n", (double)(harness_now_ns() - mix->started_ns) / 1e9, text);
	(void)fflush(stdout);
}

/* ---- Faults: each leaves the cluster whole ---- */

static void kill_one(struct mix *mix)
{
	size_t node = victim(mix);
	uint32_t away_ms = between(mix, 0, 800);
	say(mix, "kill -9 %s, away for %u ms", mix->cluster.members[node].name, away_ms);
	harness_cluster_kill(&mix->cluster, node);
	let_pass_ms(away_ms);
	harness_cluster_restart(&mix->cluster, node);
}

static void kill_again(struct mix *mix)
{
	size_t node = victim(mix);
	uint32_t lives_ms = between(mix, 0, 120);
	say(mix, "kill -9 %s, and again %u ms after its start", mix->cluster.members[node].name, lives_ms);
	harness_cluster_kill(&mix->cluster, node);
	harness_cluster_launch(&mix->cluster, node);
	let_pass_ms(lives_ms);
	harness_cluster_kill(&mix->cluster, node);
	harness_cluster_restart(&mix->cluster, node);
}

static void kill_all(struct mix *mix)
{
	say(mix, "kill -9 all");
	for (size_t i = 0; i < mix->options->node_count; i++)
		harness_cluster_kill(&mix->cluster, i);
	harness_cluster_start(&mix->cluster);
}

static void pause_one(struct mix *mix)
{
	size_t node = victim(mix);
	uint32_t away_ms = between(mix, 20, 2000);
	say(mix, "SIGSTOP %s for %u ms", mix->cluster.members[node].name, away_ms);
	harness_cluster_pause(&mix->cluster, node);
	let_pass_ms(away_ms);
	harness_cluster_resume(&mix->cluster, node);
}

static void pause_and_kill(struct mix *mix)
{
	size_t node = victim(mix);
	uint32_t away_ms = between(mix, 20, 1200);
	say(mix, "SIGSTOP %s for %u ms, then kill -9", mix->cluster.members[node].name, away_ms);
	harness_cluster_pause(&mix->cluster, node);
	let_pass_ms(away_ms);
	harness_cluster_kill(&mix->cluster, node);
	harness_cluster_restart(&mix->cluster, node);
}

static void old_leader(struct mix *mix)
{
	size_t old = harness_cluster_wait_leader(&mix->cluster, HARNESS_NOBODY, LEADER_MS);
	harness_cluster_pause(&mix->cluster, old);
	size_t next = harness_cluster_wait_leader(&mix->cluster, old, LEADER_MS);
	let_pass_ms(between(mix, 0, 300));
	say(mix, "SIGSTOP %s, kill -9 its successor %s, SIGCONT", mix->cluster.members[old].name,
	    mix->cluster.members[next].name);
	harness_cluster_kill(&mix->cluster, next);
	harness_cluster_resume(&mix->cluster, old);
	let_pass_ms(between(mix, 0, 800));
	harness_cluster_restart(&mix->cluster, next);
}

static void stop_one(struct mix *mix)
{
	size_t node = victim(mix);
	say(mix, "SIGTERM %s", mix->cluster.members[node].name);
	int code = harness_cluster_stop(&mix->cluster, node);
	if (code != 0) fail_msg("%s: exit code %d after SIGTERM", mix->cluster.members[node].name, code);
	harness_cluster_restart(&mix->cluster, node);
}

static void isolate(struct mix *mix)
{
	size_t node = victim(mix);
	uint32_t away_ms = between(mix, 100, 3000);
	bool with_test = between(mix, 0, 1) == 1;
	say(mix, "%s is cut off%s for %u ms", mix->cluster.members[node].name, with_test ? ", from clients too" : "",
	    away_ms);
	harness_lab_isolate(&mix->lab, node, with_test);
	let_pass_ms(away_ms);
	harness_lab_heal(&mix->lab);
}

static void one_way(struct mix *mix)
{
	size_t node = victim(mix);
	uint32_t away_ms = between(mix, 100, 3000);
	bool deaf = between(mix, 0, 1) == 1;
	say(mix, "%s is %s for %u ms", mix->cluster.members[node].name, deaf ? "deaf" : "dumb", away_ms);
	for (size_t i = 0; i < mix->options->node_count; i++) {
		if (i == node) continue;
		harness_lab_cut(&mix->lab, deaf ? i : node, deaf ? node : i);
	}
	let_pass_ms(away_ms);
	harness_lab_heal(&mix->lab);
}

static void bad_line(struct mix *mix)
{
	static const struct harness_link_faults good;
	struct harness_link_faults faults = {
	    .delay_us = between(mix, 0, 5000),
	    .jitter_us = between(mix, 0, 10000),
	    .loss_ppm = between(mix, 0, 50000),
	    .duplicate_ppm = between(mix, 0, 50000),
	};
	uint32_t away_ms = between(mix, 500, 3000);
	say(mix, "bad lines for %u ms: %u us and up to %u more, %u ppm lost, %u ppm doubled", away_ms, faults.delay_us,
	    faults.jitter_us, faults.loss_ppm, faults.duplicate_ppm);
	harness_switch_set_all(mix->lab.ether, &faults);
	let_pass_ms(away_ms);
	harness_switch_set_all(mix->lab.ether, &good);
}

static void slow_disk(struct mix *mix)
{
	size_t node = victim(mix);
	uint32_t away_ms = between(mix, 200, 3000), delay_us = between(mix, 2000, 300000);
	say(mix, "syncs of %s take %u us for %u ms", mix->cluster.members[node].name, delay_us, away_ms);
	harness_slow_disk_set(&mix->disks[node], delay_us);
	let_pass_ms(away_ms);
	harness_slow_disk_set(&mix->disks[node], 0);
}

/* It comes back as nobody, and is given everything again. Until it votes the others can't spare anybody. */
static void lose_disk(struct mix *mix)
{
	size_t node = victim(mix);
	say(mix, "kill -9 %s, and its directory is lost", mix->cluster.members[node].name);
	harness_cluster_kill(&mix->cluster, node);
	harness_directory_remove(mix->cluster.members[node].data);
	harness_cluster_restart(&mix->cluster, node);
	harness_cluster_wait_voters(&mix->cluster, mix->options->node_count, MIX_EQUAL_MS);
}

static void lead(struct mix *mix)
{
	size_t node = harness_random_below(&mix->random, mix->options->node_count);
	bool done = harness_cluster_lead(&mix->cluster, node);
	say(mix, "%s was asked to lead: %s", mix->cluster.members[node].name, done ? "it does" : "it can't");
}

static const struct {
	const char *name;
	uint32_t weight;
	bool needs_hosts;
	void (*run)(struct mix *mix);
} faults[MIX_FAULT_COUNT] = {
    [MIX_KILL] = {"kill", 25, false, kill_one},
    [MIX_KILL_AGAIN] = {"kill again", 8, false, kill_again},
    [MIX_KILL_ALL] = {"kill all", 4, false, kill_all},
    [MIX_PAUSE] = {"pause", 15, false, pause_one},
    [MIX_PAUSE_KILL] = {"pause and kill", 8, false, pause_and_kill},
    [MIX_OLD_LEADER] = {"old leader", 10, false, old_leader},
    [MIX_STOP] = {"stop", 6, false, stop_one},
    [MIX_ISOLATE] = {"isolate", 12, true, isolate},
    [MIX_ONE_WAY] = {"one way", 8, true, one_way},
    [MIX_BAD_LINE] = {"bad line", 8, true, bad_line},
    [MIX_SLOW_DISK] = {"slow disk", 8, false, slow_disk},
    [MIX_LOSE_DISK] = {"lose disk", 4, false, lose_disk},
    [MIX_LEAD] = {"lead", 5, false, lead},
};

static uint32_t weight_of(const struct mix *mix, size_t fault)
{
	if (faults[fault].needs_hosts && !mix->has_lab) return 0;
	if (fault == MIX_OLD_LEADER && mix->options->node_count < 3)
		return 0; /* a leader needs somebody to follow it */
	return mix->options->weights != NULL ? mix->options->weights[fault] : faults[fault].weight;
}

static enum mix_fault choose(struct mix *mix)
{
	uint32_t total = 0;
	size_t fault = 0;
	for (size_t i = 0; i < MIX_FAULT_COUNT; i++)
		total += weight_of(mix, i);
	for (uint32_t left = harness_random_below(&mix->random, total); left >= weight_of(mix, fault); fault++)
		left -= weight_of(mix, fault);
	return (enum mix_fault)fault;
}

/* ---- The run ---- */

static void start_nodes(struct mix *mix)
{
	static char log_bytes[64]; /* outlives the nodes' starts */
	snprintf(log_bytes, sizeof(log_bytes), "FTS_TEST_LOG_BYTES=%s", mix->options->log_bytes);
	harness_cluster_init(&mix->cluster, mix->options->node_count);
	mix->cluster.program = "fts-register-node";
	for (size_t i = 0; i < mix->cluster.count; i++) {
		mix->cluster.members[i].environment[0] = log_bytes;
		harness_slow_disk_init(&mix->disks[i], mix->cluster.members[i].root);
		harness_slow_disk_use(&mix->disks[i], mix->cluster.members[i].environment);
	}
	if (mix->has_lab) harness_lab_settle(&mix->lab, &mix->cluster);
	harness_cluster_start(&mix->cluster);
}

static void start_clients(struct mix *mix)
{
	struct register_clients_options options = {
	    .endpoints = mix->cluster.endpoints,
	    .client_count = mix->options->client_count,
	    .first_key = (uint32_t)mix->counts->stretches * KEYS_OF_A_STRETCH,
	    .seed = mix->options->seed,
	    .pause_us = 500,
	    .ballast_bytes = 100,
	};
	options.history = mix->history = linear_history_create(CALLS_MAX);
	mix->clients = register_clients_start(&options);
	snprintf(mix->draw, sizeof(mix->draw), "stretch-%" PRIu64, mix->counts->stretches + 1);
	mix->bettors = bettors_start(mix->cluster.endpoints, mix->draw, AGENCIES);
	mix->players =
	    players_start(mix->cluster.endpoints, TABLES, mix->options->seed * 1000 + mix->counts->stretches);
}

/* Also while a stretch goes on, so that a failure tells how far it came. */
static void count(struct mix *mix, struct register_counts counts)
{
	mix->counts->calls = mix->before.calls + counts.done;
	mix->counts->unknown = mix->before.unknown + counts.unknown;
	mix->counts->never = mix->before.never + counts.never;
	if (counts.longest_gap_ms > mix->counts->longest_gap_ms) mix->counts->longest_gap_ms = counts.longest_gap_ms;
}

static void must_progress(struct mix *mix, const char *after)
{
	uint32_t limit_ms = mix->options->progress_ms > 0 ? mix->options->progress_ms : MIX_PROGRESS_MS;
	uint64_t from_ns = harness_now_ns();
	bool progresses = register_clients_wait(mix->clients, PROGRESS_CALLS, limit_ms);
	uint64_t took_ms = (harness_now_ns() - from_ns) / 1000000u;
	count(mix, register_clients_counts(mix->clients));
	if (took_ms > mix->counts->longest_wait_ms) mix->counts->longest_wait_ms = took_ms;
	if (took_ms > WORTH_SAYING_MS) say(mix, "  %u answers after %" PRIu64 " ms", PROGRESS_CALLS, took_ms);
	if (progresses) return;
	fail_msg("no progress %u ms after: %s (seed %" PRIu64 ")", limit_ms, after, mix->options->seed);
}

static void note_gap(struct mix *mix, enum mix_fault fault)
{
	uint64_t gap_ms = register_clients_gap_ms(mix->clients);
	if (gap_ms > mix->counts->gap_ms[fault]) mix->counts->gap_ms[fault] = gap_ms;
	if (gap_ms > WORTH_SAYING_MS) say(mix, "  %" PRIu64 " ms without an answer", gap_ms);
}

/* All calls so far are judged, and all nodes must be equal. */
static void end_stretch(struct mix *mix)
{
	struct register_counts counts = register_clients_stop(mix->clients);
	mix->clients = NULL;
	mix->counts->bets += bettors_finish(mix->bettors).stored;
	mix->counts->moves += players_finish(mix->players).moves;
	count(mix, counts);
	mix->before = *mix->counts;
	mix->counts->stretches++;
	mix->counts->judged += register_judge(mix->history);
	linear_history_destroy(mix->history);
	mix->history = NULL;
	uint64_t index = harness_cluster_wait_equal(&mix->cluster, MIX_EQUAL_MS);
	say(mix, "judged: linearizable so far; all nodes equal at %" PRIu64, index);
}

static void stretch(struct mix *mix, uint64_t until_ns)
{
	start_clients(mix);
	must_progress(mix, "start");
	while (harness_now_ns() < until_ns) {
		enum mix_fault fault = choose(mix);
		faults[fault].run(mix);
		mix->counts->faults[fault]++;
		must_progress(mix, faults[fault].name);
		note_gap(mix, fault);
		let_pass_ms(between(mix, 0, 400));
	}
	end_stretch(mix);
}

void mix_run(const struct mix_options *options, struct mix_counts *out_counts)
{
	static struct mix mix; /* outlives a failure: what was registered in it is looked at when the program ends */
	mix = (struct mix){.options = options, .counts = out_counts, .random = {options->seed}};
	mix.started_ns = harness_now_ns();
	mix.has_lab = options->hosts && harness_lab_allowed();
	*out_counts = (struct mix_counts){0};
	if (mix.has_lab) harness_lab_init(&mix.lab, options->node_count, HARNESS_LAB_SWITCH, options->seed);
	start_nodes(&mix);
	uint64_t end_ns = harness_now_ns() + options->seconds * (uint64_t)1000000000u;
	uint32_t stretch_seconds = options->stretch_seconds > 0 ? options->stretch_seconds : options->seconds;
	while (harness_now_ns() < end_ns) {
		uint64_t until_ns = harness_now_ns() + stretch_seconds * (uint64_t)1000000000u;
		stretch(&mix, until_ns < end_ns ? until_ns : end_ns);
	}
	out_counts->snapshots_installed = harness_cluster_count_in_logs(&mix.cluster, "event=replica.state_replaced");
	harness_cluster_fini(&mix.cluster);
	for (size_t i = 0; i < options->node_count; i++)
		harness_slow_disk_fini(&mix.disks[i]);
	if (mix.has_lab) harness_lab_fini(&mix.lab);
}

const char *mix_fault_name(enum mix_fault fault)
{
	return faults[fault].name;
}

bool mix_only(const char *list, uint32_t *out_weights)
{
	memset(out_weights, 0, MIX_FAULT_COUNT * sizeof(*out_weights));
	for (const char *at = list; *at != '\0';) {
		size_t length = strcspn(at, ","), fault = 0;
		while (fault < MIX_FAULT_COUNT &&
		       (strlen(faults[fault].name) != length || strncmp(faults[fault].name, at, length) != 0))
			fault++;
		if (fault == MIX_FAULT_COUNT) return false;
		out_weights[fault] = faults[fault].weight;
		at += length + (at[length] == ',');
	}
	return *list != '\0';
}

void mix_print(const struct mix_counts *counts)
{
	printf("calls answered %" PRIu64 ", of unknown outcome %" PRIu64 ", certainly not done %" PRIu64
	       "; judged %" PRIu64 " in %" PRIu64 " stretches; bets %" PRIu64 "; moves %" PRIu64
	       "; longest time without an answer %" PRIu64 " ms, after the end of a fault %" PRIu64
	       " ms; snapshots installed %" PRIu64 "\nfaults:",
	       counts->calls, counts->unknown, counts->never, counts->judged, counts->stretches, counts->bets,
	       counts->moves, counts->longest_gap_ms, counts->longest_wait_ms, counts->snapshots_installed);
	for (size_t i = 0; i < MIX_FAULT_COUNT; i++)
		printf("%s %s %" PRIu64 " (%" PRIu64 " ms)", i > 0 ? "," : "", faults[i].name, counts->faults[i],
		       counts->gap_ms[i]);
	printf("\n");
}
