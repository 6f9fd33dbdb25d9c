/* Why this file exists: what a running node offers by name: list, describe, call, health, status, events, and what it
 * costs while it idles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/e2e/cli.h"
#include "tests/harness/clock.h"

#define LIMIT_S 280
#define IDLE_WINDOW_MS 3000

static struct harness_node node;

static int start(void **state)
{
	(void)state;
	harness_node_init(&node);
	harness_node_start(&node);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	assert_int_equal(harness_node_stop(&node), 0);
	harness_node_fini(&node);
	return 0;
}

static void expect(const char *text, const char *part)
{
	if (strstr(text, part) == NULL) fail_msg("\"%s\" is not in: %s", part, text);
}

static void list_and_describe(void **state)
{
	static const char *const services[] = {"fts.cluster.v1.Cluster", "fts.health.v1.Health",
					       "fts.lottery.v1.Lottery", "fts.rpc.v1.Events", "fts.rpc.v1.Reflection"};
	(void)state;
	char *list = cli_read(&node, "list", NULL);
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		expect(list, services[i]);
	assert_null(strstr(list, "LotteryLog")); /* nodes' own commands are not offered */
	free(list);
	char *described = cli_read(&node, "describe", "fts.health.v1.Health", NULL);
	expect(described, "Ping");
	expect(described, "Survey");
	free(described);
}

static void call_by_name(void **state)
{
	(void)state;
	char *pong =
	    cli_read(&node, "--json", "call", "fts.health.v1.Health/Ping", "-d", "{\"payload\": \"aGVsbG8=\"}", NULL);
	expect(pong, "aGVsbG8=");
	free(pong);
	struct cli_result refused =
	    cli_run(&node, "--json", "call", "fts.lottery.v1.Lottery/Status", "-d", "{\"draw\": \"nobody\"}", NULL);
	assert_int_equal(refused.exit_code, 1);
	cli_free(&refused);
}

static void health_and_status(void **state)
{
	(void)state;
	char *health = cli_read(&node, "--json", "health", "--wait", "4s", NULL);
	expect(health, "\"READY\"");
	expect(health, "\"n1\"");
	free(health);
	char *check = cli_read(&node, "--json", "call", "fts.health.v1.Health/Check", "-d", "{}", NULL);
	expect(check, "READY");
	free(check);
	char *status = cli_read(&node, "--json", "status", NULL);
	expect(status, node.endpoint);
	expect(status, "\"n1\"");
	assert_true(json_number(status, "term") >= 1);
	free(status);
}

/* ---- What idling costs ---- */

static long proc_number(const char *file, const char *key)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)node.process.pid, file);
	FILE *stream = fopen(path, "r");
	char line[512];
	long number = -1;
	assert_non_null(stream);
	while (number < 0 && fgets(line, sizeof(line), stream) != NULL)
		if (strncmp(line, key, strlen(key)) == 0) number = strtol(line + strlen(key), NULL, 10);
	fclose(stream);
	return number;
}

/* User and system time in clock ticks. */
static long cpu_ticks(void)
{
	char path[64], text[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)node.process.pid);
	FILE *stream = fopen(path, "r");
	assert_non_null(stream);
	assert_non_null(fgets(text, sizeof(text), stream));
	fclose(stream);
	char *at = strrchr(text, ')');
	assert_non_null(at);
	for (int field = 2; field < 14; field++)
		at = strchr(at + 1, ' ');
	long user = strtol(at, &at, 10);
	return user + strtol(at, NULL, 10);
}

static void idling_is_cheap(void **state)
{
	(void)state;
	long before = cpu_ticks();
	for (struct harness_wait wait = harness_wait_ms(IDLE_WINDOW_MS); harness_wait_more(&wait);)
		;
	long used_ms = (cpu_ticks() - before) * 1000 / sysconf(_SC_CLK_TCK);
	long resident_kib = proc_number("status", "VmRSS:"), threads = proc_number("status", "Threads:");
	print_message("idle: %ld KiB resident, %ld threads, %ld ms of CPU in %d ms\n", resident_kib, threads, used_ms,
		      IDLE_WINDOW_MS);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(resident_kib <= 48 * 1024);
	assert_true(used_ms <= IDLE_WINDOW_MS / 100);
	if (sysconf(_SC_NPROCESSORS_ONLN) <= 2) /* nng makes threads by the number of processors */
		assert_true(threads <= 20);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(list_and_describe),
	    cmocka_unit_test(call_by_name),
	    cmocka_unit_test(health_and_status),
	    cmocka_unit_test(idling_is_cheap),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, start, stop);
}
