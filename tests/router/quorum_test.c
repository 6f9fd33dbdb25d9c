/* Why this file exists: every combination of answers and failures, of owners at rest and of owners that change: the
 * verdict is never early, never late, and any two quorums meet, also across a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "router/quorum.h"

#define ONE FTS__KV__V1__CONSISTENCY__ONE
#define QUORUM FTS__KV__V1__CONSISTENCY__QUORUM
#define ALL FTS__KV__V1__CONSISTENCY__ALL
#define ANY FTS__KV__V1__CONSISTENCY__ANY

enum { PLACES = 5, SETS = 1 << PLACES };

static int count(uint64_t places)
{
	return __builtin_popcountll(places);
}

/* Said in other words than the code's: could these answers be enough, whoever else answers or not? */
static bool is_enough(const struct fts_router_partition *partition, Fts__Kv__V1__Consistency level, uint64_t answered)
{
	switch (level) {
	case ALL:
		return (answered & partition->owners) == partition->owners &&
		       (answered & partition->next) == partition->next;
	case QUORUM:
		return 2 * count(answered & partition->owners) > count(partition->owners) &&
		       2 * count(answered & partition->next) > count(partition->next);
	default:
		return (answered & partition->owners) != 0;
	}
}

static void check_all(const struct fts_router_partition *partition, Fts__Kv__V1__Consistency level)
{
	for (uint64_t answered = 0; answered < SETS; answered++)
		for (uint64_t failed = 0; failed < SETS; failed++) {
			if (answered & failed) continue;
			enum ftsi_verdict expected = is_enough(partition, level, answered)  ? FTSI_ENOUGH
						     : is_enough(partition, level, ~failed) ? FTSI_WAITING
											    : FTSI_IMPOSSIBLE;
			assert_int_equal(ftsi_quorum_judge(partition, level, answered, failed), expected);
		}
}

/* All sets of owners with at most three, and what one move may make of them. */
static void every_combination_has_its_verdict(void **state)
{
	const Fts__Kv__V1__Consistency levels[] = {ONE, QUORUM, ALL, ANY};
	(void)state;
	for (uint64_t owners = 1; owners < SETS; owners++)
		for (uint64_t next = 1; next < SETS; next++) {
			if (count(owners) > 3 || count(next) > 3 || count(owners & ~next) > 1 ||
			    count(next & ~owners) > 1)
				continue;
			const struct fts_router_partition partition = {.owners = owners, .next = next};
			for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
				check_all(&partition, levels[i]);
		}
}

/* A write by the map before a step, a read by the map after it, or the other way round: they share an owner. */
static void quorums_meet_across_a_move(void **state)
{
	(void)state;
	for (uint64_t owners = 1; owners < SETS; owners++)
		for (uint64_t next = 1; next < SETS; next++) {
			if (count(owners) > 3 || count(next) > 3 || count(next & ~owners) != 1 ||
			    count(owners & ~next) > 1)
				continue;
			const struct fts_router_partition before = {.owners = owners, .next = owners},
							  moving = {.owners = owners, .next = next},
							  after = {.owners = next, .next = next};
			for (uint64_t a = 0; a < SETS; a++)
				for (uint64_t b = 0; b < SETS; b++) {
					bool first = ftsi_quorum_judge(&moving, QUORUM, a, 0) == FTSI_ENOUGH;
					if (first && (ftsi_quorum_judge(&before, QUORUM, b, 0) == FTSI_ENOUGH ||
						      ftsi_quorum_judge(&after, QUORUM, b, 0) == FTSI_ENOUGH))
						assert_true((a & b) != 0);
				}
		}
}

static void the_default_is_quorum(void **state)
{
	(void)state;
	assert_int_equal(ftsi_quorum_level(FTS__KV__V1__CONSISTENCY__CONSISTENCY_DEFAULT), QUORUM);
	assert_int_equal(ftsi_quorum_level(ANY), ANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_combination_has_its_verdict),
	    cmocka_unit_test(quorums_meet_across_a_move),
	    cmocka_unit_test(the_default_is_quorum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
