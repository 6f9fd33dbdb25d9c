/* Why this file exists: the games as the server sees them: two machines for the replicated log (replica/replica.h), one
 * that callers use and one that nodes use among themselves, and a service that needs no log.
 *
 * Order: fts_games_create -> fts_replica_start with the machines -> fts_games_attach -> fts_games_serve -> ... ->
 * fts_games_detach -> fts_replica_stop -> fts_replica_destroy -> fts_games_destroy (after the server).
 *
 * Invariant: everything that decides an answer lies in the log and in the store. */
#ifndef FTS_GAME_SERVICE_H
#define FTS_GAME_SERVICE_H

#include "replica/replica.h"

struct fts_games;

/* out_games: returned (fts_games_destroy). Thread: any. Errors: RESOURCE_EXHAUSTED (memory), INTERNAL (libsodium). */
FTS_MUST_USE enum fts_status fts_games_create(struct fts_games **out_games, struct fts_error *out_error);

/* Its machines, to be put into fts_replica_options. Borrowed until destroy. */
const struct fts_machine *const *fts_games_machines(const struct fts_games *game, size_t *out_count);

/* From now on what this node has to do of itself when it leads (clocks) goes through replica (borrowed until detach).
 * Thread: any, once. */
void fts_games_attach(struct fts_games *game, struct fts_replica *replica);
/* Nothing is proposed any more once it returns. Call it before the replica is stopped. Thread: any but the loop. */
void fts_games_detach(struct fts_games *game);

/* Offer GameTools, which asks no replica, on server (not started yet; borrowed until destroy). */
FTS_MUST_USE enum fts_status fts_games_serve(struct fts_games *game, struct fts_server *server,
					     struct fts_error *out_error);

void fts_games_destroy(struct fts_games *game); /* owned; NULL: no-op */

#endif
