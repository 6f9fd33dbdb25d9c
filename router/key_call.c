/* Why this file exists: one call on one key: checked, sent to the sharded store or to the replicated log, and put into
 * the words of its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "router/internal.h"
#include "router/recall.h"

enum kind { SET, GET, DELETE };

/* Lives until its answer. */
struct key_call {
	struct fts_router *router;
	enum kind kind;
	const void *request;
	uint32_t db;
	struct fts_bytes key, value;
	Fts__Kv__V1__Consistency level;
	uint64_t fence, epoch, deadline_ns;
	struct ftsi_caller caller;
	struct ftsi_recalled recalled; /* of a write that was sent before */
	ftsi_answer_fn answer;
	void *ctx;
};

uint32_t ftsi_left_ms(uint64_t deadline_ns)
{
	uint32_t left = fts_clock_left_ms(fts_clock_monotonic_ns(), deadline_ns);
	return left > 100 ? left - 50 : left / 2 + 1; /* so that the answer is there in time */
}

struct ftsi_caller ftsi_caller_of(const struct fts_call *call)
{
	return (struct ftsi_caller){.identity = {.client_id = fts_call_client_id(call),
						 .sequence = fts_call_sequence(call),
						 .lowest_unanswered = fts_call_lowest_unanswered(call),
						 .may_have_run = fts_call_may_have_run(call)},
				    .fence = fts_call_fence(call),
				    .deadline_ns = fts_call_deadline_ns(call)};
}

static struct fts_bytes bytes_of(ProtobufCBinaryData data)
{
	return (struct fts_bytes){data.data, data.len};
}

static void end(struct key_call *call, const struct ftsi_answer *answer)
{
	call->answer(call->ctx, answer);
	free(call);
}

static void fail(struct key_call *call, enum fts_status status, enum fts_executed executed, const char *detail)
{
	end(call, &(struct ftsi_answer){.status = status, .executed = executed, .detail = detail});
}

static void go_to_log(struct key_call *call);

/* ---- The sharded store ---- */

/* The newest map, when the caller used another one; held. NULL: it needs none. */
static const struct fts_router_map *map_for(const struct key_call *call)
{
	const struct fts_router_owner *owner = call->router->options.owner;
	const struct fts_router_map *map = call->epoch == 0 ? NULL : owner->map(owner->ctx);
	if (map == NULL || map->epoch != call->epoch) return map;
	fts_router_map_release(map);
	return NULL;
}

static char *print_digits(uint64_t number, unsigned base, char *out)
{
	char reversed[24];
	size_t count = 0;
	do
		reversed[count++] = "0123456789abcdef"[number % base];
	while ((number /= base) != 0);
	while (count > 0)
		*out++ = reversed[--count];
	return out;
}

/* TIME.NODE, decimal and hexadecimal, as snprintf would do in ten times the time: each answer has one. */
static void print_version(uint64_t time, uint64_t node, char *out)
{
	out = print_digits(time, 10, out);
	*out++ = '.';
	*print_digits(node, 16, out) = '\0';
}

static void written(void *ctx, const struct ftsi_write_result *result)
{
	struct key_call *call = ctx;
	Fts__Kv__V1__SetResponse set = FTS__KV__V1__SET_RESPONSE__INIT;
	Fts__Kv__V1__DeleteResponse deleted = FTS__KV__V1__DELETE_RESPONSE__INIT;
	char version[FTSI_VERSION_MAX];
	if (result->status == FTS_ABORTED) {
		go_to_log(call);
		return;
	}
	if (result->status != FTS_OK) {
		fail(call, result->status, result->executed, result->detail);
		return;
	}
	const struct fts_router_map *map = map_for(call);
	print_version(result->version_time, result->version_node, version);
	set.version = deleted.version = version;
	set.acks = deleted.acks = result->acks;
	set.replicas = deleted.replicas = result->replicas;
	set.hints = deleted.hints = result->hints;
	set.kept_by_router = result->kept_by_router;
	deleted.existed = call->recalled.version_time != 0 ? call->recalled.existed : result->existed;
	set.map = deleted.map = map == NULL ? NULL : map->message;
	end(call, &(struct ftsi_answer){.executed = FTS_EXECUTED_YES,
					.set = call->kind == SET ? &set : NULL,
					.deleted = call->kind == DELETE ? &deleted : NULL});
	fts_router_map_release(map);
}

static void was_read(void *ctx, const struct ftsi_read_result *result)
{
	struct key_call *call = ctx;
	Fts__Kv__V1__GetResponse get = FTS__KV__V1__GET_RESPONSE__INIT;
	char version[FTSI_VERSION_MAX];
	if (result->status == FTS_ABORTED) {
		go_to_log(call);
		return;
	}
	if (result->status != FTS_OK) {
		fail(call, result->status, FTS_EXECUTED_NO, result->detail);
		return;
	}
	const struct fts_router_map *map = map_for(call);
	print_version(result->record.version_time, result->record.version_node, version);
	get.version = version;
	get.value =
	    (ProtobufCBinaryData){result->record.value.size_bytes, (uint8_t *)(uintptr_t)result->record.value.data};
	get.acks = result->acks;
	get.replicas = result->replicas;
	get.maybe_stale = result->maybe_stale;
	get.map = map == NULL ? NULL : map->message;
	end(call, &(struct ftsi_answer){.get = &get});
	fts_router_map_release(map);
}

/* The same whenever, and through whichever node, the caller sends it. 0: of a caller without a name. */
static uint64_t write_id_of(const struct key_call *call)
{
	const struct fts_call_identity *identity = &call->caller.identity;
	uint64_t words[] = {identity->client_id, identity->sequence, call->caller.ordinal};
	if (identity->client_id == 0 || call->kind == GET) return 0;
	return fts_hash64((struct fts_bytes){(const uint8_t *)words, sizeof words}, 0) | 1;
}

static void send_to_owners(struct key_call *call)
{
	const struct ftsi_write write = {.record = {.db = call->db,
						    .key = call->key,
						    .value = call->value,
						    .tombstone = call->kind == DELETE,
						    .write_id = write_id_of(call),
						    .version_time = call->recalled.version_time,
						    .version_node = call->recalled.version_node},
					 .repeats = call->recalled.version_time != 0,
					 .level = call->level,
					 .deadline_ns = call->deadline_ns,
					 .done = written,
					 .ctx = call};
	const struct ftsi_read read = {.db = call->db,
				       .key = call->key,
				       .level = call->level,
				       .deadline_ns = call->deadline_ns,
				       .done = was_read,
				       .ctx = call};
	if (call->kind == GET)
		ftsi_read_start(&call->router->coordinator, &read);
	else
		ftsi_write_start(&call->router->coordinator, &write);
}

static void was_recalled(void *ctx, const struct ftsi_recalled *recalled)
{
	struct key_call *call = ctx;
	call->recalled = *recalled;
	send_to_owners(call);
}

static void go_to_owners(struct key_call *call)
{
	const struct ftsi_recall recall = {.db = call->db,
					   .key = call->key,
					   .write_id = write_id_of(call),
					   .deadline_ns = call->deadline_ns,
					   .done = was_recalled,
					   .ctx = call};
	if (call->caller.identity.may_have_run && recall.write_id != 0)
		ftsi_recall_start(&call->router->coordinator, &recall);
	else
		send_to_owners(call);
}

/* ---- A fence ---- */

static void fence_checked(void *ctx, enum fts_status status, const Fts__Kv__V1__CheckFenceResponse *response,
			  const struct fts_error *error)
{
	struct key_call *call = ctx;
	(void)response;
	if (status == FTS_OK)
		go_to_owners(call);
	else
		fail(call, status, FTS_EXECUTED_NO, error->detail);
}

static void check_fence(struct key_call *call)
{
	Fts__Kv__V1__CheckFenceRequest request = FTS__KV__V1__CHECK_FENCE_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = ftsi_left_ms(call->deadline_ns)};
	request.fence = call->fence;
	enum fts_status status =
	    fts_kv_admin_check_fence_start(call->router->log, &request, &options, fence_checked, call, NULL);
	if (status != FTS_OK) fail(call, status, FTS_EXECUTED_NO, "too much is under way at this node");
}

/* ---- The replicated log ---- */

static void log_failed(struct key_call *call, enum fts_status status, const struct fts_error *error)
{
	fail(call, status, error->executed, error->detail);
}

static void log_set_done(void *ctx, enum fts_status status, const Fts__Kv__V1__SetResponse *response,
			 const struct fts_error *error)
{
	if (status == FTS_OK)
		end(ctx, &(struct ftsi_answer){.executed = FTS_EXECUTED_YES, .set = response});
	else
		log_failed(ctx, status, error);
}

static void log_get_done(void *ctx, enum fts_status status, const Fts__Kv__V1__GetResponse *response,
			 const struct fts_error *error)
{
	if (status == FTS_OK)
		end(ctx, &(struct ftsi_answer){.get = response});
	else
		log_failed(ctx, status, error);
}

static void log_delete_done(void *ctx, enum fts_status status, const Fts__Kv__V1__DeleteResponse *response,
			    const struct fts_error *error)
{
	if (status == FTS_OK)
		end(ctx, &(struct ftsi_answer){.executed = FTS_EXECUTED_YES, .deleted = response});
	else
		log_failed(ctx, status, error);
}

static void go_to_log(struct key_call *call)
{
	const struct fts_call_options options = {.timeout_ms = ftsi_left_ms(call->deadline_ns),
						 .fence = call->caller.fence,
						 /* of a batch its own command alone is named by the caller */
						 .identity = call->caller.ordinal == 0 ? &call->caller.identity : NULL};
	struct fts_channel *log = call->router->log;
	enum fts_status status;
	switch (call->kind) {
	case SET:
		status = fts_kv_admin_log_set_start(log, call->request, &options, log_set_done, call, NULL);
		break;
	case GET:
		status = fts_kv_admin_log_get_start(log, call->request, &options, log_get_done, call, NULL);
		break;
	default:
		status = fts_kv_admin_log_delete_start(log, call->request, &options, log_delete_done, call, NULL);
		break;
	}
	if (status != FTS_OK) fail(call, status, FTS_EXECUTED_NO, "too much is under way at this node");
}

/* ---- Beginning ---- */

bool ftsi_is_linearizable(struct fts_router *router, uint32_t db)
{
	const struct fts_router_owner *owner = router->options.owner;
	const struct fts_router_map *map = owner->map(owner->ctx);
	bool is = map != NULL && fts_router_map_is_linearizable(map, db);
	fts_router_map_release(map);
	return is;
}

/* NULL: nothing is wrong. */
static const char *find_fault(const struct key_call *call, char *out, size_t capacity_bytes)
{
	if (call->key.size_bytes > FTSI_KEY_MAX)
		(void)snprintf(out, capacity_bytes, "key: at most %d bytes, not %zu", FTSI_KEY_MAX,
			       call->key.size_bytes);
	else if (call->value.size_bytes > FTSI_VALUE_MAX)
		(void)snprintf(out, capacity_bytes, "value: at most %d bytes, not %zu", FTSI_VALUE_MAX,
			       call->value.size_bytes);
	else if (call->level > FTS__KV__V1__CONSISTENCY__ANY)
		(void)snprintf(out, capacity_bytes, "consistency: one, quorum, all or any");
	else if (call->kind == GET && call->level == FTS__KV__V1__CONSISTENCY__ANY)
		(void)snprintf(out, capacity_bytes, "consistency: any is for writes only");
	else
		return NULL;
	return out;
}

/* More is done for it than one read or write, which themselves find out whether the database belongs to the log. */
static bool needs_care(const struct key_call *call)
{
	return call->fence != 0 || call->caller.identity.may_have_run;
}

static void begin(const struct key_call *wanted, const char *if_version)
{
	char fault[128];
	struct key_call *call = malloc(sizeof *call);
	const struct ftsi_answer no_memory = {
	    .status = FTS_RESOURCE_EXHAUSTED, .executed = FTS_EXECUTED_NO, .detail = "no memory"};
	if (call == NULL) {
		wanted->answer(wanted->ctx, &no_memory);
		return;
	}
	*call = *wanted;
	if (find_fault(call, fault, sizeof fault) != NULL)
		fail(call, FTS_INVALID_ARGUMENT, FTS_EXECUTED_NO, fault);
	else if (if_version[0] != '\0' || (needs_care(call) && ftsi_is_linearizable(call->router, call->db)))
		go_to_log(call); /* which alone can compare, and says so of a database that is not there */
	else if (call->fence != 0)
		check_fence(call);
	else
		go_to_owners(call);
}

void ftsi_do_set(struct fts_router *router, const Fts__Kv__V1__SetRequest *request, const struct ftsi_caller *caller,
		 ftsi_answer_fn answer, void *ctx)
{
	begin(
	    &(struct key_call){
		.router = router,
		.kind = SET,
		.request = request,
		.db = request->db,
		.key = bytes_of(request->key),
		.value = bytes_of(request->value),
		.level = request->consistency,
		.fence = request->if_fence != 0 ? request->if_fence : caller->fence,
		.epoch = request->epoch,
		.deadline_ns = caller->deadline_ns,
		.caller = *caller,
		.answer = answer,
		.ctx = ctx,
	    },
	    request->if_version);
}

void ftsi_do_get(struct fts_router *router, const Fts__Kv__V1__GetRequest *request, const struct ftsi_caller *caller,
		 ftsi_answer_fn answer, void *ctx)
{
	begin(
	    &(struct key_call){
		.router = router,
		.kind = GET,
		.request = request,
		.db = request->db,
		.key = bytes_of(request->key),
		.level = request->consistency,
		.epoch = request->epoch,
		.deadline_ns = caller->deadline_ns,
		.caller = *caller,
		.answer = answer,
		.ctx = ctx,
	    },
	    "");
}

void ftsi_do_delete(struct fts_router *router, const Fts__Kv__V1__DeleteRequest *request,
		    const struct ftsi_caller *caller, ftsi_answer_fn answer, void *ctx)
{
	begin(
	    &(struct key_call){
		.router = router,
		.kind = DELETE,
		.request = request,
		.db = request->db,
		.key = bytes_of(request->key),
		.level = request->consistency,
		.fence = request->if_fence != 0 ? request->if_fence : caller->fence,
		.epoch = request->epoch,
		.deadline_ns = caller->deadline_ns,
		.caller = *caller,
		.answer = answer,
		.ctx = ctx,
	    },
	    request->if_version);
}
