/* Why this file exists: the importer of <fts/lottery.h>: batches in flight, in order, over the death of servers.
 *
 * Batches stand in a ring by sequence: [head, fill) are sealed, fill is being filled. A sealed batch is READY to be
 * sent, SENT, or ENDED; the owner's thread settles ENDED ones from the head on. When one fails in a way that a
 * retry may cure, everything in flight is waited for, and then the head goes out alone; the window opens again
 * with each success (1, 2, 4, …). Each batch names the last row of the one before it (after_row), so that none can
 * be stored before its predecessor whatever happens on the way: tickets follow the order of the rows.
 *
 * The stub's own retry is off: it would let batches overtake each other. A resent batch is a new call; that its
 * rows are stored once is the server's promise for (draw, agency, import, row). */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fts/lottery.h>

#include "base/assert.h"
#include "base/clock.h"

#define TEXT_MAX_BYTES (1024u * 1024)
#define BET_TEXT_MAX_BYTES (64u * 1024)
#define BACKOFF_FIRST_MS 50u
#define BACKOFF_MAX_MS 1000u
#define BET_STRINGS 4u

enum batch_state { BATCH_EMPTY, BATCH_READY, BATCH_SENT, BATCH_ENDED };

struct batch {
	struct fts_lottery_importer *importer;
	enum batch_state state; /* SENT -> ENDED by the callback: guarded by lock; all else by the owner alone */
	enum fts_status status; /* of ENDED */
	struct fts_error error; /* of ENDED, when it failed */
	uint8_t *answer;        /* of ENDED, when it did not: packed, ours */
	size_t answer_size_bytes;
	uint64_t first_row;
	uint64_t after_row;
	uint32_t row_count;
	char *text; /* BET_STRINGS strings a row, one behind the other */
	size_t text_used_bytes;
	size_t text_size_bytes;
	uint64_t *tags;
	Fts__Lottery__V1__Bet *bets;
	Fts__Lottery__V1__Bet **pointers;
};

struct fts_lottery_importer {
	struct fts_channel *channel;
	struct fts_lottery_import_options options;
	struct fts_lottery_import_observer observer;
	struct fts_lottery_import_counts counts;
	struct fts_error failure; /* once failed */
	bool failed;
	bool waiting; /* the observer has been told so */
	uint64_t last_row;
	uint64_t head;
	uint64_t fill;
	uint32_t ring_size;
	uint32_t window;
	uint32_t backoff_ms;   /* 0: nothing failed lately */
	uint64_t resend_at_ns; /* not before */
	uint64_t progress_ns;  /* when something was last stored, or the wait for it began */
	pthread_mutex_t lock;
	pthread_cond_t ended_cond; /* CLOCK_MONOTONIC */
	uint32_t sent_count;       /* guarded by lock */
	bool stopping;             /* guarded by lock */
	struct batch *ring;
};

static struct batch *batch_at(const struct fts_lottery_importer *importer, uint64_t sequence)
{
	return &importer->ring[sequence % importer->ring_size];
}

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

static bool batch_init(struct batch *batch, struct fts_lottery_importer *importer)
{
	size_t rows = importer->options.batch_rows;

	batch->importer = importer;
	batch->tags = calloc(rows, sizeof(*batch->tags));
	batch->bets = calloc(rows, sizeof(*batch->bets));
	batch->pointers = calloc(rows, sizeof(*batch->pointers));
	return batch->tags && batch->bets && batch->pointers;
}

static void batch_fini(struct batch *batch)
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

static void wait_for_all_sent(struct fts_lottery_importer *importer)
{
	pthread_mutex_lock(&importer->lock);
	while (importer->sent_count > 0)
		pthread_cond_wait(&importer->ended_cond, &importer->lock);
	pthread_mutex_unlock(&importer->lock);
}

void fts_lottery_importer_destroy(struct fts_lottery_importer *importer)
{
	if (!importer) return;
	wait_for_all_sent(importer);
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

/* ---- one call ---- */

/* Runs on a thread of the channel's. */
static void batch_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__StoreBatchResponse *response,
		       const struct fts_error *error)
{
	struct batch *batch = ctx;
	struct fts_lottery_importer *importer = batch->importer;

	batch->status = status;
	if (status == FTS_OK) {
		batch->answer_size_bytes = fts__lottery__v1__store_batch_response__get_packed_size(response);
		batch->answer = malloc(batch->answer_size_bytes + 1);
		if (batch->answer)
			fts__lottery__v1__store_batch_response__pack(response, batch->answer);
		else
			batch->status = fts_error_set(&batch->error, FTS_RESOURCE_EXHAUSTED, "no memory");
	} else {
		batch->error = *error;
	}
	pthread_mutex_lock(&importer->lock);
	batch->state = BATCH_ENDED;
	importer->sent_count--;
	pthread_cond_broadcast(&importer->ended_cond);
	pthread_mutex_unlock(&importer->lock);
}

static void mark_sent(struct batch *batch)
{
	pthread_mutex_lock(&batch->importer->lock);
	batch->state = BATCH_SENT;
	batch->importer->sent_count++;
	pthread_mutex_unlock(&batch->importer->lock);
}

static void send_batch(struct fts_lottery_importer *importer, struct batch *batch)
{
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	struct fts_call_options options = {.timeout_ms = importer->options.timeout_ms, .no_retry = true};

	request.draw = (char *)importer->options.draw;
	request.agency = importer->options.agency;
	request.import = (char *)importer->options.import;
	request.first_row = batch->first_row;
	request.after_row = batch->after_row;
	request.bets = batch->pointers;
	request.n_bets = batch->row_count;
	mark_sent(batch);
	importer->counts.calls++;
	enum fts_status st =
	    fts_lottery_store_batch_start(importer->channel, &request, &options, batch_done, batch, NULL);
	if (st != FTS_OK) {
		struct fts_error error;
		fts_error_set(&error, st, "the call could not be started");
		batch_done(batch, st, NULL, &error);
	}
}

static bool is_ready(struct fts_lottery_importer *importer, const struct batch *batch)
{
	pthread_mutex_lock(&importer->lock);
	bool ready = batch->state == BATCH_READY;
	pthread_mutex_unlock(&importer->lock);
	return ready;
}

/* Oldest first, as far as the window reaches. */
static void send_ready(struct fts_lottery_importer *importer)
{
	for (uint64_t i = importer->head; i < importer->fill && i - importer->head < importer->window; i++)
		if (is_ready(importer, batch_at(importer, i))) send_batch(importer, batch_at(importer, i));
}

/* ---- how it ended ---- */

static void join_faults(const Fts__Lottery__V1__RowVerdict *verdict, char *buf, size_t size_bytes)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < verdict->n_faults && used < size_bytes; i++) {
		int wrote = snprintf(buf + used, size_bytes - used, "%s%s: %s", used ? "; " : "",
				     verdict->faults[i]->field, verdict->faults[i]->reason);
		used += wrote > 0 ? (size_t)wrote : 0;
	}
}

static void tell_refusals(struct fts_lottery_importer *importer, const struct batch *batch,
			  const Fts__Lottery__V1__StoreBatchResponse *response)
{
	char reason[1024];

	for (size_t i = 0; i < response->n_verdicts && importer->observer.refused; i++) {
		uint32_t row = response->verdicts[i]->row;
		if (row >= batch->row_count) continue;
		join_faults(response->verdicts[i], reason, sizeof(reason));
		struct fts_lottery_refusal refusal = {
		    .row = batch->first_row + row, .tag = batch->tags[row], .bet = &batch->bets[row], .reason = reason};
		importer->observer.refused(importer->observer.ctx, &refusal);
	}
}

static enum fts_status fail(struct fts_lottery_importer *importer, const struct fts_error *error)
{
	importer->failed = true;
	importer->failure = *error;
	return error->status;
}

/* The head was answered. */
static enum fts_status settle_answer(struct fts_lottery_importer *importer, struct batch *batch)
{
	Fts__Lottery__V1__StoreBatchResponse *response =
	    fts__lottery__v1__store_batch_response__unpack(NULL, batch->answer_size_bytes, batch->answer);
	struct fts_error error;

	free(batch->answer);
	batch->answer = NULL;
	if (!response) {
		fts_error_set(&error, FTS_RESOURCE_EXHAUSTED, "no memory");
		return fail(importer, &error);
	}
	uint64_t judged = (uint64_t)response->stored + response->already + response->refused;
	importer->counts.stored += response->stored;
	importer->counts.already += response->already;
	importer->counts.refused += response->refused;
	tell_refusals(importer, batch, response);
	fts__lottery__v1__store_batch_response__free_unpacked(response, NULL);
	batch->state = BATCH_EMPTY;
	importer->head++;
	if (judged == batch->row_count) return FTS_OK;
	fts_error_set(&error, FTS_INTERNAL, "the server judged %llu of the %u rows from row %llu on",
		      (unsigned long long)judged, batch->row_count, (unsigned long long)batch->first_row);
	return fail(importer, &error);
}

static void note_progress(struct fts_lottery_importer *importer)
{
	importer->progress_ns = fts_clock_monotonic_ns();
	importer->backoff_ms = 0;
	importer->resend_at_ns = 0;
	importer->options.first_patience_ms = importer->options.patience_ms;
	if (importer->window < importer->options.outstanding_max)
		importer->window = 2 * importer->window < importer->options.outstanding_max
				       ? 2 * importer->window
				       : importer->options.outstanding_max;
	if (importer->waiting && importer->observer.waiting)
		importer->observer.waiting(importer->observer.ctx, NULL, 0);
	importer->waiting = false;
}

static bool is_curable(enum fts_status status)
{
	return status == FTS_UNAVAILABLE || status == FTS_DEADLINE_EXCEEDED || status == FTS_RESOURCE_EXHAUSTED ||
	       status == FTS_ABORTED;
}

/* Nothing is in flight and the head has failed: put everything that failed back in line. */
static void rewind_failed(struct fts_lottery_importer *importer)
{
	for (uint64_t i = importer->head; i < importer->fill; i++) {
		struct batch *batch = batch_at(importer, i);
		if (batch->state != BATCH_ENDED || batch->status == FTS_OK) continue;
		batch->state = BATCH_READY;
		importer->counts.retries++;
	}
}

static enum fts_status retry_head(struct fts_lottery_importer *importer, const struct fts_error *error)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint64_t waited_ms = (now_ns - importer->progress_ns) / 1000000;

	if (waited_ms >= importer->options.first_patience_ms) return fail(importer, error);
	importer->backoff_ms = importer->backoff_ms ? 2 * importer->backoff_ms : BACKOFF_FIRST_MS;
	if (importer->backoff_ms > BACKOFF_MAX_MS) importer->backoff_ms = BACKOFF_MAX_MS;
	/* Spread by the clock's last digits, so that importers that failed together don't return together. */
	uint32_t pause_ms = importer->backoff_ms / 2 + (uint32_t)(now_ns / 1000 % importer->backoff_ms);
	if (pause_ms < error->retry_after_ms && error->retry_after_ms <= importer->options.patience_ms)
		pause_ms = error->retry_after_ms;
	uint32_t left_ms = (uint32_t)(importer->options.first_patience_ms - waited_ms);
	importer->resend_at_ns = fts_clock_deadline_ns(now_ns, pause_ms < left_ms ? pause_ms : left_ms);
	importer->window = 1;
	rewind_failed(importer);
	if (importer->observer.waiting) importer->observer.waiting(importer->observer.ctx, error, waited_ms);
	importer->waiting = true;
	return FTS_OK;
}

/* ---- the owner's loop ---- */

/* What may be looked at without the lock: states change under it only from SENT to ENDED. */
struct view {
	uint32_t sent_count;
	bool stopping;
	bool head_ended;
	bool something_failed;
};

static struct view look(struct fts_lottery_importer *importer)
{
	struct view view;

	pthread_mutex_lock(&importer->lock);
	view.sent_count = importer->sent_count;
	view.stopping = importer->stopping;
	view.head_ended = importer->head < importer->fill && batch_at(importer, importer->head)->state == BATCH_ENDED;
	view.something_failed = false;
	for (uint64_t i = importer->head; i < importer->fill; i++) {
		const struct batch *batch = batch_at(importer, i);
		if (batch->state == BATCH_ENDED && batch->status != FTS_OK) view.something_failed = true;
	}
	pthread_mutex_unlock(&importer->lock);
	return view;
}

/* Until a call ends, somebody stops the import, or it is time to send again. */
static void wait_for_change(struct fts_lottery_importer *importer, const struct view *seen)
{
	uint64_t until_ns = importer->resend_at_ns;
	struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000), .tv_nsec = (long)(until_ns % 1000000000)};
	int rc = 0;

	pthread_mutex_lock(&importer->lock);
	while (rc == 0 && importer->sent_count == seen->sent_count && importer->stopping == seen->stopping) {
		if (seen->sent_count == 0)
			rc = pthread_cond_timedwait(&importer->ended_cond, &importer->lock, &until);
		else
			rc = pthread_cond_wait(&importer->ended_cond, &importer->lock);
	}
	pthread_mutex_unlock(&importer->lock);
}

/* One step towards less in flight. out_moved: false when there is nothing to do but wait. */
static enum fts_status step(struct fts_lottery_importer *importer, const struct view *view, bool *out_moved)
{
	struct batch *head = batch_at(importer, importer->head);
	enum fts_status st = FTS_OK;

	*out_moved = true;
	if (view->head_ended && head->status == FTS_OK) {
		st = settle_answer(importer, head);
		if (st == FTS_OK) note_progress(importer);
		return st;
	}
	if (view->head_ended && view->sent_count == 0)
		return is_curable(head->status) && !view->stopping ? retry_head(importer, &head->error)
								   : fail(importer, &head->error);
	*out_moved = false;
	if (view->stopping && view->sent_count == 0) {
		struct fts_error error;
		fts_error_set(&error, FTS_CANCELLED, "stopped");
		return fail(importer, &error);
	}
	if (!view->something_failed && !view->stopping && fts_clock_monotonic_ns() >= importer->resend_at_ns) {
		uint64_t calls = importer->counts.calls;
		send_ready(importer);
		*out_moved = importer->counts.calls != calls;
	}
	return FTS_OK;
}

/* Work until at most sealed_max batches are not settled. */
static enum fts_status pump(struct fts_lottery_importer *importer, uint64_t sealed_max, struct fts_error *out_error)
{
	enum fts_status st = FTS_OK;

	while (!importer->failed) {
		struct view view = look(importer);
		bool moved = false;
		bool enough = importer->fill - importer->head <= sealed_max;
		st = step(importer, &view, &moved);
		if (moved || st != FTS_OK) continue;
		if (enough && !view.stopping) return FTS_OK;
		wait_for_change(importer, &view);
	}
	if (out_error) *out_error = importer->failure;
	return importer->failure.status;
}

/* ---- rows ---- */

static bool reserve_text(struct batch *batch, size_t more_bytes)
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

static void put_string(struct batch *batch, const char *string)
{
	size_t bytes = strlen(string) + 1;

	memcpy(batch->text + batch->text_used_bytes, string, bytes);
	batch->text_used_bytes += bytes;
}

static void put_bet(struct batch *batch, uint64_t tag, const struct fts_lottery_bet *bet)
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
	struct batch *batch = batch_at(importer, importer->fill);
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
	batch->state = BATCH_READY;
	importer->fill++;
}

/* Seal what is being filled, and make room for the next. */
static enum fts_status flush(struct fts_lottery_importer *importer, struct fts_error *out_error)
{
	if (batch_at(importer, importer->fill)->row_count == 0) return FTS_OK;
	if (importer->head == importer->fill)
		importer->progress_ns = fts_clock_monotonic_ns(); /* the pause before was the caller's */
	seal(importer);
	enum fts_status st = pump(importer, importer->ring_size - 1, out_error);
	if (st != FTS_OK) return st;
	struct batch *next = batch_at(importer, importer->fill);
	FTS_ASSERT(next->state == BATCH_EMPTY);
	next->row_count = 0;
	next->text_used_bytes = 0;
	return FTS_OK;
}

enum fts_status fts_lottery_importer_add(struct fts_lottery_importer *importer, uint64_t row, uint64_t tag,
					 const struct fts_lottery_bet *bet, struct fts_error *out_error)
{
	struct batch *batch = batch_at(importer, importer->fill);
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
	batch = batch_at(importer, importer->fill);
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

	return st == FTS_OK ? pump(importer, 0, out_error) : st;
}
