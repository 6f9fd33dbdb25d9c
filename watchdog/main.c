/* Why this file exists: fts-watchdog's life as a process: what it was told, signals, end. With --capture it is the
 * helper that looks at a stuck process (watchdog/capture.h).
 *
 * Exit codes: 0 stopped as asked, 2 could not start. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/processors.h"
#include "rpc/nng_start.h"
#include "watchdog/capture.h"
#include "watchdog/config.h"
#include "watchdog/supervisor.h"

#define NNG_PROCESSORS 1

enum exit_code { EXIT_STOPPED = 0, EXIT_NOT_STARTED = 2 };

static enum exit_code not_started(const struct fts_error *error)
{
	fprintf(stderr, "fts-watchdog: %s\n", error->detail);
	return EXIT_NOT_STARTED;
}

static void help(FILE *out)
{
	fputs("fts-watchdog: starts processes, and starts them again when they end, fall silent, stall or overrun\n\n"
	      "usage: fts-watchdog --config FILE.json [flags]\n"
	      "       fts-watchdog [flags] -- COMMAND [ARGUMENT…]\n\n"
	      "  --config FILE.json      what to watch and how (docs/watchdog.md)\n"
	      "  --listen HOST:PORT      calls of fts-cli watchdog; PORT + 1 is events, + 2 health; off: none\n"
	      "                          (default: 127.0.0.1:7390)\n"
	      "  --state DIR             what survives the watchdog itself (default: fts-watchdog)\n"
	      "  --cluster HOST:PORT,…   the nodes, whose quorum is minded\n"
	      "  --name NAME             of this watchdog (default: HOST-watchdog)\n"
	      "  --log-level LEVEL       error, warn, info or debug (default: info)\n"
	      "  --help, --version\n\n"
	      "Flags win over the file. SIGTERM stops the processes, then the watchdog. Killed with SIGKILL it leaves "
	      "them\n"
	      "running, and finds them when it is started again with the same state directory.\n"
	      "Exit codes: 0 stopped as asked, 2 could not start.\n\n"
	      "example: fts-watchdog -- ftsd --data /var/lib/fts\n",
	      out);
}

/* The command line. All borrowed from argv. */
struct flags {
	const char *config, *listen, *state, *cluster, *name, *log_level;
	char *const *command; /* NULL: none */
};

static const char **flag_of(struct flags *flags, const char *name)
{
	const struct {
		const char *name;
		const char **value;
	} known[] = {{"--config", &flags->config},   {"--listen", &flags->listen}, {"--state", &flags->state},
		     {"--cluster", &flags->cluster}, {"--name", &flags->name},     {"--log-level", &flags->log_level}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0) return known[i].value;
	return NULL;
}

static enum fts_status read_flags(int argc, char **argv, struct flags *out_flags, struct fts_error *out_error)
{
	for (int at = 1; at < argc; at++) {
		if (strcmp(argv[at], "--") == 0) {
			out_flags->command = argv + at + 1;
			break;
		}
		const char **value = flag_of(out_flags, argv[at]);
		if (value == NULL)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
					     "unknown argument \"%.100s\"; see fts-watchdog --help", argv[at]);
		if (at + 1 == argc)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
					     "%s needs a value; see fts-watchdog --help", argv[at]);
		*value = argv[++at];
	}
	if ((out_flags->config != NULL) == (out_flags->command != NULL && out_flags->command[0] != NULL))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "expected --config FILE.json or -- COMMAND; see fts-watchdog --help");
	return FTS_OK;
}

static enum fts_status put(char *out, size_t size_bytes, const char *flag, const char *value,
			   struct fts_error *out_error)
{
	if (value == NULL) return FTS_OK;
	if (value[0] == '\0' || strlen(value) >= size_bytes)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: expected 1 to %zu bytes", flag,
				     size_bytes - 1);
	memcpy(out, value, strlen(value) + 1);
	return FTS_OK;
}

static enum fts_status settle(const struct flags *flags, struct ftsi_watch_config *config, struct fts_error *out_error)
{
	enum fts_log_level level;
	enum fts_status status;
	ftsi_watch_config_init(config);
	if (flags->log_level != NULL && !fts_log_level_parse(flags->log_level, &level))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--log-level: expected error, warn, info or debug");
	if (flags->log_level != NULL) fts_log_set_level(level);
	status = flags->config != NULL ? ftsi_watch_config_read(config, flags->config, out_error)
				       : ftsi_watch_config_single(config, flags->command, out_error);
	if (status == FTS_OK)
		status = put(config->listen, sizeof(config->listen), "--listen", flags->listen, out_error);
	if (status == FTS_OK) status = put(config->state, sizeof(config->state), "--state", flags->state, out_error);
	if (status == FTS_OK)
		status = put(config->cluster, sizeof(config->cluster), "--cluster", flags->cluster, out_error);
	if (status == FTS_OK) status = put(config->name, sizeof(config->name), "--name", flags->name, out_error);
	return status == FTS_OK ? ftsi_watch_config_complete(config, out_error) : status;
}

/* Before any thread is made, so that all inherit it. Returns a signalfd, or -1. */
static int catch_signals(void)
{
	sigset_t set;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* who ran this may have ignored it, and then nothing is told of children's ends */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum exit_code run(const struct ftsi_watch_config *config)
{
	struct ftsi_supervisor *supervisor = NULL;
	struct fts_error error = {.detail = "out of file descriptors"};
	int signal_fd = catch_signals();
	if (signal_fd < 0) return not_started(&error);
	ftsi_processors_limit_begin(NNG_PROCESSORS);
	ftsi_nng_start();
	enum fts_status status = ftsi_supervisor_create(config, signal_fd, &supervisor, &error);
	ftsi_processors_limit_end();
	if (status == FTS_OK) {
		FTS_LOG_INFO("watchdog.ready", "name=%s listen=%s processes=%zu pid=%d", config->name, config->listen,
			     config->process_count, (int)getpid());
		ftsi_supervisor_run(supervisor);
		ftsi_supervisor_destroy(supervisor);
		FTS_LOG_INFO("watchdog.stopped", "name=%s", config->name);
	}
	close(signal_fd);
	return status == FTS_OK ? EXIT_STOPPED : not_started(&error);
}

/* --capture PID REASON LOG: see ftsi_capture_begin. */
static int run_capture(char *const *argv)
{
	char *end;
	long pid = strtol(argv[2], &end, 10);
	return pid > 0 && *end == '\0' ? ftsi_capture_run((pid_t)pid, argv[3], argv[4], STDOUT_FILENO)
				       : EXIT_NOT_STARTED;
}

int main(int argc, char **argv)
{
	static struct ftsi_watch_config config;
	struct flags flags = {0};
	struct fts_error error = {0};
	if (argc == 5 && strcmp(argv[1], "--capture") == 0) return run_capture(argv);
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		help(stdout);
		return EXIT_STOPPED;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("fts-watchdog " FTS_VERSION);
		return EXIT_STOPPED;
	}
	umask(027);
	enum exit_code code = EXIT_NOT_STARTED;
	if (read_flags(argc, argv, &flags, &error) != FTS_OK || settle(&flags, &config, &error) != FTS_OK)
		(void)not_started(&error);
	else
		code = run(&config);
	ftsi_watch_config_fini(&config);
	return code;
}
