/* Why this file exists: see server/election.h. A thread starts the member and waits for its end or for the stop; it is
 * the thread that forks, since the kernel's signal at a parent's death is bound to it. */
#include "server/election.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define WORDS_MAX 48
#define AGAIN_MS 1000
#define LEAVE_MS 15000
#define LOOK_MS 200 /* where no descriptor tells of its end */
#define NS_PER_MS ((uint64_t)1000000)
#define EXIT_USAGE 2
#define EXIT_NOT_STARTED 127

struct ftsi_election {
	char program[FTSI_PATH_MAX + 16];
	char endpoints[FTSI_CLUSTER_MAX + 2 * FTSI_ADDRESS_MAX];
	char numbers[4][16];
	const char *words[WORDS_MAX];
	size_t word_count;
	int stop_fd; /* readable: leave */
	pthread_t thread;
};

/* ---- The command ---- */

static void add(struct ftsi_election *election, const char *word)
{
	if (election->word_count + 1 < WORDS_MAX) election->words[election->word_count++] = word;
}

static void add_text(struct ftsi_election *election, const char *flag, const char *value)
{
	if (value[0] == '\0') return;
	add(election, flag);
	add(election, value);
}

static void add_number(struct ftsi_election *election, size_t place, const char *flag, uint32_t number,
		       const char *unit)
{
	if (number == 0) return;
	snprintf(election->numbers[place], sizeof(election->numbers[place]), "%u%s", number, unit);
	add_text(election, flag, election->numbers[place]);
}

/* The node itself first, then those of the list or the one it joined by: the member is led to whoever leads. */
static void list_endpoints(const struct ftsi_settings *settings, char *out, size_t size_bytes)
{
	struct ftsi_cluster_list list;
	size_t used = (size_t)snprintf(out, size_bytes, "%s", settings->address);
	if (settings->join[0] != '\0') used += (size_t)snprintf(out + used, size_bytes - used, ",%s", settings->join);
	if (settings->cluster[0] == '\0' || ftsi_cluster_list_parse(settings->cluster, &list) != NULL) return;
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.members[i].address, settings->address) != 0)
			used += (size_t)snprintf(out + used, size_bytes - used, ",%s", list.members[i].address);
}

static void compose(struct ftsi_election *election, const struct ftsi_settings *settings)
{
	list_endpoints(settings, election->endpoints, sizeof(election->endpoints));
	add(election, "fts-cli");
	add(election, "elect");
	add(election, "run");
	add(election, settings->elect);
	add_text(election, "--id", settings->name);
	add_text(election, "--endpoints", election->endpoints);
	add_text(election, "--on-master", settings->on_master);
	add_text(election, "--on-standby", settings->on_standby);
	add_text(election, "--rule", settings->elect_rule);
	add_number(election, 0, "--priority", settings->elect_priority, "");
	add_number(election, 1, "--lease", settings->elect_lease_ms, "ms");
	add_number(election, 2, "--sleep", settings->elect_sleep_ms, "ms");
	add_number(election, 3, "--min-members", settings->elect_min_members, "");
	if (settings->elect_once) add(election, "--once");
	if (settings->elect_shell) add(election, "--shell");
	add_text(election, "--token-file", settings->elect_token_file);
	if (settings->insecure) add(election, "--insecure");
	add_text(election, "--tls-ca", settings->tls_ca);
	add_text(election, "--tls-cert", settings->tls_cert);
	add_text(election, "--tls-key", settings->tls_key);
}

/* fts-cli of the same build. */
static bool find_program(struct ftsi_election *election)
{
	ssize_t size = readlink("/proc/self/exe", election->program, FTSI_PATH_MAX);
	char *slash = size <= 0 ? NULL : memrchr(election->program, '/', (size_t)size);
	if (slash == NULL) return false;
	snprintf(slash + 1, sizeof("fts-cli"), "fts-cli");
	return access(election->program, X_OK) == 0;
}

/* ---- The process ---- */

/* In the child of a process with threads: nothing but system calls until the program is another. */
static void become_member(struct ftsi_election *election, pid_t node)
{
	sigset_t none;
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != node) _exit(EXIT_NOT_STARTED); /* it went before the line above */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO); /* where the node's own lines go */
	(void)syscall(SYS_close_range, 3u, ~0u, 0);
	execv(election->program, (char *const *)(const void *)election->words);
	_exit(EXIT_NOT_STARTED);
}

/* Until the member ends, or the stop comes, or timeout_ms (-1: never). True: it has ended; *out_status as waitpid() has
 * it. Descriptors may have run out: then it is looked at again and again. */
static bool wait_end(const struct ftsi_election *election, pid_t pid, int timeout_ms, bool until_stop, int *out_status)
{
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd fds[] = {{pid_fd, POLLIN, 0}, {until_stop ? election->stop_fd : -1, POLLIN, 0}};
	uint64_t until_ns = timeout_ms < 0 ? UINT64_MAX : fts_clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	bool ended = waitpid(pid, out_status, WNOHANG) == pid;
	while (!ended && fds[1].revents == 0 && fts_clock_monotonic_ns() < until_ns) {
		uint32_t left_ms = fts_clock_left_ms(fts_clock_monotonic_ns(), until_ns);
		uint32_t look_ms = pid_fd < 0 ? LOOK_MS : LEAVE_MS;
		if (poll(fds, 2, (int)(left_ms < look_ms ? left_ms : look_ms)) <= 0) fds[1].revents = 0;
		ended = waitpid(pid, out_status, WNOHANG) == pid;
	}
	if (pid_fd >= 0) close(pid_fd);
	return ended;
}

static void leave(const struct ftsi_election *election, pid_t pid)
{
	int wait_status;
	(void)kill(pid, SIGTERM);
	if (wait_end(election, pid, LEAVE_MS, false, &wait_status)) return;
	FTS_LOG_WARN("elect.killed", "election=%s waited_ms=%d", election->words[3], LEAVE_MS);
	(void)kill(pid, SIGKILL); /* its guardian ends the script then */
	(void)waitpid(pid, &wait_status, 0);
}

/* Returns false when it is not to be started again. */
static bool take_part(struct ftsi_election *election)
{
	pid_t node = getpid(), pid = fork();
	int wait_status = 0;
	if (pid == 0) become_member(election, node);
	if (pid < 0) {
		FTS_LOG_WARN("elect.not_started", "election=%s errno=%d", election->words[3], errno);
		return true;
	}
	if (!wait_end(election, pid, -1, true, &wait_status)) {
		leave(election, pid);
		return false;
	}
	bool refused = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_USAGE;
	if (refused)
		FTS_LOG_ERROR("elect.refused", "election=%s the lines above say why", election->words[3]);
	else
		FTS_LOG_WARN("elect.ended", "election=%s code=%d signal=%d", election->words[3],
			     WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 0,
			     WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0);
	return !refused;
}

static void *supervise(void *data)
{
	struct ftsi_election *election = data;
	struct pollfd stop = {election->stop_fd, POLLIN, 0};
	pthread_setname_np(pthread_self(), "fts-elect");
	while (take_part(election))
		if (poll(&stop, 1, AGAIN_MS) > 0) break;
	return NULL;
}

enum fts_status ftsi_election_start(const struct ftsi_settings *settings, struct ftsi_election **out_election,
				    struct fts_error *out_error)
{
	*out_election = NULL;
	if (settings->elect[0] == '\0') return FTS_OK;
	struct ftsi_election *election = calloc(1, sizeof *election);
	if (election == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	enum fts_status status = FTS_OK;
	election->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (!find_program(election))
		status =
		    fts_error_set(out_error, FTS_FAILED_PRECONDITION,
				  "--elect: fts-cli is needed beside ftsd, and %.200s can't be run", election->program);
	compose(election, settings);
	if (status == FTS_OK &&
	    (election->stop_fd < 0 || pthread_create(&election->thread, NULL, supervise, election) != 0))
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "--elect: no thread or descriptor");
	if (status == FTS_OK) {
		*out_election = election;
		return FTS_OK;
	}
	if (election->stop_fd >= 0) close(election->stop_fd);
	free(election);
	return status;
}

void ftsi_election_stop(struct ftsi_election *election)
{
	uint64_t one = 1;
	if (election == NULL) return;
	ssize_t ignored = write(election->stop_fd, &one, sizeof(one)); /* an eventfd takes it */
	(void)ignored;
	pthread_join(election->thread, NULL);
	close(election->stop_fd);
	free(election);
}
