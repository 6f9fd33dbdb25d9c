/* Why this file exists: every form a line of the text protocol may take, and every form it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/lottery_text_parse.h"

#define BET "Juan;Perez;12345678;1980-01-01;1234"

static struct ftsi_text_packet packet;

static bool parse(const char *text, size_t size_bytes)
{
	static char line[FTSI_TEXT_LINE_MAX + 1];
	memcpy(line, text, size_bytes);
	line[size_bytes] = '\n';
	return ftsi_text_parse(line, size_bytes, &packet);
}

static void readable_lines(void **state)
{
	static const struct {
		const char *name, *line;
		enum ftsi_text_kind kind;
		uint32_t agency;
		size_t bet_count;
		bool faulty;
	} cases[] = {
	    {"one bet", "StoreBet:1;" BET, FTSI_TEXT_STORE_BET, 1, 1, false},
	    {"batch of one", "StoreBatch:2;" BET, FTSI_TEXT_STORE_BATCH, 2, 1, false},
	    {"batch of two", "StoreBatch:3;" BET ":Maria;Gomez;87654321;1999-10-25;1234", FTSI_TEXT_STORE_BATCH, 3, 2,
	     false},
	    {"leading zeros", "StoreBet:005;A;B;1;1980-01-01;0042", FTSI_TEXT_STORE_BET, 5, 1, false},
	    {"per cent signs", "StoreBet:1;%s%n;100%;1;1980-01-01;1", FTSI_TEXT_STORE_BET, 1, 1, false},
	    {"accents", "StoreBet:1;Nicolás;Fornerón;1;1980-01-01;1", FTSI_TEXT_STORE_BET, 1, 1, false},
	    {"number is a word", "StoreBet:1;A;B;1;1980-01-01;many", FTSI_TEXT_STORE_BET, 1, 1, true},
	    {"number is absent", "StoreBet:1;A;B;1;1980-01-01;", FTSI_TEXT_STORE_BET, 1, 1, true},
	    {"number is negative", "StoreBet:1;A;B;1;1980-01-01;-1", FTSI_TEXT_STORE_BET, 1, 1, true},
	    {"second number is too large", "StoreBatch:1;" BET ":A;B;1;1980-01-01;4294967296", FTSI_TEXT_STORE_BATCH, 1,
	     2, true},
	    {"empty fields are the lottery's to refuse", "StoreBet:1;;;;;1", FTSI_TEXT_STORE_BET, 1, 1, false},
	    {"close", "AgencyClose:5", FTSI_TEXT_AGENCY_CLOSE, 5, 0, false},
	    {"winners", "WinnersRequest:4294967295", FTSI_TEXT_WINNERS_REQUEST, 4294967295u, 0, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!parse(cases[i].line, strlen(cases[i].line))) fail_msg("%s: not read", cases[i].name);
		if (packet.kind != cases[i].kind || packet.agency != cases[i].agency ||
		    packet.bet_count != (cases[i].bet_count) || packet.faulty != cases[i].faulty)
			fail_msg("%s: read wrong", cases[i].name);
	}
}

static void unreadable_lines(void **state)
{
	static const struct {
		const char *name, *line;
		size_t size_bytes; /* 0: as strlen says */
	} cases[] = {
	    {"empty", "", 0},
	    {"no colon", "StoreBet", 0},
	    {"unknown type", "StoreBets:1;" BET, 0},
	    {"type in another case", "storebet:1;" BET, 0},
	    {"blank before the type", " StoreBet:1;" BET, 0},
	    {"an answer", "StoreResponse:0", 0},
	    {"agency is a word", "StoreBet:one;" BET, 0},
	    {"agency is absent", "StoreBet:;" BET, 0},
	    {"agency is negative", "WinnersRequest:-1", 0},
	    {"agency is too large", "WinnersRequest:4294967296", 0},
	    {"agency and more", "AgencyClose:1;2", 0},
	    {"agency and a blank", "AgencyClose:1 ", 0},
	    {"no bet", "StoreBet:1", 0},
	    {"no bet in batch", "StoreBatch:1;", 0},
	    {"a field is missing", "StoreBet:1;Perez;12345678;1980-01-01;1234", 0},
	    {"a field too many", "StoreBet:1;" BET ";1", 0},
	    {"two bets in StoreBet", "StoreBet:1;" BET ":" BET, 0},
	    {"batch ends in a colon", "StoreBatch:1;" BET ":", 0},
	    {"second bet is short", "StoreBatch:1;" BET ":Maria;Gomez", 0},
	    {"zero byte", "StoreBet:1;Ju\0n;Perez;1;1980-01-01;1", 37},
	    {"lone continuation byte", "StoreBet:1;\x80;B;1;1980-01-01;1", 0},
	    {"cut sequence", "StoreBet:1;\xC3;B;1;1980-01-01;1", 0},
	    {"overlong", "StoreBet:1;\xC0\xAF;B;1;1980-01-01;1", 0},
	    {"surrogate", "StoreBet:1;\xED\xA0\x80;B;1;1980-01-01;1", 0},
	    {"beyond Unicode", "StoreBet:1;\xF4\x90\x80\x80;B;1;1980-01-01;1", 0},
	    {"sequence cut by the line's end", "WinnersRequest:1\xE2\x82", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = cases[i].size_bytes > 0 ? cases[i].size_bytes : strlen(cases[i].line);
		if (parse(cases[i].line, size)) fail_msg("%s: read all the same", cases[i].name);
	}
}

static void fields_of_a_bet(void **state)
{
	(void)state;
	const char *line = "StoreBatch:7;" BET ":Ana María;Núñez;8;2000-02-29;0";
	assert_true(parse(line, strlen(line)));
	assert_string_equal(packet.bets[0].first_name, "Juan");
	assert_string_equal(packet.bets[0].last_name, "Perez");
	assert_string_equal(packet.bets[0].document, "12345678");
	assert_string_equal(packet.bets[0].birthdate, "1980-01-01");
	assert_int_equal(packet.bets[0].number, 1234);
	assert_string_equal(packet.bets[1].first_name, "Ana María");
	assert_string_equal(packet.bets[1].last_name, "Núñez");
	assert_int_equal(packet.bets[1].number, 0);
}

static void as_many_bets_as_fit(void **state)
{
	char line[FTSI_TEXT_LINE_MAX];
	(void)state;
	size_t size = (size_t)snprintf(line, sizeof(line), "StoreBatch:1;;;;;");
	size_t bets = 1;
	for (; size + 5 < sizeof(line); size += 5, bets++)
		memcpy(line + size, ":;;;;", 5);
	assert_true(parse(line, size));
	assert_int_equal(packet.bet_count, bets);
	assert_true(packet.faulty);
}

static void lines_are_found(void **state)
{
	static char bytes[2 * FTSI_TEXT_LINE_MAX];
	size_t line, used;
	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(ftsi_text_line_find(bytes, 0, 0, &line, &used), FTSI_TEXT_LINE_PARTIAL);
	assert_int_equal(ftsi_text_line_find(bytes, FTSI_TEXT_LINE_MAX - 1, 0, &line, &used), FTSI_TEXT_LINE_PARTIAL);
	assert_int_equal(ftsi_text_line_find(bytes, FTSI_TEXT_LINE_MAX, 0, &line, &used), FTSI_TEXT_LINE_OVERSIZE);
	bytes[FTSI_TEXT_LINE_MAX] = '\n'; /* the 8,193rd byte: one too late */
	assert_int_equal(ftsi_text_line_find(bytes, sizeof(bytes), 0, &line, &used), FTSI_TEXT_LINE_OVERSIZE);
	bytes[FTSI_TEXT_LINE_MAX - 1] = '\n';
	assert_int_equal(ftsi_text_line_find(bytes, sizeof(bytes), 4000, &line, &used), FTSI_TEXT_LINE_WHOLE);
	assert_int_equal(line, FTSI_TEXT_LINE_MAX - 1);
	assert_int_equal(used, FTSI_TEXT_LINE_MAX);
	memcpy(bytes, "ab\r\ncd\n\r\n\n", 10);
	assert_int_equal(ftsi_text_line_find(bytes, 10, 0, &line, &used), FTSI_TEXT_LINE_WHOLE);
	assert_int_equal(line, 2);
	assert_int_equal(used, 4);
	assert_int_equal(ftsi_text_line_find(bytes + 7, 3, 0, &line, &used), FTSI_TEXT_LINE_WHOLE);
	assert_int_equal(line, 0);
	assert_int_equal(used, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(readable_lines),  cmocka_unit_test(unreadable_lines),
	    cmocka_unit_test(fields_of_a_bet), cmocka_unit_test(as_many_bets_as_fit),
	    cmocka_unit_test(lines_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
