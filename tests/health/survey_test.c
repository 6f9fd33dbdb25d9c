/* Why this file exists: health as a user asks for it: nodes, agents and workers in one survey, who does not answer by
 * name, why somebody is degraded, exit codes, and --watch that redraws; faults for tests are refused by a node that was
 * not told to offer them; systemd is fed only while a node moves. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <fts/health/v1/health.pb-c.h>

#include "rpc/survey.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/tmux/tmux.h"

#define PATIENCE_MS 60000

static struct harness_cluster cluster;

static int start(void **state)
{
	(void)state;
	harness_cluster_init(&cluster, 3);
	harness_cluster_start(&cluster);
	return 0;
}

static int end(void **state)
{
	(void)state;
	harness_cluster_fini(&cluster);
	return 0;
}

/* fts-cli words at endpoints; its exit code. out: returned (free()). */
static int ask(const char *endpoints, const char *words, char **out)
{
	char program[HARNESS_PATH_MAX], command[1024];
	char *err = NULL;
	harness_program_path("fts-cli", program);
	(void)snprintf(command, sizeof(command), "exec %s --endpoints %s %s", program, endpoints, words);
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	int code = harness_run(argv, PATIENCE_MS, out, &err);
	free(err);
	return code;
}

/* Until a survey ends with code and tells of text. */
static void await_survey(const char *endpoints, int code, const char *text)
{
	char *out = NULL;
	int last = -1;
	for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS); harness_wait_more(&wait);) {
		free(out);
		last = ask(endpoints, "--json health", &out);
		if (last == code && strstr(out, text) != NULL) {
			free(out);
			return;
		}
	}
	fail_msg("exit %d, not %d with %s: %s", last, code, text, out);
}

static void all_are_well(void **state)
{
	(void)state;
	await_survey(cluster.endpoints, 0, "\"name\":\"n3\",\"kind\":\"node\",\"state\":\"READY\"");
	await_survey(cluster.endpoints, 0, "\"missing\":[]");
}

/* An agent and a worker, on the same machine: found though only one node was told of them. */
static void agents_and_workers_answer_too(void **state)
{
	char program[HARNESS_PATH_MAX];
	struct harness_process agent, worker;
	(void)state;
	harness_program_path("fts-cli", program);
	const char *const elect[] = {
	    program, "--endpoints", cluster.members[0].endpoint, "elect", "run", "boss", "--id", "a", NULL};
	const char *const work[] = {program, "--endpoints", cluster.members[0].endpoint, "worker", "run", "time", "--",
				    "date",  NULL};
	harness_process_start(&agent, cluster.members[0].root, "agent", elect);
	harness_process_start(&worker, cluster.members[0].root, "worker", work);
	await_survey(cluster.members[1].endpoint, 0, "\"name\":\"boss/a\",\"kind\":\"agent\",\"state\":\"READY\"");
	await_survey(cluster.members[1].endpoint, 0, "\"kind\":\"worker\",\"state\":\"READY\"");
	/* One that dies is missing by name, one that leaves says so. */
	harness_process_kill(&agent);
	await_survey(cluster.endpoints, 3, "\"missing\":[\"boss/a\"]");
	harness_process_signal(&worker, SIGTERM);
	assert_true(harness_process_wait(&worker, PATIENCE_MS));
}

static void who_does_not_answer_is_named(void **state)
{
	char *out;
	(void)state;
	harness_cluster_pause(&cluster, 2);
	await_survey(cluster.members[0].endpoint, 3, "\"n3\"");
	/* Without a majority the others are degraded, and say why. */
	harness_cluster_pause(&cluster, 1);
	await_survey(cluster.members[0].endpoint, 3, "no quorum: it hears 1 of 3 voters");
	assert_int_equal(ask(cluster.members[0].endpoint, "--json health", &out), 3);
	assert_non_null(strstr(out, "\"state\":\"DEGRADED\""));
	free(out);
	harness_cluster_resume(&cluster, 1);
	harness_cluster_resume(&cluster, 2);
	await_survey(cluster.members[0].endpoint, 3,
		     "\"name\":\"n3\",\"kind\":\"node\",\"state\":\"READY\""); /* the agent is still missing */
	assert_int_equal(ask("127.0.0.1:1", "--json health", &out), 4);
	assert_non_null(strstr(out, "\"missing\":[\"127.0.0.1:1\"]"));
	free(out);
}

/* Says that it is n3, and well. */
static size_t say_n3(void *ctx, struct fts_bytes question, uint8_t *out)
{
	Fts__Health__V1__Report report = FTS__HEALTH__V1__REPORT__INIT;
	Fts__Health__V1__Question *asked = fts__health__v1__question__unpack(NULL, question.size_bytes, question.data);
	(void)ctx;
	if (asked == NULL) return 0;
	report.name = (char *)(uintptr_t) "n3";
	report.kind = FTS__HEALTH__V1__KIND__NODE;
	report.state = FTS__HEALTH__V1__STATE__READY;
	report.question_id = asked->id;
	fts__health__v1__question__free_unpacked(asked, NULL);
	return fts__health__v1__report__pack(&report, out);
}

/* Whoever may announce himself speaks for himself alone, whatever he calls himself. */
static void nobody_answers_for_another(void **state)
{
	const struct fts_respondent_options options = {.listen = "127.0.0.1:0", .respond = say_n3};
	struct fts_respondent *impostor = NULL;
	char *out = NULL, words[256];
	(void)state;
	assert_int_equal(fts_respondent_create(&options, &impostor, NULL), FTS_OK);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(words, sizeof(words),
			       "call fts.health.v1.Health/Announce -d "
			       "'{\"who\":{\"name\":\"%s\",\"address\":\"127.0.0.1:%u\",\"kind\":\"WORKER\"}}'",
			       i == 0 ? "n3" : "impostor", fts_respondent_port(impostor));
		assert_int_equal(ask(cluster.members[0].endpoint, words, NULL), 0);
	}
	await_survey(cluster.members[0].endpoint, 3, "\"impostor\""); /* missing: nobody of that name answers */
	harness_cluster_pause(&cluster, 2);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(cluster.members[0].endpoint, "--json health", &out), 3);
		const char *missing = strstr(out, "\"missing\"");
		assert_non_null(missing);
		assert_non_null(strstr(missing, "\"n3\""));
		free(out);
	}
	harness_cluster_resume(&cluster, 2);
	await_survey(cluster.members[0].endpoint, 3, "\"name\":\"n3\",\"kind\":\"node\",\"state\":\"READY\"");
	fts_respondent_destroy(impostor);
}

static void watch_redraws(void **state)
{
	static struct tmux tmux;
	char program[HARNESS_PATH_MAX], command[2 * HARNESS_PATH_MAX];
	(void)state;
	harness_program_path("fts-cli", program);
	(void)snprintf(command, sizeof(command), "exec %s --endpoints %s health --watch --interval 200ms", program,
		       cluster.members[0].endpoint);
	tmux_start(&tmux);
	tmux_open(&tmux, "watch", 120, 20, command);
	tmux_await(&tmux, "watch", "n2                   node     READY");
	harness_cluster_pause(&cluster, 1);
	tmux_await(&tmux, "watch", "n2                            MISSING");
	harness_cluster_resume(&cluster, 1);
	tmux_await(&tmux, "watch", "n2                   node     READY");
	for (size_t i = 0; i < 3; i++) /* it has learned of all of them */
		harness_cluster_pause(&cluster, i);
	tmux_await(&tmux, "watch", "nobody answers");
	for (size_t i = 0; i < 3; i++)
		harness_cluster_resume(&cluster, i);
	tmux_await(&tmux, "watch", "n2                   node     READY");
	tmux_key(&tmux, "watch", "C-c");
	tmux_stop(&tmux);
}

static void faults_are_refused(void **state)
{
	char *out;
	(void)state;
	assert_int_equal(ask(cluster.members[0].endpoint, "--json debug hang loop --for 1s", &out), 1);
	assert_non_null(strstr(out, "--debug-hooks"));
	free(out);
}

/* A node under systemd: ready, fed while it moves, not while its loop hangs, told that it stops. */
static void systemd_feeds_on_what_moves(void **state)
{
	static struct harness_cluster alone;
	static const char *const flags[] = {"--debug-hooks", NULL};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char text[256], variable[160], path[100];
	struct timeval limit = {.tv_sec = PATIENCE_MS / 1000};
	unsigned fed = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)state;
	harness_cluster_init(&alone, 1);
	(void)snprintf(path, sizeof(path), "%.90s/notify", alone.members[0].root);
	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)snprintf(variable, sizeof(variable), "NOTIFY_SOCKET=%s", path);
	alone.members[0].environment[0] = variable;
	alone.members[0].environment[1] = "WATCHDOG_USEC=2000000";
	alone.flags[0] = flags[0];
	harness_cluster_start(&alone);
	bool ready = false, leads = false;
	ssize_t size;
	while (!ready || !leads || fed < 3) {
		size = recv(fd, text, sizeof(text) - 1, 0);
		if (size <= 0) fail_msg("nothing comes: ready %d, leads %d, fed %u", ready, leads, fed);
		text[size] = '\0';
		ready = ready || strstr(text, "READY=1") != NULL;
		leads = leads || strcmp(text, "STATUS=leader, READY") == 0;
		fed += strstr(text, "WATCHDOG=1") != NULL;
	}
	assert_int_equal(ask(alone.members[0].endpoint, "debug hang loop --for 3s", NULL), 0);
	for (struct harness_wait wait = harness_wait_ms(PATIENCE_MS); harness_wait_more(&wait);)
		if (harness_member_count_in_log(&alone.members[0], "event=node.stalled strand=fts-loop") > 0) break;
	assert_int_equal(harness_member_count_in_log(&alone.members[0], "event=node.stalled strand=fts-loop"), 1);
	bool told = false; /* why it is degraded */
	while (!told && (size = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
		text[size] = '\0';
		told = strstr(text, "DEGRADED: fts-loop has not moved for ") != NULL;
	}
	assert_true(told);
	assert_int_equal(harness_cluster_stop(&alone, 0), 0);
	bool stopping = false;
	while (!stopping && (size = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
		text[size] = '\0';
		stopping = strstr(text, "STOPPING=1") != NULL;
	}
	assert_true(stopping);
	close(fd);
	harness_cluster_fini(&alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_are_well),
	    cmocka_unit_test(agents_and_workers_answer_too),
	    cmocka_unit_test(who_does_not_answer_is_named),
	    cmocka_unit_test(nobody_answers_for_another),
	    cmocka_unit_test(watch_redraws),
	    cmocka_unit_test(faults_are_refused),
	    cmocka_unit_test(systemd_feeds_on_what_moves),
	};
	return cmocka_run_group_tests(tests, start, end);
}
