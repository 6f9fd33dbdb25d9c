/* Why this file exists: fts-watchdog over processes that know nothing of fts: started again with everything they left
 * behind gone, backed off, shut away, told to stop; and taken up by the next watchdog when the first is killed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/ports.h"
#include "tests/watchdog/world.h"

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_init(&world);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_end(&world);
	return 0;
}

/* One that has ended and was not reaped yet, by whoever is process 1 here, is not. */
static bool is_alive(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	if (file == NULL) return false;
	const char *behind = fgets(text, sizeof(text), file) != NULL ? strrchr(text, ')') : NULL;
	fclose(file);
	return behind != NULL && behind[2] != 'Z' && behind[2] != 'X';
}

static void await_end(pid_t pid)
{
	for (struct harness_wait wait = harness_wait_ms(WORLD_PATIENCE_MS); is_alive(pid);)
		if (!harness_wait_more(&wait)) fail_msg("process %d is still there", (int)pid);
}

/* The number in a file that a script writes. */
static pid_t pid_in(const char *name)
{
	char path[HARNESS_PATH_MAX + 32];
	pid_t pid = 0;
	snprintf(path, sizeof(path), "%s/%s", world.root, name);
	for (struct harness_wait wait = harness_wait_ms(WORLD_PATIENCE_MS); pid == 0;) {
		size_t size;
		char *text = harness_file_read(path, &size);
		if (text != NULL && strchr(text, '\n') != NULL) pid = (pid_t)strtol(text, NULL, 10);
		free(text);
		if (pid == 0 && !harness_wait_more(&wait)) fail_msg("no pid in %s", path);
	}
	return pid;
}

/* Its children, one that left its group, one whose parent is gone: none outlives it. */
static void all_that_it_left_behind_ends_with_it(void **state)
{
	char processes[1024];
	(void)state;
	snprintf(processes, sizeof(processes),
		 "{\"name\":\"kids\",\"directory\":\"%.400s\",\"command\":[\"/bin/sh\",\"-c\","
		 "\"sleep 1000 & echo $! > child; (setsid sh -c 'echo $$ > gone; exec sleep 1000' &); sleep 1000\"]}",
		 world.root);
	world_configure(&world, "\"interval_ms\":50", processes);
	world_start(&world);
	world_await(&world, "kids", "started", "", NULL);
	pid_t child = pid_in("child"), gone = pid_in("gone"), first = world_pid(&world, "kids");
	assert_int_equal(kill(first, SIGKILL), 0);
	world_await(&world, "kids", "ended", "exit", NULL);
	await_end(child);
	await_end(gone);
	world_await(&world, "kids", "started", "", NULL);
	assert_int_not_equal(world_pid(&world, "kids"), first);
	world_stop(&world);
}

/* Forks as fast as it can, each for a moment: not one is left. */
static void many_short_lived_children(void **state)
{
	char processes[1024];
	(void)state;
	snprintf(processes, sizeof(processes),
		 "{\"name\":\"many\",\"directory\":\"%.400s\",\"command\":[\"/bin/sh\",\"-c\","
		 "\"echo $$ > it; while :; do sleep 0.05 & sleep 0.01; done\"]}",
		 world.root);
	world_configure(&world, "\"interval_ms\":50", processes);
	world_start(&world);
	pid_t first = pid_in("it");
	assert_int_equal(kill(first, SIGKILL), 0);
	world_await(&world, "many", "backoff", "exit", NULL); /* told only once nothing is left of its session */
	world_await(&world, "many", "started", "", NULL);
	assert_int_not_equal(kill(-first, SIGKILL), 0);
	world_stop(&world);
}

static void what_ends_at_once_is_backed_off_then_shut_away(void **state)
{
	char line[512], *out;
	(void)state;
	world_configure(&world, "\"backoff_min_ms\":20,\"quarantine_restarts\":4",
			"{\"name\":\"bad\",\"command\":[\"/bin/sh\",\"-c\",\"exit 7\"]}");
	world_start(&world);
	world_await(&world, "bad", "ended", "exit", line);
	assert_non_null(strstr(line, "exit code 7"));
	world_await(&world, "bad", "backoff", "", line);
	assert_non_null(strstr(line, "in 20 ms"));
	world_await(&world, "bad", "backoff", "", line);
	assert_non_null(strstr(line, "in 40 ms"));
	world_await(&world, "bad", "quarantined", "", NULL);
	assert_int_equal(world_count(&world, "bad", "started"), 5);
	world_await_cli(&world, "watchdog status", 1);
	assert_int_equal(world_cli(&world, "--json watchdog status", &out), 1);
	assert_non_null(strstr(out, "\"state\":\"QUARANTINED\""));
	assert_non_null(strstr(out, "\"last_reason\":\"exit\""));
	free(out);
	/* It stays there over the watchdog's own end, and an operator lets it out. */
	world_stop(&world);
	world_start(&world);
	world_await_cli(&world, "watchdog status", 1);
	assert_int_equal(world_count(&world, "bad", "started"), 5);
	assert_int_equal(world_cli(&world, "watchdog start bad", NULL), 0);
	world_await(&world, "bad", "started", "", NULL);
	assert_int_equal(world_cli(&world, "watchdog start nobody", NULL), 1);
	world_stop(&world);
}

static void a_command_that_is_not_there(void **state)
{
	char line[512];
	(void)state;
	world_configure(&world, "", "{\"name\":\"none\",\"command\":[\"/no/such/program\"],\"restart\":\"never\"}");
	world_start(&world);
	world_await(&world, "none", "ended", "exit", line);
	assert_non_null(strstr(line, "/no/such/program can't be run: No such file"));
	world_await(&world, "none", "stopped", "", NULL);
	world_stop(&world);
}

/* SIGTERM is ignored: SIGKILL comes after stop_ms. */
static void told_to_stop_and_to_start(void **state)
{
	(void)state;
	world_configure(
	    &world, "\"stop_ms\":100",
	    "{\"name\":\"deaf\",\"command\":[\"/bin/sh\",\"-c\",\"trap '' TERM; while :; do sleep 1; done\"]}");
	world_start(&world);
	world_await(&world, "deaf", "ready", "", NULL);
	assert_int_equal(world_cli(&world, "watchdog stop deaf", NULL), 0);
	world_await(&world, "deaf", "killed", "asked", NULL);
	world_await(&world, "deaf", "stopped", "", NULL);
	assert_int_equal(world_cli(&world, "watchdog start deaf", NULL), 0);
	world_await(&world, "deaf", "ready", "", NULL);
	assert_int_equal(world_cli(&world, "watchdog restart deaf", NULL), 0);
	world_await(&world, "deaf", "started", "", NULL);
	world_stop(&world);
}

static void killed_and_started_again_it_finds_its_children(void **state)
{
	char *out;
	(void)state;
	world_configure(
	    &world, "\"interval_ms\":50",
	    "{\"name\":\"a\",\"command\":[\"sleep\",\"1000\"]},{\"name\":\"b\",\"command\":[\"sleep\",\"1001\"]}");
	world_start(&world);
	world_await(&world, "a", "ready", "", NULL);
	world_await(&world, "b", "ready", "", NULL);
	pid_t a = world_pid(&world, "a"), b = world_pid(&world, "b");
	harness_process_kill(&world.watchdog);
	assert_true(is_alive(a) && is_alive(b));
	assert_int_equal(kill(b, SIGKILL), 0); /* while nobody looks */
	world_start(&world);
	world_await(&world, "a", "adopted", "", NULL);
	world_await(&world, "b", "ended", "exit", NULL);
	world_await(&world, "b", "started", "", NULL);
	assert_int_equal(world_pid(&world, "a"), a);
	assert_int_equal(world_count(&world, "a", "started"), 1); /* not doubled */
	assert_int_equal(kill(a, SIGKILL), 0);                    /* its end is seen, though it is no child */
	world_await(&world, "a", "ended", "exit", NULL);
	world_await(&world, "a", "ready", "", NULL);
	assert_int_equal(world_cli(&world, "--json events watchdog --from 1 --count 4", &out), 0);
	assert_non_null(strstr(out, "\"topic\":\"watchdog.action\""));
	free(out);
	world_stop(&world);
	assert_false(is_alive(a));
}

/* As the next watchdog will find it: a process of ours has ended, and its pid is another's now. */
static void remember_pid(pid_t pid)
{
	char path[HARNESS_PATH_MAX + 16];
	size_t size;
	snprintf(path, sizeof(path), "%s/state.json", world.state);
	char *text = harness_file_read(path, &size), *at = strstr(text, "\"pid\"");
	assert_non_null(at);
	at += strcspn(at, "0123456789");
	size_t digits = strspn(at, "0123456789");
	char *changed = malloc(size + 16);
	assert_non_null(changed);
	snprintf(changed, size + 16, "%.*s%d%s", (int)(at - text), text, (int)pid, at + digits);
	harness_file_write(path, changed);
	free(changed);
	free(text);
}

static void a_pid_that_is_used_again_is_left_alone(void **state)
{
	(void)state;
	world_configure(&world, "\"interval_ms\":50", "{\"name\":\"a\",\"command\":[\"sleep\",\"1000\"]}");
	world_start(&world);
	world_await(&world, "a", "ready", "", NULL);
	pid_t old = world_pid(&world, "a");
	harness_process_kill(&world.watchdog);
	assert_int_equal(kill(old, SIGKILL), 0);
	await_end(old);
	pid_t stranger = fork();
	if (stranger == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		setsid(); /* a daemon, say */
		for (;;)
			pause();
	}
	for (struct harness_wait wait = harness_wait_ms(WORLD_PATIENCE_MS); getsid(stranger) != stranger;)
		if (!harness_wait_more(&wait)) fail_msg("no session of its own");
	remember_pid(stranger);
	world_start(&world);
	world_await(&world, "a", "ended", "exit", NULL);
	world_await(&world, "a", "ready", "", NULL);
	bool lives = is_alive(stranger);
	(void)kill(stranger, SIGKILL);
	assert_int_equal(waitpid(stranger, NULL, 0), stranger);
	assert_true(lives);
	world_stop(&world);
}

/* A node that hangs before it ever answers: told by its program's name. */
static void a_node_that_hangs_at_its_start(void **state)
{
	char path[HARNESS_PATH_MAX + 16], processes[1024], line[512];
	(void)state;
	snprintf(path, sizeof(path), "%.490s/ftsd", world.root);
	assert_int_equal(symlink("/bin/sleep", path), 0);
	snprintf(processes, sizeof(processes), "{\"name\":\"n\",\"command\":[\"%s\",\"1000\"]}", path);
	world_configure(&world, "\"interval_ms\":50,\"start_ms\":300,\"capture_ms\":100", processes);
	world_start(&world);
	world_await(&world, "n", "stuck", "silent", line);
	assert_non_null(strstr(line, "none since it was started"));
	world_await(&world, "n", "backoff", "silent", NULL);
	world_await(&world, "n", "started", "", NULL);
	assert_int_equal(world_count(&world, "n", "ready"), 0);
	world_stop(&world);
}

static void await_remembered(const char *text)
{
	char path[HARNESS_PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/state.json", world.state);
	for (struct harness_wait wait = harness_wait_ms(WORLD_PATIENCE_MS);;) {
		size_t size;
		char *file = harness_file_read(path, &size);
		bool is_there = file != NULL && strstr(file, text) != NULL;
		free(file);
		if (is_there) return;
		if (!harness_wait_more(&wait)) fail_msg("no %s in %s", text, path);
	}
}

/* Its first run answers, its second hangs at its start: that it should answer is known from the first. A program that
 * never said a word is left alone, which is told. */
static void what_has_answered_once_has_to_answer_again(void **state)
{
	char processes[2048], program[HARNESS_PATH_MAX];
	(void)state;
	harness_program_path("ftsd", program);
	snprintf(processes, sizeof(processes),
		 "{\"name\":\"wrapped\",\"directory\":\"%.400s\",\"start_ms\":%d,\"command\":[\"/bin/sh\",\"-c\","
		 "\"if [ -e again ]; then exec sleep 1000; fi; exec %.400s --data d --listen 127.0.0.1:%u\"]},"
		 "{\"name\":\"other\",\"start_ms\":200,\"command\":[\"sleep\",\"1000\"]}",
		 world.root, 500, program, harness_ports_reserve());
	world_configure(&world, "\"interval_ms\":50,\"capture_ms\":100", processes);
	world_start(&world);
	world_await(&world, "other", "unheard", "", NULL);
	await_remembered("\"answered\": true");
	snprintf(processes, sizeof(processes), "%.490s/again", world.root);
	harness_file_write(processes, "");
	/* By the next watchdog, which knows what this one heard. */
	world_stop(&world);
	world_start(&world);
	world_await(&world, "wrapped", "stuck", "silent", NULL);
	world_await(&world, "wrapped", "backoff", "silent", NULL);
	assert_int_equal(world_count(&world, "other", "stuck"), 0);
	world_stop(&world);
}

static void one_at_a_time(void **state)
{
	char *err = NULL;
	const char *const argv[] = {"fts-watchdog", "--config", world.config, NULL};
	(void)state;
	world_configure(&world, "", "{\"name\":\"a\",\"command\":[\"sleep\",\"1000\"]}");
	world_start(&world);
	world_await(&world, "a", "started", "", NULL);
	assert_int_equal(harness_run(argv, WORLD_PATIENCE_MS, NULL, &err), 2);
	assert_non_null(strstr(err, "another fts-watchdog runs with the state directory"));
	free(err);
	world_stop(&world);
}

/* systemd's side: told that it is ready, fed while it lives, told that it stops. By a path and by an abstract name. */
static void systemd_is_told(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char text[256], wanted[HARNESS_PATH_MAX + 32], usec[] = "WATCHDOG_USEC=200000";
	const char *const argv[] = {"fts-watchdog", "--config", world.config, NULL};
	unsigned ready = 0, fed = 0, stopping = 0, status = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = WORLD_PATIENCE_MS / 1000};
	assert_true(strlen(name) < sizeof(address.sun_path));
	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@') address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + (name[0] == '/'))),
			 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	snprintf(wanted, sizeof(wanted), "NOTIFY_SOCKET=%s", name);
	const char *const environment[] = {wanted, usec, NULL};
	struct harness_place place = {.environment = environment};
	world_configure(&world, "\"interval_ms\":50", "{\"name\":\"a\",\"command\":[\"sleep\",\"1000\"]}");
	harness_process_start_in(&world.watchdog, world.root, "watchdog", argv, &place);
	while (stopping == 0) {
		ssize_t size = recv(fd, text, sizeof(text) - 1, 0);
		if (size <= 0) fail_msg("nothing comes: ready %u, fed %u", ready, fed);
		text[size] = '\0';
		ready += strstr(text, "READY=1") != NULL;
		fed += strstr(text, "WATCHDOG=1") != NULL;
		stopping += strstr(text, "STOPPING=1") != NULL;
		status += strstr(text, "STATUS=1 of 1 processes run") != NULL;
		if (ready == 1 && fed >= 3 && status == 1) harness_process_signal(&world.watchdog, SIGTERM);
	}
	assert_int_equal(ready, 1);
	assert_true(harness_process_wait(&world.watchdog, WORLD_PATIENCE_MS));
	close(fd);
}

static void systemd_is_told_by_path_and_by_name(void **state)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	(void)state;
	snprintf(name, sizeof(name), "%.90s/notify", world.root);
	systemd_is_told(name);
	snprintf(name, sizeof(name), "@fts-test-%d", (int)getpid());
	systemd_is_told(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(all_that_it_left_behind_ends_with_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_pid_that_is_used_again_is_left_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_short_lived_children, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_ends_at_once_is_backed_off_then_shut_away, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_command_that_is_not_there, setup, teardown),
	    cmocka_unit_test_setup_teardown(told_to_stop_and_to_start, setup, teardown),
	    cmocka_unit_test_setup_teardown(killed_and_started_again_it_finds_its_children, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_node_that_hangs_at_its_start, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_has_answered_once_has_to_answer_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_at_a_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(systemd_is_told_by_path_and_by_name, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
