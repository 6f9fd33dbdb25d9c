/* Why this file exists: each guard of replica/guards.h, with it and without it. The linker puts the functions here
 * before the replica's own (--wrap), so that one can be switched off: then what it is there for must happen. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "puppet.h"
#include "replica/guards.h"

#define UNGUARDED "--unguarded"

/* ---- Switches ---- */

enum guard {
	NONE,
	MAY_COUNT,
	TERM_STANDS,
	CLAMP_COMMIT,
	CLAMP_RESULT,
	MAY_SEND,
	MAY_TICK,
	MAY_BE_ELECTED,
	MAY_SNAPSHOT,
	SKIP_SNAPSHOT,
	ROLL_BACK,
	BEFORE_TICK,
	END_TRANSFER,
	SEND_LATER,
	LEND_VOTE,
};
static enum guard off;

#define WRAPPED(type, name, parameters, arguments, instead)                                                            \
	type __real_##name parameters;                                                                                 \
	type __wrap_##name parameters;                                                                                 \
	type __wrap_##name parameters                                                                                  \
	{                                                                                                              \
		if (off == (instead)) return (type)1;                                                                  \
		return __real_##name arguments;                                                                        \
	}
#define WRAPPED_VOID(name, parameters, arguments, instead)                                                             \
	void __real_##name parameters;                                                                                 \
	void __wrap_##name parameters;                                                                                 \
	void __wrap_##name parameters                                                                                  \
	{                                                                                                              \
		if (off != (instead)) __real_##name arguments;                                                         \
	}

WRAPPED(bool, ftsi_guard_may_count, (struct fts_replica * replica, const struct raft_message *message),
	(replica, message), MAY_COUNT)
WRAPPED(bool, ftsi_guard_term_stands, (const struct fts_replica *replica, raft_term at_append), (replica, at_append),
	TERM_STANDS)
WRAPPED(bool, ftsi_guard_may_send, (const struct fts_replica *replica, const struct raft_message *message),
	(replica, message), MAY_SEND)
WRAPPED(bool, ftsi_guard_may_tick, (const struct fts_replica *replica), (replica), MAY_TICK)
WRAPPED(bool, ftsi_guard_may_be_elected, (struct fts_replica * replica, const struct raft_message *message),
	(replica, message), MAY_BE_ELECTED)
WRAPPED(bool, ftsi_guard_may_snapshot, (const struct fts_replica *replica), (replica), MAY_SNAPSHOT)
WRAPPED_VOID(ftsi_guard_clamp_commit, (struct raft_append_entries * message), (message), CLAMP_COMMIT)
WRAPPED_VOID(ftsi_guard_clamp_result, (const struct fts_replica *replica, struct raft_append_entries_result *result),
	     (replica, result), CLAMP_RESULT)
WRAPPED_VOID(ftsi_guard_skip_snapshot, (const struct fts_replica *replica, struct raft_append_entries *message),
	     (replica, message), SKIP_SNAPSHOT)
WRAPPED_VOID(ftsi_guard_roll_back, (struct fts_replica * replica, const struct raft_append_entries *message),
	     (replica, message), ROLL_BACK)
WRAPPED_VOID(ftsi_guard_lend_vote, (struct fts_replica * replica, const struct raft_message *message),
	     (replica, message), LEND_VOTE)
WRAPPED_VOID(ftsi_guard_before_tick, (struct fts_replica * replica), (replica), BEFORE_TICK)

void __real_ftsi_guard_observe(struct fts_replica *replica);
void __wrap_ftsi_guard_observe(struct fts_replica *replica);
void __wrap_ftsi_guard_observe(struct fts_replica *replica)
{
	struct raft_transfer *transfer = replica->raft.transfer;
	__real_ftsi_guard_observe(replica);
	if (off == END_TRANSFER) replica->raft.transfer = transfer;
}

int __real_ftsi_outbox_send_raft(struct fts_replica *replica, struct raft_io_send *request,
				 const struct raft_message *message, raft_io_send_cb done);
int __wrap_ftsi_outbox_send_raft(struct fts_replica *replica, struct raft_io_send *request,
				 const struct raft_message *message, raft_io_send_cb done);
int __wrap_ftsi_outbox_send_raft(struct fts_replica *replica, struct raft_io_send *request,
				 const struct raft_message *message, raft_io_send_cb done)
{
	if (off == SEND_LATER && message->type == RAFT_IO_APPEND_ENTRIES_RESULT) return RAFT_CANCELED;
	return __real_ftsi_outbox_send_raft(replica, request, message, done);
}

/* A test with its guard, then without it. */
static void both(enum guard guard, void (*scene)(bool guarded))
{
	off = NONE;
	scene(true);
	off = guard;
	scene(false);
	off = NONE;
}

static const struct puppet_entry two_of_term_2[] = {{.term = 2}, {.term = 2}};

static const Fts__Replica__V1__AppendEntriesResult *result_to(const struct puppet *puppet, uint64_t node)
{
	const Fts__Replica__V1__PeerMessage *said =
	    puppet_said(puppet, node, FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES_RESULT);
	return said == NULL ? NULL : said->append_entries_result;
}

/* ---- Scenes ---- */

/* Figure 8 of the paper: what another leader left behind must not count before something of this term does. */
static void old_terms_scene(bool guarded)
{
	struct puppet puppet;
	const struct raft *raft;
	puppet_open(&puppet, 0);
	raft = &puppet.replica->raft;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 1});
	puppet_elect(&puppet);
	assert_int_equal(raft->current_term, 3);
	assert_int_equal(raft_last_index(&puppet.replica->raft), 3); /* its barrier is on the disk: see below */
	puppet_close(&puppet);

	puppet_open(&puppet, 0);
	raft = &puppet.replica->raft;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 1});
	puppet_pass(&puppet, 2 * PUPPET_ELECTION_MS);
	puppet_grant(&puppet, 2, 3, true);
	puppet.slow_disk = true; /* the barrier does not get there */
	puppet_grant(&puppet, 2, 3, false);
	assert_int_equal(raft_state(&puppet.replica->raft), RAFT_LEADER);
	assert_int_equal(raft->commit_index, 1);
	puppet_result(&puppet, 2, 3, 2);
	assert_int_equal(raft->commit_index, guarded ? 1 : 2);
	assert_false(atomic_load(&puppet.replica->serving));
	puppet_write(&puppet);
	assert_int_equal(raft->commit_index, guarded ? 1 : 2); /* what was held back counts, but says entry 2 only */
	puppet_result(&puppet, 2, 3, 3);
	assert_int_equal(raft->commit_index, 3);
	assert_true(atomic_load(&puppet.replica->serving));
	puppet_close(&puppet);
}

static void old_terms(void **state)
{
	(void)state;
	both(MAY_COUNT, old_terms_scene);
}

/* Entries taken in term 2 reach the disk in term 3: its leader has never heard of them. */
static void late_success_scene(bool guarded)
{
	struct puppet puppet;
	puppet_open(&puppet, 0);
	puppet.slow_disk = true;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	puppet_append(&puppet, &(struct puppet_append){3, 3, 1, 1, 1, NULL, 0});
	puppet_forget(&puppet);
	puppet_write(&puppet);
	if (guarded)
		assert_null(result_to(&puppet, 3));
	else
		assert_int_equal(result_to(&puppet, 3)->last_log_index, 3);
	puppet_close(&puppet);
}

static void late_success(void **state)
{
	(void)state;
	both(TERM_STANDS, late_success_scene);
}

/* The leader of term 3 has committed other entries 2 and 3 than this node has. */
static void commit_ahead_scene(bool guarded)
{
	struct puppet puppet;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	puppet_append(&puppet, &(struct puppet_append){3, 3, 1, 1, 3, NULL, 0});
	assert_int_equal(puppet.replica->raft.commit_index, guarded ? 1 : 3);
	puppet_close(&puppet);
}

static void commit_ahead(void **state)
{
	(void)state;
	both(CLAMP_COMMIT, commit_ahead_scene);
}

/* The same, seen from the leader: this node must not seem to have its entries 2 and 3. */
static void long_log_scene(bool guarded)
{
	struct puppet puppet;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	assert_int_equal(result_to(&puppet, 2)->last_log_index, 3);
	puppet_append(&puppet, &(struct puppet_append){3, 3, 1, 1, 1, NULL, 0});
	assert_int_equal(result_to(&puppet, 3)->rejected, 0);
	assert_int_equal(result_to(&puppet, 3)->last_log_index, guarded ? 1 : 3);
	puppet_close(&puppet);
}

static void long_log(void **state)
{
	(void)state;
	both(CLAMP_RESULT, long_log_scene);
}

/* An append ends when nobody leads any more: to whom would libraft send? */
static void nowhere_scene(bool guarded)
{
	struct puppet puppet;
	puppet_open(&puppet, 0);
	puppet.slow_disk = true;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	ftsi_replica_disconnected(puppet.replica, "127.0.0.1:7410");
	puppet_write(&puppet);
	assert_int_equal(puppet.nowhere_count, guarded ? 0 : 1);
	puppet_close(&puppet);
}

static void nowhere(void **state)
{
	(void)state;
	both(MAY_SEND, nowhere_scene);
}

/* No election on entries that are not on disk: by its timer, or because it was told to. */
static void unwritten_scene(bool guarded)
{
	struct puppet puppet;
	puppet_open(&puppet, 0);
	puppet.slow_disk = true;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	puppet_pass(&puppet, 10 * PUPPET_ELECTION_MS);
	assert_int_equal(raft_state(&puppet.replica->raft), guarded ? RAFT_FOLLOWER : RAFT_CANDIDATE);
	puppet_write(&puppet);
	puppet_pass(&puppet, PUPPET_ELECTION_MS);
	assert_int_equal(raft_state(&puppet.replica->raft), RAFT_CANDIDATE);
	puppet_close(&puppet);
}

static void unwritten(void **state)
{
	(void)state;
	both(MAY_TICK, unwritten_scene);
}

static void told_to_stand_scene(bool guarded)
{
	struct puppet puppet;
	puppet_open(&puppet, 0);
	puppet.slow_disk = true;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	puppet_timeout_now(&puppet, 2, 2, 3, 2);
	assert_int_equal(raft_state(&puppet.replica->raft), guarded ? RAFT_FOLLOWER : RAFT_CANDIDATE);
	puppet_write(&puppet);
	assert_int_equal(raft_state(&puppet.replica->raft), RAFT_CANDIDATE);
	puppet_close(&puppet);
}

static void told_to_stand(void **state)
{
	(void)state;
	both(MAY_BE_ELECTED, told_to_stand_scene);
}

/* A snapshot would make members of a change that may never commit. */
static void pending_change_scene(bool guarded)
{
	static const struct puppet_entry entries[] = {{.term = 2}, {.term = 2, .change = true}};
	struct puppet puppet;
	puppet_open(&puppet, 1);
	puppet.slow_disk = true;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, entries, 2});
	puppet_write(&puppet);
	assert_int_equal(puppet.replica->raft.commit_index, 2);
	assert_int_equal(puppet.replica->raft.configuration.n, 4);
	assert_int_equal(puppet.replica->snapshot_running, !guarded);
	puppet_write(&puppet);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 3, 2, 3, NULL, 0});
	assert_int_equal(puppet.replica->raft.commit_index, 3);
	assert_true(!guarded || puppet.replica->snapshot_running);
	puppet_close(&puppet);
}

static void pending_change(void **state)
{
	(void)state;
	both(MAY_SNAPSHOT, pending_change_scene);
}

/* The change is taken back by the next leader, after a restart in which libraft forgot that it was pending. */
static void taken_back_scene(bool guarded)
{
	static const struct puppet_entry change[] = {{.term = 2, .change = true}};
	static const struct puppet_entry instead[] = {{.term = 3}};
	struct puppet puppet;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, change, 1});
	assert_int_equal(puppet.replica->raft.configuration.n, 4);
	puppet_restart(&puppet);
	assert_int_equal(puppet.replica->raft.configuration.n, 4);
	puppet_append(&puppet, &(struct puppet_append){3, 3, 1, 1, 1, instead, 1});
	assert_int_equal(puppet.replica->raft.configuration.n, guarded ? 3 : 4);
	puppet_close(&puppet);
}

static void taken_back(void **state)
{
	(void)state;
	both(ROLL_BACK, taken_back_scene);
}

/* What is refused takes nothing back: the change may commit after all, and then whoever was let in is a member. */
static void refused_takes_nothing_back(void **state)
{
	static const struct puppet_entry change[] = {{.term = 2}, {.term = 2, .change = true}};
	static const struct puppet_entry instead[] = {{.term = 3}};
	struct puppet puppet;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, change, 2});
	assert_int_equal(puppet.replica->raft.configuration.n, 4);
	/* Node 3 has another entry 2. It is gone before it has found where the logs part. */
	puppet_append(&puppet, &(struct puppet_append){3, 3, 2, 1, 1, instead, 1});
	assert_int_equal(result_to(&puppet, 3)->rejected, 2);
	assert_int_equal(raft_last_index(&puppet.replica->raft), 3);
	puppet_append(&puppet, &(struct puppet_append){2, 4, 3, 2, 3, NULL, 0});
	assert_int_equal(puppet.replica->raft.commit_index, 3);
	assert_int_equal(puppet.replica->raft.configuration_index, 3);
	assert_int_equal(puppet.replica->raft.configuration.n, 4);
	puppet_close(&puppet);
}

/* There is one leader a term, and no term is the last one, whatever somebody says. */
static void impossible_leaders(void **state)
{
	static const struct puppet_entry of_term_2[] = {{.term = 2}};
	struct puppet puppet;
	struct raft *raft;
	(void)state;
	puppet_open(&puppet, 0);
	raft = &puppet.replica->raft;
	puppet_elect(&puppet);
	puppet_result(&puppet, 2, 2, 2);
	assert_true(atomic_load(&puppet.replica->serving));
	puppet_append(&puppet, &(struct puppet_append){3, 2, 1, 1, 2, of_term_2, 1});
	puppet_append(&puppet, &(struct puppet_append){3, UINT64_MAX, 1, 1, 2, NULL, 0});
	puppet_vote(&puppet, 3, UINT64_MAX, true, 9, 9);
	puppet_result(&puppet, 3, UINT64_MAX, 2);
	assert_int_equal(raft_state(raft), RAFT_LEADER);
	assert_int_equal(raft->current_term, 2);
	puppet_result(&puppet, 2, 2, 2);
	assert_true(atomic_load(&puppet.replica->serving));
	puppet_append(&puppet, &(struct puppet_append){3, 3, 1, 1, 1, NULL, 0}); /* this one may be */
	assert_int_equal(raft_state(raft), RAFT_FOLLOWER);
	puppet_close(&puppet);
}

/* It was allowed to stand, and then nobody answered: its term must not run away. */
static void lonely_candidate_scene(bool guarded)
{
	struct puppet puppet;
	uint64_t term;
	puppet_open(&puppet, 0);
	puppet_pass(&puppet, 2 * PUPPET_ELECTION_MS);
	puppet_grant(&puppet, 2, 2, true);
	term = puppet.replica->raft.current_term;
	assert_int_equal(term, 2);
	puppet_pass(&puppet, 10 * PUPPET_ELECTION_MS);
	if (guarded)
		assert_int_equal(puppet.replica->raft.current_term, term);
	else
		assert_true(puppet.replica->raft.current_term > term + 2);
	puppet_close(&puppet);
}

static void lonely_candidate(void **state)
{
	(void)state;
	both(BEFORE_TICK, lonely_candidate_scene);
}

/* It was made a voter, but has not got that entry yet. Without its vote nobody could lead when another one is gone. */
static void early_vote_scene(bool guarded)
{
	struct puppet puppet;
	struct raft_server *self;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	self = &puppet.replica->raft.configuration.servers[0];
	assert_int_equal(self->id, puppet.replica->raft.id);
	self->role = RAFT_STANDBY;
	puppet_pass(&puppet, 2 * PUPPET_ELECTION_MS);
	puppet_vote(&puppet, 3, 3, false, 3, 2);
	assert_int_equal(puppet_said(&puppet, 3, FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT)
			     ->request_vote_result->vote_granted,
			 guarded);
	assert_int_equal(self->role, RAFT_STANDBY);
	puppet_close(&puppet);
}

static void early_vote(void **state)
{
	(void)state;
	both(LEND_VOTE, early_vote_scene);
}

/* It was about to hand over to node 2, and has voted for node 3 since: node 2 gets no second vote of the same term. */
static void second_vote_scene(void)
{
	struct puppet puppet;
	struct fts_error error;
	puppet_open(&puppet, 0);
	puppet_elect(&puppet);
	puppet_result(&puppet, 2, 2, 2);
	assert_true(atomic_load(&puppet.replica->serving));
	assert_int_equal(fts_replica_member_lead(puppet.replica, "n2", 1000, NULL, NULL, &error), FTS_OK);
	puppet_step(&puppet);
	assert_non_null(puppet_said(&puppet, 2, FTS__REPLICA__V1__PEER_MESSAGE__KIND_TIMEOUT_NOW));
	puppet_vote(&puppet, 3, 3, true, 2, 2);
	assert_true(puppet_said(&puppet, 3, FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT)
			->request_vote_result->vote_granted);
	puppet_vote(&puppet, 2, 3, true, 2, 2);
	assert_false(puppet_said(&puppet, 2, FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT)
			 ->request_vote_result->vote_granted);
	puppet_close(&puppet);
}

/* libraft frees the entries of a message twice, or gives up, when it can't send its answer at once. */
static void failed_send_scene(void)
{
	struct puppet puppet;
	puppet_open(&puppet, 0);
	puppet.line_is_cut = true;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, two_of_term_2, 2});
	puppet_append(&puppet, &(struct puppet_append){2, 2, 9, 2, 1, two_of_term_2, 2});
	assert_int_equal(raft_state(&puppet.replica->raft), RAFT_FOLLOWER);
	puppet_close(&puppet);
}

/* A leader that has lost its idea of where this node is begins at the first entry, which a snapshot has cut off here.
 */
static void below_snapshot_scene(void)
{
	static const struct puppet_entry entries[] = {{.term = 1}, {.term = 2}, {.term = 2}, {.term = 2}};
	struct puppet puppet;
	struct raft *raft;
	puppet_open(&puppet, 1);
	raft = &puppet.replica->raft;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 3, two_of_term_2, 2});
	puppet_pass(&puppet, 10);
	assert_int_equal(raft->log.snapshot.last_index, 3);
	assert_true(raft->log.offset >= 1);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 0, 0, 3, entries, 4});
	assert_int_equal(raft_last_index(raft), 4);
	assert_int_equal(result_to(&puppet, 2)->last_log_index, 4);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 0, 0, 3, entries, 2}); /* nothing new */
	assert_int_equal(raft_last_index(raft), 4);
	assert_int_equal(result_to(&puppet, 2)->last_log_index, 3);
	puppet_close(&puppet);
}

/* ---- Scenes that come to no good end without their guard ---- */

static const struct apart {
	const char *name;
	enum guard guard;
	void (*scene)(void);
} aparts[] = {
    {"second_vote", END_TRANSFER, second_vote_scene},
    {"failed_send", SEND_LATER, failed_send_scene},
    {"below_snapshot", SKIP_SNAPSHOT, below_snapshot_scene},
};

static const struct apart *find_apart(const char *name)
{
	for (size_t i = 0; i < sizeof aparts / sizeof aparts[0]; i++)
		if (strcmp(aparts[i].name, name) == 0) return &aparts[i];
	abort();
}

/* In a process of its own. */
static int run_unguarded(const char *name)
{
	const struct rlimit none = {0, 0};
	const struct apart *apart = find_apart(name);
	(void)setrlimit(RLIMIT_CORE, &none);
	off = apart->guard;
	apart->scene();
	return 0;
}

/* With its guard here; without it in a process that begins anew, as a fork would have none of RocksDB's threads. */
static void both_apart(const char *name)
{
	int status;
	pid_t child;
	off = NONE;
	find_apart(name)->scene();
	(void)fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)execl("/proc/self/exe", "guard", UNGUARDED, name, (char *)NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void second_vote(void **state)
{
	(void)state;
	both_apart("second_vote");
}

static void failed_send(void **state)
{
	(void)state;
	both_apart("failed_send");
}

static void below_snapshot(void **state)
{
	(void)state;
	both_apart("below_snapshot");
}

/* One entry on its way to the disk, whatever waits behind it. */
static void one_at_a_time(void **state)
{
	struct puppet puppet;
	struct add add = {.name = "a", .delta = 1};
	struct add_result results[3];
	(void)state;
	puppet_open(&puppet, 0);
	puppet_elect(&puppet);
	puppet_result(&puppet, 2, 2, 2);
	puppet.slow_disk = true;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(add_start(puppet.replica, &add, &results[i]), FTS_OK);
		puppet_step(&puppet);
		assert_int_equal(puppet.job_count, 1);
	}
	puppet_write(&puppet);
	assert_int_equal(puppet.job_count, 0); /* it has not committed yet */
	puppet_result(&puppet, 2, 2, 3);
	add_wait(&results[0]);
	assert_int_equal(puppet.job_count, 1);
	puppet_write(&puppet);
	puppet_result(&puppet, 2, 2, 4);
	add_wait(&results[1]);
	add_wait(&results[2]);
	assert_int_equal(results[2].index, 4); /* both went into one entry */
	puppet_close(&puppet);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(old_terms),
	    cmocka_unit_test(late_success),
	    cmocka_unit_test(commit_ahead),
	    cmocka_unit_test(long_log),
	    cmocka_unit_test(nowhere),
	    cmocka_unit_test(unwritten),
	    cmocka_unit_test(told_to_stand),
	    cmocka_unit_test(pending_change),
	    cmocka_unit_test(taken_back),
	    cmocka_unit_test(lonely_candidate),
	    cmocka_unit_test(second_vote),
	    cmocka_unit_test(failed_send),
	    cmocka_unit_test(one_at_a_time),
	    cmocka_unit_test(early_vote),
	    cmocka_unit_test(below_snapshot),
	    cmocka_unit_test(refused_takes_nothing_back),
	    cmocka_unit_test(impossible_leaders),
	};
	if (argc > 2 && strcmp(argv[1], UNGUARDED) == 0) return run_unguarded(argv[2]);
	if (argc > 1) cmocka_set_test_filter(argv[1]); /* one by name, while looking for a fault */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
