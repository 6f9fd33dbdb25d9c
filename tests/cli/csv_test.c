/* Why this file exists: the CSV reader: RFC 4180 by a table of cases, faults that cost one line only, limits, and
 * the same result however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/csv.h"
#include "tests/harness/clock.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Chooses how many of the bytes left are given next. */
typedef size_t (*cut_fn)(void *ctx, size_t left);

static void put_row(FILE *out, const struct ftsi_csv_row *row)
{
	fprintf(out, "%llu:", (unsigned long long)row->line);
	if (row->reason) fprintf(out, "!%s <%.*s>", row->reason, (int)row->raw_size_bytes, row->raw);
	for (size_t i = 0; i < row->field_count && !row->reason && i < FTSI_CSV_FIELDS_MAX; i++)
		fprintf(out, "[%s]", row->fields[i]);
	if (!row->reason && row->field_count > FTSI_CSV_FIELDS_MAX)
		fprintf(out, "+%zu", row->field_count - FTSI_CSV_FIELDS_MAX);
	fputc(' ', out);
}

/* Everything the reader says of text, as one line. Returned (free()). */
static char *read_all(const char *text, size_t size_bytes, cut_fn cut, void *ctx)
{
	char *said = NULL;
	size_t said_size_bytes = 0;
	FILE *out = open_memstream(&said, &said_size_bytes);
	struct ftsi_csv *csv = ftsi_csv_create();
	struct ftsi_csv_row row;

	for (;;) {
		enum ftsi_csv_event event = ftsi_csv_next(csv, &row);
		if (event == FTSI_CSV_END) break;
		if (event != FTSI_CSV_MORE) {
			put_row(out, &row);
			continue;
		}
		size_t room, part;
		char *space = ftsi_csv_space(csv, &room);
		assert_true(room > 0);
		part = size_bytes ? cut(ctx, size_bytes) : 0;
		part = part < room ? part : room;
		memcpy(space, text, part);
		ftsi_csv_filled(csv, part);
		if (size_bytes == 0) ftsi_csv_end(csv);
		text += part;
		size_bytes -= part;
	}
	ftsi_csv_destroy(csv);
	fclose(out);
	return said;
}

static size_t cut_none(void *ctx, size_t left)
{
	(void)ctx;
	return left;
}

static size_t cut_one(void *ctx, size_t left)
{
	(void)ctx;
	(void)left;
	return 1;
}

static size_t cut_random(void *ctx, size_t left)
{
	uint32_t most = left < 300 ? (uint32_t)left : 300;
	return 1 + harness_random_below(ctx, most);
}

static const struct {
	const char *text;
	const char *said;
} cases[] = {
    {"", ""},
    {"a,b\n", "1:[a][b] "},
    {"a,b", "1:[a][b] "},
    {"a,b\r\nc,d\r\n", "1:[a][b] 2:[c][d] "},
    {"a\nb\r\nc", "1:[a] 2:[b] 3:[c] "},
    {",\n", "1:[][] "},
    {"a,\n", "1:[a][] "},
    {"a,", "1:[a][] "},
    {"\n\r\na\n\n\nb\n", "3:[a] 6:[b] "},
    {"\"a\"\n", "1:[a] "},
    {"\"\"\n", "1:[] "},
    {"\"\"", "1:[] "},
    {"\"a,b\",c\n", "1:[a,b][c] "},
    {"\"a\"\"b\"\n", "1:[a\"b] "},
    {"\"\"\"\"\n", "1:[\"] "},
    {"\"a\nb\",c\nd\n", "1:[a\nb][c] 3:[d] "},
    {"\"a\r\nb\"\r\nd\r\n", "1:[a\r\nb] 3:[d] "},
    {"\xef\xbb\xbf"
     "a,b\n",
     "1:[a][b] "},
    {"\xef\xbb\xbf", ""},
    {"\xef\xbb", "1:!not UTF-8 <\xef\xbb> "},
    {"Saldaña,\"Ñ\"\n", "1:[Saldaña][Ñ] "},
    {" a , b \n", "1:[ a ][ b ] "},
    /* faults: one line each, and on */
    {"a\"b,c\nd\n", "1:!a quote inside a field that does not begin with one <a\"b,c> 2:[d] "},
    {"\"a\"b,c\nd\n", "1:!text behind a closing quote <\"a\"b,c> 2:[d] "},
    {"\"a,b\nc,d\ne,f\n", "1:!a quote is opened and never closed <\"a,b> 2:[c][d] 3:[e][f] "},
    {"\"a", "1:!a quote is opened and never closed <\"a> "},
    {"x\r\n\"a\r\nb\r\n", "1:[x] 2:!a quote is opened and never closed <\"a> 3:[b] "},
    {"a\rb\nc\n", "1:!a carriage return without a line feed behind it <a\rb> 2:[c] "},
    {"a\r", "1:!a carriage return without a line feed behind it <a> "},
    {"a\xff,b\nc\n", "1:!not UTF-8 <a\xff,b> 2:[c] "},
    {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18\n", "1:[1][2][3][4][5][6][7][8][9][10][11][12][13][14][15][16]+2 "},
};

static void check(const char *text, size_t size_bytes, cut_fn cut, void *ctx, const char *expected, const char *how)
{
	char *said = read_all(text, size_bytes, cut, ctx);
	if (strcmp(said, expected) != 0)
		fail_msg("%s: \"%s\"\n  says     %s\n  expected %s", how, text, said, expected);
	free(said);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		check(cases[i].text, strlen(cases[i].text), cut_none, NULL, cases[i].said, "whole");
		check(cases[i].text, strlen(cases[i].text), cut_one, NULL, cases[i].said, "byte by byte");
	}
}

static void test_zero_byte(void **state)
{
	static const char text[] = "a\0b,c\nd\n";
	char *said = read_all(text, sizeof(text) - 1, cut_none, NULL);

	(void)state;
	assert_non_null(strstr(said, "1:!a 0 byte"));
	assert_non_null(strstr(said, "2:[d]"));
	free(said);
}

/* One byte below, at, and above the limit of a row; then an endless one. */
static void test_limits(void **state)
{
	static const size_t sizes[] = {FTSI_CSV_ROW_MAX - 1, FTSI_CSV_ROW_MAX, FTSI_CSV_ROW_MAX + 1,
				       20 * FTSI_CSV_WINDOW};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *text = malloc(sizes[i] + 8);
		memset(text, 'x', sizes[i]);
		memcpy(text + sizes[i], "\nb\n", 4);
		char *said = read_all(text, sizes[i] + 3, cut_none, NULL);
		bool fits = sizes[i] < FTSI_CSV_ROW_MAX;
		assert_int_equal(strncmp(said, "1:!the row is longer", 20) == 0, !fits);
		assert_non_null(strstr(said, " 2:[b] "));
		free(said);
		free(text);
	}
}

/* An opened quote in front of a long file costs its own line. */
static void test_runaway_quote(void **state)
{
	size_t lines = 100000;
	char *text = malloc(lines * 8 + 16), *at = text;

	(void)state;
	memcpy(at, "\"a\n", 3);
	at += 3;
	for (size_t i = 1; i < lines; i++)
		at += (size_t)snprintf(at, 9, "%06zu\n", i);
	char *said = read_all(text, (size_t)(at - text), cut_none, NULL);
	assert_non_null(strstr(said, "1:!a quote is opened and never closed <\"a> 2:[000001] "));
	assert_non_null(strstr(said, "100000:[099999] "));
	free(said);
	free(text);
}

/* Bytes that matter, at random; every cut must say the same as the whole. */
static void test_any_cut_says_the_same(void **state)
{
	static const char *const pieces[] = {"\"",  "\"",   ",", "\n",   "\r\n",         "\r",      "a",
					     "bcd", "\"\"", "é", "\xff", "\xef\xbb\xbf", "\"x\ny\""};
	struct harness_random random = {4711};
	char text[256];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t size_bytes = 0;
		uint32_t count = harness_random_below(&random, 40);
		for (uint32_t i = 0; i < count; i++) {
			const char *piece = pieces[harness_random_below(&random, COUNT(pieces))];
			memcpy(text + size_bytes, piece, strlen(piece));
			size_bytes += strlen(piece);
		}
		text[size_bytes] = '\0';
		char *whole = read_all(text, size_bytes, cut_none, NULL);
		check(text, size_bytes, cut_one, NULL, whole, "byte by byte");
		check(text, size_bytes, cut_random, &random, whole, "at random");
		free(whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_zero_byte),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_runaway_quote),
	    cmocka_unit_test(test_any_cut_says_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
