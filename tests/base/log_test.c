/* Why this file exists: other programs read our log lines: their form is a promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* ---- Standard error that nobody reads ---- */

static void *log_one(void *data)
{
	FTS_LOG_WARN("test.full", "a=%d", *(const int *)data);
	return NULL;
}

/* What does not end by itself would wait for ever. */
static void log_in_time(pthread_t thread)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	if (pthread_timedjoin_np(thread, NULL, &until) != 0) abort();
}

static void fill(int fd)
{
	static const char stuff[512];
	int flags = fcntl(fd, F_GETFL);
	(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while (write(fd, stuff, sizeof stuff) > 0)
		continue;
	(void)fcntl(fd, F_SETFL, flags);
}

/* All that is there but what it was filled with. */
static void drain(int fd, char *out, size_t size_bytes)
{
	char piece[4096];
	size_t used = 0;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	for (ssize_t got; (got = read(fd, piece, sizeof piece)) > 0;)
		for (ssize_t i = 0; i < got; i++)
			if (piece[i] != '\0' && used + 1 < size_bytes) out[used++] = piece[i];
	out[used] = '\0';
}

/* read_fd, write_fd: a pipe, or two ends of a socket. */
static void nobody_reads(int read_fd, int write_fd)
{
	static char text[65536];
	const int number = 1;
	pthread_t thread;
	int saved = dup(STDERR_FILENO);
	fill(write_fd);
	dup2(write_fd, STDERR_FILENO);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_create(&thread, NULL, log_one, (void *)(uintptr_t)&number), 0);
		log_in_time(thread);
	}
	drain(read_fd, text, sizeof text);
	assert_null(strstr(text, "test.full"));
	FTS_LOG_INFO("test.again", "a=%d", 2);
	drain(read_fd, text, sizeof text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(fcntl(write_fd, F_GETFL) & O_NONBLOCK, 0); /* others share it */
	const char *lost = strstr(text, "level=warn event=log.lost lines=3 "),
		   *again = strstr(text, "event=test.again a=2");
	assert_non_null(lost);
	assert_non_null(again);
	assert_true(lost < again);
	close(read_fd);
	close(write_fd);
}

static void a_full_pipe_stops_nobody(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	nobody_reads(fds[0], fds[1]);
}

static void a_full_socket_stops_nobody(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	nobody_reads(fds[0], fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(line_has_its_form),          cmocka_unit_test(line_is_one_line_and_bounded),
	    cmocka_unit_test(repeats_are_counted),        cmocka_unit_test(values_are_quoted_when_needed),
	    cmocka_unit_test(levels_have_names),          cmocka_unit_test(a_full_pipe_stops_nobody),
	    cmocka_unit_test(a_full_socket_stops_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
