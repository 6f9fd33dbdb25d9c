/* Why this file exists: bets, tree, chain and number by themselves, with no store at all. The golden hashes come from
 * a program written in another language from docs/lottery.md; they never change. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lottery/draw.h"
#include "lottery/merkle.h"

/* ---- Which bets are valid ---- */

enum { TODAY = 20261121 };

#define E16 "éééééééééééééééé"
#define A16 "aaaaaaaaaaaaaaaa"

static const struct {
	const char *name;
	const char *first, *last, *document, *birthdate;
	uint32_t number;
	struct ftsi_bet_faults faults;
} cases[] = {
    {"plain", "Juan", "Perez", "30904465", "1999-03-17", 7574, {{0}}},
    {"smallest", "A", "B", "1", "1900-01-01", 0, {{0}}},
    {"largest", E16 E16 E16 E16, "O'Higgins-Ñandú %s", "12345678901234567890", "2026-11-21", 9999, {{0}}},
    {"emoji and spaces", "\xF0\x9F\x8E\xB2 x", " ", "007", "2000-02-29", 1, {{0}}},
    {"all empty", "", "", "", "", 0, {{FTSI_FAULT_EMPTY, FTSI_FAULT_EMPTY, FTSI_FAULT_EMPTY, FTSI_FAULT_EMPTY, 0}}},
    {"all wrong",
     "a;b\x01",
     A16 A16 A16 A16 ":",
     "12x456789012345678901",
     "1999-02-30",
     10000,
     {{FTSI_FAULT_SEPARATOR | FTSI_FAULT_CONTROL, FTSI_FAULT_LONG | FTSI_FAULT_SEPARATOR,
       FTSI_FAULT_DIGITS | FTSI_FAULT_LONG, FTSI_FAULT_CALENDAR, FTSI_FAULT_RANGE}}},
    {"65 characters", E16 E16 E16 E16 "x", "B", "1", "1900-01-01", 0, {{FTSI_FAULT_LONG, 0, 0, 0, 0}}},
    {"line end", "a\nb", "a\r", "1", "1900-01-01", 0, {{FTSI_FAULT_CONTROL, FTSI_FAULT_CONTROL, 0, 0, 0}}},
    {"C1 and DEL", "a\xC2\x85", "\x7F", "1", "1900-01-01", 0, {{FTSI_FAULT_CONTROL, FTSI_FAULT_CONTROL, 0, 0, 0}}},
    {"U+2028",
     "a\xE2\x80\xA8",
     "\xE2\x80\xA9",
     "1",
     "1900-01-01",
     0,
     {{FTSI_FAULT_CONTROL, FTSI_FAULT_CONTROL, 0, 0, 0}}},
    {"overlong and surrogate",
     "\xC0\xAF",
     "\xED\xA0\x80",
     "1",
     "1900-01-01",
     0,
     {{FTSI_FAULT_UTF8, FTSI_FAULT_UTF8, 0, 0, 0}}},
    {"cut and above U+10FFFF",
     "a\xC3",
     "\xF4\x90\x80\x80",
     "1",
     "1900-01-01",
     0,
     {{FTSI_FAULT_UTF8, FTSI_FAULT_UTF8, 0, 0, 0}}},
    {"lone continuation", "\x80", "\xE0\x80\x80", "1", "1900-01-01", 0, {{FTSI_FAULT_UTF8, FTSI_FAULT_UTF8, 0, 0, 0}}},
    {"document with a sign", "A", "B", "-1", "1900-01-01", 0, {{0, 0, FTSI_FAULT_DIGITS, 0, 0}}},
    {"1900 is no leap year", "A", "B", "1", "1900-02-29", 0, {{0, 0, 0, FTSI_FAULT_CALENDAR, 0}}},
    {"before 1900", "A", "B", "1", "1899-12-31", 0, {{0, 0, 0, FTSI_FAULT_EARLY, 0}}},
    {"tomorrow", "A", "B", "1", "2026-11-22", 0, {{0, 0, 0, FTSI_FAULT_FUTURE, 0}}},
    {"month 13", "A", "B", "1", "1999-13-01", 0, {{0, 0, 0, FTSI_FAULT_CALENDAR, 0}}},
    {"day 0", "A", "B", "1", "1999-01-00", 0, {{0, 0, 0, FTSI_FAULT_CALENDAR, 0}}},
    {"short date", "A", "B", "1", "1999-1-1", 0, {{0, 0, 0, FTSI_FAULT_FORM, 0}}},
    {"date and more", "A", "B", "1", "1999-01-01 ", 0, {{0, 0, 0, FTSI_FAULT_FORM, 0}}},
    {"another order", "A", "B", "1", "17/03/1999", 0, {{0, 0, 0, FTSI_FAULT_FORM, 0}}},
    {"largest number", "A", "B", "1", "1999-01-01", UINT32_MAX, {{0, 0, 0, 0, FTSI_FAULT_RANGE}}},
};

static void bets_are_judged_field_by_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Fts__Lottery__V1__Bet bet = FTS__LOTTERY__V1__BET__INIT;
		struct ftsi_bet_faults faults = {{0}};
		struct ftsi_bet_size size;
		bet.first_name = (char *)(uintptr_t)cases[i].first;
		bet.last_name = (char *)(uintptr_t)cases[i].last;
		bet.document = (char *)(uintptr_t)cases[i].document;
		bet.birthdate = (char *)(uintptr_t)cases[i].birthdate;
		bet.number = cases[i].number;
		bool valid = ftsi_bet_check(&bet, TODAY, &size, &faults);
		if (valid) assert_int_equal(size.first_name, strlen(bet.first_name));
		for (int field = 0; field < FTSI_BET_FIELD_COUNT; field++)
			if (faults.of[field] != cases[i].faults.of[field])
				fail_msg("%s: %s has faults %x, not %x", cases[i].name,
					 ftsi_bet_field_name((enum ftsi_bet_field)field), faults.of[field],
					 cases[i].faults.of[field]);
	}
}

static void a_missing_bet_is_a_fault(void **state)
{
	struct ftsi_bet_faults faults;
	struct ftsi_bet_size size;
	(void)state;
	assert_false(ftsi_bet_check(NULL, TODAY, &size, &faults));
	assert_int_equal(faults.of[0], FTSI_FAULT_MISSING);
}

static void every_fault_has_words(void **state)
{
	Fts__Lottery__V1__Bet bet = FTS__LOTTERY__V1__BET__INIT;
	char text[128];
	(void)state;
	bet.birthdate = (char[]){"1999-02-30"};
	bet.number = 12345;
	ftsi_bet_fault_text(&bet, FTSI_BET_BIRTHDATE, FTSI_FAULT_CALENDAR, text, sizeof text);
	assert_string_equal(text, "1999-02-30 is not a day of the calendar");
	ftsi_bet_fault_text(&bet, FTSI_BET_NUMBER, FTSI_FAULT_RANGE, text, sizeof text);
	assert_string_equal(text, "12345 is not a number from 0 to 9999");
	for (int i = 0; i < FTSI_FAULT_COUNT; i++) {
		ftsi_bet_fault_text(&bet, FTSI_BET_DOCUMENT, (enum ftsi_bet_fault)(1 << i), text, sizeof text);
		assert_true(strlen(text) > 5);
	}
}

static void days_agree_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t day = -30000; day < 60000; day++) {
		time_t seconds = (time_t)(day * 86400 + day % 86400);
		struct tm tm;
		assert_non_null(gmtime_r(&seconds, &tm));
		assert_int_equal(ftsi_day_of((int64_t)seconds * 1000),
				 (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
	}
	assert_int_equal(ftsi_day_of(-1), 19691231);
	assert_int_equal(ftsi_day_of(INT64_MAX), 99991231);
	assert_int_equal(ftsi_day_of(INT64_MIN), 0);
}

static void every_day_of_two_centuries_is_judged(void **state)
{
	int valid_count = 0;
	(void)state;
	for (int year = 1890; year < 2100; year++)
		for (int month = 0; month < 14; month++)
			for (int day = 0; day < 33; day++) {
				char date[32];
				Fts__Lottery__V1__Bet bet = {.first_name = (char[]){"A"}, .last_name = (char[]){"B"}};
				struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
				struct ftsi_bet_size size;
				struct ftsi_bet_faults faults;
				(void)snprintf(date, sizeof date, "%04d-%02d-%02d", year, month, day);
				bet.document = (char[]){"1"};
				bet.birthdate = date;
				(void)timegm(&tm);
				bool exists = tm.tm_year == year - 1900 && tm.tm_mon == month - 1 && tm.tm_mday == day;
				bool expected = exists && year >= 1900 && year * 10000 + month * 100 + day <= TODAY;
				assert_int_equal(ftsi_bet_check(&bet, TODAY, &size, &faults), expected);
				valid_count += expected;
			}
	assert_true(valid_count > 46000);
}

/* ---- The tree ---- */

static void leaf_of(uint32_t i, uint8_t out[FTSI_HASH_BYTES])
{
	uint8_t bytes[5] = {0x00};
	ftsi_put_u32(bytes + 1, i);
	(void)crypto_generichash(out, FTSI_HASH_BYTES, bytes, sizeof bytes, NULL, 0);
}

/* RFC 6962, section 2.1, word for word. */
static void naive_root(uint32_t from, uint32_t count, uint8_t out[FTSI_HASH_BYTES])
{
	uint8_t node[1 + 2 * FTSI_HASH_BYTES] = {0x01};
	uint32_t split = 1;
	if (count == 1) {
		leaf_of(from, out);
		return;
	}
	while (split * 2 < count)
		split *= 2;
	naive_root(from, split, node + 1);
	naive_root(from + split, count - split, node + 1 + FTSI_HASH_BYTES);
	(void)crypto_generichash(out, FTSI_HASH_BYTES, node, sizeof node, NULL, 0);
}

static void roots_are_those_of_the_rfc(void **state)
{
	struct ftsi_merkle tree = {0};
	uint8_t root[FTSI_HASH_BYTES], expected[FTSI_HASH_BYTES], leaf[FTSI_HASH_BYTES];
	(void)state;
	ftsi_merkle_root(&tree, root);
	(void)crypto_generichash(expected, sizeof expected, NULL, 0, NULL, 0);
	assert_memory_equal(root, expected, sizeof root);
	for (uint32_t count = 1; count <= 700; count++) {
		leaf_of(count - 1, leaf);
		ftsi_merkle_add(&tree, leaf);
		ftsi_merkle_root(&tree, root);
		naive_root(0, count, expected);
		assert_memory_equal(root, expected, sizeof root);
		assert_int_equal(tree.peak_count, __builtin_popcount(count));
	}
}

/* ---- Bytes ---- */

static void assert_hex(const uint8_t hash[FTSI_HASH_BYTES], const char *expected)
{
	char text[2 * FTSI_HASH_BYTES + 1];
	assert_string_equal(sodium_bin2hex(text, sizeof text, hash, FTSI_HASH_BYTES), expected);
}

static size_t put_bet(uint8_t *at, const char *first, const char *last, const char *document, const char *birthdate,
		      uint32_t number)
{
	Fts__Lottery__V1__Bet bet = {.first_name = (char *)(uintptr_t)first,
				     .last_name = (char *)(uintptr_t)last,
				     .document = (char *)(uintptr_t)document,
				     .birthdate = (char *)(uintptr_t)birthdate,
				     .number = number};
	struct ftsi_bet_size size;
	struct ftsi_bet_faults faults;
	assert_true(ftsi_bet_check(&bet, TODAY, &size, &faults));
	uint8_t *end = ftsi_bet_put(at, &bet, &size);
	assert_int_equal(end - at, ftsi_bet_bytes(&size));
	return (size_t)(end - at);
}

static void add_leaf(struct ftsi_leaf *leaf, struct ftsi_merkle *tree, uint8_t *hashes, const uint8_t *bet,
		     size_t size_bytes)
{
	uint8_t *hash = hashes + tree->count * FTSI_HASH_BYTES;
	ftsi_leaf_hash(leaf, tree->count + 1, bet, size_bytes, hash);
	ftsi_merkle_add(tree, hash);
}

static void step(uint8_t head[FTSI_HASH_BYTES], struct ftsi_record record)
{
	uint8_t bytes[FTSI_RECORD_BYTES_MAX];
	uint8_t *end = ftsi_record_put(bytes, &record);
	ftsi_chain_next(head, "gold", (struct fts_bytes){bytes, (size_t)(end - bytes)});
}

static void a_whole_draw_has_its_golden_hashes(void **state)
{
	struct ftsi_leaf leaf;
	struct ftsi_merkle tree = {0};
	struct ftsi_seed seed;
	struct ftsi_record bets = {
	    .kind = 2, .index = 11, .time_ms = 1001, .agency = 3, .first_ticket = 1, .bet_count = 3};
	struct ftsi_record seal = {.kind = 5, .index = 12, .time_ms = 1002};
	struct ftsi_record drawn = {.kind = 7, .index = 13, .time_ms = 1003};
	uint8_t hashes[3 * FTSI_HASH_BYTES], bytes[FTSI_BET_BYTES_MAX], secret[FTSI_HASH_BYTES], hash[FTSI_HASH_BYTES];
	uint8_t head[FTSI_HASH_BYTES] = {0}, seal_head[FTSI_HASH_BYTES];
	const struct fts_bytes node = {(const uint8_t *)"n1", 2}, salt = {(const uint8_t *)"salt", 4};
	(void)state;
	for (uint8_t i = 0; i < FTSI_HASH_BYTES; i++)
		secret[i] = i;
	ftsi_leaf_init(&leaf, "gold", 3);
	add_leaf(&leaf, &tree, hashes, bytes,
		 put_bet(bytes, "Tiago Nicolás", "Rivera", "30904465", "1999-03-17", 2201));
	add_leaf(&leaf, &tree, hashes, bytes, put_bet(bytes, "A", "B", "1", "1900-01-01", 0));
	add_leaf(&leaf, &tree, hashes, bytes,
		 put_bet(bytes, "Ñandú", "O'Higgins", "12345678901234567890", "2000-02-29", 9999));
	assert_hex(hashes, "7836782e4b8c3211dae04ae16c2d00a248500f840ec977c502c5a088a42b64a7");
	ftsi_merkle_root(&tree, seal.digest);
	assert_hex(seal.digest, "22a793724b7c25659220b60ddc7c93cb73fb9cf9bb320d1c1947349deee0d70a");

	step(head, (struct ftsi_record){.kind = 1, .index = 10, .time_ms = 1000, .agencies = 3});
	assert_hex(head, "cb4ac484228dd3489299c11011680773c4b9695f2399352967972df08626afa8");
	ftsi_secret_hash(secret, hash);
	step(head, (struct ftsi_record){
		       .kind = 4, .index = 10, .time_ms = 1000, .node = node, .entropy = {hash, sizeof hash}});
	(void)crypto_generichash(bets.digest, sizeof bets.digest, hashes, sizeof hashes, NULL, 0);
	step(head, bets);
	assert_hex(head, "bdf1228f6daa1397205fdf5314142f0cdecc87bc1f9b290b10ef781c576880af");
	step(head, (struct ftsi_record){.kind = 3, .index = 12, .time_ms = 1002, .agency = 3, .entropy = salt});
	step(head, seal);
	assert_hex(head, "8d247e139feb391c8b07133e16a6021c9c5eb5d48886107721fc2ce1b33cb546");
	memcpy(seal_head, head, sizeof seal_head);
	step(head, (struct ftsi_record){
		       .kind = 6, .index = 13, .time_ms = 1003, .node = node, .entropy = {secret, sizeof secret}});

	ftsi_seed_begin(&seed, seal.digest, seal_head);
	ftsi_seed_count(&seed, 1);
	ftsi_seed_secret(&seed, "n1", secret);
	ftsi_seed_count(&seed, 1);
	ftsi_seed_entropy(&seed, 3, salt);
	ftsi_seed_end(&seed, drawn.digest);
	assert_hex(drawn.digest, "ca3b2ceb0e8050311ba06ef581b0f4e6c13d17b33bd11e795c93da96b2492183");
	drawn.number = ftsi_number_of(drawn.digest);
	assert_int_equal(drawn.number, 1564);
	step(head, drawn);
	assert_hex(head, "77bb82a4661721421f59d8340a7f7ea539f458485743232fa4179cc54856587d");
}

static void bets_and_records_come_back_from_their_bytes(void **state)
{
	uint8_t bytes[FTSI_HASH_BYTES + FTSI_RECORD_BYTES_MAX + FTSI_BET_BYTES_MAX], head[FTSI_HASH_BYTES];
	struct ftsi_record record = {.kind = 6,
				     .index = 1,
				     .time_ms = -2,
				     .agency = 3,
				     .number = 4,
				     .agencies = 5,
				     .fixed = true,
				     .close_by_ms = 6,
				     .first_ticket = 7,
				     .bet_count = 1,
				     .node = {(const uint8_t *)"node", 4},
				     .entropy = {(const uint8_t *)"e", 1}};
	struct ftsi_record back;
	struct ftsi_bet_parts parts;
	(void)state;
	memset(bytes, 0xAB, FTSI_HASH_BYTES);
	memset(record.digest, 0xCD, sizeof record.digest);
	uint8_t *end = ftsi_record_put(bytes + FTSI_HASH_BYTES, &record);
	end += put_bet(end, "First", "Last", "123", "1999-01-02", 42);
	size_t size = (size_t)(end - bytes);
	struct ftsi_reader reader = ftsi_reader_of(bytes, size);
	assert_true(ftsi_record_get(&reader, head, &back) && ftsi_bet_get(&reader, &parts));
	assert_true(reader.at == reader.end && head[0] == 0xAB && back.kind == record.kind && back.time_ms == -2);
	assert_true(back.fixed && back.close_by_ms == 6 && back.first_ticket == 7 && back.digest[31] == 0xCD);
	assert_memory_equal(back.node.data, "node", 4);
	assert_true(parts.number == 42 && parts.last_name.size_bytes == 4);
	assert_memory_equal(parts.birthdate.data, "1999-01-02", 10);
	for (size_t cut = 0; cut < size; cut++) { /* every part of it is damaged, none is read past its end */
		uint8_t *exact = malloc(cut + 1);
		memcpy(exact, bytes, cut);
		reader = ftsi_reader_of(exact, cut);
		assert_false(ftsi_record_get(&reader, head, &back) && ftsi_bet_get(&reader, &parts));
		free(exact);
	}
}

/* ---- The number ---- */

/* With 10,000 places chi-square is normal, mean 9,999, deviation 141; 5 deviations are passed once in 3.5 million. */
static void numbers_are_even(void **state)
{
	enum { SEEDS = 1000000 };
	static uint32_t counts[FTSI_NUMBER_COUNT];
	double chi_square = 0, expected = (double)SEEDS / FTSI_NUMBER_COUNT;
	(void)state;
	for (uint32_t i = 0; i < SEEDS; i++) {
		uint8_t seed[FTSI_HASH_BYTES];
		leaf_of(i, seed);
		uint32_t number = ftsi_number_of(seed);
		assert_true(number < FTSI_NUMBER_COUNT);
		counts[number]++;
	}
	for (int i = 0; i < FTSI_NUMBER_COUNT; i++)
		chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
	assert_true(fabs(chi_square - (FTSI_NUMBER_COUNT - 1)) < 5 * sqrt(2.0 * (FTSI_NUMBER_COUNT - 1)));
	/* A plain modulo of 16 bits would give 0 to 5,535 a share of 7/6: seen in the sum of the two halves. */
	double low = 0;
	for (int i = 0; i < 5536; i++)
		low += counts[i];
	double mean = SEEDS * 0.5536;
	assert_true(fabs(low - mean) < 5 * sqrt(mean * (1 - 0.5536)));
}

static void words_above_the_limit_are_thrown_away(void **state)
{
	uint8_t seed[FTSI_HASH_BYTES];
	(void)state;
	(void)sodium_hex2bin(seed, sizeof seed, "a3287a4457ea8d22890bfc32e616f5c5faef1227bbcb74362f36e776c4c121e2", 64,
			     NULL, NULL, NULL);
	assert_int_equal(ftsi_number_of(seed), 6301); /* its first two words are above 60,000 */
}

static void secrets_differ_by_key_and_draw(void **state)
{
	uint8_t key[FTSI_HASH_BYTES] = {1}, other[FTSI_HASH_BYTES] = {2}, a[FTSI_HASH_BYTES], b[FTSI_HASH_BYTES];
	(void)state;
	ftsi_secret_make(key, "x", a);
	ftsi_secret_make(key, "x", b);
	assert_memory_equal(a, b, sizeof a);
	ftsi_secret_make(key, "y", b);
	assert_memory_not_equal(a, b, sizeof a);
	ftsi_secret_make(other, "x", b);
	assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bets_are_judged_field_by_field),
	    cmocka_unit_test(a_missing_bet_is_a_fault),
	    cmocka_unit_test(every_fault_has_words),
	    cmocka_unit_test(days_agree_with_the_c_library),
	    cmocka_unit_test(every_day_of_two_centuries_is_judged),
	    cmocka_unit_test(roots_are_those_of_the_rfc),
	    cmocka_unit_test(a_whole_draw_has_its_golden_hashes),
	    cmocka_unit_test(bets_and_records_come_back_from_their_bytes),
	    cmocka_unit_test(numbers_are_even),
	    cmocka_unit_test(words_above_the_limit_are_thrown_away),
	    cmocka_unit_test(secrets_differ_by_key_and_draw),
	};
	if (sodium_init() < 0) return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
