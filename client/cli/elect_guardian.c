/* Why this file exists: the guardian of a script; see elect_script.h. One thread, one poll(); it is the subreaper of
 * all that the script starts, so that nothing escapes it by leaving its process group. */
#include "client/cli/elect_script.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS_NS 1000000ull
#define GRACE_MS 5000u  /* from TERM to KILL, when no lease is about to end */
#define ORPHAN_MS 1000u /* the same when the agent is gone */
#define SWEEP_MS 5u
#define NEVER_NS UINT64_MAX
#define EXIT_NO_COMMAND 127
#define EXIT_NOT_EXECUTABLE 126
#define READ_MAX 65536

enum phase { REST, RUNS, ENDS, SWEPT };
enum { READS, WRITES };

struct stream {
	int fd; /* -1: closed */
	size_t used;
	char line[FTSI_SCRIPT_LINE_MAX];
};

struct guardian {
	int link_fd, signal_fd, timer_fd;
	struct ftsi_script_run wanted, current;
	struct ftsi_script_will will;
	struct ftsi_script_lease lease;
	struct ftsi_script_state state;
	bool state_is_news, orphan;
	bool agent_is_gone;
	bool direct; /* the script has our own standard streams */
	enum phase phase;
	bool done;         /* it ended by itself and is not to run again */
	bool main_ended;   /* the script itself; what it left behind is ended too */
	uint64_t again_ns; /* next run */
	uint64_t kill_ns;  /* of what was told to end */
	uint64_t lost_count;
	struct stream streams[2];
};

uint64_t ftsi_script_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Killing ---- */

static pid_t parent_of(pid_t pid)
{
	char path[32], text[512];
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return 0;
	ssize_t got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0) return 0;
	text[got] = 0;
	const char *behind = strrchr(text, ')'); /* the name may hold anything */
	int parent = 0;
	return behind != NULL && sscanf(behind + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : 0;
}

static void signal_children(int number)
{
	DIR *processes = opendir("/proc");
	if (processes == NULL) return; /* the group is all that can be reached */
	for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (*end == 0 && pid > 1 && parent_of((pid_t)pid) == getpid()) (void)kill((pid_t)pid, number);
	}
	closedir(processes);
}

void ftsi_guardian_signal_group(pid_t first, bool reaped, int number)
{
	if (reaped && (kill(first, 0) == 0 || errno != ESRCH)) return;
	(void)kill(-first, number);
}

bool ftsi_guardian_sweep(void)
{
	pid_t pid;
	signal_children(SIGKILL);
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		;
	return pid < 0 && errno == ECHILD;
}

/* ---- Telling the agent ---- */

static void tell_state(struct guardian *guardian)
{
	if (!guardian->state_is_news || guardian->orphan) return;
	guardian->state.kind = FTSI_SCRIPT_STATE;
	ssize_t sent = send(guardian->link_fd, &guardian->state, sizeof(guardian->state), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent >= 0) guardian->state_is_news = false; /* otherwise when there is room */
}

static void tell_line(struct guardian *guardian, struct stream *stream)
{
	struct ftsi_script_output output = {.kind = FTSI_SCRIPT_OUTPUT,
					    .stream = stream == &guardian->streams[0] ? 1 : 2,
					    .lost_count = guardian->lost_count,
					    .size_bytes = (uint32_t)stream->used};
	size_t size_bytes = offsetof(struct ftsi_script_output, text) + stream->used;
	memcpy(output.text, stream->line, stream->used);
	stream->used = 0;
	if (guardian->orphan || send(guardian->link_fd, &output, size_bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		guardian->lost_count++;
	else
		guardian->lost_count = 0;
}

/* False: no more for now. */
static bool read_stream(struct guardian *guardian, struct stream *stream)
{
	char bytes[4096];
	ssize_t got = read(stream->fd, bytes, sizeof(bytes));
	if (got < 0) return false;
	for (ssize_t i = 0; i < got; i++) {
		if (bytes[i] != '\n') stream->line[stream->used++] = bytes[i];
		if (bytes[i] == '\n' || stream->used == sizeof(stream->line)) tell_line(guardian, stream);
	}
	if (got > 0) return true;
	if (stream->used > 0) tell_line(guardian, stream);
	close(stream->fd);
	stream->fd = -1;
	return false;
}

static void read_streams(struct guardian *guardian)
{
	for (size_t i = 0; i < 2; i++)
		for (size_t n = 0; guardian->streams[i].fd >= 0 && n < READ_MAX / 4096; n++)
			if (!read_stream(guardian, &guardian->streams[i])) break;
}

static void close_streams(struct guardian *guardian)
{
	read_streams(guardian);
	for (size_t i = 0; i < 2; i++) {
		struct stream *stream = &guardian->streams[i];
		if (stream->used > 0) tell_line(guardian, stream);
		if (stream->fd >= 0) close(stream->fd);
		stream->fd = -1;
	}
}

/* ---- Starting ---- */

/* text: words one behind the other. Returns the word behind. */
static char *next_word(char *word)
{
	return word + strlen(word) + 1;
}

static void set_number(const char *name, uint64_t number)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	(void)setenv(name, text, 1);
}

/* In the child. */
static void become_script(struct ftsi_script_run *run, pid_t guardian, const int *out_fds)
{
	char *words[FTSI_SCRIPT_WORDS_MAX + 1] = {NULL}, *election = run->text, *member = next_word(election);
	char *word = next_word(member);
	sigset_t none;
	for (uint32_t i = 0; i < run->word_count; i++, word = next_word(word))
		words[i] = word;
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != guardian) _exit(EXIT_NO_COMMAND); /* it went before the line above */
	(void)setpriority(PRIO_PROCESS, 0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (out_fds[0] >= 0) dup2(out_fds[0], STDOUT_FILENO);
	if (out_fds[1] >= 0) dup2(out_fds[1], STDERR_FILENO);
	(void)setenv("FTS_ROLE", run->master ? "MASTER" : "STANDBY", 1);
	(void)setenv("FTS_ELECTION", election, 1);
	(void)setenv("FTS_MEMBER", member, 1);
	set_number("FTS_FENCE", run->fence);
	execvp(words[0], words);
	int why = errno;
	fprintf(stderr, "%s: %s\n", words[0], strerror(why));
	_exit(why == ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE);
}

static void start(struct guardian *guardian, uint64_t now_ns)
{
	int pipes[2][2] = {{-1, -1}, {-1, -1}};
	pid_t self = getpid(), pid = -1;
	if (guardian->direct || (pipe2(pipes[0], O_CLOEXEC) == 0 && pipe2(pipes[1], O_CLOEXEC) == 0)) pid = fork();
	if (pid == 0) become_script(&guardian->current, self, (int[]){pipes[0][WRITES], pipes[1][WRITES]});
	for (size_t i = 0; i < 2; i++) {
		if (pipes[i][WRITES] >= 0) close(pipes[i][WRITES]);
		if (pid < 0 && pipes[i][READS] >= 0) close(pipes[i][READS]);
	}
	guardian->again_ns = now_ns + 1000 * MS_NS; /* when it could not be started: no process, no descriptors */
	if (pid < 0) return;
	(void)setpgid(pid, pid);
	for (size_t i = 0; i < 2; i++) {
		guardian->streams[i].fd = pipes[i][READS];
		if (pipes[i][READS] >= 0) (void)fcntl(pipes[i][READS], F_SETFL, O_NONBLOCK);
	}
	guardian->phase = RUNS;
	guardian->main_ended = false;
	guardian->state.pid = pid;
	guardian->state.was_cut = 0;
	guardian->state.started_count++;
	guardian->state_is_news = true;
}

/* ---- The one script ---- */

/* What is wanted is what runs already: a lasting script is not stopped for a new number, another pause. */
static bool is_same_script(const struct ftsi_script_run *a, const struct ftsi_script_run *b)
{
	return a->master == b->master && a->fence == b->fence && a->edition == b->edition &&
	       a->word_count == b->word_count && a->text_size_bytes == b->text_size_bytes &&
	       memcmp(a->text, b->text, a->text_size_bytes) == 0;
}

static void take_wish(struct guardian *guardian, bool is_same)
{
	guardian->current = guardian->wanted;
	guardian->state.number = guardian->wanted.number;
	guardian->state_is_news = true;
	if (is_same) return;
	guardian->done = false;
	guardian->again_ns = 0;
}

static bool lease_stands(const struct guardian *guardian, uint64_t now_ns)
{
	return !guardian->current.master || now_ns < guardian->lease.term_ns;
}

static void tell_to_end(struct guardian *guardian, uint64_t now_ns)
{
	guardian->state.was_cut = !guardian->main_ended;
	guardian->kill_ns = now_ns + (guardian->orphan ? ORPHAN_MS : GRACE_MS) * MS_NS;
	guardian->phase = ENDS;
	ftsi_guardian_signal_group(guardian->state.pid, guardian->main_ended, SIGTERM);
	signal_children(SIGTERM); /* those that left the group, and whose parent is gone */
	ftsi_guardian_signal_group(guardian->state.pid, guardian->main_ended, SIGCONT);
}

static void note_end(struct guardian *guardian, uint64_t now_ns)
{
	close_streams(guardian);
	guardian->phase = REST;
	guardian->state.pid = 0;
	guardian->state.ended_count++;
	guardian->state_is_news = true;
	guardian->again_ns = guardian->state.was_cut ? now_ns : now_ns + guardian->current.sleep_ms * MS_NS;
	guardian->done = !guardian->state.was_cut && !guardian->current.loop;
}

/* Take note of what has ended. True: nothing is left. */
static bool reap(struct guardian *guardian)
{
	int wait_status;
	pid_t pid;
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (pid != guardian->state.pid) continue;
		guardian->main_ended = true;
		guardian->state.wait_status = wait_status;
	}
	return pid < 0 && errno == ECHILD;
}

static uint64_t kill_time_ns(const struct guardian *guardian)
{
	bool leased = guardian->current.master && guardian->lease.kill_ns < guardian->kill_ns;
	return leased ? guardian->lease.kill_ns : guardian->kill_ns;
}

/* One look at everything. */
static void drive(struct guardian *guardian)
{
	uint64_t now_ns = ftsi_script_now_ns();
	bool none_left = guardian->phase != REST && reap(guardian);
	bool is_same = is_same_script(&guardian->wanted, &guardian->current);
	bool is_news = guardian->wanted.number != guardian->current.number;
	if (none_left) note_end(guardian, now_ns);
	if (is_news && (is_same || guardian->phase == REST)) take_wish(guardian, is_same);
	is_news = guardian->wanted.number != guardian->current.number;
	if (guardian->phase == REST && guardian->current.word_count > 0 && !guardian->done && !guardian->orphan &&
	    now_ns >= guardian->again_ns && lease_stands(guardian, now_ns))
		start(guardian, now_ns);
	if (guardian->phase == RUNS &&
	    (is_news || guardian->orphan || guardian->main_ended || !lease_stands(guardian, now_ns)))
		tell_to_end(guardian, now_ns);
	if (guardian->phase == ENDS && now_ns >= kill_time_ns(guardian)) guardian->phase = SWEPT;
	if (guardian->phase == SWEPT) {
		ftsi_guardian_signal_group(guardian->state.pid, guardian->main_ended, SIGKILL);
		signal_children(SIGKILL);
	}
	tell_state(guardian);
}

/* When to look again at the latest. */
static uint64_t next_ns(const struct guardian *guardian)
{
	bool waits = guardian->current.word_count > 0 && !guardian->done && !guardian->orphan;
	switch (guardian->phase) {
	case REST:
		return waits && lease_stands(guardian, ftsi_script_now_ns()) ? guardian->again_ns + 1 : NEVER_NS;
	case RUNS:
		return guardian->current.master ? guardian->lease.term_ns : NEVER_NS;
	case ENDS:
		return kill_time_ns(guardian);
	case SWEPT:
		return ftsi_script_now_ns() + SWEEP_MS * MS_NS;
	}
	return NEVER_NS;
}

/* ---- The loop ---- */

static void receive(struct guardian *guardian)
{
	union {
		uint32_t kind;
		struct ftsi_script_run run;
		struct ftsi_script_will will;
		struct ftsi_script_lease lease;
	} message;
	for (;;) {
		ssize_t got = recv(guardian->link_fd, &message, sizeof(message), MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
		if (got < 0 && errno == ECONNRESET) continue; /* told once, before what the agent had still sent */
		if (got <= 0) {
			guardian->orphan = guardian->agent_is_gone = true;
			return;
		}
		if (message.kind == FTSI_SCRIPT_RUN) guardian->wanted = message.run;
		if (message.kind == FTSI_SCRIPT_WILL) guardian->will = message.will;
		if (message.kind == FTSI_SCRIPT_LEASE) guardian->lease = message.lease;
	}
}

static void take_signals(struct guardian *guardian)
{
	struct signalfd_siginfo signal_info;
	while (read(guardian->signal_fd, &signal_info, sizeof(signal_info)) == (ssize_t)sizeof(signal_info))
		if (signal_info.ssi_signo != SIGCHLD) guardian->orphan = true; /* asked to end: in order */
}

static void set_timer(const struct guardian *guardian)
{
	uint64_t at_ns = next_ns(guardian);
	struct itimerspec when = {.it_value = {0, 0}};
	if (at_ns != NEVER_NS)
		when.it_value = (struct timespec){(time_t)(at_ns / 1000000000u), (long)(at_ns % 1000000000u)};
	if (at_ns == 0) when.it_value.tv_nsec = 1; /* long past; zero would mean never */
	(void)timerfd_settime(guardian->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void turn(struct guardian *guardian)
{
	uint64_t expirations;
	struct pollfd fds[] = {
	    {guardian->orphan ? -1 : guardian->link_fd, (short)(POLLIN | (guardian->state_is_news ? POLLOUT : 0)), 0},
	    {guardian->signal_fd, POLLIN, 0},
	    {guardian->timer_fd, POLLIN, 0},
	    {guardian->streams[0].fd, POLLIN, 0},
	    {guardian->streams[1].fd, POLLIN, 0},
	};
	set_timer(guardian);
	if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0) return;
	if (fds[1].revents != 0) take_signals(guardian);
	if (fds[2].revents != 0 && read(guardian->timer_fd, &expirations, sizeof(expirations)) < 0) return;
	if (fds[0].revents != 0) receive(guardian);
	read_streams(guardian);
	drive(guardian);
}

static bool prepare(struct guardian *guardian)
{
	sigset_t set;
	int null_fd = open("/dev/null", O_RDWR);
	(void)setsid(); /* Ctrl-C is for the agent */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)setpriority(PRIO_PROCESS, 0,
			  -10); /* it has deadlines to keep; where that is not allowed it does without */
	for (int fd = 0; null_fd >= 0 && !guardian->direct && fd <= 2; fd++)
		dup2(null_fd, fd);
	(void)syscall(SYS_close_range, (unsigned)guardian->link_fd + 1, ~0u, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	(void)fcntl(guardian->link_fd, F_SETFD, FD_CLOEXEC);
	guardian->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	guardian->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	return guardian->signal_fd >= 0 && guardian->timer_fd >= 0;
}

/* Does not return, unless there is none or it can't be carried out: then the lease decides. */
static void carry_out(struct ftsi_script_will *will)
{
	char *words[FTSI_SCRIPT_WILL_WORDS_MAX + 2] = {(char *)"fts-cli"}, *word = will->text;
	int null_fd = open("/dev/null", O_RDWR);
	if (will->word_count == 0) return;
	for (uint32_t i = 0; i < will->word_count; i++, word = next_word(word))
		words[i + 1] = word;
	for (int fd = 0; null_fd >= 0 && fd <= 2; fd++)
		dup2(null_fd, fd);
	execv("/proc/self/exe", words);
}

int ftsi_guardian_run(int link_fd, bool direct)
{
	static struct guardian guardian;
	guardian.link_fd = link_fd;
	guardian.direct = direct;
	guardian.streams[0].fd = guardian.streams[1].fd = -1;
	if (!prepare(&guardian)) return 1;
	while (!guardian.orphan || guardian.phase != REST)
		turn(&guardian);
	if (guardian.agent_is_gone) carry_out(&guardian.will);
	return 0;
}
