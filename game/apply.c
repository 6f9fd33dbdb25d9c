/* Why this file exists: the commands of callers: load, transition (match.c), store. */
#include <fts/game/v1/game.fts.h>
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "game/message.h"
#include "game/service_internal.h"
#include "game/token.h"
#include "replica/fence.h"

static enum fts_status no_memory(struct fts_apply *apply)
{
	return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "the answer takes too much memory");
}

/* ---- What the serving node puts in ---- */

static struct fts_bytes pack(const ProtobufCMessage *request, struct fts_arena *arena, struct fts_error *out_error)
{
	uint8_t *packed = fts_arena_alloc(arena, protobuf_c_message_get_packed_size(request));
	if (packed == NULL) {
		fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for this call now: try later");
		return (struct fts_bytes){NULL, 0};
	}
	return (struct fts_bytes){packed, protobuf_c_message_pack(request, packed)};
}

struct fts_bytes ftsi_game_prepare_create(const ProtobufCMessage *message, struct fts_arena *arena, void *ctx,
					  struct fts_error *out_error)
{
	Fts__Game__V1__CreateRequest request = *(const Fts__Game__V1__CreateRequest *)(const void *)message;
	uint8_t entropy[FTSI_GAME_ENTROPY_BYTES];
	(void)ctx;
	randombytes_buf(entropy, sizeof entropy);
	request.entropy = (ProtobufCBinaryData){sizeof entropy, entropy};
	return pack(&request.base, arena, out_error);
}

struct fts_bytes ftsi_game_prepare_join(const ProtobufCMessage *message, struct fts_arena *arena, void *ctx,
					struct fts_error *out_error)
{
	Fts__Game__V1__JoinRequest request = *(const Fts__Game__V1__JoinRequest *)(const void *)message;
	uint8_t entropy[FTSI_GAME_ENTROPY_BYTES];
	(void)ctx;
	randombytes_buf(entropy, sizeof entropy);
	request.entropy = (ProtobufCBinaryData){sizeof entropy, entropy};
	return pack(&request.base, arena, out_error);
}

struct fts_bytes ftsi_game_prepare_rematch(const ProtobufCMessage *message, struct fts_arena *arena, void *ctx,
					   struct fts_error *out_error)
{
	Fts__Game__V1__RematchRequest request = *(const Fts__Game__V1__RematchRequest *)(const void *)message;
	uint8_t entropy[FTSI_GAME_ENTROPY_BYTES];
	(void)ctx;
	randombytes_buf(entropy, sizeof entropy);
	request.entropy = (ProtobufCBinaryData){sizeof entropy, entropy};
	return pack(&request.base, arena, out_error);
}

/* ---- Create ---- */

enum fts_status ftsi_game_apply_create(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *out,
				       void *ctx)
{
	const Fts__Game__V1__CreateRequest *request = (const void *)message;
	Fts__Game__V1__CreateResponse *response = (void *)out;
	struct ftsi_game_change change;
	struct ftsi_match_name name;
	enum fts_status status;
	(void)ctx;
	if ((status = fts_apply_check_fence(apply, request->if_fence)) != FTS_OK ||
	    (status = ftsi_change_begin(&change, apply)) != FTS_OK ||
	    (status = ftsi_change_name(&change, request->entropy, &name)) != FTS_OK)
		return status;
	if ((status = ftsi_match_create(request, &change.step, &change.match)) != FTS_OK)
		return ftsi_change_refuse(&change, status);
	change.match.name = name;
	if ((status = ftsi_change_admit(&change, &change.match)) != FTS_OK ||
	    (status = ftsi_change_keep(&change, &change.match, &change.step)) != FTS_OK)
		return status;
	response->match = fts_arena_copy(apply->arena, name.text, strlen(name.text));
	return response->match == NULL ? no_memory(apply) : ftsi_change_end(&change);
}

/* ---- Join ---- */

enum fts_status ftsi_game_apply_join(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *out,
				     void *ctx)
{
	const Fts__Game__V1__JoinRequest *request = (const void *)message;
	Fts__Game__V1__JoinResponse *response = (void *)out;
	struct ftsi_game_change change;
	char token[FTSI_MATCH_TOKEN_BYTES + 1];
	uint8_t hash[FTSI_MATCH_TOKEN_HASH_BYTES];
	enum fts_status status;
	(void)ctx;
	if (request->entropy.len != FTSI_GAME_ENTROPY_BYTES)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "entropy: is put in by the serving node");
	if ((status = ftsi_change_begin(&change, apply)) != FTS_OK ||
	    (status = ftsi_change_find(&change, request->match)) != FTS_OK)
		return status;
	ftsi_game_token_make(request->entropy.data, &change.match.name, token);
	ftsi_game_token_hash(token, hash);
	status = ftsi_match_join(&change.match, request, hash, &change.step, &response->seat);
	if (status != FTS_OK) return ftsi_change_refuse(&change, status);
	if ((status = ftsi_change_keep(&change, &change.match, &change.step)) != FTS_OK) return status;
	response->token = fts_arena_copy(apply->arena, token, strlen(token));
	return response->token == NULL ? no_memory(apply) : ftsi_change_end(&change);
}

/* ---- Move ---- */

static enum fts_status answer_move(const struct ftsi_match *match, struct fts_apply *apply,
				   Fts__Game__V1__MoveResponse *response)
{
	response->ply = match->position.ply;
	response->outcome = match->outcome;
	response->winner = match->winner;
	response->turn = ftsi_match_turn(match);
	response->reason = match->reason;
	response->board = ftsi_match_board(match->rules, &match->position, apply->arena);
	return response->board == NULL ? no_memory(apply) : FTS_OK;
}

enum fts_status ftsi_game_apply_move(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *out,
				     void *ctx)
{
	const Fts__Game__V1__MoveRequest *request = (const void *)message;
	struct ftsi_game_change change;
	uint32_t seat = 0;
	enum fts_status status;
	(void)ctx;
	if ((status = ftsi_change_begin(&change, apply)) != FTS_OK ||
	    (status = ftsi_change_find(&change, request->match)) != FTS_OK ||
	    (status = ftsi_change_seat(&change, request->token, &seat)) != FTS_OK)
		return status;
	status = ftsi_match_move(&change.match, seat, request->move, request->ply, &change.step);
	if (status != FTS_OK) return ftsi_change_refuse(&change, status);
	if ((status = ftsi_change_keep(&change, &change.match, &change.step)) != FTS_OK ||
	    (status = answer_move(&change.match, apply, (void *)out)) != FTS_OK)
		return status;
	return ftsi_change_end(&change);
}

/* ---- Resign ---- */

enum fts_status ftsi_game_apply_resign(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *out,
				       void *ctx)
{
	const Fts__Game__V1__ResignRequest *request = (const void *)message;
	Fts__Game__V1__ResignResponse *response = (void *)out;
	struct ftsi_game_change change;
	uint32_t seat = 0;
	enum fts_status status;
	(void)ctx;
	if ((status = ftsi_change_begin(&change, apply)) != FTS_OK ||
	    (status = ftsi_change_find(&change, request->match)) != FTS_OK ||
	    (status = ftsi_change_seat(&change, request->token, &seat)) != FTS_OK)
		return status;
	if ((status = ftsi_match_resign(&change.match, seat, &change.step)) != FTS_OK)
		return ftsi_change_refuse(&change, status);
	if ((status = ftsi_change_keep(&change, &change.match, &change.step)) != FTS_OK) return status;
	response->outcome = change.match.outcome;
	response->winner = change.match.winner;
	return ftsi_change_end(&change);
}

/* ---- Rematch ---- */

static enum fts_status make_rematch(struct ftsi_game_change *change, const Fts__Game__V1__RematchRequest *request,
				    uint32_t seat)
{
	struct ftsi_match_step step = ftsi_change_step(change);
	struct ftsi_match next;
	struct ftsi_match_name name;
	enum fts_status status = ftsi_change_name(change, request->entropy, &name);
	if (status != FTS_OK) return status;
	ftsi_match_rematch_make(&change->match, seat, &name, &change->step, &next, &step);
	/* The old one is stored first: it may be the oldest, which goes for the new one. */
	if ((status = ftsi_change_keep(change, &change->match, &change->step)) != FTS_OK ||
	    (status = ftsi_change_admit(change, &next)) != FTS_OK)
		return status;
	return ftsi_change_keep(change, &next, &step);
}

enum fts_status ftsi_game_apply_rematch(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *out,
					void *ctx)
{
	const Fts__Game__V1__RematchRequest *request = (const void *)message;
	Fts__Game__V1__RematchResponse *response = (void *)out;
	struct ftsi_game_change change;
	uint32_t seat = 0;
	bool make = false;
	enum fts_status status;
	(void)ctx;
	if ((status = ftsi_change_begin(&change, apply)) != FTS_OK ||
	    (status = ftsi_change_find(&change, request->match)) != FTS_OK ||
	    (status = ftsi_change_seat(&change, request->token, &seat)) != FTS_OK)
		return status;
	if ((status = ftsi_match_rematch_ask(&change.match, seat, &change.step, &make)) != FTS_OK)
		return ftsi_change_refuse(&change, status);
	if (make)
		status = make_rematch(&change, request, seat);
	else if (change.step.event_count > 0)
		status = ftsi_change_keep(&change, &change.match, &change.step);
	if (status != FTS_OK) return status;
	response->match = fts_arena_copy(apply->arena, change.match.rematch.text, strlen(change.match.rematch.text));
	return response->match == NULL ? no_memory(apply) : ftsi_change_end(&change);
}
