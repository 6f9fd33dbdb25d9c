/* Why this file exists: the lottery of five agencies through deaths and pauses of the leader, on the daemon that users
 * run: every bet once, every winner right, in the order of the bets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/chaos/bettors.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

#define LIMIT_S 280
#define SETTLE_MS 20000
#define AGENCIES 5
#define ROUNDS 8

static void wait_for_bets(struct bettors *bettors, uint64_t more)
{
	uint64_t goal = bettors_stored(bettors) + more;
	for (struct harness_wait wait = harness_wait_ms(SETTLE_MS); bettors_stored(bettors) < goal;)
		if (!harness_wait_more(&wait)) fail_msg("no bets within %d ms", SETTLE_MS);
}

static void five_agencies(void **state)
{
	static struct harness_cluster cluster;
	(void)state;
	harness_cluster_init(&cluster, 3);
	harness_cluster_start(&cluster);
	struct bettors *bettors = bettors_start(cluster.endpoints, "chaos", AGENCIES);
	for (int round = 0; round < ROUNDS; round++) {
		wait_for_bets(bettors, 100);
		size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
		if (round % 2 == 0) {
			harness_cluster_kill(&cluster, leader);
			harness_cluster_restart(&cluster, leader);
		} else {
			harness_cluster_pause(&cluster, leader);
			wait_for_bets(bettors, 50); /* the others go on without it */
			harness_cluster_resume(&cluster, leader);
		}
	}
	wait_for_bets(bettors, 100);
	struct bettors_counts counts = bettors_finish(bettors);
	print_message("%llu bets acknowledged, each is there once; %llu of unknown outcome\n",
		      (unsigned long long)counts.stored, (unsigned long long)counts.unknown);
	harness_cluster_wait_equal(&cluster, SETTLE_MS);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(five_agencies),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
