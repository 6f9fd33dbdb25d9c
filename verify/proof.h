/* Why this file exists: the bytes that are hashed, written down a second time, from docs/lottery.md alone. fts-verify
 * shares no code with the server, so that one of them would have to be wrong in the same way twice.
 *
 * H is BLAKE2b-256; integers are big endian; text is a 2-byte length and the bytes. Pure but for memory of a builder.
 */
#ifndef FTS_VERIFY_PROOF_H
#define FTS_VERIFY_PROOF_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HASH_BYTES = 32, NUMBER_COUNT = 10000, NAME_BYTES_MAX = 64, NODE_BYTES_MAX = 63, ENTROPY_BYTES_MAX = 64 };

/* A string that need not end in 0; borrowed from the line it was read from. */
struct text {
	const char *data;
	size_t size_bytes;
};

struct blob {
	uint8_t data[ENTROPY_BYTES_MAX];
	size_t size_bytes;
};

enum kind {
	KIND_UNKNOWN,
	KIND_OPEN,
	KIND_BETS,
	KIND_CLOSE,
	KIND_COMMIT,
	KIND_SEAL,
	KIND_REVEAL,
	KIND_DRAW,
	KIND_COUNT
};

struct bet {
	struct text first_name, last_name, document, birthdate;
	uint64_t number;
};

/* A record of the chain, bets aside. */
struct record {
	enum kind kind;
	uint64_t index, agency, first_ticket, number, agencies;
	int64_t time_ms, close_by_ms;
	bool fixed;
	uint32_t bet_count;
	struct text node;
	struct blob entropy, head, root, seed;
};

typedef crypto_generichash_state hash_state;

void hash_begin(hash_state *state);
void hash_u8(hash_state *state, uint8_t value);
void hash_u16(hash_state *state, uint16_t value);
void hash_u32(hash_state *state, uint32_t value);
void hash_u64(hash_state *state, uint64_t value);
void hash_bytes(hash_state *state, const void *data, size_t size_bytes);
void hash_text(hash_state *state, struct text text);
void hash_end(hash_state *state, uint8_t out[HASH_BYTES]);

/* Whether bet has a form that has bytes: lengths and number in range. */
bool bet_has_bytes(const struct bet *bet);
void leaf_hash(struct text draw, uint64_t ticket, uint32_t agency, const struct bet *bet, uint8_t out[HASH_BYTES]);

/* The root of all leaves added so far, by recursion's own definition: whole subtrees are kept by height. */
struct tree {
	uint64_t count;
	uint8_t whole[64][HASH_BYTES]; /* of height i when bit i of count is set */
};
void tree_add(struct tree *tree, const uint8_t leaf[HASH_BYTES]);
void tree_root(const struct tree *tree, uint8_t out[HASH_BYTES]);

/* head becomes the head after record. digest: what the kind asks for. */
void chain_step(uint8_t head[HASH_BYTES], struct text draw, const struct record *record,
		const uint8_t digest[HASH_BYTES]);

uint32_t number_of_seed(const uint8_t seed[HASH_BYTES]);

#endif
