/* Why this file exists: see tests/kv_faults/mix.h. */
#include "tests/kv_faults/mix.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/disk.h"
#include "tests/harness/lab.h"
#include "tests/harness/wrong_clock.h"
#include "tests/kv_faults/compared.h"
#include "tests/kv_faults/damage.h"
#include "tests/kv_faults/load.h"

#define READY_MS 30000
#define MOVED_MS 150000 /* all that a node owns, under a sanitizer on a busy machine */
#define PROGRESS_CALLS 20
#define DISK_MIB 320 /* a node has some 100 MiB after half an hour of it, and 64 in reserve */
#define FULL_LEFT_BYTES (1u << 20)
#define HOUR_MS 3600000

struct mix {
	const struct kv_mix_options *options;
	struct kv_mix_counts *counts;
	struct harness_cluster cluster;
	struct harness_lab lab;
	bool has_lab;
	struct harness_wrong_clock clocks[HARNESS_MEMBER_MAX];
	char disk[HARNESS_PATH_MAX + 16]; /* of the last node, which alone can be filled */
	struct harness_random random;
	struct kv_load *load;
	struct compared *compared;
	char prefix[16];
	uint64_t started_ns;
};

static struct mix mix; /* outlives a failure: what was registered in it is looked at when the program ends */

/* ---- Choices ---- */

static uint32_t between(uint32_t low, uint32_t high)
{
	return low + harness_random_below(&mix.random, high - low + 1);
}

/* How long a fault lasts; half as long at most when each comes but once. */
static uint32_t span_ms(uint32_t low, uint32_t high)
{
	return between(low, mix.options->in_turn ? (low + high) / 2 : high);
}

/* As long as the fault lasts: nothing to wait for but time. */
static void let_pass_ms(uint32_t time_ms)
{
	for (struct harness_wait wait = harness_wait_ms(time_ms); harness_wait_more(&wait);) {
	}
}

static size_t victim(void)
{
	return harness_random_below(&mix.random, mix.options->node_count);
}

static void say(const char *format, ...)
{
	char text[160];
	va_list arguments;
	if (!mix.options->talks) return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	printf("%8.2f s  %s\n", (double)(harness_now_ns() - mix.started_ns) / 1e9, text);
	(void)fflush(stdout);
}

static const char *name_of(size_t node)
{
	return mix.cluster.members[node].name;
}

/* ---- Faults: each leaves the cluster whole ---- */

static void kill_one(void)
{
	size_t node = victim();
	uint32_t away_ms = span_ms(0, 1500);
	say("kill -9 %s, away for %u ms", name_of(node), away_ms);
	harness_cluster_kill(&mix.cluster, node);
	let_pass_ms(away_ms);
	harness_cluster_restart(&mix.cluster, node);
}

static void kill_all(void)
{
	say("kill -9 all");
	for (size_t i = 0; i < mix.options->node_count; i++)
		harness_cluster_kill(&mix.cluster, i);
	harness_cluster_start(&mix.cluster);
}

/* Longer than a node is waited for before it is called silent, now and then. */
static void pause_one(void)
{
	size_t node = victim();
	uint32_t away_ms = span_ms(20, 2800);
	say("SIGSTOP %s for %u ms", name_of(node), away_ms);
	harness_cluster_pause(&mix.cluster, node);
	let_pass_ms(away_ms);
	harness_cluster_resume(&mix.cluster, node);
}

static void stop_one(void)
{
	size_t node = victim();
	say("SIGTERM %s", name_of(node));
	int code = harness_cluster_stop(&mix.cluster, node);
	if (code != 0) fail_msg("%s: exit code %d after SIGTERM", name_of(node), code);
	harness_cluster_restart(&mix.cluster, node);
}

static void isolate(void)
{
	size_t node = victim();
	uint32_t away_ms = span_ms(100, 3000);
	bool with_test = between(0, 1) == 1;
	say("%s is cut off%s for %u ms", name_of(node), with_test ? ", from clients too" : "", away_ms);
	harness_lab_isolate(&mix.lab, node, with_test);
	let_pass_ms(away_ms);
	harness_lab_heal(&mix.lab);
}

static void one_way(void)
{
	size_t node = victim();
	uint32_t away_ms = span_ms(100, 3000);
	bool deaf = between(0, 1) == 1;
	say("%s is %s for %u ms", name_of(node), deaf ? "deaf" : "dumb", away_ms);
	for (size_t i = 0; i < mix.options->node_count; i++)
		if (i != node) harness_lab_cut(&mix.lab, deaf ? i : node, deaf ? node : i);
	let_pass_ms(away_ms);
	harness_lab_heal(&mix.lab);
}

/* Ahead no further than others follow (docs/kv.md); further is refused, and a test of its own. */
static void set_clock(void)
{
	size_t node = victim();
	uint32_t away_ms = span_ms(100, 2000);
	bool restarts = between(0, 2) == 0;
	int64_t ahead_ms = between(0, 1) == 0 ? (int64_t)between(1, 20000) : -(int64_t)between(1, HOUR_MS / 2);
	say("the clock of %s is set by %" PRId64 " ms for %u ms%s", name_of(node), ahead_ms, away_ms,
	    restarts ? ", over a restart" : "");
	harness_wrong_clock_set(&mix.clocks[node], ahead_ms);
	let_pass_ms(away_ms / 2);
	if (restarts) harness_cluster_kill(&mix.cluster, node);
	if (restarts) harness_cluster_restart(&mix.cluster, node);
	let_pass_ms(away_ms / 2);
	harness_wrong_clock_set(&mix.clocks[node], 0);
}

/* It comes back as nobody, and is given everything again. Until then nobody else can be spared. */
static void lose_disk(void)
{
	size_t node = victim(), other = node == 0 ? 1 : 0;
	uint64_t old_id = 0, new_id = 0;
	(void)kv_map_rests(&mix.cluster, other, name_of(node), &old_id);
	say("kill -9 %s, and its directory is lost", name_of(node));
	harness_cluster_kill(&mix.cluster, node);
	harness_directory_remove(mix.cluster.members[node].data);
	harness_cluster_restart(&mix.cluster, node);
	harness_cluster_wait_voters(&mix.cluster, mix.options->node_count, READY_MS);
	for (struct harness_wait wait = harness_wait_ms(MOVED_MS);
	     !kv_map_rests(&mix.cluster, other, name_of(node), &new_id) || new_id == 0 || new_id == old_id;)
		if (!harness_wait_more(&wait)) fail_msg("%s is not given what it owns", name_of(node));
}

/* False: it does not answer, or has not got all of it again. */
static bool has_regained(size_t node)
{
	Fts__Kv__V1__ProgressRequest request = FTS__KV__V1__PROGRESS_REQUEST__INIT;
	Fts__Kv__V1__ProgressResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = 5000, .no_retry = true};
	bool good = false;
	if (fts_kv_progress(kv_channel(&mix.cluster, node), &request, &options, &response, NULL) != FTS_OK)
		return false;
	for (size_t i = 0; i < response->n_nodes; i++)
		if (strcmp(response->nodes[i]->name, name_of(node)) == 0)
			good = response->nodes[i]->answered && response->nodes[i]->lost == 0;
	fts__kv__v1__progress_response__free_unpacked(response, NULL);
	return good;
}

/* It stays who it is, knows that it had something, and gets it again. */
static void lose_store(void)
{
	char path[HARNESS_PATH_MAX + 8];
	size_t node = victim();
	say("kill -9 %s, and DIR/kv is lost", name_of(node));
	harness_cluster_kill(&mix.cluster, node);
	(void)snprintf(path, sizeof path, "%s/kv", mix.cluster.members[node].data);
	harness_directory_remove(path);
	harness_cluster_restart(&mix.cluster, node);
	for (struct harness_wait wait = harness_wait_ms(MOVED_MS); !has_regained(node);)
		if (!harness_wait_more(&wait)) fail_msg("%s does not get again what it lost", name_of(node));
}

static void damage_one(void)
{
	size_t node = victim();
	char key[KV_LOAD_KEY_BYTES];
	if (!kv_load_key(mix.load, harness_random_next(&mix.random), key)) return;
	harness_cluster_kill(&mix.cluster, node);
	bool there = damage_record(&mix.cluster.members[node], key);
	say("kill -9 %s, and its record %s is %s", name_of(node), key, there ? "altered" : "not there");
	harness_cluster_restart(&mix.cluster, node);
	for (struct harness_wait wait = harness_wait_ms(READY_MS);
	     kv_look(&mix.cluster, node, 0, key).status == FTS_DATA_LOSS;) {
		(void)kv_get(&mix.cluster, (struct kv_call){.via = node, .key = key}); /* what mends it */
		if (!harness_wait_more(&wait)) fail_msg("%s: %s stays damaged", name_of(node), key);
	}
}

static void fill_disk(void)
{
	char file[sizeof mix.disk + 8];
	uint32_t away_ms = span_ms(500, 2500);
	say("the disk of %s is full for %u ms", name_of(mix.options->node_count - 1), away_ms);
	(void)snprintf(file, sizeof file, "%s/other", mix.disk);
	harness_disk_fill(file, FULL_LEFT_BYTES);
	let_pass_ms(away_ms);
	assert_int_equal(unlink(file), 0);
}

static const struct {
	const char *name;
	uint32_t weight;
	bool needs_hosts;
	void (*run)(void);
} faults[KV_FAULT_COUNT] = {
    [KV_KILL] = {"kill", 20, false, kill_one},
    [KV_KILL_ALL] = {"kill all", 4, false, kill_all},
    [KV_PAUSE] = {"pause", 15, false, pause_one},
    [KV_STOP] = {"stop", 5, false, stop_one},
    [KV_ISOLATE] = {"isolate", 15, true, isolate},
    [KV_ONE_WAY] = {"one way", 12, true, one_way},
    [KV_CLOCK] = {"clock", 12, false, set_clock},
    [KV_LOSE_DISK] = {"lose disk", 5, false, lose_disk},
    [KV_LOSE_STORE] = {"lose store", 5, false, lose_store},
    [KV_DAMAGE] = {"damage", 7, false, damage_one},
    [KV_FULL] = {"full", 5, false, fill_disk},
};

static uint32_t weight_of(size_t fault)
{
	if (faults[fault].needs_hosts && !mix.has_lab) return 0;
	return mix.options->weights != NULL ? mix.options->weights[fault] : faults[fault].weight;
}

static size_t choose(void)
{
	uint32_t total = 0;
	size_t fault = 0;
	for (size_t i = 0; i < KV_FAULT_COUNT; i++)
		total += weight_of(i);
	for (uint32_t left = harness_random_below(&mix.random, total); left >= weight_of(fault); fault++)
		left -= weight_of(fault);
	return fault;
}

/* ---- The run ---- */

static void unmake_disk(void)
{
	if (mix.disk[0] != '\0') harness_disk_unmake(mix.disk);
	mix.disk[0] = '\0';
}

static void start_nodes(void)
{
	static const char *const flags[] = {"--kv-sweep-s", "2", NULL};
	harness_cluster_init(&mix.cluster, mix.options->node_count);
	struct harness_member *last = &mix.cluster.members[mix.options->node_count - 1];
	memcpy(mix.cluster.flags, flags, sizeof flags);
	for (size_t i = 0; i < mix.cluster.count; i++) {
		harness_wrong_clock_init(&mix.clocks[i], mix.cluster.members[i].root);
		harness_wrong_clock_use(&mix.clocks[i], mix.cluster.members[i].environment);
	}
	(void)snprintf(mix.disk, sizeof mix.disk, "%s/disk", last->root);
	(void)atexit(unmake_disk);
	harness_disk_make(mix.disk, DISK_MIB);
	(void)snprintf(last->data, sizeof last->data, "%.480s/data", mix.disk);
	harness_cluster_expect(&mix.cluster, "event=storage.damaged");
	harness_cluster_expect(&mix.cluster, "event=storage.failed");
	harness_cluster_expect(&mix.cluster, "event=store.write_failed");
	if (mix.has_lab) harness_lab_settle(&mix.lab, &mix.cluster);
	harness_cluster_start(&mix.cluster);
	for (size_t i = 0; i < mix.cluster.count; i++)
		kv_wait_map(&mix.cluster, i, mix.cluster.count, READY_MS);
	compared_create(&mix.cluster);
}

static void start_clients(void)
{
	(void)snprintf(mix.prefix, sizeof mix.prefix, "s%" PRIu64, mix.counts->stretches);
	const struct kv_load_options options = {.cluster = &mix.cluster,
						.prefix = mix.prefix,
						.writer_count = 6,
						.reader_count = 4,
						.pause_us = 500,
						.seed = mix.options->seed};
	mix.load = kv_load_start(&options);
	mix.compared = compared_start(&mix.cluster, 6, (uint32_t)mix.counts->stretches + 1);
}

static void must_progress(const char *after)
{
	if (!kv_load_wait(mix.load, PROGRESS_CALLS, KV_MIX_PROGRESS_MS))
		fail_msg("seed %" PRIu64 ": no progress within %d ms after %s: %s", mix.options->seed,
			 KV_MIX_PROGRESS_MS, after, kv_load_counts(mix.load).failure);
	if (!compared_wait(mix.compared, PROGRESS_CALLS, KV_MIX_PROGRESS_MS))
		fail_msg("seed %" PRIu64 ": the linearizable database is not served within %d ms after %s",
			 mix.options->seed, KV_MIX_PROGRESS_MS, after);
}

static void end_stretch(void)
{
	struct kv_mix_counts *counts = mix.counts;
	struct compared_counts compared = compared_stop(mix.compared);
	struct kv_load_counts load = kv_load_stop(mix.load);
	counts->writes += load.writes;
	counts->reads += load.reads;
	counts->unknown += load.unknown;
	counts->refused += load.refused;
	counts->unread += load.unread;
	counts->keys += load.keys;
	counts->compared += compared.answered;
	counts->swapped += compared.swapped;
	counts->stretches++;
	if (load.longest_gap_ms > counts->longest_gap_ms) counts->longest_gap_ms = load.longest_gap_ms;
	if (load.clean_ms > counts->longest_clean_ms) counts->longest_clean_ms = load.clean_ms;
	say("judged: nothing acknowledged is lost, linearizable, owners agree after %" PRIu64 " ms", load.clean_ms);
}

static void run_fault(size_t fault)
{
	faults[fault].run();
	mix.counts->faults[fault]++;
	must_progress(faults[fault].name);
	let_pass_ms(between(0, 300));
}

static void stretch(uint64_t until_ns)
{
	start_clients();
	must_progress("start");
	for (size_t i = 0; mix.options->in_turn && i < KV_FAULT_COUNT; i++)
		if (weight_of(i) > 0) run_fault(i);
	while (!mix.options->in_turn && harness_now_ns() < until_ns)
		run_fault(choose());
	end_stretch();
}

void kv_mix_run(const struct kv_mix_options *options, struct kv_mix_counts *out_counts)
{
	mix = (struct mix){.options = options, .counts = out_counts, .random = {options->seed}};
	*out_counts = (struct kv_mix_counts){0};
	mix.started_ns = harness_now_ns();
	mix.has_lab = harness_lab_allowed();
	if (mix.has_lab) harness_lab_init(&mix.lab, options->node_count, HARNESS_LAB_BRIDGE, options->seed);
	start_nodes();
	uint64_t end_ns = harness_now_ns() + options->seconds * (uint64_t)1000000000u;
	uint32_t stretch_seconds = options->stretch_seconds > 0 ? options->stretch_seconds : options->seconds;
	do {
		uint64_t until_ns = harness_now_ns() + stretch_seconds * (uint64_t)1000000000u;
		stretch(until_ns < end_ns ? until_ns : end_ns);
	} while (harness_now_ns() < end_ns);
	for (size_t i = 0; i < options->node_count; i++)
		harness_cluster_kill(&mix.cluster, i);
	unmake_disk();
	harness_cluster_fini(&mix.cluster);
	for (size_t i = 0; i < options->node_count; i++)
		harness_wrong_clock_fini(&mix.clocks[i]);
	if (mix.has_lab) harness_lab_fini(&mix.lab);
}

bool kv_mix_only(const char *list, uint32_t *out_weights)
{
	memset(out_weights, 0, KV_FAULT_COUNT * sizeof(*out_weights));
	for (const char *at = list; *at != '\0';) {
		size_t length = strcspn(at, ","), fault = 0;
		while (fault < KV_FAULT_COUNT &&
		       (strlen(faults[fault].name) != length || strncmp(faults[fault].name, at, length) != 0))
			fault++;
		if (fault == KV_FAULT_COUNT) return false;
		out_weights[fault] = faults[fault].weight;
		at += length + (at[length] == ',');
	}
	return *list != '\0';
}

void kv_mix_print(const struct kv_mix_counts *counts)
{
	printf("writes acknowledged %" PRIu64 ", of unknown outcome %" PRIu64 ", certainly not done %" PRIu64
	       "; reads %" PRIu64 ", without an answer %" PRIu64 "; keys %" PRIu64 "; linearizable calls %" PRIu64
	       ", compared and set %" PRIu64 "; stretches %" PRIu64
	       "; longest time without an acknowledged write %" PRIu64 " ms, until verify was clean %" PRIu64
	       " ms\nfaults:",
	       counts->writes, counts->unknown, counts->refused, counts->reads, counts->unread, counts->keys,
	       counts->compared, counts->swapped, counts->stretches, counts->longest_gap_ms, counts->longest_clean_ms);
	for (size_t i = 0; i < KV_FAULT_COUNT; i++)
		printf("%s %s %" PRIu64, i > 0 ? "," : "", faults[i].name, counts->faults[i]);
	printf("\n");
}
