/* Why this file exists: one record of a node's share is altered on its disk, as a bad disk would. */
#ifndef FTS_TESTS_KV_FAULTS_DAMAGE_H
#define FTS_TESTS_KV_FAULTS_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/harness/cluster.h"

/* Turn one bit of what a stopped node stores under key in database 0, beneath the store's own checksums. False: it has
 * nothing there. */
bool damage_record(const struct harness_member *member, const char *key);
/* Turn one byte in the middle of each place where bytes stand in a table of the node's share (DIR/kv), running or not.
 * Returns how many. */
size_t damage_tables(const struct harness_member *member, const void *bytes, size_t size_bytes);

#endif
