/* Why this file exists: whatever happens between a publisher and a subscriber, the subscriber sees every event once and
 * in order, or is told what it can't have. The judge is the fake log: what was seen must be what stands there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fts/rpc/v1/events.pb-c.h>

#include "base/clock.h"
#include "tests/harness/clock.h"
#include "tests/harness/directory.h"
#include "tests/harness/ports.h"
#include "tests/rpc_edge/fake_node.h"

#define PATIENCE_S 30
#define TOPIC_A "test.a"
#define TOPIC_B "test.b"
#define TOPIC_OTHER "other"

enum { NOTICE_MAX = 64 };

/* What on_notice was told. */
struct notice {
	enum fts_subscription_notice notice;
	char endpoint[64];
	char reason[256];
};

/* What a subscription saw. */
struct seen {
	struct fake_log *log;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t values[FAKE_EVENT_MAX]; /* guarded by lock, as all below */
	size_t count;
	uint64_t lost_count;
	uint64_t call_count;
	struct notice notices[NOTICE_MAX];
	size_t notice_count;
	size_t stop_at; /* the callback returns false once it has seen so many; 0: never */
};

static bool on_event(void *ctx, const struct fts_event *event, uint64_t lost_count)
{
	struct seen *seen = ctx;

	pthread_mutex_lock(&seen->lock);
	seen->call_count++;
	seen->lost_count += lost_count;
	if (event && seen->count < FAKE_EVENT_MAX) {
		seen->values[seen->count] = UINT64_MAX;
		if (event->payload.size_bytes == 8) memcpy(&seen->values[seen->count], event->payload.data, 8);
		seen->count++;
	}
	bool more = !seen->stop_at || seen->count < seen->stop_at;
	pthread_cond_broadcast(&seen->changed);
	pthread_mutex_unlock(&seen->lock);
	return more;
}

static void on_notice(void *ctx, enum fts_subscription_notice notice, const char *endpoint, const char *reason)
{
	struct seen *seen = ctx;

	pthread_mutex_lock(&seen->lock);
	if (seen->notice_count < NOTICE_MAX) {
		struct notice *told = &seen->notices[seen->notice_count++];
		told->notice = notice;
		(void)snprintf(told->endpoint, sizeof told->endpoint, "%s", endpoint);
		(void)snprintf(told->reason, sizeof told->reason, "%s", reason);
	}
	pthread_cond_broadcast(&seen->changed);
	pthread_mutex_unlock(&seen->lock);
}

static struct seen *new_seen(struct fake_log *log)
{
	struct seen *seen = calloc(1, sizeof *seen);

	assert_non_null(seen);
	seen->log = log;
	pthread_mutex_init(&seen->lock, NULL);
	pthread_cond_init(&seen->changed, NULL);
	return seen;
}

static void free_seen(struct seen *seen)
{
	pthread_cond_destroy(&seen->changed);
	pthread_mutex_destroy(&seen->lock);
	free(seen);
}

/* Wait until count events were seen (or, 0, something was told as lost). */
static void wait_seen(struct seen *seen, size_t count)
{
	struct timespec until;
	int error = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&seen->lock);
	while ((count ? seen->count < count : seen->lost_count == 0) && error == 0)
		error = pthread_cond_timedwait(&seen->changed, &seen->lock, &until);
	size_t got = seen->count;
	pthread_mutex_unlock(&seen->lock);
	if (error != 0) fail_msg("%zu events seen of %zu", got, count);
}

/* The at-th notice, waited for. */
static struct notice wait_notice(struct seen *seen, size_t at)
{
	struct timespec until;
	int error = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&seen->lock);
	while (seen->notice_count <= at && error == 0)
		error = pthread_cond_timedwait(&seen->changed, &seen->lock, &until);
	struct notice notice = seen->notices[at];
	pthread_mutex_unlock(&seen->lock);
	if (error != 0) fail_msg("notice %zu did not come", at);
	return notice;
}

/* Seen are exactly the log's events from the first'th on whose topic begins with prefix. */
static void check_seen(struct seen *seen, size_t first, const char *prefix)
{
	size_t at = 0;

	for (size_t i = first; i < seen->log->event_count; i++) {
		if (strncmp(seen->log->events[i].topic, prefix, strlen(prefix)) != 0) continue;
		if (at >= seen->count || seen->values[at] != i)
			fail_msg("event %zu of the log: seen as number %zu is %lld", i, at,
				 at < seen->count ? (long long)seen->values[at] : -1LL);
		at++;
	}
	assert_int_equal(at, seen->count);
}

struct fixture {
	struct fake_log log;
	struct fake_node nodes[FAKE_NODE_COUNT];
	struct seen *seen;
	struct fts_subscription *subscription;
	char endpoints[64];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	fake_log_init(&fixture->log);
	for (size_t i = 0; i < 2; i++) {
		fake_node_start(&fixture->nodes[i], &fixture->log, harness_ports_reserve(), NULL, 0);
	}
	(void)snprintf(fixture->endpoints, sizeof fixture->endpoints, "127.0.0.1:%u,127.0.0.1:%u",
		       (unsigned)fixture->nodes[0].port, (unsigned)fixture->nodes[1].port);
	fixture->seen = new_seen(&fixture->log);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	fts_subscription_close(fixture->subscription);
	for (size_t i = 0; i < FAKE_NODE_COUNT; i++)
		fake_node_stop(&fixture->nodes[i]);
	free_seen(fixture->seen);
	fake_log_fini(&fixture->log);
	free(fixture);
	return 0;
}

static void subscribe(struct fixture *fixture, const char *topic, uint64_t from_index)
{
	struct fts_subscribe_options options = {
	    .endpoints = fixture->endpoints, .topic = topic, .from_index = from_index, .on_notice = on_notice};
	struct fts_error error = {.detail = ""};

	if (fts_subscribe(&options, PATIENCE_S * 1000, on_event, fixture->seen, &fixture->subscription, &error) !=
	    FTS_OK)
		fail_msg("%s", error.detail);
}

/* Entries first..last of 1 to 3 events each, of all topics; every drop_every-th entry is dropped on the way. */
static void publish_entries(struct fixture *fixture, uint64_t first, uint64_t last, uint64_t drop_every)
{
	static const char *const topics[] = {TOPIC_A, TOPIC_A, TOPIC_B, TOPIC_OTHER, TOPIC_A};

	for (uint64_t index = first; index <= last; index++)
		for (uint32_t ordinal = 0; ordinal < 1 + index % 3; ordinal++) {
			bool dropped = drop_every && index % drop_every == 0;
			fake_publish(&fixture->log, fixture->nodes, dropped, index, ordinal,
				     topics[(index + ordinal) % 5]);
		}
}

static size_t count_wanted(struct fixture *fixture, size_t first, const char *prefix)
{
	size_t count = 0;

	for (size_t i = first; i < fixture->log.event_count; i++)
		count += strncmp(fixture->log.events[i].topic, prefix, strlen(prefix)) == 0;
	return count;
}

/* ---- The cases ---- */

static void from_now_on(void **state)
{
	struct fixture *fixture = *state;

	publish_entries(fixture, 1, 100, 0);
	size_t past = fixture->log.event_count;
	subscribe(fixture, "test.", 0);
	publish_entries(fixture, 101, 5000, 0);
	wait_seen(fixture->seen, count_wanted(fixture, past, "test."));
	check_seen(fixture->seen, past, "test.");
}

static void all_that_is_kept_then_live(void **state)
{
	struct fixture *fixture = *state;

	publish_entries(fixture, 1, 3000, 0);
	subscribe(fixture, NULL, 1);
	publish_entries(fixture, 3001, 6000, 0);
	wait_seen(fixture->seen, fixture->log.event_count);
	check_seen(fixture->seen, 0, "");
	assert_int_equal(fixture->seen->lost_count, 0);
}

static void from_a_place(void **state)
{
	struct fixture *fixture = *state;
	size_t first = 0;

	publish_entries(fixture, 1, 500, 0);
	while (fixture->log.events[first].index < 300)
		first++;
	subscribe(fixture, TOPIC_B, 300);
	wait_seen(fixture->seen, count_wanted(fixture, first, TOPIC_B));
	check_seen(fixture->seen, first, TOPIC_B);
}

static void gaps_are_filled_in_order(void **state)
{
	struct fixture *fixture = *state;

	subscribe(fixture, "test.", 0);
	publish_entries(fixture, 1, 5000, 7);
	wait_seen(fixture->seen, count_wanted(fixture, 0, "test."));
	check_seen(fixture->seen, 0, "test.");
}

/* Nothing follows that would show the gap: silence does. */
static void a_lost_last_event_comes(void **state)
{
	struct fixture *fixture = *state;

	subscribe(fixture, NULL, 0);
	fake_publish(&fixture->log, fixture->nodes, false, 1, 0, TOPIC_A);
	fake_publish(&fixture->log, fixture->nodes, true, 2, 0, TOPIC_A);
	wait_seen(fixture->seen, 2);
	check_seen(fixture->seen, 0, "");
}

/* One entry fills several messages, and the log is lost in the middle of it. */
static void an_entry_is_cut(void **state)
{
	struct fixture *fixture = *state;

	subscribe(fixture, NULL, 0);
	for (uint32_t ordinal = 0; ordinal < 400; ordinal++)
		fake_publish(&fixture->log, fixture->nodes, ordinal > 100 && ordinal < 300, 9, ordinal, TOPIC_A);
	fake_publish(&fixture->log, fixture->nodes, false, 10, 0, TOPIC_A);
	wait_seen(fixture->seen, 401);
	check_seen(fixture->seen, 0, "");
}

static void a_node_dies(void **state)
{
	struct fixture *fixture = *state;

	subscribe(fixture, "test.", 0);
	publish_entries(fixture, 1, 1000, 0);
	wait_seen(fixture->seen, 10);
	fake_node_stop(&fixture->nodes[0]);
	publish_entries(fixture, 1001, 3000, 0);
	wait_seen(fixture->seen, count_wanted(fixture, 0, "test."));
	check_seen(fixture->seen, 0, "test.");
}

/* The second node goes too; the first comes back. */
static void nodes_die_in_turn(void **state)
{
	struct fixture *fixture = *state;
	uint64_t index = 1;

	subscribe(fixture, NULL, 0);
	for (size_t turn = 0; turn < 6; turn++, index += 200) {
		struct fake_node *node = &fixture->nodes[turn % 2];
		publish_entries(fixture, index, index + 99, 0);
		fake_node_stop(node);
		publish_entries(fixture, index + 100, index + 199, 0);
		fake_node_start(node, &fixture->log, node->port, NULL, 0);
	}
	wait_seen(fixture->seen, fixture->log.event_count);
	check_seen(fixture->seen, 0, "");
}

static void check_notice(struct fixture *fixture, size_t at, enum fts_subscription_notice expected, size_t node)
{
	struct notice notice = wait_notice(fixture->seen, at);
	char endpoint[32];

	(void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", (unsigned)fixture->nodes[node].port);
	assert_int_equal(notice.notice, expected);
	assert_string_equal(notice.endpoint, endpoint);
	assert_int_equal(notice.reason[0] != 0, expected == FTS_SUBSCRIPTION_LOST);
}

/* Who listens is told where it listens, that the node is gone, and where it goes on, in turn. */
static void moves_are_told(void **state)
{
	struct fixture *fixture = *state;

	subscribe(fixture, NULL, 1);
	check_notice(fixture, 0, FTS_SUBSCRIPTION_UP, 0);
	publish_entries(fixture, 1, 100, 0);
	fake_node_stop(&fixture->nodes[0]);
	check_notice(fixture, 1, FTS_SUBSCRIPTION_LOST, 0);
	check_notice(fixture, 2, FTS_SUBSCRIPTION_UP, 1);
	fake_node_start(&fixture->nodes[0], &fixture->log, fixture->nodes[0].port, NULL, 0);
	fake_node_stop(&fixture->nodes[1]);
	check_notice(fixture, 3, FTS_SUBSCRIPTION_LOST, 1);
	publish_entries(fixture, 101, 200, 0);
	check_notice(fixture, 4, FTS_SUBSCRIPTION_UP, 0);
	wait_seen(fixture->seen, fixture->log.event_count);
	check_seen(fixture->seen, 0, "");
	assert_int_equal(fixture->seen->notice_count, 5);
}

/* Its connections stand, and nothing comes over them. */
static void a_silent_node_is_left(void **state)
{
	struct fixture *fixture = *state;

	subscribe(fixture, NULL, 1);
	publish_entries(fixture, 1, 100, 0);
	wait_seen(fixture->seen, fixture->log.event_count);
	fake_node_mute(&fixture->nodes[0]);
	uint64_t began_ns = fts_clock_monotonic_ns();
	publish_entries(fixture, 101, 300, 0);
	wait_seen(fixture->seen, fixture->log.event_count);
	assert_true(fts_clock_monotonic_ns() - began_ns < UINT64_C(10000000000));
	check_seen(fixture->seen, 0, "");
	check_notice(fixture, 1, FTS_SUBSCRIPTION_LOST, 0);
	check_notice(fixture, 2, FTS_SUBSCRIPTION_UP, 1);
}

/* It answers, yet is cut off from the others: nothing new will come from it. */
static void a_node_without_a_leader_is_left(void **state)
{
	struct fixture *fixture = *state;

	subscribe(fixture, NULL, 1);
	publish_entries(fixture, 1, 100, 0);
	wait_seen(fixture->seen, fixture->log.event_count);
	fake_node_set_leaderless(&fixture->nodes[0], true);
	check_notice(fixture, 1, FTS_SUBSCRIPTION_LOST, 0);
	check_notice(fixture, 2, FTS_SUBSCRIPTION_UP, 1);
	publish_entries(fixture, 101, 200, 0);
	wait_seen(fixture->seen, fixture->log.event_count);
	check_seen(fixture->seen, 0, "");
}

/* One endpoint is enough: its node names the others. */
static void members_are_learned(void **state)
{
	struct fixture *fixture = *state;
	char addresses[FAKE_NODE_COUNT][32];

	fake_node_start(&fixture->nodes[2], &fixture->log, harness_ports_reserve(), NULL, 0);
	for (size_t i = 0; i < FAKE_NODE_COUNT; i++)
		(void)snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%u", (unsigned)fixture->nodes[i].port);
	for (size_t i = 0; i < FAKE_NODE_COUNT; i++)
		fixture->nodes[0].members[i] = fixture->nodes[1].members[i] = addresses[i];
	(void)snprintf(fixture->endpoints, sizeof fixture->endpoints, "%s", addresses[0]);
	subscribe(fixture, NULL, 1);
	publish_entries(fixture, 1, 100, 0);
	wait_seen(fixture->seen, fixture->log.event_count);
	check_notice(fixture, 0, FTS_SUBSCRIPTION_UP, 0);
	for (size_t i = 0; i + 1 < FAKE_NODE_COUNT; i++) {
		uint64_t index = 101 + 100 * i;
		fake_node_stop(&fixture->nodes[i]);
		publish_entries(fixture, index, index + 99, 0);
		wait_seen(fixture->seen, fixture->log.event_count);
		check_notice(fixture, 2 * i + 2, FTS_SUBSCRIPTION_UP, i + 1);
	}
	check_seen(fixture->seen, 0, "");
}

static void what_is_too_old_is_told(void **state)
{
	struct fixture *fixture = *state;
	size_t first = 0;

	publish_entries(fixture, 1, 500, 0);
	while (fixture->log.events[first].index < 400)
		first++;
	fake_log_forget_before(&fixture->log, 400);
	subscribe(fixture, NULL, 300);
	wait_seen(fixture->seen, fixture->log.event_count - first);
	check_seen(fixture->seen, first, "");
	assert_int_equal(fixture->seen->lost_count, 100);
}

/* Everything after the last seen is gone and nothing newer exists: told without an event. */
static void loss_without_an_event(void **state)
{
	struct fixture *fixture = *state;

	fake_publish(&fixture->log, fixture->nodes, true, 1, 0, TOPIC_A);
	fake_log_forget_before(&fixture->log, 50);
	subscribe(fixture, NULL, 10);
	wait_seen(fixture->seen, 0);
	assert_int_equal(fixture->seen->lost_count, 40);
	assert_int_equal(fixture->seen->count, 0);
}

static void a_full_queue_shows(void **state)
{
	struct fixture *fixture = *state;

	fake_node_stop(&fixture->nodes[0]);
	fake_node_start(&fixture->nodes[0], &fixture->log, fixture->nodes[0].port, NULL, 4096);
	subscribe(fixture, NULL, 0);
	publish_entries(fixture, 1, 20000, 0);
	wait_seen(fixture->seen, fixture->log.event_count);
	check_seen(fixture->seen, 0, "");
}

static void the_callback_ends_it(void **state)
{
	struct fixture *fixture = *state;

	fixture->seen->stop_at = 10;
	subscribe(fixture, NULL, 1);
	publish_entries(fixture, 1, 1000, 0);
	wait_seen(fixture->seen, 10);
	fts_subscription_close(fixture->subscription);
	fixture->subscription = NULL;
	assert_int_equal(fixture->seen->call_count, 10);
}

static void refused(void **state)
{
	struct fixture *fixture = *state;
	struct fts_error error = {.detail = ""};
	struct fts_subscribe_options options = {.endpoints = "nowhere"};

	assert_int_equal(fts_subscribe(&options, 1000, on_event, fixture->seen, &fixture->subscription, &error),
			 FTS_INVALID_ARGUMENT);
	fake_node_stop(&fixture->nodes[0]);
	fake_node_stop(&fixture->nodes[1]);
	options.endpoints = fixture->endpoints;
	uint64_t start_ns = fts_clock_monotonic_ns();
	assert_int_equal(fts_subscribe(&options, 300, on_event, fixture->seen, &fixture->subscription, &error),
			 FTS_UNAVAILABLE);
	assert_true(fts_clock_monotonic_ns() - start_ns < UINT64_C(10000000000));
	assert_true(strlen(error.detail) > 0);
}

/* Both ends show certificates of one CA; who shows none, or speaks plainly, hears nothing. */
static void over_tls(void **state)
{
	static const char script[] =
	    "set -e; cd %s; exec >log 2>&1; umask 077; printf subjectAltName=DNS:localhost >ext\n"
	    "openssl ecparam -name prime256v1 -genkey -noout -out ca.key\n"
	    "openssl req -x509 -new -key ca.key -subj /CN=ca -days 2 -out ca.pem\n"
	    "openssl ecparam -name prime256v1 -genkey -noout -out node.key\n"
	    "openssl req -new -key node.key -subj /CN=node -out node.csr\n"
	    "openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out "
	    "node.pem\n";
	struct fixture *fixture = *state;
	char directory[HARNESS_PATH_MAX], command[sizeof script + HARNESS_PATH_MAX];
	char ca[HARNESS_PATH_MAX + 16], cert[HARNESS_PATH_MAX + 16], key[HARNESS_PATH_MAX + 16];

	harness_directory_make(directory);
	(void)snprintf(command, sizeof command, script, directory);
	assert_int_equal(system(command), 0);
	(void)snprintf(ca, sizeof ca, "%s/ca.pem", directory);
	(void)snprintf(cert, sizeof cert, "%s/node.pem", directory);
	(void)snprintf(key, sizeof key, "%s/node.key", directory);
	struct fts_tls tls = {.ca_file = ca, .cert_file = cert, .key_file = key};
	struct fts_subscribe_options options = {.endpoints = fixture->endpoints, .tls = tls};
	(void)snprintf(fixture->endpoints, sizeof fixture->endpoints, "localhost:%u", (unsigned)fixture->nodes[0].port);
	struct fts_error error = {.detail = ""};
	fake_node_stop(&fixture->nodes[0]);
	fake_node_stop(&fixture->nodes[1]);
	fake_node_start(&fixture->nodes[0], &fixture->log, fixture->nodes[0].port, &tls, 0);
	if (fts_subscribe(&options, PATIENCE_S * 1000, on_event, fixture->seen, &fixture->subscription, &error) !=
	    FTS_OK)
		fail_msg("%s", error.detail);
	publish_entries(fixture, 1, 2000, 7);
	wait_seen(fixture->seen, fixture->log.event_count);
	check_seen(fixture->seen, 0, "");
	struct fts_subscription *plain = NULL;
	options.tls = (struct fts_tls){.ca_file = NULL};
	assert_int_equal(fts_subscribe(&options, 500, on_event, fixture->seen, &plain, &error), FTS_UNAVAILABLE);
	options.tls.ca_file = ca;
	assert_int_equal(fts_subscribe(&options, 500, on_event, fixture->seen, &plain, &error), FTS_UNAVAILABLE);
}

/* ---- The publisher alone, against nng's own SUB ---- */

static nng_socket stock_subscriber(const struct fake_node *node, const char *topic)
{
	nng_socket socket;
	char url[64];

	(void)snprintf(url, sizeof url, "tcp://127.0.0.1:%u", (unsigned)node->port + 1);
	assert_int_equal(nng_sub0_open(&socket), 0);
	assert_int_equal(nng_socket_set_int(socket, NNG_OPT_RECVBUF, 8192), 0);
	assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, PATIENCE_S * 1000), 0);
	assert_int_equal(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, topic, strlen(topic)), 0);
	assert_int_equal(nng_dial(socket, url, NULL, 0), 0);
	return socket;
}

static Fts__Rpc__V1__EventBatch *receive_batch(nng_socket socket, const char *topic)
{
	nng_msg *message = NULL;

	assert_int_equal(nng_recvmsg(socket, &message, 0), 0);
	size_t topic_bytes = strlen(topic) + 1;
	assert_true(nng_msg_len(message) > topic_bytes);
	assert_memory_equal(nng_msg_body(message), topic, topic_bytes);
	Fts__Rpc__V1__EventBatch *batch = fts__rpc__v1__event_batch__unpack(
	    NULL, nng_msg_len(message) - topic_bytes, (uint8_t *)nng_msg_body(message) + topic_bytes);
	nng_msg_free(message);
	assert_non_null(batch);
	return batch;
}

/* A pipe exists at the publisher only some time after dialing: publish until something comes. */
static uint64_t wait_for_first(struct fixture *fixture, nng_socket socket)
{
	uint64_t index = 1;
	nng_msg *message = NULL;

	assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 20), 0);
	do
		fake_publish(&fixture->log, fixture->nodes, false, index++, 0, TOPIC_A);
	while (nng_recvmsg(socket, &message, 0) != 0 && index < 1000);
	nng_msg_free(message);
	while (nng_recvmsg(socket, &message, 0) == 0)
		nng_msg_free(message);
	assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, PATIENCE_S * 1000), 0);
	return index;
}

/* A burst: in messages of up to 32, and none is lost as long as nng can hold what the subscriber has not read. */
static void a_burst_to_a_stock_subscriber(void **state)
{
	enum { COUNT = 100000 };
	struct fixture *fixture = *state;

	fake_node_stop(&fixture->nodes[0]);
	fake_node_start(&fixture->nodes[0], &fixture->log, fixture->nodes[0].port, NULL, 64 * 1024 * 1024);
	nng_socket socket = stock_subscriber(&fixture->nodes[0], TOPIC_A);
	uint64_t index = wait_for_first(fixture, socket), previous = index - 1, message = 0, gaps = 0;
	size_t batches = 0;

	for (uint64_t i = 0; i < COUNT; i++)
		fake_publish(&fixture->log, fixture->nodes, false, index + i, 0, TOPIC_A);
	while (previous < index + COUNT - 1) {
		Fts__Rpc__V1__EventBatch *batch = receive_batch(socket, TOPIC_A);
		assert_in_range(batch->n_events, 1, 32);
		gaps += batch->previous_index != previous || (message && batch->message != message + 1);
		message = batch->message;
		previous = batch->events[batch->n_events - 1]->index;
		batches++;
		fts__rpc__v1__event_batch__free_unpacked(batch, NULL);
	}
	assert_in_range(batches, COUNT / 32, COUNT / 2);
	assert_int_equal(gaps, 0);
	nng_close(socket);
}

static void wait_subscribers(const struct fts_publisher *publisher, uint32_t count)
{
	struct harness_wait wait = harness_wait_ms(PATIENCE_S * 1000);

	while (fts_publisher_subscriber_count(publisher) != count)
		if (!harness_wait_more(&wait))
			fail_msg("%u subscribers, not %u", (unsigned)fts_publisher_subscriber_count(publisher),
				 (unsigned)count);
}

/* Whoever speaks another protocol to the port of events comes and goes uncounted: the pace depends on the count. */
static void strangers_are_not_counted(void **state)
{
	enum { COUNT = 20 };
	struct fixture *fixture = *state;
	const struct fts_publisher *publisher = fixture->nodes[0].publisher;
	char url[64];

	(void)snprintf(url, sizeof url, "tcp://127.0.0.1:%u", (unsigned)fixture->nodes[0].port + 1);
	nng_socket subscriber = stock_subscriber(&fixture->nodes[0], TOPIC_A);
	wait_subscribers(publisher, 1);
	for (int i = 0; i < COUNT; i++) {
		nng_socket stranger;
		assert_int_equal(nng_req0_open(&stranger), 0);
		(void)nng_dial(stranger, url, NULL, 0);
		nng_close(stranger);
	}
	nng_socket second = stock_subscriber(&fixture->nodes[0], TOPIC_A);
	wait_subscribers(publisher, 2);
	nng_close(second);
	wait_subscribers(publisher, 1);
	nng_close(subscriber);
	wait_subscribers(publisher, 0);
}

static void refuses_what_it_cannot_send(void **state)
{
	struct fixture *fixture = *state;
	struct fts_publisher *publisher = fixture->nodes[0].publisher;
	uint8_t *large = calloc(1, FTS_EVENT_PAYLOAD_MAX_BYTES + 1);
	char name[FTS_PUBLISHER_TOPIC_MAX_BYTES + 2];

	assert_int_equal(fts_publisher_publish(publisher, 1, 0, "", (struct fts_bytes){large, 1}),
			 FTS_INVALID_ARGUMENT);
	assert_int_equal(
	    fts_publisher_publish(publisher, 1, 0, TOPIC_A, (struct fts_bytes){large, FTS_EVENT_PAYLOAD_MAX_BYTES + 1}),
	    FTS_INVALID_ARGUMENT);
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	assert_int_equal(fts_publisher_publish(publisher, 1, 0, name, (struct fts_bytes){large, 1}),
			 FTS_INVALID_ARGUMENT);
	for (int i = 1; i < FTS_PUBLISHER_TOPIC_MAX; i++) { /* TOPIC_A is one, too */
		(void)snprintf(name, sizeof name, "topic.%d", i);
		assert_int_equal(fts_publisher_publish(publisher, 1, 0, name, (struct fts_bytes){large, 1}), FTS_OK);
	}
	assert_int_equal(fts_publisher_publish(publisher, 1, 0, "one.more", (struct fts_bytes){large, 1}),
			 FTS_RESOURCE_EXHAUSTED);
	free(large);
	struct fts_publisher *second = NULL;
	char listen[32];
	(void)snprintf(listen, sizeof listen, "127.0.0.1:%u", (unsigned)fixture->nodes[0].port + 1);
	struct fts_error error = {.detail = ""};
	assert_int_equal(fts_publisher_create(&(struct fts_publisher_options){.listen = listen}, &second, &error),
			 FTS_UNAVAILABLE);
	assert_non_null(strstr(error.detail, listen));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(from_now_on),
	    CASE(all_that_is_kept_then_live),
	    CASE(from_a_place),
	    CASE(gaps_are_filled_in_order),
	    CASE(a_lost_last_event_comes),
	    CASE(an_entry_is_cut),
	    CASE(a_node_dies),
	    CASE(nodes_die_in_turn),
	    CASE(moves_are_told),
	    CASE(a_silent_node_is_left),
	    CASE(a_node_without_a_leader_is_left),
	    CASE(members_are_learned),
	    CASE(what_is_too_old_is_told),
	    CASE(loss_without_an_event),
	    CASE(a_full_queue_shows),
	    CASE(the_callback_ends_it),
	    CASE(refused),
	    CASE(over_tls),
	    CASE(a_burst_to_a_stock_subscriber),
	    CASE(strangers_are_not_counted),
	    CASE(refuses_what_it_cannot_send),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
