/* Why this file exists: a match of tic-tac-toe in memory behind two real servers of the runtime, "n1" and "n2", which
 * share it as nodes of a cluster do, and fail as a test tells them to. It forgets who asked, so that a move that is
 * asked for twice is refused as stale: a client has to find out by itself that it was made.
 *
 * One match, "m1": seats 0 and 1, tokens "t0" and "t1", no clock unless asked for; and "m2", its rematch.
 * Thread: any, unless told otherwise. */
#ifndef FTS_TESTS_CLI_GAME_FAKE_GAME_H
#define FTS_TESTS_CLI_GAME_FAKE_GAME_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_NODES 2

struct fake_game;

/* Serving on 127.0.0.1. Returned (fake_game_stop). */
struct fake_game *fake_game_start(void);
void fake_game_stop(struct fake_game *fake);
/* "127.0.0.1:P1,127.0.0.1:P2", borrowed. */
const char *fake_game_endpoints(const struct fake_game *fake);

/* Away and back, as kill -9 and a restart do. node: from 0. */
void fake_game_kill(struct fake_game *fake, int node);
void fake_game_revive(struct fake_game *fake, int node);

/* Moves are made and not answered, until false; the answers that were kept back are never given. */
void fake_game_swallow(struct fake_game *fake, bool swallow);
/* How many were made so. */
uint32_t fake_game_swallowed(struct fake_game *fake);
/* Everything is refused for want of a leader. */
void fake_game_lose_leader(struct fake_game *fake, bool is_lost);
/* Events beyond the i-th (from 1) are numbered one too high, as by a server that has lost one. */
void fake_game_skip(struct fake_game *fake, uint64_t i);
/* Both sit down as "ada" and "bob". */
void fake_game_seat_both(struct fake_game *fake);
/* A clock of a minute each. */
void fake_game_set_clock(struct fake_game *fake);
/* A player's name as the network has it, unchecked. */
void fake_game_set_name(struct fake_game *fake, int seat, const char *name);
/* The node at which somebody waits for events; -1: nobody does. */
int fake_game_watched(struct fake_game *fake);
/* Moves made in "m1". */
uint32_t fake_game_ply(struct fake_game *fake);

#endif
