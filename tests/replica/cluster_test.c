/* Why this file exists: three replicas and what can happen to one, two or all of them, with a network that the test
 * holds in its hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cluster.h"
#include "store/key.h"

enum { ELECTION_MS = 300 };

static uint64_t elapsed_ms(uint64_t since_ns)
{
	return (fts_clock_monotonic_ns() - since_ns) / 1000000;
}

static enum fts_status read_on(struct cluster *cluster, size_t number, bool leader, bool stale, int64_t *out_value)
{
	const struct get get = {.name = "a", .timeout_ms = 5000, .leader = leader, .stale = stale};
	struct get_result result;
	if (get_start(cluster->nodes[number].replica, &get, &result) != FTS_OK) return result.status;
	get_wait(&result);
	*out_value = result.value;
	return result.status;
}

static size_t other(const struct cluster *cluster, size_t not )
{
	return (not +1) % cluster->count;
}

static void agreement(void **state)
{
	struct cluster cluster;
	struct fts_replica_member_status members[FTS_REPLICA_MEMBER_MAX];
	size_t leader;
	(void)state;
	cluster_open(&cluster, 3, ELECTION_MS);
	for (int i = 1; i <= 100; i++)
		assert_int_equal(cluster_add(&cluster, "a", 3, (uint64_t)i), i);
	cluster_settle(&cluster);
	leader = cluster_leader(&cluster, SIZE_MAX);
	for (size_t i = 0; i < 3; i++) {
		struct fts_replica_status status = cluster_status(&cluster, i);
		int64_t value = 0;
		assert_true(status.ready);
		assert_string_equal(status.leader_name, cluster.nodes[leader].name);
		assert_string_equal(status.leader_address, cluster.nodes[leader].address);
		CLUSTER_WAIT(fts_replica_members(cluster.nodes[i].replica, members) == 3 && members[0].alive &&
			     members[1].alive && members[2].alive);
		/* each reads what was acknowledged, at once and not with the next heartbeat */
		assert_int_equal(read_on(&cluster, i, false, false, &value), FTS_OK);
		assert_int_equal(value, 100);
		assert_int_equal(read_on(&cluster, i, true, false, &value), i == leader ? FTS_OK : FTS_UNAVAILABLE);
		assert_int_equal(read_on(&cluster, i, false, true, &value), FTS_OK);
	}
	cluster_close(&cluster);
}

static void reads_follow_writes(void **state)
{
	struct cluster cluster;
	size_t leader;
	(void)state;
	cluster_open(&cluster, 3, 2000); /* heartbeats are far apart */
	leader = cluster_leader(&cluster, SIZE_MAX);
	for (int i = 1; i <= 50; i++) {
		int64_t value = 0;
		(void)cluster_add(&cluster, "a", 3, (uint64_t)i);
		assert_int_equal(read_on(&cluster, i % 2 == 0 ? leader : other(&cluster, leader), false, false, &value),
				 FTS_OK);
		assert_int_equal(value, i);
	}
	cluster_close(&cluster);
}

static void killed_leader(void **state)
{
	struct cluster cluster;
	(void)state;
	cluster_open(&cluster, 3, 1000);
	for (int i = 1; i <= 10; i++) {
		size_t leader = cluster_wait_leader(&cluster, SIZE_MAX);
		uint64_t since_ns, took_ms;
		assert_int_equal(cluster_add(&cluster, "a", 7, (uint64_t)i), i);
		cluster_settle(&cluster);
		since_ns = fts_clock_monotonic_ns();
		cluster_kill(&cluster, leader);
		(void)cluster_wait_leader(&cluster, leader);
		took_ms = elapsed_ms(since_ns);
		print_message("a new leader after %u ms\n", (unsigned)took_ms);
		assert_true(took_ms < 1000); /* nobody waited for a timer */
		cluster_start(&cluster, leader);
		CLUSTER_WAIT(cluster_status(&cluster, leader).ready);
	}
	assert_int_equal(cluster_add(&cluster, "a", 7, 11), 11);
	cluster_settle(&cluster);
	cluster_close(&cluster);
}

static void silent_leader(void **state)
{
	struct cluster cluster;
	struct add add = {.name = "a", .delta = 1};
	struct add_result lost;
	struct get_result read;
	const struct get get = {.name = "a", .timeout_ms = 20000, .leader = true};
	size_t leader, next;
	int64_t value;
	uint64_t since_ns;
	(void)state;
	cluster_open(&cluster, 3, ELECTION_MS);
	(void)cluster_add(&cluster, "a", 0, 0);
	leader = cluster_leader(&cluster, SIZE_MAX);
	cluster_isolate(&cluster, leader, true);
	since_ns = fts_clock_monotonic_ns();
	/* What only this leader has is unknown to the caller; what needs a majority is not answered. */
	assert_int_equal(add_start(cluster.nodes[leader].replica, &add, &lost), FTS_OK);
	assert_int_equal(get_start(cluster.nodes[leader].replica, &get, &read), FTS_OK);
	next = cluster_wait_leader(&cluster, leader);
	print_message("a new leader after %u ms\n", (unsigned)elapsed_ms(since_ns));
	assert_true(elapsed_ms(since_ns) < 3 * ELECTION_MS);
	assert_int_equal(cluster_add(&cluster, "a", 0, 0), 2);
	add_wait(&lost);
	assert_int_equal(lost.status, FTS_UNAVAILABLE);
	assert_int_equal(lost.executed, FTS_EXECUTED_UNKNOWN);
	get_wait(&read);
	assert_int_equal(read.status, FTS_UNAVAILABLE);
	CLUSTER_WAIT(!cluster_status(&cluster, leader).leader);
	assert_int_equal(read_on(&cluster, leader, false, true, &value), FTS_OK);
	assert_true(ftsi_read_age_ms(cluster.nodes[leader].replica) < 60000);
	cluster_isolate(&cluster, leader, false);
	cluster_settle(&cluster);
	assert_int_equal(cluster_leader(&cluster, SIZE_MAX), next);
	assert_int_equal(read_on(&cluster, leader, false, false, &value), FTS_OK);
	assert_int_equal(value, 2);
	cluster_close(&cluster);
}

static void broken_line(void **state)
{
	struct cluster cluster;
	size_t leader, follower;
	uint64_t term;
	(void)state;
	cluster_open(&cluster, 3, ELECTION_MS);
	leader = cluster_leader(&cluster, SIZE_MAX);
	follower = other(&cluster, leader);
	cluster_settle(&cluster);
	term = cluster_status(&cluster, leader).term;
	for (int i = 0; i < 20; i++) {
		cluster_break(&cluster, leader, follower);
		(void)cluster_add(&cluster, "a", 0, 0);
	}
	CLUSTER_WAIT(cluster_status(&cluster, follower).ready);
	assert_int_equal(cluster_leader(&cluster, SIZE_MAX), leader);
	assert_int_equal(cluster_status(&cluster, leader).term, term);
	cluster_close(&cluster);
}

/* A leader that stood still, and has been replaced, and does not know it. */
static void paused_leader(void **state)
{
	struct cluster cluster;
	(void)state;
	cluster_open(&cluster, 3, ELECTION_MS);
	for (int i = 1; i <= 5; i++) {
		const struct get get = {.name = "a", .timeout_ms = 10000, .leader = true};
		struct get_result early, late;
		size_t leader = cluster_wait_leader(&cluster, SIZE_MAX), next;
		struct fts_replica *replica = cluster.nodes[leader].replica;
		(void)cluster_add(&cluster, "a", 0, 0);
		cluster_pause(&cluster, leader);
		assert_int_equal(get_start(replica, &get, &early), FTS_OK); /* before the new value */
		next = cluster_wait_leader(&cluster, leader);
		assert_true(next != leader);
		(void)cluster_add(&cluster, "b", 0, 0);
		{
			struct add one = {.name = "a", .delta = 1000};
			struct add_result added;
			assert_int_equal(add_call(cluster.nodes[next].replica, &one, &added), FTS_OK);
		}
		assert_true(atomic_load(&replica->serving)); /* it still thinks so */
		assert_int_equal(get_start(replica, &get, &late), FTS_OK);
		cluster_resume(&cluster, leader);
		get_wait(&early);
		get_wait(&late);
		assert_int_equal(late.status, FTS_UNAVAILABLE);
		assert_true(early.status == FTS_UNAVAILABLE || early.status == FTS_OK);
		cluster_settle(&cluster);
	}
	cluster_close(&cluster);
}

struct lead_call {
	sem_t done;
	enum fts_status status;
};

static void lead_done(void *ctx, enum fts_status status, const struct fts_error *error)
{
	struct lead_call *call = ctx;
	(void)error;
	call->status = status;
	sem_post(&call->done);
}

static enum fts_status lead(struct cluster *cluster, size_t leader, const char *name)
{
	struct lead_call call = {.status = FTS_OK};
	struct fts_error error = {0};
	enum fts_status status;
	sem_init(&call.done, 0, 0);
	status = fts_replica_member_lead(cluster->nodes[leader].replica, name, 5000, lead_done, &call, &error);
	if (status != FTS_OK) return status;
	while (sem_wait(&call.done) != 0)
		continue;
	sem_destroy(&call.done);
	return call.status;
}

static void handed_over(void **state)
{
	struct cluster cluster;
	size_t leader, next;
	uint64_t since_ns;
	(void)state;
	cluster_open(&cluster, 3, 1000);
	for (int i = 1; i <= 10; i++) {
		leader = cluster_wait_leader(&cluster, SIZE_MAX);
		assert_int_equal(cluster_add(&cluster, "a", 5, (uint64_t)i), i);
		CLUSTER_WAIT(cluster_status(&cluster, other(&cluster, leader)).ready);
		assert_int_equal(lead(&cluster, leader, "nobody"), FTS_NOT_FOUND);
		assert_int_equal(lead(&cluster, leader, cluster.nodes[leader].name), FTS_OK);
		next = other(&cluster, leader);
		assert_int_equal(lead(&cluster, next, NULL), FTS_UNAVAILABLE);
		assert_int_equal(lead(&cluster, leader, i % 2 == 0 ? NULL : cluster.nodes[next].name), FTS_OK);
		since_ns = fts_clock_monotonic_ns();
		CLUSTER_WAIT(cluster_leader(&cluster, leader) != SIZE_MAX);
		assert_true(elapsed_ms(since_ns) < 500);
		if (i % 2 != 0) assert_int_equal(cluster_leader(&cluster, SIZE_MAX), next);
	}
	/* Who stops hands over first: somebody else leads by the time it is gone. */
	for (int i = 1; i <= 5; i++) {
		leader = cluster_wait_leader(&cluster, SIZE_MAX);
		cluster_settle(&cluster);
		cluster_stop(&cluster, leader);
		CLUSTER_WAIT(cluster_leader(&cluster, leader) != SIZE_MAX);
		cluster_start(&cluster, leader);
		CLUSTER_WAIT(cluster_status(&cluster, leader).ready);
	}
	cluster_settle(&cluster);
	cluster_close(&cluster);
}

/* Calls that come while nobody leads wait, and are answered by whoever then does, or told who. */
static void held_calls(void **state)
{
	struct cluster cluster;
	struct add add = {.name = "a", .delta = 1};
	struct add_result results[3];
	enum fts_status statuses[3];
	size_t leader;
	int ok = 0, hinted = 0;
	(void)state;
	cluster_open(&cluster, 3, ELECTION_MS);
	leader = cluster_leader(&cluster, SIZE_MAX);
	cluster_settle(&cluster);
	cluster_isolate(&cluster, leader, true);
	CLUSTER_WAIT(cluster_status(&cluster, other(&cluster, leader)).leader_name[0] == 0 ||
		     cluster_leader(&cluster, leader) != SIZE_MAX);
	for (size_t i = 0; i < 3; i++)
		if (i != leader) statuses[i] = add_start(cluster.nodes[i].replica, &add, &results[i]);
	for (size_t i = 0; i < 3; i++) {
		char hint[128] = "";
		if (i == leader) continue;
		if (statuses[i] == FTS_OK) {
			add_wait(&results[i]);
			statuses[i] = results[i].status;
		}
		ok += statuses[i] == FTS_OK;
		hinted += statuses[i] == FTS_UNAVAILABLE && ftsi_leader_hint(cluster.nodes[i].replica, hint);
	}
	assert_int_equal(ok, 1);
	assert_int_equal(hinted, 1);
	cluster_close(&cluster);
}

enum { FLOOD = 2000, FLOOD_BYTES = 100000 };

/* A leader that nobody answers takes what its bounds allow, and says so. */
static void backpressure(void **state)
{
	static struct add_result results[FLOOD];
	struct cluster cluster;
	struct add add = {.name = "a", .delta = 1, .ballast_bytes = FLOOD_BYTES};
	size_t leader, taken = 0, refused = 0;
	(void)state;
	cluster_open(&cluster, 3, 2000);
	leader = cluster_leader(&cluster, SIZE_MAX);
	cluster_isolate(&cluster, leader, true);
	for (size_t i = 0; i < FLOOD; i++) {
		enum fts_status status = add_start(cluster.nodes[leader].replica, &add, &results[taken]);
		if (status == FTS_OK)
			taken++;
		else
			assert_int_equal(status, FTS_RESOURCE_EXHAUSTED);
		refused += status != FTS_OK;
	}
	assert_true(refused > 0);
	assert_true(atomic_load(&cluster.nodes[leader].replica->queue_bytes) <= FTSI_QUEUE_BYTES_MAX);
	cluster_isolate(&cluster, leader, false);
	for (size_t i = 0; i < taken; i++)
		add_wait(&results[i]);
	cluster_settle(&cluster);
	assert_true(atomic_load(&cluster.message_bytes_max) < 2 * FTSI_APPEND_BYTES_MAX);
	cluster_close(&cluster);
}

/* Who was away gets all it missed, in messages of bounded size. */
static void caught_up(void **state)
{
	struct cluster cluster;
	size_t leader, away;
	struct add add = {.name = "a", .delta = 1, .ballast_bytes = 1000000};
	struct add_result result;
	(void)state;
	cluster_open(&cluster, 3, ELECTION_MS);
	leader = cluster_leader(&cluster, SIZE_MAX);
	away = other(&cluster, leader);
	cluster_kill(&cluster, away);
	for (int i = 0; i < 30; i++) {
		CLUSTER_WAIT((leader = cluster_leader(&cluster, away)) != SIZE_MAX &&
			     add_call(cluster.nodes[leader].replica, &add, &result) == FTS_OK);
	}
	atomic_store(&cluster.message_bytes_max, 0);
	cluster_start(&cluster, away);
	cluster_settle(&cluster);
	assert_true(atomic_load(&cluster.message_bytes_max) < 2 * FTSI_APPEND_BYTES_MAX);
	cluster_close(&cluster);
}

enum { CLIENTS = 4, KILLS = 15 };

struct client {
	struct cluster *cluster;
	uint64_t id;
	pthread_t thread;
	atomic_bool *stop;
	int done;
};

static void *run_client(void *ctx)
{
	struct client *client = ctx;
	struct cluster *cluster = client->cluster;
	for (uint64_t sequence = 1; !atomic_load(client->stop); sequence++) {
		enum fts_status status = FTS_UNAVAILABLE;
		while (status != FTS_OK) {
			const struct timespec pause = {0, 1000000};
			struct add add = {.name = "a",
					  .delta = 1,
					  .client_id = client->id,
					  .sequence = sequence,
					  .lowest_unanswered = sequence,
					  .deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), 2000)};
			struct add_result result;
			pthread_mutex_lock(&cluster->lock); /* so that nobody is destroyed under the call */
			size_t at = (size_t)rand() % cluster->count;
			bool started = cluster->nodes[at].replica != NULL &&
				       add_start(cluster->nodes[at].replica, &add, &result) == FTS_OK;
			pthread_mutex_unlock(&cluster->lock);
			if (started) {
				add_wait(&result);
				status = result.status;
			}
			if (status != FTS_OK) (void)nanosleep(&pause, NULL);
		}
		client->done++;
	}
	return NULL;
}

static void exactly_once(void **state)
{
	struct cluster cluster;
	struct client clients[CLIENTS];
	atomic_bool stop = false;
	int64_t value = 0, done = 0;
	(void)state;
	cluster_open(&cluster, 3, ELECTION_MS);
	for (uint64_t i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){.cluster = &cluster, .id = 100 + i, .stop = &stop};
		assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
	}
	for (int i = 0; i < KILLS; i++) {
		size_t leader = cluster_wait_leader(&cluster, SIZE_MAX);
		uint64_t applied = cluster_status(&cluster, leader).applied_index;
		CLUSTER_WAIT(cluster_status(&cluster, leader).applied_index > applied + 20);
		cluster_kill(&cluster, leader);
		(void)cluster_wait_leader(&cluster, leader);
		cluster_start(&cluster, leader);
		CLUSTER_WAIT(cluster_status(&cluster, leader).ready);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		done += clients[i].done;
	}
	cluster_settle(&cluster);
	assert_int_equal(read_on(&cluster, 0, false, false, &value), FTS_OK);
	print_message("%lld adds through %d kills\n", (long long)done, KILLS);
	assert_int_equal(value, done);
	cluster_close(&cluster);
}

/* ---- A state that is altered while the node runs ---- */

static void alter(struct fts_replica *replica, void *ctx)
{
	const int64_t *value = ctx;
	struct fts_txn *txn = NULL;
	struct fts_key key;
	fts_key_begin(&key, FTS_TABLE_LOTTERY); /* where counter.c keeps its own */
	fts_key_text(&key, "a", 1);
	assert_null(replica->txn);
	/* Beside the replica: nothing that it has written says so. */
	assert_int_equal(fts_txn_begin(replica->state, &txn), FTS_OK);
	assert_int_equal(
	    fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){(const uint8_t *)value, sizeof *value}), FTS_OK);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
}

/* Whoever it is finds out, says so, does not serve from it, and fetches a right one: while it runs, and while the
 * others go on. */
static void altered_while_it_runs(void **state)
{
	struct cluster cluster;
	int64_t wrong = 7574, value = 0;
	uint64_t sequence = 0;
	(void)state;
	cluster_open(&cluster, 3, ELECTION_MS);
	for (int i = 0; i < 50; i++)
		(void)cluster_add(&cluster, "a", 3, ++sequence);
	cluster_settle(&cluster);
	for (int who = 0; who < 2; who++) { /* a follower, then the leader */
		size_t leader = cluster_wait_leader(&cluster, SIZE_MAX);
		size_t altered = who == 0 ? other(&cluster, leader) : leader;
		cluster_on_loop(&cluster, altered, alter, &wrong);
		assert_int_equal(read_on(&cluster, altered, false, true, &value), FTS_OK);
		assert_int_equal(value, wrong);
		(void)cluster_add(&cluster, "b", 4, ++sequence);
		/* Only a state that was fetched anew has the right value again; until then it is the wrong one or none.
		 */
		CLUSTER_WAIT(read_on(&cluster, altered, false, true, &value) == FTS_OK && value != wrong);
		assert_int_equal(value, 50);
		CLUSTER_WAIT(cluster_status(&cluster, altered).digest_ok);
	}
	assert_int_equal(cluster_add(&cluster, "a", 3, ++sequence), 51);
	cluster_settle(&cluster);
	cluster_close(&cluster);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(agreement),     cmocka_unit_test(reads_follow_writes),
	    cmocka_unit_test(killed_leader), cmocka_unit_test(silent_leader),
	    cmocka_unit_test(broken_line),   cmocka_unit_test(paused_leader),
	    cmocka_unit_test(handed_over),   cmocka_unit_test(held_calls),
	    cmocka_unit_test(backpressure),  cmocka_unit_test(altered_while_it_runs),
	    cmocka_unit_test(caught_up),     cmocka_unit_test(exactly_once),
	};
	if (argc > 1) cmocka_set_test_filter(argv[1]); /* one by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
