/* Why this file exists: the commands that store bets: load, judge and add (batch.c), store. */
#include "lottery/service_internal.h"

#include <fts/lottery/v1/lottery.fts.h>

#include "lottery/batch.h"

/* One command that stores bets of one agency. */
struct storing {
	struct fts_apply *apply;
	struct ftsi_step step;
	struct ftsi_draw draw;
	uint32_t number;
	struct ftsi_agency agency;
	struct ftsi_batch batch;
	struct ftsi_import import;
	uint64_t first_ticket;
};

static enum fts_status refuse(struct storing *storing, enum fts_status status)
{
	return fts_apply_refuse(storing->apply, status, "%s", storing->step.error.detail);
}

static enum fts_status no_memory(struct storing *storing)
{
	return fts_apply_refuse(storing->apply, FTS_RESOURCE_EXHAUSTED, "the batch takes too much memory: send less");
}

static enum fts_status load(struct storing *storing, const char *draw, uint32_t agency)
{
	struct fts_apply *apply = storing->apply;
	enum fts_status status = ftsi_lottery_apply_find(apply, draw, &storing->draw);
	if (status != FTS_OK) return status;
	if ((status = ftsi_agency_check(&storing->draw, agency, &storing->step.error)) != FTS_OK)
		return refuse(storing, status);
	storing->number = agency;
	status = ftsi_agency_load(apply->txn, storing->draw.id, agency, &storing->agency);
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(apply, status, "an agency");
}

static void start(struct storing *storing, struct fts_apply *apply, Fts__Lottery__V1__Bet *const *bets, size_t count)
{
	storing->apply = apply;
	storing->step.index = apply->index;
	storing->step.time_ms = apply->time_ms;
	storing->step.record_count = 0;
	storing->step.event_count = 0;
	storing->first_ticket = 0;
	storing->batch = (struct ftsi_batch){.bets = bets, .count = (uint32_t)count};
}

/* Store what the batch has to be stored, publish it. */
static enum fts_status keep(struct storing *storing)
{
	struct fts_apply *apply = storing->apply;
	Fts__Lottery__V1__BetsEvent event = FTS__LOTTERY__V1__BETS_EVENT__INIT;
	enum fts_status status = ftsi_batch_add(&storing->batch, &storing->draw, storing->number, &storing->agency,
						&storing->step, apply->arena, &storing->first_ticket);
	if (status != FTS_OK) return no_memory(storing);
	if ((status = ftsi_lottery_apply_keep(apply, &storing->step, &storing->draw)) != FTS_OK) return status;
	status = ftsi_agency_save(apply->txn, storing->draw.id, storing->number, &storing->agency);
	if (status != FTS_OK) return ftsi_lottery_apply_broken(apply, status, "an agency");
	event.draw = storing->draw.name;
	event.agency = storing->number;
	event.stored = storing->batch.stored_count;
	event.first_ticket = storing->first_ticket;
	return fts_apply_publish(apply, fts_lottery_v1_bets_event_topic.name, &event.base);
}

/* ---- StoreBet ---- */

enum fts_status ftsi_lottery_apply_store_bet(struct fts_apply *apply, const ProtobufCMessage *message,
					     ProtobufCMessage *out, void *ctx)
{
	const Fts__Lottery__V1__StoreBetRequest *request = (const void *)message;
	Fts__Lottery__V1__StoreBetResponse *response = (void *)out;
	struct storing storing;
	enum fts_status status;
	(void)ctx;
	start(&storing, apply, &request->bet, 1);
	if ((status = load(&storing, request->draw, request->agency)) != FTS_OK) return status;
	status = ftsi_batch_check_open(&storing.draw, storing.number, &storing.agency, &storing.step);
	if (status != FTS_OK) return refuse(&storing, status);
	if (ftsi_batch_read(&storing.batch, ftsi_day_of(apply->time_ms), apply->arena) != FTS_OK)
		return no_memory(&storing);
	if (storing.batch.refused_count > 0) {
		ftsi_verdict_text(storing.batch.verdicts[0], storing.step.error.detail,
				  sizeof storing.step.error.detail);
		return refuse(&storing, FTS_INVALID_ARGUMENT);
	}
	status = keep(&storing);
	response->ticket = storing.first_ticket;
	return status;
}

/* ---- StoreBatch ---- */

static enum fts_status check_import(struct storing *storing, const Fts__Lottery__V1__StoreBatchRequest *request)
{
	struct fts_apply *apply = storing->apply;
	size_t name_bytes = strlen(request->import);
	if (name_bytes > FTSI_IMPORT_NAME_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "import: %zu bytes are more than %d", name_bytes,
					FTSI_IMPORT_NAME_MAX);
	if (!ftsi_text_is_plain(request->import))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "import: is not UTF-8, or has control characters");
	if (name_bytes == 0 && (request->first_row != 0 || request->after_row != 0))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
					"import: is missing, but %s is given: rows are those of an import",
					request->first_row != 0 ? "first_row" : "after_row");
	if (name_bytes > 0 && (request->first_row < 1 || request->first_row > INT64_MAX - FTSI_BATCH_COUNT_MAX))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
					"first_row: rows of an import are numbered from 1");
	if (name_bytes > 0 && request->after_row >= request->first_row)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "after_row: is not before first_row");
	return FTS_OK;
}

static enum fts_status check_batch(struct storing *storing, const Fts__Lottery__V1__StoreBatchRequest *request)
{
	if (request->n_bets < 1 || request->n_bets > FTSI_BATCH_COUNT_MAX)
		return fts_apply_refuse(storing->apply, FTS_INVALID_ARGUMENT, "bets: %zu are not 1 to %d",
					request->n_bets, FTSI_BATCH_COUNT_MAX);
	return check_import(storing, request);
}

static enum fts_status load_import(struct storing *storing, const Fts__Lottery__V1__StoreBatchRequest *request)
{
	struct fts_apply *apply = storing->apply;
	struct ftsi_batch *batch = &storing->batch;
	uint64_t last_row = request->first_row + request->n_bets - 1;
	uint64_t first_page = request->first_row / FTSI_PAGE_ROW_COUNT;
	enum fts_status status;
	storing->import = (struct ftsi_import){.agency = storing->number,
					       .name = {(const uint8_t *)request->import, strlen(request->import)}};
	status = ftsi_import_load(apply->txn, storing->draw.id, &storing->import);
	if (status != FTS_OK) return ftsi_lottery_apply_broken(apply, status, "an import");
	if (request->after_row > storing->import.judged_row)
		return fts_apply_refuse(apply, FTS_ABORTED,
					"import %s has come to row %llu only, not to %llu: send these rows "
					"after those before them",
					request->import, (unsigned long long)storing->import.judged_row,
					(unsigned long long)request->after_row);
	batch->import = storing->import.name;
	batch->first_row = request->first_row;
	batch->page_count = (uint32_t)(last_row / FTSI_PAGE_ROW_COUNT - first_page + 1);
	batch->pages = fts_arena_alloc(apply->arena, batch->page_count * sizeof *batch->pages);
	if (batch->pages == NULL) return no_memory(storing);
	for (uint32_t i = 0; i < batch->page_count && status == FTS_OK; i++)
		status =
		    ftsi_page_load(apply->txn, storing->draw.id, &storing->import, first_page + i, &batch->pages[i]);
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(apply, status, "an import's rows");
}

static enum fts_status keep_import(struct storing *storing)
{
	struct fts_apply *apply = storing->apply;
	struct ftsi_batch *batch = &storing->batch;
	uint64_t last_row = batch->first_row + batch->count - 1;
	enum fts_status status = FTS_OK;
	for (uint32_t i = 0; i < batch->page_count && status == FTS_OK; i++)
		if (batch->pages[i].changed)
			status = ftsi_page_save(apply->txn, storing->draw.id, &storing->import, &batch->pages[i]);
	if (status == FTS_OK && last_row > storing->import.judged_row) {
		storing->import.judged_row = last_row;
		status = ftsi_import_save(apply->txn, storing->draw.id, &storing->import);
	}
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(apply, status, "an import");
}

/* Everything is judged: store what is to be stored, unless a rule forbids it. */
static enum fts_status settle(struct storing *storing, const Fts__Lottery__V1__StoreBatchRequest *request,
			      Fts__Lottery__V1__StoreBatchResponse *response)
{
	struct ftsi_batch *batch = &storing->batch;
	enum fts_status status = FTS_OK;
	/* An import that was stored to its end may be given again also after the close: it changes nothing. */
	if (batch->already_count < batch->count) {
		status = ftsi_batch_check_open(&storing->draw, storing->number, &storing->agency, &storing->step);
		if (status != FTS_OK) return refuse(storing, status);
	}
	response->already = batch->already_count;
	response->refused = batch->refused_count;
	response->n_verdicts = batch->refused_count;
	response->verdicts = batch->verdicts;
	if (request->all_or_nothing && batch->refused_count > 0) return FTS_OK;
	if (batch->pages != NULL && (status = keep_import(storing)) != FTS_OK) return status;
	if (batch->stored_count > 0) status = keep(storing);
	response->stored = batch->stored_count;
	response->first_ticket = storing->first_ticket;
	return status;
}

enum fts_status ftsi_lottery_apply_store_batch(struct fts_apply *apply, const ProtobufCMessage *message,
					       ProtobufCMessage *out, void *ctx)
{
	const Fts__Lottery__V1__StoreBatchRequest *request = (const void *)message;
	Fts__Lottery__V1__StoreBatchResponse *response = (void *)out;
	struct storing storing;
	enum fts_status status;
	(void)ctx;
	start(&storing, apply, request->bets, request->n_bets);
	if ((status = load(&storing, request->draw, request->agency)) != FTS_OK ||
	    (status = check_batch(&storing, request)) != FTS_OK)
		return status;
	if (request->import[0] != '\0') {
		if ((status = load_import(&storing, request)) != FTS_OK) return status;
	} else {
		status = ftsi_batch_check_open(&storing.draw, storing.number, &storing.agency, &storing.step);
		if (status != FTS_OK) return refuse(&storing, status);
	}
	if (ftsi_batch_read(&storing.batch, ftsi_day_of(apply->time_ms), apply->arena) != FTS_OK)
		return no_memory(&storing);
	return settle(&storing, request, response);
}
