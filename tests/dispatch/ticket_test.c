/* Why this file exists: tickets: what is one, and that none is taken twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/ticket.h"

static const uint8_t key[FTS_TICKET_KEY_BYTES] = {1, 2, 3};

static void what_was_made_is_read(void **state)
{
	const struct fts_ticket made = {.worker = 7, .number = UINT64_MAX, .order = 3, .usable_ms = -1, .runs = 1000};
	struct fts_ticket got = {0};
	uint8_t bytes[FTS_TICKET_BYTES];
	(void)state;
	fts_ticket_make(&made, key, bytes);
	assert_int_equal(fts_ticket_read((struct fts_bytes){bytes, sizeof bytes}, key, &got), FTS_OK);
	assert_true(got.worker == made.worker && got.number == made.number && got.order == made.order &&
		    got.usable_ms == made.usable_ms && got.runs == made.runs);
}

static void a_changed_one_is_none(void **state)
{
	const struct fts_ticket made = {.worker = 7, .number = 8, .order = 3, .usable_ms = 9, .runs = 1};
	struct fts_ticket got;
	uint8_t bytes[FTS_TICKET_BYTES], other_key[FTS_TICKET_KEY_BYTES] = {1, 2, 4};
	(void)state;
	fts_ticket_make(&made, key, bytes);
	for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(fts_ticket_read((struct fts_bytes){bytes, sizeof bytes}, key, &got),
				 FTS_PERMISSION_DENIED);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < sizeof bytes; size++)
		assert_int_equal(fts_ticket_read((struct fts_bytes){bytes, size}, key, &got), FTS_PERMISSION_DENIED);
	assert_int_equal(fts_ticket_read((struct fts_bytes){bytes, sizeof bytes}, other_key, &got),
			 FTS_PERMISSION_DENIED);
}

static void each_order_is_taken_once(void **state)
{
	static struct fts_ticket_window window;
	static uint8_t seen[4 * FTS_TICKET_WINDOW];
	uint64_t random = 88172645463325252u, top = 0;
	(void)state;
	assert_false(fts_ticket_window_take(&window, 0));
	for (int i = 0; i < 400000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* mostly a little ahead or behind, sometimes far */
		uint64_t spread = random % 50 == 0 ? 2 * FTS_TICKET_WINDOW : 300;
		uint64_t order = 1 + (top + random / 64 % spread) % (sizeof seen - 1);
		bool old = top >= FTS_TICKET_WINDOW && order <= top - FTS_TICKET_WINDOW;
		bool expected = !old && !seen[order];
		assert_int_equal(fts_ticket_window_take(&window, order), expected);
		seen[order] = 1;
		if (order > top && order < sizeof seen - 1000) top = order;
		if (order > top) break;
	}
}

static void a_leap_clears_the_window(void **state)
{
	static struct fts_ticket_window window;
	(void)state;
	assert_true(fts_ticket_window_take(&window, 5));
	assert_true(fts_ticket_window_take(&window, UINT64_MAX));
	assert_false(fts_ticket_window_take(&window, UINT64_MAX));
	assert_true(fts_ticket_window_take(&window, UINT64_MAX - FTS_TICKET_WINDOW + 1));
	assert_false(fts_ticket_window_take(&window, UINT64_MAX - FTS_TICKET_WINDOW));
	assert_false(fts_ticket_window_take(&window, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_made_is_read),
	    cmocka_unit_test(a_changed_one_is_none),
	    cmocka_unit_test(each_order_is_taken_once),
	    cmocka_unit_test(a_leap_clears_the_window),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
