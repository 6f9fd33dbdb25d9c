/* Why this file exists: how batches of an import get stored: sent within a window, settled in order, sent again
 * after failures that a retry may cure; see client/lottery_import.h for the invariants. */
#include "client/lottery_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define BACKOFF_FIRST_MS 50u
#define BACKOFF_MAX_MS 1000u

void ftsi_importer_wait_for_all_sent(struct fts_lottery_importer *importer)
{
	pthread_mutex_lock(&importer->lock);
	while (importer->sent_count > 0)
		pthread_cond_wait(&importer->ended_cond, &importer->lock);
	pthread_mutex_unlock(&importer->lock);
}

/* ---- one call ---- */

/* Runs on a thread of the channel's. */
static void batch_done(void *ctx, enum fts_status status, const Fts__Lottery__V1__StoreBatchResponse *response,
		       const struct fts_error *error)
{
	struct ftsi_import_batch *batch = ctx;
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
	batch->state = FTSI_BATCH_ENDED;
	importer->sent_count--;
	pthread_cond_broadcast(&importer->ended_cond);
	pthread_mutex_unlock(&importer->lock);
}

static void mark_sent(struct ftsi_import_batch *batch)
{
	pthread_mutex_lock(&batch->importer->lock);
	batch->state = FTSI_BATCH_SENT;
	batch->importer->sent_count++;
	pthread_mutex_unlock(&batch->importer->lock);
}

static void send_batch(struct fts_lottery_importer *importer, struct ftsi_import_batch *batch)
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

static bool is_ready(struct fts_lottery_importer *importer, const struct ftsi_import_batch *batch)
{
	pthread_mutex_lock(&importer->lock);
	bool ready = batch->state == FTSI_BATCH_READY;
	pthread_mutex_unlock(&importer->lock);
	return ready;
}

/* Oldest first, as far as the window reaches. */
static void send_ready(struct fts_lottery_importer *importer)
{
	for (uint64_t i = importer->head; i < importer->fill && i - importer->head < importer->window; i++)
		if (is_ready(importer, ftsi_import_batch_at(importer, i)))
			send_batch(importer, ftsi_import_batch_at(importer, i));
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

static void tell_refusals(struct fts_lottery_importer *importer, const struct ftsi_import_batch *batch,
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
static enum fts_status settle_answer(struct fts_lottery_importer *importer, struct ftsi_import_batch *batch)
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
	batch->state = FTSI_BATCH_EMPTY;
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
		struct ftsi_import_batch *batch = ftsi_import_batch_at(importer, i);
		if (batch->state != FTSI_BATCH_ENDED || batch->status == FTS_OK) continue;
		batch->state = FTSI_BATCH_READY;
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
	view.head_ended = importer->head < importer->fill &&
			  ftsi_import_batch_at(importer, importer->head)->state == FTSI_BATCH_ENDED;
	view.something_failed = false;
	for (uint64_t i = importer->head; i < importer->fill; i++) {
		const struct ftsi_import_batch *batch = ftsi_import_batch_at(importer, i);
		if (batch->state == FTSI_BATCH_ENDED && batch->status != FTS_OK) view.something_failed = true;
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
	struct ftsi_import_batch *head = ftsi_import_batch_at(importer, importer->head);
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
enum fts_status ftsi_importer_pump(struct fts_lottery_importer *importer, uint64_t sealed_max,
				   struct fts_error *out_error)
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
