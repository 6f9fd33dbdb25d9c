/* Why this file exists: elections, their members and their history as they lie in the state.
 *
 * | key (store/key.h)                              | value                          |
 * | TABLE_ELECTION, text election                  | fts.elector.v1.Election        |
 * | TABLE_MEMBER, text election, text id           | fts.elector.v1.Member          |
 * | TABLE_CHANGE, text election, u64 number from 1 | fts.elector.v1.Change          |
 *
 * Invariants: an election exists while it has members, or a history to show; there are at most FTSI_ELECTION_MEMBER_MAX
 * members in one. Texts are bounded before they come here. Everything read lies in the arena given. */
#ifndef FTS_ELECTOR_STATE_H
#define FTS_ELECTOR_STATE_H

#include <fts/elector/v1/elector.pb-c.h>

#include "base/arena.h"
#include "replica/replica.h"

enum {
	FTSI_ELECTION_NAME_MAX = 64,
	FTSI_ELECTION_MEMBER_MAX = 1000,
	FTSI_ELECTION_CHANGE_MAX = 1000,
	FTSI_TABLE_ELECTION = FTS_TABLE_ELECTOR,
	FTSI_TABLE_MEMBER,
	FTSI_TABLE_CHANGE,
};

struct ftsi_members {
	Fts__Elector__V1__Member **items; /* in the order of their ids */
	size_t count;
};

/* NOT_FOUND: no such election. Otherwise the store's errors, RESOURCE_EXHAUSTED (arena) and DATA_LOSS. */
FTS_MUST_USE enum fts_status ftsi_state_get_election(struct fts_txn *txn, struct fts_arena *arena, const char *name,
						     Fts__Elector__V1__Election **out_election);
FTS_MUST_USE enum fts_status ftsi_state_put_election(struct fts_txn *txn, struct fts_arena *arena, const char *name,
						     const Fts__Elector__V1__Election *election);

FTS_MUST_USE enum fts_status ftsi_state_get_member(struct fts_txn *txn, struct fts_arena *arena, const char *name,
						   const char *id, Fts__Elector__V1__Member **out_member);
FTS_MUST_USE enum fts_status ftsi_state_put_member(struct fts_txn *txn, struct fts_arena *arena, const char *name,
						   const Fts__Elector__V1__Member *member);
FTS_MUST_USE enum fts_status ftsi_state_delete_member(struct fts_txn *txn, const char *name, const char *id);
FTS_MUST_USE enum fts_status ftsi_state_get_members(struct fts_txn *txn, struct fts_arena *arena, const char *name,
						    struct ftsi_members *out_members);

/* Keep change as number `number`, and drop the one FTSI_ELECTION_CHANGE_MAX before it. */
FTS_MUST_USE enum fts_status ftsi_state_put_change(struct fts_txn *txn, struct fts_arena *arena, const char *name,
						   uint64_t number, const Fts__Elector__V1__Change *change);
/* All kept, oldest first. */
FTS_MUST_USE enum fts_status ftsi_state_get_changes(struct fts_txn *txn, struct fts_arena *arena, const char *name,
						    Fts__Elector__V1__Change ***out_changes, size_t *out_count);

/* Each election's name and each member, for who has to look at all of them. visit: false ends it; what it is given is
 * borrowed for the call. */
typedef bool (*ftsi_member_visit_fn)(void *ctx, const char *election, const Fts__Elector__V1__Member *member);
FTS_MUST_USE enum fts_status ftsi_state_visit_members(struct fts_txn *txn, ftsi_member_visit_fn visit, void *ctx);
typedef bool (*ftsi_election_visit_fn)(void *ctx, const char *name, const Fts__Elector__V1__Election *election);
FTS_MUST_USE enum fts_status ftsi_state_visit_elections(struct fts_txn *txn, const char *after,
							ftsi_election_visit_fn visit, void *ctx);

#endif
