/* Why this file exists: what clients did and were told, written down while it happens. A call that was begun and never
 * ended in the history has an unknown outcome, which is what it has in truth.
 *
 * Invariant: bounded; when it is full, linear_history_begin says so and the client stops. */
#ifndef FTS_TESTS_LINEAR_HISTORY_H
#define FTS_TESTS_LINEAR_HISTORY_H

#include "tests/linear/checker.h"

struct linear_history;

#define LINEAR_HISTORY_FULL ((size_t)-1)

struct linear_history *linear_history_create(size_t count_max); /* returned (linear_history_destroy) */
void linear_history_destroy(struct linear_history *history);    /* NULL: no-op */

/* A call begins now: key, client, kind and input of operation (borrowed) count. Returns its place, or
 * LINEAR_HISTORY_FULL. Thread: any. */
size_t linear_history_begin(struct linear_history *history, const struct linear_operation *operation);
/* It ended now, with these outputs. Thread: the one that began it. */
void linear_history_end(struct linear_history *history, size_t place, int64_t output0, int64_t output1);
/* It certainly did not take place, and never will: as if it had not been called. */
void linear_history_never(struct linear_history *history, size_t place);
/* It ended with an outcome that nobody knows. */
void linear_history_unknown(struct linear_history *history, size_t place);

/* Once all clients are done: the calls that may have taken place. Borrowed until destroy. */
struct linear_operation *linear_history_operations(struct linear_history *history, size_t *out_count);
size_t linear_history_count_known(struct linear_history *history);
size_t linear_history_count_unknown(struct linear_history *history);
/* One line a call, as people and scripts can read it. False: can't be written. */
bool linear_history_write(struct linear_history *history, const struct linear_model *model, const char *path);

#endif
