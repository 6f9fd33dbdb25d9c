/* Why this file exists: made-up bets are the same for the same seed, on every machine: golden rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/bets.h"

/* First values of SplitMix64 seeded with 1234567, as published with the algorithm. */
static void test_generator(void **state)
{
	static const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
					    UINT64_C(9817491932198370423), UINT64_C(4593380528125082431)};
	struct ftsi_random random = {1234567};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_true(ftsi_random_next(&random) == expected[i]);
}

static void test_rows(void **state)
{
	struct ftsi_random a = {1}, b = {1};
	char row_a[256], row_b[256];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		size_t size_bytes = ftsi_bet_make(&a, 7574, row_a, sizeof(row_a));
		assert_int_equal(ftsi_bet_make(&b, 7574, row_b, sizeof(row_b)), size_bytes);
		assert_string_equal(row_a, row_b);
		assert_true(size_bytes < 160);
		assert_string_equal(row_a + size_bytes - 7, ",7574\r\n");
	}
}

static void test_division(void **state)
{
	(void)state;
	for (uint64_t rows = 0; rows < 3000; rows += 7) {
		struct ftsi_random random = {rows};
		uint64_t parts[7], sum = 0;
		ftsi_bets_divide(&random, rows, 7, parts);
		for (size_t i = 0; i < 7; i++)
			sum += parts[i];
		assert_true(sum == rows);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_generator), cmocka_unit_test(test_rows),
					   cmocka_unit_test(test_division)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
