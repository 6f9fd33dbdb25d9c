/* Why this file exists: see tests/watchdog/world.h. */
#include "tests/watchdog/world.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/ports.h"

#define ENVIRON_BYTES 65536
#define CONFIG_BYTES 8192
#define LOOK_US 20000

/* ---- Nothing is left behind ---- */

/* Does a process carry root in its environment? All that a watchdog of ours starts does (FTS_WORLD). */
static bool is_ours(const char *pid, const char *root)
{
	static char text[ENVIRON_BYTES];
	char path[64];
	snprintf(path, sizeof(path), "/proc/%.12s/environ", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return false;
	ssize_t size = read(fd, text, sizeof(text));
	close(fd);
	return size > 0 && memmem(text, (size_t)size, root, strlen(root)) != NULL;
}

static size_t kill_ours(const char *root)
{
	size_t count = 0;
	DIR *all = opendir("/proc");
	if (all == NULL) return 0;
	for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
		long pid = strtol(entry->d_name, NULL, 10);
		if (pid <= 1 || pid == getpid() || !is_ours(entry->d_name, root)) continue;
		if (kill((pid_t)pid, SIGKILL) == 0) count++;
	}
	closedir(all);
	return count;
}

/* A process that waits for the end of this one. */
static void post_guard(const struct world *world)
{
	int ends[2];
	char wanted[HARNESS_PATH_MAX + 16];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	snprintf(wanted, sizeof(wanted), "FTS_WORLD=%s", world->root);
	if (fork() == 0) {
		char byte;
		setsid();
		close(ends[1]);
		while (read(ends[0], &byte, 1) > 0)
			continue;
		for (int i = 0; i < 100 && kill_ours(wanted) > 0; i++)
			usleep(LOOK_US);
		_exit(0);
	}
	close(ends[0]); /* the other end stays open until this program is gone */
}

/* ---- Configuration ---- */

void world_init(struct world *world)
{
	*world = (struct world){.looked_at = 0};
	harness_directory_make(world->root);
	snprintf(world->state, sizeof(world->state), "%.480s/state", world->root);
	snprintf(world->config, sizeof(world->config), "%.480s/config.json", world->root);
	snprintf(world->endpoint, sizeof(world->endpoint), "127.0.0.1:%u", harness_ports_reserve());
	setenv("FTS_WORLD", world->root, 1);
	post_guard(world);
}

void world_configure(struct world *world, const char *top, const char *processes)
{
	char text[CONFIG_BYTES];
	int size =
	    snprintf(text, sizeof(text), "{\"name\":\"dog\",\"state\":\"%s\",\"listen\":\"%s\",%s%s\"processes\":[%s]}",
		     world->state, world->endpoint, top, top[0] != '\0' ? "," : "", processes);
	assert_true(size > 0 && size < (int)sizeof(text));
	harness_file_write(world->config, text);
}

void world_configure_nodes(struct world *world, size_t count)
{
	char top[1024], processes[CONFIG_BYTES / 2] = "", list[256] = "", program[HARNESS_PATH_MAX];
	harness_program_path("ftsd", program);
	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(list), named = strlen(world->endpoints);
		snprintf(world->nodes[i], sizeof(world->nodes[i]), "127.0.0.1:%u", harness_ports_reserve());
		snprintf(list + used, sizeof(list) - used, "%sn%zu=%s", i > 0 ? "," : "", i + 1, world->nodes[i]);
		snprintf(world->endpoints + named, sizeof(world->endpoints) - named, "%s%s", i > 0 ? "," : "",
			 world->nodes[i]);
	}
	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(processes);
		snprintf(processes + used, sizeof(processes) - used,
			 "%s{\"name\":\"n%zu\",\"member\":\"n%zu\",\"command\":[\"%s\",\"--name\",\"n%zu\",\"--data\","
			 "\"%s/n%zu\","
			 "\"--listen\",\"%s\",\"--cluster\",\"%s\",\"--debug-hooks\"]}",
			 i > 0 ? "," : "", i + 1, i + 1, program, i + 1, world->root, i + 1, world->nodes[i], list);
	}
	snprintf(top, sizeof(top),
		 "\"cluster\":\"%s\",\"interval_ms\":50,\"silent_ms\":1200,\"stall_ms\":1200,\"overrun_ms\":500,"
		 "\"capture_ms\":200,\"quarantine_restarts\":64,\"strands\":{\"fts-append\":1200}",
		 world->endpoints);
	world_configure(world, top, processes);
}

void world_start(struct world *world)
{
	const char *const argv[] = {"fts-watchdog", "--config", world->config, NULL};
	harness_process_start(&world->watchdog, world->root, "watchdog", argv);
}

/* ---- What it did ---- */

static bool has(const char *line, const char *name, const char *value)
{
	char wanted[96];
	snprintf(wanted, sizeof(wanted), " %s=%s ", name, value);
	return value[0] == '\0' || strstr(line, wanted) != NULL;
}

/* The next whole line of text from *at on, 0-terminated in place; NULL: there is none. */
static char *next_line(char *text, long *at)
{
	char *begin = text + *at, *end = strchr(begin, '\n');
	if (end == NULL) return NULL;
	*end = '\0';
	*at = end + 1 - text;
	return begin;
}

void world_await(struct world *world, const char *process, const char *action, const char *reason, char *out_line)
{
	struct harness_wait wait = harness_wait_ms(WORLD_PATIENCE_MS);
	while (harness_wait_more(&wait)) {
		char *text = harness_process_stderr(&world->watchdog);
		long at = world->looked_at;
		bool found = false;
		for (char *line; !found && (line = next_line(text, &at)) != NULL;) {
			found =
			    has(line, "process", process) && has(line, "action", action) && has(line, "reason", reason);
			if (found && out_line != NULL) snprintf(out_line, 512, "%s", line);
		}
		free(text);
		if (found) {
			world->looked_at = at;
			return;
		}
	}
	char *text = harness_process_stderr(&world->watchdog);
	fail_msg("process %s: no %s (%s) in:\n%s", process, action, reason, text + world->looked_at);
}

size_t world_count(struct world *world, const char *process, const char *action)
{
	char *text = harness_process_stderr(&world->watchdog);
	size_t count = 0;
	long at = 0;
	for (char *line; (line = next_line(text, &at)) != NULL;)
		count += has(line, "process", process) && has(line, "action", action);
	free(text);
	return count;
}

pid_t world_pid(const struct world *world, const char *process)
{
	char path[HARNESS_PATH_MAX + 16], wanted[96];
	size_t size;
	snprintf(path, sizeof(path), "%s/state.json", world->state);
	snprintf(wanted, sizeof(wanted), "\"name\": \"%s\"", process);
	char *text = harness_file_read(path, &size), *at = text != NULL ? strstr(text, wanted) : NULL;
	at = at != NULL ? strstr(at, "\"pid\": ") : NULL;
	pid_t pid = at != NULL ? (pid_t)strtol(at + 7, NULL, 10) : 0;
	free(text);
	return pid;
}

int world_cli(const struct world *world, const char *words, char **out_stdout)
{
	char program[HARNESS_PATH_MAX], command[2048];
	char *err = NULL;
	harness_program_path("fts-cli", program);
	snprintf(command, sizeof(command), "FTS_WATCHDOG=%s FTS_ENDPOINTS=%s exec %s %s", world->endpoint,
		 world->endpoints[0] != '\0' ? world->endpoints : world->endpoint, program, words);
	const char *argv[] = {"/bin/sh", "-c", command, NULL};
	int code = harness_run(argv, WORLD_PATIENCE_MS, out_stdout, &err);
	free(err);
	return code;
}

void world_await_cli(const struct world *world, const char *words, int code)
{
	struct harness_wait wait = harness_wait_ms(WORLD_PATIENCE_MS);
	char *out = NULL;
	int last = -1;
	while (harness_wait_more(&wait)) {
		free(out);
		out = NULL;
		if ((last = world_cli(world, words, &out)) == code) {
			free(out);
			return;
		}
	}
	fail_msg("fts-cli %s: exit %d, expected %d: %s", words, last, code, out);
}

/* ---- The end ---- */

void world_stop(struct world *world)
{
	harness_process_signal(&world->watchdog, SIGTERM);
	if (!harness_process_wait(&world->watchdog, WORLD_PATIENCE_MS)) fail_msg("fts-watchdog does not end");
	assert_int_equal(world->watchdog.exit_code, 0);
}

void world_end(struct world *world)
{
	char wanted[HARNESS_PATH_MAX + 16];
	harness_process_kill(&world->watchdog);
	snprintf(wanted, sizeof(wanted), "FTS_WORLD=%s", world->root);
	unsetenv("FTS_WORLD");
	for (int i = 0; i < 500 && kill_ours(wanted) > 0; i++)
		usleep(LOOK_US);
}
