/* Why this file exists: `make chaos-watchdog SECONDS=3600 SEED=7`: nodes under fts-watchdog and under load, hurt at
 * random moments in all ways it is there for and slowed down in those it must bear. Every hurt is found, and nothing
 * else is ever ended: a false kill fails the run. Prints its seed first, and how long each kind of fault took to be
 * found. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/watchdog/world.h"

#define NODES 3
#define NS_PER_MS 1000000u

enum fault {
	FAULT_KILL,
	FAULT_STOP,
	FAULT_LOOP,
	FAULT_HANDLER,
	FAULT_DISK,
	FAULT_SLOW,
	FAULT_WATCHDOG,
	FAULT_UNSEEN,
	FAULT_COUNT
};

static const struct {
	const char *name;
	const char *action; /* that finds it; NULL: nothing may happen */
	const char *reason;
	const char *hang; /* what fts-cli debug is asked for */
} faults[FAULT_COUNT] = {
    [FAULT_KILL] = {"kill -9", "ended", "exit", NULL},
    [FAULT_STOP] = {"SIGSTOP", "stuck", "silent", NULL},
    [FAULT_LOOP] = {"loop hangs", "stuck", "stalled", "loop --for 1h"},
    [FAULT_HANDLER] = {"handler hangs", "stuck", "overrun", "handler --for 1h"},
    [FAULT_DISK] = {"disk hangs", "stuck", "stalled", "disk --for 1h"},
    [FAULT_SLOW] = {"slow, moving", NULL, NULL, "slow-loop --for 5s"},
    [FAULT_WATCHDOG] = {"watchdog killed", NULL, NULL, NULL},
    [FAULT_UNSEEN] = {"SIGSTOP, unseen", "stuck", "silent", NULL}, /* the watchdog is killed, then a node is stopped */
};

struct found {
	uint32_t count;
	uint64_t sum_ms, most_ms;
};

static struct world world;
static struct found found[FAULT_COUNT];
static uint32_t seconds = 60;
static uint64_t seed;
static size_t starts_expected = NODES;

static void hang(const char *what, size_t node)
{
	char words[160];
	snprintf(words, sizeof(words), "debug hang %s --endpoints %s", what, world.nodes[node]);
	world_await_cli(&world, words, 0);
}

static void hurt(enum fault fault, size_t node, const char *name)
{
	pid_t pid = world_pid(&world, name);
	bool blind = fault == FAULT_WATCHDOG || fault == FAULT_UNSEEN;
	if (blind) harness_process_kill(&world.watchdog);
	if (fault == FAULT_KILL) (void)kill(pid, SIGKILL);
	if (fault == FAULT_STOP || fault == FAULT_UNSEEN) (void)kill(pid, SIGSTOP);
	if (faults[fault].hang != NULL) hang(faults[fault].hang, node);
	if (!blind) return;
	world_start(&world);
	for (int i = 0; i < NODES; i++)
		world_await(&world, "", "adopted", "", NULL);
}

static void note(enum fault fault, uint64_t since_ns)
{
	uint64_t took_ms = (harness_now_ns() - since_ns) / NS_PER_MS;
	found[fault].count++;
	found[fault].sum_ms += took_ms;
	if (took_ms > found[fault].most_ms) found[fault].most_ms = took_ms;
}

static void one_fault(struct harness_random *random)
{
	char name[24];
	enum fault fault = (enum fault)harness_random_below(random, FAULT_COUNT);
	size_t node = harness_random_below(random, NODES);
	snprintf(name, sizeof(name), "n%zu", node + 1);
	uint64_t since_ns = harness_now_ns();
	hurt(fault, node, name);
	if (faults[fault].action != NULL) {
		world_await(&world, name, faults[fault].action, faults[fault].reason, NULL);
		note(fault, since_ns);
		world_await(&world, name, "ready", "", NULL);
		starts_expected++;
	} else {
		note(fault, since_ns);
		for (struct harness_wait wait = harness_wait_ms(fault == FAULT_SLOW ? 6000 : 500);
		     harness_wait_more(&wait);)
			continue;
	}
	world_await_cli(&world, "health", 0);
	if (world_count(&world, "", "started") != starts_expected)
		fail_msg("a false kill: %zu starts, %zu expected; the last fault was %s on %s",
			 world_count(&world, "", "started"), starts_expected, faults[fault].name, name);
}

/* Writes all the while, so that queues are not empty when a fault comes. */
static void start_load(struct harness_process *load)
{
	char program[HARNESS_PATH_MAX], command[2 * HARNESS_PATH_MAX];
	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "while :; do %s --endpoints %s --timeout 2s kv set k v; done", program,
		 world.endpoints);
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	harness_process_start(load, world.root, "load", argv);
}

static void mix(void **state)
{
	struct harness_random random = {.state = seed};
	struct harness_process load = {.pid = 0};
	uint64_t end_ns = harness_now_ns() + (uint64_t)seconds * 1000 * NS_PER_MS;
	(void)state;
	world_init(&world);
	world_configure_nodes(&world, NODES);
	world_start(&world);
	for (int i = 0; i < NODES; i++)
		world_await(&world, "", "ready", "", NULL);
	world_await_cli(&world, "health", 0);
	start_load(&load);
	while (harness_now_ns() < end_ns)
		one_fault(&random);
	harness_process_kill(&load);
	world_stop(&world);
	world_end(&world);
}

static void print_found(void)
{
	printf("%-16s %8s %12s %10s\n", "FAULT", "TIMES", "FOUND IN", "AT MOST");
	for (int i = 0; i < FAULT_COUNT; i++) {
		uint64_t mean_ms = found[i].count > 0 ? found[i].sum_ms / found[i].count : 0;
		if (faults[i].action != NULL)
			printf("%-16s %8" PRIu32 " %9" PRIu64 " ms %7" PRIu64 " ms\n", faults[i].name, found[i].count,
			       mean_ms, found[i].most_ms);
		else
			printf("%-16s %8" PRIu32 "   left alone\n", faults[i].name, found[i].count);
	}
}

static uint64_t number(const char *text, const char *what)
{
	char *end = NULL;
	unsigned long long value = strtoull(text, &end, 10);
	if (end != text && *end == '\0') return value;
	(void)fprintf(stderr, "fts-chaos-watchdog: %s: not a number: %s\n", what, text);
	exit(2);
}

/* fts-chaos-watchdog [SECONDS [SEED]] */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(mix)};
	seed = (uint64_t)time(NULL);
	if (argc > 1 && argv[1][0] != '\0') seconds = (uint32_t)number(argv[1], "SECONDS");
	if (argc > 2 && argv[2][0] != '\0') seed = number(argv[2], "SEED");
	printf("seed %" PRIu64 ", %" PRIu32 " s, %d nodes under fts-watchdog\n", seed, seconds, NODES);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	print_found();
	printf("seed %" PRIu64 ": %s\n", seed, failed == 0 ? "no false kill, nothing missed" : "FAILED");
	return failed == 0 ? 0 : 1;
}
