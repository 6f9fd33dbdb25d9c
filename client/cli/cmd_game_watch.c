/* Why this file exists: `game watch`: what happens in a match, a line an event, each exactly once, also when the node
 * it talks to dies in between. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/game_follow.h"
#include "client/cli/game_text.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"

#define SEATS_MAX 8

struct watch {
	struct ftsi_cli *cli;
	uint64_t from_ply;    /* 0: everything */
	uint64_t from_number; /* likewise */
	uint64_t left;        /* events still wanted */
	bool is_shown;        /* from_ply has come */
	char names[SEATS_MAX][FTSI_GAME_TEXT_MAX];
	char lost_node[64]; /* gone, and nobody has answered since */
};

/* Names come with the seats; who has none is told by the seat. */
static const char *name_of(struct watch *watch, const Fts__Game__V1__MatchEvent *event, char *buf)
{
	int32_t seat = ftsi_match_event_seat(event);

	if (event->kind_case == FTS__GAME__V1__MATCH_EVENT__KIND_JOINED && seat < SEATS_MAX)
		ftsi_game_clean(watch->names[seat], event->joined->name);
	if (seat >= 0 && seat < SEATS_MAX && watch->names[seat][0]) return watch->names[seat];
	snprintf(buf, FTSI_GAME_TEXT_MAX, "seat %" PRId32, seat);
	return buf;
}

static bool is_wanted(struct watch *watch, const Fts__Game__V1__MatchEvent *event)
{
	bool is_move = event->kind_case == FTS__GAME__V1__MATCH_EVENT__KIND_MOVED;

	if (watch->from_ply == 0 || (is_move && event->moved->ply >= watch->from_ply)) watch->is_shown = true;
	return watch->is_shown && event->number >= watch->from_number;
}

static bool on_event(void *ctx, const Fts__Game__V1__MatchEvent *event)
{
	struct watch *watch = ctx;
	char text[FTSI_GAME_SENTENCE_BYTES], who_buf[FTSI_GAME_TEXT_MAX];
	const char *who = name_of(watch, event, who_buf);

	if (!is_wanted(watch, event)) return true;
	if (watch->cli->json) {
		ftsi_print_json(ftsi_match_event_json(event));
	} else {
		printf("%4" PRIu64 "  %s\n", event->number, ftsi_match_event_text(text, event, who));
		(void)fflush(stdout);
	}
	return --watch->left > 0 && ftsi_output_open();
}

static void on_link(void *ctx, enum ftsi_follow_link link, const char *node)
{
	struct watch *watch = ctx;

	if (link == FTSI_FOLLOW_LEADERLESS) ftsi_note("%s answers, yet there is no leader for now", node);
	if (link == FTSI_FOLLOW_GONE) snprintf(watch->lost_node, sizeof(watch->lost_node), "%s", node);
	if (link != FTSI_FOLLOW_UP || !watch->lost_node[0]) return;
	if (strcmp(watch->lost_node, node) == 0)
		ftsi_note("node %s is back", node);
	else
		ftsi_note("node %s is gone, going on at %s", watch->lost_node, node);
	watch->lost_node[0] = '\0';
}

static void stop(void *ctx)
{
	ftsi_follow_stop(ctx);
}

/* Ctrl-C is the intended end of a watch that goes on. */
static enum ftsi_exit judge(const struct ftsi_cli *cli, enum fts_status status, const struct fts_error *error)
{
	return status == FTS_OK || ftsi_interrupted() ? FTSI_EXIT_DONE : ftsi_fail(cli, error);
}

enum ftsi_exit ftsi_run_game_watch(struct ftsi_cli *cli)
{
	const struct ftsi_value *count = ftsi_value_of(cli, "count");
	struct watch watch = {.cli = cli,
			      .from_ply = ftsi_value_of(cli, "from")->number,
			      .from_number = ftsi_value_of(cli, "from-event")->number,
			      .left = count->given ? count->number : UINT64_MAX};
	struct ftsi_follow follow;
	struct fts_error error = {0};

	ftsi_follow_init(&follow);
	follow.channel = cli->channel;
	follow.match = cli->args.positionals[0];
	follow.timeout_ms = cli->timeout_ms;
	follow.patience_ms = (uint32_t)ftsi_value_of(cli, "patience")->number;
	follow.waits = !ftsi_value_of(cli, "no-wait")->given;
	follow.observer = (struct ftsi_follow_observer){.ctx = &watch, .event = on_event, .link = on_link};
	ftsi_interrupt_claim(stop, &follow);
	enum fts_status st = ftsi_follow_run(&follow, &error);
	ftsi_interrupt_release();
	ftsi_follow_fini(&follow);
	return judge(cli, st, &error);
}
