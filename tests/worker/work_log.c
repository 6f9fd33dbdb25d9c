/* Why this file exists: a worker of libfts that says what it did: the witness of the mix of faults.
 *
 *   work_log FILE ENDPOINTS NAME CAPACITY: appends "TICKET RUN REQUEST\n" when a run begins, one write a line. A
 * request is "ID MILLISECONDS": the run takes so long, and answers "ID". */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <fts/worker.h>

enum { LEASE_MS = 1500, DRAIN_MS = 5000, TEXT_MAX = 64 };

static int log_fd;

static void take_long(unsigned long ms)
{
	struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static void work(void *ctx, struct fts_work *work)
{
	char text[TEXT_MAX] = "", line[2 * TEXT_MAX], *end;
	struct fts_bytes input = fts_work_input(work);
	(void)ctx;
	if (input.size_bytes >= sizeof text) {
		fts_work_fail(work, FTS_INVALID_ARGUMENT, "a request is ID MILLISECONDS");
		return;
	}
	if (input.size_bytes > 0) memcpy(text, input.data, input.size_bytes);
	uint64_t id = strtoull(text, &end, 10);
	int length = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu32 " %" PRIu64 "\n", fts_work_number(work),
			      fts_work_run(work), id);
	if (write(log_fd, line, (size_t)length) != length) _exit(1);
	take_long(strtoul(end, NULL, 10));
	length = snprintf(line, sizeof line, "%" PRIu64, id);
	fts_work_answer(work, (struct fts_bytes){(const uint8_t *)line, (size_t)length}, 0);
}

int main(int argc, char **argv)
{
	struct fts_channel *channel = NULL;
	struct fts_worker *worker = NULL;
	struct fts_error error = {0};
	sigset_t ends;
	int number;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	if (argc != 5) return 2;
	log_fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const struct fts_channel_options servers = {.endpoints = argv[2]};
	const struct fts_worker_options offer = {.name = argv[3],
						 .capacity = (uint32_t)strtoul(argv[4], NULL, 10),
						 .max_run_ms = 20000,
						 .lease_ms = LEASE_MS,
						 .run = work};
	if (log_fd < 0 || fts_channel_open(&servers, &channel, &error) != FTS_OK) return 1;
	while (fts_worker_start(channel, &offer, &worker, &error) != FTS_OK)
		fprintf(stderr, "work_log: %s\n", error.detail); /* a cluster in trouble: again */
	printf("offered\n");
	fflush(stdout);
	(void)sigwait(&ends, &number); /* which goes on after SIGSTOP and SIGCONT */
	bool clean = fts_worker_stop(worker, DRAIN_MS);
	fts_channel_close(channel);
	return clean ? 0 : 1;
}
