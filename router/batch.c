/* Why this file exists: Kv.Batch: many calls on single keys in one, each with its own answer. Those for one owner share
 * messages and syncs all the same (router/remote.h). */
#include <stdlib.h>
#include <string.h>

#include "router/internal.h"

enum { OPS_MAX = 1024, ANSWER_BYTES_MAX = 3 * 1024 * 1024 };

struct batch;

/* Strings and values of a result are copies in one block. */
struct result {
	struct batch *batch;
	Fts__Kv__V1__BatchResult base;
	Fts__Kv__V1__SetResponse set;
	Fts__Kv__V1__GetResponse get;
	Fts__Kv__V1__DeleteResponse deleted;
	uint8_t *block;
};

struct batch {
	struct fts_call *call;
	struct fts_router *router;
	size_t count, log_count;
	uint16_t log_places[OPS_MAX]; /* of those that went to the log, in their order */
	atomic_size_t open_count, bytes;
	Fts__Kv__V1__BatchResult **list;
	struct result results[];
};

static void finish(struct batch *batch)
{
	Fts__Kv__V1__BatchResponse response = FTS__KV__V1__BATCH_RESPONSE__INIT;
	response.results = batch->list;
	response.n_results = batch->count;
	fts_kv_batch_reply(batch->call, &response);
	for (size_t i = 0; i < batch->count; i++)
		free(batch->results[i].block);
	free(batch->list);
	free(batch);
}

static void one_done(struct batch *batch)
{
	if (atomic_fetch_sub(&batch->open_count, 1) == 1) finish(batch);
}

static void refuse(struct result *result, enum fts_status status, const char *detail)
{
	result->base.code = (uint32_t)status;
	result->block = (uint8_t *)strdup(detail == NULL ? "" : detail);
	if (result->block != NULL) result->base.detail = (char *)result->block;
}

/* Copies text and value, one after the other. False: no memory. */
static bool copy(struct result *result, const char *text, ProtobufCBinaryData value, char **out_text,
		 ProtobufCBinaryData *out_value)
{
	size_t size = strlen(text) + 1;
	result->block = malloc(size + value.len);
	if (result->block == NULL) return false;
	memcpy(result->block, text, size);
	if (value.len > 0) memcpy(result->block + size, value.data, value.len);
	*out_text = (char *)result->block;
	*out_value = (ProtobufCBinaryData){value.len, result->block + size};
	return true;
}

/* What was written is short, and is told whatever else there is: asking again would do it once more. */
static bool has_room(struct batch *batch, const struct ftsi_answer *answer)
{
	size_t size = answer->get == NULL ? 0 : answer->get->value.len;
	return size == 0 || atomic_fetch_add(&batch->bytes, size) + size <= ANSWER_BYTES_MAX;
}

/* Maps are left out: a caller that sends many keys asks for it once. False: no memory. */
static bool keep(struct result *result, const struct ftsi_answer *answer)
{
	ProtobufCBinaryData none = {0};
	if (answer->set != NULL) {
		result->set = *answer->set;
		result->set.map = NULL;
		result->base.kind_case = FTS__KV__V1__BATCH_RESULT__KIND_SET;
		result->base.set = &result->set;
		return copy(result, answer->set->version, none, &result->set.version, &none);
	}
	if (answer->deleted != NULL) {
		result->deleted = *answer->deleted;
		result->deleted.map = NULL;
		result->base.kind_case = FTS__KV__V1__BATCH_RESULT__KIND_DELETE_KEY;
		result->base.delete_key = &result->deleted;
		return copy(result, answer->deleted->version, none, &result->deleted.version, &none);
	}
	result->get = *answer->get;
	result->get.map = NULL;
	result->base.kind_case = FTS__KV__V1__BATCH_RESULT__KIND_GET;
	result->base.get = &result->get;
	return copy(result, answer->get->version, answer->get->value, &result->get.version, &result->get.value);
}

static void answered(void *ctx, const struct ftsi_answer *answer)
{
	struct result *result = ctx;
	struct batch *batch = result->batch;
	if (answer->status != FTS_OK) {
		refuse(result, answer->status, answer->detail);
	} else if (!has_room(batch, answer)) {
		refuse(result, FTS_RESOURCE_EXHAUSTED, "the answers are too large for one batch: ask again");
	} else if (!keep(result, answer)) {
		result->base.kind_case = FTS__KV__V1__BATCH_RESULT__KIND__NOT_SET;
		refuse(result, FTS_RESOURCE_EXHAUSTED, "no memory for the answer");
	}
	one_done(batch);
}

/* ---- Writes to linearizable databases: one command for all of them ---- */

static bool goes_to_log(struct fts_router *router, const Fts__Kv__V1__BatchOp *op)
{
	if (op->kind_case == FTS__KV__V1__BATCH_OP__KIND_SET)
		return op->set->if_version[0] != '\0' || ftsi_is_linearizable(router, op->set->db);
	return op->kind_case == FTS__KV__V1__BATCH_OP__KIND_DELETE_KEY &&
	       (op->delete_key->if_version[0] != '\0' || ftsi_is_linearizable(router, op->delete_key->db));
}

static void end_log(struct batch *batch, const struct ftsi_answer *failure, const Fts__Kv__V1__BatchResponse *response)
{
	size_t count = batch->log_count; /* the last answer ends the batch */
	for (size_t i = 0; i < count; i++) {
		struct result *result = &batch->results[batch->log_places[i]];
		const Fts__Kv__V1__BatchResult *told = response == NULL ? NULL : response->results[i];
		struct ftsi_answer answer = {.executed = FTS_EXECUTED_YES};
		if (told == NULL) {
			answer = *failure;
		} else if (told->code != FTS_OK) {
			answer.status = (enum fts_status)told->code;
			answer.detail = told->detail;
		} else if (told->kind_case == FTS__KV__V1__BATCH_RESULT__KIND_SET) {
			answer.set = told->set;
		} else {
			answer.deleted = told->delete_key;
		}
		answered(result, &answer);
	}
}

static void log_done(void *ctx, enum fts_status status, const Fts__Kv__V1__BatchResponse *response,
		     const struct fts_error *error)
{
	struct batch *batch = ctx;
	struct ftsi_answer failure = {.status = status};
	if (status == FTS_OK && response->n_results == batch->log_count) {
		end_log(batch, NULL, response);
		return;
	}
	failure.detail = status == FTS_OK ? "the log answered something else" : error->detail;
	if (status == FTS_OK) failure.status = FTS_INTERNAL;
	end_log(batch, &failure, NULL);
}

static void send_to_log(struct batch *batch, Fts__Kv__V1__BatchOp **ops)
{
	struct ftsi_caller caller = ftsi_caller_of(batch->call);
	Fts__Kv__V1__BatchRequest request = FTS__KV__V1__BATCH_REQUEST__INIT;
	const struct fts_call_options options = {
	    .timeout_ms = ftsi_left_ms(caller.deadline_ns), .fence = caller.fence, .identity = &caller.identity};
	request.ops = ops;
	request.n_ops = batch->log_count;
	enum fts_status status =
	    fts_kv_admin_log_batch_start(batch->router->log, &request, &options, log_done, batch, NULL);
	if (status != FTS_OK)
		end_log(batch, &(struct ftsi_answer){.status = status, .detail = "too much is under way at this node"},
			NULL);
}

/* ---- Beginning ---- */

static void begin(struct batch *batch, const Fts__Kv__V1__BatchOp *op, struct result *result)
{
	struct ftsi_caller caller = ftsi_caller_of(batch->call);
	caller.ordinal = (uint32_t)(result - batch->results) + 1;
	switch (op->kind_case) {
	case FTS__KV__V1__BATCH_OP__KIND_SET:
		ftsi_do_set(batch->router, op->set, &caller, answered, result);
		break;
	case FTS__KV__V1__BATCH_OP__KIND_GET:
		ftsi_do_get(batch->router, op->get, &caller, answered, result);
		break;
	case FTS__KV__V1__BATCH_OP__KIND_DELETE_KEY:
		ftsi_do_delete(batch->router, op->delete_key, &caller, answered, result);
		break;
	default:
		answered(result, &(struct ftsi_answer){.status = FTS_INVALID_ARGUMENT,
						       .detail = "an operation is set, get or delete_key"});
	}
}

/* What goes to the log is told apart before anything begins: answers may come at once. */
static void begin_all(struct batch *batch, const Fts__Kv__V1__BatchRequest *request)
{
	Fts__Kv__V1__BatchOp *log_ops[OPS_MAX];
	bool in_log[OPS_MAX];
	for (size_t i = 0; i < batch->count; i++) {
		in_log[i] = goes_to_log(batch->router, request->ops[i]);
		if (!in_log[i]) continue;
		log_ops[batch->log_count] = request->ops[i];
		batch->log_places[batch->log_count++] = (uint16_t)i;
	}
	if (batch->log_count > 0) send_to_log(batch, log_ops);
	for (size_t i = 0; i < batch->count; i++)
		if (!in_log[i]) begin(batch, request->ops[i], &batch->results[i]);
}

void ftsi_serve_batch(struct fts_router *router, struct fts_call *call, const void *request_data)
{
	const Fts__Kv__V1__BatchRequest *request = request_data;
	size_t count = request->n_ops;
	if (count == 0 || count > OPS_MAX) {
		fts_call_fail(call, FTS_INVALID_ARGUMENT, "ops: 1 to %d, not %zu", OPS_MAX, count);
		return;
	}
	struct batch *batch = calloc(1, sizeof *batch + count * sizeof *batch->results);
	if (batch != NULL) batch->list = calloc(count, sizeof(Fts__Kv__V1__BatchResult *));
	if (batch == NULL || batch->list == NULL) {
		free(batch);
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "no memory for %zu operations", count);
		return;
	}
	batch->call = call;
	batch->router = router;
	batch->count = count;
	atomic_init(&batch->open_count, count + 1);
	for (size_t i = 0; i < count; i++) {
		batch->results[i].batch = batch;
		fts__kv__v1__batch_result__init(&batch->results[i].base);
		batch->list[i] = &batch->results[i].base;
	}
	begin_all(batch, request);
	one_done(batch);
}
