/* Why this file exists: the inside of forming, shared by its life (forming.c), what is said and heard
 * (forming_hello.c) and the first entry (forming_first.c). */
#ifndef FTS_REPLICA_FORMING_INTERNAL_H
#define FTS_REPLICA_FORMING_INTERNAL_H

#include "fts/replica/v1/peer.pb-c.h"
#include "replica/forming.h"

#define FTSI_HELLO_AGAIN_NS 250000000ull    /* while it waits to be formed */
#define FTSI_HELLO_LEARNER_NS 1000000000ull /* while it is no voter */
#define FTSI_HELLO_FRESH_NS 2000000000ull   /* who was heard of since then is there */
#define FTSI_WAITING_TOLD_NS 5000000000ull  /* between two lines about who is missing */
#define FTSI_REFUSAL_TOLD_NS 60000000000ull /* between two lines about the same stranger */
#define FTSI_OUTSIDER_NS 200000000ull       /* between two answers to those who are no members any more */

/* One of the list. */
struct ftsi_listed {
	char name[FTSI_MEMBER_NAME_BYTES];
	char address[FTSI_MEMBER_ADDRESS_BYTES];
	uint64_t node_id; /* 0: not heard of yet */
	uint64_t heard_ns;
};

struct ftsi_forming {
	bool over;
	bool begun;
	bool was_member; /* its own configuration has had it as a member since the start */
	bool fresh;      /* the directory was blank */
	struct ftsi_listed list[FTS_REPLICA_MEMBER_MAX]; /* sorted by name, this node among them */
	size_t list_count, self;
	uint64_t begun_ns, said_ns, told_ns, outsider_ns;
	/* Members of the running cluster that have said Hello to this node, which is none yet. */
	char hosts[FTS_REPLICA_MEMBER_MAX][FTSI_MEMBER_TEXT_BYTES];
	size_t host_count;
	/* Who was refused, and when that was last logged. */
	struct ftsi_stranger {
		char text[FTSI_MEMBER_TEXT_BYTES];
		uint64_t told_ns;
	} strangers[FTS_REPLICA_MEMBER_MAX];
	size_t next_stranger;
	/* raft's configuration as the transport knows it. */
	const void *seen_servers;
	unsigned seen_count;
	uint64_t seen_index, seen_uncommitted_index;
};

/* Others may see how far it is: after each change of the identity. */
void ftsi_forming_tell(struct fts_replica *replica);
uint64_t ftsi_forming_random(const struct fts_replica *replica); /* not 0 */

/* The server of raft's configuration with this id; NULL: none. Borrowed until raft runs again. */
const struct raft_server *ftsi_forming_server(const struct fts_replica *replica, uint64_t node_id);
/* This node is a voter, as far as it knows. */
bool ftsi_forming_is_voter(const struct fts_replica *replica);
/* The configuration that raft has is committed. */
bool ftsi_forming_is_settled(const struct fts_replica *replica);

/* ---- forming_hello.c ---- */
bool ftsi_forming_say(struct fts_replica *replica, const char *address, Fts__Replica__V1__PeerMessage *message);
void ftsi_forming_say_hello(struct fts_replica *replica, const char *address);
void ftsi_forming_hello(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message);
void ftsi_forming_refused(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message);
/* It is no member any more: remember it, end. */
void ftsi_forming_removed(struct fts_replica *replica, const char *how);

/* ---- forming_list.c ---- */
/* Take the list of options into forming, sorted. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_forming_take_list(struct fts_replica *replica, struct fts_error *out_error);
struct ftsi_listed *ftsi_forming_listed(struct ftsi_forming *forming, const char *name);
/* What differs between forming's list and what who (NAME@ADDRESS) has; false: nothing. out: FTS_DETAIL_MAX bytes. */
bool ftsi_forming_lists_differ(const struct ftsi_forming *forming, const char *who,
			       Fts__Replica__V1__Member *const *list, size_t count, char *out);
/* "n3@HOST:PORT,…" of those that are not there now. Returns how many. out: FTS_DETAIL_MAX bytes. */
size_t ftsi_forming_missing(const struct ftsi_forming *forming, uint64_t now_ns, char *out);

/* ---- forming_first.c ---- */
/* A cluster of this node alone. Thread: before the loop. */
FTS_MUST_USE enum fts_status ftsi_forming_found_alone(struct fts_replica *replica, struct fts_error *out_error);
/* If this node is the founder and knows everybody: found, and tell them. */
void ftsi_forming_found(struct fts_replica *replica);
/* The answer to a member that was left behind. */
void ftsi_forming_send_form(struct fts_replica *replica, const char *address, uint64_t node_id);
/* name at address (both borrowed) stands in the form this node knows. */
bool ftsi_forming_is_founder(struct fts_replica *replica, const char *name, const char *address);
void ftsi_forming_take_form(struct fts_replica *replica, const Fts__Replica__V1__PeerMessage *message);

#endif
