/* Why this file exists: deadlines at the edges of their range, where a wrap would turn "never" into "now". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void deadlines_do_not_wrap(void **state)
{
	(void)state;
	assert_true(fts_clock_deadline_ns(5, 7) == 7000005u);
	assert_true(fts_clock_deadline_ns(UINT64_MAX - 5, 1) == UINT64_MAX);
	assert_true(fts_clock_deadline_ns(0, UINT32_MAX) == UINT32_MAX * 1000000ull);
}

static void time_left_is_rounded_up(void **state)
{
	(void)state;
	static const struct {
		uint64_t now_ns, deadline_ns;
		uint32_t left_ms;
	} cases[] = {
	    {10, 10, 0}, {11, 10, 0}, {0, 1, 1}, {0, 1000000, 1}, {0, 1000001, 2}, {0, UINT64_MAX, UINT32_MAX},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(fts_clock_left_ms(cases[i].now_ns, cases[i].deadline_ns), cases[i].left_ms);
}

static void clocks_go_on(void **state)
{
	(void)state;
	uint64_t before_ns = fts_clock_monotonic_ns();
	assert_true(fts_clock_monotonic_ns() >= before_ns);
	assert_true(fts_clock_wall_ms() > 1700000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(deadlines_do_not_wrap),
	    cmocka_unit_test(time_left_is_rounded_up),
	    cmocka_unit_test(clocks_go_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
