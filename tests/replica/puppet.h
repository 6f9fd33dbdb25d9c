/* Why this file exists: one real replica, n1 of three, whose two partners, disk, network and clock are the test's:
 * every message and every write happens when the test says so. Node ids are 1, 2, 3. One thread. */
#ifndef FTS_TESTS_REPLICA_PUPPET_H
#define FTS_TESTS_REPLICA_PUPPET_H

#include "driver.h"
#include "fts/replica/v1/peer.pb-c.h"

#define PUPPET_SENT_MAX 256
#define PUPPET_JOB_MAX 32
#define PUPPET_ELECTION_MS 100

struct puppet {
	char *dir;
	struct fts_replica *replica;
	struct ftsi_environment environment;
	struct ftsi_transport transport;
	struct driver_options options;
	struct fatal_seen fatal;
	uint64_t now_ns;
	bool slow_disk;   /* jobs wait for puppet_write */
	bool line_is_cut; /* nothing leaves */
	struct ftsi_job *jobs[PUPPET_JOB_MAX];
	size_t job_count;
	Fts__Replica__V1__PeerMessage *sent[PUPPET_SENT_MAX]; /* owned */
	size_t sent_count;
	size_t nowhere_count;  /* sends without an address */
	int64_t wall_ahead_ms; /* its wall clock, of what it was */
};

void puppet_open(struct puppet *puppet, uint64_t log_bytes_before_snapshot);
/* The same node as the members' list of a new cluster has it, in a copy of dir (borrowed): it has not met the
 * others yet. Its id is 1. */
void puppet_open_listed(struct puppet *puppet, const char *dir);
void puppet_restart(struct puppet *puppet);
void puppet_close(struct puppet *puppet);

void puppet_step(struct puppet *puppet);
/* Let time go by, stepping whenever the replica wants to. */
void puppet_pass(struct puppet *puppet, uint32_t ms);
/* Do what waits for the disk, and step. */
void puppet_write(struct puppet *puppet);
void puppet_forget(struct puppet *puppet); /* what was sent so far */
/* The newest message of kind to node; NULL: none was sent. Borrowed until _forget. */
const Fts__Replica__V1__PeerMessage *puppet_said(const struct puppet *puppet, uint64_t node,
						 Fts__Replica__V1__PeerMessage__KindCase kind);

/* Give n1 a message of its partner's, whose kind is set: who it is from and to is filled in. And step. */
void puppet_give(struct puppet *puppet, uint64_t from, Fts__Replica__V1__PeerMessage *message);

/* One entry: a barrier of this term, an empty batch of commands, or a change that adds node 4. */
struct puppet_entry {
	uint64_t term;
	bool change, command;
};
struct puppet_append {
	uint64_t from, term, prev_index, prev_term, commit;
	const struct puppet_entry *entries;
	size_t count;
};
/* Each gives n1 a message of its partner's, and steps. */
void puppet_append(struct puppet *puppet, const struct puppet_append *append);
void puppet_result(struct puppet *puppet, uint64_t from, uint64_t term, uint64_t last_index);
void puppet_vote(struct puppet *puppet, uint64_t from, uint64_t term, bool disrupt, uint64_t last_index,
		 uint64_t last_term);
void puppet_grant(struct puppet *puppet, uint64_t from, uint64_t term, bool pre_vote);
void puppet_deny(struct puppet *puppet, uint64_t from, uint64_t term, bool pre_vote);
void puppet_timeout_now(struct puppet *puppet, uint64_t from, uint64_t term, uint64_t last_index, uint64_t last_term);
void puppet_ack(struct puppet *puppet, uint64_t from, uint64_t term, uint64_t round);
/* How node from is. */
void puppet_pulse(struct puppet *puppet, uint64_t from, bool disk_full, bool disk_slow);
/* Let n1 win the election of the next term, with node 2's vote. */
void puppet_elect(struct puppet *puppet);

#endif
