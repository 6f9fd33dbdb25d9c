/* Why this file exists: one question to everybody, for health: SURVEYOR and RESPONDENT of nng (base port + 2). Bytes
 * here; what is asked and answered is fts.health.v1's.
 *
 * Invariants
 * - Every survey has a context of its own: one sent as the last one expires deadlocks nng (dangers.md).
 * - A survey ends at its time limit, or before when everybody who is connected has answered.
 * - An answer is made where the question was read, in fixed memory. */
#ifndef FTS_RPC_SURVEY_H
#define FTS_RPC_SURVEY_H

#include <fts/rpc.h>

#define FTS_SURVEY_QUESTION_MAX_BYTES 1024
#define FTS_SURVEY_ANSWER_MAX_BYTES 4096

/* ---- Answering ---- */

struct fts_respondent;

/* Write the answer to question (borrowed) into out (FTS_SURVEY_ANSWER_MAX_BYTES bytes, borrowed). Returns its size;
 * 0: no answer. Thread: one of the runtime's, one call at a time; must not block. */
typedef size_t (*fts_respond_fn)(void *ctx, struct fts_bytes question, uint8_t *out);

struct fts_respondent_options {
	const char *listen; /* "HOST:PORT" of the survey itself; port 0: any free one. Borrowed. */
	struct fts_tls tls;
	fts_respond_fn respond;
	void *ctx;
};

/* Listen and answer. out_respondent: returned (fts_respondent_destroy).
 * Errors: INVALID_ARGUMENT, UNAVAILABLE (address in use), RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_respondent_create(const struct fts_respondent_options *options,
						   struct fts_respondent **out_respondent, struct fts_error *out_error);
/* The port it listens on. */
uint16_t fts_respondent_port(const struct fts_respondent *respondent);
/* Close and free (owned; NULL: no-op). respond is not called any more once it returns. Thread: any but respond's. */
void fts_respondent_destroy(struct fts_respondent *respondent);

/* ---- Asking ---- */

struct fts_surveyor;

struct fts_surveyor_options {
	const char *endpoints; /* "HOST:PORT,..." of their calls; health is 2 above. Borrowed. */
	struct fts_tls tls;
};

/* Begin to connect to everybody; lost connections come back by themselves. out_surveyor: returned
 * (fts_surveyor_destroy). Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_surveyor_create(const struct fts_surveyor_options *options,
						 struct fts_surveyor **out_surveyor, struct fts_error *out_error);

/* One answer. endpoint_index: whose it is, by its place in the list of endpoints. answer: borrowed until it returns. */
typedef void (*fts_survey_answer_fn)(void *ctx, uint32_t endpoint_index, struct fts_bytes answer);

/* Ask, and wait for answers, wait_ms (> 0) at most; half of it may pass until everybody is connected. on_answer is
 * called for each, on this thread. out_answer_count: how many. Surveys may run side by side. Blocks. Thread: any but
 * a callback's. Errors: INVALID_ARGUMENT (question too large), RESOURCE_EXHAUSTED, UNAVAILABLE (closed). */
FTS_MUST_USE enum fts_status fts_surveyor_ask(struct fts_surveyor *surveyor, struct fts_bytes question,
					      uint32_t wait_ms, fts_survey_answer_fn on_answer, void *ctx,
					      uint32_t *out_answer_count, struct fts_error *out_error);
/* Close and free (owned; NULL: no-op). No survey may run. */
void fts_surveyor_destroy(struct fts_surveyor *surveyor);

#endif
