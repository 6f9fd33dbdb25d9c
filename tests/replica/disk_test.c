/* Why this file exists: disks that are slow or full, of a leader and of a follower. The partners, the disk and the
 * clock are the test's (puppet.h), and whether the disk is full as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "puppet.h"

static bool full;

void __wrap_ftsi_propose_check_disk(struct fts_replica *replica, uint64_t now_ns);
void __wrap_ftsi_propose_check_disk(struct fts_replica *replica, uint64_t now_ns)
{
	(void)now_ns;
	atomic_store(&replica->disk_full, full);
}

/* Time in which both partners go on answering. */
static void live(struct puppet *puppet, uint32_t ms, uint64_t last_index)
{
	for (uint32_t passed = 0; passed < ms; passed += PUPPET_ELECTION_MS / 5) {
		uint64_t term = puppet->replica->raft.current_term;
		puppet_pass(puppet, PUPPET_ELECTION_MS / 5);
		puppet_result(puppet, 2, term, last_index);
		puppet_result(puppet, 3, term, last_index);
	}
}

static void leading(struct puppet *puppet)
{
	full = false;
	puppet_open(puppet, 0);
	puppet_elect(puppet);
	puppet_result(puppet, 2, 2, 2);
	puppet_result(puppet, 3, 2, 2);
	assert_true(atomic_load(&puppet->replica->serving));
}

static const Fts__Replica__V1__PeerMessage *told_to_lead(const struct puppet *puppet, uint64_t node)
{
	return puppet_said(puppet, node, FTS__REPLICA__V1__PEER_MESSAGE__KIND_TIMEOUT_NOW);
}

static void slow_leader(void **state)
{
	struct puppet puppet;
	const struct add add = {.name = "a", .delta = 1};
	struct add_result result;
	struct fts_replica_status status;
	(void)state;
	leading(&puppet);
	puppet_pulse(&puppet, 2, false, true); /* no better */
	puppet_pulse(&puppet, 3, false, false);
	puppet.slow_disk = true;
	assert_int_equal(add_start(puppet.replica, &add, &result), FTS_OK);
	puppet_step(&puppet);
	puppet_forget(&puppet);
	live(&puppet, 600, 3);
	assert_null(told_to_lead(&puppet, 3)); /* not for every hiccup */
	live(&puppet, 400, 3);
	assert_null(told_to_lead(&puppet, 2));
	assert_non_null(told_to_lead(&puppet, 3));
	fts_replica_status(puppet.replica, &status);
	assert_true(status.disk_slow);
	/* Node 3 takes over; the caller asks there, under the same name. */
	puppet_vote(&puppet, 3, 3, true, 3, 2);
	puppet_append(&puppet, &(struct puppet_append){3, 3, 3, 2, 1, NULL, 0});
	add_wait(&result);
	assert_int_equal(result.status, FTS_UNAVAILABLE);
	assert_int_equal(result.executed, FTS_EXECUTED_UNKNOWN);
	fts_replica_status(puppet.replica, &status);
	assert_string_equal(status.leader_name, "n3");
	puppet_write(&puppet);
	puppet.slow_disk = false;
	for (int i = 0; i < 1100; i++) {
		puppet_pass(&puppet, 10);
		puppet_append(&puppet, &(struct puppet_append){3, 3, 3, 2, 1, NULL, 0});
		puppet_forget(&puppet);
	}
	fts_replica_status(puppet.replica, &status);
	assert_false(status.disk_slow);
	puppet_close(&puppet);
}

/* Nobody is better: it goes on as it can. */
static void slow_alone(void **state)
{
	struct puppet puppet;
	const struct add add = {.name = "a", .delta = 1};
	struct add_result result;
	(void)state;
	leading(&puppet);
	puppet.slow_disk = true;
	assert_int_equal(add_start(puppet.replica, &add, &result), FTS_OK);
	puppet_step(&puppet);
	puppet_pulse(&puppet, 2, false, true);
	puppet_pulse(&puppet, 3, true, false);
	puppet_forget(&puppet);
	live(&puppet, 1200, 2);
	assert_null(told_to_lead(&puppet, 2));
	assert_null(told_to_lead(&puppet, 3));
	puppet_write(&puppet);
	puppet_result(&puppet, 2, 2, 3);
	add_wait(&result);
	assert_int_equal(result.status, FTS_OK);
	puppet_close(&puppet);
}

static void full_leader(void **state)
{
	struct puppet puppet;
	const struct add add = {.name = "a", .delta = 1};
	const struct get get = {.name = "a", .timeout_ms = 1000, .leader = true};
	struct add_result result;
	struct get_result read;
	const Fts__Replica__V1__PeerMessage *probe;
	(void)state;
	leading(&puppet);
	puppet_pulse(&puppet, 2, true, false);
	puppet_pulse(&puppet, 3, true, false);
	full = true;
	live(&puppet, 100, 2);
	assert_int_equal(add_start(puppet.replica, &add, &result), FTS_RESOURCE_EXHAUSTED);
	assert_null(told_to_lead(&puppet, 2)); /* all are full */
	assert_null(told_to_lead(&puppet, 3));
	/* reads go on */
	assert_int_equal(get_start(puppet.replica, &get, &read), FTS_OK);
	read.job.deadline_ns = UINT64_MAX; /* its clock is not this one's */
	puppet_step(&puppet);
	probe = puppet_said(&puppet, 2, FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_PROBE);
	assert_non_null(probe);
	puppet_ack(&puppet, 2, 1, probe->read_index_probe->round); /* of another term: does not count */
	assert_int_equal(sem_trywait(&read.done), -1);
	puppet_ack(&puppet, 2, 2, probe->read_index_probe->round);
	get_wait(&read);
	assert_int_equal(read.status, FTS_OK);
	/* somebody has room again */
	puppet_pulse(&puppet, 3, false, false);
	live(&puppet, 100, 2);
	assert_non_null(told_to_lead(&puppet, 3));
	puppet_close(&puppet);
}

static void full_and_free_again(void **state)
{
	struct puppet puppet;
	const struct add add = {.name = "a", .delta = 1};
	struct add_result result;
	(void)state;
	leading(&puppet);
	puppet_pulse(&puppet, 2, true, false);
	puppet_pulse(&puppet, 3, true, false);
	full = true;
	live(&puppet, 100, 2);
	full = false;
	live(&puppet, 100, 2);
	assert_int_equal(add_start(puppet.replica, &add, &result), FTS_OK);
	puppet_step(&puppet);
	puppet_result(&puppet, 2, 2, 3);
	add_wait(&result);
	assert_int_equal(result.status, FTS_OK);
	puppet_close(&puppet);
}

/* A follower without room takes what a new leader needs, and commands again when there is room. */
static void full_follower(void **state)
{
	static const struct puppet_entry barrier[] = {{.term = 2}};
	static const struct puppet_entry command[] = {{.term = 2, .command = true}};
	static const struct puppet_entry mixed[] = {{.term = 2}, {.term = 2, .command = true}, {.term = 2}};
	struct puppet puppet;
	struct raft *raft;
	(void)state;
	full = true;
	puppet_open(&puppet, 0);
	raft = &puppet.replica->raft;
	puppet_pass(&puppet, 10);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, barrier, 1});
	assert_int_equal(raft_last_index(raft), 2);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 2, 2, 3, command, 1});
	assert_int_equal(raft_last_index(raft), 2);
	assert_int_equal(raft->commit_index, 2);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 2, 2, 3, mixed, 3});
	assert_int_equal(raft_last_index(raft), 3);
	full = false;
	puppet_pass(&puppet, 10);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 2, 2, 3, mixed, 3});
	assert_int_equal(raft_last_index(raft), 5);
	assert_int_equal(puppet_said(&puppet, 2, FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES_RESULT)
			     ->append_entries_result->last_log_index,
			 5);
	puppet_close(&puppet);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slow_leader),         cmocka_unit_test(slow_alone),    cmocka_unit_test(full_leader),
	    cmocka_unit_test(full_and_free_again), cmocka_unit_test(full_follower),
	};
	if (argc > 1) cmocka_set_test_filter(argv[1]); /* one by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
