/* Why this file exists: other programs read our log lines: their form is a promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* What was written to standard error between begin and end. */
struct capture {
	int saved;
	FILE *file;
	char text[65536];
};

static void capture_begin(struct capture *capture)
{
	fflush(stderr);
	capture->saved = dup(STDERR_FILENO);
	capture->file = tmpfile();
	assert_non_null(capture->file);
	dup2(fileno(capture->file), STDERR_FILENO);
}

static void capture_end(struct capture *capture)
{
	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	rewind(capture->file);
	size_t size_bytes = fread(capture->text, 1, sizeof capture->text - 1, capture->file);
	capture->text[size_bytes] = '\0';
	fclose(capture->file);
}

static size_t line_count(const char *text)
{
	size_t count = 0;
	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static void line_has_its_form(void **state)
{
	(void)state;
	static struct capture capture;
	capture_begin(&capture);
	FTS_LOG_WARN("test.form", "node=%s waited_ms=%u", "n1", 250u);
	FTS_LOG_DEBUG("test.hidden", "x=%d", 1);
	capture_end(&capture);
	assert_int_equal(line_count(capture.text), 1);
	assert_memory_equal(capture.text, "time=20", 7);
	assert_int_equal(capture.text[28], 'Z');
	assert_string_equal(capture.text + 29, " level=warn event=test.form node=n1 waited_ms=250\n");
}

static void line_is_one_line_and_bounded(void **state)
{
	(void)state;
	static struct capture capture;
	static char text[5000];
	memset(text, 'a', sizeof text - 1);
	capture_begin(&capture);
	FTS_LOG_ERROR("test.long", "a=%s", text);
	FTS_LOG_ERROR("test.lines", "a=%s", "1\n2");
	capture_end(&capture);
	assert_int_equal(line_count(capture.text), 2);
	assert_int_equal(strchr(capture.text, '\n') - capture.text + 1, 1024);
}

/* Until the clock's next second begins; returns it. */
static int64_t await_second(void)
{
	const struct timespec next = {.tv_sec = (time_t)(fts_clock_monotonic_ns() / 1000000000u) + 1};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) != 0)
		continue;
	return next.tv_sec;
}

/* True: all of it lay within one second, as the counting wants it. */
static bool repeat(struct capture *capture)
{
	capture_begin(capture);
	int64_t second = await_second();
	for (int i = 0; i < 100; i++)
		FTS_LOG_INFO("test.repeat", "i=%d", i);
	bool one_second = (int64_t)(fts_clock_monotonic_ns() / 1000000000u) == second;
	(void)await_second();
	FTS_LOG_INFO("test.after", "a=%d", 1);
	capture_end(capture);
	return one_second;
}

static void repeats_are_counted(void **state)
{
	(void)state;
	static struct capture capture;
	for (int tries = 0; !repeat(&capture); tries++) /* a machine that stood still meanwhile */
		if (tries == 20) fail_msg("100 lines are never written within a second");
	assert_int_equal(line_count(capture.text), 20 + 2);
	assert_non_null(strstr(capture.text, "event=test.repeat suppressed=80\n"));
}

static void values_are_quoted_when_needed(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expected;
	} cases[] = {
	    {"plain", "plain"},
	    {"", "\"\""},
	    {"two words", "\"two words\""},
	    {"a=b", "\"a=b\""},
	    {"say \"x\"", "\"say \\\"x\\\"\""},
	    {"back\\slash", "\"back\\\\slash\""},
	    {"line\nbreak", "\"line\\nbreak\""},
	    {"tab\tand\x7f", "\"tab?and?\""},
	    {"ñandú", "ñandú"},
	};
	char buf[64];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(fts_log_quote(buf, sizeof buf, cases[i].text), cases[i].expected);
	for (size_t size = 1; size < 12; size++) {
		char small[12];
		fts_log_quote(small, size, "a \"quoted\" text");
		assert_true(strlen(small) < size);
	}
}

static void levels_have_names(void **state)
{
	(void)state;
	enum fts_log_level level = FTS_LOG_LEVEL_DEBUG;
	assert_true(fts_log_level_parse("error", &level));
	assert_int_equal(level, FTS_LOG_LEVEL_ERROR);
	assert_false(fts_log_level_parse("loud", &level));
	static struct capture capture;
	capture_begin(&capture);
	fts_log_set_level(FTS_LOG_LEVEL_ERROR);
	FTS_LOG_WARN("test.level", "a=%d", 1);
	fts_log_set_level(FTS_LOG_LEVEL_INFO);
	capture_end(&capture);
	assert_string_equal(capture.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(line_has_its_form),   cmocka_unit_test(line_is_one_line_and_bounded),
	    cmocka_unit_test(repeats_are_counted), cmocka_unit_test(values_are_quoted_when_needed),
	    cmocka_unit_test(levels_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
