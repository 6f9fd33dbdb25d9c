/* Why this file exists: the tokens of this moment, ready to be asked on every call: made anew from the state whenever a
 * token has changed, read by many threads at once.
 *
 * Invariants: tokens are found by their id, which is no secret, and compared by their hash in constant time. A thread
 * remembers the last token it looked at, so that a caller's next call costs no hash; not past a change. Calls are
 * counted on this node alone, and for tokens with a limit alone; what was counted outlives a change of other tokens. */
#ifndef FTS_ACCESS_TABLE_H
#define FTS_ACCESS_TABLE_H

#include "access/state.h"
#include "credentials/token.h"

#define FTSI_NODE_TOKEN_ID "0000000000000000"

struct ftsi_table;

/* Who somebody is by a token. A plain value. */
struct ftsi_holder {
	char id[FTS_TOKEN_ID_BYTES];
	char subject[FTSI_TOKEN_SUBJECT_MAX + 1];
	Fts__Access__V1__Role role;
	int64_t expires_ms;   /* 0: never */
	uint32_t calls_per_s; /* 0: no limit */
	uint8_t hash[FTS_TOKEN_HASH_BYTES];
};

/* admin_hash: borrowed, NULL: none. Returned (_destroy); NULL: no memory. */
struct ftsi_table *ftsi_table_create(const uint8_t *admin_hash);
void ftsi_table_destroy(struct ftsi_table *table); /* NULL: no-op */
/* Make it anew from view (borrowed). Errors: RESOURCE_EXHAUSTED, DATA_LOSS; then it stays as it was. */
FTS_MUST_USE enum fts_status ftsi_table_load(struct ftsi_table *table, struct fts_txn *view);
/* Nobody can be refused: there are no tokens. */
bool ftsi_table_is_open(const struct ftsi_table *table);
/* Who sends token (borrowed)? False: nobody that is known, or whose token has expired at now_ms (Unix). */
bool ftsi_table_find(struct ftsi_table *table, struct fts_bytes token, int64_t now_ms, struct ftsi_holder *out_holder);
/* One more call of holder (as found; borrowed) at now_ns, monotonic. 0: it is within what its token may; otherwise how
 * long it has to wait, in ms. */
uint32_t ftsi_table_charge(struct ftsi_table *table, const struct ftsi_holder *holder, uint64_t now_ns);
/* The nodes' own token: FTS_TOKEN_TEXT_BYTES. Returns its size without the 0 byte; 0: there is none. */
size_t ftsi_table_node_token(struct ftsi_table *table, char *out_token);
/* When the nodes' token was made (Unix ms; 0: there is none), and its generation. */
int64_t ftsi_table_node_made_ms(struct ftsi_table *table, uint64_t *out_generation);

#endif
