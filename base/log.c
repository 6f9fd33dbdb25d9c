/* Why this file exists: see log.h. */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024u
#define EVENT_MAX_BYTES 48u
#define EVENT_COUNT 64u
#define LINES_A_SECOND 20u
#define AUDIT_PREFIX "audit." /* of events that no level hides */

/* How often one event came in the second it was last seen. */
struct event_rate {
	char event[EVENT_MAX_BYTES];
	enum fts_log_level level;
	int64_t second;
	uint32_t line_count;
	uint32_t suppressed_count;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static atomic_int level_max = FTS_LOG_LEVEL_INFO;
static pthread_mutex_t rates_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct event_rate rates[EVENT_COUNT]; /* guarded by rates_mutex */
static int64_t swept_second;                 /* guarded by rates_mutex */
static atomic_uint lost_count;               /* lines that standard error did not take */

void fts_log_set_level(enum fts_log_level level)
{
	atomic_store(&level_max, (int)level);
}

bool fts_log_level_parse(const char *text, enum fts_log_level *out_level)
{
	for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
		if (strcmp(text, level_names[i]) != 0) continue;
		*out_level = (enum fts_log_level)i;
		return true;
	}
	return false;
}

static bool value_is_plain(const char *text)
{
	if (*text == '\0') return false;
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return false;
	}
	return true;
}

/* One character as it stands within quotes: returns how many bytes are in out. */
static size_t escape(char c, char out[2])
{
	unsigned char u = (unsigned char)c;
	out[0] = c;
	if (c == '"' || c == '\\' || c == '\n') {
		out[0] = '\\';
		out[1] = c == '\n' ? 'n' : c;
		return 2;
	}
	if (u < ' ' || u == 0x7f) out[0] = '?';
	return 1;
}

const char *fts_log_quote(char *buf, size_t size_bytes, const char *text)
{
	size_t at = 0;
	if (size_bytes == 0) return "";
	if (value_is_plain(text)) {
		snprintf(buf, size_bytes, "%s", text);
		return buf;
	}
	if (size_bytes < 3) {
		buf[0] = '\0';
		return buf;
	}
	buf[at++] = '"';
	for (; *text != '\0'; text++) {
		char escaped[2];
		size_t count = escape(*text, escaped);
		if (at + count + 2 > size_bytes) break;
		memcpy(buf + at, escaped, count);
		at += count;
	}
	buf[at++] = '"';
	buf[at] = '\0';
	return buf;
}

static size_t write_head(char *line, enum fts_log_level level, const char *event)
{
	int64_t now_ms = fts_clock_wall_ms();
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm parts;
	gmtime_r(&seconds, &parts);
	size_t at = strftime(line, LINE_MAX_BYTES, "time=%Y-%m-%dT%H:%M:%S", &parts);
	int count = snprintf(line + at, LINE_MAX_BYTES - at, ".%03dZ level=%s event=%.*s", (int)(now_ms % 1000),
			     level_names[level], (int)EVENT_MAX_BYTES - 1, event);
	return count < 0 ? at : at + (size_t)count;
}

static size_t limit(size_t at)
{
	return at > LINE_MAX_BYTES - 1 ? LINE_MAX_BYTES - 1 : at;
}

/* ---- Standard error, which may be a pipe or a terminal that nobody reads ---- */

enum taken { TAKEN, NO_ROOM, NOT_TAKEN };

static enum taken taken_by(ssize_t result)
{
	if (result >= 0) return TAKEN;
	return errno == EAGAIN || errno == EWOULDBLOCK ? NO_ROOM : NOT_TAKEN;
}

/* Through an opening of our own, which alone does not block: O_NONBLOCK on the one that is there would be of every
 * process that shares it. NOT_TAKEN also where it can't be opened again. */
static enum taken put_into_pipe(const char *line, size_t size_bytes)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) return NOT_TAKEN;
	enum taken taken = taken_by(write(fd, line, size_bytes));
	close(fd);
	return taken;
}

/* A file takes everything; a terminal, or a pipe that can't be opened again, is looked at before. */
static enum taken put_if_room(const char *line, size_t size_bytes)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (poll(&out, 1, 0) == 0) return NO_ROOM;
	return taken_by(write(STDERR_FILENO, line, size_bytes));
}

/* False: there is no room for it now. A line that can't be written for another reason is gone, with nowhere to tell. */
static bool put(const char *line, size_t size_bytes)
{
	struct stat about = {.st_mode = 0};
	int number = errno;
	enum taken taken = NOT_TAKEN;
	(void)fstat(STDERR_FILENO, &about);
	if (S_ISSOCK(about.st_mode)) {
		taken = taken_by(send(STDERR_FILENO, line, size_bytes, MSG_DONTWAIT | MSG_NOSIGNAL));
	} else {
		if (S_ISFIFO(about.st_mode)) taken = put_into_pipe(line, size_bytes);
		if (taken == NOT_TAKEN) taken = put_if_room(line, size_bytes);
	}
	errno = number;
	return taken != NO_ROOM;
}

static void write_line(char *line, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		if (line[i] == '\n') line[i] = ' ';
	}
	line[size_bytes] = '\n';
	if (!put(line, size_bytes + 1)) atomic_fetch_add(&lost_count, 1);
}

/* Before the first line that there is room for again. */
static void write_lost(void)
{
	char line[LINE_MAX_BYTES];
	uint32_t count = atomic_exchange(&lost_count, 0);
	if (count == 0) return;
	size_t at = write_head(line, FTS_LOG_LEVEL_WARN, "log.lost");
	int more = snprintf(line + at, LINE_MAX_BYTES - at, " lines=%u detail=\"nobody read them\"\n", count);
	if (more > 0 && !put(line, at + (size_t)more)) atomic_fetch_add(&lost_count, count);
}

static void write_suppressed(enum fts_log_level level, const char *event, uint32_t count)
{
	char line[LINE_MAX_BYTES];
	size_t at = write_head(line, level, event);
	int more = snprintf(line + at, LINE_MAX_BYTES - at, " suppressed=%u", count);
	write_line(line, limit(at + (more < 0 ? 0 : (size_t)more)));
}

/* The place of event; a full table forgets the one seen longest ago. Called with rates_mutex held. */
static struct event_rate *rate_find(const char *event)
{
	struct event_rate *oldest = &rates[0];
	for (size_t i = 0; i < EVENT_COUNT; i++) {
		if (strncmp(rates[i].event, event, EVENT_MAX_BYTES - 1) == 0) return &rates[i];
		if (rates[i].second < oldest->second) oldest = &rates[i];
	}
	memset(oldest, 0, sizeof *oldest);
	snprintf(oldest->event, sizeof oldest->event, "%s", event);
	return oldest;
}

/* Take the counts of past seconds out of the table into out; returns how many. Called with rates_mutex held. */
static size_t take_suppressed(int64_t second, struct event_rate out[EVENT_COUNT])
{
	size_t count = 0;
	if (swept_second == second) return 0;
	swept_second = second;
	for (size_t i = 0; i < EVENT_COUNT; i++) {
		if (rates[i].second >= second || rates[i].suppressed_count == 0) continue;
		out[count++] = rates[i];
		rates[i].suppressed_count = 0;
	}
	return count;
}

static bool rate_admits(enum fts_log_level level, const char *event, int64_t second)
{
	struct event_rate *rate = rate_find(event);
	if (rate->second != second) {
		rate->second = second;
		rate->line_count = 0;
	}
	rate->level = level;
	if (rate->line_count >= LINES_A_SECOND) {
		rate->suppressed_count++;
		return false;
	}
	rate->line_count++;
	return true;
}

void fts_log_write(enum fts_log_level level, const char *event, const char *format, ...)
{
	bool audited = strncmp(event, AUDIT_PREFIX, sizeof AUDIT_PREFIX - 1) == 0;
	if ((int)level > atomic_load(&level_max) && !audited) return;
	struct event_rate told[EVENT_COUNT];
	int64_t second = (int64_t)(fts_clock_monotonic_ns() / 1000000000ull) + 1;
	pthread_mutex_lock(&rates_mutex);
	size_t told_count = take_suppressed(second, told);
	bool admitted = rate_admits(level, event, second);
	pthread_mutex_unlock(&rates_mutex);
	for (size_t i = 0; i < told_count; i++)
		write_suppressed(told[i].level, told[i].event, told[i].suppressed_count);
	if (!admitted) return;

	write_lost();
	char line[LINE_MAX_BYTES];
	size_t at = write_head(line, level, event);
	if (format[0] != '\0') {
		line[at++] = ' ';
		va_list args;
		va_start(args, format);
		int count = vsnprintf(line + at, LINE_MAX_BYTES - at, format, args);
		va_end(args);
		at = limit(at + (count < 0 ? 0 : (size_t)count));
	}
	write_line(line, at);
}
