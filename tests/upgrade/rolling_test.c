/* Why this file exists: a cluster is upgraded as an operator does it: one node after the other is stopped and started
 * as the next release (fts-next-node), while agencies go on betting. Nothing is lost and nothing comes twice; on the
 * way the new release does nothing that the old one can't read, and a node may go back; at the end all of them use what
 * is new, and then there is no way back: an old program refuses the directory, and is refused by the cluster, each with
 * a sentence that says what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include <fts/lottery/v1/lottery.fts.h>

#include "next.fts.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/upgrade/strangers.h"

#define LIMIT_S 280
#define WAIT_MS 60000
#define DRAW "rolling"
#define OLD "ftsd"
#define NEW "fts-next-node"

static struct harness_cluster cluster;

/* ---- Bets that go on ---- */

static struct {
	struct fts_channel *channel;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint stored;
	struct fts_error error;
	atomic_bool failed;
} load;

static void *keep_betting(void *ctx)
{
	Fts__Lottery__V1__Bet bet = FTS__LOTTERY__V1__BET__INIT;
	Fts__Lottery__V1__StoreBetRequest request = FTS__LOTTERY__V1__STORE_BET_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = WAIT_MS};
	(void)ctx;
	bet.first_name = bet.last_name = (char *)(uintptr_t) "A";
	bet.document = (char *)(uintptr_t) "123";
	bet.birthdate = (char *)(uintptr_t) "1999-03-17";
	request.draw = (char *)(uintptr_t)DRAW;
	request.agency = 1;
	request.bet = &bet;
	while (!atomic_load(&load.stop)) {
		Fts__Lottery__V1__StoreBetResponse *response = NULL;
		if (fts_lottery_store_bet(load.channel, &request, &options, &response, &load.error) != FTS_OK) {
			atomic_store(&load.failed, true);
			return NULL;
		}
		fts__lottery__v1__store_bet_response__free_unpacked(response, NULL);
		atomic_fetch_add(&load.stored, 1);
	}
	return NULL;
}

static void load_start(void)
{
	const struct fts_channel_options options = {.endpoints = cluster.endpoints, .learn_members = true};
	assert_int_equal(fts_channel_open(&options, &load.channel, NULL), FTS_OK);
	assert_int_equal(pthread_create(&load.thread, NULL, keep_betting, NULL), 0);
}

/* Ten more are stored from now on. */
static void load_goes_on(void)
{
	unsigned until = atomic_load(&load.stored) + 10;
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS);
	     atomic_load(&load.stored) < until && !atomic_load(&load.failed) && harness_wait_more(&wait);)
		continue;
	if (atomic_load(&load.failed)) fail_msg("a bet was refused: %s", load.error.detail);
	assert_true(atomic_load(&load.stored) >= until);
}

static void load_stop(void)
{
	atomic_store(&load.stop, true);
	pthread_join(load.thread, NULL);
	if (atomic_load(&load.failed)) fail_msg("a bet was refused: %s", load.error.detail);
	fts_channel_close(load.channel);
}

/* ---- Asking ---- */

static void open_draw(void)
{
	Fts__Lottery__V1__OpenRequest request = FTS__LOTTERY__V1__OPEN_REQUEST__INIT;
	Fts__Lottery__V1__OpenResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = WAIT_MS};
	const struct fts_channel_options channel_options = {.endpoints = cluster.endpoints};
	struct fts_channel *channel = NULL;
	struct fts_error error = {0};
	request.draw = (char *)(uintptr_t)DRAW;
	request.agencies = 1;
	request.fixed = true;
	request.number = 7574;
	assert_int_equal(fts_channel_open(&channel_options, &channel, NULL), FTS_OK);
	if (fts_lottery_open(channel, &request, &options, &response, &error) != FTS_OK) fail_msg("%s", error.detail);
	fts__lottery__v1__open_response__free_unpacked(response, NULL);
	fts_channel_close(channel);
}

static uint64_t bets_stored(void)
{
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	Fts__Lottery__V1__StatusResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = WAIT_MS};
	const struct fts_channel_options channel_options = {.endpoints = cluster.endpoints};
	struct fts_channel *channel = NULL;
	struct fts_error error = {0};
	request.draw = (char *)(uintptr_t)DRAW;
	assert_int_equal(fts_channel_open(&channel_options, &channel, NULL), FTS_OK);
	if (fts_lottery_status(channel, &request, &options, &response, &error) != FTS_OK) fail_msg("%s", error.detail);
	uint64_t bets = response->bets;
	fts__lottery__v1__status_response__free_unpacked(response, NULL);
	fts_channel_close(channel);
	return bets;
}

/* Call what is new on member. *out_response is returned when OK. */
static enum fts_status count_on(size_t member, Fts__Test__Next__V1__CountResponse **out_response,
				struct fts_error *out_error)
{
	Fts__Test__Next__V1__CountRequest request = FTS__TEST__NEXT__V1__COUNT_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = WAIT_MS};
	const struct fts_channel_options channel_options = {.endpoints = cluster.members[member].endpoint,
							    .learn_members = true};
	struct fts_channel *channel = NULL;
	assert_int_equal(fts_channel_open(&channel_options, &channel, NULL), FTS_OK);
	enum fts_status status = test_next_count(channel, &request, &options, out_response, out_error);
	fts_channel_close(channel);
	return status;
}

/* ---- Steps ---- */

static void exchange(size_t member, const char *program)
{
	assert_int_equal(harness_cluster_stop(&cluster, member), 0);
	load_goes_on();
	cluster.program = program;
	harness_cluster_restart(&cluster, member);
	load_goes_on();
	(void)harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, WAIT_MS);
}

/* A new node leads, old ones follow: it keeps to what they can read. */
static void new_one_leads(size_t member)
{
	struct fts_error error = {0};
	Fts__Test__Next__V1__CountResponse *response = NULL;
	bool leads = false;
	for (struct harness_wait wait = harness_wait_ms(WAIT_MS); !leads && harness_wait_more(&wait);)
		leads = harness_cluster_lead(&cluster, member);
	assert_true(leads);
	load_goes_on();
	enum fts_status status = count_on(member, &response, &error);
	if (status == FTS_OK) fts__test__next__v1__count_response__free_unpacked(response, NULL);
	/* Whoever leads now: a new one refuses it, an old one does not know it. */
	assert_int_not_equal(status, FTS_OK);
	if (status == FTS_FAILED_PRECONDITION) assert_non_null(strstr(error.detail, "writes format 1"));
}

static void one_after_the_other(void **state)
{
	(void)state;
	open_draw();
	load_start();
	load_goes_on();
	exchange(0, NEW);
	new_one_leads(0);
	exchange(0, OLD); /* not yet: it goes back */
	exchange(0, NEW);
	exchange(1, NEW);
	new_one_leads(1);
	for (size_t i = 0; i < cluster.count; i++)
		assert_int_equal(harness_member_count_in_log(&cluster.members[i], "event=cluster.format "), 0);
	exchange(2, NEW);
}

static void all_use_what_is_new(void **state)
{
	(void)state;
	for (size_t i = 0; i < cluster.count; i++)
		assert_true(
		    harness_process_wait_stderr(&cluster.members[i].process, "event=cluster.format ", 0, WAIT_MS));
	Fts__Test__Next__V1__CountResponse *response = NULL;
	struct fts_error error = {0};
	if (count_on(0, &response, &error) != FTS_OK) fail_msg("%s", error.detail);
	assert_int_equal(response->count, 1);
	assert_int_equal(response->format, 2);
	fts__test__next__v1__count_response__free_unpacked(response, NULL);
	load_goes_on();
	load_stop();
	assert_int_equal(bets_stored(), atomic_load(&load.stored)); /* none lost, none twice */
	(void)harness_cluster_wait_equal(&cluster, WAIT_MS);
}

/* The old program on a directory of the new one, and then the new one again. */
static void there_is_no_way_back(void **state)
{
	struct harness_member *member = &cluster.members[0];
	(void)state;
	assert_int_equal(harness_cluster_stop(&cluster, 0), 0);
	cluster.program = OLD;
	harness_cluster_launch(&cluster, 0);
	assert_true(harness_process_wait(&member->process, WAIT_MS));
	assert_int_equal(member->process.exit_code, 2);
	assert_int_equal(harness_member_count_in_log(member, "has format 2"), 1);
	assert_int_equal(harness_member_count_in_log(member, "(ftsd 99.1.0) or a newer one"), 1);
	cluster.program = NEW;
	harness_cluster_restart(&cluster, 0);
	(void)harness_cluster_wait_equal(&cluster, WAIT_MS);
}

/* An old program with an empty directory is told why it is not let in. */
static void an_old_one_is_not_let_in(void **state)
{
	(void)state;
	cluster.program = OLD;
	size_t fourth = harness_cluster_add(&cluster);
	harness_cluster_launch(&cluster, fourth);
	struct harness_process *process = &cluster.members[fourth].process;
	assert_true(harness_process_wait_stderr(process, "event=cluster.not_let_in", 0, WAIT_MS));
	assert_true(harness_process_wait_stderr(process, "start ftsd 99.1.0 there", 0, WAIT_MS));
	harness_cluster_kill(&cluster, fourth);
}

static void strangers_are_named(void **state)
{
	char answer[1024];
	(void)state;
	stranger_says_hello(cluster.members[0].port, 3);
	assert_true(harness_process_wait_stderr(&cluster.members[0].process, "event=cluster.refused", 0, WAIT_MS));
	assert_true(harness_process_wait_stderr(&cluster.members[0].process, "later (ftsd 99.9.9) writes format 3", 0,
						WAIT_MS));
	stranger_calls(cluster.members[0].port, 7, answer, sizeof answer);
	if (strstr(answer, "frame is of version 7") == NULL) fail_msg("%s", answer);
	assert_true(harness_process_wait_stderr(&cluster.members[0].process, "event=rpc.frame_too_new", 0, WAIT_MS));
}

static int start(void **state)
{
	(void)state;
	harness_cluster_init(&cluster, 3);
	cluster.program = OLD;
	harness_cluster_start(&cluster);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_cluster_fini(&cluster);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_after_the_other),  cmocka_unit_test(all_use_what_is_new),
	    cmocka_unit_test(there_is_no_way_back), cmocka_unit_test(an_old_one_is_not_let_in),
	    cmocka_unit_test(strangers_are_named),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, start, stop);
}
