/* Why this file exists: one bet: which are valid, the bytes that stand for it, and its leaf in the draw's tree.
 *
 * | offset | size | a bet's bytes                   |
 * | 0      | 2    | number                          |
 * | 2      | 1    | D, length of the document       |
 * | 3      | D    | document                        |
 * | 3+D    | 10   | birthdate, YYYY-MM-DD           |
 * | 13+D   | 2    | F, length of the first name     |
 * | 15+D   | F    | first name, UTF-8               |
 * | 15+D+F | 2    | L, length of the last name      |
 * | 17+D+F | L    | last name, UTF-8                |
 *
 * They are what is stored and what is hashed (docs/lottery.md). Everything here is pure. */
#ifndef FTS_LOTTERY_BET_H
#define FTS_LOTTERY_BET_H

#include <stdbool.h>

#include <fts/lottery/v1/lottery.pb-c.h>

#include "lottery/bytes.h"

enum {
	FTSI_HASH_BYTES = 32, /* BLAKE2b-256 throughout */
	FTSI_NUMBER_COUNT = 10000,
	FTSI_NAME_CHARACTERS_MAX = 64,
	FTSI_DOCUMENT_BYTES_MAX = 20,
	FTSI_DATE_BYTES = 10,
	FTSI_BET_BYTES_MAX = 17 + FTSI_DOCUMENT_BYTES_MAX + 2 * 4 * FTSI_NAME_CHARACTERS_MAX,
};

enum ftsi_bet_field {
	FTSI_BET_FIRST_NAME,
	FTSI_BET_LAST_NAME,
	FTSI_BET_DOCUMENT,
	FTSI_BET_BIRTHDATE,
	FTSI_BET_NUMBER,
	FTSI_BET_FIELD_COUNT
};

/* What a field can do wrong; a set of bits. */
enum ftsi_bet_fault {
	FTSI_FAULT_EMPTY = 1 << 0,
	FTSI_FAULT_LONG = 1 << 1,
	FTSI_FAULT_UTF8 = 1 << 2,
	FTSI_FAULT_CONTROL = 1 << 3,
	FTSI_FAULT_SEPARATOR = 1 << 4,
	FTSI_FAULT_DIGITS = 1 << 5,
	FTSI_FAULT_FORM = 1 << 6,
	FTSI_FAULT_CALENDAR = 1 << 7,
	FTSI_FAULT_EARLY = 1 << 8,
	FTSI_FAULT_FUTURE = 1 << 9,
	FTSI_FAULT_RANGE = 1 << 10,
	FTSI_FAULT_MISSING = 1 << 11, /* of a whole bet; told of its first field */
	FTSI_FAULT_COUNT = 12,
};

struct ftsi_bet_faults {
	uint16_t of[FTSI_BET_FIELD_COUNT];
};

/* Lengths of a valid bet's parts. */
struct ftsi_bet_size {
	uint16_t first_name, last_name, document;
};

/* A day as YYYYMMDD, so that days compare as numbers. */
uint32_t ftsi_day_of(int64_t time_ms);

/* True: bet (borrowed, may be NULL) is valid on the day today, *out_size is set. False: *out_faults has all that is
 * wrong with it. Pure. */
bool ftsi_bet_check(const Fts__Lottery__V1__Bet *bet, uint32_t today, struct ftsi_bet_size *out_size,
		    struct ftsi_bet_faults *out_faults);

/* Whether text (borrowed) is UTF-8 without control characters and line ends. Pure. */
bool ftsi_text_is_plain(const char *text);

/* The field's name as in the .proto. Static. */
const char *ftsi_bet_field_name(enum ftsi_bet_field field);
/* What one fault of a field is, in words, into buf. Never has more of the bet than its number or its birthdate. */
void ftsi_bet_fault_text(const Fts__Lottery__V1__Bet *bet, enum ftsi_bet_field field, enum ftsi_bet_fault fault,
			 char *buf, size_t size_bytes);

static inline size_t ftsi_bet_bytes(const struct ftsi_bet_size *size)
{
	return 17u + size->first_name + size->last_name + size->document;
}
/* Write a valid bet's bytes; returns the place behind them. */
uint8_t *ftsi_bet_put(uint8_t *at, const Fts__Lottery__V1__Bet *bet, const struct ftsi_bet_size *size);

/* A bet's bytes taken apart; parts are borrowed as the reader's. */
struct ftsi_bet_parts {
	uint16_t number;
	struct fts_bytes document, birthdate, first_name, last_name;
};
/* False: the bytes are not a bet. */
bool ftsi_bet_get(struct ftsi_reader *reader, struct ftsi_bet_parts *out_parts);

/* Begin of every leaf of one draw and agency; the ticket is patched in for each. */
struct ftsi_leaf {
	size_t head_bytes, ticket_at;
	uint8_t bytes[128 + FTSI_BET_BYTES_MAX];
};
void ftsi_leaf_init(struct ftsi_leaf *leaf, const char *draw, uint32_t agency);
/* Hash of the leaf of a bet's bytes (at most FTSI_BET_BYTES_MAX). */
void ftsi_leaf_hash(struct ftsi_leaf *leaf, uint64_t ticket, const uint8_t *bet, size_t size_bytes,
		    uint8_t out_hash[FTSI_HASH_BYTES]);

#endif
