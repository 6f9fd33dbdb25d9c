/* Why this file exists: see tests/harness/process.h. */
#include "tests/harness/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/clock.h"

#define CHILDREN_MAX 256

enum { SHOWN_BYTES = 3000 };

static struct {
	bool armed;
	pid_t owner;
	pid_t pids[CHILDREN_MAX]; /* 0: free */
} children;

static void kill_all(void)
{
	if (children.owner != getpid()) return;
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		if (children.pids[i] == 0) continue;
		kill(children.pids[i], SIGKILL);
		waitpid(children.pids[i], NULL, 0);
		children.pids[i] = 0;
	}
}

static void child_note(pid_t pid)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		if (children.pids[i] == 0) {
			children.pids[i] = pid;
			return;
		}
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fail_msg("more than %d children at once", CHILDREN_MAX);
}

static void child_forget(pid_t pid)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (children.pids[i] == pid) children.pids[i] = 0;
}

void harness_program_path(const char *name, char *out_path)
{
	const char *bin = getenv("FTS_TEST_BIN"); /* of another build, as of nodes under a sanitizer */
	if (strchr(name, '/') != NULL)
		snprintf(out_path, HARNESS_PATH_MAX, "%s", name);
	else
		snprintf(out_path, HARNESS_PATH_MAX, "%s/%s", bin != NULL ? bin : FTS_HARNESS_BIN, name);
}

const char *harness_source_root(void)
{
	return FTS_HARNESS_SOURCE;
}

/* What the test has, and more: an array of borrowed texts (free()). */
static char **environment_with(const char *const *more)
{
	size_t own_count = 0, more_count = 0;
	while (environ[own_count] != NULL)
		own_count++;
	while (more != NULL && more[more_count] != NULL)
		more_count++;
	char **all = calloc(own_count + more_count + 1, sizeof(*all));
	if (all == NULL) abort();
	for (size_t i = 0; i < more_count; i++) /* first: the first of a name counts */
		all[i] = (char *)(uintptr_t)more[i];
	memcpy(all + more_count, environ, own_count * sizeof(*all));
	return all;
}

/* Between fork and exec: async-signal-safe calls only. */
_Noreturn static void child_run(const struct harness_process *process, const char *program, char *const *argv,
				char *const *environment, int network_fd, pid_t parent)
{
	int out_fd = open(process->out_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	int err_fd = open(process->err_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	int in_fd = open("/dev/null", O_RDONLY);
	if (out_fd < 0 || err_fd < 0 || in_fd < 0 || dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0)
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) _exit(126);
	close(in_fd), close(out_fd), close(err_fd);
	if (network_fd > 0 && setns(network_fd, CLONE_NEWNET) != 0) _exit(126);
	execve(program, argv, environment);
	_exit(127);
}

void harness_process_start(struct harness_process *process, const char *directory, const char *label,
			   const char *const *argv)
{
	static const struct harness_place here;
	harness_process_start_in(process, directory, label, argv, &here);
}

void harness_process_start_in(struct harness_process *process, const char *directory, const char *label,
			      const char *const *argv, const struct harness_place *place)
{
	char program[HARNESS_PATH_MAX];
	if (!children.armed) {
		children.armed = true;
		children.owner = getpid();
		atexit(kill_all);
	}
	harness_program_path(argv[0], program);
	process->exit_code = -1;
	if (snprintf(process->out_path, HARNESS_PATH_MAX, "%s/%s.out", directory, label) >= HARNESS_PATH_MAX ||
	    snprintf(process->err_path, HARNESS_PATH_MAX, "%s/%s.err", directory, label) >= HARNESS_PATH_MAX)
		fail_msg("path too long: %s/%s", directory, label);
	char **environment = environment_with(place->environment);
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		child_run(process, program, (char *const *)(uintptr_t)argv, environment, place->network_fd, parent);
	free(environment);
	if (pid < 0) fail_msg("can't fork: %s", strerror(errno));
	process->pid = pid;
	child_note(pid);
}

void harness_process_signal(const struct harness_process *process, int number)
{
	if (process->pid > 0) kill(process->pid, number);
}

bool harness_process_running(struct harness_process *process)
{
	int status;
	if (process->pid == 0) return false;
	if (waitpid(process->pid, &status, WNOHANG) != process->pid) return true;
	process->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : HARNESS_SIGNALLED + WTERMSIG(status);
	child_forget(process->pid);
	process->pid = 0;
	return false;
}

bool harness_process_wait(struct harness_process *process, uint32_t timeout_ms)
{
	for (struct harness_wait wait = harness_wait_ms(timeout_ms); harness_process_running(process);)
		if (!harness_wait_more(&wait)) return false;
	return true;
}

void harness_process_kill(struct harness_process *process)
{
	if (!harness_process_running(process)) return;
	kill(process->pid, SIGKILL);
	if (!harness_process_wait(process, 20000))
		fail_msg("pid %d is still there 20 s after SIGKILL", (int)process->pid);
}

static char *read_or_empty(const char *path)
{
	char *text = harness_file_read(path, NULL);
	return text != NULL ? text : calloc(1, 1);
}

char *harness_process_stdout(const struct harness_process *process)
{
	return read_or_empty(process->out_path);
}

char *harness_process_stderr(const struct harness_process *process)
{
	return read_or_empty(process->err_path);
}

/* A test that fails far from here can only be understood by what the process said. */
static void show_last(const struct harness_process *process, const char *written)
{
	size_t size = strlen(written);
	(void)fprintf(stderr, "%s ends with:\n%s\n", process->err_path,
		      size > SHOWN_BYTES ? written + size - SHOWN_BYTES : written);
}

bool harness_process_wait_stderr(struct harness_process *process, const char *text, long from, uint32_t timeout_ms)
{
	for (struct harness_wait wait = harness_wait_ms(timeout_ms);;) {
		bool running = harness_process_running(process); /* before reading: what it wrote last counts */
		char *written = harness_process_stderr(process);
		bool found = (long)strlen(written) >= from && strstr(written + from, text) != NULL;
		bool over = !found && (!running || !harness_wait_more(&wait));
		if (over) show_last(process, written);
		free(written);
		if (found || over) return found;
	}
}

int harness_run(const char *const *argv, uint32_t timeout_ms, char **out_stdout, char **out_stderr)
{
	static const struct harness_place here;
	return harness_run_in(argv, &here, timeout_ms, out_stdout, out_stderr);
}

int harness_run_in(const char *const *argv, const struct harness_place *place, uint32_t timeout_ms, char **out_stdout,
		   char **out_stderr)
{
	static char directory[HARNESS_PATH_MAX];
	static unsigned run_count;
	char label[32];
	struct harness_process process = {0};
	if (directory[0] == '\0') harness_directory_make(directory);
	snprintf(label, sizeof(label), "run-%u", run_count++);
	harness_process_start_in(&process, directory, label, argv, place);
	bool ended = harness_process_wait(&process, timeout_ms);
	harness_process_kill(&process);
	if (out_stdout != NULL) *out_stdout = harness_process_stdout(&process);
	if (out_stderr != NULL) *out_stderr = harness_process_stderr(&process);
	(void)unlink(process.out_path);
	(void)unlink(process.err_path);
	if (!ended) fail_msg("%s %s: not ended within %u ms", argv[0], argv[1] != NULL ? argv[1] : "", timeout_ms);
	return process.exit_code;
}
