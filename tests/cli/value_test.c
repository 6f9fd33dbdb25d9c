/* Why this file exists: numbers, durations, times: what is read, and above all what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/utf8.h"
#include "client/cli/value.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms; /* 0: refused */
	} cases[] = {
	    {"500ms", 500}, {"5s", 5000},
	    {"2m", 120000}, {"1h", 3600000},
	    {"1ms", 1},     {"0s", 0},
	    {"5", 0},       {"", 0},
	    {"s", 0},       {"-5s", 0},
	    {"5 s", 0},     {"5S", 0},
	    {"1.5s", 0},    {"99999999999999999999s", 0},
	    {"600h", 0},    {"590h", 590u * 3600 * 1000},
	    {"5sx", 0},     {"+5s", 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t ms = 0;
		struct fts_error error;
		enum fts_status st = ftsi_duration_parse(cases[i].text, &ms, &error);
		if ((st == FTS_OK) != (cases[i].ms > 0) || ms != cases[i].ms)
			fail_msg("\"%s\": status %d, %u ms", cases[i].text, (int)st, ms);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool good;
		uint64_t value;
	} cases[] = {
	    {"0", 9, true, 0},
	    {"9", 9, true, 9},
	    {"10", 9, false, 0},
	    {"0009", 9, true, 9},
	    {"", 9, false, 0},
	    {" 1", 9, false, 0},
	    {"1 ", 9, false, 0},
	    {"-1", 9, false, 0},
	    {"+1", 9, false, 0},
	    {"0x1", 9, false, 0},
	    {"1e3", 9999, false, 0},
	    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
	    {"18446744073709551616", UINT64_MAX, false, 0},
	    {"184467440737095516150", UINT64_MAX, false, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t value = 0;
		enum fts_status st = ftsi_number_parse(cases[i].text, 0, cases[i].max, &value, NULL);
		if ((st == FTS_OK) != cases[i].good || value != cases[i].value)
			fail_msg("\"%s\": status %d", cases[i].text, (int)st);
	}
}

static void test_times(void **state)
{
	static const int64_t now = 1000000;
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
	    {"+10m", 1000000 + 600000},
	    {"+500ms", 1000500},
	    {"1970-01-01T00:00:00Z", 0},
	    {"2000-02-29T12:00:00Z", INT64_C(951825600000)},
	    {"2027-03-17T18:00:00Z", INT64_C(1805306400000)},
	    {"2027-03-17t18:00:00z", INT64_C(1805306400000)},
	    {"2027-03-17T20:00:00+02:00", INT64_C(1805306400000)},
	    {"2027-03-17T14:30:00-03:30", INT64_C(1805306400000)},
	    {"2027-03-17T18:00:00.250Z", INT64_C(1805306400250)},
	    {"2027-03-17T18:00:00.2509Z", INT64_C(1805306400250)},
	    {"1900-02-28T00:00:00Z", -1},
	    {"2027-02-29T00:00:00Z", -1},
	    {"2100-02-29T00:00:00Z", -1},
	    {"2027-13-01T00:00:00Z", -1},
	    {"2027-00-01T00:00:00Z", -1},
	    {"2027-03-17T24:00:00Z", -1},
	    {"2027-03-17T18:00:00", -1},
	    {"2027-03-17", -1},
	    {"2027-03-17T18:00:00.Z", -1},
	    {"2027-03-17T18:00:00+2:00", -1},
	    {"2027-03-17T18:00:00Zx", -1},
	    {"10m", -1},
	    {"", -1},
	    {"+", -1},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t ms = -1;
		enum fts_status st = ftsi_time_parse(cases[i].text, now, &ms, NULL);
		if ((st == FTS_OK) != (cases[i].ms >= 0) || ms != cases[i].ms)
			fail_msg("\"%s\": status %d, %lld", cases[i].text, (int)st, (long long)ms);
	}
}

static void test_time_comes_back(void **state)
{
	(void)state;
	for (int64_t day = 0; day < 60000; day += 13) {
		int64_t at = day * 86400000 + 45296000, back = -1;
		char text[32];
		assert_int_equal(ftsi_time_parse(ftsi_time_format(text, sizeof(text), at), 0, &back, NULL), FTS_OK);
		assert_int_equal(back, at);
	}
}

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
	    {"", true},
	    {"Ada", true},
	    {"Saldaña", true},
	    {"日本", true},
	    {"\xf0\x9f\x8e\xb2", true},
	    {"\x80", false},
	    {"\xc3", false},
	    {"\xc0\xaf", false},
	    {"\xe0\x80\xaf", false},
	    {"\xed\xa0\x80", false},
	    {"\xf4\x90\x80\x80", false},
	    {"\xf5\x80\x80\x80", false},
	    {"a\xff", false},
	    {"\xe2\x82", false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (ftsi_utf8_valid(cases[i].text, strlen(cases[i].text)) != cases[i].good) fail_msg("case %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_durations),       cmocka_unit_test(test_numbers), cmocka_unit_test(test_times),
	    cmocka_unit_test(test_time_comes_back), cmocka_unit_test(test_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
