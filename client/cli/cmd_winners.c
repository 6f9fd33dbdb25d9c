/* Why this file exists: `lottery winners`: asks until the draw is drawn. A first call that does not wait tells at
 * once what is wrong (no server, no such draw); then each call waits as long as a call may, and is repeated, also
 * over the restart of a server. */
#include <inttypes.h>
#include <stdio.h>

#include <fts/lottery.h>

#include "base/clock.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"

#define ONE_CALL_MS 30000u
#define PATIENCE_MS 60000u /* without any server */
#define PAUSE_MS 500u

struct wait {
	struct ftsi_cli *cli;
	Fts__Lottery__V1__WinnersRequest request;
	uint64_t deadline_ns; /* 0: none */
	uint64_t answered_ns; /* when a server last answered, or let us wait */
	bool noted;
};

static void print_winners(const struct ftsi_cli *cli, const char *draw,
			  const Fts__Lottery__V1__WinnersResponse *response)
{
	json_t *winners = ftsi_json("[]");

	for (size_t i = 0; i < response->n_documents; i++) {
		if (cli->json)
			json_array_append_new(winners, ftsi_json("s", response->documents[i]));
		else
			puts(response->documents[i]);
	}
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:I,s:O}", "draw", draw, "number", (json_int_t)response->number,
					  "winners", winners));
	json_decref(winners);
}

static enum fts_status ask(struct wait *wait, uint32_t timeout_ms, Fts__Lottery__V1__WinnersResponse **out_response,
			   struct fts_error *out_error)
{
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(wait->cli, &info);

	options.timeout_ms = timeout_ms;
	enum fts_status st = fts_lottery_winners(wait->cli->channel, &wait->request, &options, out_response, out_error);
	ftsi_explain(wait->cli, "Lottery/Winners", &info);
	return st;
}

/* What is left for the next call; 0: the time limit has passed. */
static uint32_t left_ms(const struct wait *wait)
{
	uint32_t left = ONE_CALL_MS;

	if (wait->deadline_ns) left = fts_clock_left_ms(fts_clock_monotonic_ns(), wait->deadline_ns);
	return left < ONE_CALL_MS ? left : ONE_CALL_MS;
}

/* Whether to ask again after this status. */
static bool goes_on(struct wait *wait, enum fts_status status, const struct fts_error *error)
{
	uint64_t now_ns = fts_clock_monotonic_ns();

	if (status == FTS_DEADLINE_EXCEEDED)
		wait->answered_ns = now_ns;
	else if (status != FTS_UNAVAILABLE || now_ns - wait->answered_ns > PATIENCE_MS * UINT64_C(1000000))
		return false;
	if (status == FTS_UNAVAILABLE && !wait->noted) {
		ftsi_note("%s; still waiting for the draw", error->detail);
		wait->noted = true;
	}
	if (status == FTS_UNAVAILABLE) ftsi_interrupt_wait(PAUSE_MS);
	return true;
}

static enum fts_status wait_for_draw(struct wait *wait, Fts__Lottery__V1__WinnersResponse **out_response,
				     struct fts_error *out_error)
{
	for (;;) {
		uint32_t timeout_ms = left_ms(wait);
		if (timeout_ms == 0)
			return fts_error_set(out_error, FTS_DEADLINE_EXCEEDED, "%s was not drawn within the time limit",
					     wait->request.draw);
		enum fts_status st = ask(wait, timeout_ms, out_response, out_error);
		if (st == FTS_OK || !goes_on(wait, st, out_error)) return st;
	}
}

enum ftsi_exit ftsi_run_lottery_winners(struct ftsi_cli *cli)
{
	Fts__Lottery__V1__WinnersResponse *response = NULL;
	struct fts_error error = {0};
	struct wait wait = {.cli = cli, .request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT};
	uint64_t now_ns = fts_clock_monotonic_ns();

	wait.answered_ns = now_ns;
	if (ftsi_global_of(cli, FTSI_GLOBAL_TIMEOUT)->given)
		wait.deadline_ns = fts_clock_deadline_ns(now_ns, cli->timeout_ms);
	wait.request.draw = (char *)cli->args.positionals[0];
	wait.request.agency = (uint32_t)ftsi_value_of(cli, "agency")->number;
	wait.request.no_wait = true;
	enum fts_status st = ask(&wait, cli->timeout_ms, &response, &error);
	if (st == FTS_FAILED_PRECONDITION && !ftsi_value_of(cli, "no-wait")->given) {
		wait.request.no_wait = false;
		st = wait_for_draw(&wait, &response, &error);
	}
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	print_winners(cli, wait.request.draw, response);
	fts__lottery__v1__winners_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}
