/* Why this file exists: counting what can come of a game's first position. Figures of this kind are published, so rules
 * that count right are right. A pass is a move. A game that has ended before the depth counts nothing there, but for
 * Othello, where by custom it counts as one.
 *
 * Invariant: it ends at its deadline, whatever was asked. */
#ifndef FTS_GAME_PERFT_H
#define FTS_GAME_PERFT_H

#include <fts/status.h>

#include "game/rules.h"

enum { FTSI_PERFT_POSITION_MAX = 3 * 1024 * 1024 }; /* distinct ones of all plies together */

/* Ways to play depth moves. deadline_ns: monotonic. Thread: any; blocks until then at most.
 * Errors: DEADLINE_EXCEEDED. */
FTS_MUST_USE enum fts_status ftsi_perft_nodes(const struct ftsi_game_rules *rules, uint32_t depth, uint64_t deadline_ns,
					      uint64_t *out_nodes);
/* Distinct positions after depth moves (board, who is to move and ply; two ways to one position count once).
 * Takes up to 64 MiB while it runs. Errors: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (too many, or no memory). */
FTS_MUST_USE enum fts_status ftsi_perft_positions(const struct ftsi_game_rules *rules, uint32_t depth,
						  uint64_t deadline_ns, uint64_t *out_positions);

#endif
