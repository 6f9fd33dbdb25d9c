/* Why this file exists: fts_subscribe (include/fts/events.h): a node's PUB for what happens now, and Events/Replay of
 * the same node for what was missed, made into one sequence without holes.
 *
 * Invariants
 * - `next` is the first place in the log not yet delivered; everything wanted before it was delivered, or told lost.
 *   It only grows, so nothing is delivered twice, whichever node it comes from.
 * - Live events are delivered only while messages are known to be complete: the node's message counter runs without a
 *   gap since a Replay to the end. After connecting and at each gap there is a Replay first. All topics are
 *   taken (PUB sends them all anyway, SUB filters): the counter counts all.
 * - Replay is asked of the node that is listened to: another might not have applied yet what this one published.
 * - Silence is checked by a Replay after half a second, so that a lost last event isn't missed for ever and a node that
 *   is stopped or cut off is left. A node that is cut off from the others answers all the same: one that knows no
 *   leader for 2 s (then 4 s, .. 32 s, since perhaps nobody has one) is left too.
 * - Members that a node names are endpoints like those that were given. What was lost is told before what is found.
 * - Everything runs on the subscription's thread. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fts/cluster/v1/cluster.fts.h>
#include <fts/events.h>
#include <fts/rpc/v1/events.fts.h>

#include "base/clock.h"
#include "rpc/endpoint.h"
#include "rpc/inbox.h"

#define TOKEN_MAX_BYTES 128
#define SILENCE_MS 500
#define CONNECT_MS 2000
#define REPLAY_MS 2000
#define ELSEWHERE_MS 700 /* as the two above when there is another endpoint */
#define LEADER_MS 300
#define MEMBERS_MS 500
#define LEADERLESS_FIRST_MS 2000
#define LEADERLESS_MAX_MS 32000
#define REASON_BYTES 160
#define REPLAY_COUNT 1000
#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS 1000

struct position {
	uint64_t index;
	uint32_t ordinal;
};

enum phase { WAITING, READY, REFUSED }; /* what fts_subscribe waits for */

struct fts_subscription {
	struct ftsi_endpoint_list endpoints;
	uint32_t current; /* of endpoints */
	char *topic;
	char *ca_file, *cert_file, *key_file;
	uint8_t token[TOKEN_MAX_BYTES];
	size_t token_size_bytes;
	bool stay_local;
	fts_event_fn on_event;
	fts_notice_fn on_notice;
	void *ctx;
	pthread_t thread;
	atomic_bool stop;
	bool ended;           /* the callback wants no more */
	struct position next; /* index 0: not known yet (from now on) */
	bool all_kept_wanted; /* from_index 1 and nothing delivered yet: what is gone is no loss */
	/* the connection, of the thread alone */
	struct ftsi_inbox *inbox;
	struct fts_channel *channel;
	uint64_t expected_message; /* 0: unknown */
	uint64_t heard_ns;         /* of the last event, or of a node that knew a leader */
	uint32_t leaderless_ms;    /* how long a node may know no leader */
	bool is_up;                /* told by on_notice */
	char reason[REASON_BYTES]; /* why the node is of no use */
	/* the start, guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum phase phase;
	struct fts_error start_error;
};

static bool before(struct position a, struct position b)
{
	return a.index != b.index ? a.index < b.index : a.ordinal < b.ordinal;
}

static struct position after(uint64_t index, uint32_t ordinal)
{
	return ordinal == UINT32_MAX ? (struct position){index + 1, 0} : (struct position){index, ordinal + 1};
}

static void advance(struct fts_subscription *subscription, struct position to)
{
	if (before(subscription->next, to)) subscription->next = to;
}

static bool finished(struct fts_subscription *subscription)
{
	return subscription->ended || atomic_load(&subscription->stop);
}

/* How long a node may take for anything. */
static uint32_t patience_ms(const struct fts_subscription *subscription, uint32_t alone_ms)
{
	return subscription->endpoints.count > 1 ? ELSEWHERE_MS : alone_ms;
}

static const char *endpoint_of(const struct fts_subscription *subscription)
{
	return subscription->endpoints.items[subscription->current].text;
}

/* ---- Delivering ---- */

static void tell(struct fts_subscription *subscription, const struct fts_event *event, uint64_t lost_count)
{
	if (!finished(subscription) && !subscription->on_event(subscription->ctx, event, lost_count))
		subscription->ended = true;
}

/* lost_count: told with the event when it is new, kept otherwise. */
static void deliver(struct fts_subscription *subscription, const Fts__Rpc__V1__Event *source, uint64_t *lost_count)
{
	struct fts_event event = {.index = source->index,
				  .ordinal = source->ordinal,
				  .topic = source->topic,
				  .payload = {source->payload.data, source->payload.len}};

	if (before((struct position){event.index, event.ordinal}, subscription->next) || finished(subscription)) return;
	subscription->all_kept_wanted = false;
	subscription->leaderless_ms = LEADERLESS_FIRST_MS;
	subscription->next = after(event.index, event.ordinal);
	if (strncmp(event.topic, subscription->topic, strlen(subscription->topic)) != 0) return;
	uint64_t lost = *lost_count;
	*lost_count = 0;
	tell(subscription, &event, lost);
}

static uint64_t count_lost(struct fts_subscription *subscription, uint64_t oldest_index)
{
	uint64_t lost_count = 0;

	if (oldest_index > subscription->next.index) {
		lost_count = subscription->all_kept_wanted ? 0 : oldest_index - subscription->next.index;
		subscription->next = (struct position){oldest_index, 0};
	}
	return lost_count;
}

/* ---- Replay ---- */

static void report_start(struct fts_subscription *subscription, enum phase phase, const struct fts_error *error)
{
	pthread_mutex_lock(&subscription->lock);
	if (subscription->phase == WAITING) {
		subscription->phase = phase;
		pthread_cond_signal(&subscription->changed);
	}
	if (error) subscription->start_error = *error;
	pthread_mutex_unlock(&subscription->lock);
}

static enum fts_status ask(struct fts_subscription *subscription, struct position from, uint32_t limit,
			   Fts__Rpc__V1__ReplayResponse **out_response, struct fts_error *out_error)
{
	Fts__Rpc__V1__ReplayRequest request = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	struct fts_call_options options = {.timeout_ms = patience_ms(subscription, REPLAY_MS), .no_retry = true};

	request.topic = subscription->topic;
	request.from_index = from.index;
	request.from_ordinal = from.ordinal;
	request.limit = limit;
	return fts_events_replay(subscription->channel, &request, &options, out_response, out_error);
}

/* Where the log stands now. A server that answers with events all the same is read to its end. */
static enum fts_status find_end(struct fts_subscription *subscription, struct fts_error *out_error)
{
	struct position at = {0, 0};
	bool end = false;

	while (!end && !finished(subscription)) {
		Fts__Rpc__V1__ReplayResponse *response = NULL;
		enum fts_status status = ask(subscription, at, REPLAY_COUNT, &response, out_error);
		if (status != FTS_OK) return status;
		struct position next = {response->next_index, response->next_ordinal};
		end = response->end || !before(at, next);
		at = before(at, next) ? next : at;
		fts__rpc__v1__replay_response__free_unpacked(response, NULL);
	}
	subscription->next = at.index ? at : (struct position){1, 0};
	return FTS_OK;
}

static void deliver_replay(struct fts_subscription *subscription, const Fts__Rpc__V1__ReplayResponse *response)
{
	uint64_t lost_count = count_lost(subscription, response->oldest_index);

	for (size_t i = 0; i < response->n_events; i++)
		deliver(subscription, response->events[i], &lost_count);
	if (lost_count) tell(subscription, NULL, lost_count);
	advance(subscription, (struct position){response->next_index, response->next_ordinal});
}

/* Everything that the node has, from next on. */
static enum fts_status catch_up(struct fts_subscription *subscription, struct fts_error *out_error)
{
	bool end = false;

	while (!end && !finished(subscription)) {
		Fts__Rpc__V1__ReplayResponse *response = NULL;
		struct position from = subscription->next;
		enum fts_status status = ask(subscription, from, REPLAY_COUNT, &response, out_error);
		if (status != FTS_OK) return status;
		report_start(subscription, READY, NULL);
		deliver_replay(subscription, response);
		end = response->end || !before(from, subscription->next);
		fts__rpc__v1__replay_response__free_unpacked(response, NULL);
	}
	return FTS_OK;
}

/* ---- Live ---- */

static enum fts_status deliver_batch(struct fts_subscription *subscription, const Fts__Rpc__V1__EventBatch *batch)
{
	bool complete = batch->message != 0 && batch->message == subscription->expected_message;
	enum fts_status status = FTS_OK;
	uint64_t nothing_lost = 0;

	if (!complete) status = catch_up(subscription, NULL);
	if (status != FTS_OK) return status;
	for (size_t i = 0; i < batch->n_events; i++)
		deliver(subscription, batch->events[i], &nothing_lost);
	subscription->expected_message = batch->message + 1;
	return FTS_OK;
}

/* Whatever can't be read is a gap: the next batch shows it. */
static enum fts_status deliver_message(struct fts_subscription *subscription, struct fts_bytes message)
{
	const uint8_t *zero = message.size_bytes ? memchr(message.data, 0, message.size_bytes) : NULL;
	size_t topic_bytes = zero ? (size_t)(zero - message.data) + 1 : message.size_bytes;
	Fts__Rpc__V1__EventBatch *batch = NULL;
	enum fts_status status = FTS_OK;

	if (zero)
		batch = fts__rpc__v1__event_batch__unpack(NULL, message.size_bytes - topic_bytes,
							  message.data + topic_bytes);
	if (batch) status = deliver_batch(subscription, batch);
	if (batch) fts__rpc__v1__event_batch__free_unpacked(batch, NULL);
	return status;
}

/* All that is queued. *out_heard: something was. */
static enum fts_status receive_all(struct fts_subscription *subscription, bool *out_heard)
{
	enum fts_status status = FTS_OK;
	struct fts_bytes message;

	while (status == FTS_OK && !finished(subscription) && ftsi_inbox_next(subscription->inbox, &message)) {
		*out_heard = true;
		status = deliver_message(subscription, message);
	}
	return status;
}

/* ---- The connection ---- */

static void tell_notice(struct fts_subscription *subscription, enum fts_subscription_notice notice)
{
	bool is_up = notice == FTS_SUBSCRIPTION_UP;

	if (subscription->is_up == is_up) return;
	subscription->is_up = is_up;
	if (!subscription->on_notice || finished(subscription)) return;
	subscription->on_notice(subscription->ctx, notice, endpoint_of(subscription),
				is_up ? "" : subscription->reason);
}

static void set_reason(struct fts_subscription *subscription, const char *reason)
{
	(void)snprintf(subscription->reason, sizeof subscription->reason, "%.*s", REASON_BYTES - 1, reason);
}

static void disconnect(struct fts_subscription *subscription)
{
	ftsi_inbox_close(subscription->inbox);
	fts_channel_close(subscription->channel);
	subscription->channel = NULL;
	subscription->expected_message = 0;
}

static struct fts_tls tls_of(const struct fts_subscription *subscription)
{
	return (struct fts_tls){.ca_file = subscription->ca_file,
				.cert_file = subscription->cert_file,
				.key_file = subscription->key_file};
}

static enum fts_status connect_to(struct fts_subscription *subscription, const char *endpoint,
				  struct fts_error *out_error)
{
	struct fts_tls tls = tls_of(subscription);
	struct fts_channel_options options = {.endpoints = endpoint,
					      .tls = tls,
					      .token = {subscription->token, subscription->token_size_bytes},
					      .stay_local = subscription->stay_local};
	enum fts_status status = fts_channel_open(&options, &subscription->channel, out_error);

	uint32_t connect_ms = patience_ms(subscription, CONNECT_MS);
	if (status == FTS_OK) status = ftsi_inbox_open(subscription->inbox, endpoint, &tls, connect_ms, out_error);
	if (status == FTS_OK && subscription->next.index == 0) status = find_end(subscription, out_error);
	if (status != FTS_OK || finished(subscription)) return status;
	return catch_up(subscription, out_error);
}

/* Whom else to turn to: what can't be had now is asked again at the next connection. */
static void learn_members(struct fts_subscription *subscription)
{
	Fts__Cluster__V1__StatusRequest request = FTS__CLUSTER__V1__STATUS_REQUEST__INIT;
	struct fts_call_options options = {.timeout_ms = MEMBERS_MS, .no_retry = true};
	Fts__Cluster__V1__StatusResponse *response = NULL;

	if (fts_cluster_status(subscription->channel, &request, &options, &response, NULL) != FTS_OK) return;
	for (size_t i = 0; i < response->n_nodes; i++) {
		const Fts__Cluster__V1__NodeStatus *node = response->nodes[i];
		struct ftsi_endpoint endpoint;
		if (node->role == FTS__CLUSTER__V1__ROLE__EXPECTED) continue;
		if (ftsi_endpoint_parse(node->address, strlen(node->address), &endpoint, NULL) != FTS_OK) continue;
		if (!subscription->stay_local || ftsi_endpoint_is_loopback(&endpoint))
			(void)ftsi_endpoint_list_add(&subscription->endpoints, &endpoint);
	}
	fts__cluster__v1__status_response__free_unpacked(response, NULL);
}

/* No other endpoint would say anything else. */
static bool is_final(enum fts_status status)
{
	return status == FTS_INVALID_ARGUMENT || status == FTS_UNAUTHENTICATED || status == FTS_PERMISSION_DENIED;
}

/* Tell the caller's mistakes at once; go on trying over everything else. */
static void connect_next(struct fts_subscription *subscription, uint32_t *backoff_ms)
{
	struct fts_error error = {.status = FTS_OK};
	enum fts_status status = connect_to(subscription, endpoint_of(subscription), &error);

	if (status == FTS_OK) {
		*backoff_ms = BACKOFF_FIRST_MS;
		subscription->heard_ns = fts_clock_monotonic_ns();
		learn_members(subscription);
		tell_notice(subscription, FTS_SUBSCRIPTION_UP);
		return;
	}
	report_start(subscription, is_final(status) ? REFUSED : WAITING, &error);
	disconnect(subscription);
	subscription->current = (subscription->current + 1) % subscription->endpoints.count;
	if (subscription->current == 0 && !finished(subscription)) {
		(void)ftsi_inbox_wait(subscription->inbox, *backoff_ms);
		*backoff_ms = *backoff_ms * 2 < BACKOFF_MAX_MS ? *backoff_ms * 2 : BACKOFF_MAX_MS;
	}
}

/* False: the node has known no leader for so long that it may be cut off, and there are others. */
static bool has_leader(struct fts_subscription *subscription)
{
	Fts__Cluster__V1__LeaderRequest request = FTS__CLUSTER__V1__LEADER_REQUEST__INIT;
	struct fts_call_options options = {.timeout_ms = LEADER_MS, .no_retry = true};
	Fts__Cluster__V1__LeaderResponse *response = NULL;
	uint64_t now_ns = fts_clock_monotonic_ns();

	if (subscription->endpoints.count < 2) return true;
	enum fts_status status = fts_cluster_leader(subscription->channel, &request, &options, &response, NULL);
	bool is_known = status != FTS_OK || response->address[0] != '\0';
	if (response) fts__cluster__v1__leader_response__free_unpacked(response, NULL);
	if (is_known) subscription->heard_ns = now_ns;
	return now_ns - subscription->heard_ns < subscription->leaderless_ms * UINT64_C(1000000);
}

static enum fts_status check_silence(struct fts_subscription *subscription)
{
	struct fts_error error = {.detail = ""};
	enum fts_status status = catch_up(subscription, &error);

	if (status != FTS_OK) {
		set_reason(subscription, error.detail);
		return status;
	}
	if (has_leader(subscription)) return FTS_OK;
	set_reason(subscription, "it knows no leader");
	if (subscription->leaderless_ms < LEADERLESS_MAX_MS) subscription->leaderless_ms *= 2;
	return FTS_UNAVAILABLE;
}

/* One turn while connected. Not OK: this node is of no use any more. */
static enum fts_status listen_once(struct fts_subscription *subscription)
{
	bool heard = false;

	set_reason(subscription, "the connection broke");
	if (!ftsi_inbox_wait(subscription->inbox, SILENCE_MS)) return FTS_UNAVAILABLE;
	enum fts_status status = receive_all(subscription, &heard);
	if (status != FTS_OK || finished(subscription)) return status;
	if (!heard) return check_silence(subscription);
	subscription->heard_ns = fts_clock_monotonic_ns();
	return FTS_OK;
}

static void *subscriber_main(void *ctx)
{
	struct fts_subscription *subscription = ctx;
	uint32_t backoff_ms = BACKOFF_FIRST_MS;

	while (!finished(subscription)) {
		if (!subscription->channel)
			connect_next(subscription, &backoff_ms);
		else if (listen_once(subscription) != FTS_OK) {
			tell_notice(subscription, FTS_SUBSCRIPTION_LOST);
			disconnect(subscription);
			subscription->current = (subscription->current + 1) % subscription->endpoints.count;
		}
	}
	disconnect(subscription);
	return NULL;
}

/* ---- The caller's side ---- */

static char *copy_or_null(const char *text, bool *ok)
{
	char *copy = text ? strdup(text) : NULL;

	*ok = *ok && (copy || !text);
	return copy;
}

static enum fts_status fill(struct fts_subscription *subscription, const struct fts_subscribe_options *options,
			    struct fts_error *out_error)
{
	bool ok = true;

	if (options->token.size_bytes > TOKEN_MAX_BYTES)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "token: at most %d bytes", TOKEN_MAX_BYTES);
	subscription->token_size_bytes = options->token.size_bytes;
	if (options->token.size_bytes > 0)
		memcpy(subscription->token, options->token.data, options->token.size_bytes);
	subscription->topic = copy_or_null(options->topic ? options->topic : "", &ok);
	subscription->ca_file = copy_or_null(options->tls.ca_file, &ok);
	subscription->cert_file = copy_or_null(options->tls.cert_file, &ok);
	subscription->key_file = copy_or_null(options->tls.key_file, &ok);
	subscription->next = (struct position){options->from_index, 0};
	subscription->all_kept_wanted = options->from_index == 1;
	subscription->inbox = ftsi_inbox_create();
	if (!ok || !subscription->inbox)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a subscription");
	return ftsi_endpoint_list_parse(options->endpoints, &subscription->endpoints, out_error);
}

static void free_subscription(struct fts_subscription *subscription)
{
	ftsi_inbox_destroy(subscription->inbox);
	pthread_cond_destroy(&subscription->changed);
	pthread_mutex_destroy(&subscription->lock);
	free(subscription->topic);
	free(subscription->ca_file);
	free(subscription->cert_file);
	free(subscription->key_file);
	free(subscription);
}

static struct fts_subscription *new_subscription(void)
{
	struct fts_subscription *subscription = calloc(1, sizeof *subscription);
	pthread_condattr_t monotonic;

	if (!subscription) return NULL;
	pthread_mutex_init(&subscription->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&subscription->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return subscription;
}

static enum fts_status wait_for_start(struct fts_subscription *subscription, uint32_t timeout_ms,
				      struct fts_error *out_error)
{
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms);
	struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
				 .tv_nsec = (long)(deadline_ns % 1000000000u)};
	enum fts_status status = FTS_OK;
	int waited = 0;

	pthread_mutex_lock(&subscription->lock);
	while (subscription->phase == WAITING && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&subscription->changed, &subscription->lock, &until);
	if (subscription->phase == REFUSED)
		status = fts_error_set(out_error, subscription->start_error.status, "%s",
				       subscription->start_error.detail);
	else if (subscription->phase == WAITING)
		status = fts_error_set(out_error, FTS_UNAVAILABLE, "no endpoint sends events: %.400s",
				       subscription->start_error.detail[0] ? subscription->start_error.detail
									   : "no answer in time");
	pthread_mutex_unlock(&subscription->lock);
	return status;
}

enum fts_status fts_subscribe(const struct fts_subscribe_options *options, uint32_t timeout_ms, fts_event_fn on_event,
			      void *ctx, struct fts_subscription **out_subscription, struct fts_error *out_error)
{
	if (!options || !on_event || !out_subscription)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "options, on_event and out_subscription are needed");
	struct fts_subscription *subscription = new_subscription();
	if (!subscription) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a subscription");
	subscription->on_event = on_event;
	subscription->on_notice = options->on_notice;
	subscription->leaderless_ms = LEADERLESS_FIRST_MS;
	subscription->stay_local = options->stay_local;
	subscription->ctx = ctx;
	enum fts_status status = fill(subscription, options, out_error);
	if (status == FTS_OK && pthread_create(&subscription->thread, NULL, subscriber_main, subscription) != 0)
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread for a subscription");
	if (status != FTS_OK) {
		free_subscription(subscription);
		return status;
	}
	status = wait_for_start(subscription, timeout_ms, out_error);
	if (status == FTS_OK)
		*out_subscription = subscription;
	else
		fts_subscription_close(subscription);
	return status;
}

void fts_subscription_close(struct fts_subscription *subscription)
{
	if (!subscription) return;
	atomic_store(&subscription->stop, true);
	ftsi_inbox_wake(subscription->inbox);
	pthread_join(subscription->thread, NULL);
	free_subscription(subscription);
}
