/* Why this file exists: a leader's wall clock that leaps must not make clients idle: a call that is on its way again
 * would run twice. The partners and the clock are the test's (puppet.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "puppet.h"

enum { MINUTE_MS = 60000, HOUR_MS = 60 * MINUTE_MS };

static int64_t add(struct puppet *puppet, uint64_t client_id, uint64_t *index)
{
	const struct add add = {.name = "a", .delta = 1, .client_id = client_id, .sequence = 1, .lowest_unanswered = 1};
	struct add_result result;
	assert_int_equal(add_start(puppet->replica, &add, &result), FTS_OK);
	puppet_step(puppet);
	puppet_write(puppet);
	puppet_result(puppet, 2, puppet->replica->raft.current_term, ++*index);
	add_wait(&result);
	assert_int_equal(result.status, FTS_OK);
	return result.value;
}

static void a_retry_is_known_over_a_leap(void **state)
{
	struct puppet puppet;
	uint64_t index = 2;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_elect(&puppet);
	puppet_result(&puppet, 2, 2, index);
	puppet_result(&puppet, 3, 2, index);
	assert_int_equal(add(&puppet, 5, &index), 1);
	puppet.wall_ahead_ms = 24 * HOUR_MS;
	assert_int_equal(add(&puppet, 6, &index), 2);
	puppet.wall_ahead_ms = 0; /* set back: the log's time stands still */
	assert_int_equal(add(&puppet, 7, &index), 3);
	assert_int_equal(add(&puppet, 5, &index), 1);
	/* an hour with commands in it is an hour */
	for (puppet.wall_ahead_ms = 24 * HOUR_MS; puppet.wall_ahead_ms <= 25 * HOUR_MS;
	     puppet.wall_ahead_ms += MINUTE_MS)
		(void)add(&puppet, 1000 + index, &index);
	assert_true(add(&puppet, 5, &index) > 3);
	puppet_close(&puppet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_retry_is_known_over_a_leap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
