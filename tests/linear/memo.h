/* Why this file exists: the configurations a search has been in (set of calls done, state), so that it never searches
 * from one twice. Exact: equal hashes are told apart by all their bytes. */
#ifndef FTS_TESTS_LINEAR_MEMO_H
#define FTS_TESTS_LINEAR_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct linear_memo;

enum linear_memo_answer { LINEAR_MEMO_NEW, LINEAR_MEMO_KNOWN, LINEAR_MEMO_FULL };

/* For keys of key_bytes each, with at most bytes_max of memory. Returned (linear_memo_destroy). */
struct linear_memo *linear_memo_create(size_t key_bytes, size_t bytes_max);
/* Note key (borrowed), whose hash the caller keeps. */
enum linear_memo_answer linear_memo_add(struct linear_memo *memo, const void *key, uint64_t hash);
void linear_memo_destroy(struct linear_memo *memo); /* NULL: no-op */

#endif
