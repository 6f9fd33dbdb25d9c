/* Why this file exists: see watchdog/supervisor.h: the loop. */
#include "watchdog/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/progress.h"
#include "watchdog/watched.h"

#define NS_PER_MS ((uint64_t)1000000)
#define STOPPING_LOOK_MS 20 /* at what is being ended */
#define LOG_LOOK_MS 10000
#define STATUS_BYTES 512
#define FDS_FIXED 2
#define FDS_MAX (FDS_FIXED + 2 * FTSI_WATCH_PROCESS_MAX)

struct ftsi_supervisor {
	struct ftsi_watch watch;
	int signal_fd, wake_fd, lock_fd;
	uint64_t ticked_ns, logs_ns;
	uint32_t feed_ms; /* 0: nobody is to be fed */
	uint64_t fed_ns;
	struct fts_strand *strand;
	bool wants_status;
	char status[STATUS_BYTES]; /* told last */
};

/* ---- What survives ---- */

void ftsi_watch_keep(struct ftsi_watch *watch)
{
	struct ftsi_memory memory = {.action_index = watch->action_index, .count = watch->count};
	for (size_t i = 0; i < watch->count; i++)
		ftsi_watched_remember(&watch->list[i], &memory.processes[i]);
	if (!ftsi_memory_keep(watch->config->state, &memory))
		FTS_LOG_WARN("watchdog.memory",
			     "detail=\"state.json can't be written: a restart of the watchdog would not "
			     "find its processes\"");
	watch->changed = false;
}

static void show(struct ftsi_watch *watch)
{
	struct ftsi_outside_process processes[FTSI_WATCH_PROCESS_MAX];
	for (size_t i = 0; i < watch->count; i++)
		ftsi_watched_show(&watch->list[i], &processes[i]);
	ftsi_outside_show(watch->outside, processes, watch->count);
}

/* ---- Logs ---- */

/* What is behind path, to path.1, then it begins anew. Processes append, so they go on at the new end; a line or two
 * that are written in between are lost. */
static void turn_over(const char *path, off_t size)
{
	char old[FTSI_WATCH_TEXT_MAX + 8];
	snprintf(old, sizeof(old), "%s.1", path);
	int from_fd = open(path, O_RDWR | O_CLOEXEC), to_fd = open(old, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	off_t at = 0;
	while (from_fd >= 0 && to_fd >= 0 && at < size)
		if (sendfile(to_fd, from_fd, &at, (size_t)(size - at)) <= 0) break;
	if (from_fd >= 0 && ftruncate(from_fd, 0) != 0) FTS_LOG_WARN("watchdog.log", "detail=\"a log can't be cut\"");
	if (from_fd >= 0) close(from_fd);
	if (to_fd >= 0) close(to_fd);
}

static void look_at_logs(const struct ftsi_watch *watch)
{
	struct stat about;
	for (size_t i = 0; i < watch->count; i++) {
		const struct ftsi_watch_process *what = watch->list[i].what;
		if (strcmp(what->log, "-") == 0 || stat(what->log, &about) != 0 || !S_ISREG(about.st_mode)) continue;
		if (about.st_size > (off_t)what->log_mb * 1024 * 1024) turn_over(what->log, about.st_size);
	}
}

/* ---- Events of the loop ---- */

static void reap(struct ftsi_watch *watch)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		for (size_t i = 0; i < watch->count && !ftsi_watched_reap(&watch->list[i], pid, status); i++)
			continue; /* nobody's: an orphan of one of them */
}

static void begin_stop(struct ftsi_watch *watch)
{
	if (watch->stopping) return;
	watch->stopping = true;
	(void)fts_notify("STOPPING=1\nSTATUS=stopping its processes");
	FTS_LOG_INFO("watchdog.stopping", "name=%s", watch->config->name);
	for (size_t i = 0; i < watch->count; i++) {
		bool wanted = watch->list[i].wanted;
		if (watch->list[i].state == FTSI_WATCH_QUARANTINED) continue; /* it stays so for the next watchdog */
		ftsi_watched_handle(&watch->list[i], FTSI_WATCH_STOP);
		watch->list[i].wanted = wanted; /* the next watchdog starts it again */
	}
}

static void take_signals(struct ftsi_supervisor *supervisor)
{
	struct signalfd_siginfo signal_info;
	while (read(supervisor->signal_fd, &signal_info, sizeof(signal_info)) == sizeof(signal_info)) {
		if (signal_info.ssi_signo == SIGCHLD)
			reap(&supervisor->watch);
		else
			begin_stop(&supervisor->watch);
	}
}

static struct ftsi_watched *find(struct ftsi_watch *watch, const char *name)
{
	for (size_t i = 0; i < watch->count; i++)
		if (strcmp(watch->list[i].what->name, name) == 0) return &watch->list[i];
	return NULL;
}

static void take_commands(struct ftsi_supervisor *supervisor)
{
	static const enum ftsi_watch_event events[] = {[FTSI_VERB_START] = FTSI_WATCH_START,
						       [FTSI_VERB_STOP] = FTSI_WATCH_STOP,
						       [FTSI_VERB_RESTART] = FTSI_WATCH_RESTART};
	struct ftsi_outside_command command;
	uint64_t count;
	ssize_t ignored = read(supervisor->wake_fd, &count, sizeof(count));
	(void)ignored; /* nothing there: nobody woke it */
	while (ftsi_outside_take(supervisor->watch.outside, &command)) {
		struct ftsi_watched *watched = find(&supervisor->watch, command.process);
		if (watched != NULL && !supervisor->watch.stopping) ftsi_watched_handle(watched, events[command.verb]);
	}
}

/* ---- The loop ---- */

static bool is_over(const struct ftsi_watch *watch)
{
	if (!watch->stopping) return false;
	for (size_t i = 0; i < watch->count; i++)
		if (watch->list[i].state == FTSI_WATCH_STOPPING || watch->list[i].process.pid != 0) return false;
	return true;
}

/* Until when nothing is due, in ms. */
static uint32_t wait_ms(const struct ftsi_supervisor *supervisor)
{
	const struct ftsi_watch *watch = &supervisor->watch;
	uint64_t next_ns = supervisor->ticked_ns + watch->config->interval_ms * NS_PER_MS;
	for (size_t i = 0; i < watch->count; i++) {
		const struct ftsi_watched *watched = &watch->list[i];
		uint64_t look_ns = watch->now_ns + STOPPING_LOOK_MS * NS_PER_MS;
		if (watched->state == FTSI_WATCH_STOPPING && look_ns < next_ns) next_ns = look_ns;
		if (watched->state == FTSI_WATCH_BACKOFF && watched->due_ns < next_ns) next_ns = watched->due_ns;
	}
	return fts_clock_left_ms(watch->now_ns, next_ns);
}

static void tick(struct ftsi_supervisor *supervisor)
{
	struct ftsi_watch *watch = &supervisor->watch;
	uint64_t passed_ms = (watch->now_ns - supervisor->ticked_ns) / NS_PER_MS;
	bool whole = passed_ms >= watch->config->interval_ms;
	for (size_t i = 0; i < watch->count; i++) {
		struct ftsi_watched *watched = &watch->list[i];
		bool runs = watched->state == FTSI_WATCH_STARTING || watched->state == FTSI_WATCH_RUNNING;
		if (!runs || whole) ftsi_watched_tick(watched, passed_ms);
	}
	if (whole) supervisor->ticked_ns = watch->now_ns;
	if (watch->now_ns >= supervisor->logs_ns) {
		supervisor->logs_ns = watch->now_ns + LOG_LOOK_MS * NS_PER_MS;
		look_at_logs(watch);
	}
}

/* systemd is fed by the loop itself: a watchdog that gets stuck is not fed. */
static void feed(struct ftsi_supervisor *supervisor)
{
	uint64_t now_ns = supervisor->watch.now_ns;
	if (supervisor->feed_ms == 0 || now_ns < supervisor->fed_ns + supervisor->feed_ms * NS_PER_MS) return;
	supervisor->fed_ns = now_ns;
	(void)fts_notify("WATCHDOG=1");
}

static void add(char *text, size_t size_bytes, const char *separator, const char *word, const char *name)
{
	size_t used = strlen(text);
	snprintf(text + used, size_bytes - used, "%s%s%s", separator, word, name);
}

/* In a line for people: how many run, and who is in trouble. */
static void tell_status(struct ftsi_supervisor *supervisor)
{
	const struct ftsi_watch *watch = &supervisor->watch;
	char trouble[400] = "", text[STATUS_BYTES];
	size_t running = 0;
	if (!supervisor->wants_status || watch->stopping) return;
	for (size_t i = 0; i < watch->count; i++) {
		const struct ftsi_watched *watched = &watch->list[i];
		const char *word = watched->state == FTSI_WATCH_QUARANTINED ? "quarantined "
				   : watched->held[0] != '\0'               ? "held "
				   : watched->state == FTSI_WATCH_BACKOFF || watched->state == FTSI_WATCH_STOPPING
				       ? "being restarted "
				       : NULL;
		running += watched->state == FTSI_WATCH_RUNNING;
		if (word != NULL) add(trouble, sizeof(trouble), "; ", word, watched->what->name);
	}
	snprintf(text, sizeof(text), "%zu of %zu processes run%s", running, watch->count, trouble);
	fts_notify_status(text, supervisor->status, sizeof(supervisor->status));
}

static size_t list_fds(const struct ftsi_supervisor *supervisor, struct pollfd *out_fds)
{
	const struct ftsi_watch *watch = &supervisor->watch;
	size_t count = 0;
	out_fds[count++] = (struct pollfd){supervisor->signal_fd, POLLIN, 0};
	out_fds[count++] = (struct pollfd){supervisor->wake_fd, POLLIN, 0};
	for (size_t i = 0; i < watch->count; i++) {
		const struct ftsi_watched *watched = &watch->list[i];
		bool waits = watched->adopted && !watched->main_ended;
		out_fds[count++] = (struct pollfd){waits ? watched->process.pid_fd : -1, POLLIN, 0};
		out_fds[count++] = (struct pollfd){watched->asker.fd, POLLIN, 0};
	}
	return count;
}

static void take_fds(struct ftsi_supervisor *supervisor, const struct pollfd *fds)
{
	struct ftsi_watch *watch = &supervisor->watch;
	if (fds[0].revents != 0) take_signals(supervisor);
	take_commands(supervisor);
	for (size_t i = 0; i < watch->count; i++) {
		if (fds[FDS_FIXED + 2 * i].revents != 0) ftsi_watched_ended(&watch->list[i]);
		if (fds[FDS_FIXED + 2 * i + 1].revents != 0) ftsi_watched_hear(&watch->list[i]);
	}
}

void ftsi_supervisor_run(struct ftsi_supervisor *supervisor)
{
	struct ftsi_watch *watch = &supervisor->watch;
	struct pollfd fds[FDS_MAX];
	(void)fts_notify("READY=1");
	while (!is_over(watch)) {
		size_t count = list_fds(supervisor, fds);
		int some = poll(fds, count, (int)wait_ms(supervisor));
		watch->now_ns = fts_clock_monotonic_ns();
		fts_strand_move(supervisor->strand);
		if (some > 0) take_fds(supervisor, fds);
		tick(supervisor);
		if (watch->changed) ftsi_watch_keep(watch);
		show(watch);
		feed(supervisor);
		tell_status(supervisor);
	}
	ftsi_watch_keep(watch);
}

/* ---- Life ---- */

/* Processes that the last watchdog started and the configuration no longer names. */
static void tell_strangers(const struct ftsi_watch *watch, const struct ftsi_memory *memory)
{
	for (size_t i = 0; i < memory->count; i++) {
		const struct ftsi_memory_process *known = &memory->processes[i];
		bool named = false;
		for (size_t k = 0; k < watch->config->process_count && !named; k++)
			named = strcmp(watch->config->processes[k].name, known->name) == 0;
		if (!named && known->pid > 0)
			FTS_LOG_WARN(
			    "watchdog.stranger",
			    "process=%s pid=%d detail=\"the configuration no longer names it: it is left alone\"",
			    known->name, (int)known->pid);
	}
}

static enum fts_status begin(struct ftsi_supervisor *supervisor, struct fts_error *out_error)
{
	struct ftsi_watch *watch = &supervisor->watch;
	const struct ftsi_watch_config *config = watch->config;
	static struct ftsi_memory memory;
	enum fts_status status = ftsi_memory_claim(config->state, &supervisor->lock_fd, out_error);
	if (status != FTS_OK) return status;
	ftsi_memory_recall(config->state, &memory);
	watch->action_index = memory.action_index;
	if (strcmp(config->listen, "off") != 0)
		status =
		    ftsi_outside_start(config, supervisor->wake_fd, memory.action_index, &watch->outside, out_error);
	if (status != FTS_OK) return status;
	watch->now_ns = supervisor->ticked_ns = fts_clock_monotonic_ns();
	tell_strangers(watch, &memory);
	for (size_t i = 0; i < config->process_count; i++) {
		watch->count = i + 1;
		ftsi_watched_init(&watch->list[i], watch, &config->processes[i],
				  ftsi_memory_find(&memory, config->processes[i].name));
	}
	return FTS_OK;
}

enum fts_status ftsi_supervisor_create(const struct ftsi_watch_config *config, int signal_fd,
				       struct ftsi_supervisor **out_supervisor, struct fts_error *out_error)
{
	struct ftsi_supervisor *supervisor = calloc(1, sizeof(*supervisor));
	if (supervisor == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	supervisor->watch.config = config;
	supervisor->signal_fd = signal_fd;
	supervisor->lock_fd = -1;
	supervisor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	supervisor->feed_ms = fts_notify_watchdog_ms() / 4;
	supervisor->wants_status = fts_notify_wanted();
	supervisor->strand = fts_strand_of("supervisor", 0);
	fts_strand_add(supervisor->strand, 1);
	enum fts_status status = FTS_OK;
	/* Orphans of what it watches become its children, so that none is left behind. */
	if (supervisor->wake_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of file descriptors");
	if (status == FTS_OK) status = begin(supervisor, out_error);
	if (status == FTS_OK)
		*out_supervisor = supervisor;
	else
		ftsi_supervisor_destroy(supervisor);
	return status;
}

void ftsi_supervisor_destroy(struct ftsi_supervisor *supervisor)
{
	if (supervisor == NULL) return;
	ftsi_outside_stop(supervisor->watch.outside);
	for (size_t i = 0; i < supervisor->watch.count; i++) {
		ftsi_asker_close(&supervisor->watch.list[i].asker);
		ftsi_process_close(&supervisor->watch.list[i].process);
	}
	if (supervisor->wake_fd >= 0) close(supervisor->wake_fd);
	if (supervisor->lock_fd >= 0) close(supervisor->lock_fd);
	free(supervisor);
}
