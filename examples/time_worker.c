/* A worker: tells the time to whoever asks for "time".
 *   time_worker [HOST:PORT,...] & fts-cli worker call time */
#include <fts/worker.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

static void tell_time(void *ctx, struct fts_work *work)
{
	char text[64];
	time_t now = time(NULL);
	struct tm parts;
	(void)ctx;
	size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ\n", gmtime_r(&now, &parts));
	fts_work_answer(work, (struct fts_bytes){(const uint8_t *)text, size}, 0);
}

int main(int argc, char **argv)
{
	const struct fts_channel_options servers = {.endpoints = argc > 1 ? argv[1] : NULL, .learn_members = true};
	const struct fts_worker_options offer = {.name = "time", .capacity = 4, .run = tell_time};
	struct fts_channel *channel = NULL;
	struct fts_worker *worker = NULL;
	struct fts_error error = {0};
	sigset_t ends;
	int number;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	if (fts_channel_open(&servers, &channel, &error) != FTS_OK ||
	    fts_worker_start(channel, &offer, &worker, &error) != FTS_OK)
		return fprintf(stderr, "time_worker: %s\n", error.detail), 1;
	fprintf(stderr, "time at %s\n", fts_worker_address(worker));
	sigwait(&ends, &number);
	fts_worker_stop(worker, 5000);
	fts_channel_close(channel);
	return 0;
}
