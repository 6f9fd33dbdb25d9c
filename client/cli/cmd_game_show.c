/* Why this file exists: `game show` and `game list`: matches as they stand. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/game_call.h"
#include "client/cli/game_text.h"
#include "client/cli/output.h"
#include "client/cli/session.h"

#define PAGE_MATCHES 100u

enum ftsi_exit ftsi_run_game_show(struct ftsi_cli *cli)
{
	Fts__Game__V1__ShowResponse *response = NULL;
	struct fts_error error = {0};
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = ftsi_game_show(cli->channel, cli->args.positionals[0], NULL, &options, &response, &error);

	ftsi_explain(cli, "Game/Show", &info);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (cli->json)
		ftsi_print_json(ftsi_match_json(response, false));
	else
		ftsi_match_print(response);
	fts__game__v1__show_response__free_unpacked(response, NULL);
	return FTSI_EXIT_DONE;
}

/* ---- list: page by page ---- */

struct list {
	struct ftsi_cli *cli;
	Fts__Game__V1__ListRequest request;
	char after[FTSI_GAME_TEXT_MAX]; /* of the last page; the request borrows it */
	uint64_t left;                  /* matches still wanted */
	json_t *matches;
	bool is_end;
};

static bool parse_state(const char *text, Fts__Game__V1__State *out_state)
{
	static const struct {
		const char *name;
		Fts__Game__V1__State state;
	} states[] = {{"open", FTS__GAME__V1__STATE__OPEN},
		      {"playing", FTS__GAME__V1__STATE__PLAYING},
		      {"over", FTS__GAME__V1__STATE__OVER}};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(text, states[i].name) != 0) continue;
		*out_state = states[i].state;
		return true;
	}
	return false;
}

static void print_row(const Fts__Game__V1__ShowResponse *match)
{
	char text[FTSI_GAME_TEXT_MAX], sentence[FTSI_GAME_SENTENCE_BYTES];

	printf("%-14s ", ftsi_game_clean(text, match->match));
	printf("%-10s %-8s %5" PRIu32 "  ", ftsi_game_clean(text, match->rules), ftsi_game_state(match->state),
	       match->ply);
	for (size_t i = 0; i < match->n_seats; i++)
		printf("%s%s", i ? " - " : "",
		       match->seats[i]->taken ? ftsi_game_clean(text, match->seats[i]->name) : "(free)");
	printf("  %s", ftsi_match_sentence(sentence, sizeof(sentence), match));
	if (match->label[0]) printf("  [%s]", ftsi_game_clean(text, match->label));
	putchar('\n');
}

static enum fts_status list_page(struct list *list, struct fts_error *out_error)
{
	Fts__Game__V1__ListResponse *response = NULL;
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(list->cli, &info);

	list->request.after = list->after;
	list->request.limit = list->left < PAGE_MATCHES ? (uint32_t)list->left : PAGE_MATCHES;
	enum fts_status st = fts_game_list(list->cli->channel, &list->request, &options, &response, out_error);
	ftsi_explain(list->cli, "Game/List", &info);
	if (st != FTS_OK) return st;
	if (!list->cli->json && !list->after[0])
		printf("%-14s %-10s %-8s %5s  %s\n", "MATCH", "RULES", "STATE", "MOVES", "PLAYERS");
	for (size_t i = 0; i < response->n_matches && list->left > 0; i++, list->left--) {
		if (list->cli->json)
			json_array_append_new(list->matches, ftsi_match_json(response->matches[i], true));
		else
			print_row(response->matches[i]);
		snprintf(list->after, sizeof(list->after), "%s", response->matches[i]->match);
	}
	list->is_end = !response->more || response->n_matches == 0 || list->left == 0;
	fts__game__v1__list_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static void set_filter(const struct ftsi_cli *cli, const char *flag, char **out_text)
{
	const char *text = ftsi_value_of(cli, flag)->text;

	if (text) *out_text = (char *)text;
}

enum ftsi_exit ftsi_run_game_list(struct ftsi_cli *cli)
{
	struct list list = {.cli = cli, .request = FTS__GAME__V1__LIST_REQUEST__INIT};
	struct fts_error error = {0};
	enum fts_status st = FTS_OK;
	const struct ftsi_value *limit = ftsi_value_of(cli, "limit");
	const char *state = ftsi_value_of(cli, "state")->text;

	if (state && !parse_state(state, &list.request.state))
		return ftsi_fail_usage(cli, "--state %s: write open, playing or over", state);
	set_filter(cli, "rules", &list.request.rules);
	set_filter(cli, "player", &list.request.player);
	set_filter(cli, "label", &list.request.label);
	list.left = limit->given ? limit->number : UINT64_MAX;
	list.matches = ftsi_json("[]");
	while (st == FTS_OK && !list.is_end)
		st = list_page(&list, &error);
	if (st == FTS_OK && cli->json) ftsi_print_json(ftsi_json("{s:O}", "matches", list.matches));
	json_decref(list.matches);
	return st == FTS_OK ? FTSI_EXIT_DONE : ftsi_fail(cli, &error);
}
