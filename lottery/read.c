/* Why this file exists: the methods that only read. Each runs on a view, on one of the replica's readers. */
#include "lottery/service_internal.h"

#include <fts/lottery/v1/lottery.fts.h>

enum {
	LIST_COUNT_MAX = 1000,
	PAGE_BYTES_MAX = 1024 * 1024, /* of an export, unless one record has more */
	WINNERS_BYTES_MAX = 3 * 1024 * 1024,
};

static enum fts_status broken(struct fts_read *read, enum fts_status status)
{
	if (status == FTS_RESOURCE_EXHAUSTED)
		return fts_read_refuse(read, status, "the answer takes too much memory: ask for less");
	return fts_read_refuse(read, status, "this node can't read the draw from its store");
}

static enum fts_status find(struct fts_read *read, const char *name, struct ftsi_draw *out_draw)
{
	enum fts_status status;
	if (!ftsi_draw_name_valid(name))
		return fts_read_refuse(read, FTS_INVALID_ARGUMENT, "draw: a name is 1 to 64 of a-z A-Z 0-9 . _ -");
	status = ftsi_draw_load(read->view, name, out_draw);
	if (status == FTS_NOT_FOUND) return fts_read_refuse(read, status, "there is no draw %s", name);
	return status == FTS_OK ? FTS_OK : broken(read, status);
}

/* ---- Winners ---- */

static enum fts_status answer_winners(struct fts_read *read, struct ftsi_winners *winners, const struct ftsi_draw *draw,
				      const Fts__Lottery__V1__WinnersRequest *request,
				      Fts__Lottery__V1__WinnersResponse *response)
{
	struct ftsi_winners_query query = {.agency = request->agency,
					   .from = request->from,
					   .count_max = request->limit,
					   .bytes_max = WINNERS_BYTES_MAX};
	enum fts_status status = ftsi_winners_find(winners, read->view, draw, &query, read->arena);
	if (status != FTS_OK) return broken(read, status);
	if (query.cut && request->limit == 0)
		return fts_read_refuse(
		    read, FTS_RESOURCE_EXHAUSTED,
		    "agency %u has %llu winners, more than fit in one answer: ask for pages (from, limit)",
		    request->agency, (unsigned long long)query.total);
	response->number = draw->number;
	response->total = query.total;
	response->documents = query.documents;
	response->n_documents = query.document_count;
	return FTS_OK;
}

enum fts_status ftsi_lottery_read_winners(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
					  void *ctx)
{
	const Fts__Lottery__V1__WinnersRequest *request = (const void *)message;
	struct fts_lottery *lottery = ctx;
	struct ftsi_draw draw = {0};
	struct fts_error error;
	enum fts_status status = find(read, request->draw, &draw);
	if (status != FTS_OK) return status;
	if ((status = ftsi_agency_check(&draw, request->agency, &error)) != FTS_OK)
		return fts_read_refuse(read, status, "%s", error.detail);
	if (draw.state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN)
		return answer_winners(read, lottery->winners, &draw, request, (void *)out);
	if (!request->no_wait) return fts_read_wait(read, fts_lottery_v1_draw_event_topic.name);
	if (draw.state == FTS__LOTTERY__V1__DRAW_STATE__SEALED)
		return fts_read_refuse(read, FTS_FAILED_PRECONDITION, "draw %s is sealed, its number is not drawn yet",
				       draw.name);
	return fts_read_refuse(read, FTS_FAILED_PRECONDITION, "draw %s is open: %u of %u agencies have not closed",
			       draw.name, draw.agencies - draw.agencies_closed, draw.agencies);
}

/* ---- Status and List ---- */

enum fts_status ftsi_lottery_read_status(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
					 void *ctx)
{
	const Fts__Lottery__V1__StatusRequest *request = (const void *)message;
	struct ftsi_draw draw = {0};
	enum fts_status status = find(read, request->draw, &draw);
	(void)ctx;
	if (status != FTS_OK) return status;
	status = ftsi_status_fill(read->view, read->arena, &draw, (void *)out);
	return status == FTS_OK ? FTS_OK : broken(read, status);
}

static enum fts_status add_summary(struct fts_read *read, struct fts_bytes name,
				   Fts__Lottery__V1__ListResponse *response)
{
	struct ftsi_draw draw = {0};
	char *copy = fts_arena_copy(read->arena, name.data, name.size_bytes);
	Fts__Lottery__V1__DrawSummary *summary = fts_arena_alloc(read->arena, sizeof *summary);
	enum fts_status status;
	if (copy == NULL || summary == NULL) return FTS_RESOURCE_EXHAUSTED;
	if (!ftsi_draw_name_valid(copy)) return FTS_DATA_LOSS;
	if ((status = ftsi_draw_load(read->view, copy, &draw)) != FTS_OK) return status;
	fts__lottery__v1__draw_summary__init(summary);
	summary->draw = copy;
	summary->state = draw.state;
	summary->bets = draw.tree.count;
	summary->agencies = draw.agencies;
	summary->agencies_closed =
	    draw.state == FTS__LOTTERY__V1__DRAW_STATE__OPEN ? draw.agencies_closed : draw.agencies;
	response->draws[response->n_draws++] = summary;
	return FTS_OK;
}

static enum fts_status list_after(struct fts_read *read, uint32_t after_id, uint32_t limit,
				  Fts__Lottery__V1__ListResponse *response)
{
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, name;
	enum fts_status status;
	response->draws = fts_arena_alloc(read->arena, limit * sizeof(void *));
	if (response->draws == NULL) return FTS_RESOURCE_EXHAUSTED;
	if ((status = ftsi_order_scan(read->view, after_id, &cursor)) != FTS_OK) return status;
	response->end = true;
	while (status == FTS_OK && fts_cursor_next(cursor, &key, &name)) {
		if (response->n_draws == limit) {
			response->end = false;
			break;
		}
		status = add_summary(read, name, response);
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

enum fts_status ftsi_lottery_read_list(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
				       void *ctx)
{
	const Fts__Lottery__V1__ListRequest *request = (const void *)message;
	struct ftsi_draw after = {0};
	uint32_t limit = request->limit == 0 || request->limit > LIST_COUNT_MAX ? LIST_COUNT_MAX : request->limit;
	enum fts_status status = FTS_OK;
	(void)ctx;
	if (request->after[0] != '\0') status = find(read, request->after, &after);
	if (status != FTS_OK) return status;
	status = list_after(read, after.id, limit, (void *)out);
	return status == FTS_OK ? FTS_OK : broken(read, status);
}

/* ---- Export ---- */

static bool fill_bet(struct fts_arena *arena, const struct ftsi_bet_parts *parts, Fts__Lottery__V1__Bet *bet)
{
	fts__lottery__v1__bet__init(bet);
	bet->number = parts->number;
	bet->document = fts_arena_copy(arena, parts->document.data, parts->document.size_bytes);
	bet->birthdate = fts_arena_copy(arena, parts->birthdate.data, parts->birthdate.size_bytes);
	bet->first_name = fts_arena_copy(arena, parts->first_name.data, parts->first_name.size_bytes);
	bet->last_name = fts_arena_copy(arena, parts->last_name.data, parts->last_name.size_bytes);
	return bet->document != NULL && bet->birthdate != NULL && bet->first_name != NULL && bet->last_name != NULL;
}

static enum fts_status fill_bets(struct fts_arena *arena, struct ftsi_reader *reader, uint32_t count,
				 Fts__Lottery__V1__ChainRecord *out)
{
	Fts__Lottery__V1__Bet *bets = fts_arena_alloc(arena, count * sizeof *bets);
	out->bets = fts_arena_alloc(arena, count * sizeof(void *));
	if (bets == NULL || out->bets == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (uint32_t i = 0; i < count; i++) {
		struct ftsi_bet_parts parts;
		if (!ftsi_bet_get(reader, &parts)) return FTS_DATA_LOSS;
		if (!fill_bet(arena, &parts, &bets[i])) return FTS_RESOURCE_EXHAUSTED;
		out->bets[out->n_bets++] = &bets[i];
	}
	return FTS_OK;
}

static enum fts_status fill_record(struct fts_arena *arena, struct fts_bytes value, Fts__Lottery__V1__ChainRecord *out)
{
	struct ftsi_reader reader = ftsi_reader_of(value.data, value.size_bytes);
	struct ftsi_record record;
	uint8_t head[FTSI_HASH_BYTES];
	fts__lottery__v1__chain_record__init(out);
	if (!ftsi_record_get(&reader, head, &record) || record.bet_count > FTSI_BATCH_COUNT_MAX) return FTS_DATA_LOSS;
	out->index = record.index;
	out->time_ms = record.time_ms;
	out->kind = record.kind;
	out->agency = record.agency;
	out->first_ticket = record.first_ticket;
	out->number = record.number;
	out->agencies = record.agencies;
	out->fixed = record.fixed;
	out->close_by_ms = record.close_by_ms;
	out->head = ftsi_binary(arena, head, FTSI_HASH_BYTES);
	out->entropy = ftsi_binary(arena, record.entropy.data, record.entropy.size_bytes);
	if (record.node.size_bytes > 0) out->node = fts_arena_copy(arena, record.node.data, record.node.size_bytes);
	if (record.kind == FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_SEAL)
		out->root = ftsi_binary(arena, record.digest, FTSI_HASH_BYTES);
	if (record.kind == FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_DRAW && !sodium_is_zero(record.digest, FTSI_HASH_BYTES))
		out->seed = ftsi_binary(arena, record.digest, FTSI_HASH_BYTES);
	if (fts_arena_exhausted(arena)) return FTS_RESOURCE_EXHAUSTED;
	return record.bet_count == 0 ? FTS_OK : fill_bets(arena, &reader, record.bet_count, out);
}

/* How large a record is once it is packed, roughly: tags are as long as the lengths they replace. */
static size_t exported_bytes(struct fts_bytes value, const Fts__Lottery__V1__ChainRecord *record)
{
	return value.size_bytes + 4 * record->n_bets;
}

static enum fts_status export_page(struct fts_read *read, const struct ftsi_draw *draw, uint64_t from, uint32_t limit,
				   Fts__Lottery__V1__ExportResponse *response)
{
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	size_t size_bytes = 0;
	uint64_t rest = from < draw->record_count ? draw->record_count - from : 0;
	uint64_t count_max = limit == 0 || limit > PAGE_BYTES_MAX / 64 ? PAGE_BYTES_MAX / 64 : limit;
	enum fts_status status;
	if (count_max > rest) count_max = rest;
	response->records = fts_arena_alloc(read->arena, count_max * sizeof(void *));
	if (response->records == NULL) return FTS_RESOURCE_EXHAUSTED;
	if ((status = ftsi_record_scan(read->view, draw->id, from, &cursor)) != FTS_OK) return status;
	while (status == FTS_OK && response->n_records < count_max && fts_cursor_next(cursor, &key, &value)) {
		Fts__Lottery__V1__ChainRecord *record;
		if (response->n_records > 0 && size_bytes + value.size_bytes > PAGE_BYTES_MAX) break;
		record = fts_arena_alloc(read->arena, sizeof *record);
		status = record == NULL ? FTS_RESOURCE_EXHAUSTED : fill_record(read->arena, value, record);
		if (status != FTS_OK) break;
		size_bytes += exported_bytes(value, record);
		response->records[response->n_records++] = record;
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	response->next_record = from + response->n_records;
	response->end = response->next_record >= draw->record_count;
	return status;
}

enum fts_status ftsi_lottery_read_export(struct fts_read *read, const ProtobufCMessage *message, ProtobufCMessage *out,
					 void *ctx)
{
	const Fts__Lottery__V1__ExportRequest *request = (const void *)message;
	Fts__Lottery__V1__ExportResponse *response = (void *)out;
	struct ftsi_draw draw = {0};
	enum fts_status status = find(read, request->draw, &draw);
	(void)ctx;
	if (status != FTS_OK) return status;
	if (draw.state == FTS__LOTTERY__V1__DRAW_STATE__OPEN)
		return fts_read_refuse(read, FTS_FAILED_PRECONDITION,
				       "draw %s is open: its proof is complete after the seal", draw.name);
	response->status = fts_arena_alloc(read->arena, sizeof *response->status);
	if (response->status == NULL) return broken(read, FTS_RESOURCE_EXHAUSTED);
	fts__lottery__v1__status_response__init(response->status);
	if ((status = ftsi_status_fill(read->view, read->arena, &draw, response->status)) != FTS_OK)
		return broken(read, status);
	status = export_page(read, &draw, request->from_record, request->limit, response);
	return status == FTS_OK ? FTS_OK : broken(read, status);
}
