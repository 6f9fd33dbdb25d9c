/* Why this file exists: see puppet.h. */
#include "puppet.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "replica/worker.h"

enum { CLUSTER_ID = 77, START_S = 1000, STEP_MAX = 10000, PRE_VOTE_TRUE = 1, PRE_VOTE_FALSE = 2 };

/* ---- Its world ---- */

static uint64_t monotonic_ns(void *ctx)
{
	return ((struct puppet *)ctx)->now_ns;
}

static int64_t wall_ms(void *ctx)
{
	const struct puppet *puppet = ctx;
	return (int64_t)(puppet->now_ns / 1000000) + puppet->wall_ahead_ms;
}

static uint64_t random_word(void *ctx)
{
	(void)ctx;
	return 0;
}

static void submit(void *ctx, struct ftsi_worker *worker, struct ftsi_job *job)
{
	struct puppet *puppet = ctx;
	(void)worker;
	assert_true(puppet->job_count < PUPPET_JOB_MAX);
	puppet->jobs[puppet->job_count++] = job;
}

static bool send_message(void *ctx, const char *address, struct fts_bytes bytes)
{
	struct puppet *puppet = ctx;
	Fts__Replica__V1__PeerMessage *message;
	if (puppet->line_is_cut) return false;
	message = fts__replica__v1__peer_message__unpack(NULL, bytes.size_bytes, bytes.data);
	assert_non_null(message);
	if (address == NULL) puppet->nowhere_count++;
	assert_true(puppet->sent_count < PUPPET_SENT_MAX);
	puppet->sent[puppet->sent_count++] = message;
	return true;
}

static void set_peers(void *ctx, const char *const *addresses, size_t count)
{
	(void)ctx;
	(void)addresses;
	(void)count;
}

static size_t backlog_bytes(void *ctx, const char *address)
{
	(void)ctx;
	(void)address;
	return 0;
}

/* ---- Life ---- */

static void write_log(const char *dir)
{
	static const char *const texts[] = {"n1=127.0.0.1:7400", "n2=127.0.0.1:7410", "n3=127.0.0.1:7420"};
	const struct fts_store_options options = {.write_ahead_log = true, .create_if_missing = true};
	struct ftsi_identity identity = {.name = "n1",
					 .address = "127.0.0.1:7400",
					 .node_id = 1,
					 .cluster_id = CLUSTER_ID,
					 .format = FTS_FORMAT_FIRST};
	struct raft_configuration configuration;
	struct raft_buffer encoded;
	struct fts_store *log = NULL;
	struct fts_error error;
	char path[600];
	(void)snprintf(path, sizeof path, "%s/log", dir);
	assert_int_equal(fts_store_open(path, &options, &log, &error), FTS_OK);
	raft_configuration_init(&configuration);
	for (raft_id id = 1; id <= 3; id++)
		assert_int_equal(raft_configuration_add(&configuration, id, texts[id - 1], RAFT_VOTER), 0);
	assert_int_equal(raft_configuration_encode(&configuration, &encoded), 0);
	assert_int_equal(ftsi_log_bootstrap(log, &identity, &encoded), FTS_OK);
	raft_free(encoded.base);
	raft_configuration_close(&configuration);
	fts_store_close(log);
}

static void start(struct puppet *puppet)
{
	struct fts_error error = {0};
	if (driver_start(&puppet->options, &puppet->replica, &error) != FTS_OK) fail_msg("%s", error.detail);
	ftsi_replica_connected(puppet->replica, "127.0.0.1:7410");
	ftsi_replica_connected(puppet->replica, "127.0.0.1:7420");
	puppet_step(puppet);
	puppet_forget(puppet);
}

static void make_world(struct puppet *puppet)
{
	puppet->now_ns = (uint64_t)START_S * 1000000000;
	puppet->transport = (struct ftsi_transport){
	    .send = send_message, .set_peers = set_peers, .backlog_bytes = backlog_bytes, .ctx = puppet};
	puppet->environment = (struct ftsi_environment){.monotonic_ns = monotonic_ns,
							.wall_ms = wall_ms,
							.random = random_word,
							.submit = submit,
							.transport = &puppet->transport,
							.stepped = true,
							.ctx = puppet};
	puppet->options = (struct driver_options){.dir = puppet->dir,
						  .address = "127.0.0.1:7400",
						  .election_ms = PUPPET_ELECTION_MS,
						  .environment = &puppet->environment,
						  .fatal = &puppet->fatal};
}

void puppet_open(struct puppet *puppet, uint64_t log_bytes_before_snapshot)
{
	memset(puppet, 0, sizeof *puppet);
	puppet->dir = make_dir();
	make_world(puppet);
	puppet->options.log_bytes_before_snapshot = log_bytes_before_snapshot;
	write_log(puppet->dir);
	start(puppet);
}

static uint64_t random_one(void *ctx)
{
	(void)ctx;
	return 1; /* the node's id */
}

void puppet_open_listed(struct puppet *puppet, const char *dir)
{
	static const struct fts_replica_member members[] = {
	    {"n1", "127.0.0.1:7400"}, {"n2", "127.0.0.1:7410"}, {"n3", "127.0.0.1:7420"}};
	memset(puppet, 0, sizeof *puppet);
	puppet->dir = copy_dir(dir);
	make_world(puppet);
	puppet->environment.random = random_one;
	puppet->options.members = members;
	puppet->options.member_count = sizeof members / sizeof members[0];
	start(puppet);
}

static void stop(struct puppet *puppet)
{
	/* As a kill: what is on its way to the disk is lost. */
	atomic_store(&puppet->replica->failed, true);
	for (size_t i = 0; i < puppet->job_count; i++) {
		puppet->jobs[i]->status = FTS_CANCELLED;
		ftsi_worker_end(puppet->replica, puppet->jobs[i]);
	}
	puppet->job_count = 0;
	fts_replica_stop(puppet->replica);
	fts_replica_destroy(puppet->replica);
	puppet->replica = NULL;
}

void puppet_restart(struct puppet *puppet)
{
	stop(puppet);
	start(puppet);
}

void puppet_close(struct puppet *puppet)
{
	assert_int_equal(atomic_load(&puppet->fatal.count), 0);
	stop(puppet);
	puppet_forget(puppet);
	remove_dir(puppet->dir);
}

/* ---- Time and disk ---- */

void puppet_step(struct puppet *puppet)
{
	ftsi_replica_step(puppet->replica);
	for (int i = 0; i < STEP_MAX && !puppet->slow_disk && puppet->job_count > 0; i++)
		puppet_write(puppet);
}

void puppet_write(struct puppet *puppet)
{
	while (puppet->job_count > 0) {
		struct ftsi_job *job = puppet->jobs[0];
		puppet->job_count--;
		memmove(puppet->jobs, puppet->jobs + 1, puppet->job_count * sizeof puppet->jobs[0]);
		job->status = job->work(job);
		ftsi_worker_end(puppet->replica, job);
	}
	ftsi_replica_step(puppet->replica);
}

void puppet_pass(struct puppet *puppet, uint32_t ms)
{
	uint64_t until_ns = puppet->now_ns + (uint64_t)ms * 1000000;
	for (int i = 0; i < STEP_MAX; i++) {
		uint64_t next_ns = ftsi_replica_next_ns(puppet->replica);
		if (next_ns > until_ns) break;
		if (next_ns > puppet->now_ns) puppet->now_ns = next_ns;
		puppet_step(puppet);
	}
	puppet->now_ns = until_ns;
	puppet_step(puppet);
}

/* ---- What it says ---- */

void puppet_forget(struct puppet *puppet)
{
	for (size_t i = 0; i < puppet->sent_count; i++)
		fts__replica__v1__peer_message__free_unpacked(puppet->sent[i], NULL);
	puppet->sent_count = 0;
}

const Fts__Replica__V1__PeerMessage *puppet_said(const struct puppet *puppet, uint64_t node,
						 Fts__Replica__V1__PeerMessage__KindCase kind)
{
	for (size_t i = puppet->sent_count; i > 0; i--)
		if (puppet->sent[i - 1]->kind_case == kind && puppet->sent[i - 1]->to == node)
			return puppet->sent[i - 1];
	return NULL;
}

/* ---- What it is told ---- */

void puppet_give(struct puppet *puppet, uint64_t from, Fts__Replica__V1__PeerMessage *message)
{
	size_t size;
	uint8_t *bytes;
	message->cluster_id = CLUSTER_ID;
	message->from = from;
	message->to = 1;
	size = fts__replica__v1__peer_message__get_packed_size(message);
	bytes = malloc(size);
	fts__replica__v1__peer_message__pack(message, bytes);
	ftsi_replica_receive(puppet->replica, (struct fts_bytes){bytes, size});
	free(bytes);
	puppet_step(puppet);
}

/* The members with node 4 as one that does not count yet. */
static struct raft_buffer with_node_4(const struct fts_replica *replica)
{
	struct raft_configuration configuration;
	struct raft_buffer encoded;
	raft_configuration_init(&configuration);
	for (unsigned i = 0; i < replica->raft.configuration.n && i < 3; i++) {
		const struct raft_server *server = &replica->raft.configuration.servers[i];
		assert_int_equal(raft_configuration_add(&configuration, server->id, server->address, server->role), 0);
	}
	assert_int_equal(raft_configuration_add(&configuration, 4, "n4=127.0.0.1:7430", RAFT_SPARE), 0);
	assert_int_equal(raft_configuration_encode(&configuration, &encoded), 0);
	raft_configuration_close(&configuration);
	return encoded;
}

void puppet_append(struct puppet *puppet, const struct puppet_append *append)
{
	static uint8_t nothing[8], empty[] = {0x10, 0x01}; /* time_ms: 1 */
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__AppendEntries body = FTS__REPLICA__V1__APPEND_ENTRIES__INIT;
	Fts__Replica__V1__Entry entries[8], *pointers[8];
	struct raft_buffer change = with_node_4(puppet->replica);
	assert_true(append->count <= 8);
	for (size_t i = 0; i < append->count; i++) {
		fts__replica__v1__entry__init(&entries[i]);
		entries[i].term = append->entries[i].term;
		entries[i].type = append->entries[i].change    ? RAFT_CHANGE
				  : append->entries[i].command ? RAFT_COMMAND
							       : RAFT_BARRIER;
		entries[i].data = append->entries[i].change    ? (ProtobufCBinaryData){change.len, change.base}
				  : append->entries[i].command ? (ProtobufCBinaryData){sizeof empty, empty}
							       : (ProtobufCBinaryData){sizeof nothing, nothing};
		pointers[i] = &entries[i];
	}
	body.term = append->term;
	body.prev_log_index = append->prev_index;
	body.prev_log_term = append->prev_term;
	body.leader_commit = append->commit;
	body.n_entries = append->count;
	body.entries = pointers;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES;
	message.append_entries = &body;
	puppet_give(puppet, append->from, &message);
	raft_free(change.base);
}

void puppet_result(struct puppet *puppet, uint64_t from, uint64_t term, uint64_t last_index)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__AppendEntriesResult body = FTS__REPLICA__V1__APPEND_ENTRIES_RESULT__INIT;
	body.term = term;
	body.last_log_index = last_index;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_APPEND_ENTRIES_RESULT;
	message.append_entries_result = &body;
	puppet_give(puppet, from, &message);
}

void puppet_vote(struct puppet *puppet, uint64_t from, uint64_t term, bool disrupt, uint64_t last_index,
		 uint64_t last_term)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__RequestVote body = FTS__REPLICA__V1__REQUEST_VOTE__INIT;
	body.term = term;
	body.last_log_index = last_index;
	body.last_log_term = last_term;
	body.disrupt_leader = disrupt;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE;
	message.request_vote = &body;
	puppet_give(puppet, from, &message);
}

static void answer_vote(struct puppet *puppet, uint64_t from, uint64_t term, bool pre_vote, bool granted)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__RequestVoteResult body = FTS__REPLICA__V1__REQUEST_VOTE_RESULT__INIT;
	body.term = term;
	body.vote_granted = granted;
	body.pre_vote = pre_vote ? PRE_VOTE_TRUE : PRE_VOTE_FALSE;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_REQUEST_VOTE_RESULT;
	message.request_vote_result = &body;
	puppet_give(puppet, from, &message);
}

void puppet_grant(struct puppet *puppet, uint64_t from, uint64_t term, bool pre_vote)
{
	answer_vote(puppet, from, term, pre_vote, true);
}

void puppet_deny(struct puppet *puppet, uint64_t from, uint64_t term, bool pre_vote)
{
	answer_vote(puppet, from, term, pre_vote, false);
}

void puppet_timeout_now(struct puppet *puppet, uint64_t from, uint64_t term, uint64_t last_index, uint64_t last_term)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__TimeoutNow body = FTS__REPLICA__V1__TIMEOUT_NOW__INIT;
	body.term = term;
	body.last_log_index = last_index;
	body.last_log_term = last_term;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_TIMEOUT_NOW;
	message.timeout_now = &body;
	puppet_give(puppet, from, &message);
}

void puppet_ack(struct puppet *puppet, uint64_t from, uint64_t term, uint64_t round)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__ReadIndexAck body = FTS__REPLICA__V1__READ_INDEX_ACK__INIT;
	body.term = term;
	body.round = round;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_READ_INDEX_ACK;
	message.read_index_ack = &body;
	puppet_give(puppet, from, &message);
}

void puppet_pulse(struct puppet *puppet, uint64_t from, bool disk_full, bool disk_slow)
{
	Fts__Replica__V1__PeerMessage message = FTS__REPLICA__V1__PEER_MESSAGE__INIT;
	Fts__Replica__V1__Pulse body = FTS__REPLICA__V1__PULSE__INIT;
	body.disk_full = disk_full;
	body.disk_slow = disk_slow;
	message.kind_case = FTS__REPLICA__V1__PEER_MESSAGE__KIND_PULSE;
	message.pulse = &body;
	puppet_give(puppet, from, &message);
}

void puppet_elect(struct puppet *puppet)
{
	uint64_t term = puppet->replica->raft.current_term;
	puppet_pass(puppet, 2 * PUPPET_ELECTION_MS);
	assert_int_equal(raft_state(&puppet->replica->raft), RAFT_CANDIDATE);
	puppet_grant(puppet, 2, term + 1, true);
	assert_int_equal(puppet->replica->raft.current_term, term + 1);
	puppet_grant(puppet, 2, term + 1, false);
	assert_int_equal(raft_state(&puppet->replica->raft), RAFT_LEADER);
}
