/* Why this file exists: what this node knows of each other one: who it is, whether it can be reached, how far it is.
 *
 * A node is here as long as raft's configuration names it, or while there is a connection to it: the news of a
 * connection may be older than the configuration that says whose it is. Of two ids at one address the configured one
 * is found by the address. Thread: loop, but for what says otherwise. */
#ifndef FTS_REPLICA_MEMBERS_H
#define FTS_REPLICA_MEMBERS_H

#include <fts/rpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replica/replica.h"

#define FTSI_MEMBER_MAX 32

struct fts_replica;
struct Fts__Replica__V1__PeerMessage;

struct ftsi_member {
	char name[64];
	char address[128]; /* HOST:PORT of its calls: what it is known by */
	char text[192];    /* its raft address */
	uint64_t node_id;  /* 0: not known */
	bool configured;   /* raft's configuration names it */
	bool connected;    /* as far as the transport told, or messages come */
	uint64_t heard_ns; /* the last message; 0: none yet */
	uint64_t applied;  /* the rest: as it told last */
	bool disk_full, disk_slow, doubted, digest_ok;
	uint32_t stall_count, stall_max_ms;
	uint32_t format_max; /* 0: not heard yet */
	char version[FTS_VERSION_BYTES];
	int64_t clock_offset_ms; /* its wall clock less this node's monotonic one */
	uint64_t clock_ns;       /* when that was told; 0: never */
	uint64_t commit_told;    /* the commit index that was last sent to it */
	uint64_t next_index;     /* of the first entry that a bounded message left out; 0: none */
};

struct ftsi_members {
	struct ftsi_member each[FTSI_MEMBER_MAX];
	size_t count;
	uint64_t pulse_ns; /* when the next is due */
};

/* NULL: not known. Borrowed until the next call that may change the table (_turn, _learn, _connected). */
struct ftsi_member *ftsi_member_by_id(struct fts_replica *replica, uint64_t node_id);
/* address: HOST:PORT or NAME=HOST:PORT; borrowed. */
struct ftsi_member *ftsi_member_by_address(struct fts_replica *replica, const char *address);
/* Its Hello said who it is. All borrowed. */
void ftsi_members_learn(struct fts_replica *replica, uint64_t node_id, const char *name, const char *address);
/* What node_id runs, as it said. version: borrowed. */
void ftsi_members_note_program(struct fts_replica *replica, uint64_t node_id, uint32_t format_max, const char *version);
/* address: as above, borrowed. Returns who it is; NULL: no room. */
struct ftsi_member *ftsi_members_connected(struct fts_replica *replica, const char *address, bool connected);
/* A message came from node_id. */
void ftsi_members_heard(struct fts_replica *replica, uint64_t node_id);
/* Refresh what fts_replica_members tells. */
void ftsi_members_tell(struct fts_replica *replica);
/* It may have started anew: a state that was offered to it is offered again at the next tick. */
void ftsi_member_offer_again(struct fts_replica *replica, const struct ftsi_member *member);
/* This node leads: send member something at raft's next tick, what has committed included. */
void ftsi_member_want_append(struct fts_replica *replica, const struct ftsi_member *member);
/* This node leads, and somebody has not heard of the last commit. */
bool ftsi_members_lack_commit(const struct fts_replica *replica);
/* The same for all that have not heard of the last commit. */
void ftsi_members_want_commit(struct fts_replica *replica);
/* This node leads: how far member is known to have the log; 0: not known. */
uint64_t ftsi_member_match_index(struct fts_replica *replica, const struct ftsi_member *member);
/* The same, or how far the state reaches that is on its way to member, whichever is more. */
uint64_t ftsi_member_has_index(const struct fts_replica *replica, const struct ftsi_member *member);
/* Follow raft's configuration. At the end of each turn. */
void ftsi_members_turn(struct fts_replica *replica);
/* Tell the others how this node is, when it is time. At each tick. */
void ftsi_members_tick(struct fts_replica *replica, uint64_t now_ns);
void ftsi_members_pulse(struct fts_replica *replica, const struct Fts__Replica__V1__PeerMessage *message);
/* Heard of within two election times. */
bool ftsi_member_is_alive(const struct fts_replica *replica, const struct ftsi_member *member);

#endif
