/* Why this file exists: see tests/harness/cluster.h. */
#include "tests/harness/cluster.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"
#include "tests/harness/ports.h"

#define READY_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MS 20000
#define LOG_TAIL_BYTES 3000
#define CLUSTERS_MAX 32

/* ---- Clusters whose test has not ended well ---- */

/* A cluster may lie on the stack of a test that is left by a jump: at exit only what was noted here may be looked at.
 */
static struct {
	pid_t owner;
	struct noted {
		const struct harness_cluster *cluster; /* NULL: free; only compared */
		size_t count;
		struct {
			char name[32], err_path[HARNESS_PATH_MAX];
		} logs[HARNESS_MEMBER_MAX];
	} open[CLUSTERS_MAX];
} registry;

static void keep_noted(const struct noted *noted, const char *more);

static void keep_open_ones(void)
{
	if (registry.owner != getpid()) return;
	for (size_t i = 0; i < CLUSTERS_MAX; i++)
		if (registry.open[i].cluster != NULL) keep_noted(&registry.open[i], NULL);
}

static void note_logs(const struct harness_cluster *cluster, struct noted *out)
{
	out->count = cluster->count;
	for (size_t i = 0; i < cluster->count; i++) {
		snprintf(out->logs[i].name, sizeof(out->logs[i].name), "%.27s.log", cluster->members[i].name);
		snprintf(out->logs[i].err_path, sizeof(out->logs[i].err_path), "%s",
			 cluster->members[i].process.err_path);
	}
}

static void note_again(const struct harness_cluster *cluster)
{
	for (size_t i = 0; i < CLUSTERS_MAX; i++)
		if (registry.open[i].cluster == cluster) note_logs(cluster, &registry.open[i]);
}

/* After the first directory was made, so that at exit logs are kept before directories are removed. */
static void register_cluster(struct harness_cluster *cluster)
{
	if (registry.owner == 0) {
		registry.owner = getpid();
		atexit(keep_open_ones);
	}
	for (size_t i = 0; i < CLUSTERS_MAX && !cluster->registered; i++) {
		if (registry.open[i].cluster != NULL) continue;
		registry.open[i].cluster = cluster;
		cluster->registered = true;
	}
}

static void forget_cluster(struct harness_cluster *cluster)
{
	for (size_t i = 0; i < CLUSTERS_MAX; i++)
		if (registry.open[i].cluster == cluster) registry.open[i] = (struct noted){0};
	cluster->registered = false;
}

/* ---- Who is where ---- */

static void write_lists(struct harness_cluster *cluster)
{
	size_t list_bytes = 0, endpoints_bytes = 0;
	for (size_t i = 0; i < cluster->count; i++) {
		const struct harness_member *member = &cluster->members[i];
		if (!member->joins)
			list_bytes += (size_t)snprintf(cluster->list + list_bytes, sizeof(cluster->list) - list_bytes,
						       "%s%s=%s", i > 0 ? "," : "", member->name, member->endpoint);
		endpoints_bytes +=
		    (size_t)snprintf(cluster->endpoints + endpoints_bytes, sizeof(cluster->endpoints) - endpoints_bytes,
				     "%s%s", i > 0 ? "," : "", member->endpoint);
	}
}

static void member_init(struct harness_member *member, size_t place)
{
	*member = (struct harness_member){.port = harness_ports_reserve()};
	snprintf(member->name, sizeof(member->name), "n%zu", place + 1);
	snprintf(member->endpoint, sizeof(member->endpoint), "127.0.0.1:%u", member->port);
	harness_directory_make(member->root);
	if (snprintf(member->data, sizeof(member->data), "%s/data", member->root) >= (int)sizeof(member->data))
		fail_msg("path too long");
}

void harness_cluster_init(struct harness_cluster *cluster, size_t count)
{
	*cluster = (struct harness_cluster){.count = count, .program = "ftsd"};
	assert_true(count >= 1 && count <= HARNESS_MEMBER_MAX);
	for (size_t i = 0; i < count; i++)
		member_init(&cluster->members[i], i);
	write_lists(cluster);
	register_cluster(cluster);
}

void harness_cluster_place(struct harness_cluster *cluster, size_t member, const char *host, uint16_t port)
{
	struct harness_member *at = &cluster->members[member];
	at->port = port;
	snprintf(at->endpoint, sizeof(at->endpoint), "%s:%u", host, port);
	write_lists(cluster);
}

size_t harness_cluster_add(struct harness_cluster *cluster)
{
	assert_true(cluster->count < HARNESS_MEMBER_MAX);
	member_init(&cluster->members[cluster->count], cluster->count);
	cluster->members[cluster->count++].joins = true;
	write_lists(cluster);
	return cluster->count - 1;
}

/* ---- Life and death ---- */

static void show_logs(struct harness_cluster *cluster)
{
	for (size_t i = 0; i < cluster->count; i++) {
		char *log = harness_process_stderr(&cluster->members[i].process);
		size_t size = strlen(log);
		/* not print_error, which cuts off what comes last */
		(void)fprintf(stderr, "log of %s:\n%s\n", cluster->members[i].name,
			      size > LOG_TAIL_BYTES ? log + size - LOG_TAIL_BYTES : log);
		free(log);
	}
}

static const char *a_running_one(struct harness_cluster *cluster)
{
	for (size_t i = 0; i < cluster->count; i++)
		if (harness_cluster_runs(cluster, i)) return cluster->members[i].endpoint;
	return cluster->members[0].endpoint;
}

static size_t add_flags(const char **argv, size_t count, const char *const *flags)
{
	for (size_t i = 0; flags[i] != NULL; i++)
		argv[count++] = flags[i];
	return count;
}

void harness_cluster_launch(struct harness_cluster *cluster, size_t member)
{
	struct harness_member *at = &cluster->members[member];
	struct harness_place place = {at->network_fd, at->environment};
	const char *argv[10 + 2 * HARNESS_MEMBER_FLAGS_MAX] = {cluster->program, "--name",   at->name,    "--data",
							       at->data,         "--listen", at->endpoint};
	size_t count = 7;
	if (cluster->count > 1) {
		argv[count++] = at->joins ? "--join" : "--cluster";
		argv[count++] = at->joins ? a_running_one(cluster) : cluster->list;
	}
	count = add_flags(argv, add_flags(argv, count, cluster->flags), at->flags);
	argv[count] = NULL;
	char *before = at->process.err_path[0] != '\0' ? harness_process_stderr(&at->process) : NULL;
	at->started_at = before != NULL ? (long)strlen(before) : 0;
	free(before);
	at->paused = false;
	harness_process_start_in(&at->process, at->root, at->name, argv, &place);
	note_again(cluster);
}

bool harness_cluster_wait_ready(struct harness_cluster *cluster, size_t member, uint32_t timeout_ms)
{
	struct harness_member *at = &cluster->members[member];
	return harness_process_wait_stderr(&at->process, "event=node.ready", at->started_at, timeout_ms);
}

static void must_be_ready(struct harness_cluster *cluster, size_t member)
{
	if (harness_cluster_wait_ready(cluster, member, READY_TIMEOUT_MS)) return;
	show_logs(cluster);
	fail_msg("%s is not ready after %d ms (exit code %d)", cluster->members[member].name, READY_TIMEOUT_MS,
		 cluster->members[member].process.exit_code);
}

void harness_cluster_start(struct harness_cluster *cluster)
{
	for (size_t i = 0; i < cluster->count; i++)
		if (!cluster->members[i].joins) harness_cluster_launch(cluster, i);
	for (size_t i = 0; i < cluster->count; i++)
		if (!cluster->members[i].joins) must_be_ready(cluster, i);
}

void harness_cluster_restart(struct harness_cluster *cluster, size_t member)
{
	harness_cluster_launch(cluster, member);
	must_be_ready(cluster, member);
}

void harness_cluster_kill(struct harness_cluster *cluster, size_t member)
{
	harness_process_kill(&cluster->members[member].process);
	cluster->members[member].paused = false;
}

void harness_cluster_pause(struct harness_cluster *cluster, size_t member)
{
	harness_process_signal(&cluster->members[member].process, SIGSTOP);
	cluster->members[member].paused = true;
}

void harness_cluster_resume(struct harness_cluster *cluster, size_t member)
{
	harness_process_signal(&cluster->members[member].process, SIGCONT);
	cluster->members[member].paused = false;
}

int harness_cluster_stop(struct harness_cluster *cluster, size_t member)
{
	struct harness_process *process = &cluster->members[member].process;
	harness_process_signal(process, SIGTERM);
	if (!harness_process_wait(process, STOP_TIMEOUT_MS)) {
		show_logs(cluster);
		fail_msg("%s is still there %d ms after SIGTERM", cluster->members[member].name, STOP_TIMEOUT_MS);
	}
	return process->exit_code;
}

bool harness_cluster_runs(struct harness_cluster *cluster, size_t member)
{
	return !cluster->members[member].paused && harness_process_running(&cluster->members[member].process);
}

/* ---- The end ---- */

static bool is_expected(const struct harness_cluster *cluster, const char *line)
{
	for (size_t i = 0; i < HARNESS_EXPECTED_MAX && cluster->expected[i] != NULL; i++)
		if (strstr(line, cluster->expected[i]) != NULL) return true;
	return false;
}

/* True: the node said something that nobody expected; it is shown. */
static bool log_surprises(const struct harness_cluster *cluster, const struct harness_member *member)
{
	char *log = harness_process_stderr(&member->process), *rest = log;
	bool surprised = false;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		bool sanitizer =
		    strstr(line, "ERROR: AddressSanitizer") != NULL || strstr(line, "runtime error:") != NULL ||
		    strstr(line, "ERROR: LeakSanitizer") != NULL || strstr(line, "WARNING: ThreadSanitizer") != NULL;
		if (!sanitizer && (strstr(line, "level=error") == NULL || is_expected(cluster, line))) continue;
		print_error("%s: unexpected: %s\n", member->name, line);
		surprised = true;
	}
	free(log);
	return surprised;
}

void harness_cluster_expect(struct harness_cluster *cluster, const char *text)
{
	for (size_t i = 0; i < HARNESS_EXPECTED_MAX; i++) {
		if (cluster->expected[i] != NULL) continue;
		cluster->expected[i] = text;
		return;
	}
	fail_msg("more than %d kinds of expected errors", HARNESS_EXPECTED_MAX);
}

size_t harness_member_count_in_log(struct harness_member *member, const char *text)
{
	size_t count = 0;
	char *log = harness_process_stderr(&member->process);
	for (const char *at = log; (at = strstr(at, text)) != NULL; at += strlen(text))
		count++;
	free(log);
	return count;
}

size_t harness_cluster_count_in_logs(struct harness_cluster *cluster, const char *text)
{
	size_t count = 0;
	for (size_t i = 0; i < cluster->count; i++)
		count += harness_member_count_in_log(&cluster->members[i], text);
	return count;
}

static void copy_file(const char *from, const char *directory, const char *name)
{
	char to[HARNESS_PATH_MAX + 80];
	size_t size = 0;
	char *text = harness_file_read(from, &size);
	if (text == NULL) return;
	snprintf(to, sizeof(to), "%s/%s", directory, name);
	FILE *file = fopen(to, "wb");
	if (file != NULL) {
		(void)fwrite(text, 1, size, file);
		(void)fclose(file);
	}
	free(text);
}

static void keep_noted(const struct noted *noted, const char *more)
{
	const char *base = getenv("FTS_TEST_ARTIFACTS");
	char directory[HARNESS_PATH_MAX];
	snprintf(directory, sizeof(directory), "%s/fts-failed-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(directory) == NULL) return;
	for (size_t i = 0; i < noted->count; i++)
		copy_file(noted->logs[i].err_path, directory, noted->logs[i].name);
	if (more != NULL) copy_file(more, directory, strrchr(more, '/') != NULL ? strrchr(more, '/') + 1 : more);
	(void)fprintf(stderr, "logs of the cluster are kept in %s\n", directory);
}

void harness_cluster_keep_logs(struct harness_cluster *cluster, const char *more)
{
	static struct noted noted;
	note_logs(cluster, &noted);
	keep_noted(&noted, more);
}

void harness_cluster_fini(struct harness_cluster *cluster)
{
	size_t surprises = 0;
	for (size_t i = 0; i < cluster->count; i++)
		harness_cluster_kill(cluster, i);
	for (size_t i = 0; i < cluster->count; i++) {
		fts_channel_close(cluster->members[i].channel);
		cluster->members[i].channel = NULL;
		surprises += log_surprises(cluster, &cluster->members[i]);
	}
	if (surprises > 0) fail_msg("%zu nodes have an error in their log that nobody expected", surprises);
	for (size_t i = 0; i < cluster->count; i++)
		harness_directory_remove(cluster->members[i].root);
	forget_cluster(cluster);
}
