/* Why this file exists: Rules, Show and List. */
#include <fts/game/v1/game.fts.h>
#include <string.h>

#include "game/message.h"
#include "game/service_internal.h"
#include "game/token.h"

enum { LIST_COUNT_DEFAULT = 100, LIST_COUNT_MAX = 1000 };

enum fts_status ftsi_game_read_broken(struct fts_read *read, enum fts_status status)
{
	if (status == FTS_RESOURCE_EXHAUSTED)
		return fts_read_refuse(read, status, "the answer takes too much memory: ask for less");
	return fts_read_refuse(read, status, "this node can't read the match from its store");
}

enum fts_status ftsi_game_read_find(struct fts_read *read, const char *name, struct ftsi_match *out_match)
{
	struct ftsi_match_name taken;
	enum fts_status status = FTS_NOT_FOUND;
	if (ftsi_game_name_take(name, &taken)) status = ftsi_match_find(read->view, &taken, out_match);
	if (status == FTS_NOT_FOUND)
		return fts_read_refuse(read, status, "no-such-match: there is no match of this name");
	return status == FTS_OK ? FTS_OK : ftsi_game_read_broken(read, status);
}

/* Game time as the log last told it. */
static enum fts_status last_game_ms(struct fts_read *read, int64_t *out_game_ms)
{
	struct ftsi_game game;
	enum fts_status status = ftsi_game_load(read->view, &game);
	if (status != FTS_OK) return ftsi_game_read_broken(read, status);
	*out_game_ms = game.time_ms - (int64_t)game.pause_ms;
	return FTS_OK;
}

/* ---- Rules ---- */

enum fts_status ftsi_game_read_rules(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
				     void *ctx)
{
	Fts__Game__V1__RulesResponse *response = (void *)out;
	Fts__Game__V1__RulesInfo *info = fts_arena_alloc(read->arena, FTSI_GAME_RULES_COUNT * sizeof *info);
	(void)message, (void)ctx;
	response->rules = fts_arena_alloc(read->arena, FTSI_GAME_RULES_COUNT * sizeof(void *));
	if (info == NULL || response->rules == NULL) return ftsi_game_read_broken(read, FTS_RESOURCE_EXHAUSTED);
	for (uint32_t i = 0; i < FTSI_GAME_RULES_COUNT; i++) {
		const struct ftsi_game_rules *rules = ftsi_game_rules_at(i);
		fts__game__v1__rules_info__init(&info[i]);
		info[i].name = (char *)(uintptr_t)rules->name; /* only read */
		info[i].title = (char *)(uintptr_t)rules->title;
		info[i].notation = (char *)(uintptr_t)rules->notation;
		info[i].seats = FTSI_GAME_SEAT_COUNT;
		response->rules[response->n_rules++] = &info[i];
	}
	return FTS_OK;
}

/* ---- Show ---- */

enum fts_status ftsi_game_read_show(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
				    void *ctx)
{
	const Fts__Game__V1__ShowRequest *request = (const void *)message;
	Fts__Game__V1__ShowResponse *response = (void *)out;
	struct ftsi_match *match = fts_arena_calloc(read->arena, sizeof *match);
	uint8_t hash[FTSI_MATCH_TOKEN_HASH_BYTES];
	int64_t game_ms = 0;
	enum fts_status status;
	(void)ctx;
	if (match == NULL) return ftsi_game_read_broken(read, FTS_RESOURCE_EXHAUSTED);
	if ((status = ftsi_game_read_find(read, request->match, match)) != FTS_OK ||
	    (status = last_game_ms(read, &game_ms)) != FTS_OK)
		return status;
	status = ftsi_match_show(match, true, game_ms, read->arena, response);
	if (status != FTS_OK) return ftsi_game_read_broken(read, status);
	ftsi_game_token_hash(request->token, hash);
	response->you = (uint32_t)(ftsi_match_seat_of(match, hash) + 1);
	return FTS_OK;
}

/* ---- List ---- */

static bool has_player(const struct ftsi_match *match, const char *name)
{
	for (uint32_t i = 0; i < FTSI_GAME_SEAT_COUNT; i++)
		if (match->seats[i].taken && strcmp(match->seats[i].name, name) == 0) return true;
	return false;
}

static bool is_wanted(const struct ftsi_match *match, const Fts__Game__V1__ListRequest *request)
{
	if (request->rules[0] != '\0' && strcmp(match->rules->name, request->rules) != 0) return false;
	if (request->state != FTS__GAME__V1__STATE__STATE_ANY && match->state != request->state) return false;
	if (request->label[0] != '\0' && strcmp(match->label, request->label) != 0) return false;
	return request->player[0] == '\0' || has_player(match, request->player);
}

static enum fts_status add_match(struct fts_read *read, const struct ftsi_match *match, int64_t game_ms,
				 Fts__Game__V1__ListResponse *response)
{
	struct ftsi_match *kept = fts_arena_alloc(read->arena, sizeof *kept);
	Fts__Game__V1__ShowResponse *row = fts_arena_alloc(read->arena, sizeof *row);
	if (kept == NULL || row == NULL) return FTS_RESOURCE_EXHAUSTED;
	*kept = *match; /* the row borrows from it */
	fts__game__v1__show_response__init(row);
	response->matches[response->n_matches++] = row;
	return ftsi_match_show(kept, false, game_ms, read->arena, row);
}

static enum fts_status list(struct fts_read *read, const Fts__Game__V1__ListRequest *request, uint64_t before_id,
			    uint32_t limit, Fts__Game__V1__ListResponse *response)
{
	struct fts_cursor *cursor = NULL;
	struct ftsi_match match = {0};
	bool damaged = false;
	int64_t game_ms = 0;
	enum fts_status status = last_game_ms(read, &game_ms);
	response->matches = fts_arena_alloc(read->arena, limit * sizeof(void *));
	if (response->matches == NULL) return FTS_RESOURCE_EXHAUSTED;
	if (status != FTS_OK || (status = ftsi_match_scan(read->view, before_id, &cursor)) != FTS_OK) return status;
	while (status == FTS_OK && ftsi_match_next(cursor, &match, &damaged)) {
		if (!is_wanted(&match, request)) continue;
		response->more = response->n_matches == limit;
		if (response->more) break;
		status = add_match(read, &match, game_ms, response);
	}
	if (status == FTS_OK) status = damaged ? FTS_DATA_LOSS : fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

enum fts_status ftsi_game_read_list(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
				    void *ctx)
{
	const Fts__Game__V1__ListRequest *request = (const void *)message;
	struct ftsi_match after = {0};
	uint32_t limit = request->limit == 0 ? LIST_COUNT_DEFAULT : request->limit;
	enum fts_status status = FTS_OK;
	(void)ctx;
	if (request->rules[0] != '\0' && ftsi_game_rules_find(request->rules) == NULL)
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "rules: there is no such game");
	if (request->after[0] != '\0') status = ftsi_game_read_find(read, request->after, &after);
	if (status != FTS_OK) return status;
	status = list(read, request, after.id, limit < LIST_COUNT_MAX ? limit : LIST_COUNT_MAX, (void *)out);
	return status == FTS_OK ? FTS_OK : ftsi_game_read_broken(read, status);
}
