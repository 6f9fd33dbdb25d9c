/* Why this file exists: ftsd's life as a process: what it was told, start, signals, end.
 *
 * Exit codes: 0 stopped as asked, 1 could not go on, 2 could not start. A start that fails leaves one line on standard
 * error, whatever failed. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/processors.h"
#include "base/progress.h"
#include "rpc/nng_start.h"
#include "rpc/tls_watch.h"
#include "server/directory.h"
#include "server/election.h"
#include "server/expiry.h"
#include "server/node.h"
#include "server/release.h"

#define READY_POLL_MS 100
#define NS_PER_MS ((uint64_t)1000000)
#define STATUS_LOOK_MS 1000
#define STATUS_BYTES 512
#define FEEDS_A_WATCHDOG 4      /* within the time after which it would bite */
#define START_LONGEST_MS 300000 /* opening what is on disk, and reading the log behind it */
#define NNG_PROCESSORS 1        /* two task threads, one for timers: see base/processors.h */

enum exit_code { EXIT_STOPPED = 0, EXIT_FATAL = 1, EXIT_NOT_STARTED = 2 };

static enum exit_code not_started(const struct fts_error *error)
{
	fprintf(stderr, "ftsd: %s\n", error->detail);
	return EXIT_NOT_STARTED;
}

/* Flags, then the file, then what DIR remembers, then defaults. */
static enum fts_status settle(struct ftsi_settings *settings, const char *config, struct fts_error *out_error)
{
	enum fts_status status = FTS_OK;
	if (config != NULL) status = ftsi_settings_read_file(settings, config, out_error);
	if (status != FTS_OK) return status;
	if (settings->data[0] == '\0') snprintf(settings->data, sizeof(settings->data), FTSI_DATA_DEFAULT);
	if ((status = ftsi_directory_recall(settings, out_error)) != FTS_OK) return status;
	return ftsi_settings_complete(settings, out_error);
}

/* Every connection is a descriptor: take as many as the system lets this process have. */
static void raise_limits(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) FTS_LOG_WARN("node.limits", "errno=%d", errno);
}

/* Before any thread is made, so that all inherit it. Returns a signalfd, or -1. */
static int catch_signals(sigset_t *out_set)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* who ran this may have ignored it, and then nothing is told of a child's end */
	sigemptyset(out_set);
	sigaddset(out_set, SIGTERM);
	sigaddset(out_set, SIGINT);
	sigaddset(out_set, SIGHUP);
	if (pthread_sigmask(SIG_BLOCK, out_set, NULL) != 0) return -1;
	return signalfd(-1, out_set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void end_at_once(int number)
{
	(void)number;
	_exit(EXIT_FATAL);
}

/* From here on a signal ends the process without another thought: what was acknowledged is on disk. */
static void let_signals_end_it(const sigset_t *set)
{
	struct sigaction action = {.sa_handler = end_at_once};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

enum wake { WAKE_NOTHING, WAKE_SIGNAL, WAKE_FATAL };

static enum wake wait_for(int signal_fd, int fatal_fd, int timeout_ms)
{
	struct pollfd fds[] = {{signal_fd, POLLIN, 0}, {fatal_fd, POLLIN, 0}};
	int count = poll(fds, 2, timeout_ms);
	struct signalfd_siginfo signal_info;
	if (count <= 0) return WAKE_NOTHING;
	if (fds[1].revents != 0) return WAKE_FATAL;
	/* Taken out, or it would count as the second one when signals are let through. */
	if (read(signal_fd, &signal_info, sizeof(signal_info)) <= 0) return WAKE_NOTHING;
	if (signal_info.ssi_signo != SIGHUP) return WAKE_SIGNAL;
	ftsi_tls_watch_look_now(); /* renewed certificates are found without it too, a second or two later */
	return WAKE_NOTHING;
}

/* systemd, or who else speaks its protocol, is fed only while every part of this process moves on which work waits, and
 * is told how the node is. */
struct feeder {
	struct ftsi_node *node;
	uint32_t interval_ms; /* 0: nobody is to be fed */
	uint64_t fed_ns;
	bool hungry; /* something stood still: told once */
	bool wants_status;
	char status[STATUS_BYTES]; /* told last */
};

static void feed(struct feeder *feeder)
{
	char name[FTS_STRAND_NAME_BYTES];
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (feeder->interval_ms == 0 || now_ns < feeder->fed_ns + feeder->interval_ms * NS_PER_MS) return;
	feeder->fed_ns = now_ns;
	bool moves = fts_strand_all_move(feeder->interval_ms, name);
	if (moves) (void)fts_notify("WATCHDOG=1");
	if (!moves && !feeder->hungry) FTS_LOG_WARN("node.stalled", "strand=%s", name);
	feeder->hungry = !moves;
}

static void tell_status(struct feeder *feeder)
{
	char text[STATUS_BYTES];
	if (!feeder->wants_status) return;
	ftsi_node_describe(feeder->node, text, sizeof(text));
	fts_notify_status(text, feeder->status, sizeof(feeder->status));
}

static uint32_t sooner(uint32_t wait_ms, uint32_t other_ms)
{
	return other_ms < wait_ms ? other_ms : wait_ms;
}

/* Feed and tell who is to be fed and told, and look after the certificates. */
static enum wake wait_fed(struct feeder *feeder, const struct ftsi_settings *settings, int signal_fd, int fatal_fd)
{
	static uint64_t looked_ns; /* of this thread; 0: not yet */
	const struct fts_tls tls = ftsi_settings_tls(settings);
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint32_t wait_ms = UINT32_MAX; /* for ever */
	if (tls.ca_file != NULL && (looked_ns == 0 || now_ns - looked_ns >= FTSI_EXPIRY_LOOK_MS * 1000000ull)) {
		looked_ns = now_ns;
		ftsi_expiry_look(&tls);
	}
	feed(feeder);
	tell_status(feeder);
	if (tls.ca_file != NULL) wait_ms = sooner(wait_ms, FTSI_EXPIRY_LOOK_MS);
	if (feeder->wants_status) wait_ms = sooner(wait_ms, STATUS_LOOK_MS);
	if (feeder->interval_ms > 0) wait_ms = sooner(wait_ms, feeder->interval_ms);
	return wait_for(signal_fd, fatal_fd, wait_ms == UINT32_MAX ? -1 : (int)wait_ms);
}

/* Scripts and supervisors wait for this line, so no log level hides it. */
static void tell_ready(const struct ftsi_settings *settings)
{
	enum fts_log_level level = FTS_LOG_LEVEL_INFO;
	char name[FTSI_NODE_NAME_MAX + 2], listen[FTSI_ADDRESS_MAX + 2], text[FTSI_ADDRESS_MAX + 2];
	bool serves_text =
	    settings->lottery_text[0] != '\0' && strcmp(settings->lottery_text, FTSI_LOTTERY_TEXT_OFF) != 0;
	fts_log_set_level(FTS_LOG_LEVEL_INFO);
	FTS_LOG_INFO("node.ready", "name=%s listen=%s%s%s pid=%d", fts_log_quote(name, sizeof(name), settings->name),
		     fts_log_quote(listen, sizeof(listen), settings->listen), serves_text ? " lottery_text=" : "",
		     serves_text ? fts_log_quote(text, sizeof(text), settings->lottery_text) : "", (int)getpid());
	if (fts_log_level_parse(settings->log_level, &level)) fts_log_set_level(level);
	(void)fts_notify("READY=1");
}

/* The addresses proved to be usable: keep them. A full disk must not keep a node from serving what it has. */
static void remember(const struct ftsi_settings *settings)
{
	struct fts_error error;
	char detail[FTS_DETAIL_MAX];
	if (ftsi_directory_remember(settings, &error) != FTS_OK)
		FTS_LOG_WARN("node.not_remembered", "detail=%s", fts_log_quote(detail, sizeof(detail), error.detail));
}

/* Serve until a signal or the end. */
static enum exit_code serve(struct ftsi_node *node, const struct ftsi_settings *settings, int signal_fd, int fatal_fd,
			    struct fts_error *out_error)
{
	struct ftsi_election *election = NULL;
	enum wake wake = WAKE_NOTHING;
	struct feeder feeder = {.node = node,
				.interval_ms = fts_notify_watchdog_ms() / FEEDS_A_WATCHDOG,
				.wants_status = fts_notify_wanted()};
	while (wake == WAKE_NOTHING && ftsi_node_wait_ready(node, READY_POLL_MS) != FTS_OK) {
		tell_status(&feeder);
		wake = wait_for(signal_fd, fatal_fd, 0);
	}
	/* It may not become what it was told to be: another list, no member any more. Nothing is open yet. */
	if (wake == WAKE_FATAL && ftsi_node_failed(node, out_error) && out_error->status == FTS_FAILED_PRECONDITION) {
		(void)not_started(out_error);
		_exit(EXIT_NOT_STARTED);
	}
	if (wake == WAKE_NOTHING) {
		if (ftsi_node_open_gateways(node, out_error) != FTS_OK) return EXIT_NOT_STARTED;
		if (ftsi_election_start(settings, &election, out_error) != FTS_OK) return EXIT_NOT_STARTED;
		remember(settings);
		tell_ready(settings);
	}
	while (wake == WAKE_NOTHING)
		wake = wait_fed(&feeder, settings, signal_fd, fatal_fd);
	if (wake == WAKE_FATAL) { /* a fault has been logged; the next start reads what is on disk */
		if (ftsi_node_failed(node, out_error) && out_error->status == FTS_FAILED_PRECONDITION)
			(void)not_started(out_error); /* it is no member any more */
		_exit(EXIT_FATAL);
	}
	ftsi_election_stop(election); /* steps down first */
	return EXIT_STOPPED;
}

static enum exit_code run(struct ftsi_settings *settings, struct fts_error *out_error)
{
	sigset_t signals;
	struct ftsi_node *node = NULL;
	int lock_fd = -1, fatal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), signal_fd = catch_signals(&signals);
	enum exit_code code = EXIT_NOT_STARTED;
	if (fatal_fd < 0 || signal_fd < 0) {
		(void)fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of file descriptors");
		goto out;
	}
	raise_limits();
	if (ftsi_directory_claim(settings, &lock_fd, out_error) != FTS_OK) goto out;
	struct fts_strand *start = fts_strand_of("fts-start", START_LONGEST_MS);
	fts_strand_add(start, 1);
	ftsi_processors_limit_begin(NNG_PROCESSORS);
	ftsi_nng_start();
	enum fts_status status = ftsi_node_start(settings, fatal_fd, &node, out_error);
	ftsi_processors_limit_end();
	fts_strand_done(start, 1);
	if (status != FTS_OK) goto out;
	code = serve(node, settings, signal_fd, fatal_fd, out_error);
	if (code == EXIT_STOPPED) {
		FTS_LOG_INFO("node.stopping", "name=%s", settings->name);
		(void)fts_notify("STOPPING=1\nSTATUS=handing over");
		let_signals_end_it(&signals);
	}
	ftsi_node_stop(node);
	if (code == EXIT_STOPPED) FTS_LOG_INFO("node.stopped", "name=%s", settings->name);
out:
	ftsi_node_destroy(node);
	int fds[] = {lock_fd, fatal_fd, signal_fd};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0) close(fds[i]);
	return code;
}

int main(int argc, char **argv)
{
	static struct ftsi_settings settings;
	const char *config = NULL;
	struct fts_error error = {0};
	enum fts_log_level level;
	switch (ftsi_settings_read_flags(argc, argv, &settings, &config, &error)) {
	case FTSI_FLAGS_HELP:
		ftsi_settings_help(stdout);
		return EXIT_STOPPED;
	case FTSI_FLAGS_VERSION:
		printf("ftsd %s\n", ftsi_release_version());
		return EXIT_STOPPED;
	case FTSI_FLAGS_WRONG:
		return not_started(&error);
	case FTSI_FLAGS_RUN:
		break;
	}
	umask(027);
	if (settle(&settings, config, &error) != FTS_OK) return not_started(&error);
	if (settings.insecure)
		FTS_LOG_WARN("node.insecure", "listen=%s tls=%s", settings.listen,
			     settings.tls_ca[0] != '\0' ? "on" : "off");
	if (fts_log_level_parse(settings.log_level, &level)) fts_log_set_level(level);
	enum exit_code code = run(&settings, &error);
	return code == EXIT_NOT_STARTED ? not_started(&error) : code;
}
