/* Why this file exists: see fake_game.h. */
#include "tests/cli_game/fake_game.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fts/game/v1/game.fts.h"
#include "tests/harness/ports.h"

#define EVENTS_MAX 64
#define HELD_MAX 64
#define MATCHES 2
#define MOVES 9

struct event {
	int kind; /* of MatchEvent's oneof */
	int seat;
	uint32_t ply;
	char move[16];
	char board[64];
	char text[64]; /* name, or the rematch */
	int winner;
	bool is_last;
};

struct match {
	char name[8];
	char cells[MOVES];
	bool is_there;
	bool is_over;
	bool is_resigned;
	int winner;
	uint32_t ply;
	bool taken[2];
	char names[2][64];
	bool asked[2];
	struct event events[EVENTS_MAX];
	uint64_t event_count;
};

/* A Watch that waits. */
struct held {
	struct fts_call *call; /* NULL: free */
	struct match *match;
	uint64_t from;
	int node;
};

struct node {
	struct fake_game *fake;
	char name[8];
	uint16_t port;
	struct fts_server *server;
};

struct fake_game {
	struct node nodes[FAKE_NODES];
	char endpoints[64];
	pthread_mutex_t lock; /* guards all below */
	struct match matches[MATCHES];
	struct held held[HELD_MAX];
	bool swallows, is_leaderless, has_clock;
	uint64_t skip_from; /* 0: never */
	uint32_t swallowed_count;
	struct fts_call *kept[HELD_MAX]; /* never answered while it matters */
};

/* ---- The match ---- */

static void print_board(const struct match *match, char *out, size_t size_bytes)
{
	const char *cells = match->cells;

	snprintf(out, size_bytes, "  1 2 3\n1 %c %c %c\n2 %c %c %c\n3 %c %c %c\n", cells[0], cells[1], cells[2],
		 cells[3], cells[4], cells[5], cells[6], cells[7], cells[8]);
}

static bool has_line(const struct match *match, char mark)
{
	static const int lines[8][3] = {{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {0, 3, 6},
					{1, 4, 7}, {2, 5, 8}, {0, 4, 8}, {2, 4, 6}};

	for (int i = 0; i < 8; i++)
		if (match->cells[lines[i][0]] == mark && match->cells[lines[i][1]] == mark &&
		    match->cells[lines[i][2]] == mark)
			return true;
	return false;
}

static struct match *find(struct fake_game *fake, const char *name)
{
	for (int i = 0; i < MATCHES; i++)
		if (fake->matches[i].is_there && strcmp(fake->matches[i].name, name) == 0) return &fake->matches[i];
	return NULL;
}

static struct event *add_event(struct match *match, int kind, int seat)
{
	assert_true(match->event_count < EVENTS_MAX);
	struct event *event = &match->events[match->event_count++];
	*event = (struct event){.kind = kind, .seat = seat, .winner = -1};
	return event;
}

static void sit(struct match *match, int seat, const char *name)
{
	match->taken[seat] = true;
	snprintf(match->names[seat], sizeof(match->names[seat]), "%s", name);
	struct event *event = add_event(match, FTS__GAME__V1__MATCH_EVENT__KIND_JOINED, seat);
	snprintf(event->text, sizeof(event->text), "%s", name);
}

static void begin_match(struct match *match, const char *name)
{
	*match = (struct match){.is_there = true, .winner = -1};
	snprintf(match->name, sizeof(match->name), "%s", name);
	memset(match->cells, '.', sizeof(match->cells));
	add_event(match, FTS__GAME__V1__MATCH_EVENT__KIND_CREATED, -1);
}

static Fts__Game__V1__Outcome outcome_of(const struct match *match)
{
	if (!match->is_over) return FTS__GAME__V1__OUTCOME__ONGOING;
	return match->winner < 0 ? FTS__GAME__V1__OUTCOME__DRAWN : FTS__GAME__V1__OUTCOME__WON;
}

static int turn_of(const struct match *match)
{
	return match->is_over ? -1 : (int)(match->ply % 2);
}

/* The rule that is broken; NULL: made. */
static const char *make_move(struct match *match, int seat, const char *text, uint32_t ply)
{
	if (match->is_over) return "over: the match is over";
	if (!match->taken[0] || !match->taken[1]) return "not-started: a seat is free";
	if (ply != 0 && ply != match->ply + 1) return "stale-ply: the match has gone on";
	if (seat != turn_of(match)) return "wrong-turn: the other one is to move";
	if (strlen(text) != 3 || text[0] < '1' || text[0] > '3' || text[2] < '1' || text[2] > '3')
		return "notation: write ROW,COLUMN, as 2,2";
	int cell = 3 * (text[0] - '1') + text[2] - '1';
	if (match->cells[cell] != '.') return "occupied: the cell has a stone already";
	match->cells[cell] = seat == 0 ? 'X' : 'O';
	match->ply++;
	match->winner = has_line(match, match->cells[cell]) ? seat : -1;
	match->is_over = match->winner >= 0 || match->ply == MOVES;
	struct event *event = add_event(match, FTS__GAME__V1__MATCH_EVENT__KIND_MOVED, seat);
	event->ply = match->ply;
	event->winner = match->winner;
	event->is_last = match->is_over;
	snprintf(event->move, sizeof(event->move), "%s", text);
	print_board(match, event->board, sizeof(event->board));
	return NULL;
}

/* ---- Answers ---- */

union body {
	Fts__Game__V1__Created created;
	Fts__Game__V1__Joined joined;
	Fts__Game__V1__Moved moved;
	Fts__Game__V1__Resigned resigned;
	Fts__Game__V1__RematchAsked asked;
};

static void fill_moved(const struct event *event, Fts__Game__V1__Moved *out)
{
	fts__game__v1__moved__init(out);
	out->ply = event->ply;
	out->seat = (uint32_t)event->seat;
	out->move = (char *)event->move;
	out->board = (char *)event->board;
	out->winner = event->winner;
	out->turn = event->is_last ? -1 : 1 - event->seat;
	out->left_ms = 60000;
	if (event->is_last)
		out->outcome = event->winner < 0 ? FTS__GAME__V1__OUTCOME__DRAWN : FTS__GAME__V1__OUTCOME__WON;
}

static void fill_event(const struct event *event, Fts__Game__V1__MatchEvent *out, union body *body)
{
	out->kind_case = (Fts__Game__V1__MatchEvent__KindCase)event->kind;
	switch (out->kind_case) {
	case FTS__GAME__V1__MATCH_EVENT__KIND_CREATED:
		fts__game__v1__created__init(&body->created);
		body->created.rules = (char *)"tictactoe";
		out->created = &body->created;
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_JOINED:
		fts__game__v1__joined__init(&body->joined);
		body->joined.seat = (uint32_t)event->seat;
		body->joined.name = (char *)event->text;
		out->joined = &body->joined;
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_MOVED:
		fill_moved(event, &body->moved);
		out->moved = &body->moved;
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_RESIGNED:
		fts__game__v1__resigned__init(&body->resigned);
		body->resigned.seat = (uint32_t)event->seat;
		body->resigned.winner = 1 - event->seat;
		out->resigned = &body->resigned;
		break;
	default:
		fts__game__v1__rematch_asked__init(&body->asked);
		body->asked.seat = (uint32_t)event->seat;
		body->asked.match = (char *)event->text;
		out->rematch_asked = &body->asked;
		break;
	}
}

/* The lock is held. */
static void answer_watch(struct fake_game *fake, struct fts_call *call, const struct match *match, uint64_t from)
{
	Fts__Game__V1__WatchResponse response = FTS__GAME__V1__WATCH_RESPONSE__INIT;
	Fts__Game__V1__MatchEvent events[EVENTS_MAX], *pointers[EVENTS_MAX];
	union body bodies[EVENTS_MAX];

	response.events = pointers;
	for (uint64_t number = from > 0 ? from : 1; number <= match->event_count; number++) {
		size_t i = response.n_events++;
		pointers[i] = &events[i];
		fts__game__v1__match_event__init(pointers[i]);
		events[i].match = (char *)match->name;
		events[i].number = number + (fake->skip_from != 0 && number >= fake->skip_from);
		fill_event(&match->events[number - 1], pointers[i], &bodies[i]);
	}
	response.next = match->event_count + 1;
	response.over = match->is_over;
	fts_game_watch_reply(call, &response);
}

/* The lock is held. */
static void answer_held(struct fake_game *fake, const struct match *match)
{
	for (int i = 0; i < HELD_MAX; i++) {
		if (!fake->held[i].call || fake->held[i].match != match) continue;
		answer_watch(fake, fake->held[i].call, match, fake->held[i].from);
		fake->held[i].call = NULL;
	}
}

/* The match, with the lock taken; NULL: refused, and no lock. */
static struct match *enter(struct fake_game *fake, struct fts_call *call, const char *name)
{
	pthread_mutex_lock(&fake->lock);
	struct match *match = fake->is_leaderless ? NULL : find(fake, name);
	bool is_leaderless = fake->is_leaderless;
	if (match) return match;
	pthread_mutex_unlock(&fake->lock);
	if (is_leaderless)
		fts_call_fail(call, FTS_UNAVAILABLE, "no leader");
	else
		fts_call_fail(call, FTS_NOT_FOUND, "no match \"%s\"", name);
	return NULL;
}

static int seat_of(const char *token)
{
	if (strcmp(token, "t0") == 0) return 0;
	return strcmp(token, "t1") == 0 ? 1 : -1;
}

static int seat_in(const struct match *match, const char *token)
{
	int seat = seat_of(token);

	return seat >= 0 && strcmp(match->name, "m2") == 0 ? 1 - seat : seat; /* swapped */
}

/* ---- Handlers ---- */

static void on_join(struct fts_call *call, const Fts__Game__V1__JoinRequest *request, void *ctx)
{
	struct fake_game *fake = ((struct node *)ctx)->fake;
	struct match *match = enter(fake, call, request->match);
	Fts__Game__V1__JoinResponse response = FTS__GAME__V1__JOIN_RESPONSE__INIT;

	if (!match) return;
	int seat = match->taken[0] ? 1 : 0;
	bool is_full = match->taken[seat];
	if (!is_full) sit(match, seat, request->name[0] ? request->name : (seat ? "player 2" : "player 1"));
	answer_held(fake, match);
	pthread_mutex_unlock(&fake->lock);
	response.seat = (uint32_t)seat;
	response.token = (char *)(seat == 0 ? "t0" : "t1");
	if (is_full)
		fts_call_fail(call, FTS_FAILED_PRECONDITION, "full: both seats are taken");
	else
		fts_game_join_reply(call, &response);
}

/* The lock is held. */
static void keep(struct fake_game *fake, struct fts_call *call)
{
	assert_true(fake->swallowed_count < HELD_MAX);
	fake->kept[fake->swallowed_count++] = call;
}

static void on_move(struct fts_call *call, const Fts__Game__V1__MoveRequest *request, void *ctx)
{
	struct fake_game *fake = ((struct node *)ctx)->fake;
	struct match *match = enter(fake, call, request->match);
	Fts__Game__V1__MoveResponse response = FTS__GAME__V1__MOVE_RESPONSE__INIT;
	char board[64];

	if (!match) return;
	int seat = seat_in(match, request->token);
	const char *broken = seat < 0 ? "token: it opens no seat" : make_move(match, seat, request->move, request->ply);
	if (!broken) answer_held(fake, match);
	bool is_swallowed = !broken && fake->swallows;
	if (is_swallowed) keep(fake, call);
	print_board(match, board, sizeof(board));
	response.ply = match->ply;
	response.board = board;
	response.outcome = outcome_of(match);
	response.winner = match->winner;
	response.turn = turn_of(match);
	pthread_mutex_unlock(&fake->lock);
	if (broken)
		fts_call_fail(call, strncmp(broken, "stale", 5) == 0 ? FTS_ABORTED : FTS_FAILED_PRECONDITION, "%s",
			      broken);
	else if (!is_swallowed)
		fts_game_move_reply(call, &response);
}

static void on_resign(struct fts_call *call, const Fts__Game__V1__ResignRequest *request, void *ctx)
{
	struct fake_game *fake = ((struct node *)ctx)->fake;
	struct match *match = enter(fake, call, request->match);
	Fts__Game__V1__ResignResponse response = FTS__GAME__V1__RESIGN_RESPONSE__INIT;

	if (!match) return;
	bool was_over = match->is_over;
	int seat = seat_in(match, request->token);
	if (!was_over) {
		match->is_over = true;
		match->is_resigned = true;
		match->winner = 1 - seat;
		add_event(match, FTS__GAME__V1__MATCH_EVENT__KIND_RESIGNED, seat);
		answer_held(fake, match);
	}
	pthread_mutex_unlock(&fake->lock);
	response.outcome = FTS__GAME__V1__OUTCOME__WON;
	response.winner = 1 - seat;
	if (was_over)
		fts_call_fail(call, FTS_FAILED_PRECONDITION, "over: the match is over");
	else
		fts_game_resign_reply(call, &response);
}

/* The lock is held. */
static void begin_rematch(struct fake_game *fake, const struct match *match)
{
	struct match *next = &fake->matches[1];

	begin_match(next, "m2");
	sit(next, 0, match->names[1]);
	sit(next, 1, match->names[0]);
}

static void on_rematch(struct fts_call *call, const Fts__Game__V1__RematchRequest *request, void *ctx)
{
	struct fake_game *fake = ((struct node *)ctx)->fake;
	struct match *match = enter(fake, call, request->match);
	Fts__Game__V1__RematchResponse response = FTS__GAME__V1__REMATCH_RESPONSE__INIT;

	if (!match) return;
	int seat = seat_in(match, request->token);
	match->asked[seat] = true;
	bool is_made = match->asked[0] && match->asked[1];
	if (is_made) begin_rematch(fake, match);
	struct event *event = add_event(match, FTS__GAME__V1__MATCH_EVENT__KIND_REMATCH_ASKED, seat);
	if (is_made) snprintf(event->text, sizeof(event->text), "m2");
	answer_held(fake, match);
	pthread_mutex_unlock(&fake->lock);
	response.match = (char *)(is_made ? "m2" : "");
	fts_game_rematch_reply(call, &response);
}

static size_t fill_legal(const struct match *match, char (*texts)[4], char **pointers)
{
	size_t count = 0;

	for (int cell = 0; cell < MOVES && !match->is_over; cell++) {
		if (match->cells[cell] != '.') continue;
		pointers[count] = texts[count];
		snprintf(texts[count++], 4, "%d,%d", cell / 3 + 1, cell % 3 + 1);
	}
	return count;
}

static void on_show(struct fts_call *call, const Fts__Game__V1__ShowRequest *request, void *ctx)
{
	struct fake_game *fake = ((struct node *)ctx)->fake;
	struct match *match = enter(fake, call, request->match);
	Fts__Game__V1__ShowResponse response = FTS__GAME__V1__SHOW_RESPONSE__INIT;
	Fts__Game__V1__Seat seats[2] = {FTS__GAME__V1__SEAT__INIT, FTS__GAME__V1__SEAT__INIT};
	Fts__Game__V1__Seat *pointers[] = {&seats[0], &seats[1]};
	Fts__Game__V1__ClockTerms clock = FTS__GAME__V1__CLOCK_TERMS__INIT;
	char board[64], texts[MOVES][4], *legal[MOVES];

	if (!match) return;
	print_board(match, board, sizeof(board));
	response.match = match->name;
	response.rules = (char *)"tictactoe";
	response.board = board;
	response.ply = match->ply;
	response.turn = turn_of(match);
	response.winner = match->winner;
	response.outcome = outcome_of(match);
	response.reason = match->is_resigned ? FTS__GAME__V1__REASON__RESIGNED : FTS__GAME__V1__REASON__REASON_NONE;
	response.state = match->is_over
			     ? FTS__GAME__V1__STATE__OVER
			     : (match->taken[1] ? FTS__GAME__V1__STATE__PLAYING : FTS__GAME__V1__STATE__OPEN);
	response.n_seats = 2;
	response.seats = pointers;
	for (int i = 0; i < 2; i++) {
		seats[i].name = match->names[i];
		seats[i].taken = match->taken[i];
		seats[i].left_ms = fake->has_clock ? 60000 : 0;
	}
	clock.initial_ms = 60000;
	response.clock = fake->has_clock ? &clock : NULL;
	response.n_legal = fill_legal(match, texts, legal);
	response.legal = legal;
	response.events = match->event_count;
	response.you = (uint32_t)(seat_in(match, request->token) + 1);
	fts_game_show_reply(call, &response);
	pthread_mutex_unlock(&fake->lock);
}

static void on_watch(struct fts_call *call, const Fts__Game__V1__WatchRequest *request, void *ctx)
{
	struct fake_game *fake = ((struct node *)ctx)->fake;
	struct match *match = enter(fake, call, request->match);
	bool is_held = false;

	if (!match) return;
	int node = (int)((struct node *)ctx - fake->nodes);
	bool waits = request->wait && request->from > match->event_count;
	for (int i = 0; i < HELD_MAX && waits && !is_held; i++) {
		if (fake->held[i].call) continue;
		fake->held[i] = (struct held){.call = call, .match = match, .from = request->from, .node = node};
		is_held = true;
	}
	if (!is_held) answer_watch(fake, call, match, request->from);
	pthread_mutex_unlock(&fake->lock);
}

/* ---- Life ---- */

void fake_game_revive(struct fake_game *fake, int node)
{
	static const struct fts_game_handlers handlers = {.join = on_join,
							  .move = on_move,
							  .resign = on_resign,
							  .rematch = on_rematch,
							  .show = on_show,
							  .watch = on_watch};
	struct node *at = &fake->nodes[node];
	char listen[32];
	struct fts_error error = {0};

	snprintf(listen, sizeof(listen), "127.0.0.1:%u", at->port);
	struct fts_server_options options = {.listen = listen, .node = at->name};
	if (fts_server_create(&options, &at->server, &error) != FTS_OK ||
	    fts_game_register(at->server, &handlers, at, &error) != FTS_OK ||
	    fts_server_start(at->server, &error) != FTS_OK)
		fail_msg("the fake game does not start: %s", error.detail);
}

void fake_game_kill(struct fake_game *fake, int node)
{
	fts_server_destroy(fake->nodes[node].server);
	fake->nodes[node].server = NULL;
}

struct fake_game *fake_game_start(void)
{
	static uint16_t port;
	struct fake_game *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	if (port == 0) port = harness_ports_reserve();
	pthread_mutex_init(&fake->lock, NULL);
	begin_match(&fake->matches[0], "m1");
	snprintf(fake->endpoints, sizeof(fake->endpoints), "127.0.0.1:%u,127.0.0.1:%u", port, port + 4u);
	for (int i = 0; i < FAKE_NODES; i++) {
		fake->nodes[i] = (struct node){.fake = fake, .port = (uint16_t)(port + 4 * i)};
		snprintf(fake->nodes[i].name, sizeof(fake->nodes[i].name), "n%d", i + 1);
		fake_game_revive(fake, i);
	}
	return fake;
}

/* Calls have to be answered once; nobody reads it any more. */
static void answer_all(struct fake_game *fake)
{
	for (uint32_t i = 0; i < fake->swallowed_count; i++)
		fts_call_fail(fake->kept[i], FTS_UNAVAILABLE, "the end");
	for (int i = 0; i < HELD_MAX; i++)
		if (fake->held[i].call) fts_call_fail(fake->held[i].call, FTS_UNAVAILABLE, "the end");
}

void fake_game_stop(struct fake_game *fake)
{
	for (int i = 0; i < FAKE_NODES; i++)
		fake_game_kill(fake, i);
	answer_all(fake);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

const char *fake_game_endpoints(const struct fake_game *fake)
{
	return fake->endpoints;
}

/* ---- Orders ---- */

void fake_game_swallow(struct fake_game *fake, bool swallow)
{
	pthread_mutex_lock(&fake->lock);
	fake->swallows = swallow;
	pthread_mutex_unlock(&fake->lock);
}

uint32_t fake_game_swallowed(struct fake_game *fake)
{
	pthread_mutex_lock(&fake->lock);
	uint32_t count = fake->swallowed_count;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

/* A node that has lost the leader lets nobody wait. */
void fake_game_lose_leader(struct fake_game *fake, bool is_lost)
{
	pthread_mutex_lock(&fake->lock);
	fake->is_leaderless = is_lost;
	for (int i = 0; i < HELD_MAX && is_lost; i++) {
		if (fake->held[i].call) fts_call_fail(fake->held[i].call, FTS_UNAVAILABLE, "no leader");
		fake->held[i].call = NULL;
	}
	pthread_mutex_unlock(&fake->lock);
}

void fake_game_skip(struct fake_game *fake, uint64_t i)
{
	pthread_mutex_lock(&fake->lock);
	fake->skip_from = i;
	pthread_mutex_unlock(&fake->lock);
}

void fake_game_seat_both(struct fake_game *fake)
{
	pthread_mutex_lock(&fake->lock);
	sit(&fake->matches[0], 0, "ada");
	sit(&fake->matches[0], 1, "bob");
	answer_held(fake, &fake->matches[0]);
	pthread_mutex_unlock(&fake->lock);
}

void fake_game_set_clock(struct fake_game *fake)
{
	pthread_mutex_lock(&fake->lock);
	fake->has_clock = true;
	pthread_mutex_unlock(&fake->lock);
}

void fake_game_set_name(struct fake_game *fake, int seat, const char *name)
{
	pthread_mutex_lock(&fake->lock);
	snprintf(fake->matches[0].names[seat], sizeof(fake->matches[0].names[seat]), "%s", name);
	pthread_mutex_unlock(&fake->lock);
}

int fake_game_watched(struct fake_game *fake)
{
	int node = -1;

	pthread_mutex_lock(&fake->lock);
	for (int i = 0; i < HELD_MAX; i++)
		if (fake->held[i].call) node = fake->held[i].node;
	pthread_mutex_unlock(&fake->lock);
	return node;
}

uint32_t fake_game_ply(struct fake_game *fake)
{
	pthread_mutex_lock(&fake->lock);
	uint32_t ply = fake->matches[0].ply;
	pthread_mutex_unlock(&fake->lock);
	return ply;
}
