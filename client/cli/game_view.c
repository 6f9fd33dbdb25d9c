/* Why this file exists: see game_view.h. */
#include "client/cli/game_view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

void ftsi_view_reset(struct ftsi_view *view, const char *match)
{
	struct ftsi_view old = *view;

	*view = (struct ftsi_view){.winner = -1, .turn = -1, .last_at = FTSI_VIEW_NO_MARK};
	ftsi_game_clean(view->match, match);
	for (uint32_t i = 0; i < FTSI_VIEW_SEATS_MAX; i++)
		snprintf(view->seats[i].name, sizeof(view->seats[i].name), "seat %" PRIu32, i);
	memcpy(view->seats[0].mark, "X", 2); /* until the board shows another */
	memcpy(view->seats[1].mark, "O", 2);
	view->you = old.you;
	view->link = old.link;
	view->link_ns = old.link_ns;
	memcpy(view->node, old.node, sizeof(view->node));
	memcpy(view->lost_node, old.lost_node, sizeof(view->lost_node));
	memcpy(view->news, old.news, sizeof(view->news));
	view->news_count = old.news_count;
}

void ftsi_view_tell(struct ftsi_view *view, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(view->news[view->news_count % FTSI_VIEW_NEWS_MAX], FTSI_VIEW_NEWS_BYTES, format, list);
	va_end(list);
	view->news_count++;
}

/* ---- Boards ---- */

static bool is_empty_cell(const char *at)
{
	return strchr(". _-+*", *at) != NULL || strncmp(at, "·", 2) == 0;
}

static size_t character_bytes(const char *at)
{
	size_t bytes = *at != '\0';

	while (bytes > 0 && ((unsigned char)at[bytes] & 0xc0) == 0x80)
		bytes++;
	return bytes;
}

uint32_t ftsi_board_placed(const char *before, const char *after, char *out_mark)
{
	uint32_t found = FTSI_VIEW_NO_MARK;
	const char *mark = NULL;

	for (uint32_t at = 0; *before && *after; at++) {
		if ((*before == '\n') != (*after == '\n')) return FTSI_VIEW_NO_MARK;
		if (is_empty_cell(before) && !is_empty_cell(after)) {
			if (mark) return FTSI_VIEW_NO_MARK;
			found = at;
			mark = after;
		}
		before += character_bytes(before);
		after += character_bytes(after);
	}
	if (*before || *after || !mark || character_bytes(mark) > FTSI_VIEW_MARK_BYTES - 1) return FTSI_VIEW_NO_MARK;
	memcpy(out_mark, mark, character_bytes(mark));
	out_mark[character_bytes(mark)] = '\0';
	return found;
}

/* ---- Events ---- */

static bool is_seat(int32_t seat)
{
	return seat >= 0 && (uint32_t)seat < FTSI_VIEW_SEATS_MAX;
}

static void start_turn(struct ftsi_view *view, int32_t turn, uint64_t now_ns)
{
	view->turn = turn;
	view->running_ms = 0;
	view->running_ns = now_ns;
	view->legal_count = 0;
}

static void apply_moved(struct ftsi_view *view, const Fts__Game__V1__Moved *moved, uint64_t now_ns)
{
	char board[FTSI_GAME_BOARD_BYTES], mark[FTSI_VIEW_MARK_BYTES] = "", text[FTSI_GAME_TEXT_MAX];

	ftsi_game_clean_board(board, sizeof(board), moved->board);
	view->last_at = ftsi_board_placed(view->board, board, mark);
	memcpy(view->board, board, sizeof(board));
	if (is_seat((int32_t)moved->seat)) {
		struct ftsi_view_seat *seat = &view->seats[moved->seat];
		if (mark[0]) memcpy(seat->mark, mark, sizeof(mark));
		seat->left_ms = moved->left_ms;
	}
	if (moved->ply == view->move_count + 1 && view->move_count < FTSI_VIEW_MOVES_MAX) {
		struct ftsi_view_move *move = &view->moves[view->move_count++];
		move->seat = (int32_t)moved->seat;
		snprintf(move->move, sizeof(move->move), "%.15s", ftsi_game_clean(text, moved->move));
	}
	view->ply = moved->ply;
	view->outcome = moved->outcome;
	view->winner = moved->winner;
	start_turn(view, moved->turn, now_ns);
	if (moved->outcome == FTS__GAME__V1__OUTCOME__ONGOING) return;
	view->state = FTS__GAME__V1__STATE__OVER;
	view->reason = FTS__GAME__V1__REASON__BOARD;
}

static void apply_end(struct ftsi_view *view, int32_t winner, Fts__Game__V1__Reason reason, uint64_t now_ns)
{
	view->state = FTS__GAME__V1__STATE__OVER;
	view->outcome = winner < 0 ? FTS__GAME__V1__OUTCOME__DRAWN : FTS__GAME__V1__OUTCOME__WON;
	view->winner = winner;
	view->reason = reason;
	start_turn(view, -1, now_ns);
}

static void apply_pause(struct ftsi_view *view, uint64_t paused_ms, uint64_t now_ns)
{
	uint64_t running_ms = view->running_ms + (now_ns - view->running_ns) / NS_PER_MS;

	view->running_ms = running_ms > paused_ms ? running_ms - paused_ms : 0;
	view->running_ns = now_ns;
}

static void apply_kind(struct ftsi_view *view, const Fts__Game__V1__MatchEvent *event, uint64_t now_ns)
{
	int32_t actor = ftsi_match_event_seat(event);
	struct ftsi_view_seat *seat = &view->seats[is_seat(actor) ? actor : 0];

	switch (event->kind_case) {
	case FTS__GAME__V1__MATCH_EVENT__KIND_CREATED:
		ftsi_game_clean(view->rules, event->created->rules);
		view->state = FTS__GAME__V1__STATE__OPEN;
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_JOINED:
		if (!is_seat(actor)) break;
		seat->is_taken = true;
		if (event->joined->name[0]) ftsi_game_clean(seat->name, event->joined->name);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_MOVED:
		apply_moved(view, event->moved, now_ns);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_RESIGNED:
		apply_end(view, event->resigned->winner, FTS__GAME__V1__REASON__RESIGNED, now_ns);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED:
		apply_pause(view, event->clock_paused->paused_ms, now_ns);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER:
		if (is_seat(actor)) seat->left_ms = 0;
		apply_end(view, event->time_over->winner, FTS__GAME__V1__REASON__TIME, now_ns);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_REMATCH_ASKED:
		if (event->rematch_asked->match[0]) ftsi_game_clean(view->rematch, event->rematch_asked->match);
		break;
	default: /* of a newer server; Show tells what came of it */
		break;
	}
}

void ftsi_view_apply(struct ftsi_view *view, const Fts__Game__V1__MatchEvent *event, uint64_t now_ns)
{
	char text[FTSI_GAME_SENTENCE_BYTES];
	int32_t actor = ftsi_match_event_seat(event);

	apply_kind(view, event, now_ns);
	ftsi_view_tell(view, "%s",
		       ftsi_match_event_text(text, event, is_seat(actor) ? view->seats[actor].name : "somebody"));
	view->event_count = event->number;
}

/* ---- Show ---- */

static void take_seats(struct ftsi_view *view, const Fts__Game__V1__ShowResponse *show)
{
	view->seat_count = 0;
	for (uint32_t i = 0; i < show->n_seats && i < FTSI_VIEW_SEATS_MAX; i++, view->seat_count++) {
		struct ftsi_view_seat *seat = &view->seats[i];
		seat->is_taken = show->seats[i]->taken;
		seat->left_ms = show->seats[i]->left_ms;
		if (seat->is_taken && show->seats[i]->name[0]) ftsi_game_clean(seat->name, show->seats[i]->name);
	}
}

static void take_legal(struct ftsi_view *view, const Fts__Game__V1__ShowResponse *show)
{
	char text[FTSI_GAME_TEXT_MAX];

	view->legal_count = 0;
	for (size_t i = 0; i < show->n_legal && view->legal_count < FTSI_VIEW_LEGAL_MAX; i++)
		snprintf(view->legal[view->legal_count++], FTSI_VIEW_MOVE_BYTES, "%.15s",
			 ftsi_game_clean(text, show->legal[i]));
}

static void take_standing(struct ftsi_view *view, const Fts__Game__V1__ShowResponse *show)
{
	view->state = show->state;
	view->outcome = show->outcome;
	view->reason = show->reason;
	view->winner = show->winner;
	view->turn = show->turn;
	if (show->ply != view->ply) view->last_at = FTSI_VIEW_NO_MARK;
	view->ply = show->ply;
	ftsi_game_clean_board(view->board, sizeof(view->board), show->board);
}

void ftsi_view_show(struct ftsi_view *view, const Fts__Game__V1__ShowResponse *show, uint64_t now_ns)
{
	if (show->events < view->event_count) return;
	view->shown_count = show->events;
	ftsi_game_clean(view->rules, show->rules);
	ftsi_game_clean(view->label, show->label);
	if (show->rematch[0]) ftsi_game_clean(view->rematch, show->rematch);
	take_standing(view, show);
	take_seats(view, show);
	take_legal(view, show);
	view->has_clock = show->clock && show->clock->initial_ms > 0;
	view->running_ms = show->running_ms;
	view->running_ns = now_ns;
	if (show->you > 0) view->you = (int32_t)show->you - 1;
}

/* ---- The link ---- */

static void tell_up(struct ftsi_view *view, const char *node)
{
	if (view->link == FTSI_FOLLOW_LEADERLESS)
		ftsi_view_tell(view, "there is a leader again; %s answers", node);
	else if (strcmp(view->lost_node, node) == 0)
		ftsi_view_tell(view, "node %s is back", node);
	else if (view->lost_node[0])
		ftsi_view_tell(view, "node %s is gone, going on at %s", view->lost_node, node);
	view->lost_node[0] = '\0';
}

void ftsi_view_link(struct ftsi_view *view, enum ftsi_follow_link link, const char *node, uint64_t now_ns)
{
	char clean[FTSI_GAME_TEXT_MAX];

	ftsi_game_clean(clean, node);
	clean[sizeof(view->node) - 1] = '\0';
	if (link == FTSI_FOLLOW_UP)
		tell_up(view, clean);
	else if (link == FTSI_FOLLOW_LEADERLESS)
		ftsi_view_tell(view, "%s answers, yet there is no leader for now", clean);
	if (link == FTSI_FOLLOW_GONE)
		memcpy(view->lost_node, clean, sizeof(view->lost_node));
	else
		memcpy(view->node, clean, sizeof(view->node));
	if (view->link != link) view->link_ns = now_ns;
	view->link = link;
}

/* ---- Clocks and sentences ---- */

bool ftsi_view_clock_runs(const struct ftsi_view *view)
{
	return view->has_clock && view->state == FTS__GAME__V1__STATE__PLAYING && view->turn >= 0 &&
	       view->link == FTSI_FOLLOW_UP;
}

uint64_t ftsi_view_left_ms(const struct ftsi_view *view, uint32_t seat, uint64_t now_ns)
{
	uint64_t left_ms = view->seats[seat].left_ms;

	if (view->state != FTS__GAME__V1__STATE__PLAYING || view->turn != (int32_t)seat) return left_ms;
	if (view->link != FTSI_FOLLOW_UP) now_ns = view->link_ns;
	uint64_t since_ms = now_ns > view->running_ns ? (now_ns - view->running_ns) / NS_PER_MS : 0;
	uint64_t gone_ms = view->running_ms + since_ms;
	return left_ms > gone_ms ? left_ms - gone_ms : 0;
}

static const char *name_at(const struct ftsi_view *view, int32_t seat)
{
	return is_seat(seat) ? view->seats[seat].name : "nobody";
}

static const char *won_how(const struct ftsi_view *view)
{
	if (view->reason == FTS__GAME__V1__REASON__TIME) return " on time";
	return view->reason == FTS__GAME__V1__REASON__RESIGNED ? " by resignation" : "";
}

const char *ftsi_view_sentence(char *buf, size_t size_bytes, const struct ftsi_view *view)
{
	bool is_you = view->you >= 0;

	if (view->state == FTS__GAME__V1__STATE__OPEN)
		snprintf(buf, size_bytes, "waiting for another player");
	else if (view->outcome == FTS__GAME__V1__OUTCOME__DRAWN)
		snprintf(buf, size_bytes, "the match is drawn");
	else if (view->outcome == FTS__GAME__V1__OUTCOME__WON && is_you && view->winner == view->you)
		snprintf(buf, size_bytes, "you have won%s", won_how(view));
	else if (view->outcome == FTS__GAME__V1__OUTCOME__WON)
		snprintf(buf, size_bytes, "%s has won%s", name_at(view, view->winner), won_how(view));
	else if (is_you && view->turn == view->you)
		snprintf(buf, size_bytes, "your turn");
	else
		snprintf(buf, size_bytes, "%s is to move", name_at(view, view->turn));
	return buf;
}
