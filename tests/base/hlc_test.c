/* Why this file exists: a hybrid logical clock under wall clocks that jump, and other nodes that are ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hlc.h"

static void never_goes_back(void **state)
{
	static const int64_t walls_ms[] = {1000, 1000, 1000, 5000, 10, 0, -7, 5000, 5001, 1};
	struct fts_hlc clock = {0};
	uint64_t last = 0;
	(void)state;
	for (size_t i = 0; i < sizeof walls_ms / sizeof walls_ms[0]; i++) {
		uint64_t now = fts_hlc_now(&clock, walls_ms[i]);
		assert_true(now > last);
		last = now;
	}
	assert_int_equal(fts_hlc_wall_ms(last), 5001);
}

static void follows_the_wall_clock(void **state)
{
	struct fts_hlc clock = {0};
	(void)state;
	for (int64_t wall_ms = 1; wall_ms < 100; wall_ms++)
		assert_int_equal(fts_hlc_wall_ms(fts_hlc_now(&clock, wall_ms)), wall_ms);
}

static void a_full_count_goes_on(void **state)
{
	struct fts_hlc clock = {0};
	uint64_t last = 0;
	(void)state;
	for (int i = 0; i < 70000; i++) { /* more than 16 bits count within one millisecond */
		uint64_t now = fts_hlc_now(&clock, 42);
		assert_true(now > last);
		last = now;
	}
	assert_int_equal(fts_hlc_wall_ms(last), 43);
}

static void what_was_seen_lies_behind(void **state)
{
	struct fts_hlc clock = {0};
	uint64_t seen = (uint64_t)1400 << 16 | 7;
	(void)state;
	assert_int_equal(fts_hlc_observe(&clock, seen, 1000, 500), FTS_OK);
	assert_true(fts_hlc_now(&clock, 1000) > seen);
	assert_int_equal(fts_hlc_observe(&clock, (uint64_t)3 << 16, 1000, 500), FTS_OK); /* old: no harm */
	assert_true(fts_hlc_now(&clock, 1000) > seen);
}

static void a_clock_far_ahead_is_refused(void **state)
{
	struct fts_hlc clock = {0};
	uint64_t before = fts_hlc_now(&clock, 1000);
	(void)state;
	assert_int_equal(fts_hlc_observe(&clock, (uint64_t)1501 << 16, 1000, 500), FTS_FAILED_PRECONDITION);
	assert_int_equal(fts_hlc_observe(&clock, UINT64_MAX, 1000, 500), FTS_FAILED_PRECONDITION);
	assert_true(fts_hlc_now(&clock, 1000) == before + 1);
	assert_int_equal(fts_hlc_observe(&clock, (uint64_t)1500 << 16, 1000, 500), FTS_OK);
}

static void a_look_takes_nothing(void **state)
{
	struct fts_hlc clock = {0};
	uint64_t before = fts_hlc_now(&clock, 1000);
	(void)state;
	assert_int_equal(fts_hlc_wall_ms(fts_hlc_look(&clock, 9000)), 9000);
	assert_true(fts_hlc_look(&clock, 500) == before);
	assert_true(fts_hlc_now(&clock, 1000) == before + 1);
}

static void clocks_that_were_set_back_together_agree(void **state)
{
	struct fts_hlc clock = {0};
	(void)state;
	(void)fts_hlc_now(&clock, 100000);
	assert_int_equal(fts_hlc_observe(&clock, (uint64_t)100400 << 16, 1000, 500), FTS_OK);
	assert_int_equal(fts_hlc_observe(&clock, (uint64_t)100901 << 16, 1000, 500), FTS_FAILED_PRECONDITION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(never_goes_back),
	    cmocka_unit_test(follows_the_wall_clock),
	    cmocka_unit_test(a_full_count_goes_on),
	    cmocka_unit_test(what_was_seen_lies_behind),
	    cmocka_unit_test(a_clock_far_ahead_is_refused),
	    cmocka_unit_test(a_look_takes_nothing),
	    cmocka_unit_test(clocks_that_were_set_back_together_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
