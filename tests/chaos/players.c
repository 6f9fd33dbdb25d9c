/* Why this file exists: see tests/chaos/players.h. Gomoku, since random moves hardly ever end it; a match is left after
 * PLIES_MAX plies, so that few calls of unknown outcome fall on one. */
#include "tests/chaos/players.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fts/game/v1/game.fts.h>

#include "tests/harness/clock.h"
#include "tests/linear/history.h"
#include "tests/linear/models.h"

#define TABLES_MAX 8
#define PLAYERS_AT_TABLE 3 /* seats 0, 1, and 0 again */
#define PLIES_MAX 60
#define CALLS_MAX 1000000
#define MUST_MS 20000
#define CALL_MS 2000
#define BOARD 15
#define NAME_MAX_BYTES 128

struct table {
	pthread_mutex_t lock;
	struct fts_channel *channel;    /* to make matches with */
	char match[NAME_MAX_BYTES];     /* guarded by lock */
	char tokens[2][NAME_MAX_BYTES]; /* guarded by lock */
	uint32_t match_number;          /* guarded by lock; 0: none yet */
	atomic_uint plies;              /* of the match, as last heard */
	atomic_bool over;
};

struct player {
	struct players *all;
	struct table *table;
	pthread_t thread;
	uint32_t place, seat;
	struct fts_channel *channel;
	struct harness_random random;
	/* Of the match it plays. */
	uint32_t match_number;
	char match[NAME_MAX_BYTES], token[NAME_MAX_BYTES];
};

struct players {
	atomic_bool stop;
	atomic_uint next_match;
	atomic_ullong moves, refused, shows, unknown;
	uint32_t table_count;
	struct linear_history *history;
	struct table tables[TABLES_MAX];
	struct player players[TABLES_MAX * PLAYERS_AT_TABLE];
};

/* ---- Matches ---- */

static bool join(struct table *table, uint32_t seat)
{
	static const struct fts_call_options options = {.timeout_ms = MUST_MS};
	Fts__Game__V1__JoinRequest request = FTS__GAME__V1__JOIN_REQUEST__INIT;
	Fts__Game__V1__JoinResponse *response = NULL;
	struct fts_error error;
	request.match = table->match;
	request.seat = seat + 1;
	if (fts_game_join(table->channel, &request, &options, &response, &error) != FTS_OK) {
		print_error("seat %u of %s: %s\n", seat, table->match, error.detail);
		return false;
	}
	snprintf(table->tokens[seat], NAME_MAX_BYTES, "%s", response->token);
	fts__game__v1__join_response__free_unpacked(response, NULL);
	return true;
}

static bool create(struct table *table)
{
	static const struct fts_call_options options = {.timeout_ms = MUST_MS};
	static char rules[] = "gomoku";
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	Fts__Game__V1__CreateResponse *response = NULL;
	struct fts_error error;
	request.rules = rules;
	if (fts_game_create(table->channel, &request, &options, &response, &error) != FTS_OK) {
		print_error("no match: %s\n", error.detail);
		return false;
	}
	snprintf(table->match, sizeof(table->match), "%s", response->match);
	fts__game__v1__create_response__free_unpacked(response, NULL);
	return join(table, 0) && join(table, 1);
}

/* Whoever finds the match over makes the next one; everybody takes part in the newest. */
static void sit_down(struct player *player)
{
	struct table *table = player->table;
	pthread_mutex_lock(&table->lock);
	if (table->match_number == 0 || atomic_load(&table->over)) {
		if (create(table)) {
			table->match_number = atomic_fetch_add(&player->all->next_match, 1) + 1;
			atomic_store(&table->plies, 0);
			atomic_store(&table->over, false);
		}
	}
	player->match_number = table->match_number;
	memcpy(player->match, table->match, sizeof(player->match));
	memcpy(player->token, table->tokens[player->seat], sizeof(player->token));
	pthread_mutex_unlock(&table->lock);
}

static void heard_of_plies(struct table *table, uint32_t plies)
{
	unsigned known = atomic_load(&table->plies);
	while (plies > known && !atomic_compare_exchange_weak(&table->plies, &known, plies))
		;
	if (plies >= PLIES_MAX) atomic_store(&table->over, true);
}

/* ---- Moves ---- */

enum refusal { REFUSED_PLY, REFUSED_MOVE, REFUSED_OVER, REFUSED_UNKNOWN };

/* By the rule's name in the detail. */
static enum refusal why(const struct fts_error *error)
{
	if (error->executed == FTS_EXECUTED_UNKNOWN) return REFUSED_UNKNOWN;
	if (strncmp(error->detail, "over:", 5) == 0) return REFUSED_OVER;
	if (strncmp(error->detail, "stale-ply:", 10) == 0 || strncmp(error->detail, "wrong-turn:", 11) == 0)
		return REFUSED_PLY;
	return REFUSED_MOVE; /* occupied, or nobody took the call at all */
}

static void move(struct player *player)
{
	static const struct fts_call_options options = {.timeout_ms = CALL_MS};
	struct players *all = player->all;
	char text[16];
	uint32_t column = harness_random_below(&player->random, BOARD),
		 row = harness_random_below(&player->random, BOARD);
	uint32_t ply = atomic_load(&player->table->plies) + 1;
	Fts__Game__V1__MoveRequest request = FTS__GAME__V1__MOVE_REQUEST__INIT;
	Fts__Game__V1__MoveResponse *response = NULL;
	struct fts_error error;
	struct linear_operation operation = {.key = player->match_number, .client = player->place, .kind = LINEAR_MOVE};
	if (ply % 2 == player->seat) ply++; /* seat 0 makes the odd ones */
	operation.input[0] = ply;
	operation.input[1] = column * BOARD + row;
	snprintf(text, sizeof(text), "%c%u", 'a' + (int)column, row + 1);
	request.match = player->match;
	request.token = player->token;
	request.move = text;
	request.ply = ply;
	size_t place = linear_history_begin(all->history, &operation);
	if (place == LINEAR_HISTORY_FULL) {
		atomic_store(&all->stop, true);
		return;
	}
	if (fts_game_move(player->channel, &request, &options, &response, &error) == FTS_OK) {
		linear_history_end(all->history, place, 1, 0);
		heard_of_plies(player->table, ply);
		if (response->outcome != FTS__GAME__V1__OUTCOME__ONGOING) atomic_store(&player->table->over, true);
		fts__game__v1__move_response__free_unpacked(response, NULL);
		atomic_fetch_add(&all->moves, 1);
		return;
	}
	enum refusal refusal = why(&error);
	if (refusal == REFUSED_PLY) linear_history_end(all->history, place, 0, 0);
	if (refusal == REFUSED_OVER) atomic_store(&player->table->over, true);
	if (refusal == REFUSED_MOVE || refusal == REFUSED_OVER) linear_history_never(all->history, place);
	atomic_fetch_add(refusal == REFUSED_UNKNOWN ? &all->unknown : &all->refused, 1);
}

static int64_t hash_of(const Fts__Game__V1__RecordResponse *record)
{
	int64_t hash = 0;
	for (size_t i = 0; i < record->n_moves; i++) {
		const char *text = record->moves[i]->move;
		int64_t code = (int64_t)(text[0] - 'a') * BOARD + (int64_t)strtoull(text + 1, NULL, 10) - 1;
		hash = linear_match_hash(hash, code);
	}
	return hash;
}

static void show(struct player *player)
{
	static const struct fts_call_options options = {.timeout_ms = CALL_MS};
	struct players *all = player->all;
	Fts__Game__V1__RecordRequest request = FTS__GAME__V1__RECORD_REQUEST__INIT;
	Fts__Game__V1__RecordResponse *response = NULL;
	struct fts_error error;
	struct linear_operation operation = {.key = player->match_number, .client = player->place, .kind = LINEAR_SHOW};
	request.match = player->match;
	size_t place = linear_history_begin(all->history, &operation);
	if (place == LINEAR_HISTORY_FULL) return;
	if (fts_game_record(player->channel, &request, &options, &response, &error) != FTS_OK) {
		linear_history_never(all->history, place); /* a read without an answer says nothing */
		atomic_fetch_add(&all->unknown, 1);
		return;
	}
	linear_history_end(all->history, place, (int64_t)response->n_moves, hash_of(response));
	heard_of_plies(player->table, (uint32_t)response->n_moves);
	fts__game__v1__record_response__free_unpacked(response, NULL);
	atomic_fetch_add(&all->shows, 1);
}

static void *play(void *ctx)
{
	struct player *player = ctx;
	while (!atomic_load(&player->all->stop)) {
		struct harness_wait pause = {harness_now_ns() + 1000000000u, 2000};
		sit_down(player);
		if (player->match_number != 0) {
			if (harness_random_below(&player->random, 3) == 0)
				show(player);
			else
				move(player);
		}
		(void)harness_wait_more(&pause); /* there are others on this machine */
	}
	return NULL;
}

/* ---- Start and end ---- */

static struct fts_channel *open_channel(const char *endpoints)
{
	struct fts_channel_options options = {.endpoints = endpoints};
	struct fts_channel *channel = NULL;
	struct fts_error error;
	if (fts_channel_open(&options, &channel, &error) != FTS_OK) fail_msg("no channel: %s", error.detail);
	return channel;
}

struct players *players_start(const char *endpoints, uint32_t tables, uint64_t seed)
{
	struct players *players = calloc(1, sizeof(*players));
	assert_non_null(players);
	assert_true(tables >= 1 && tables <= TABLES_MAX);
	players->table_count = tables;
	players->history = linear_history_create(CALLS_MAX);
	for (uint32_t i = 0; i < tables; i++) {
		pthread_mutex_init(&players->tables[i].lock, NULL);
		players->tables[i].channel = open_channel(endpoints);
	}
	for (uint32_t i = 0; i < tables * PLAYERS_AT_TABLE; i++) {
		struct player *player = &players->players[i];
		*player = (struct player){.all = players,
					  .table = &players->tables[i / PLAYERS_AT_TABLE],
					  .place = i,
					  .seat = i % PLAYERS_AT_TABLE == 1,
					  .random = {seed * 100 + i}};
		player->channel = open_channel(endpoints);
		assert_int_equal(pthread_create(&player->thread, NULL, play, player), 0);
	}
	return players;
}

uint64_t players_moves(struct players *players)
{
	return atomic_load(&players->moves);
}

static void judge(struct players *players)
{
	struct linear_report report;
	size_t count;
	const struct linear_operation *operations = linear_history_operations(players->history, &count);
	enum linear_verdict verdict = linear_check(&linear_match, operations, count, NULL, &report);
	if (verdict != LINEAR_OK)
		fail_msg("%zu calls on matches: %s, match %u\n%s", count, linear_verdict_name(verdict), report.key,
			 report.text);
}

struct players_counts players_finish(struct players *players)
{
	atomic_store(&players->stop, true);
	for (uint32_t i = 0; i < players->table_count * PLAYERS_AT_TABLE; i++)
		pthread_join(players->players[i].thread, NULL);
	for (uint32_t i = 0; i < players->table_count * PLAYERS_AT_TABLE; i++)
		fts_channel_close(players->players[i].channel);
	for (uint32_t i = 0; i < players->table_count; i++) {
		fts_channel_close(players->tables[i].channel);
		pthread_mutex_destroy(&players->tables[i].lock);
	}
	judge(players);
	struct players_counts counts = {atomic_load(&players->moves), atomic_load(&players->refused),
					atomic_load(&players->shows), atomic_load(&players->unknown),
					atomic_load(&players->next_match)};
	linear_history_destroy(players->history);
	free(players);
	return counts;
}
