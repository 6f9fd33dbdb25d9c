/* Why this file exists: players of matches who go on whatever happens to the nodes, two seats to a match and two
 * clients to the first seat, so that moves race for one ply; and the history of what each was told, to be held against
 * a match in which moves stand in a row. */
#ifndef FTS_TESTS_CHAOS_PLAYERS_H
#define FTS_TESTS_CHAOS_PLAYERS_H

#include <stddef.h>
#include <stdint.h>

struct players;

struct players_counts {
	uint64_t moves, refused, shows, unknown, matches;
};

/* endpoints: "HOST:PORT,...", borrowed until finish. tables: matches at a time, 1 to 8. Returned (players_finish). */
struct players *players_start(const char *endpoints, uint32_t tables, uint64_t seed);
uint64_t players_moves(struct players *players);
/* End them and judge; the test fails when no row of moves explains what they were told. */
struct players_counts players_finish(struct players *players);

#endif
