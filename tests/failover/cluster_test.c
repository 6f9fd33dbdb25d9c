/* Why this file exists: what the scripted servers of the other tests promise must hold for real nodes: writes go on
 * through the death and the silence of the leader, each takes place once, and a subscriber misses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include <fts/events.h>
#include <fts/lottery/v1/lottery.fts.h>
#include <fts/rpc/v1/events.fts.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

#define LIMIT_S 280
#define SETTLE_MS 20000
#define NODES 3
#define WRITERS 4
#define EVENTS_MAX 200000
#define DRAW "failover"

static struct harness_cluster cluster;

/* ---- Writers ---- */

struct load {
	struct fts_channel *channel;
	pthread_t threads[WRITERS];
	atomic_bool stop;
	atomic_uint acked, unknown, refused;
};

static void *write_bets(void *arg)
{
	struct load *load = arg;
	Fts__Lottery__V1__Bet bet = FTS__LOTTERY__V1__BET__INIT;
	Fts__Lottery__V1__StoreBetRequest request = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	char name[] = "Ana", document[] = "30904465", birthdate[] = "1999-03-17", draw[] = DRAW;
	bet.first_name = bet.last_name = name;
	bet.document = document;
	bet.birthdate = birthdate;
	request.draw = draw;
	request.agency = 1;
	request.bet = &bet;
	while (!atomic_load(&load->stop)) {
		Fts__Lottery__V1__StoreBetResponse *response = NULL;
		struct fts_call_options options = {.timeout_ms = SETTLE_MS};
		struct fts_error error;
		enum fts_status status = fts_lottery_store_bet(load->channel, &request, &options, &response, &error);
		bool may_have_run = status != FTS_OK && error.executed != FTS_EXECUTED_NO;
		atomic_fetch_add(status == FTS_OK ? &load->acked : may_have_run ? &load->unknown : &load->refused, 1);
		if (status != FTS_OK) print_message("%s: %s\n", fts_status_name(status), error.detail);
		if (response != NULL) fts__lottery__v1__store_bet_response__free_unpacked(response, NULL);
	}
	return NULL;
}

static void open_channel(struct load *load, const char *endpoints, bool learn_members)
{
	struct fts_channel_options options = {.endpoints = endpoints, .learn_members = learn_members};
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	Fts__Lottery__V1__OpenResponse *response = NULL;
	char draw[] = DRAW;
	request.draw = draw;
	request.agencies = 1;
	request.fixed = true;
	assert_int_equal(fts_channel_open(&options, &load->channel, NULL), FTS_OK);
	assert_int_equal(fts_lottery_open(load->channel, &request, NULL, &response, NULL), FTS_OK);
	fts__lottery__v1__open_response__free_unpacked(response, NULL);
}

/* Wait for count more acknowledgements; how long they took. */
static uint64_t wait_acks(struct load *load, unsigned count)
{
	uint64_t began_ns = harness_now_ns();
	unsigned before = atomic_load(&load->acked);
	for (struct harness_wait wait = harness_wait_ms(SETTLE_MS); atomic_load(&load->acked) - before < count;)
		if (!harness_wait_more(&wait)) fail_msg("no %u acknowledgements", count);
	return (harness_now_ns() - began_ns) / 1000000;
}

static void start_load(struct load *load, const char *endpoints, bool learn_members)
{
	memset(load, 0, sizeof *load);
	open_channel(load, endpoints, learn_members);
	for (size_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&load->threads[i], NULL, write_bets, load), 0);
	(void)wait_acks(load, 200);
}

static uint64_t stored_bets(struct fts_channel *channel)
{
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	Fts__Lottery__V1__StatusResponse *response = NULL;
	char draw[] = DRAW;
	request.draw = draw;
	assert_int_equal(fts_lottery_status(channel, &request, NULL, &response, NULL), FTS_OK);
	uint64_t bets = response->bets;
	fts__lottery__v1__status_response__free_unpacked(response, NULL);
	return bets;
}

/* Every call was answered, and took place once. */
static void end_load(struct load *load)
{
	atomic_store(&load->stop, true);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(load->threads[i], NULL);
	assert_int_equal(atomic_load(&load->unknown), 0);
	assert_int_equal(atomic_load(&load->refused), 0);
	assert_int_equal(stored_bets(load->channel), atomic_load(&load->acked));
	fts_channel_close(load->channel);
}

/* ---- A subscriber ---- */

struct listener {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t places[EVENTS_MAX]; /* index << 16 | ordinal; guarded by lock, as all below */
	size_t count;
	uint64_t lost_count;
	char endpoint[64]; /* it listens to; "": to nobody */
	unsigned up_count;
	struct fts_subscription *subscription;
};

static bool on_event(void *ctx, const struct fts_event *event, uint64_t lost_count)
{
	struct listener *listener = ctx;
	pthread_mutex_lock(&listener->lock);
	listener->lost_count += lost_count;
	if (event != NULL && listener->count < EVENTS_MAX)
		listener->places[listener->count++] = event->index << 16 | event->ordinal;
	pthread_cond_broadcast(&listener->changed);
	pthread_mutex_unlock(&listener->lock);
	return true;
}

static void on_notice(void *ctx, enum fts_subscription_notice notice, const char *endpoint, const char *reason)
{
	struct listener *listener = ctx;
	(void)reason;
	pthread_mutex_lock(&listener->lock);
	bool is_up = notice == FTS_SUBSCRIPTION_UP;
	snprintf(listener->endpoint, sizeof listener->endpoint, "%s", is_up ? endpoint : "");
	listener->up_count += is_up;
	pthread_cond_broadcast(&listener->changed);
	pthread_mutex_unlock(&listener->lock);
}

static struct listener *listen_to(const char *endpoints, uint64_t from_index)
{
	struct listener *listener = calloc(1, sizeof *listener);
	struct fts_subscribe_options options = {
	    .endpoints = endpoints, .topic = "lottery.bets", .from_index = from_index, .on_notice = on_notice};
	struct fts_error error = {.detail = ""};
	pthread_mutex_init(&listener->lock, NULL);
	pthread_cond_init(&listener->changed, NULL);
	if (fts_subscribe(&options, SETTLE_MS, on_event, listener, &listener->subscription, &error) != FTS_OK)
		fail_msg("%s", error.detail);
	return listener;
}

/* Wait for so many events, or so many connections. */
static void wait_heard(struct listener *listener, size_t count, unsigned up_count)
{
	struct timespec until;
	int error = 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SETTLE_MS / 1000;
	pthread_mutex_lock(&listener->lock);
	while ((listener->count < count || listener->up_count < up_count) && error == 0)
		error = pthread_cond_timedwait(&listener->changed, &listener->lock, &until);
	size_t heard = listener->count;
	pthread_mutex_unlock(&listener->lock);
	if (error != 0) fail_msg("%zu events heard of %zu", heard, count);
}

static size_t node_listened_to(struct listener *listener)
{
	size_t node = 0;
	pthread_mutex_lock(&listener->lock);
	while (node < cluster.count && strcmp(cluster.members[node].endpoint, listener->endpoint) != 0)
		node++;
	pthread_mutex_unlock(&listener->lock);
	assert_true(node < cluster.count);
	return node;
}

static void end_listener(struct listener *listener)
{
	fts_subscription_close(listener->subscription);
	pthread_cond_destroy(&listener->changed);
	pthread_mutex_destroy(&listener->lock);
	free(listener);
}

/* ---- The cases ---- */

static void start_cluster(void)
{
	harness_cluster_init(&cluster, NODES);
	cluster.flags[0] = "--election-ms";
	cluster.flags[1] = "150";
	harness_cluster_start(&cluster);
	(void)harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
}

static void end_cluster(void)
{
	harness_cluster_wait_equal(&cluster, SETTLE_MS);
	harness_cluster_fini(&cluster);
}

static void leaders_are_killed(void **state)
{
	struct load load;
	(void)state;
	start_cluster();
	start_load(&load, cluster.endpoints, false);
	for (int round = 0; round < 6; round++) {
		size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
		harness_cluster_kill(&cluster, leader);
		print_message("killed: %llu ms\n", (unsigned long long)wait_acks(&load, WRITERS + 1));
		harness_cluster_restart(&cluster, leader);
		(void)wait_acks(&load, 100);
	}
	end_load(&load);
	end_cluster();
}

static void leaders_are_stopped(void **state)
{
	struct load load;
	(void)state;
	start_cluster();
	start_load(&load, cluster.endpoints, false);
	for (int round = 0; round < 4; round++) {
		size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
		harness_cluster_pause(&cluster, leader);
		print_message("stopped: %llu ms\n", (unsigned long long)wait_acks(&load, WRITERS + 1));
		harness_cluster_resume(&cluster, leader);
		(void)wait_acks(&load, 100);
	}
	end_load(&load);
	end_cluster();
}

/* The client was told of one node only. */
static void one_endpoint_is_enough(void **state)
{
	struct load load;
	(void)state;
	start_cluster();
	start_load(&load, cluster.members[0].endpoint, true);
	for (size_t node = 0; node < NODES; node++) {
		harness_cluster_kill(&cluster, node);
		(void)wait_acks(&load, WRITERS + 1);
		harness_cluster_restart(&cluster, node);
		(void)wait_acks(&load, 100);
	}
	end_load(&load);
	end_cluster();
}

/* Whichever node it listens to dies or stops; at the end it has heard what another hears that asks for everything. */
static void a_subscriber_misses_nothing(void **state)
{
	struct load load;
	(void)state;
	start_cluster();
	struct listener *listener = listen_to(cluster.endpoints, 1);
	start_load(&load, cluster.endpoints, false);
	wait_heard(listener, 100, 1);
	for (unsigned round = 0; round < 4; round++) {
		size_t node = node_listened_to(listener);
		if (round % 2 == 0) {
			harness_cluster_kill(&cluster, node);
		} else {
			harness_cluster_pause(&cluster, node);
		}
		wait_heard(listener, 0, round + 2);
		if (round % 2 == 0) {
			harness_cluster_restart(&cluster, node);
		} else {
			harness_cluster_resume(&cluster, node);
		}
		(void)wait_acks(&load, 100);
	}
	end_load(&load);
	size_t count = atomic_load(&load.acked);
	struct listener *judge = listen_to(cluster.endpoints, 1);
	wait_heard(judge, count, 1);
	wait_heard(listener, count, 1);
	assert_int_equal(judge->count, count); /* an event each bet */
	assert_int_equal(listener->count, count);
	assert_memory_equal(listener->places, judge->places, count * sizeof *judge->places);
	assert_int_equal(listener->lost_count, 0);
	end_listener(judge);
	end_listener(listener);
	end_cluster();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(leaders_are_killed),
	    cmocka_unit_test(leaders_are_stopped),
	    cmocka_unit_test(one_endpoint_is_enough),
	    cmocka_unit_test(a_subscriber_misses_nothing),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests_name("failover cluster", tests, NULL, NULL);
}
