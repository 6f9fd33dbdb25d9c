/* Why this file exists: see survey.h: the asking half. */
#include <nng/nng.h>
#include <nng/protocol/survey0/survey.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "rpc/endpoint.h"
#include "rpc/pipe_set.h"
#include "rpc/stock.h"
#include "rpc/survey.h"

struct fts_surveyor {
	nng_socket socket;
	bool open;
	uint32_t endpoint_count;
	nng_dialer dialers[FTSI_ENDPOINT_COUNT_MAX]; /* one an endpoint */
	struct ftsi_tls_watch *tls[FTSI_ENDPOINT_COUNT_MAX];
	pthread_mutex_t mutex;
	pthread_cond_t connected;
	struct ftsi_pipe_set pipes; /* guarded by mutex */
};

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *ctx)
{
	struct fts_surveyor *surveyor = ctx;

	pthread_mutex_lock(&surveyor->mutex);
	ftsi_pipe_set_note(&surveyor->pipes, pipe, event);
	pthread_cond_broadcast(&surveyor->connected);
	pthread_mutex_unlock(&surveyor->mutex);
}

static enum fts_status dial_all(struct fts_surveyor *surveyor, const struct fts_surveyor_options *options,
				struct fts_error *out_error)
{
	struct ftsi_endpoint_list *list = calloc(1, sizeof *list);
	enum fts_status status = list
				     ? ftsi_endpoint_list_parse(options->endpoints, list, out_error)
				     : fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for health surveys");

	for (uint32_t i = 0; status == FTS_OK && i < list->count; i++) {
		status =
		    ftsi_stock_dial(surveyor->socket, list->items[i].text, FTSI_HEALTH_PORT_OFFSET, &options->tls,
				    FTS_SURVEY_ANSWER_MAX_BYTES, &surveyor->dialers[i], &surveyor->tls[i], out_error);
		surveyor->endpoint_count += status == FTS_OK;
	}
	free(list);
	return status;
}

static enum fts_status start(struct fts_surveyor *surveyor, const struct fts_surveyor_options *options,
			     struct fts_error *out_error)
{
	int error = nng_surveyor0_open(&surveyor->socket);

	surveyor->open = error == 0;
	if (error == 0) error = nng_pipe_notify(surveyor->socket, NNG_PIPE_EV_ADD_POST, on_pipe, surveyor);
	if (error == 0) error = nng_pipe_notify(surveyor->socket, NNG_PIPE_EV_REM_POST, on_pipe, surveyor);
	if (error != 0) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for health surveys");
	return dial_all(surveyor, options, out_error);
}

enum fts_status fts_surveyor_create(const struct fts_surveyor_options *options, struct fts_surveyor **out_surveyor,
				    struct fts_error *out_error)
{
	struct fts_surveyor *surveyor = calloc(1, sizeof *surveyor);
	pthread_condattr_t attributes;

	if (!surveyor) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for health surveys");
	pthread_mutex_init(&surveyor->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&surveyor->connected, &attributes);
	pthread_condattr_destroy(&attributes);
	enum fts_status status = start(surveyor, options, out_error);
	if (status == FTS_OK)
		*out_surveyor = surveyor;
	else
		fts_surveyor_destroy(surveyor);
	return status;
}

/* Wait until everybody is connected, or deadline_ns. Returns how many are. */
static uint32_t wait_connected(struct fts_surveyor *surveyor, uint64_t deadline_ns)
{
	struct timespec until = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
	int error = 0;

	pthread_mutex_lock(&surveyor->mutex);
	while (surveyor->pipes.count < surveyor->endpoint_count && error == 0)
		error = pthread_cond_timedwait(&surveyor->connected, &surveyor->mutex, &until);
	uint32_t count = surveyor->pipes.count;
	pthread_mutex_unlock(&surveyor->mutex);
	return count;
}

static enum fts_status send_question(nng_ctx context, nng_aio *aio, struct fts_bytes question)
{
	nng_msg *message = NULL;

	if (nng_msg_alloc(&message, 0) != 0) return FTS_RESOURCE_EXHAUSTED;
	if (nng_msg_append(message, question.data, question.size_bytes) != 0) {
		nng_msg_free(message);
		return FTS_RESOURCE_EXHAUSTED;
	}
	nng_aio_set_msg(aio, message);
	nng_ctx_send(context, aio);
	nng_aio_wait(aio);
	if (nng_aio_result(aio) == 0) return FTS_OK;
	nng_msg_free(message);
	return FTS_UNAVAILABLE;
}

/* Over which connection it came says from whom. endpoint_count: that is gone already. */
static uint32_t find_endpoint(const struct fts_surveyor *surveyor, nng_msg *answer)
{
	int id = nng_dialer_id(nng_pipe_dialer(nng_msg_get_pipe(answer)));
	uint32_t at = 0;

	while (at < surveyor->endpoint_count && nng_dialer_id(surveyor->dialers[at]) != id)
		at++;
	return at;
}

/* Hand out answers until answer_max have come, one from each, or nng says that the survey is over. Who answers again
 * takes the place of nobody. */
static uint32_t receive_answers(const struct fts_surveyor *surveyor, nng_ctx context, nng_aio *aio, uint32_t answer_max,
				fts_survey_answer_fn on_answer, void *ctx)
{
	bool has_answered[FTSI_ENDPOINT_COUNT_MAX + 1] = {false}; /* the last: of those who are gone already */
	uint32_t count = 0;

	while (count < answer_max) {
		nng_ctx_recv(context, aio);
		nng_aio_wait(aio);
		if (nng_aio_result(aio) != 0) break;
		nng_msg *message = nng_aio_get_msg(aio);
		uint32_t from = find_endpoint(surveyor, message);
		bool is_first = from == surveyor->endpoint_count || !has_answered[from];
		if (from < surveyor->endpoint_count && is_first)
			on_answer(ctx, from, (struct fts_bytes){nng_msg_body(message), nng_msg_len(message)});
		nng_msg_free(message);
		has_answered[from] = true;
		count += is_first;
	}
	return count;
}

enum fts_status fts_surveyor_ask(struct fts_surveyor *surveyor, struct fts_bytes question, uint32_t wait_ms,
				 fts_survey_answer_fn on_answer, void *ctx, uint32_t *out_answer_count,
				 struct fts_error *out_error)
{
	uint64_t now_ns = fts_clock_monotonic_ns(), deadline_ns = fts_clock_deadline_ns(now_ns, wait_ms);
	nng_ctx context = NNG_CTX_INITIALIZER;
	nng_aio *aio = NULL;
	bool open = false;
	enum fts_status status = FTS_OK;

	if (question.size_bytes > FTS_SURVEY_QUESTION_MAX_BYTES)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a question is at most %d bytes",
				     FTS_SURVEY_QUESTION_MAX_BYTES);
	uint32_t connected = wait_connected(surveyor, fts_clock_deadline_ns(now_ns, wait_ms / 2));
	uint32_t left_ms = fts_clock_left_ms(fts_clock_monotonic_ns(), deadline_ns);
	/* The survey's own time ends it: cancelling a receive is not safe in this nng (dangers.md). */
	open = nng_ctx_open(&context, surveyor->socket) == 0;
	if (!open || nng_aio_alloc(&aio, NULL, NULL) != 0 ||
	    nng_ctx_set_ms(context, NNG_OPT_SURVEYOR_SURVEYTIME, left_ms > 0 ? (nng_duration)left_ms : 1) != 0)
		status = FTS_RESOURCE_EXHAUSTED;
	if (status == FTS_OK && connected > 0) status = send_question(context, aio, question);
	if (status == FTS_OK)
		*out_answer_count =
		    connected > 0 ? receive_answers(surveyor, context, aio, connected, on_answer, ctx) : 0;
	if (aio) nng_aio_free(aio);
	if (open) nng_ctx_close(context);
	return status == FTS_OK ? FTS_OK : fts_error_set(out_error, status, "the survey could not be sent");
}

void fts_surveyor_destroy(struct fts_surveyor *surveyor)
{
	if (!surveyor) return;
	if (surveyor->open) nng_close(surveyor->socket);
	for (uint32_t i = 0; i < FTSI_ENDPOINT_COUNT_MAX; i++)
		ftsi_stock_tls_free(surveyor->tls[i]);
	pthread_cond_destroy(&surveyor->connected);
	pthread_mutex_destroy(&surveyor->mutex);
	free(surveyor);
}
