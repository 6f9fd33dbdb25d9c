/* Why this file exists: when a call has heard enough, and when it never will: pure, so that every combination of
 * answers and failures can be tried (tests/router/quorum_test.c).
 *
 * | level  | enough                                                                              |
 * | one    | one of the owners                                                                   |
 * | quorum | more than half of the owners, and of the owners as they will be after a move        |
 * | all    | all of both                                                                         |
 * | any    | as one; the caller of this may keep the value itself when not one can be reached    |
 */
#ifndef FTS_ROUTER_QUORUM_H
#define FTS_ROUTER_QUORUM_H

#include "router/map.h"

enum ftsi_verdict { FTSI_WAITING, FTSI_ENOUGH, FTSI_IMPOSSIBLE };

/* answered, failed: places, as bits. */
enum ftsi_verdict ftsi_quorum_judge(const struct fts_router_partition *partition, Fts__Kv__V1__Consistency level,
				    uint64_t answered, uint64_t failed);
/* DEFAULT becomes QUORUM. */
Fts__Kv__V1__Consistency ftsi_quorum_level(Fts__Kv__V1__Consistency level);

#endif
