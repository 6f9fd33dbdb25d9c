/* Why this file exists: see elect.h. Candidates are processes, those of fts and of its peers alike: a command with
 * {id} and {script} in it. The master's is killed with its process group; the script of the next one writes when it
 * started (CLOCK_MONOTONIC), so that nothing lies between the two moments but the thing itself. */
#include "bench/elect.h"

#include "bench/measure.h"
#include "bench/node.h"
#include "bench/process.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANDIDATES 3u
#define ROUNDS_MAX 1000u
#define WORDS_MAX 64u
#define WORD_BYTES 1024u
#define NS_PER_MS UINT64_C(1000000)

static const char help[] =
    "Usage: fts-bench elect [flags] [-- COMMAND ARG...]\n"
    "Starts three candidates, kills the master's process group (SIGKILL) again and again, and measures until the "
    "script\n"
    "of the next master has started. COMMAND is one candidate, with {id} and {script} in its words; without it\n"
    "fts-cli elect run.\n\n"
    "  --endpoints H:P,H:P,..  of a running cluster (default: a node of its own)\n"
    "  --rounds N              how often (default: 20)\n"
    "  --lease MS              of fts's candidates (default: 300, the smallest)\n"
    "  --settle MS             from a start to the next kill (default: 1500)\n"
    "  --window MS             how long a round may take (default: 30000)\n"
    "  --members N             instead: N members in --elections M (default: 1000) that join, and renew a lease of\n"
    "                          --lease MS (default then: 10000) for --seconds S (default: 10)\n"
    "  --json\n\n"
    "Exit code: 0, or 1 when a round found no new master or a renewal failed.\n"
    "Example: fts-bench elect --endpoints 127.0.0.1:7400,127.0.0.1:7410,127.0.0.1:7420 --rounds 20\n";

struct stamp {
	uint64_t at_ns;
	unsigned candidate;
};

struct contest {
	const struct bench_elect *options;
	char self[512], path[300], script[1024];
	pid_t pids[CANDIDATES]; /* 0: none */
	double rounds_ms[ROUNDS_MAX];
	uint32_t round_count, failed_count;
};

/* ---- The script ---- */

int bench_stamp(int argc, char **argv)
{
	char line[64];
	if (argc != 4) return 2;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	int size = snprintf(line, sizeof line, "%" PRIu64 " %.20s\n", measure_now_ns(), argv[3]);
	if (fd < 0 || write(fd, line, (size_t)size) != size) return 1;
	for (;;)
		(void)pause();
}

/* The last line of the file that was written whole. False: none yet. */
static bool last_stamp(const struct contest *contest, struct stamp *out)
{
	bool found = false;
	FILE *file = fopen(contest->path, "re");
	if (file == NULL) return false;
	while (fscanf(file, "%" SCNu64 " c%u\n", &out->at_ns, &out->candidate) == 2)
		found = true;
	fclose(file);
	return found && out->candidate < CANDIDATES;
}

static bool wait_stamp(const struct contest *contest, uint64_t after_ns, struct stamp *out)
{
	uint64_t until_ns = measure_now_ns() + contest->options->window_ms * NS_PER_MS;
	do {
		if (last_stamp(contest, out) && out->at_ns > after_ns) return true;
		(void)poll(NULL, 0, 5);
	} while (measure_now_ns() < until_ns);
	return false;
}

/* ---- Candidates ---- */

/* word with {id} and {script} replaced. */
static void expand(const char *word, const char *id, const char *script, char *out)
{
	size_t used = 0;
	out[0] = '\0';
	while (*word != '\0' && used + 1 < WORD_BYTES) {
		const char *with = strncmp(word, "{id}", 4) == 0       ? id
				   : strncmp(word, "{script}", 8) == 0 ? script
								       : NULL;
		int size = with != NULL ? snprintf(out + used, WORD_BYTES - used, "%s", with)
					: snprintf(out + used, WORD_BYTES - used, "%c", *word);
		word += with == id ? 4 : with == script ? 8 : 1;
		used += (size_t)size;
	}
}

static void become_candidate(const struct contest *contest, const char *id)
{
	static char words[WORDS_MAX][WORD_BYTES];
	static char *argv[WORDS_MAX + 1];
	char script[sizeof contest->script + 32];
	int null_fd = open("/dev/null", O_RDWR);
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null_fd >= 0) (void)dup2(null_fd, STDIN_FILENO);
	if (null_fd >= 0) (void)dup2(null_fd, STDOUT_FILENO);
	(void)snprintf(script, sizeof script, "%s %s", contest->script, id);
	for (size_t i = 0; i < WORDS_MAX && contest->options->command[i] != NULL; i++) {
		expand(contest->options->command[i], id, script, words[i]);
		argv[i] = words[i];
	}
	execvp(argv[0], argv);
	fprintf(stderr, "fts-bench: %s can't be run\n", argv[0]);
	_exit(127);
}

static void start(struct contest *contest, unsigned candidate)
{
	char id[16];
	(void)snprintf(id, sizeof id, "c%u", candidate);
	pid_t pid = fork();
	if (pid == 0) become_candidate(contest, id);
	if (pid > 0) (void)setpgid(pid, pid);
	contest->pids[candidate] = pid > 0 ? pid : 0;
}

static void end(struct contest *contest, unsigned candidate)
{
	if (contest->pids[candidate] == 0) return;
	(void)kill(-contest->pids[candidate], SIGKILL);
	(void)waitpid(contest->pids[candidate], NULL, 0);
	contest->pids[candidate] = 0;
}

/* ---- Rounds ---- */

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double share(const struct contest *contest, double of)
{
	uint32_t at = (uint32_t)(of * contest->round_count);
	if (contest->round_count == 0) return 0;
	return contest->rounds_ms[at < contest->round_count ? at : contest->round_count - 1];
}

static void print(struct contest *contest)
{
	qsort(contest->rounds_ms, contest->round_count, sizeof *contest->rounds_ms, compare);
	printf(
	    contest->options->json
		? "{\"rounds\":%u,\"failed\":%u,\"median_ms\":%.1f,\"p90_ms\":%.1f,\"max_ms\":%.1f}\n"
		: "%u rounds, %u failed: next master's script after %.1f ms (median), %.1f ms (p90), %.1f ms (worst)\n",
	    contest->round_count, contest->failed_count, share(contest, 0.5), share(contest, 0.9), share(contest, 1));
}

/* False: there is no master. */
static bool run_round(struct contest *contest, struct stamp *master)
{
	unsigned old = master->candidate;
	uint64_t killed_ns = measure_now_ns();
	(void)kill(-contest->pids[old], SIGKILL);
	bool replaced = wait_stamp(contest, killed_ns, master);
	if (replaced)
		contest->rounds_ms[contest->round_count++] = (double)(master->at_ns - killed_ns) / (double)NS_PER_MS;
	else
		contest->failed_count++;
	end(contest, old);
	start(contest, old);
	(void)poll(NULL, 0, (int)contest->options->settle_ms);
	return replaced;
}

static void run_rounds(struct contest *contest)
{
	struct stamp master;
	for (unsigned i = 0; i < CANDIDATES; i++) {
		start(contest, i);
		(void)poll(NULL, 0, 100);
	}
	bool has_master = wait_stamp(contest, 0, &master);
	(void)poll(NULL, 0, (int)contest->options->settle_ms);
	if (!has_master) contest->failed_count++;
	for (uint32_t i = 0; has_master && i < contest->options->rounds; i++) {
		(void)last_stamp(contest, &master); /* it may have changed in order while all settled */
		has_master = run_round(contest, &master);
	}
	for (unsigned i = 0; i < CANDIDATES; i++)
		end(contest, i);
}

static int measure_takeover(struct bench_elect *options)
{
	static struct contest contest;
	char lease[16], cli[512];
	const char *const own[] = {cli,       "elect", "run",  "bench", "--endpoints", options->endpoints,
				   "--lease", lease,   "--id", "{id}",  "--on-master", "{script}",
				   NULL};
	char dir[] = "/tmp/fts-bench-elect-XXXXXX";
	(void)snprintf(lease, sizeof lease, "%ums", options->lease_ms == 0 ? 300 : options->lease_ms);
	if (!bench_path_beside("fts-cli", cli, sizeof cli) ||
	    !bench_path_beside("fts-bench", contest.self, sizeof contest.self) || mkdtemp(dir) == NULL) {
		fprintf(stderr, "fts-bench: no directory for its files\n");
		return 1;
	}
	if (options->command == NULL) options->command = own;
	contest.options = options;
	(void)snprintf(contest.path, sizeof contest.path, "%s/stamps", dir);
	(void)snprintf(contest.script, sizeof contest.script, "%s stamp %s", contest.self, contest.path);
	run_rounds(&contest);
	print(&contest);
	(void)unlink(contest.path);
	(void)rmdir(dir);
	return contest.failed_count == 0 ? 0 : 1;
}

/* ---- Flags ---- */

static bool take_number(const char *text, uint32_t max, uint32_t *out)
{
	char *end_of = NULL;
	unsigned long number = strtoul(text, &end_of, 10);
	*out = (uint32_t)number;
	return *text >= '0' && *text <= '9' && *end_of == '\0' && number >= 1 && number <= max;
}

/* -1: go on. Otherwise the exit code. */
static int take_flags(struct bench_elect *options, int argc, char **argv)
{
	static const struct option flags[] = {
	    {"endpoints", 1, NULL, 'e'}, {"rounds", 1, NULL, 'r'},  {"lease", 1, NULL, 'l'},
	    {"settle", 1, NULL, 's'},    {"window", 1, NULL, 'w'},  {"members", 1, NULL, 'm'},
	    {"elections", 1, NULL, 'n'}, {"seconds", 1, NULL, 't'}, {"json", 0, NULL, 'j'},
	    {"help", 0, NULL, 'h'},      {NULL, 0, NULL, 0}};
	bool right = true;
	optind = 2;
	for (int flag; right && (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
		if (flag == 'h') return fputs(help, stdout) < 0 ? 1 : 0;
		if (flag == 'j') options->json = 1;
		if (flag == 'e') options->endpoints = optarg;
		if (flag == 'r') right = take_number(optarg, ROUNDS_MAX, &options->rounds);
		if (flag == 'l') right = take_number(optarg, 600000, &options->lease_ms);
		if (flag == 's') right = take_number(optarg, 60000, &options->settle_ms);
		if (flag == 'w') right = take_number(optarg, 600000, &options->window_ms);
		if (flag == 'm') right = take_number(optarg, 100000, &options->members);
		if (flag == 'n') right = take_number(optarg, 100000, &options->elections);
		if (flag == 't') right = take_number(optarg, 3600, &options->seconds);
		if (flag == '?') right = false;
	}
	if (right && optind < argc) options->command = (const char *const *)(const void *)(argv + optind);
	if (right && (options->command == NULL || argc - optind < (int)WORDS_MAX)) return -1;
	fprintf(stderr, "fts-bench: a flag or number is not right: see fts-bench elect --help\n");
	return 2;
}

int bench_elect(int argc, char **argv)
{
	struct bench_elect options = {
	    .rounds = 20, .settle_ms = 1500, .window_ms = 30000, .elections = 1000, .seconds = 10};
	struct bench_node node = {0};
	int code = take_flags(&options, argc, argv);
	if (code != -1) return code;
	if (options.endpoints == NULL && (options.command == NULL || options.members > 0)) {
		if (!bench_node_start(&node)) return 1;
		options.endpoints = node.endpoint;
	}
	code = options.members > 0 ? bench_elect_many(&options) : measure_takeover(&options);
	if (node.pid != 0) bench_node_stop(&node);
	return code;
}
