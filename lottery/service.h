/* Why this file exists: the lottery as the server sees it: two machines for the replicated log (replica/replica.h),
 * one that callers use and one that nodes use among themselves, and what this node does of itself.
 *
 * Order: fts_lottery_create -> fts_replica_start with the machines -> fts_lottery_attach -> ... ->
 * fts_lottery_detach -> fts_replica_stop -> fts_replica_destroy -> fts_lottery_destroy.
 *
 * Invariant: everything that decides an answer lies in the log and in the store; what lives in struct fts_lottery
 * (this node's key, the winners kept in memory) can be lost and is made again. */
#ifndef FTS_LOTTERY_SERVICE_H
#define FTS_LOTTERY_SERVICE_H

#include "replica/replica.h"

struct fts_lottery;

struct fts_lottery_options {
	const char *data; /* DIR: holds lottery.key. Borrowed for the call. */
	const char *node; /* this node's name, 1 to 63 bytes. Borrowed for the call. */
};

/* Read DIR/lottery.key, or make it. out_lottery: returned (fts_lottery_destroy). Thread: any.
 * Errors: INVALID_ARGUMENT (name), FAILED_PRECONDITION (others may read the key file), DATA_LOSS (it is damaged),
 * RESOURCE_EXHAUSTED (disk full, memory), INTERNAL (anything else with the file; detail says what). */
FTS_MUST_USE enum fts_status fts_lottery_create(const struct fts_lottery_options *options,
						struct fts_lottery **out_lottery, struct fts_error *out_error);

/* Its machines, to be put into fts_replica_options. Borrowed until destroy. */
const struct fts_machine *const *fts_lottery_machines(const struct fts_lottery *lottery, size_t *out_count);

/* From now on what this node has to do of itself (commit, reveal, watch time limits) goes through replica
 * (borrowed until detach). Thread: any, once. */
void fts_lottery_attach(struct fts_lottery *lottery, struct fts_replica *replica);
/* Nothing is proposed any more once it returns. Call it before the replica is stopped. Thread: any but the loop. */
void fts_lottery_detach(struct fts_lottery *lottery);

/* After the replica was destroyed. NULL: no-op. */
void fts_lottery_destroy(struct fts_lottery *lottery);

#endif
