/* Why this file exists: the inside of the service, shared by the files that load, store, read and propose.
 *
 * | file           | what it does                                             | thread         |
 * | apply.c        | Open, AgencyClose and what nodes do among themselves     | loop           |
 * | apply_bets.c   | StoreBet, StoreBatch                                     | loop           |
 * | read.c         | Winners, Status, List, Export                            | readers        |
 * | watch.c        | what this node does of itself                            | loop           |
 * | warm.c         | finds the winners of a draw before anybody asks for them | its own        |
 */
#ifndef FTS_LOTTERY_SERVICE_INTERNAL_H
#define FTS_LOTTERY_SERVICE_INTERNAL_H

#include <pthread.h>

#include "lottery/service.h"
#include "lottery/transition.h"
#include "lottery/winners.h"

enum { FTSI_WARM_COUNT_MAX = 8, FTSI_MACHINE_COUNT = 2, FTSI_METHOD_COUNT = 8, FTSI_LOG_METHOD_COUNT = 3 };

struct fts_lottery {
	/* Read-only once created. */
	char node[FTSI_NODE_NAME_MAX + 1];
	uint8_t key[FTSI_HASH_BYTES];
	struct fts_machine machines[FTSI_MACHINE_COUNT];
	const struct fts_machine *machine_list[FTSI_MACHINE_COUNT];
	struct fts_machine_method methods[FTSI_METHOD_COUNT];
	struct fts_machine_method log_methods[FTSI_LOG_METHOD_COUNT];
	struct ftsi_winners *winners;

	/* Loop. Hints only: what is done follows from the store. */
	uint64_t applied_version; /* of what is watched, as last applied */
	uint64_t seen_version;    /* as last looked at */
	int64_t look_at_ms;       /* when to look again in any case */

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct fts_replica *replica; /* guarded by lock */
	bool may_warm;               /* between attach and detach; guarded by lock */
	bool warming;                /* the thread runs, from the first draw on; guarded by lock */
	bool written;                /* something was written since it looked last; guarded by lock */
	uint32_t warm_count;         /* guarded by lock */
	char warm[FTSI_WARM_COUNT_MAX][FTSI_DRAW_NAME_MAX + 1]; /* drawn, winners not looked for; guarded by lock */
	pthread_t warmer;
};

/* ---- apply.c, apply_bets.c: ctx is struct fts_lottery ---- */
enum fts_status ftsi_lottery_apply_open(struct fts_apply *apply, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_apply_store_bet(struct fts_apply *apply, const ProtobufCMessage *request,
					     ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_apply_store_batch(struct fts_apply *apply, const ProtobufCMessage *request,
					       ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_apply_close(struct fts_apply *apply, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_apply_commit(struct fts_apply *apply, const ProtobufCMessage *request,
					  ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_apply_reveal(struct fts_apply *apply, const ProtobufCMessage *request,
					  ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_apply_expire(struct fts_apply *apply, const ProtobufCMessage *request,
					  ProtobufCMessage *response, void *ctx);
struct fts_bytes ftsi_prepare_open(const ProtobufCMessage *request, struct fts_arena *arena, void *ctx,
				   struct fts_error *out_error);

/* Turn a failed load or store into what halts this replica. */
enum fts_status ftsi_lottery_apply_broken(struct fts_apply *apply, enum fts_status status, const char *what);
/* Load the draw a command names. Errors: INVALID_ARGUMENT, NOT_FOUND, or broken. */
FTS_MUST_USE enum fts_status ftsi_lottery_apply_find(struct fts_apply *apply, const char *name,
						     struct ftsi_draw *out_draw);
/* Store step's records and the draw. */
FTS_MUST_USE enum fts_status ftsi_lottery_apply_keep(struct fts_apply *apply, const struct ftsi_step *step,
						     const struct ftsi_draw *draw);

/* ---- read.c ---- */
enum fts_status ftsi_lottery_read_winners(struct fts_read *read, const ProtobufCMessage *request,
					  ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_read_status(struct fts_read *read, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_read_list(struct fts_read *read, const ProtobufCMessage *request,
				       ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_lottery_read_export(struct fts_read *read, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);

/* ---- status.c ---- */
/* Fill response from draw (borrowed as long as response) and what txn has of it, with memory from arena.
 * Errors: RESOURCE_EXHAUSTED (arena), or the store's. */
FTS_MUST_USE enum fts_status ftsi_status_fill(struct fts_txn *txn, struct fts_arena *arena,
					      const struct ftsi_draw *draw, Fts__Lottery__V1__StatusResponse *response);
/* size_bytes bytes copied into arena as protobuf-c wants them; data NULL: no memory (unless size_bytes is 0). */
ProtobufCBinaryData ftsi_binary(struct fts_arena *arena, const void *data, size_t size_bytes);

/* ---- watch.c ---- */
void ftsi_watch_turn(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms);

/* ---- warm.c ---- */
/* draw has its number: find its winners soon. Thread: loop. */
void ftsi_warm_note(struct fts_lottery *lottery, const char *draw);
/* What was applied is written now. Thread: loop. */
void ftsi_warm_written(struct fts_lottery *lottery);
void ftsi_warm_start(struct fts_lottery *lottery, struct fts_replica *replica);
void ftsi_warm_stop(struct fts_lottery *lottery);

#endif
