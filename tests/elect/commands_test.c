/* Why this file exists: the commands around a mastership as users type them: elect fence, --if-fence, a rule by
 * command, the order in which a better member takes over, and ftsd as a member. */
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/harness/cluster.h"

enum { WAIT_MS = 60000, WORDS_MAX = 32, AGENT_COUNT = 4 };

static struct {
	struct harness_cluster cluster;
	struct harness_process agents[AGENT_COUNT];
	char dir[HARNESS_PATH_MAX];
} lab;

static void begin(size_t node_count)
{
	memset(&lab, 0, sizeof(lab));
	harness_directory_make(lab.dir);
	harness_cluster_init(&lab.cluster, node_count);
}

static void end(void)
{
	for (size_t i = 0; i < AGENT_COUNT; i++)
		harness_process_kill(&lab.agents[i]);
	harness_cluster_fini(&lab.cluster);
}

/* fts-cli with words (NULL-ended); *out (may be NULL): standard output and error. Returns the exit code. */
static int cli(char *out, size_t size_bytes, const char *const *words)
{
	const char *argv[WORDS_MAX] = {"fts-cli", "--endpoints", lab.cluster.endpoints};
	char *stdout_text = NULL, *stderr_text = NULL;
	for (size_t i = 0; words[i] != NULL; i++)
		argv[i + 3] = words[i];
	int code = harness_run(argv, WAIT_MS, &stdout_text, &stderr_text);
	if (out != NULL) (void)snprintf(out, size_bytes, "%s%s", stdout_text, stderr_text);
	free(stdout_text);
	free(stderr_text);
	return code;
}
#define CLI(out, ...) cli(out, sizeof(out), (const char *const[]){__VA_ARGS__, NULL})

/* Until `elect status --json` of election contains text. */
static void wait_status(const char *election, const char *text)
{
	char out[4096] = "";
	uint64_t until_ns = fts_clock_monotonic_ns() + WAIT_MS * UINT64_C(1000000);
	while (fts_clock_monotonic_ns() < until_ns) {
		(void)CLI(out, "elect", "status", election, "--json");
		if (strstr(out, text) != NULL) return;
		(void)poll(NULL, 0, 50);
	}
	fail_msg("no %s in: %s", text, out);
}

/* Agent `place` joins with id and the flags behind it (NULL-ended). */
static void join(size_t place, const char *election, const char *id, const char *const *flags)
{
	const char *argv[WORDS_MAX] = {
	    "fts-cli", "--endpoints", lab.cluster.endpoints, "elect", "run", election, "--id", id, "--json"};
	for (size_t i = 0; flags[i] != NULL; i++)
		argv[i + 9] = flags[i];
	harness_process_start(&lab.agents[place], lab.dir, id, argv);
}
#define JOIN(place, election, id, ...) join(place, election, id, (const char *const[]){__VA_ARGS__, NULL})

static void leave(size_t place)
{
	harness_process_signal(&lab.agents[place], SIGTERM);
	assert_true(harness_process_wait(&lab.agents[place], WAIT_MS));
	assert_int_equal(lab.agents[place].exit_code, 0);
}

/* ---- elect fence ---- */

static void a_command_runs_under_a_fence(void **state)
{
	char out[4096], program[HARNESS_PATH_MAX], inner[4 * HARNESS_PATH_MAX];
	(void)state;
	begin(1);
	harness_cluster_start(&lab.cluster);
	harness_program_path("fts-cli", program);
	assert_int_equal(CLI(out, "elect", "fence", "job", "--id", "me", "--", "/bin/sh", "-c",
			     "echo $FTS_ROLE $FTS_ELECTION $FTS_MEMBER; test $FTS_FENCE -gt 0 && exit 7"),
			 7);
	assert_string_equal(out, "MASTER job me\n");
	assert_int_equal(CLI(out, "elect", "fence", "job", "--", "/nonexistent/program"), 127);
	assert_int_equal(CLI(out, "elect", "fence", "job", "--", "/dev/null"), 126);
	assert_int_equal(CLI(out, "elect", "fence", "job", "--", "/bin/sh", "-c", "kill -9 $$"), 137);
	assert_int_equal(CLI(out, "elect", "fence", "job"), 2);
	assert_int_equal(CLI(out, "elect", "fence", "job", "--min-members", "2", "--timeout", "1s", "--", "/bin/true"),
			 5);
	/* within a master's command its fence is the one */
	(void)snprintf(inner, sizeof(inner),
		       "'%s' --endpoints %s elect fence job -- sh -c 'exit $((FTS_FENCE > 0 ? 3 : 4))'", program,
		       lab.cluster.endpoints);
	assert_int_equal(CLI(out, "elect", "fence", "job", "--", "/bin/sh", "-c", inner), 3);
	assert_int_equal(CLI(out, "elect", "fence", "job", "--fence", "1", "--", "/bin/true"), 1);
	assert_non_null(strstr(out, "fence 1 of election job no longer stands"));
	end();
}

/* The command ends when the one whose fence it has is replaced, and says so. */
static void a_lost_fence_ends_its_command(void **state)
{
	char out[4096], fence[32];
	unsigned long long number = 0;
	(void)state;
	begin(1);
	harness_cluster_start(&lab.cluster);
	JOIN(0, "job", "a", "--min-members", "1");
	wait_status("job", "\"master\":\"a\"");
	(void)CLI(out, "elect", "status", "job", "--json");
	assert_int_equal(sscanf(strstr(out, "\"fence\":"), "\"fence\":%llu", &number), 1);
	(void)snprintf(fence, sizeof(fence), "%llu", number);
	const char *argv[] = {"fts-cli", "--endpoints", lab.cluster.endpoints, "elect", "fence", "job", "--fence",
			      fence,     "--",          "/bin/sleep",          "1000",  NULL};
	harness_process_start(&lab.agents[1], lab.dir, "fenced", argv);
	/* --if-fence while it stands, and once it does not */
	assert_int_equal(CLI(out, "lottery", "open", "d", "--agencies", "1", "--number", "5", "--if-fence", fence), 0);
	assert_int_equal(CLI(out, "game", "new", "--rules", "tictactoe", "--if-fence", fence), 0);
	leave(0);
	assert_true(harness_process_wait(&lab.agents[1], WAIT_MS));
	assert_int_equal(lab.agents[1].exit_code, 125);
	JOIN(0, "job", "b", "--min-members", "1");
	wait_status("job", "\"master\":\"b\"");
	assert_int_equal(CLI(out, "lottery", "close", "d", "--agency", "1", "--if-fence", fence), 1);
	assert_non_null(strstr(out, "of elector/job no longer stands: the fence is "));
	assert_non_null(strstr(out, "FAILED_PRECONDITION"));
	assert_int_equal(CLI(out, "lottery", "open", "e", "--agencies", "1", "--if-fence", fence), 1);
	assert_int_equal(CLI(out, "game", "new", "--rules", "tictactoe", "--if-fence", fence), 1);
	assert_int_equal(CLI(out, "lottery", "status", "d"), 0);
	assert_non_null(strstr(out, "OPEN"));
	end();
}

/* ---- Rules ---- */

/* Under each rule: a, then b joins and is better; a steps down first, in order. */
static void a_better_one_takes_over_in_order(void **state)
{
	static const struct {
		const char *rule, *first, *better, *first_priority, *better_priority;
	} cases[] = {
	    {"youngest", "a", "b", "0", "0"}, {"priority", "a", "b", "1", "2"}, {"lowest-id", "b", "a", "0", "0"}};
	char out[65536];
	(void)state;
	begin(1);
	harness_cluster_start(&lab.cluster);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *rule = cases[i].rule;
		char first[64], better[64];
		(void)snprintf(first, sizeof(first), "\"master\":\"%s\"", cases[i].first);
		(void)snprintf(better, sizeof(better), "\"master\":\"%s\"", cases[i].better);
		JOIN(0, rule, cases[i].first, "--rule", rule, "--min-members", "1", "--priority",
		     cases[i].first_priority, "--on-master", "/bin/sleep 1000");
		wait_status(rule, first);
		JOIN(1, rule, cases[i].better, "--rule", rule, "--min-members", "1", "--priority",
		     cases[i].better_priority);
		wait_status(rule, better);
		assert_int_equal(CLI(out, "elect", "history", rule, "--json"), 0);
		assert_non_null(strstr(out, "\"cause\":\"YIELDED\""));
		assert_null(strstr(out, "EXPIRED"));
		leave(1);
		leave(0);
	}
	end();
}

/* A command chooses the last of the list; one that fails has chosen nothing, and is asked again. */
static void a_command_chooses(void **state)
{
	char out[65536], path[HARNESS_PATH_MAX + 16], broken[HARNESS_PATH_MAX + 16];
	(void)state;
	begin(1);
	harness_cluster_start(&lab.cluster);
	(void)snprintf(path, sizeof(path), "%s/choose", lab.dir);
	(void)snprintf(broken, sizeof(broken), "%s/broken", lab.dir);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\ntest -e '%s' && exit 9\ntail -n 1 | cut -f 1\n", broken);
	(void)fchmod(fileno(file), 0700);
	assert_int_equal(fclose(file), 0);
	JOIN(0, "job", "a", "--rule", path, "--lease", "10s");
	wait_status("job", "\"id\":\"a\""); /* who is there first is asked */
	JOIN(1, "job", "b", "--rule", path, "--lease", "10s");
	wait_status("job", "\"master\":\"b\"");
	JOIN(2, "job", "c", "--rule", path, "--lease", "10s");
	wait_status("job", "\"master\":\"c\"");
	file = fopen(broken, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	leave(2); /* its place stays empty while the command fails */
	wait_status("job", "\"master\":null");
	assert_true(harness_process_wait_stderr(&lab.agents[0], "ended with code 9", 0, WAIT_MS));
	assert_int_equal(unlink(broken), 0);
	wait_status("job", "\"master\":\"b\"");
	assert_int_equal(CLI(out, "elect", "history", "job", "--json"), 0);
	assert_non_null(strstr(out, "\"cause\":\"NOMINATED\""));
	assert_int_equal(CLI(out, "elect", "run", "job", "--rule", "oldset"), 2);
	leave(1);
	leave(0);
	end();
}

/* Who was asked to leave is gone when its agent is, and not there once more. */
static void who_resigns_does_not_come_back(void **state)
{
	char out[65536];
	(void)state;
	begin(1);
	harness_cluster_start(&lab.cluster);
	JOIN(0, "job", "a", "--min-members", "1");
	wait_status("job", "\"master\":\"a\"");
	assert_int_equal(CLI(out, "elect", "resign", "job", "--id", "a"), 0);
	assert_true(harness_process_wait(&lab.agents[0], WAIT_MS));
	assert_int_equal(CLI(out, "elect", "status", "job", "--json"), 0);
	assert_non_null(strstr(out, "\"members\":[]"));
	end();
}

/* A killed agent's guardian says so: the lease of ten minutes is not waited for. */
static void a_killed_agent_leaves_a_will(void **state)
{
	(void)state;
	begin(1);
	harness_cluster_start(&lab.cluster);
	JOIN(0, "job", "a", "--rule", "lowest-id", "--lease", "10m", "--on-master", "/bin/sleep 1000");
	JOIN(1, "job", "b", "--rule", "lowest-id", "--lease", "10m");
	JOIN(2, "job", "c", "--rule", "lowest-id", "--lease", "10m");
	wait_status("job", "\"master\":\"a\"");
	harness_process_kill(&lab.agents[0]);
	wait_status("job", "\"master\":\"b\"");
	leave(2);
	leave(1);
	end();
}

/* ---- ftsd as a member ---- */

static void nodes_carry_an_election(void **state)
{
	static const char *const flags[] = {
	    "--elect",          "boss", "--on-master",  "/bin/sh -c 'echo leads; exec sleep 1000'",
	    "--elect-lease-ms", "1000", "--elect-rule", "lowest-id"};
	(void)state;
	begin(3);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		lab.cluster.flags[i] = flags[i];
	harness_cluster_start(&lab.cluster);
	wait_status("boss", "\"master\":\"n1\"");
	assert_true(harness_process_wait_stderr(&lab.cluster.members[0].process, "leads", 0, WAIT_MS));
	assert_int_equal(harness_cluster_stop(&lab.cluster, 0), 0); /* steps down first */
	wait_status("boss", "\"master\":\"n2\"");
	char out[65536];
	assert_int_equal(CLI(out, "elect", "history", "boss", "--json"), 0);
	assert_null(strstr(out, "EXPIRED"));
	harness_cluster_restart(&lab.cluster, 0);
	wait_status("boss", "\"master\":\"n1\"");
	harness_cluster_kill(&lab.cluster, 0); /* its member goes with it */
	wait_status("boss", "\"master\":\"n2\"");
	end();
}

/* A member that knows one node is led to the right one, and by nodes that joined later when all others are gone. */
static void members_are_led_to_nodes_that_joined_later(void **state)
{
	(void)state;
	begin(1);
	harness_cluster_start(&lab.cluster);
	char first[sizeof(lab.cluster.members[0].endpoint)];
	(void)snprintf(first, sizeof(first), "%s", lab.cluster.members[0].endpoint);
	const char *argv[] = {"fts-cli", "--endpoints",   first, "elect",   "run", "job",    "--id",
			      "a",       "--min-members", "1",   "--lease", "10s", "--json", NULL};
	harness_process_start(&lab.agents[0], lab.dir, "a", argv);
	wait_status("job", "\"master\":\"a\"");
	for (size_t i = 0; i < 2; i++) {
		size_t more = harness_cluster_add(&lab.cluster);
		harness_cluster_restart(&lab.cluster, more);
	}
	harness_cluster_wait_voters(&lab.cluster, 3, WAIT_MS);
	(void)poll(NULL, 0, 2000);
	harness_cluster_kill(&lab.cluster, 0); /* the only one that it was told */
	(void)harness_cluster_wait_leader(&lab.cluster, 0, WAIT_MS);
	JOIN(1, "job", "b", "--min-members", "1", "--lease", "10s");
	wait_status("job", "\"id\":\"b\"");
	wait_status("job", "\"master\":\"a\"");
	leave(0);
	wait_status("job", "\"master\":\"b\"");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_command_runs_under_a_fence),
	    cmocka_unit_test(a_lost_fence_ends_its_command),
	    cmocka_unit_test(a_better_one_takes_over_in_order),
	    cmocka_unit_test(a_command_chooses),
	    cmocka_unit_test(who_resigns_does_not_come_back),
	    cmocka_unit_test(a_killed_agent_leaves_a_will),
	    cmocka_unit_test(nodes_carry_an_election),
	    cmocka_unit_test(members_are_led_to_nodes_that_joined_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
