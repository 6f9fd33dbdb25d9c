/* Why this file exists: the importer of <fts/lottery.h> against a lottery that fails: every row once, in order,
 * whatever fails when; bounded in flight; an end in bounded time when nothing helps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include <fts/lottery.h>

#include "tests/cli/fake_lottery.h"
#include "tests/harness/clock.h"

#define DEADLINE_MS 20000u

struct fixture {
	struct fake_lottery *fake;
	struct fts_channel *channel;
};

static struct fixture set_up(void)
{
	struct fixture f = {.fake = fake_lottery_start()};
	char endpoints[32];
	struct fts_channel_options options = {.endpoints = endpoints};

	snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u", fake_lottery_port(f.fake));
	assert_int_equal(fts_channel_open(&options, &f.channel, NULL), FTS_OK);
	return f;
}

static void tear_down(struct fixture *f)
{
	fts_channel_close(f->channel);
	fake_lottery_stop(f->fake);
}

/* One run over rows 1 to row_count, in a thread or not. Document of row r is r; number is r modulo 10,000. */
struct run {
	struct fts_lottery_importer *importer;
	uint32_t row_count;
	uint32_t skip_every; /* rows left out, as a caller does that refuses some itself; 0: none */
	uint32_t bad_every;  /* rows with a number above 9999; 0: none */
	enum fts_status status;
	struct fts_error error;
	uint64_t refused_tags;
	uint32_t refused_count;
	uint32_t waits, resumes;
};

static void on_refused(void *ctx, const struct fts_lottery_refusal *refusal)
{
	struct run *run = ctx;

	assert_string_equal(refusal->reason, "number: above 9999");
	assert_true(refusal->tag == refusal->row * 10);
	assert_int_equal(strtoull(refusal->bet->document, NULL, 10), refusal->row);
	run->refused_count++;
}

static void on_waiting(void *ctx, const struct fts_error *error, uint64_t waited_ms)
{
	struct run *run = ctx;

	(void)waited_ms;
	if (error)
		run->waits++;
	else
		run->resumes++;
}

static void open_run(const struct fixture *f, struct run *run, struct fts_lottery_import_options options)
{
	struct fts_lottery_import_observer observer = {run, on_refused, on_waiting};

	options.draw = options.draw ? options.draw : "d";
	options.import = "f.csv";
	options.agency = 1;
	assert_int_equal(fts_lottery_importer_create(f->channel, &options, &observer, &run->importer, NULL), FTS_OK);
}

static void *do_run(void *ctx)
{
	struct run *run = ctx;
	char document[24];

	run->status = FTS_OK;
	for (uint32_t row = 1; row <= run->row_count && run->status == FTS_OK; row++) {
		bool bad = run->bad_every && row % run->bad_every == 0;
		struct fts_lottery_bet bet = {"Ada", "Byron", document, "1999-03-17", bad ? 10000 : row % 10000};
		if (run->skip_every && row % run->skip_every == 0) continue;
		snprintf(document, sizeof(document), "%u", row);
		run->status = fts_lottery_importer_add(run->importer, row, row * 10u, &bet, &run->error);
	}
	if (run->status == FTS_OK) run->status = fts_lottery_importer_finish(run->importer, &run->error);
	return NULL;
}

/* All bets, each once, in the order of the rows. */
static void check_order(struct fixture *f, uint32_t expected)
{
	unsigned long last = 0;

	assert_int_equal(fake_lottery_bet_count(f->fake), expected);
	for (uint32_t i = 0; i < expected; i++) {
		unsigned long document = strtoul(fake_lottery_bet(f->fake, i).document, NULL, 10);
		if (document <= last) fail_msg("bet %u is row %lu, behind row %lu", i, document, last);
		last = document;
	}
}

static void test_plain(void **state)
{
	struct fixture f = set_up();
	struct run run = {.row_count = 12345};

	(void)state;
	open_run(&f, &run, (struct fts_lottery_import_options){.batch_rows = 100});
	do_run(&run);
	struct fts_lottery_import_counts counts = fts_lottery_importer_counts(run.importer);
	assert_int_equal(run.status, FTS_OK);
	assert_int_equal(counts.stored, 12345);
	assert_int_equal(counts.already + counts.refused + counts.retries, 0);
	assert_int_equal(counts.calls, 124);
	check_order(&f, 12345);
	fts_lottery_importer_destroy(run.importer);
	tear_down(&f);
}

static void test_nothing(void **state)
{
	struct fixture f = set_up();
	struct run run = {.row_count = 0};

	(void)state;
	open_run(&f, &run, (struct fts_lottery_import_options){0});
	do_run(&run);
	assert_int_equal(run.status, FTS_OK);
	assert_int_equal(fake_lottery_batch_calls(f.fake), 0);
	fts_lottery_importer_destroy(run.importer);
	tear_down(&f);
}

static void test_again_stores_nothing(void **state)
{
	struct fixture f = set_up();
	struct run first = {.row_count = 500}, second = {.row_count = 700};

	(void)state;
	open_run(&f, &first, (struct fts_lottery_import_options){.batch_rows = 64});
	do_run(&first);
	fts_lottery_importer_destroy(first.importer);
	open_run(&f, &second, (struct fts_lottery_import_options){.batch_rows = 77});
	do_run(&second);
	struct fts_lottery_import_counts counts = fts_lottery_importer_counts(second.importer);
	assert_int_equal(counts.already, 500);
	assert_int_equal(counts.stored, 200);
	check_order(&f, 700);
	fts_lottery_importer_destroy(second.importer);
	tear_down(&f);
}

static void test_refused_and_left_out(void **state)
{
	struct fixture f = set_up();
	struct run run = {.row_count = 1000, .skip_every = 7, .bad_every = 10};

	(void)state;
	open_run(&f, &run, (struct fts_lottery_import_options){.batch_rows = 50});
	do_run(&run);
	struct fts_lottery_import_counts counts = fts_lottery_importer_counts(run.importer);
	uint32_t given = 1000 - 142, bad = 100 - 14;
	assert_int_equal(run.status, FTS_OK);
	assert_int_equal(counts.refused, bad);
	assert_int_equal(run.refused_count, bad);
	assert_int_equal(counts.stored, given - bad);
	check_order(&f, given - bad);
	fts_lottery_importer_destroy(run.importer);
	tear_down(&f);
}

static void wait_for_held(struct fixture *f, uint32_t count)
{
	for (struct harness_wait w = harness_wait_ms(DEADLINE_MS); fake_lottery_held(f->fake) != count;)
		if (!harness_wait_more(&w)) fail_msg("%u calls in flight, not %u", fake_lottery_held(f->fake), count);
}

/* The window opens by one for each success, and never beyond its limit. */
static void test_pipelined_and_bounded(void **state)
{
	static const uint32_t in_flight[] = {1, 2, 8, 8, 8, 3};
	struct fixture f = set_up();
	struct run run = {.row_count = 300};
	pthread_t thread;

	(void)state;
	fake_lottery_hold(f.fake, true);
	open_run(&f, &run, (struct fts_lottery_import_options){.batch_rows = 10});
	assert_int_equal(pthread_create(&thread, NULL, do_run, &run), 0);
	for (size_t i = 0; i < sizeof(in_flight) / sizeof(in_flight[0]); i++) {
		wait_for_held(&f, in_flight[i]);
		fake_lottery_release(f.fake);
	}
	pthread_join(thread, NULL);
	assert_int_equal(run.status, FTS_OK);
	check_order(&f, 300);
	fts_lottery_importer_destroy(run.importer);
	tear_down(&f);
}

/* Each call fails once, before and after its effect, with every status that a retry may cure. */
static void test_failure_sweep(void **state)
{
	static const enum fts_status curable[] = {FTS_UNAVAILABLE, FTS_DEADLINE_EXCEEDED, FTS_RESOURCE_EXHAUSTED,
						  FTS_ABORTED};

	(void)state;
	for (uint32_t n = 0; n < 12; n++)
		for (int stored = 0; stored < 2; stored++) {
			struct fixture f = set_up();
			struct run run = {.row_count = 200};
			fake_lottery_fail(f.fake, n, 1 + n % 3, curable[n % 4], stored);
			open_run(&f, &run, (struct fts_lottery_import_options){.batch_rows = 20});
			do_run(&run);
			struct fts_lottery_import_counts counts = fts_lottery_importer_counts(run.importer);
			if (run.status != FTS_OK || counts.stored + counts.already != 200)
				fail_msg("n=%u stored=%d: status %d, %s", n, stored, (int)run.status, run.error.detail);
			check_order(&f, 200);
			assert_int_equal(run.waits > 0, counts.retries > 0);
			assert_int_equal(run.resumes > 0, counts.retries > 0);
			fts_lottery_importer_destroy(run.importer);
			tear_down(&f);
		}
}

static void test_incurable_ends_it(void **state)
{
	static const enum fts_status incurable[] = {FTS_FAILED_PRECONDITION, FTS_PERMISSION_DENIED, FTS_INTERNAL,
						    FTS_INVALID_ARGUMENT};

	(void)state;
	for (uint32_t n = 0; n < 4; n++) {
		struct fixture f = set_up();
		struct run run = {.row_count = 400};
		/* All from the fourth on, as a closed agency does. */
		fake_lottery_fail(f.fake, 3, UINT32_MAX, incurable[n], false);
		open_run(&f, &run, (struct fts_lottery_import_options){.batch_rows = 20});
		do_run(&run);
		assert_int_equal(run.status, incurable[n]);
		assert_string_equal(run.error.detail, "as ordered");
		assert_int_equal(fts_lottery_importer_counts(run.importer).stored, 60);
		check_order(&f, 60);
		fts_lottery_importer_destroy(run.importer);
		tear_down(&f);
	}
}

static void test_no_such_draw(void **state)
{
	struct fixture f = set_up();
	struct run run = {.row_count = 10};

	(void)state;
	open_run(&f, &run, (struct fts_lottery_import_options){.draw = "other"});
	do_run(&run);
	assert_int_equal(run.status, FTS_NOT_FOUND);
	fts_lottery_importer_destroy(run.importer);
	tear_down(&f);
}

/* The server dies and comes back, several times, while rows come. */
static void test_server_restarts(void **state)
{
	struct fixture f = set_up();
	struct run run = {.row_count = 60000};
	pthread_t thread;

	(void)state;
	open_run(&f, &run, (struct fts_lottery_import_options){.batch_rows = 100});
	assert_int_equal(pthread_create(&thread, NULL, do_run, &run), 0);
	for (uint32_t kill = 1; kill <= 4; kill++) {
		for (struct harness_wait w = harness_wait_ms(DEADLINE_MS);
		     fake_lottery_bet_count(f.fake) < kill * 12000;)
			if (!harness_wait_more(&w)) fail_msg("stuck at %u bets", fake_lottery_bet_count(f.fake));
		fake_lottery_kill(f.fake);
		fake_lottery_revive(f.fake);
	}
	pthread_join(thread, NULL);
	struct fts_lottery_import_counts counts = fts_lottery_importer_counts(run.importer);
	if (run.status != FTS_OK) fail_msg("%s", run.error.detail);
	assert_int_equal(counts.stored + counts.already, 60000);
	check_order(&f, 60000);
	fts_lottery_importer_destroy(run.importer);
	tear_down(&f);
}

static void test_patience_ends(void **state)
{
	struct fixture f = set_up();
	struct run run = {.row_count = 10};
	uint64_t begin_ns = harness_now_ns();

	(void)state;
	fake_lottery_kill(f.fake);
	open_run(&f, &run, (struct fts_lottery_import_options){.patience_ms = 300});
	do_run(&run);
	assert_int_equal(run.status, FTS_UNAVAILABLE);
	assert_true(harness_now_ns() - begin_ns >= UINT64_C(300000000));
	assert_true(harness_now_ns() - begin_ns < UINT64_C(10000000000));
	/* And it stays ended. */
	struct fts_lottery_bet bet = {"Ada", "Byron", "1", "1999-03-17", 1};
	assert_int_equal(fts_lottery_importer_add(run.importer, 99, 0, &bet, NULL), FTS_UNAVAILABLE);
	assert_int_equal(fts_lottery_importer_finish(run.importer, NULL), FTS_UNAVAILABLE);
	fts_lottery_importer_destroy(run.importer);
	tear_down(&f);
}

static void test_stop(void **state)
{
	struct fixture f = set_up();
	struct run run = {.row_count = 50000};
	pthread_t thread;

	(void)state;
	fake_lottery_hold(f.fake, true);
	open_run(&f, &run, (struct fts_lottery_import_options){.batch_rows = 10});
	assert_int_equal(pthread_create(&thread, NULL, do_run, &run), 0);
	wait_for_held(&f, 1);
	fts_lottery_importer_stop(run.importer);
	fake_lottery_hold(f.fake, false);
	fake_lottery_release(f.fake);
	pthread_join(thread, NULL);
	assert_int_equal(run.status, FTS_CANCELLED);
	assert_int_equal(fts_lottery_importer_counts(run.importer).stored, 10);
	check_order(&f, 10);
	fts_lottery_importer_destroy(run.importer);
	tear_down(&f);
}

static void test_bad_arguments(void **state)
{
	struct fixture f = set_up();
	struct fts_lottery_importer *importer = NULL;
	char *long_name = malloc(70000);
	struct fts_lottery_bet bet = {long_name, "", "", "", 1};

	(void)state;
	memset(long_name, 'x', 69999);
	long_name[69999] = '\0';
	struct fts_lottery_import_options options = {.draw = "d", .agency = 1};
	assert_int_equal(fts_lottery_importer_create(f.channel, &options, NULL, &importer, NULL), FTS_INVALID_ARGUMENT);
	options.import = long_name;
	assert_int_equal(fts_lottery_importer_create(f.channel, &options, NULL, &importer, NULL), FTS_INVALID_ARGUMENT);
	options.import = "f";
	options.batch_rows = 4097;
	assert_int_equal(fts_lottery_importer_create(f.channel, &options, NULL, &importer, NULL), FTS_INVALID_ARGUMENT);
	options.batch_rows = 0;
	assert_int_equal(fts_lottery_importer_create(f.channel, &options, NULL, &importer, NULL), FTS_OK);
	assert_int_equal(fts_lottery_importer_add(importer, 1, 0, &bet, NULL), FTS_INVALID_ARGUMENT);
	bet.first_name = "Ada";
	assert_int_equal(fts_lottery_importer_add(importer, 5, 0, &bet, NULL), FTS_OK);
	assert_int_equal(fts_lottery_importer_add(importer, 5, 0, &bet, NULL), FTS_INVALID_ARGUMENT);
	fts_lottery_importer_destroy(importer);
	free(long_name);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_again_stores_nothing),
	    cmocka_unit_test(test_refused_and_left_out),
	    cmocka_unit_test(test_pipelined_and_bounded),
	    cmocka_unit_test(test_failure_sweep),
	    cmocka_unit_test(test_incurable_ends_it),
	    cmocka_unit_test(test_no_such_draw),
	    cmocka_unit_test(test_server_restarts),
	    cmocka_unit_test(test_patience_ends),
	    cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_bad_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
