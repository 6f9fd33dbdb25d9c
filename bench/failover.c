/* Why this file exists: see failover.h. Writers make blocking calls, as a program does, each over a channel of its
 * own. A round begins just before the signal is sent and ends with the first acknowledgement of a higher term: one
 * that the old leader had sent already does not count. */
#include "bench/failover.h"

#include "bench/failover_load.h"
#include "bench/measure.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLIENTS_MAX 256u
#define ROUNDS_MAX 10000u
#define NS_PER_MS 1e6

static const char help[] =
    "Usage: fts-bench failover --endpoints H:P,H:P,.. [flags] < commands\n"
    "Writes to a running cluster without a pause, and measures what its clients see when nodes go. Reads commands, a\n"
    "line each, and answers each with one line:\n\n"
    "  kill PID      send SIGKILL (the leader's process), wait for the first acknowledgement of a new leader\n"
    "  stop PID      the same with SIGSTOP (silence); cont PID lets it go on\n"
    "  mark [NS]     somebody else did it, now or at NS nanoseconds of CLOCK_MONOTONIC\n"
    "  leader        who leads now: name, address, term\n"
    "  (end of file) stop writing, print the summary\n\n"
    "  --mode lottery-bet|game   what is written: single bets, or moves of tic-tac-toe (default: lottery-bet)\n"
    "  --clients N               writers, a connection set each (default: 4)\n"
    "  --window MS               how long a round may take (default: 5000)\n"
    "  --seconds S               write for S seconds without any command, then print the summary\n"
    "  --json                    JSON objects instead of lines for people\n\n"
    "Exit code: 0, or 1 when a write was lost, doubled or refused, or a round found no new leader.\n"
    "Example: echo kill 4711 | fts-bench failover --endpoints 127.0.0.1:7400,127.0.0.1:7410,127.0.0.1:7420\n";

struct flags {
	struct failover_load_options load;
	uint32_t clients;
	uint32_t window_ms;
	uint32_t seconds; /* 0: commands */
	bool json;
};

struct round {
	bool is_open;
	uint64_t began_ns;
	uint64_t term_before;
	uint64_t first_ack_ns; /* 0: not yet */
	uint64_t longest_gap_ns;
	uint64_t term_after;
	char node_after[64];
};

struct failover {
	struct flags flags;
	struct failover_load *load;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* guarded by lock */
	struct round round;
	uint64_t acked_count, unknown_count, refused_count;
	uint64_t last_ack_ns, longest_gap_ns, term;
	char last_error[256];
	bool is_over;
	/* of the main thread */
	double rounds_ms[ROUNDS_MAX];
	uint32_t round_count, failed_count;
};

struct writer {
	struct failover *failover;
	uint32_t number;
	pthread_t thread;
};

/* ---- Writing ---- */

/* The lock is held. */
static void note_ack(struct failover *failover, const struct failover_write *write)
{
	uint64_t now_ns = measure_now_ns();
	uint64_t gap_ns = failover->last_ack_ns != 0 ? now_ns - failover->last_ack_ns : 0;
	struct round *round = &failover->round;
	failover->acked_count++;
	failover->last_ack_ns = now_ns;
	if (gap_ns > failover->longest_gap_ns) failover->longest_gap_ns = gap_ns;
	if (round->is_open && gap_ns > round->longest_gap_ns) round->longest_gap_ns = gap_ns;
	if (write->term > failover->term) failover->term = write->term;
	if (!round->is_open || write->term <= round->term_before) return;
	round->is_open = false;
	round->first_ack_ns = now_ns;
	round->term_after = write->term;
	snprintf(round->node_after, sizeof round->node_after, "%s", write->node);
	pthread_cond_broadcast(&failover->changed);
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	struct failover *failover = writer->failover;
	bool is_over = false;
	while (!is_over) {
		struct failover_write write = {.outcome = FAILOVER_ACKED};
		failover_load_write(failover->load, writer->number, &write);
		pthread_mutex_lock(&failover->lock);
		if (write.outcome == FAILOVER_ACKED)
			note_ack(failover, &write);
		else
			snprintf(failover->last_error, sizeof failover->last_error, "%s", write.detail);
		failover->unknown_count += write.outcome == FAILOVER_UNKNOWN;
		failover->refused_count += write.outcome == FAILOVER_REFUSED;
		is_over = failover->is_over;
		pthread_mutex_unlock(&failover->lock);
	}
	return NULL;
}

/* ---- Rounds ---- */

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

/* Wait until `is_done` of the state holds; false: not before until_ns. The lock is held. */
static bool wait_until(struct failover *failover, uint64_t until_ns, bool (*is_done)(const struct failover *))
{
	struct timespec until = timespec_of(until_ns);
	while (!is_done(failover))
		if (pthread_cond_timedwait(&failover->changed, &failover->lock, &until) == ETIMEDOUT) break;
	return is_done(failover);
}

static bool is_round_over(const struct failover *failover)
{
	return !failover->round.is_open;
}

static void print_round(const struct failover *failover, const char *command, const struct round *round)
{
	double first_ms = (double)(round->first_ack_ns - round->began_ns) / NS_PER_MS;
	double gap_ms = (double)round->longest_gap_ns / NS_PER_MS;
	if (round->first_ack_ns == 0 && failover->flags.json)
		printf("{\"command\":\"%s\",\"first_ack_ms\":null,\"error\":\"no new leader within %u ms\"}\n", command,
		       failover->flags.window_ms);
	else if (round->first_ack_ns == 0)
		printf("%s: no new leader within %u ms\n", command, failover->flags.window_ms);
	else if (failover->flags.json)
		printf("{\"command\":\"%s\",\"first_ack_ms\":%.3f,\"longest_gap_ms\":%.3f,\"term_before\":%" PRIu64
		       ",\"term\":%" PRIu64 ",\"node\":\"%s\"}\n",
		       command, first_ms, gap_ms, round->term_before, round->term_after, round->node_after);
	else
		printf("%s: first write acknowledged after %.1f ms by %s (term %" PRIu64 " -> %" PRIu64
		       "), longest gap %.1f ms\n",
		       command, first_ms, round->node_after, round->term_before, round->term_after, gap_ms);
	fflush(stdout);
}

/* pid 0: nobody is sent anything. began_ns 0: now. */
static void run_round(struct failover *failover, const char *command, int pid, int signal_number, uint64_t began_ns)
{
	pthread_mutex_lock(&failover->lock);
	uint64_t now_ns = measure_now_ns();
	failover->round = (struct round){.is_open = true, .term_before = failover->term};
	failover->round.began_ns = began_ns != 0 ? began_ns : now_ns;
	int error = pid != 0 && kill(pid, signal_number) != 0 ? errno : 0;
	if (error == 0)
		(void)wait_until(failover, now_ns + failover->flags.window_ms * UINT64_C(1000000), is_round_over);
	struct round round = failover->round;
	failover->round.is_open = false;
	pthread_mutex_unlock(&failover->lock);
	if (error != 0) fprintf(stderr, "fts-bench: %s %d: %s\n", command, pid, strerror(error));
	print_round(failover, command, &round);
	if (round.first_ack_ns == 0)
		failover->failed_count++;
	else if (failover->round_count < ROUNDS_MAX)
		failover->rounds_ms[failover->round_count++] = (double)(round.first_ack_ns - round.began_ns) / NS_PER_MS;
}

/* ---- Commands ---- */

static void print_leader(struct failover *failover)
{
	struct failover_leader leader;
	bool is_known = failover_load_leader(failover->load, &leader);
	if (failover->flags.json && is_known)
		printf("{\"leader\":\"%s\",\"address\":\"%s\",\"term\":%" PRIu64 "}\n", leader.name, leader.address,
		       leader.term);
	else if (is_known)
		printf("%s %s %" PRIu64 "\n", leader.name, leader.address, leader.term);
	else
		puts(failover->flags.json ? "{\"leader\":null}" : "nobody");
	fflush(stdout);
}

/* False: it is no command. */
static bool obey(struct failover *failover, const char *line)
{
	char command[16] = "", text[32] = "", *end = NULL;
	if (sscanf(line, "%15s %31s", command, text) < 1) return true;
	unsigned long long number = strtoull(text, &end, 10);
	bool is_number = text[0] != '\0' && *end == '\0';
	bool is_pid = is_number && number > 1 && number <= INT32_MAX;
	if (strcmp(command, "leader") == 0) {
		print_leader(failover);
	} else if (strcmp(command, "mark") == 0 && (text[0] == '\0' || is_number)) {
		run_round(failover, command, 0, 0, number);
	} else if (strcmp(command, "kill") == 0 && is_pid) {
		run_round(failover, command, (int)number, SIGKILL, 0);
	} else if (strcmp(command, "stop") == 0 && is_pid) {
		run_round(failover, command, (int)number, SIGSTOP, 0);
	} else if (strcmp(command, "cont") == 0 && is_pid) {
		puts(kill((int)number, SIGCONT) == 0 ? "{}" : "{\"error\":\"no such process\"}");
		fflush(stdout);
	} else {
		return false;
	}
	return true;
}

static bool never(const struct failover *failover)
{
	(void)failover;
	return false;
}

static bool follow_commands(struct failover *failover)
{
	char line[256];
	if (failover->flags.seconds > 0) {
		pthread_mutex_lock(&failover->lock);
		(void)wait_until(failover, measure_now_ns() + failover->flags.seconds * UINT64_C(1000000000), never);
		pthread_mutex_unlock(&failover->lock);
		return true;
	}
	while (fgets(line, sizeof line, stdin) != NULL) {
		if (obey(failover, line)) continue;
		fprintf(stderr, "fts-bench: not a command: see fts-bench failover --help\n");
		return false;
	}
	return true;
}

/* ---- The end ---- */

static int compare_ms(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double percentile_ms(const struct failover *failover, double share)
{
	if (failover->round_count == 0) return 0;
	uint32_t at = (uint32_t)(share * failover->round_count);
	return failover->rounds_ms[at < failover->round_count ? at : failover->round_count - 1];
}

/* What was acknowledged and what stands in the cluster; true: they agree. */
static bool print_summary(struct failover *failover)
{
	uint64_t stored = 0, acked = failover->acked_count, most = acked + failover->unknown_count;
	bool is_counted = failover_load_stored(failover->load, &stored);
	uint64_t lost = is_counted && stored < acked ? acked - stored : 0;
	uint64_t doubled = is_counted && stored > most ? stored - most : 0;
	qsort(failover->rounds_ms, failover->round_count, sizeof *failover->rounds_ms, compare_ms);
	const char *form = failover->flags.json
			       ? "{\"rounds\":%u,\"failed\":%u,\"median_ms\":%.3f,\"p90_ms\":%.3f,\"max_ms\":%.3f,"
				 "\"acked\":%" PRIu64 ",\"unknown\":%" PRIu64 ",\"refused\":%" PRIu64
				 ",\"longest_gap_ms\":%.3f,\"lost\":%" PRIu64 ",\"doubled\":%" PRIu64 ",\"counted\":%s}\n"
			       : "%u rounds, %u failed: median %.1f ms, p90 %.1f ms, max %.1f ms; %" PRIu64
				 " acknowledged, %" PRIu64 " unknown, %" PRIu64 " refused, longest gap %.1f ms, %" PRIu64
				 " lost, %" PRIu64 " doubled (counted: %s)\n";
	printf(form, failover->round_count, failover->failed_count, percentile_ms(failover, 0.5),
	       percentile_ms(failover, 0.9), percentile_ms(failover, 1), acked, failover->unknown_count,
	       failover->refused_count, (double)failover->longest_gap_ns / NS_PER_MS, lost, doubled,
	       is_counted ? "true" : "false");
	if (failover->last_error[0] != '\0') fprintf(stderr, "fts-bench: last error: %s\n", failover->last_error);
	return (is_counted || failover->flags.load.is_game) && lost == 0 && doubled == 0 && failover->refused_count == 0 && failover->failed_count == 0;
}

static bool has_written(const struct failover *failover)
{
	return failover->acked_count > 0;
}

static int run(struct failover *failover)
{
	static struct writer writers[CLIENTS_MAX];
	uint32_t count = 0;
	bool ok = true;
	for (; ok && count < failover->flags.clients; count += ok) {
		writers[count] = (struct writer){.failover = failover, .number = count};
		ok = pthread_create(&writers[count].thread, NULL, writer_main, &writers[count]) == 0;
	}
	pthread_mutex_lock(&failover->lock);
	ok = ok && wait_until(failover, measure_now_ns() + UINT64_C(10000000000), has_written);
	pthread_mutex_unlock(&failover->lock);
	if (!ok) fprintf(stderr, "fts-bench: nothing was acknowledged within 10 s: %s\n", failover->last_error);
	ok = ok && follow_commands(failover);
	pthread_mutex_lock(&failover->lock);
	failover->is_over = true;
	pthread_mutex_unlock(&failover->lock);
	for (uint32_t i = 0; i < count; i++)
		pthread_join(writers[i].thread, NULL);
	return ok && print_summary(failover) ? 0 : 1;
}

static uint32_t parse_count(const char *flag, const char *text, uint32_t max)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (errno == 0 && *end == '\0' && end != text && value >= 1 && value <= max) return (uint32_t)value;
	fprintf(stderr, "fts-bench: --%s takes a whole number from 1 to %u, not \"%s\"\n", flag, max, text);
	exit(2);
}

static bool parse_mode(const char *text, bool *out_game)
{
	*out_game = strcmp(text, "game") == 0;
	return *out_game || strcmp(text, "lottery-bet") == 0;
}

static void parse(struct flags *flags, int argc, char **argv)
{
	static const struct option known[] = {
	    {"endpoints", required_argument, NULL, 'e'}, {"mode", required_argument, NULL, 'm'},
	    {"clients", required_argument, NULL, 'c'},   {"window", required_argument, NULL, 'w'},
	    {"seconds", required_argument, NULL, 's'},   {"json", no_argument, NULL, 'j'},
	    {"help", no_argument, NULL, 'h'},            {0}};
	bool is_right = true;
	*flags = (struct flags){.clients = 4, .window_ms = 5000};
	optind = 2;
	for (int flag; is_right && (flag = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (flag == 'e') flags->load.endpoints = optarg;
		if (flag == 'm') is_right = parse_mode(optarg, &flags->load.is_game);
		if (flag == 'c') flags->clients = parse_count("clients", optarg, CLIENTS_MAX);
		if (flag == 'w') flags->window_ms = parse_count("window", optarg, 600000);
		if (flag == 's') flags->seconds = parse_count("seconds", optarg, 86400);
		if (flag == 'j') flags->json = true;
		if (flag == 'h') fputs(help, stdout), exit(0);
		if (flag == '?') is_right = false;
	}
	flags->load.clients = flags->clients;
	if (is_right && optind == argc && flags->load.endpoints != NULL) return;
	fputs("fts-bench: failover needs --endpoints; see fts-bench failover --help\n", stderr);
	exit(2);
}

int bench_failover(int argc, char **argv)
{
	static struct failover failover;
	pthread_condattr_t monotonic;
	parse(&failover.flags, argc, argv);
	pthread_mutex_init(&failover.lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&failover.changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	failover.load = failover_load_open(&failover.flags.load);
	int code = failover.load != NULL ? run(&failover) : 1;
	failover_load_close(failover.load);
	return code;
}
