/* Why this file exists: see survey.h: the answering half. One aio goes round: receive, answer, send, receive. */
#include <nng/nng.h>
#include <nng/protocol/survey0/respond.h>
#include <stdlib.h>

#include "rpc/stock.h"
#include "rpc/survey.h"

#define PAUSE_MS 100 /* after an error of nng's that is not the end */

enum step { STEP_RECEIVE, STEP_SEND, STEP_PAUSE };

struct fts_respondent {
	nng_socket socket;
	bool open;
	nng_ctx context;
	bool context_open;
	nng_aio *aio;
	enum step step; /* what the aio does; of its callback alone */
	fts_respond_fn respond;
	void *ctx;
	struct ftsi_stock_door door;
	uint16_t port;
	uint8_t answer[FTS_SURVEY_ANSWER_MAX_BYTES];
};

static void receive(struct fts_respondent *respondent)
{
	respondent->step = STEP_RECEIVE;
	nng_ctx_recv(respondent->context, respondent->aio);
}

/* Send the answer to question (owned). */
static void answer(struct fts_respondent *respondent, nng_msg *question)
{
	struct fts_bytes bytes = {nng_msg_body(question), nng_msg_len(question)};
	size_t size_bytes = respondent->respond(respondent->ctx, bytes, respondent->answer);

	nng_msg_clear(question);
	if (size_bytes == 0 || nng_msg_append(question, respondent->answer, size_bytes) != 0) {
		nng_msg_free(question);
		receive(respondent);
		return;
	}
	respondent->step = STEP_SEND;
	nng_aio_set_msg(respondent->aio, question);
	nng_ctx_send(respondent->context, respondent->aio);
}

static void on_step(void *ctx)
{
	struct fts_respondent *respondent = ctx;
	int error = nng_aio_result(respondent->aio);

	if (error != 0 && respondent->step == STEP_SEND) nng_msg_free(nng_aio_get_msg(respondent->aio));
	if (error == NNG_ECLOSED || error == NNG_ECANCELED) return;
	if (error != 0 && respondent->step == STEP_RECEIVE) {
		respondent->step = STEP_PAUSE;
		nng_sleep_aio(PAUSE_MS, respondent->aio);
	} else if (error == 0 && respondent->step == STEP_RECEIVE) {
		answer(respondent, nng_aio_get_msg(respondent->aio));
	} else {
		receive(respondent);
	}
}

static enum fts_status start(struct fts_respondent *respondent, const struct fts_respondent_options *options,
			     struct fts_error *out_error)
{
	int error = nng_respondent0_open(&respondent->socket);

	respondent->open = error == 0;
	if (error == 0) error = nng_ctx_open(&respondent->context, respondent->socket);
	respondent->context_open = error == 0;
	if (error == 0) error = nng_aio_alloc(&respondent->aio, on_step, respondent);
	if (error != 0) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for health surveys");
	enum fts_status status =
	    ftsi_stock_listen(respondent->socket, options->listen, &options->tls, FTS_SURVEY_QUESTION_MAX_BYTES,
			      &respondent->port, &respondent->door, out_error);
	if (status == FTS_OK) receive(respondent);
	return status;
}

enum fts_status fts_respondent_create(const struct fts_respondent_options *options,
				      struct fts_respondent **out_respondent, struct fts_error *out_error)
{
	struct fts_respondent *respondent = calloc(1, sizeof *respondent);

	if (!respondent) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for health surveys");
	respondent->respond = options->respond;
	respondent->ctx = options->ctx;
	enum fts_status status = start(respondent, options, out_error);
	if (status == FTS_OK)
		*out_respondent = respondent;
	else
		fts_respondent_destroy(respondent);
	return status;
}

uint16_t fts_respondent_port(const struct fts_respondent *respondent)
{
	return respondent->port;
}

void fts_respondent_destroy(struct fts_respondent *respondent)
{
	if (!respondent) return;
	if (respondent->context_open) nng_ctx_close(respondent->context);
	if (respondent->aio) {
		nng_aio_stop(respondent->aio); /* waits for its callback */
		nng_aio_free(respondent->aio);
	}
	if (respondent->open) nng_close(respondent->socket);
	ftsi_stock_door_close(&respondent->door);
	free(respondent);
}
