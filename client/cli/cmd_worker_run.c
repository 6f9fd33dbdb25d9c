/* Why this file exists: `worker run`: a command offered as a worker. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fts/worker.h>

#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/utf8.h"
#include "client/cli/work_keeper.h"
#include "rpc/endpoint.h"

enum { ERROR_MAX_BYTES = 64 * 1024, LOOK_MS = 250, DRAIN_MARGIN_MS = 2000, KILLED_BASE = 128 };

struct offer {
	const struct ftsi_cli *cli;
	const char *name, *command;
	uint32_t max_run_ms;
	struct ftsi_work_keeper keeper;
	pthread_mutex_t lock; /* over what is printed */
	bool lost;            /* guarded by lock: a run's guardian was killed */
};

/* ---- Telling ---- */

static void tell_line(void *ctx, uint64_t number, const char *text, size_t size_bytes)
{
	struct offer *offer = ctx;
	bool plain = ftsi_utf8_valid(text, size_bytes);
	pthread_mutex_lock(&offer->lock);
	fprintf(stderr, "%s[%" PRIu64 "]: ", offer->name, number);
	for (size_t i = 0; i < size_bytes; i++) /* what a command writes must not steer the terminal */
		fputc((unsigned char)text[i] < 0x20 || text[i] == 0x7f || !plain ? '?' : text[i], stderr);
	fputc('\n', stderr);
	pthread_mutex_unlock(&offer->lock);
}

static void tell_run(struct offer *offer, uint64_t number, const struct ftsi_work_result *result, int exit_code)
{
	static const char *const ends[] = {"", "ended", "overran", "given up", "not started"};
	const char *end = result->too_large ? "too large" : ends[result->report.end];
	pthread_mutex_lock(&offer->lock);
	if (offer->cli->json)
		(void)ftsi_print_json(ftsi_json("{s:s,s:I,s:s,s:i,s:I}", "event", "run", "number", (json_int_t)number,
						"end", end, "exit", exit_code, "output_bytes",
						(json_int_t)result->output_size_bytes));
	else if (result->report.end != FTSI_WORK_ENDED || exit_code != 0)
		ftsi_note("run %" PRIu64 ": %s, exit %d", number, end, exit_code);
	fflush(stdout);
	pthread_mutex_unlock(&offer->lock);
}

static void tell_state(struct offer *offer, const char *event, const char *address)
{
	pthread_mutex_lock(&offer->lock);
	if (offer->cli->json)
		(void)ftsi_print_json(
		    ftsi_json("{s:s,s:s,s:s}", "event", event, "name", offer->name, "address", address));
	else
		printf("%s %s at %s\n", event, offer->name, address);
	fflush(stdout);
	pthread_mutex_unlock(&offer->lock);
}

/* ---- A run ---- */

static int exit_code_of(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : KILLED_BASE + WTERMSIG(wait_status);
}

static void answer(struct offer *offer, struct fts_work *work, const struct ftsi_work_result *result)
{
	int exit_code = exit_code_of(result->report.wait_status);
	tell_run(offer, fts_work_number(work), result, exit_code);
	if (result->too_large)
		fts_work_fail(work, FTS_RESOURCE_EXHAUSTED, "%s wrote more than %u bytes, and was killed",
			      offer->command, FTS_WORK_MAX);
	else if (result->report.end == FTSI_WORK_OVERRAN)
		fts_work_fail(work, FTS_DEADLINE_EXCEEDED, "%s ran for its longest of %u ms, and was killed",
			      offer->command, offer->max_run_ms);
	else if (result->report.end == FTSI_WORK_GIVEN_UP)
		fts_work_fail(work, FTS_ABORTED, "%s was killed", offer->command);
	else
		fts_work_answer(work, (struct fts_bytes){result->output, result->output_size_bytes}, exit_code);
}

static void on_work(void *ctx, struct fts_work *work)
{
	struct offer *offer = ctx;
	const struct ftsi_work_order order = {.number = fts_work_number(work), .max_run_ms = offer->max_run_ms};
	struct ftsi_work_result result = {0};
	enum fts_status status = ftsi_work_run(&offer->keeper, &order, fts_work_input(work), FTS_WORK_MAX,
					       ERROR_MAX_BYTES, tell_line, offer, &result);
	if (status == FTS_OK) {
		answer(offer, work, &result);
		free(result.output);
		return;
	}
	bool lost = status != FTS_RESOURCE_EXHAUSTED;
	pthread_mutex_lock(&offer->lock);
	offer->lost = offer->lost || lost;
	pthread_mutex_unlock(&offer->lock);
	if (status == FTS_ABORTED)
		fts_work_fail(work, status, "the guardian of %s was killed", offer->command);
	else
		fts_work_refuse(work, FTS_UNAVAILABLE, "%s can't be started here now", offer->command);
	if (lost) ftsi_interrupt_wake();
}

/* ---- The offer ---- */

static bool can_execute(const char *path)
{
	return access(path, X_OK) == 0;
}

/* As execvp() will find it. */
static bool is_command(const char *word)
{
	char path[4096];
	const char *list = getenv("PATH");
	if (strchr(word, '/') != NULL) return can_execute(word);
	for (const char *at = list == NULL ? "/bin:/usr/bin" : list;; at++) {
		size_t size_bytes = strcspn(at, ":");
		int wanted =
		    snprintf(path, sizeof path, "%.*s%s%s", (int)size_bytes, at, size_bytes > 0 ? "/" : "", word);
		if (wanted > 0 && (size_t)wanted < sizeof path && can_execute(path)) return true;
		at += size_bytes;
		if (*at == 0) return false;
	}
}

/* Of its own port. */
static struct fts_tls serving_tls(const struct ftsi_cli *cli)
{
	struct fts_tls tls = ftsi_tls(cli);
	if (!ftsi_value_of(cli, "serve-cert")->given) return tls;
	tls.cert_file = ftsi_value_of(cli, "serve-cert")->text;
	tls.key_file = ftsi_value_of(cli, "serve-key")->text;
	tls.client_ca_file = ftsi_value_of(cli, "serve-client-ca")->text;
	return tls;
}

/* NULL: it is right. */
static const char *check(const struct ftsi_cli *cli)
{
	bool serves_own = ftsi_value_of(cli, "serve-cert")->given;
	const char *listen = ftsi_value_of(cli, "listen")->text;
	if (ftsi_value_of(cli, "lease")->number < 300) return "--lease: at least 300ms";
	if (strrchr(listen, ':') == NULL) return "--listen: HOST:PORT (port 0: any free one)";
	if (!ftsi_listen_is_loopback(listen) && serving_tls(cli).cert_file == NULL &&
	    !ftsi_value_of(cli, "insecure")->given)
		return "--listen: other than loopback wants TLS (--tls-ca, --tls-cert, --tls-key, --serve-cert, "
		       "--serve-key), or --insecure";
	if (serves_own != ftsi_value_of(cli, "serve-key")->given)
		return "--serve-cert and --serve-key: both or neither";
	if (serves_own && ftsi_tls(cli).ca_file == NULL)
		return "--serve-cert wants --tls-ca, --tls-cert and --tls-key too";
	if (!serves_own && ftsi_tls(cli).ca_file != NULL) /* callers would find nobody they trust */
		return "with TLS a worker wants --serve-cert and --serve-key, since a client's certificate names no "
		       "address; "
		       "see fts-cli tls node --help";
	return NULL;
}

/* Four descriptors a run, beside its caller's connection. */
static void raise_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static bool has_lost(struct offer *offer)
{
	pthread_mutex_lock(&offer->lock);
	bool lost = offer->lost;
	pthread_mutex_unlock(&offer->lock);
	return lost;
}

/* Until a signal comes, or a run's guardian is gone. */
static void stay(struct offer *offer, struct fts_worker *worker)
{
	bool offered = true;
	while (!ftsi_interrupted() && !has_lost(offer)) {
		struct fts_error error = {0};
		(void)ftsi_interrupt_wait(LOOK_MS);
		bool now = fts_worker_offered(worker, &error);
		if (now == offered) continue;
		offered = now;
		if (now)
			tell_state(offer, "offered", fts_worker_address(worker));
		else
			ftsi_note("not offered at the moment: %s",
				  error.detail[0] == 0 ? "not registered" : error.detail);
	}
}

static enum ftsi_exit serve(struct ftsi_cli *cli, struct offer *offer)
{
	const struct fts_worker_options options = {
	    .name = offer->name,
	    .listen = ftsi_value_of(cli, "listen")->text,
	    .address = ftsi_value_of(cli, "address")->text,
	    .capacity = (uint32_t)ftsi_value_of(cli, "capacity")->number,
	    .max_run_ms = offer->max_run_ms,
	    .lease_ms = (uint32_t)ftsi_value_of(cli, "lease")->number,
	    .run = on_work,
	    .ctx = offer,
	    .tls = serving_tls(cli),
	};
	struct fts_worker *worker = NULL;
	struct fts_error error = {0};
	char address[160];
	enum fts_status status = fts_worker_start(cli->channel, &options, &worker, &error);
	if (status != FTS_OK) return ftsi_fail(cli, &error);
	(void)snprintf(address, sizeof address, "%s", fts_worker_address(worker));
	tell_state(offer, "offered", address);
	stay(offer, worker);
	bool clean = fts_worker_stop(worker, offer->max_run_ms + DRAIN_MARGIN_MS);
	tell_state(offer, "left", address);
	if (has_lost(offer)) ftsi_note("the keeper of %s was killed, so this worker has left", offer->command);
	return clean && !has_lost(offer) ? FTSI_EXIT_DONE : FTSI_EXIT_NO;
}

enum ftsi_exit ftsi_run_worker_run(struct ftsi_cli *cli)
{
	struct offer offer = {.cli = cli,
			      .name = cli->args.positionals[0],
			      .command = cli->args.rest[0],
			      .max_run_ms = (uint32_t)ftsi_value_of(cli, "max-run")->number,
			      .lock = PTHREAD_MUTEX_INITIALIZER};
	struct fts_error error = {0};
	const char *wrong = check(cli);
	if (wrong != NULL) return ftsi_fail_usage(cli, "%s", wrong);
	if (!is_command(offer.command))
		return ftsi_fail_usage(cli, "%s: there is no such command to run", offer.command);
	raise_limit();
	if (ftsi_work_keeper_open(&offer.keeper, cli->args.rest, &error) != FTS_OK) return ftsi_fail(cli, &error);
	ftsi_interrupt_claim(NULL, NULL);
	enum ftsi_exit code = serve(cli, &offer);
	ftsi_work_keeper_close(&offer.keeper);
	ftsi_interrupt_release();
	return code;
}
