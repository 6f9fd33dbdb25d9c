/* Why this file exists: see log.h. */
#include "base/log.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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

static void write_line(char *line, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		if (line[i] == '\n') line[i] = ' ';
	}
	line[size_bytes] = '\n';
	ssize_t ignored = write(STDERR_FILENO, line, size_bytes + 1);
	(void)ignored; /* nowhere to tell it */
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
