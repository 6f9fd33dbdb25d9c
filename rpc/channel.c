/* Why this file exists: the public door of a channel (fts/rpc.h, "Calling"): opening, closing, starting calls,
 * waiting for them, giving them up. What happens in between: channel_internal.h. */
#include "rpc/channel_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "rpc/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONNECT_TIMEOUT_MS 2000u
#define DEFAULT_OPEN_CALLS 4096u
#define DEFAULT_TIMEOUT_MS 5000u
#define LONGEST_TIMEOUT_MS (24u * 3600 * 1000)

/* ---- Opening ---- */

static enum fts_status check_options(const struct fts_channel_options *options, struct fts_error *out_error)
{
	if (options->token.size_bytes > FTSI_TOKEN_MAX_BYTES)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "token: %zu bytes; at most %u",
				     options->token.size_bytes, FTSI_TOKEN_MAX_BYTES);
	if (options->max_open_calls > FTSI_OPEN_CALLS_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "max_open_calls: %u; at most %u",
				     options->max_open_calls, FTSI_OPEN_CALLS_MAX);
	if (options->connect_timeout_ms > LONGEST_TIMEOUT_MS)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "connect_timeout_ms: %u; at most %u",
				     options->connect_timeout_ms, LONGEST_TIMEOUT_MS);
	return FTS_OK;
}

static uint32_t bits_for(uint32_t count)
{
	uint32_t bits = 1;
	while ((UINT32_C(1) << bits) < count)
		bits++;
	return bits;
}

bool ftsi_channel_has_tls(const struct fts_channel *channel)
{
	return channel->tls_paths[0] != NULL;
}

static enum fts_status copy_tls_paths(struct fts_channel *channel, const struct fts_tls *tls,
				      struct fts_error *out_error)
{
	const char *paths[] = {tls->ca_file, tls->cert_file, tls->key_file};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		if (paths[i] == NULL) continue;
		if ((channel->tls_paths[i] = strdup(paths[i])) == NULL)
			return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	}
	return FTS_OK;
}

static enum fts_status add_links(struct fts_channel *channel, const char *endpoints, struct fts_error *out_error)
{
	struct ftsi_endpoint_list *list = malloc(sizeof *list);
	if (list == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	enum fts_status status = ftsi_endpoint_list_parse(endpoints, list, out_error);
	for (uint32_t i = 0; status == FTS_OK && i < list->count; i++) {
		status = ftsi_link_create(channel, &list->items[i], out_error);
	}
	free(list);
	return status;
}

static void take_options(struct fts_channel *channel, const struct fts_channel_options *options)
{
	channel->connect_timeout_ms =
	    options->connect_timeout_ms != 0 ? options->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;
	channel->call_count_max = options->max_open_calls != 0 ? options->max_open_calls : DEFAULT_OPEN_CALLS;
	channel->slot_bits = bits_for(channel->call_count_max + 1); /* one more: of questions */
	if (options->learn_members) channel->members_at_ns = 0;
	channel->stay_local = options->stay_local;
	channel->token_source = options->token_source;
	channel->token_ctx = options->token_ctx;
	channel->token_size_bytes = options->token.size_bytes;
	if (options->token.size_bytes > 0) memcpy(channel->token, options->token.data, options->token.size_bytes);
}

static enum fts_status channel_init(struct fts_channel *channel, const struct fts_channel_options *options,
				    struct fts_error *out_error)
{
	pthread_mutex_init(&channel->mutex, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&channel->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	channel->free_head = channel->free_tail = channel->ended_head = channel->ended_tail = FTSI_NO_CALL;
	channel->scout = FTSI_NO_CALL;
	channel->warm_at_ns = channel->members_at_ns = UINT64_MAX;

	enum fts_status status = check_options(options, out_error);
	if (status != FTS_OK) return status;
	take_options(channel, options);
	if ((status = ftsi_session_init(&channel->session, options->client_id, out_error)) != FTS_OK) return status;
	channel->random_state = channel->session.client_id ^ fts_clock_monotonic_ns();
	if (channel->random_state == 0) channel->random_state = 1;
	if ((status = copy_tls_paths(channel, &options->tls, out_error)) != FTS_OK) return status;
	channel->calls = calloc(channel->call_count_max, sizeof *channel->calls);
	channel->pool = fts_arena_pool_create(FTSI_ARENA_POOL_BYTES);
	if (channel->calls == NULL || channel->pool == NULL ||
	    nng_aio_alloc(&channel->timer, ftsi_timer_fired, channel) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	status = add_links(channel, options->endpoints, out_error);
	/* Readers spread over the replicas. */
	if (status == FTS_OK) channel->homes[FTS_ROUTE_REPLICA] = channel->random_state % channel->link_count;
	return status;
}

/* Frees what channel_init made, also of a half-made channel. Nothing is open or running any more. */
static void channel_free(struct fts_channel *channel)
{
	if (channel->timer != NULL) {
		nng_aio_stop(channel->timer);
		nng_aio_free(channel->timer);
	}
	for (uint32_t i = 0; i < channel->link_count; i++)
		ftsi_link_destroy(channel->links[i]);
	if (channel->pool != NULL) fts_arena_pool_destroy(channel->pool);
	for (size_t i = 0; i < sizeof channel->tls_paths / sizeof *channel->tls_paths; i++) {
		free(channel->tls_paths[i]);
	}
	free(channel->calls);
	pthread_cond_destroy(&channel->changed);
	pthread_mutex_destroy(&channel->mutex);
	free(channel);
}

enum fts_status fts_channel_open(const struct fts_channel_options *options, struct fts_channel **out_channel,
				 struct fts_error *out_error)
{
	static const struct fts_channel_options none = {.endpoints = NULL};
	struct fts_channel *channel = calloc(1, sizeof *channel);
	if (channel == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	enum fts_status status = channel_init(channel, options != NULL ? options : &none, out_error);
	if (status != FTS_OK) {
		channel_free(channel);
		return status;
	}
	*out_channel = channel;
	return FTS_OK;
}

/* ---- Closing ---- */

static void wait_changed(struct fts_channel *channel)
{
	channel->waiting_count++;
	pthread_cond_wait(&channel->changed, &channel->mutex);
	channel->waiting_count--;
}

static void cancel_all(struct fts_channel *channel)
{
	for (uint32_t i = 0; i < channel->used_count; i++) {
		struct ftsi_open_call *call = &channel->calls[i];
		if (!ftsi_call_is_pending(call)) continue;
		if (call->state == FTSI_CALL_SENT) call->may_have_run = true;
		ftsi_call_set_error(call, FTS_CANCELLED, FTS_EXECUTED_NO, "the channel was closed");
		ftsi_call_end(channel, call);
	}
}

static bool is_any_link_busy(const struct fts_channel *channel)
{
	for (uint32_t i = 0; i < channel->link_count; i++) {
		if (channel->links[i]->state != FTSI_LINK_IDLE) return true;
	}
	return channel->settling_count > 0;
}

void fts_channel_close(struct fts_channel *channel)
{
	if (channel == NULL) return;
	if (ftsi_channel_in_callback()) {
		FTS_LOG_ERROR("rpc.channel_close", "detail=\"called inside a callback: the channel stays open\"");
		return;
	}
	pthread_mutex_lock(&channel->mutex);
	channel->closing = true;
	pthread_cond_broadcast(&channel->changed);
	cancel_all(channel);
	while (channel->open_count > 0 || channel->blocked_count > 0)
		wait_changed(channel);
	for (uint32_t i = 0; i < channel->link_count; i++)
		ftsi_link_shut(channel->links[i], "the channel was closed");
	while (is_any_link_busy(channel))
		wait_changed(channel);
	pthread_mutex_unlock(&channel->mutex);
	channel_free(channel);
}

/* ---- Starting a call ---- */

/* What is to be sent: a message or its packed bytes; and who waits. */
struct request {
	const struct fts_method *method;
	const struct fts_call_options *options;
	const ProtobufCMessage *message;
	struct fts_bytes payload;
	size_t size_bytes;
	uint64_t began_ns;
	uint32_t timeout_ms;
	uint8_t *large; /* packed, when it does not fit into a slot; the request's until the call is in the table */
	struct ftsi_waiter *waiter;
	fts_done_fn done;
	void *ctx;
};

static uint32_t timeout_of(const struct fts_method *method, const struct fts_call_options *options)
{
	uint32_t timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : method->timeout_ms;
	if (timeout_ms == 0) timeout_ms = DEFAULT_TIMEOUT_MS;
	return timeout_ms < LONGEST_TIMEOUT_MS ? timeout_ms : LONGEST_TIMEOUT_MS;
}

static enum fts_status prepare(struct request *request, struct fts_error *out_error)
{
	static const struct fts_call_options none = {.timeout_ms = 0};
	if (request->options == NULL) request->options = &none;
	request->size_bytes = request->message != NULL ? protobuf_c_message_get_packed_size(request->message)
						       : request->payload.size_bytes;
	if (request->size_bytes > FTSI_REQUEST_MAX_BYTES)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "%s: a request of %zu bytes; at most %u",
				     request->method->full_name, request->size_bytes, FTSI_REQUEST_MAX_BYTES);
	if (request->options->token.size_bytes > FTSI_TOKEN_MAX_BYTES)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "token: %zu bytes; at most %u",
				     request->options->token.size_bytes, FTSI_TOKEN_MAX_BYTES);
	request->timeout_ms = timeout_of(request->method, request->options);
	request->began_ns = fts_clock_monotonic_ns();
	return FTS_OK;
}

static void pack(const struct request *request, uint8_t *out)
{
	if (request->message != NULL) {
		protobuf_c_message_pack(request->message, out);
	} else if (request->size_bytes > 0) {
		memcpy(out, request->payload.data, request->size_bytes);
	}
}

/* Wait until a sequence is free; a caller that can't wait does not. */
static enum fts_status take_sequence(struct fts_channel *channel, const struct request *request, uint64_t *out_sequence,
				     struct fts_error *out_error)
{
	uint64_t deadline_ns = fts_clock_deadline_ns(request->began_ns, request->timeout_ms);
	struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
				 .tv_nsec = (long)(deadline_ns % 1000000000u)};
	int result = 0;
	while (!channel->closing && !ftsi_session_take(&channel->session, out_sequence)) {
		if (request->waiter == NULL)
			return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED,
					     "%u changing calls are unanswered: wait for their answers",
					     FTSI_SESSION_WINDOW);
		if (result == ETIMEDOUT)
			return fts_error_set(out_error, FTS_DEADLINE_EXCEEDED,
					     "%u changing calls were unanswered during the %u ms of this one",
					     FTSI_SESSION_WINDOW, request->timeout_ms);
		channel->waiting_count++;
		result = pthread_cond_timedwait(&channel->changed, &channel->mutex, &until);
		channel->waiting_count--;
	}
	return channel->closing ? fts_error_set(out_error, FTS_CANCELLED, "the channel was closed") : FTS_OK;
}

/* Under an identity of its own a call needs no sequence of the channel's. */
static bool is_passed_on(const struct request *request)
{
	return request->method->mutates && request->options->identity != NULL &&
	       request->options->identity->client_id != 0;
}

static void fill_call(struct ftsi_open_call *call, const struct request *request, uint64_t sequence)
{
	call->method = request->method;
	call->has_identity = request->method->mutates;
	call->sequence = sequence;
	if (is_passed_on(request)) {
		call->is_passed_on = true;
		call->client_id = request->options->identity->client_id;
		call->sequence = request->options->identity->sequence;
		call->lowest_unanswered = request->options->identity->lowest_unanswered;
		call->may_have_run = request->options->identity->may_have_run;
	}
	call->fence = request->options->fence;
	call->trace_id = request->options->trace_id;
	call->stale = request->options->stale;
	call->no_retry = request->options->no_retry;
	call->token_size_bytes = request->options->token.size_bytes;
	if (call->token_size_bytes > 0) memcpy(call->token, request->options->token.data, call->token_size_bytes);
	call->timeout_ms = request->timeout_ms;
	call->began_ns = request->began_ns;
	call->deadline_ns = fts_clock_deadline_ns(request->began_ns, request->timeout_ms);
	call->wake_ns = call->deadline_ns;
	call->waiter = request->waiter;
	call->done = request->done;
	call->ctx = request->ctx;
	call->payload_size_bytes = request->size_bytes;
}

static void put_payload(struct fts_channel *channel, struct ftsi_open_call *call, struct request *request)
{
	if (request->large != NULL) {
		call->payload = request->large;
		request->large = NULL;
		channel->held_bytes += request->size_bytes;
	} else {
		call->payload = call->inline_bytes;
		pack(request, call->payload);
	}
}

/* Put the call into the table and send it. The mutex is held. */
static enum fts_status enter(struct fts_channel *channel, struct request *request, struct fts_call_id *out_id,
			     struct fts_error *out_error)
{
	uint64_t sequence = 0;
	if (channel->closing) return fts_error_set(out_error, FTS_CANCELLED, "the channel was closed");
	if (channel->open_count == channel->call_count_max)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "%u calls are open on this channel",
				     channel->open_count);
	if (request->large != NULL && channel->held_bytes + request->size_bytes > FTSI_HELD_MAX_BYTES)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "%zu bytes of requests are unanswered",
				     channel->held_bytes);
	if (request->method->mutates && !is_passed_on(request)) {
		enum fts_status status = take_sequence(channel, request, &sequence, out_error);
		if (status != FTS_OK) return status;
	}
	struct ftsi_open_call *call = ftsi_call_acquire(channel);
	if (call == NULL) {
		if (sequence != 0) ftsi_session_end(&channel->session, sequence);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "%u calls are open on this channel",
				     channel->open_count);
	}
	fill_call(call, request, sequence);
	if (request->options->endpoint != NULL) call->target = ftsi_route_learn(channel, request->options->endpoint);
	put_payload(channel, call, request);
	if (out_id != NULL) *out_id = ftsi_call_id_of(channel, call);
	ftsi_call_go(channel, call, request->began_ns);
	return FTS_OK;
}

/* Pack what is large before the mutex is taken. */
static enum fts_status pack_large(struct request *request, struct fts_error *out_error)
{
	if (request->size_bytes <= FTSI_INLINE_BYTES) return FTS_OK;
	if ((request->large = malloc(request->size_bytes)) == NULL)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory for a request of %zu bytes",
				     request->size_bytes);
	pack(request, request->large);
	return FTS_OK;
}

enum fts_status fts_channel_start(struct fts_channel *channel, const struct fts_method *method,
				  const ProtobufCMessage *request, const struct fts_call_options *options,
				  fts_done_fn done, void *ctx, struct fts_call_id *out_id)
{
	if (channel == NULL || method == NULL || request == NULL || done == NULL) return FTS_INVALID_ARGUMENT;
	if (options != NULL && options->info != NULL) return FTS_INVALID_ARGUMENT;
	struct request made = {.method = method, .options = options, .message = request, .done = done, .ctx = ctx};
	enum fts_status status = prepare(&made, NULL);
	if (status == FTS_OK) status = pack_large(&made, NULL);
	if (status != FTS_OK) return status;
	pthread_mutex_lock(&channel->mutex);
	status = enter(channel, &made, out_id, NULL);
	pthread_mutex_unlock(&channel->mutex);
	free(made.large);
	return status;
}

enum fts_status fts_channel_cancel(struct fts_channel *channel, struct fts_call_id id)
{
	if (channel == NULL) return FTS_INVALID_ARGUMENT;
	enum fts_status status = FTS_NOT_FOUND;
	pthread_mutex_lock(&channel->mutex);
	struct ftsi_open_call *call = ftsi_call_by_id(channel, id);
	if (call != NULL && ftsi_call_is_pending(call)) {
		if (call->state == FTSI_CALL_SENT) call->may_have_run = true;
		ftsi_call_set_error(call, FTS_CANCELLED, FTS_EXECUTED_NO, "the caller gave the call up");
		ftsi_call_end(channel, call);
		status = FTS_OK;
	}
	pthread_mutex_unlock(&channel->mutex);
	return status;
}

/* ---- Blocking calls ---- */

/* The mutex is held. The call's own timer ends it too; waiting with a limit keeps the caller's time limit true
 * even when every thread of the runtime is held up. */
static void wait_for_end(struct fts_channel *channel, struct ftsi_waiter *waiter, struct fts_call_id id,
			 uint64_t deadline_ns)
{
	struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
				 .tv_nsec = (long)(deadline_ns % 1000000000u)};
	while (!waiter->is_ended) {
		if (pthread_cond_timedwait(&waiter->woken, &channel->mutex, &until) != ETIMEDOUT) continue;
		if (waiter->is_ended) return;
		struct ftsi_open_call *call = ftsi_call_by_id(channel, id);
		if (call != NULL && ftsi_call_is_pending(call)) ftsi_engine_expire(channel, call);
		while (!waiter->is_ended)
			pthread_cond_wait(&waiter->woken, &channel->mutex);
	}
}

static void waiter_init(struct ftsi_waiter *waiter)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&waiter->woken, &monotonic);
	pthread_condattr_destroy(&monotonic);
	waiter->is_ended = false;
	waiter->payload = NULL;
	waiter->payload_size_bytes = 0;
	waiter->error.status = FTS_OK;
	memset(&waiter->info, 0, sizeof waiter->info);
}

static enum fts_status enter_and_wait(struct fts_channel *channel, struct request *request, struct fts_error *out_error)
{
	struct fts_call_id id = {0};
	pthread_mutex_lock(&channel->mutex);
	channel->blocked_count++;
	enum fts_status status = enter(channel, request, &id, out_error);
	if (status == FTS_OK) {
		wait_for_end(channel, request->waiter, id,
			     fts_clock_deadline_ns(request->began_ns, request->timeout_ms));
		status = request->waiter->error.status;
		if (status != FTS_OK && out_error != NULL) *out_error = request->waiter->error;
	}
	channel->blocked_count--;
	if (channel->waiting_count > 0) pthread_cond_broadcast(&channel->changed);
	pthread_mutex_unlock(&channel->mutex);
	return status;
}

/* One blocking call; on OK the answer's bytes are waiter's, which is initialised. */
static enum fts_status call_and_wait(struct fts_channel *channel, struct request *request, struct fts_error *out_error)
{
	if (ftsi_channel_in_callback())
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "a blocking call inside a callback would wait for itself: start it instead");
	enum fts_status status = prepare(request, out_error);
	if (status == FTS_OK) status = pack_large(request, out_error);
	if (status != FTS_OK) return status;
	status = enter_and_wait(channel, request, out_error);
	free(request->large);
	if (request->options->info != NULL) *request->options->info = request->waiter->info;
	return status;
}

enum fts_status fts_channel_call(struct fts_channel *channel, const struct fts_method *method,
				 const ProtobufCMessage *request, const struct fts_call_options *options,
				 ProtobufCMessage **out_response, struct fts_error *out_error)
{
	if (channel == NULL || method == NULL || request == NULL || out_response == NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "channel, method, request or out_response is NULL");
	struct ftsi_waiter waiter;
	waiter_init(&waiter);
	struct request made = {.method = method, .options = options, .message = request, .waiter = &waiter};
	enum fts_status status = call_and_wait(channel, &made, out_error);
	pthread_cond_destroy(&waiter.woken);
	if (status != FTS_OK) return status;
	struct fts_bytes payload = {waiter.payload, waiter.payload_size_bytes};
	status = ftsi_response_unpack(method, payload, out_response, out_error);
	if (waiter.payload != waiter.small) free(waiter.payload);
	return status;
}

enum fts_status fts_channel_call_bytes(struct fts_channel *channel, const struct fts_method *method,
				       struct fts_bytes payload, const struct fts_call_options *options,
				       uint8_t **out_payload, size_t *out_size_bytes, struct fts_error *out_error)
{
	if (channel == NULL || method == NULL || out_payload == NULL || out_size_bytes == NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "channel, method or an output is NULL");
	struct ftsi_waiter waiter;
	waiter_init(&waiter);
	struct request made = {.method = method, .options = options, .payload = payload, .waiter = &waiter};
	enum fts_status status = call_and_wait(channel, &made, out_error);
	pthread_cond_destroy(&waiter.woken);
	if (status != FTS_OK) return status;
	uint8_t *answer = waiter.payload;
	if (answer == waiter.small) {
		if ((answer = malloc(waiter.payload_size_bytes + 1)) == NULL) {
			fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
			if (out_error != NULL) out_error->executed = FTS_EXECUTED_YES;
			return FTS_RESOURCE_EXHAUSTED;
		}
		memcpy(answer, waiter.small, waiter.payload_size_bytes);
	}
	*out_payload = answer;
	*out_size_bytes = waiter.payload_size_bytes;
	return FTS_OK;
}
