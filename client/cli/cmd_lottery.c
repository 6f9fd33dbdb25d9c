/* Why this file exists: the short `lottery` commands: one call, one answer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <fts/lottery.h>

#include "client/cli/draw_text.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/value.h"

#define ENTROPY_BYTES 32u

static uint32_t number_of(const struct ftsi_cli *cli, const char *flag)
{
	return (uint32_t)ftsi_value_of(cli, flag)->number;
}

static char *draw_of(const struct ftsi_cli *cli)
{
	return (char *)cli->args.positionals[0];
}

enum ftsi_exit ftsi_run_lottery_open(struct ftsi_cli *cli)
{
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	Fts__Lottery__V1__OpenResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	request.draw = draw_of(cli);
	request.agencies = number_of(cli, "agencies");
	request.fixed = ftsi_value_of(cli, "number")->given;
	request.number = number_of(cli, "number");
	request.if_fence = ftsi_value_of(cli, "if-fence")->number;
	request.close_by_ms = (int64_t)ftsi_value_of(cli, "close-by")->number;
	enum fts_status st = fts_lottery_open(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Lottery/Open", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	const char *state = response->status ? ftsi_draw_state(response->status->state) : "OPEN";
	if (cli->json)
		ftsi_print_json(
		    ftsi_json("{s:s,s:s,s:b}", "draw", request.draw, "state", state, "existed", response->existed));
	else
		printf("%s: %s, %" PRIu32 " agencies%s\n", request.draw, state, request.agencies,
		       response->existed ? ", was there already" : "");
	fts__lottery__v1__open_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_lottery_bet(struct ftsi_cli *cli)
{
	Fts__Lottery__V1__StoreBetRequest request = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	Fts__Lottery__V1__Bet bet = FTS__LOTTERY__V1__BET__INIT;
	Fts__Lottery__V1__StoreBetResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	bet.first_name = (char *)ftsi_value_of(cli, "first-name")->text;
	bet.last_name = (char *)ftsi_value_of(cli, "last-name")->text;
	bet.document = (char *)ftsi_value_of(cli, "document")->text;
	bet.birthdate = (char *)ftsi_value_of(cli, "birthdate")->text;
	bet.number = number_of(cli, "number");
	request.draw = draw_of(cli);
	request.agency = number_of(cli, "agency");
	request.bet = &bet;
	enum fts_status st = fts_lottery_store_bet(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Lottery/StoreBet", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:I}", "ticket", (json_int_t)response->ticket));
	else
		printf("ticket %" PRIu64 "\n", response->ticket);
	fts__lottery__v1__store_bet_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_lottery_close(struct ftsi_cli *cli)
{
	Fts__Lottery__V1__AgencyCloseRequest request = FTS__LOTTERY__V1__AGENCY_CLOSE_REQUEST__INIT;
	Fts__Lottery__V1__AgencyCloseResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	uint8_t entropy[ENTROPY_BYTES];

	/* Without it the draw has less of our randomness, which is ours to refuse, not to overlook. */
	if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy)) {
		fts_error_set(&error, FTS_INTERNAL, "the machine gives no random bytes");
		return ftsi_fail(cli, &error);
	}
	request.draw = draw_of(cli);
	request.agency = number_of(cli, "agency");
	request.entropy = (ProtobufCBinaryData){sizeof(entropy), entropy};
	request.if_fence = ftsi_value_of(cli, "if-fence")->number;
	enum fts_status st = fts_lottery_agency_close(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Lottery/AgencyClose", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	const char *state = ftsi_draw_state(response->state);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:I,s:s,s:I}", "draw", request.draw, "agency",
					  (json_int_t)request.agency, "state", state, "agencies_open",
					  (json_int_t)response->agencies_open));
	else
		printf("agency %" PRIu32 " closed; %s is %s, %" PRIu32 " still open\n", request.agency, request.draw,
		       state, response->agencies_open);
	fts__lottery__v1__agency_close_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_lottery_status(struct ftsi_cli *cli)
{
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	Fts__Lottery__V1__StatusResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	request.draw = draw_of(cli);
	enum fts_status st = fts_lottery_status(cli->channel, &request, &options, &response, &error);
	ftsi_explain(cli, "Lottery/Status", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		ftsi_print_json(ftsi_draw_json(response));
	else
		ftsi_draw_print(response);
	fts__lottery__v1__status_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- list: page by page ---- */

static void list_draw(const struct ftsi_cli *cli, const Fts__Lottery__V1__DrawSummary *draw, json_t *draws)
{
	if (cli->json)
		json_array_append_new(draws, ftsi_json("{s:s,s:s,s:I,s:I,s:I}", "draw", draw->draw, "state",
						       ftsi_draw_state(draw->state), "bets", (json_int_t)draw->bets,
						       "agencies", (json_int_t)draw->agencies, "agencies_closed",
						       (json_int_t)draw->agencies_closed));
	else
		printf("%-24s %-7s %12" PRIu64 " %6" PRIu32 " of %" PRIu32 "\n", draw->draw,
		       ftsi_draw_state(draw->state), draw->bets, draw->agencies_closed, draw->agencies);
}

/* after: of the last page; moved on. out_end: it was the last page. */
static enum fts_status list_page(struct ftsi_cli *cli, char *after, size_t after_size_bytes, json_t *draws,
				 bool *out_end, struct fts_error *out_error)
{
	Fts__Lottery__V1__ListRequest request = FTS__LOTTERY__V1__LIST_REQUEST__INIT;
	Fts__Lottery__V1__ListResponse *response = NULL;
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	request.after = after;
	enum fts_status st = fts_lottery_list(cli->channel, &request, &options, &response, out_error);
	ftsi_explain(cli, "Lottery/List", &info);
	if (st != FTS_OK) return st;
	for (size_t i = 0; i < response->n_draws; i++) {
		list_draw(cli, response->draws[i], draws);
		snprintf(after, after_size_bytes, "%s", response->draws[i]->draw);
	}
	*out_end = response->end || response->n_draws == 0;
	fts__lottery__v1__list_response__free_unpacked(response, NULL);
	return FTS_OK;
}

enum ftsi_exit ftsi_run_lottery_list(struct ftsi_cli *cli)
{
	char after[256] = "";
	struct fts_error error = {0};
	json_t *draws = ftsi_json("[]");
	enum fts_status st = FTS_OK;
	bool end = false;

	if (!cli->json) printf("%-24s %-7s %12s  %s\n", "DRAW", "STATE", "BETS", "AGENCIES CLOSED");
	while (st == FTS_OK && !end)
		st = list_page(cli, after, sizeof(after), draws, &end, &error);
	if (st == FTS_OK && cli->json) ftsi_print_json(ftsi_json("{s:O}", "draws", draws));
	json_decref(draws);
	return st == FTS_OK ? FTSI_EXIT_DONE : ftsi_fail(cli, &error);
}
