/* Why this file exists: the importer of <fts/lottery.h>: its life, and rows made into batches. */
#include "client/lottery_import.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

#define TEXT_MAX_BYTES (1024u * 1024)
#define BET_TEXT_MAX_BYTES (64u * 1024)
#define BET_STRINGS 4u

/* ---- create and destroy ---- */

static void init_locks(struct fts_lottery_importer *importer)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&importer->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&importer->ended_cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

static bool batch_init(struct ftsi_import_batch *batch, struct fts_lottery_importer *importer)
{
	size_t rows = importer->options.batch_rows;

	batch->importer = importer;
	batch->tags = calloc(rows, sizeof(*batch->tags));
	batch->bets = calloc(rows, sizeof(*batch->bets));
	batch->pointers = calloc(rows, sizeof(*batch->pointers));
	return batch->tags && batch->bets && batch->pointers;
}

static void batch_fini(struct ftsi_import_batch *batch)
{
	free(batch->answer);
	free(batch->text);
	free(batch->tags);
	free(batch->bets);
	free(batch->pointers);
}

static bool allocate_ring(struct fts_lottery_importer *importer)
{
	importer->ring_size = importer->options.outstanding_max + 1;
	importer->ring = calloc(importer->ring_size, sizeof(*importer->ring));
	if (!importer->ring) return false;
	for (uint32_t i = 0; i < importer->ring_size; i++)
		if (!batch_init(&importer->ring[i], importer)) return false;
	return true;
}

static struct fts_lottery_import_options with_defaults(struct fts_lottery_import_options options)
{
	if (!options.batch_rows) options.batch_rows = 200;
	if (!options.outstanding_max) options.outstanding_max = 8;
	if (!options.timeout_ms) options.timeout_ms = 5000;
	if (!options.patience_ms) options.patience_ms = 60000;
	if (!options.first_patience_ms) options.first_patience_ms = options.patience_ms;
	return options;
}

static enum fts_status check_options(const struct fts_lottery_import_options *options, struct fts_error *out_error)
{
	size_t import_bytes = options->import ? strnlen(options->import, 129) : 0;

	if (import_bytes < 1 || import_bytes > 128)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "import: a name of 1 to 128 bytes");
	if (!options->draw) return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "draw: missing");
	if (options->batch_rows > FTS_LOTTERY_BATCH_ROWS_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "batch_rows: at most %u",
				     FTS_LOTTERY_BATCH_ROWS_MAX);
	if (options->outstanding_max > FTS_LOTTERY_OUTSTANDING_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "outstanding_max: at most %u",
				     FTS_LOTTERY_OUTSTANDING_MAX);
	return FTS_OK;
}

enum fts_status fts_lottery_importer_create(struct fts_channel *channel,
					    const struct fts_lottery_import_options *options,
					    const struct fts_lottery_import_observer *observer,
					    struct fts_lottery_importer **out_importer, struct fts_error *out_error)
{
	enum fts_status st = check_options(options, out_error);
	struct fts_lottery_importer *importer;

	if (st != FTS_OK) return st;
	importer = calloc(1, sizeof(*importer));
	if (!importer) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for an importer");
	importer->channel = channel;
	importer->options = with_defaults(*options);
	importer->observer = observer ? *observer : (struct fts_lottery_import_observer){0};
	importer->window = 1;
	init_locks(importer);
	if (!allocate_ring(importer)) {
		fts_lottery_importer_destroy(importer);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for an importer");
	}
	*out_importer = importer;
	return FTS_OK;
}

void fts_lottery_importer_destroy(struct fts_lottery_importer *importer)
{
	if (!importer) return;
	ftsi_importer_wait_for_all_sent(importer);
	for (uint32_t i = 0; importer->ring && i < importer->ring_size; i++)
		batch_fini(&importer->ring[i]);
	free(importer->ring);
	pthread_cond_destroy(&importer->ended_cond);
	pthread_mutex_destroy(&importer->lock);
	free(importer);
}

void fts_lottery_importer_stop(struct fts_lottery_importer *importer)
{
	pthread_mutex_lock(&importer->lock);
	importer->stopping = true;
	pthread_cond_broadcast(&importer->ended_cond);
	pthread_mutex_unlock(&importer->lock);
}

struct fts_lottery_import_counts fts_lottery_importer_counts(const struct fts_lottery_importer *importer)
{
	return importer->counts;
}

/* ---- rows ---- */

static bool reserve_text(struct ftsi_import_batch *batch, size_t more_bytes)
{
	size_t needed = batch->text_used_bytes + more_bytes;
	size_t size_bytes = batch->text_size_bytes ? batch->text_size_bytes : 16384;

	while (size_bytes < needed)
		size_bytes *= 2;
	if (size_bytes == batch->text_size_bytes) return true;
	char *text = realloc(batch->text, size_bytes);
	if (!text) return false;
	batch->text = text;
	batch->text_size_bytes = size_bytes;
	return true;
}

static size_t bet_text_bytes(const struct fts_lottery_bet *bet)
{
	const char *strings[BET_STRINGS] = {bet->first_name, bet->last_name, bet->document, bet->birthdate};
	size_t bytes = 0;

	for (size_t i = 0; i < BET_STRINGS; i++)
		bytes += strnlen(strings[i], BET_TEXT_MAX_BYTES + 1) + 1;
	return bytes;
}

static void put_string(struct ftsi_import_batch *batch, const char *string)
{
	size_t bytes = strlen(string) + 1;

	memcpy(batch->text + batch->text_used_bytes, string, bytes);
	batch->text_used_bytes += bytes;
}

static void put_bet(struct ftsi_import_batch *batch, uint64_t tag, const struct fts_lottery_bet *bet)
{
	put_string(batch, bet->first_name);
	put_string(batch, bet->last_name);
	put_string(batch, bet->document);
	put_string(batch, bet->birthdate);
	batch->tags[batch->row_count] = tag;
	fts__lottery__v1__bet__init(&batch->bets[batch->row_count]);
	batch->bets[batch->row_count].number = bet->number;
	batch->row_count++;
}

/* The text moves no more: let the bets point into it. */
static void seal(struct fts_lottery_importer *importer)
{
	struct ftsi_import_batch *batch = ftsi_import_batch_at(importer, importer->fill);
	char *at = batch->text;

	for (uint32_t i = 0; i < batch->row_count; i++) {
		Fts__Lottery__V1__Bet *bet = &batch->bets[i];
		char **strings[BET_STRINGS] = {&bet->first_name, &bet->last_name, &bet->document, &bet->birthdate};
		for (size_t k = 0; k < BET_STRINGS; k++) {
			*strings[k] = at;
			at += strlen(at) + 1;
		}
		batch->pointers[i] = bet;
	}
	batch->state = FTSI_BATCH_READY;
	importer->fill++;
}

/* Seal what is being filled, and make room for the next. */
static enum fts_status flush(struct fts_lottery_importer *importer, struct fts_error *out_error)
{
	if (ftsi_import_batch_at(importer, importer->fill)->row_count == 0) return FTS_OK;
	if (importer->head == importer->fill)
		importer->progress_ns = fts_clock_monotonic_ns(); /* the pause before was the caller's */
	seal(importer);
	enum fts_status st = ftsi_importer_pump(importer, importer->ring_size - 1, out_error);
	if (st != FTS_OK) return st;
	struct ftsi_import_batch *next = ftsi_import_batch_at(importer, importer->fill);
	FTS_ASSERT(next->state == FTSI_BATCH_EMPTY);
	next->row_count = 0;
	next->text_used_bytes = 0;
	return FTS_OK;
}

enum fts_status fts_lottery_importer_add(struct fts_lottery_importer *importer, uint64_t row, uint64_t tag,
					 const struct fts_lottery_bet *bet, struct fts_error *out_error)
{
	struct ftsi_import_batch *batch = ftsi_import_batch_at(importer, importer->fill);
	size_t bytes = bet_text_bytes(bet);
	enum fts_status st = FTS_OK;

	if (importer->failed) {
		if (out_error) *out_error = importer->failure;
		return importer->failure.status;
	}
	if (row <= importer->last_row || bytes > BET_TEXT_MAX_BYTES)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     row <= importer->last_row ? "row numbers must grow" : "the bet is above 64 KiB");
	if (batch->row_count > 0 &&
	    (row != importer->last_row + 1 || batch->row_count == importer->options.batch_rows ||
	     batch->text_used_bytes + bytes > TEXT_MAX_BYTES))
		st = flush(importer, out_error);
	if (st != FTS_OK) return st;
	batch = ftsi_import_batch_at(importer, importer->fill);
	if (!reserve_text(batch, bytes))
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a batch");
	if (batch->row_count == 0) {
		batch->first_row = row;
		batch->after_row = importer->last_row;
	}
	put_bet(batch, tag, bet);
	importer->last_row = row;
	return FTS_OK;
}

enum fts_status fts_lottery_importer_finish(struct fts_lottery_importer *importer, struct fts_error *out_error)
{
	enum fts_status st = flush(importer, out_error);

	return st == FTS_OK ? ftsi_importer_pump(importer, 0, out_error) : st;
}
