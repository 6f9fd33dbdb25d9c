/* Why this file exists: what the store holds of the lottery, and how each piece is read and written.
 *
 * | table | key                            | value                                                              |
 * | +0    |                                | whole service: next draw's id, watched draws, version, u64 0       |
 * | +1    | draw's name                    | the draw (state.c has the layout)                                  |
 * | +2    | id                             | the draw's name: draws in the order they were opened               |
 * | +3    | id, agency                     | bets 8, closed 1, entropy                                          |
 * | +4    | id, record from 0              | a record of the chain with its bets (chain.h)                      |
 * | +5    | id                             | commitments, by node's name                                        |
 * | +6    | id                             | a draw that nodes have to watch: unfixed or with a time limit      |
 * | +7    | id, agency, import             | last row of the import that was judged, 8                          |
 * | +8    | id, agency, import, row / 256  | 256 fingerprints of 8: of the row's bet as stored, 0: not stored   |
 *
 * Invariant: what is read back is what was written; anything else is DATA_LOSS. Thread: the transaction's. */
#ifndef FTS_LOTTERY_STATE_H
#define FTS_LOTTERY_STATE_H

#include "base/arena.h"
#include "lottery/chain.h"
#include "lottery/merkle.h"
#include "store/key.h"
#include "store/store.h"

enum {
	FTSI_AGENCY_COUNT_MAX = 10000,
	FTSI_COMMITMENT_COUNT_MAX = 64,
	FTSI_WATCHED_COUNT_MAX = 10000,
	FTSI_BATCH_COUNT_MAX = 4096,
	FTSI_IMPORT_NAME_MAX = 128,
	FTSI_PAGE_ROW_COUNT = 256,
	FTSI_REVEAL_WAIT_MS = 60000,
};

/* The whole service. */
struct ftsi_lottery {
	uint32_t next_id;
	uint32_t watched_count;
	uint64_t version; /* grows with each change of a watched draw */
};

struct ftsi_draw {
	char name[FTSI_DRAW_NAME_MAX + 1]; /* of the key */
	uint32_t id;
	Fts__Lottery__V1__DrawState state;
	bool fixed;
	uint32_t number; /* fixed or drawn */
	uint32_t agencies, agencies_closed;
	int64_t close_by_ms, sealed_ms;
	uint64_t seal_index, draw_index;
	uint64_t record_count;
	uint8_t head[FTSI_HASH_BYTES], seal_head[FTSI_HASH_BYTES], root[FTSI_HASH_BYTES];
	struct ftsi_merkle tree; /* count: bets */
};

struct ftsi_agency {
	uint64_t bet_count;
	bool closed;
	uint8_t entropy_bytes;
	uint8_t entropy[FTSI_ENTROPY_BYTES_MAX];
};

struct ftsi_commitment {
	char node[FTSI_NODE_NAME_MAX + 1];
	uint8_t hash[FTSI_HASH_BYTES], secret[FTSI_HASH_BYTES];
	bool revealed;
};
struct ftsi_commitments {
	uint32_t count, revealed_count;
	struct ftsi_commitment of[FTSI_COMMITMENT_COUNT_MAX]; /* by node's name */
};

/* 256 fingerprints of an import, as they are stored. */
struct ftsi_page {
	uint64_t number;
	bool changed;
	uint8_t prints[FTSI_PAGE_ROW_COUNT][8];
};
struct ftsi_import {
	uint32_t agency;
	struct fts_bytes name; /* borrowed from the request */
	uint64_t judged_row;   /* 0: none */
};

/* 1 to 64 of a-z A-Z 0-9 . _ - */
bool ftsi_draw_name_valid(const char *name);

/* Loads: NOT_FOUND where told, otherwise what the store says, DATA_LOSS for a value that can't be read. */
FTS_MUST_USE enum fts_status ftsi_lottery_load(struct fts_txn *txn, struct ftsi_lottery *out_lottery);
FTS_MUST_USE enum fts_status ftsi_lottery_save(struct fts_txn *txn, const struct ftsi_lottery *lottery);

/* name: valid. NOT_FOUND: no such draw. */
FTS_MUST_USE enum fts_status ftsi_draw_load(struct fts_txn *txn, const char *name, struct ftsi_draw *out_draw);
FTS_MUST_USE enum fts_status ftsi_draw_save(struct fts_txn *txn, const struct ftsi_draw *draw);

/* The draw's place in the order of opening. */
FTS_MUST_USE enum fts_status ftsi_order_save(struct fts_txn *txn, const struct ftsi_draw *draw);
/* Draws opened after id, in order. Returned (fts_cursor_close): values are names. */
FTS_MUST_USE enum fts_status ftsi_order_scan(struct fts_txn *txn, uint32_t after_id, struct fts_cursor **out_cursor);

/* An agency nobody has heard of yet is all zeros. */
FTS_MUST_USE enum fts_status ftsi_agency_load(struct fts_txn *txn, uint32_t id, uint32_t agency,
					      struct ftsi_agency *out_agency);
FTS_MUST_USE enum fts_status ftsi_agency_save(struct fts_txn *txn, uint32_t id, uint32_t agency,
					      const struct ftsi_agency *state);
/* Agencies that were heard of, ascending. */
FTS_MUST_USE enum fts_status ftsi_agency_scan(struct fts_txn *txn, uint32_t id, struct fts_cursor **out_cursor);
bool ftsi_agency_next(struct fts_cursor *cursor, uint32_t *out_agency, struct ftsi_agency *out_state);

FTS_MUST_USE enum fts_status ftsi_commitments_load(struct fts_txn *txn, uint32_t id, struct ftsi_commitments *out);
FTS_MUST_USE enum fts_status ftsi_commitments_save(struct fts_txn *txn, uint32_t id,
						   const struct ftsi_commitments *commitments);

/* Record: head and the record's bytes; bets: theirs. */
FTS_MUST_USE enum fts_status ftsi_record_save(struct fts_txn *txn, uint32_t id, uint64_t number,
					      struct fts_bytes record, struct fts_bytes bets);
/* Records from number on, in order. Values are for ftsi_record_get. */
FTS_MUST_USE enum fts_status ftsi_record_scan(struct fts_txn *txn, uint32_t id, uint64_t from,
					      struct fts_cursor **out_cursor);

/* What nodes have to watch of a draw. */
struct ftsi_watch_node {
	struct fts_bytes name;
	const uint8_t *hash; /* FTSI_HASH_BYTES */
	bool revealed;
};
struct ftsi_watch {
	char draw[FTSI_DRAW_NAME_MAX + 1];
	bool sealed, fixed;
	int64_t due_ms; /* 0: never */
	uint64_t seal_index;
	uint32_t node_count;
	struct ftsi_watch_node nodes[FTSI_COMMITMENT_COUNT_MAX]; /* borrowed from the cursor's value */
};
bool ftsi_draw_is_watched(const struct ftsi_draw *draw);
FTS_MUST_USE enum fts_status ftsi_watch_save(struct fts_txn *txn, const struct ftsi_draw *draw,
					     const struct ftsi_commitments *commitments);
FTS_MUST_USE enum fts_status ftsi_watch_delete(struct fts_txn *txn, uint32_t id);
FTS_MUST_USE enum fts_status ftsi_watch_scan(struct fts_txn *txn, struct fts_cursor **out_cursor);
/* False: end, or damaged (*out_damaged). */
bool ftsi_watch_row_next(struct fts_cursor *cursor, struct ftsi_watch *out_watch, bool *out_damaged);

FTS_MUST_USE enum fts_status ftsi_import_load(struct fts_txn *txn, uint32_t id, struct ftsi_import *import);
FTS_MUST_USE enum fts_status ftsi_import_save(struct fts_txn *txn, uint32_t id, const struct ftsi_import *import);
/* A page nobody has written yet is all zeros. */
FTS_MUST_USE enum fts_status ftsi_page_load(struct fts_txn *txn, uint32_t id, const struct ftsi_import *import,
					    uint64_t number, struct ftsi_page *out_page);
FTS_MUST_USE enum fts_status ftsi_page_save(struct fts_txn *txn, uint32_t id, const struct ftsi_import *import,
					    const struct ftsi_page *page);

#endif
