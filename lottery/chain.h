/* Why this file exists: the records of a draw and the hash chain through them. Each stored command adds at least one.
 *
 * | offset   | size | a record's bytes                                                            |
 * | 0        | 1    | kind                                                                        |
 * | 1        | 8    | log index                                                                   |
 * | 9        | 8    | time in ms                                                                  |
 * | 17       | 4    | agency                                                                      |
 * | 21       | 4    | number                                                                      |
 * | 25       | 4    | agencies                                                                    |
 * | 29       | 1    | fixed                                                                       |
 * | 30       | 8    | close by, ms                                                                |
 * | 38       | 8    | first ticket                                                                |
 * | 46       | 4    | bets                                                                        |
 * | 50       | 2    | N, length of the node's name                                                |
 * | 52       | N    | node                                                                        |
 * | 52+N     | 2    | E, length of the entropy                                                    |
 * | 54+N     | E    | entropy: an agency's, a commitment's hash, a secret                         |
 * | 54+N+E   | 32   | BETS: hash of all leaf hashes in order; SEAL: root; DRAW: seed; otherwise 0 |
 *
 * head after = BLAKE2b-256(02, head before, 2-byte length and name of the draw, the record's bytes); the first head
 * before is 32 zeros. Stored is: head after, the record's bytes, the bets' bytes (bet.h). Pure. */
#ifndef FTS_LOTTERY_CHAIN_H
#define FTS_LOTTERY_CHAIN_H

#include "lottery/bet.h"

enum {
	FTSI_DRAW_NAME_MAX = 64,
	FTSI_NODE_NAME_MAX = 63,
	FTSI_ENTROPY_BYTES_MAX = 64,
	FTSI_RECORD_BYTES_MAX = 54 + FTSI_NODE_NAME_MAX + FTSI_ENTROPY_BYTES_MAX + FTSI_HASH_BYTES,
};

struct ftsi_record {
	Fts__Lottery__V1__ChainKind kind;
	uint64_t index;
	int64_t time_ms;
	uint32_t agency, number, agencies;
	bool fixed;
	int64_t close_by_ms;
	uint64_t first_ticket;
	uint32_t bet_count;
	struct fts_bytes node, entropy; /* borrowed as whoever filled the record says */
	uint8_t digest[FTSI_HASH_BYTES];
};

/* Write record's bytes (FTSI_RECORD_BYTES_MAX at most); returns the place behind them. */
uint8_t *ftsi_record_put(uint8_t *at, const struct ftsi_record *record);

/* Take a stored record apart; reader is left at its bets. Parts are borrowed as the reader's. False: damaged. */
bool ftsi_record_get(struct ftsi_reader *reader, uint8_t out_head[FTSI_HASH_BYTES], struct ftsi_record *out_record);

/* Move head on over record (borrowed; its bytes). */
void ftsi_chain_next(uint8_t head[FTSI_HASH_BYTES], const char *draw, struct fts_bytes record);

#endif
