/* Why this file exists: parsing of the values a user writes; see value.h. Calendar arithmetic is done here
 * because timegm() depends on neither more nor less, and a pure function is easier to test. */
#include "client/cli/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t ms;
};

static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};

/* Decimal digits at *at, moved behind them. False: none, or more than 64 bits. */
static bool take_digits(const char **at, uint64_t *out)
{
	uint64_t value = 0;
	const char *p = *at;

	if (!isdigit((unsigned char)*p)) return false;
	for (; isdigit((unsigned char)*p); p++) {
		unsigned digit = (unsigned)(*p - '0');
		if (value > (UINT64_MAX - digit) / 10) return false;
		value = value * 10 + digit;
	}
	*at = p;
	*out = value;
	return true;
}

enum fts_status ftsi_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out_number,
				  struct fts_error *out_error)
{
	const char *at = text;
	uint64_t value;

	if (!take_digits(&at, &value) || *at)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "\"%s\" is not a whole number", text);
	if (value < min || value > max)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s is not from %" PRIu64 " to %" PRIu64, text,
				     min, max);
	*out_number = value;
	return FTS_OK;
}

enum fts_status ftsi_duration_parse(const char *text, uint32_t *out_ms, struct fts_error *out_error)
{
	static const uint64_t max_ms = INT32_MAX;
	const char *at = text;
	uint64_t count;

	if (!take_digits(&at, &count))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "\"%s\" is not a duration: write 500ms, 5s, 2m or 1h", text);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(at, units[i].name) != 0) continue;
		if (count == 0 || count > max_ms / units[i].ms)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "\"%s\" is not from 1ms to 24 days",
					     text);
		*out_ms = (uint32_t)(count * units[i].ms);
		return FTS_OK;
	}
	if (!*at)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "\"%s\" has no unit: write %ss or %sms", text,
				     text, text);
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "\"%s\" is not a duration: write 500ms, 5s, 2m or 1h",
			     text);
}

unsigned ftsi_month_days(unsigned year, unsigned month)
{
	static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* Days from 1970-01-01; Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil. */
static int64_t days_since_epoch(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = year / 400;
	unsigned year_of_era = (unsigned)(year - era * 400);
	unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + (int64_t)day_of_era - 719468;
}

/* "…17T" : exactly width digits, min to max, then the character behind (0: any). */
static bool take_part(const char **at, unsigned width, unsigned min, unsigned max, char behind, unsigned *out)
{
	unsigned value = 0;

	for (unsigned i = 0; i < width; i++, (*at)++) {
		if (!isdigit((unsigned char)**at)) return false;
		value = value * 10 + (unsigned)(**at - '0');
	}
	if (value < min || value > max || (behind && **at != behind)) return false;
	*at += behind != 0;
	*out = value;
	return true;
}

/* ".123" of a second, cut to ms; nothing there is 0. */
static bool take_fraction(const char **at, unsigned *out_ms)
{
	unsigned weight = 100;

	*out_ms = 0;
	if (**at != '.') return true;
	(*at)++;
	if (!isdigit((unsigned char)**at)) return false;
	for (; isdigit((unsigned char)**at); (*at)++, weight /= 10)
		*out_ms += (unsigned)(**at - '0') * weight;
	return true;
}

/* "Z" or "+02:00", in minutes east. */
static bool take_offset(const char **at, int *out_minutes)
{
	unsigned hours, minutes;
	char sign = **at;

	(*at)++;
	*out_minutes = 0;
	if (sign == 'Z' || sign == 'z') return **at == '\0';
	if (sign != '+' && sign != '-') return false;
	if (!take_part(at, 2, 0, 23, ':', &hours) || !take_part(at, 2, 0, 59, '\0', &minutes)) return false;
	*out_minutes = (int)(hours * 60 + minutes) * (sign == '+' ? 1 : -1);
	return **at == '\0';
}

static bool parse_rfc3339(const char *at, int64_t *out_ms)
{
	unsigned year, month, day, hour, minute, second, ms;
	int east;

	if (!take_part(&at, 4, 1970, 9999, '-', &year) || !take_part(&at, 2, 1, 12, '-', &month) ||
	    !take_part(&at, 2, 1, 31, '\0', &day) || day > ftsi_month_days(year, month))
		return false;
	if (*at != 'T' && *at != 't' && *at != ' ') return false;
	at++;
	if (!take_part(&at, 2, 0, 23, ':', &hour) || !take_part(&at, 2, 0, 59, ':', &minute) ||
	    !take_part(&at, 2, 0, 59, '\0', &second) || !take_fraction(&at, &ms) || !*at || !take_offset(&at, &east))
		return false;
	int64_t minutes = days_since_epoch(year, month, day) * 1440 + (int64_t)hour * 60 + minute - east;
	*out_ms = (minutes * 60 + second) * 1000 + ms;
	return true;
}

enum fts_status ftsi_time_parse(const char *text, int64_t now_ms, int64_t *out_ms, struct fts_error *out_error)
{
	uint32_t from_now_ms;

	if (text[0] == '+') {
		enum fts_status st = ftsi_duration_parse(text + 1, &from_now_ms, out_error);
		if (st == FTS_OK) *out_ms = now_ms + from_now_ms;
		return st;
	}
	if (!parse_rfc3339(text, out_ms))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "\"%s\" is not a time: write +10m, or 2027-03-17T18:00:00Z", text);
	return FTS_OK;
}

const char *ftsi_time_format(char *buf, size_t size_bytes, int64_t unix_ms)
{
	int64_t seconds = unix_ms / 1000;
	int64_t day = seconds / 86400;
	unsigned of_day = (unsigned)(seconds % 86400);
	unsigned year = 1970, month = 1;

	while (day >= (ftsi_month_days(year, 2) == 29 ? 366 : 365))
		day -= ftsi_month_days(year++, 2) == 29 ? 366 : 365;
	while (day >= (int64_t)ftsi_month_days(year, month))
		day -= ftsi_month_days(year, month++);
	snprintf(buf, size_bytes, "%04u-%02u-%02uT%02u:%02u:%02uZ", year, month, (unsigned)day + 1, of_day / 3600,
		 of_day / 60 % 60, of_day % 60);
	return buf;
}

const char *ftsi_hex(char *buf, const uint8_t *bytes, size_t size_bytes)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size_bytes; i++) {
		buf[2 * i] = digits[bytes[i] >> 4];
		buf[2 * i + 1] = digits[bytes[i] & 15];
	}
	buf[2 * size_bytes] = '\0';
	return buf;
}
