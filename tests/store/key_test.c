/* Why this file exists: keys sort as their parts do, and parts come back as they went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/key.h"

enum { ROUNDS = 200000, TEXT_MAX = 6 };

struct parts {
	uint32_t small;
	uint8_t text[TEXT_MAX];
	size_t text_size;
	uint64_t large;
};

/* Few different bytes, the awkward ones among them, so that prefixes and zeros are frequent. */
static struct parts random_parts(unsigned *seed)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0x02, 0xFE, 0xFF, 'a'};
	struct parts parts = {.small = (uint32_t)rand_r(seed) % 3, .large = (uint64_t)rand_r(seed) % 3 << 40};
	parts.text_size = (size_t)rand_r(seed) % (TEXT_MAX + 1);
	for (size_t i = 0; i < parts.text_size; i++)
		parts.text[i] = bytes[(size_t)rand_r(seed) % sizeof bytes];
	return parts;
}

static int sign(int value)
{
	return value < 0 ? -1 : value > 0;
}

static int compare_bytes(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
	size_t common = a_size < b_size ? a_size : b_size;
	int order = common == 0 ? 0 : memcmp(a, b, common);
	return order != 0 ? sign(order) : a_size < b_size ? -1 : a_size > b_size;
}

static int compare_parts(const struct parts *a, const struct parts *b)
{
	int order;
	if (a->small != b->small) return a->small < b->small ? -1 : 1;
	order = compare_bytes(a->text, a->text_size, b->text, b->text_size);
	if (order != 0) return order;
	return a->large < b->large ? -1 : a->large > b->large;
}

static void make_key(struct fts_key *key, const struct parts *parts)
{
	fts_key_begin(key, 0x1234);
	fts_key_u32(key, parts->small);
	fts_key_text(key, parts->text, parts->text_size);
	fts_key_u64(key, parts->large);
}

static void keys_sort_as_their_parts(void **state)
{
	unsigned seed = 1;
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct parts a = random_parts(&seed), b = random_parts(&seed);
		struct fts_key key_a, key_b;
		make_key(&key_a, &a);
		make_key(&key_b, &b);
		assert_int_equal(compare_bytes(key_a.bytes, key_a.size_bytes, key_b.bytes, key_b.size_bytes),
				 compare_parts(&a, &b));
		if (compare_parts(&a, &b) != 0 && key_a.size_bytes <= key_b.size_bytes) /* no key is another's prefix */
			assert_memory_not_equal(key_a.bytes, key_b.bytes, key_a.size_bytes);
	}
}

static void parts_come_back(void **state)
{
	unsigned seed = 2;
	(void)state;
	for (int i = 0; i < ROUNDS / 10; i++) {
		struct parts parts = random_parts(&seed), back = {0};
		struct fts_key key;
		struct fts_bytes at;
		make_key(&key, &parts);
		at = (struct fts_bytes){key.bytes + 2, key.size_bytes - 2};
		assert_int_equal(fts_key_read_u32(&at, &back.small), 0);
		assert_int_equal(fts_key_read_text(&at, (char *)back.text, sizeof back.text, &back.text_size), 0);
		assert_int_equal(fts_key_read_u64(&at, &back.large), 0);
		assert_int_equal(at.size_bytes, 0);
		assert_int_equal(compare_parts(&parts, &back), 0);
	}
}

static void broken_parts_are_refused(void **state)
{
	static const uint8_t unended[] = {'a', 'b'}, half[] = {'a', 0}, wrong[] = {'a', 0, 7},
			     good[] = {'a', 'b', 0, 1};
	struct fts_bytes at = {unended, 2};
	char out[4];
	size_t size;
	uint64_t number;
	(void)state;
	assert_int_equal(fts_key_read_text(&at, out, sizeof out, &size), -1);
	at = (struct fts_bytes){half, 2};
	assert_int_equal(fts_key_read_text(&at, out, sizeof out, &size), -1);
	at = (struct fts_bytes){wrong, 3};
	assert_int_equal(fts_key_read_text(&at, out, sizeof out, &size), -1);
	at = (struct fts_bytes){good, 4};
	assert_int_equal(fts_key_read_text(&at, out, 1, &size), -1); /* no room */
	at = (struct fts_bytes){good, 4};
	assert_int_equal(fts_key_read_u64(&at, &number), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_sort_as_their_parts),
	    cmocka_unit_test(parts_come_back),
	    cmocka_unit_test(broken_parts_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
