/* Why this file exists: the form of `kv load` and `kv dump`, and base64 of keys: what is written is read again, and
 * what can't be read says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/bytes.h"
#include "client/cli/kv_tsv.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A reader of text; text: borrowed until close_input. */
static struct ftsi_tsv *read_text(const char *text, size_t size_bytes, bool escaped, FILE **out_in)
{
	*out_in = fmemopen((void *)text, size_bytes, "r");
	assert_non_null(*out_in);
	struct ftsi_tsv *tsv = ftsi_tsv_create(*out_in, escaped);
	assert_non_null(tsv);
	return tsv;
}

static void expect_record(struct ftsi_tsv *tsv, uint64_t number, const char *key, const char *value)
{
	struct ftsi_tsv_line line;

	assert_true(ftsi_tsv_next(tsv, &line));
	if (line.reason) fail_msg("line %d: %s", (int)line.number, line.reason);
	assert_int_equal(line.number, number);
	assert_int_equal(line.key_size_bytes, strlen(key));
	assert_memory_equal(line.key, key, strlen(key));
	assert_int_equal(line.value_size_bytes, strlen(value));
	assert_memory_equal(line.value, value, strlen(value));
}

static void expect_fault(struct ftsi_tsv *tsv, uint64_t number, const char *reason)
{
	struct ftsi_tsv_line line;

	assert_true(ftsi_tsv_next(tsv, &line));
	assert_int_equal(line.number, number);
	assert_non_null(line.reason);
	if (!strstr(line.reason, reason)) fail_msg("\"%s\", not \"%s\"", line.reason, reason);
}

static void test_lines(void **state)
{
	static const char text[] = "k\tv\n\nno tab\n\t\nk2\ta\tb\\n\r\nlast\tone";
	struct ftsi_tsv_line line;
	FILE *in;
	struct ftsi_tsv *tsv = read_text(text, sizeof(text) - 1, false, &in);

	(void)state;
	expect_record(tsv, 1, "k", "v");
	expect_fault(tsv, 3, "no tab");
	expect_record(tsv, 4, "", "");
	expect_record(tsv, 5, "k2", "a\tb\\n\r");
	expect_record(tsv, 6, "last", "one");
	assert_false(ftsi_tsv_next(tsv, &line));
	ftsi_tsv_destroy(tsv);
	fclose(in);
}

static void test_escapes(void **state)
{
	static const char text[] = "a\\tb\tx\\ny\\\\z\\r\nbad\t\\q\nend\tv\\\n";
	FILE *in;
	struct ftsi_tsv *tsv = read_text(text, sizeof(text) - 1, true, &in);

	(void)state;
	expect_record(tsv, 1, "a\tb", "x\ny\\z\r");
	expect_fault(tsv, 2, "backslash");
	expect_fault(tsv, 3, "backslash");
	ftsi_tsv_destroy(tsv);
	fclose(in);
}

/* key_bytes of 'k', a tab, value_bytes of 'v', a line end. Returned (free()). */
static char *long_line(size_t key_bytes, size_t value_bytes)
{
	char *text = malloc(key_bytes + value_bytes + 2);

	assert_non_null(text);
	memset(text, 'k', key_bytes);
	text[key_bytes] = '\t';
	memset(text + key_bytes + 1, 'v', value_bytes);
	text[key_bytes + value_bytes + 1] = '\n';
	return text;
}

static void test_limits(void **state)
{
	static const struct {
		size_t key_bytes, value_bytes;
		const char *reason;
	} cases[] = {{1024, 1024 * 1024, NULL},
		     {1025, 1, "key: at most 1024 bytes, not 1025"},
		     {1, 1024 * 1024 + 1, "value: at most 1048576 bytes, not 1048577"},
		     {1, 9 * 1024 * 1024, "line: at most"}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *text = long_line(cases[i].key_bytes, cases[i].value_bytes);
		struct ftsi_tsv_line line;
		FILE *in;
		struct ftsi_tsv *tsv = read_text(text, cases[i].key_bytes + cases[i].value_bytes + 2, false, &in);
		if (cases[i].reason) {
			expect_fault(tsv, 1, cases[i].reason);
		} else {
			assert_true(ftsi_tsv_next(tsv, &line));
			assert_null(line.reason);
		}
		ftsi_tsv_destroy(tsv);
		fclose(in);
		free(text);
	}
}

/* Every byte, in keys and in values, comes back. */
static void test_round_trip(void **state)
{
	uint8_t bytes[256];
	char *text = NULL;
	size_t size_bytes = 0;
	struct ftsi_tsv_line line;
	FILE *out = open_memstream(&text, &size_bytes), *in;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_false(ftsi_tsv_fits(bytes, sizeof(bytes), bytes, sizeof(bytes), false));
	assert_true(ftsi_tsv_fits(bytes, sizeof(bytes), bytes, sizeof(bytes), true));
	ftsi_tsv_write(out, bytes, sizeof(bytes), bytes, sizeof(bytes), true);
	fclose(out);
	struct ftsi_tsv *tsv = read_text(text, size_bytes, true, &in);
	assert_true(ftsi_tsv_next(tsv, &line));
	assert_null(line.reason);
	assert_int_equal(line.key_size_bytes, sizeof(bytes));
	assert_memory_equal(line.key, bytes, sizeof(bytes));
	assert_int_equal(line.value_size_bytes, sizeof(bytes));
	assert_memory_equal(line.value, bytes, sizeof(bytes));
	ftsi_tsv_destroy(tsv);
	fclose(in);
	free(text);
}

/* RFC 4648, section 10, and what is none. */
static void test_base64(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL: not base64 */
	} cases[] = {{"", ""},      {"Zg==", "f"},  {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg==", "foob"},
		     {"Zm9", NULL}, {"Zm9!", NULL}, {"====", NULL}, {"Zg=a", NULL}};
	uint8_t out[16];
	size_t size_bytes;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool good = ftsi_bytes_from_base64(cases[i].text, out, &size_bytes);
		if (good != (cases[i].bytes != NULL)) fail_msg("%s", cases[i].text);
		if (!good) continue;
		assert_int_equal(size_bytes, strlen(cases[i].bytes));
		assert_memory_equal(out, cases[i].bytes, size_bytes);
	}
	json_t *object = json_object();
	ftsi_bytes_set(object, "value", (const uint8_t *)"\xff\xfe", 2);
	assert_string_equal(json_string_value(json_object_get(object, "value_base64")), "//4=");
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_escapes),
					   cmocka_unit_test(test_limits), cmocka_unit_test(test_round_trip),
					   cmocka_unit_test(test_base64)};

	return cmocka_run_group_tests_name("cli_kv.tsv", tests, NULL, NULL);
}
