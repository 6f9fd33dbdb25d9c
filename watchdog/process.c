/* Why this file exists: see watchdog/process.h. */
#include "watchdog/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpc/pulse.h"

#define EXIT_NOT_RUN 127
#define STAT_BYTES 1024
#define ENVIRON_BYTES 65536

extern char **environ;

static void close_fd(int *fd)
{
	if (*fd >= 0) close(*fd);
	*fd = -1;
}

void ftsi_process_init(struct ftsi_process *process)
{
	*process = (struct ftsi_process){.pid = 0, .pid_fd = -1, .gate_fd = -1, .error_fd = -1};
}

/* ---- What /proc says ---- */

/* All of a small file, 0-terminated; false: it can't be read. */
static bool read_small(const char *path, char *out, size_t size_bytes, size_t *out_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return false;
	ssize_t got = read(fd, out, size_bytes - 1);
	close(fd);
	if (got < 0) return false;
	out[got] = '\0';
	*out_size = (size_t)got;
	return true;
}

bool ftsi_process_look(pid_t pid, struct ftsi_process_facts *out_facts)
{
	char path[64], text[STAT_BYTES];
	size_t size;
	int parent, session;
	unsigned long long start_ticks;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!read_small(path, text, sizeof(text), &size)) return false;
	const char *behind = strrchr(text, ')'); /* the name before it may hold anything */
	if (behind == NULL ||
	    sscanf(behind + 1, " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &out_facts->state, &parent, &session, &start_ticks) != 4)
		return false;
	out_facts->parent = parent;
	out_facts->session = session;
	out_facts->start_ticks = start_ticks;
	return true;
}

static int open_pid(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* ---- Start ---- */

/* Everything the child needs, made before the fork: afterwards it may not take memory. */
struct plan {
	char *const *argv;
	char **environment;
	const char *directory;
	int log_fd, gate_fd, error_fd; /* log_fd -1: the watchdog's own */
};

static bool is_own_variable(const char *variable)
{
	static const char *const own[] = {"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", FTS_PULSE_VARIABLE "=",
					  FTSI_PROCESS_MARK "="};
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strncmp(variable, own[i], strlen(own[i])) == 0) return true;
	return false;
}

static size_t count_of(char *const *words)
{
	size_t count = 0;
	while (words != NULL && words[count] != NULL)
		count++;
	return count;
}

/* The watchdog's environment without what was meant for it alone, then the process's own. pulse, mark: "NAME=VALUE".
 * Returned (free()); its texts are borrowed. NULL: no memory. */
static char **make_environment(const struct ftsi_watch_process *what, char *pulse, const char *mark)
{
	size_t at = 0, more = count_of(what->environment);
	char **made = calloc(count_of(environ) + more + 3, sizeof(char *));
	if (made == NULL) return NULL;
	for (size_t i = 0; i < more; i++) /* first, so that it is found first */
		made[at++] = what->environment[i];
	for (size_t i = 0; environ[i] != NULL; i++)
		if (!is_own_variable(environ[i])) made[at++] = environ[i];
	if (pulse[0] != '\0') made[at++] = pulse;
	made[at] = (char *)(uintptr_t)mark; /* nobody writes to it */
	return made;
}

static void reset_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: only what is safe between fork and exec. */
static _Noreturn void run_child(const struct plan *plan)
{
	char go;
	int null_fd = open("/dev/null", O_RDONLY), wrong;
	ssize_t count;
	setsid();
	do
		count = read(plan->gate_fd, &go, 1);
	while (count < 0 && errno == EINTR);
	if (count != 1) _exit(EXIT_NOT_RUN); /* the watchdog is gone, and nobody knows this child */
	reset_signals();
	if (null_fd >= 0) dup2(null_fd, STDIN_FILENO);
	if (plan->log_fd >= 0) {
		dup2(plan->log_fd, STDOUT_FILENO);
		dup2(plan->log_fd, STDERR_FILENO);
	}
	if (plan->directory[0] == '\0' || chdir(plan->directory) == 0)
		execvpe(plan->argv[0], plan->argv, plan->environment);
	wrong = errno;
	count = write(plan->error_fd, &wrong, sizeof(wrong));
	_exit(EXIT_NOT_RUN);
}

static enum fts_status fork_child(struct plan *plan, struct ftsi_process *out_process, struct fts_error *out_error)
{
	struct ftsi_process_facts facts;
	int gate[2] = {-1, -1}, error[2] = {-1, -1};
	pid_t pid = -1;
	if (pipe2(gate, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC | O_NONBLOCK) == 0) {
		plan->gate_fd = gate[0];
		plan->error_fd = error[1];
		pid = fork();
	}
	if (pid == 0) {
		close(gate[1]); /* or the end of the watchdog would not show */
		run_child(plan);
	}
	int wrong = errno;
	close_fd(&gate[0]);
	close_fd(&error[1]);
	if (pid < 0) {
		close_fd(&gate[1]);
		close_fd(&error[0]);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no process can be started: %s",
				     strerror(wrong));
	}
	*out_process =
	    (struct ftsi_process){.pid = pid, .pid_fd = open_pid(pid), .gate_fd = gate[1], .error_fd = error[0]};
	if (ftsi_process_look(pid, &facts)) out_process->start_ticks = facts.start_ticks;
	return FTS_OK;
}

enum fts_status ftsi_process_start(const struct ftsi_watch_process *what, const char *pulse_path, const char *mark,
				   struct ftsi_process *out_process, struct fts_error *out_error)
{
	char pulse[sizeof(FTS_PULSE_VARIABLE) + 128] = "";
	struct plan plan = {.argv = what->argv, .directory = what->directory, .log_fd = -1};
	enum fts_status status;
	if (pulse_path[0] != '\0') snprintf(pulse, sizeof(pulse), FTS_PULSE_VARIABLE "=%s", pulse_path);
	if (strcmp(what->log, "-") != 0) {
		plan.log_fd = open(what->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
		if (plan.log_fd < 0)
			return fts_error_set(out_error, FTS_UNAVAILABLE, "its log %.300s: %s", what->log,
					     strerror(errno));
	}
	plan.environment = make_environment(what, pulse, mark);
	if (plan.environment == NULL)
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	else
		status = fork_child(&plan, out_process, out_error);
	free(plan.environment);
	close_fd(&plan.log_fd);
	return status;
}

void ftsi_process_release(struct ftsi_process *process)
{
	ssize_t ignored = write(process->gate_fd, "g", 1);
	(void)ignored; /* EPIPE: it is gone already, which its end tells */
	close_fd(&process->gate_fd);
}

int ftsi_process_error(struct ftsi_process *process)
{
	int wrong = 0;
	if (process->error_fd < 0) return 0;
	if (read(process->error_fd, &wrong, sizeof(wrong)) != sizeof(wrong)) wrong = 0;
	return wrong;
}

bool ftsi_process_find(struct ftsi_process *process, pid_t pid, uint64_t start_ticks)
{
	struct ftsi_process_facts facts;
	ftsi_process_init(process);
	int fd = pid > 0 ? open_pid(pid) : -1;
	if (fd < 0) return false;
	/* Looked at while the pidfd holds it: it is the one of that time, or another. */
	if (!ftsi_process_look(pid, &facts) || facts.start_ticks != start_ticks || facts.state == 'Z') {
		close(fd);
		return false;
	}
	*process =
	    (struct ftsi_process){.pid = pid, .start_ticks = start_ticks, .pid_fd = fd, .gate_fd = -1, .error_fd = -1};
	return true;
}

void ftsi_process_close(struct ftsi_process *process)
{
	close_fd(&process->pid_fd);
	close_fd(&process->gate_fd);
	close_fd(&process->error_fd);
	process->pid = 0;
}

/* ---- The end of everything ---- */

static bool has_mark(pid_t pid, const char *mark)
{
	char path[64];
	static char text[ENVIRON_BYTES]; /* of the supervisor's thread alone */
	size_t size;
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (!read_small(path, text, sizeof(text), &size)) return false;
	for (size_t at = 0; at < size; at += strlen(text + at) + 1)
		if (strcmp(text + at, mark) == 0) return true;
	return false;
}

/* A number stays taken while anything of its session is there. So whoever has it as its pid is the one that was started
 * (ended, and not reaped yet), or has got it when nothing was left. */
static bool is_used_again(pid_t pid, uint64_t start_ticks)
{
	struct ftsi_process_facts facts;
	return ftsi_process_look(pid, &facts) && facts.start_ticks != start_ticks;
}

size_t ftsi_process_sweep(pid_t pid, uint64_t start_ticks, const char *mark)
{
	struct ftsi_process_facts facts;
	size_t count = 0;
	pid_t session = is_used_again(pid, start_ticks) ? -1 : pid;
	if (session > 0) (void)kill(-session, SIGKILL); /* a group at once: what forks meanwhile is in it too */
	DIR *all = opendir("/proc");
	if (all == NULL) return 0;
	for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
		char *end;
		long other = strtol(entry->d_name, &end, 10);
		if (other <= 0 || *end != '\0' || !ftsi_process_look((pid_t)other, &facts) || facts.state == 'Z')
			continue;
		bool its = facts.session == session || has_mark((pid_t)other, mark);
		if (its && kill((pid_t)other, SIGKILL) == 0) count++;
	}
	closedir(all);
	return count;
}

uint64_t ftsi_process_starved_ns(pid_t pid)
{
	char path[64], text[STAT_BYTES];
	uint64_t sum_ns = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	if (tasks == NULL) return 0;
	for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
		unsigned long long run_ns, wait_ns;
		size_t size;
		if (entry->d_name[0] == '.' || strlen(entry->d_name) > 12) continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.12s/schedstat", (int)pid, entry->d_name);
		if (read_small(path, text, sizeof(text), &size) && sscanf(text, "%llu %llu", &run_ns, &wait_ns) == 2)
			sum_ns += wait_ns;
	}
	closedir(tasks);
	return sum_ns;
}
