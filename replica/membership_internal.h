/* Why this file exists: the inside of membership, shared by the steps (membership.c) and what is known of members past
 * and present (membership_known.c). */
#ifndef FTS_REPLICA_MEMBERSHIP_INTERNAL_H
#define FTS_REPLICA_MEMBERSHIP_INTERNAL_H

#include "replica/forming_internal.h"
#include "replica/membership.h"

#define FTSI_GONE_MAX 16u
#define FTSI_HEARD_MAX FTS_REPLICA_MEMBER_MAX
#define FTSI_HEARD_FRESH_NS 3000000000ull

enum ftsi_step_kind { FTSI_STEP_NONE, FTSI_STEP_ADD, FTSI_STEP_ASSIGN, FTSI_STEP_REMOVE };

/* What to do next. */
struct ftsi_step {
	enum ftsi_step_kind kind;
	uint64_t node_id;
	int role;
	char text[FTSI_MEMBER_TEXT_BYTES];
};

struct ftsi_member_job;

struct ftsi_membership {
	struct raft_change change;
	bool changing;
	struct ftsi_step step; /* under way while changing; wanted while holds */
	bool holds;            /* no entry may go to the disk until the step has been taken */
	uint64_t not_before_ns;
	struct ftsi_member_job *first, **last;
	uint32_t job_count;
	struct {
		uint64_t node_id, heard_ns;
	} heard[FTSI_HEARD_MAX]; /* who has said Hello lately */
	size_t next_heard;
	struct {
		char name[FTSI_MEMBER_NAME_BYTES], address[FTSI_MEMBER_ADDRESS_BYTES];
		uint64_t node_id, heard_ns;
	} lost; /* a member without its directory; heard_ns 0: none */
	struct gone {
		char text[FTSI_MEMBER_TEXT_BYTES];
		uint64_t since_ns;
	} gone[FTSI_GONE_MAX]; /* who was removed while this node looked on */
	size_t next_gone;
	char members[FTS_REPLICA_MEMBER_MAX][FTSI_MEMBER_TEXT_BYTES]; /* as last looked at */
	size_t member_count;
};

/* Made when it is first needed; NULL: no memory. */
struct ftsi_membership *ftsi_membership_get(struct fts_replica *replica);
/* The member with this name or this address (either may be NULL); NULL: none. */
const struct raft_server *ftsi_membership_find(const struct fts_replica *replica, const char *name,
					       const char *address);
/* node_id can be reached, and speaks. */
bool ftsi_membership_is_alive(struct fts_replica *replica, uint64_t node_id);
/* It has said Hello lately. */
bool ftsi_membership_was_heard(const struct ftsi_membership *membership, uint64_t node_id, uint64_t now_ns);
/* A member of this name was removed while this node looked on. */
bool ftsi_membership_is_gone(const struct ftsi_membership *membership, const char *name);

#endif
