/* Why this file exists: a leader that was stopped is the one that lies best: it still believes that it leads. It must
 * never answer a linearizable read with what was true before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "register.fts.h"
#include "tests/faults/registers.h"
#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"

#define LIMIT_S 280
#define SETTLE_MS 20000
#define PAUSES 6
#define READS 40

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

struct answers {
	atomic_uint ended, right, wrong;
	int64_t expected;
};

static void on_read(void *ctx, enum fts_status status, const ProtobufCMessage *response, const struct fts_error *error)
{
	struct answers *answers = ctx;
	(void)error;
	if (status == FTS_OK) {
		int64_t value = ((const Fts__Test__Register__V1__ReadResponse *)(const void *)response)->value;
		atomic_fetch_add(value == answers->expected ? &answers->right : &answers->wrong, 1);
	}
	atomic_fetch_add(&answers->ended, 1);
}

/* Reads that wait in the stopped process's socket: it finds them the moment it goes on, before any news. */
static void send_reads(struct fts_channel *channel, struct answers *answers)
{
	struct fts_call_options options = {.timeout_ms = 3000, .no_retry = true};
	Fts__Test__Register__V1__ReadRequest request = FTS__TEST__REGISTER__V1__READ_REQUEST__INIT;
	request.key = 1;
	for (int i = 0; i < READS; i++) { /* methods 0 and 1: of the leader, of any node */
		const struct fts_method *method = &test_register_service.methods[i % 2];
		assert_int_equal(fts_channel_start(channel, method, &request.base, &options, on_read, answers, NULL),
				 FTS_OK);
	}
}

static void pause_one_leader(struct answers *answers, int64_t round)
{
	char others[512];
	int64_t value;
	struct fts_error error;
	size_t old = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
	struct fts_channel *direct = registers_open(cluster.members[old].endpoint);
	registers_must_write(direct, 1, 2 * round);
	assert_int_equal(registers_read(direct, 1, true, SETTLE_MS, false, &value, &error), FTS_OK);
	assert_int_equal(value, 2 * round);
	other_endpoints(old, others, sizeof(others));
	struct fts_channel *rest = registers_open(others);
	harness_cluster_pause(&cluster, old);
	registers_must_write(rest, 1, 2 * round + 1);
	*answers = (struct answers){.expected = 2 * round + 1};
	send_reads(direct, answers);
	harness_cluster_resume(&cluster, old);
	for (struct harness_wait wait = harness_wait_ms(SETTLE_MS); atomic_load(&answers->ended) < READS;)
		if (!harness_wait_more(&wait)) fail_msg("reads have not ended after %d ms", SETTLE_MS);
	if (atomic_load(&answers->wrong) > 0)
		fail_msg("round %lld: %u reads answered by a stopped leader with what was true before",
			 (long long)round, atomic_load(&answers->wrong));
	fts_channel_close(direct);
	fts_channel_close(rest);
}

static void a_stopped_leader(void **state)
{
	static struct answers answers;
	unsigned right = 0;
	(void)state;
	harness_cluster_init(&cluster, 3);
	cluster.program = "fts-register-node";
	harness_cluster_start(&cluster);
	for (int64_t round = 1; round <= PAUSES; round++) {
		pause_one_leader(&answers, round);
		right += atomic_load(&answers.right);
	}
	print_message("%d reads that a stopped leader found: %u answered, all with the newest\n", PAUSES * READS,
		      right);
	harness_cluster_wait_equal(&cluster, SETTLE_MS);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stopped_leader),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
