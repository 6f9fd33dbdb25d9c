/* Why this file exists: a draw as callers see it, for Status, Open and Export. */
#include "lottery/service_internal.h"

ProtobufCBinaryData ftsi_binary(struct fts_arena *arena, const void *data, size_t size_bytes)
{
	if (size_bytes == 0) return (ProtobufCBinaryData){0, NULL};
	return (ProtobufCBinaryData){size_bytes, (uint8_t *)fts_arena_copy(arena, data, size_bytes)};
}

static enum fts_status add_agencies(struct fts_txn *txn, struct fts_arena *arena, const struct ftsi_draw *draw,
				    Fts__Lottery__V1__StatusResponse *response)
{
	struct fts_cursor *cursor = NULL;
	struct ftsi_agency agency;
	uint32_t number;
	enum fts_status status;
	Fts__Lottery__V1__AgencyStatus *agencies = fts_arena_alloc(arena, draw->agencies * sizeof *agencies);
	response->agencies = fts_arena_alloc(arena, draw->agencies * sizeof(void *));
	if (agencies == NULL || response->agencies == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (uint32_t i = 0; i < draw->agencies; i++) {
		fts__lottery__v1__agency_status__init(&agencies[i]);
		agencies[i].agency = i + 1;
		agencies[i].closed = draw->state != FTS__LOTTERY__V1__DRAW_STATE__OPEN;
		response->agencies[i] = &agencies[i];
	}
	response->n_agencies = draw->agencies;
	if ((status = ftsi_agency_scan(txn, draw->id, &cursor)) != FTS_OK) return status;
	while (ftsi_agency_next(cursor, &number, &agency)) {
		if (number < 1 || number > draw->agencies) continue;
		agencies[number - 1].bets = agency.bet_count;
		agencies[number - 1].closed |= agency.closed;
	}
	status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

static enum fts_status fill_commitment(struct fts_arena *arena, const struct ftsi_commitment *from,
				       Fts__Lottery__V1__Commitment *to)
{
	fts__lottery__v1__commitment__init(to);
	to->node = fts_arena_copy(arena, from->node, strlen(from->node));
	to->hash = ftsi_binary(arena, from->hash, FTSI_HASH_BYTES);
	if (from->revealed) to->secret = ftsi_binary(arena, from->secret, FTSI_HASH_BYTES);
	return to->node == NULL || to->hash.data == NULL || (from->revealed && to->secret.data == NULL)
		   ? FTS_RESOURCE_EXHAUSTED
		   : FTS_OK;
}

static enum fts_status add_commitments(struct fts_txn *txn, struct fts_arena *arena, const struct ftsi_draw *draw,
				       Fts__Lottery__V1__StatusResponse *response)
{
	struct ftsi_commitments commitments;
	Fts__Lottery__V1__Commitment *all;
	enum fts_status status = ftsi_commitments_load(txn, draw->id, &commitments);
	if (status != FTS_OK || commitments.count == 0) return status;
	all = fts_arena_alloc(arena, commitments.count * sizeof *all);
	response->commitments = fts_arena_alloc(arena, commitments.count * sizeof(void *));
	if (all == NULL || response->commitments == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (uint32_t i = 0; i < commitments.count && status == FTS_OK; i++) {
		status = fill_commitment(arena, &commitments.of[i], &all[i]);
		response->commitments[response->n_commitments++] = &all[i];
	}
	return status;
}

enum fts_status ftsi_status_fill(struct fts_txn *txn, struct fts_arena *arena, const struct ftsi_draw *draw,
				 Fts__Lottery__V1__StatusResponse *response)
{
	enum fts_status status;
	response->draw = fts_arena_copy(arena, draw->name, strlen(draw->name));
	response->state = draw->state;
	response->bets = draw->tree.count;
	response->chain = ftsi_binary(arena, draw->head, FTSI_HASH_BYTES);
	response->fixed = draw->fixed;
	response->seal_index = draw->seal_index;
	response->draw_index = draw->draw_index;
	response->close_by_ms = draw->close_by_ms;
	if (draw->state != FTS__LOTTERY__V1__DRAW_STATE__OPEN)
		response->root = ftsi_binary(arena, draw->root, FTSI_HASH_BYTES);
	if (draw->state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN) response->number = draw->number;
	if (response->draw == NULL || response->chain.data == NULL || fts_arena_exhausted(arena))
		return FTS_RESOURCE_EXHAUSTED;
	if ((status = add_agencies(txn, arena, draw, response)) != FTS_OK) return status;
	return add_commitments(txn, arena, draw, response);
}
