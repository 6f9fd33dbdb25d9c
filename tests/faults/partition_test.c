/* Why this file exists: a leader that is cut off, or that speaks and hears nobody, must not answer a read nor
 * acknowledge a write; it steps down, and the others go on without it soon. Silence, not a broken connection: nobody is
 * told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/faults/registers.h"
#include "tests/harness/clock.h"
#include "tests/harness/lab.h"

#define LIMIT_S 280
#define SETTLE_MS 20000

static struct harness_cluster cluster;

/* All nodes but one. */
static void other_endpoints(size_t but, char *out, size_t size_bytes)
{
	size_t used = 0;
	for (size_t i = 0; i < cluster.count; i++)
		if (i != but)
			used += (size_t)snprintf(out + used, size_bytes - used, "%s%s", used > 0 ? "," : "",
						 cluster.members[i].endpoint);
}

/* Ask the old one alone, over and over, as long as it is alone: nothing may be answered. */
static void must_not_answer(size_t old)
{
	int64_t value;
	struct fts_error error;
	struct fts_channel *direct = registers_open(cluster.members[old].endpoint);
	for (int i = 0; i < 3; i++) {
		if (registers_write(direct, 1, 1000 + i, 400, true, &error) == FTS_OK)
			fail_msg("a leader without a majority has acknowledged a write");
		if (registers_read(direct, 1, i % 2 == 0, 400, true, &value, &error) == FTS_OK)
			fail_msg("a leader without a majority has answered a read with %lld", (long long)value);
	}
	fts_channel_close(direct);
}

static void must_step_down(size_t old)
{
	struct harness_member_report report = {0};
	for (struct harness_wait wait = harness_wait_ms(SETTLE_MS);;) {
		if (harness_cluster_ask(&cluster, old, 1000, &report) &&
		    strcmp(report.leader, cluster.members[old].name) != 0)
			return;
		if (!harness_wait_more(&wait)) fail_msg("a leader without a majority does not step down");
	}
}

static void cut_off_one_leader(struct harness_lab *lab, bool one_way)
{
	char others[512];
	size_t old = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
	other_endpoints(old, others, sizeof(others));
	struct fts_channel *rest = registers_open(others);
	registers_must_write(rest, 1, 1);
	uint64_t from_ns = harness_now_ns();
	if (!one_way) harness_lab_isolate(lab, old, false);
	for (size_t i = 0; one_way && i < cluster.count; i++)
		if (i != old) harness_lab_cut(lab, i, old); /* it speaks, and hears nobody */
	registers_must_write(rest, 1, 2);
	uint64_t took_ms = (harness_now_ns() - from_ns) / 1000000u;
	print_message("a write was acknowledged %llu ms after the leader %s\n", (unsigned long long)took_ms,
		      one_way ? "heard nobody any more" : "was cut off");
	must_not_answer(old);
	must_step_down(old);
	harness_lab_heal(lab);
	assert_int_equal(registers_must_read(rest, 1), 2);
	fts_channel_close(rest);
	harness_cluster_wait_equal(&cluster, SETTLE_MS);
}

static void a_leader_cut_off(void **state)
{
	static struct harness_lab lab;
	(void)state;
	if (!harness_lab_allowed()) return;
	harness_lab_init(&lab, 3, HARNESS_LAB_BRIDGE, 0);
	harness_cluster_init(&cluster, 3);
	cluster.program = "fts-register-node";
	harness_lab_settle(&lab, &cluster);
	harness_cluster_start(&cluster);
	cut_off_one_leader(&lab, false);
	cut_off_one_leader(&lab, true);
	cut_off_one_leader(&lab, false);
	harness_cluster_fini(&cluster);
	harness_lab_fini(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_leader_cut_off),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
