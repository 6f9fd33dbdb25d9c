/* Why this file exists: the machine of counter.proto. */
#ifndef FTS_TESTS_REPLICA_COUNTER_H
#define FTS_TESTS_REPLICA_COUNTER_H

#include <stdatomic.h>

#include "replica/replica.h"

#include "counter.fts.h"

/* Add halts the replica when the counter of this name is touched. */
#define COUNTER_POISON "poison"

/* How often Get and Look ran, waits that were woken included. */
extern atomic_uint counter_read_count;

extern const struct fts_machine counter_machine;
extern const struct fts_machine *const counter_machines[1];

#endif
