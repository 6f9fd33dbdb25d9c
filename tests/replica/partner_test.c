/* Why this file exists: what a replica makes of partners that behave oddly, message by message: one that offers its
 * state and then says nothing, many that want copies at once, one whose connection breaks though it lives, and those
 * that are gone when it stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "puppet.h"
#include "replica/configuration.h"
#include "replica/membership.h"
#include "replica/state_internal.h"

#define N2 "127.0.0.1:7410"

enum { ASK_AGAIN_MS = 1100, GIVE_UP_MS = 21000, FAR_AHEAD = 50 };

static const struct puppet_entry barrier_of_term_2[] = {{.term = 2}};
static const struct puppet_entry command_of_term_2[] = {{.term = 2, .command = true}};

/* ---- A sender that is silent ---- */

static void offer(struct puppet *puppet, uint64_t from, uint64_t term, const char *name)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__InstallSnapshot install = FTS__REPLICA__V1__INSTALL_SNAPSHOT__INIT;
	uint8_t *conf = NULL;
	size_t conf_bytes = 0;
	assert_int_equal(ftsi_configuration_encode(&puppet->replica->raft.configuration, &conf, &conf_bytes), FTS_OK);
	install.term = term;
	install.last_index = FAR_AHEAD;
	install.last_term = 2;
	install.configuration = (ProtobufCBinaryData){conf_bytes, conf};
	install.configuration_index = 1;
	install.name = (ProtobufCBinaryData){strlen(name), (uint8_t *)(uintptr_t)name};
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_INSTALL_SNAPSHOT;
	message.install_snapshot = &install;
	puppet_give(puppet, from, &message);
	free(conf);
}

static const Fts__Replica__V1__StateAsk *asked(const struct puppet *puppet, uint64_t node)
{
	const Fts__Replica__V1__PeerMessage *said =
	    puppet_said(puppet, node, FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_ASK);
	return said == NULL ? NULL : said->state_ask;
}

static void expect_asked(const struct puppet *puppet, uint64_t node, const char *name)
{
	const Fts__Replica__V1__StateAsk *ask = asked(puppet, node);
	assert_non_null(ask);
	assert_int_equal(ask->name.len, strlen(name));
	assert_memory_equal(ask->name.data, name, ask->name.len);
	assert_int_equal(ask->file + ask->offset, 0);
}

/* It lives as a leader does, but of its state nothing comes. */
static void hear_leader(struct puppet *puppet, uint64_t from, uint64_t term, uint32_t ms)
{
	for (uint32_t passed = 0; passed < ms; passed += PUPPET_ELECTION_MS / 4) {
		puppet_append(puppet, &(struct puppet_append){from, term, 2, 2, 2, NULL, 0});
		puppet_forget(puppet);
		puppet_pass(puppet, PUPPET_ELECTION_MS / 4);
	}
}

static void a_silent_sender(void **state)
{
	struct puppet puppet;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, barrier_of_term_2, 1});
	offer(&puppet, 2, 2, "two");
	expect_asked(&puppet, 2, "two");
	assert_true(atomic_load(&puppet.replica->keeper->syncing));
	/* Asked again, from where it stands. */
	puppet_forget(&puppet);
	for (int i = 0; i < 8 && asked(&puppet, 2) == NULL; i++)
		puppet_pass(&puppet, ASK_AGAIN_MS / 4);
	expect_asked(&puppet, 2, "two");
	/* It keeps nobody: it votes, and hears who leads meanwhile. */
	hear_leader(&puppet, 2, 2, 4 * PUPPET_ELECTION_MS);
	assert_int_equal(raft_state(&puppet.replica->raft), RAFT_FOLLOWER);
	/* Nothing for too long: given up, and what is offered next is taken. */
	hear_leader(&puppet, 2, 2, GIVE_UP_MS);
	assert_false(puppet.replica->keeper->fetch.active);
	assert_false(atomic_load(&puppet.replica->keeper->syncing));
	offer(&puppet, 2, 2, "newer");
	puppet_pass(&puppet, PUPPET_ELECTION_MS / 4);
	expect_asked(&puppet, 2, "newer");
	puppet_close(&puppet);
}

/* Another leader need not wait until the silent one is given up. */
static void another_sender(void **state)
{
	struct puppet puppet;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, barrier_of_term_2, 1});
	offer(&puppet, 2, 2, "two");
	expect_asked(&puppet, 2, "two");
	puppet_pass(&puppet, 2 * PUPPET_ELECTION_MS);
	puppet_append(&puppet, &(struct puppet_append){3, 3, 2, 2, 2, NULL, 0});
	offer(&puppet, 3, 3, "three");
	expect_asked(&puppet, 3, "three");
	assert_int_equal(puppet.replica->keeper->fetch.from, 3);
	puppet_close(&puppet);
}

/* ---- Copies ---- */

static unsigned copy_count(const struct puppet *puppet)
{
	unsigned count = 0;
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++)
		count += puppet->replica->keeper->copies[i].name[0] != 0;
	return count;
}

/* Wants a copy that is newer than all there are. */
static void want_copy(struct puppet *puppet)
{
	puppet->now_ns += 10 * 1000000;
	(void)ftsi_copy_find(puppet->replica, 0, 0);
	puppet_step(puppet);
}

static void copies_are_bounded(void **state)
{
	struct puppet puppet;
	struct ftsi_copy *copies;
	uint64_t newest = 0;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, command_of_term_2, 1});
	copies = puppet.replica->keeper->copies;
	/* As many wants as you like: one is made at a time, and four there are. */
	puppet.slow_disk = true;
	for (int i = 0; i < 10; i++)
		want_copy(&puppet);
	assert_int_equal(puppet.job_count, 1);
	puppet.slow_disk = false;
	puppet_write(&puppet);
	for (int i = 0; i < 10; i++)
		want_copy(&puppet);
	assert_int_equal(copy_count(&puppet), FTSI_COPY_COUNT_MAX);
	/* Those that are read stay, and then no other is made. */
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++) {
		copies[i].reading_count = 1;
		if (copies[i].made_ns > newest) newest = copies[i].made_ns;
	}
	for (int i = 0; i < 10; i++)
		want_copy(&puppet);
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++)
		assert_true(copies[i].made_ns <= newest);
	/* One reader ends: its place is the next one's. */
	copies[1].reading_count = 0;
	want_copy(&puppet);
	want_copy(&puppet);
	assert_int_equal(copy_count(&puppet), FTSI_COPY_COUNT_MAX);
	assert_true(copies[1].made_ns > newest);
	for (unsigned i = 0; i < FTSI_COPY_COUNT_MAX; i++)
		copies[i].reading_count = 0;
	/* Nobody wants them any more: they go. */
	for (int i = 0; i < 200 && copy_count(&puppet) > 0; i++) {
		puppet_append(&puppet, &(struct puppet_append){2, 2, 2, 2, 2, NULL, 0});
		puppet_forget(&puppet);
		puppet_pass(&puppet, 1000);
		puppet_forget(&puppet);
	}
	assert_int_equal(copy_count(&puppet), 0);
	puppet_close(&puppet);
}

/* A member that lags asks for the newest state there is. */
static void ask_for_state(struct puppet *puppet, uint64_t from)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__StateAsk ask = FTS__REPLICA__V1__STATE_ASK__INIT;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_ASK;
	message.state_ask = &ask;
	puppet_give(puppet, from, &message);
}

/* What is wrong in a state that is doubted must not reach others: neither what is being sent, nor once the state was
 * replaced and is trusted again. */
static void copies_of_a_doubted_state(void **state)
{
	struct puppet puppet;
	struct fts_replica *replica;
	const Fts__Replica__V1__PeerMessage *chunk;
	char old_name[FTSI_COPY_NAME_BYTES + 1] = "";
	(void)state;
	puppet_open(&puppet, 0);
	replica = puppet.replica;
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, command_of_term_2, 1});
	for (int i = 0; i < 3; i++) /* made, read, sent */
		ask_for_state(&puppet, 3);
	chunk = puppet_said(&puppet, 3, FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_CHUNK);
	assert_non_null(chunk);
	memcpy(old_name, chunk->state_chunk->name.data, chunk->state_chunk->name.len);
	ftsi_state_doubt(replica, "the test says so");
	puppet_forget(&puppet);
	for (int i = 0; i < 10; i++)
		puppet_step(&puppet);
	assert_null(puppet_said(&puppet, 3, FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_CHUNK));
	ftsi_state_trust(replica);
	puppet_forget(&puppet);
	for (int i = 0; i < 3; i++)
		ask_for_state(&puppet, 3);
	chunk = puppet_said(&puppet, 3, FTS__REPLICA__V1__PEER_MESSAGE__KIND_STATE_CHUNK);
	assert_non_null(chunk);
	assert_int_not_equal(strncmp(old_name, (const char *)chunk->state_chunk->name.data, strlen(old_name)), 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 2, 2, 2, NULL, 0});
	puppet_forget(&puppet);
	puppet_pass(&puppet, PUPPET_ELECTION_MS / 2);
	assert_int_equal(copy_count(&puppet), 1); /* the old one is gone */
	puppet_close(&puppet);
}

/* ---- A split that is none ---- */

static void a_false_split(void **state)
{
	struct puppet puppet;
	const Fts__Replica__V1__PeerMessage *vote;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, barrier_of_term_2, 1});
	assert_int_equal(atomic_load(&puppet.replica->leads), FTSI_LEADS_OTHER);
	puppet_forget(&puppet);
	ftsi_replica_disconnected(puppet.replica, N2);
	puppet_pass(&puppet, PUPPET_ELECTION_MS / 2);
	/* It asks whether it could be elected, and only that. */
	vote = puppet_said(&puppet, 3, FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE);
	assert_non_null(vote);
	assert_true(vote->request_vote->pre_vote);
	puppet_deny(&puppet, 3, 2, true); /* it hears the leader */
	puppet_pass(&puppet, PUPPET_ELECTION_MS / 2);
	assert_int_equal(puppet.replica->raft.current_term, 2);
	assert_int_equal(puppet.replica->raft.voted_for, 0);
	/* The connection is there again, or the leader has another: nothing has happened. */
	ftsi_replica_connected(puppet.replica, N2);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 2, 2, 2, NULL, 0});
	assert_int_equal(raft_state(&puppet.replica->raft), RAFT_FOLLOWER);
	assert_int_equal(atomic_load(&puppet.replica->leads), FTSI_LEADS_OTHER);
	assert_int_equal(puppet.replica->raft.current_term, 2);
	puppet_close(&puppet);
}

/* The same seen from who still hears the leader: it denies its vote, for that term and for the next. */
static void a_false_split_elsewhere(void **state)
{
	struct puppet puppet;
	const Fts__Replica__V1__PeerMessage *said;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, barrier_of_term_2, 1});
	puppet_forget(&puppet);
	puppet_vote(&puppet, 3, 3, false, 2, 2);
	puppet_pass(&puppet, PUPPET_ELECTION_MS / 2); /* it may be held a moment */
	said = puppet_said(&puppet, 3, FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT);
	assert_non_null(said);
	assert_false(said->request_vote_result->vote_granted);
	assert_int_equal(puppet.replica->raft.current_term, 2);
	puppet_close(&puppet);
}

/* ---- One that says that this node was removed ---- */

static void say_removed(struct puppet *puppet, uint64_t configuration_index)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Refused refused = FTS__REPLICA__V1__REFUSED__INIT;
	refused.detail = (char *)(uintptr_t) "n3 says that it was removed";
	refused.removed = true;
	refused.configuration_index = configuration_index;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_REFUSED;
	message.refused = &refused;
	puppet_give(puppet, 3, &message);
}

/* Who has just been let in knows more than who speaks, though it has not committed yet. */
static void an_old_removal(void **state)
{
	static const struct puppet_entry change[] = {{.term = 2}, {.term = 2, .change = true}};
	struct puppet puppet;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, change, 2});
	assert_int_equal(puppet.replica->raft.configuration_uncommitted_index, 3);
	say_removed(&puppet, 2);
	assert_int_equal(atomic_load(&puppet.fatal.count), 0);
	assert_false(atomic_load(&puppet.replica->failed));
	say_removed(&puppet, 4); /* behind all that it knows: it goes */
	assert_int_equal(atomic_load(&puppet.fatal.count), 1);
	assert_int_equal(puppet.fatal.error.status, FTS_FAILED_PRECONDITION);
	atomic_store(&puppet.fatal.count, 0); /* wanted */
	puppet_close(&puppet);
}

/* ---- One whose old id goes, and whose new one is about to come ---- */

static uint64_t ticking_ns(void *ctx)
{
	return ++((struct puppet *)ctx)->now_ns;
}

/* Its next Hello may come in the very turn in which its old id goes: it must not be taken for a stranger's. */
static void gone_this_moment(void **state)
{
	struct puppet puppet;
	(void)state;
	puppet_open(&puppet, 0);
	puppet.environment.monotonic_ns = ticking_ns;
	assert_false(ftsi_membership_left_just_now(puppet.replica, "n3=127.0.0.1:7420"));
	puppet.replica->raft.configuration.n = 2; /* libraft has just taken n3 out, and no turn has ended since */
	assert_true(ftsi_membership_left_just_now(puppet.replica, "n3=127.0.0.1:7420"));
	assert_true(ftsi_membership_left_just_now(puppet.replica, "n3=127.0.0.1:7420"));
	puppet.replica->now_ns += 60000000000; /* a minute later it is a stranger */
	assert_false(ftsi_membership_left_just_now(puppet.replica, "n3=127.0.0.1:7420"));
	puppet.replica->raft.configuration.n = 3;
	puppet_close(&puppet);
}

/* ---- Changes of members that come to nothing ---- */

struct ended {
	enum fts_status status;
	struct fts_error error;
};

static void change_ended(void *ctx, enum fts_status status, const struct fts_error *error)
{
	struct ended *ended = ctx;
	ended->status = status;
	if (error != NULL) ended->error = *error;
}

/* One that was not begun had no effect, and may be asked for again elsewhere; of one that was nobody knows. */
static void changes_not_begun(void **state)
{
	struct puppet puppet;
	struct ended own = {0}, other = {0};
	struct fts_error error;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_elect(&puppet);
	puppet_result(&puppet, 2, 2, 2);
	puppet_pulse(&puppet, 2, false, false);
	puppet_pulse(&puppet, 3, false, false);
	assert_int_equal(fts_replica_member_remove(puppet.replica, "n1", 1000, change_ended, &own, &error), FTS_OK);
	puppet_step(&puppet);
	assert_int_equal(own.status, FTS_UNAVAILABLE); /* it leads: it hands over first */
	assert_int_equal(own.error.executed, FTS_EXECUTED_NO);
	puppet_close(&puppet);

	puppet_open(&puppet, 0);
	puppet_elect(&puppet);
	puppet_result(&puppet, 2, 2, 2);
	puppet_pulse(&puppet, 2, false, false);
	puppet_pulse(&puppet, 3, false, false);
	assert_int_equal(fts_replica_member_remove(puppet.replica, "n3", 1000, change_ended, &other, &error), FTS_OK);
	puppet_step(&puppet);
	puppet_append(&puppet, &(struct puppet_append){2, 3, 2, 2, 2, NULL, 0}); /* it leads no more */
	puppet_pass(&puppet, PUPPET_ELECTION_MS / 5);
	assert_int_equal(other.status, FTS_UNAVAILABLE);
	assert_int_equal(other.error.executed, FTS_EXECUTED_UNKNOWN);
	puppet_close(&puppet);
}

/* ---- A state that can't be opened ---- */

static void write_origin(const char *dir, uint64_t cluster_id, uint64_t index)
{
	const struct fts_archive_origin origin = {.identity = 5, .cluster_id = cluster_id, .index = index, .term = 1};
	uint8_t bytes[FTS_ARCHIVE_ORIGIN_BYTES];
	char path[700];
	FILE *file;
	fts_archive_origin_encode(&origin, bytes);
	(void)snprintf(path, sizeof path, "%s/" FTS_ARCHIVE_ORIGIN_NAME, dir);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, sizeof bytes, file), sizeof bytes);
	assert_int_equal(fclose(file), 0);
}

/* A member's comes from the others, also when its cluster began with a snapshot and nobody has started anew since. */
static void a_restored_state_is_lost(void **state)
{
	struct puppet puppet;
	char path[700];
	(void)state;
	puppet_open(&puppet, 0);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, command_of_term_2, 1});
	write_origin(puppet.dir, 6, 7);
	(void)snprintf(path, sizeof path, "%s/state/CURRENT", puppet.dir);
	assert_int_equal(unlink(path), 0);
	puppet_restart(&puppet);
	assert_true(atomic_load(&puppet.replica->doubted));
	puppet_append(&puppet, &(struct puppet_append){2, 2, 2, 2, 2, NULL, 0});
	puppet_pass(&puppet, ASK_AGAIN_MS);
	assert_non_null(asked(&puppet, 2));
	puppet_close(&puppet);
}

/* A directory with a state, of a cluster that is no more. Returned (remove_dir). */
static char *make_restored(void)
{
	const struct driver_options options = {.dir = make_dir()};
	struct fts_replica *replica = driver_ready(&options);
	const struct add add = {.name = "a", .delta = 1};
	struct add_result result;
	char path[700];
	uint64_t cluster_id = replica->identity.cluster_id;
	assert_int_equal(add_call(replica, &add, &result), FTS_OK);
	uint64_t index = atomic_load(&replica->applied_index);
	driver_stop(replica);
	(void)snprintf(path, sizeof path, "%s/log", options.dir);
	remove_dir(strdup(path));
	write_origin(options.dir, cluster_id, index);
	return (char *)(uintptr_t)options.dir;
}

/* One that was restored a second time, while the cluster that began so runs: it does not join, and says so. */
static void a_restored_one_does_not_join(void **state)
{
	char *dir = make_restored(), name[] = "n1", address[] = "127.0.0.1:7400";
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Form form = FTS__REPLICA__V1__FORM__INIT;
	Fts__Replica__V1__Member member = FTS__REPLICA__V1__MEMBER__INIT, *members[] = {&member};
	struct puppet puppet;
	(void)state;
	puppet_open_listed(&puppet, dir);
	member.name = name;
	member.address = address;
	member.node_id = 99; /* who was n1 before */
	form.members = members;
	form.n_members = 1;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_FORM;
	message.form = &form;
	puppet_give(&puppet, 2, &message);
	assert_int_equal(atomic_load(&puppet.fatal.count), 1);
	assert_int_equal(puppet.fatal.error.status, FTS_FAILED_PRECONDITION);
	assert_non_null(strstr(puppet.fatal.error.detail, "empty directory"));
	assert_true(puppet.replica->identity.cluster_id == 0); /* it is still what it was */
	atomic_store(&puppet.fatal.count, 0);                  /* wanted */
	puppet_close(&puppet);
	remove_dir(dir);
}

/* Each start that finds it so leaves a blank one behind, and a transfer that was cut off a large one. */
static void leftovers_of_a_doubted_state(void **state)
{
	struct puppet puppet;
	char path[700];
	(void)state;
	puppet_open(&puppet, 0);
	(void)snprintf(path, sizeof path, "%s/state/CURRENT", puppet.dir);
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 2, command_of_term_2, 1});
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof path, "%s/state-7", puppet.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	puppet_restart(&puppet);
	assert_true(atomic_load(&puppet.replica->doubted));
	assert_int_equal(puppet.replica->keeper->generation, 8);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof path, "%s/state", puppet.dir);
	assert_int_equal(access(path, F_OK), 0); /* the one that is named stays, as it is */
	puppet_close(&puppet);
}

/* ---- One that comes again and again, each time without its directory ---- */

static void say_hello(struct puppet *puppet, uint64_t node_id)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Hello hello = FTS__REPLICA__V1__HELLO__INIT;
	char name[] = "n3", address[] = "127.0.0.1:7420";
	hello.name = name;
	hello.address = address;
	hello.format = hello.format_max = FTS_FORMAT_FIRST;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_HELLO;
	message.hello = &hello;
	puppet_give(puppet, node_id, &message);
}

/* None of its ids is a member. Who becomes one later has its place all the same: else nothing is ever sent to it. */
static void many_lives(void **state)
{
	static const struct puppet_entry change[] = {{.term = 2}, {.term = 2, .change = true}};
	struct puppet puppet;
	(void)state;
	puppet_open(&puppet, 0);
	for (uint64_t life = 0; life < 2 * FTSI_MEMBER_MAX; life++) {
		puppet_pass(&puppet, 1);
		puppet_forget(&puppet);
		say_hello(&puppet, 1000 + life);
	}
	assert_int_equal(puppet.replica->members.count, FTSI_MEMBER_MAX);
	assert_non_null(ftsi_member_by_id(puppet.replica, 1000 + 2 * FTSI_MEMBER_MAX - 1)); /* the newest is known */
	puppet_append(&puppet, &(struct puppet_append){2, 2, 1, 1, 1, change, 2});
	assert_int_equal(puppet.replica->raft.configuration.n, 4);
	assert_non_null(ftsi_member_by_id(puppet.replica, 4));
	for (uint64_t id = 2; id <= 4; id++)
		assert_true(ftsi_member_by_id(puppet.replica, id)->configured);
	puppet_close(&puppet);
}

/* ---- Those that are gone when this node stops ---- */

static uint64_t hurrying_ns(void *ctx)
{
	return ((struct puppet *)ctx)->now_ns += 10 * 1000000;
}

/* What is on its way cannot commit any more: its caller is told that nobody knows, and the node ends. */
static void stops_without_the_others(void **state)
{
	struct puppet puppet;
	const struct add add = {.name = "a", .delta = 1};
	struct add_result result;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_elect(&puppet);
	puppet_result(&puppet, 2, 2, 2);
	assert_int_equal(add_start(puppet.replica, &add, &result), FTS_OK);
	puppet_step(&puppet);
	assert_true(puppet.replica->inflight.active);
	puppet.environment.monotonic_ns = hurrying_ns;
	fts_replica_stop(puppet.replica);
	add_wait(&result);
	assert_int_equal(result.status, FTS_UNAVAILABLE);
	assert_int_equal(result.executed, FTS_EXECUTED_UNKNOWN);
	puppet_close(&puppet);
}

/* ---- This node itself is late ---- */

static void a_late_turn(void **state)
{
	struct puppet puppet;
	struct fts_replica_status status;
	(void)state;
	puppet_open(&puppet, 0);
	puppet_pass(&puppet, 3 * PUPPET_ELECTION_MS);
	fts_replica_status(puppet.replica, &status);
	assert_int_equal(status.stalls.count, 0);
	puppet.now_ns = ftsi_replica_next_ns(puppet.replica) + (uint64_t)5 * 1000000000; /* stopped for a while */
	puppet_step(&puppet);
	puppet_pass(&puppet, PUPPET_ELECTION_MS);
	fts_replica_status(puppet.replica, &status);
	assert_int_equal(status.stalls.count, 1);
	assert_in_range(status.stalls.max_ms, 4900, 5100);
	puppet_close(&puppet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_silent_sender),
	    cmocka_unit_test(another_sender),
	    cmocka_unit_test(copies_are_bounded),
	    cmocka_unit_test(a_false_split),
	    cmocka_unit_test(a_false_split_elsewhere),
	    cmocka_unit_test(an_old_removal),
	    cmocka_unit_test(gone_this_moment),
	    cmocka_unit_test(copies_of_a_doubted_state),
	    cmocka_unit_test(stops_without_the_others),
	    cmocka_unit_test(a_late_turn),
	    cmocka_unit_test(many_lives),
	    cmocka_unit_test(a_restored_state_is_lost),
	    cmocka_unit_test(leftovers_of_a_doubted_state),
	    cmocka_unit_test(a_restored_one_does_not_join),
	    cmocka_unit_test(changes_not_begun),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
