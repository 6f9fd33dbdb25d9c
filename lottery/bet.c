/* Why this file exists: see bet.h. */
#include "lottery/bet.h"

#include <sodium.h>
#include <stdio.h>

#include "base/assert.h"

enum { LEAF_TAG = 0x00, BIRTHDATE_MIN = 19000101 };

/* ---- Days ---- */

/* Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
uint32_t ftsi_day_of(int64_t time_ms)
{
	int64_t days = time_ms / 86400000 - (time_ms % 86400000 < 0 ? 1 : 0) + 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	uint32_t of_era = (uint32_t)(days - era * 146097);
	uint32_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint32_t shifted_month = (5 * of_year + 2) / 153; /* from March */
	uint32_t day = of_year - (153 * shifted_month + 2) / 5 + 1;
	uint32_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
	int64_t year = (int64_t)year_of_era + era * 400 + (month <= 2 ? 1 : 0);
	if (year < 0 || year > 9999) return year < 0 ? 0 : 99991231;
	return (uint32_t)year * 10000 + month * 100 + day;
}

static uint32_t days_of_month(uint32_t year, uint32_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

static uint32_t digits(const char *text, size_t count)
{
	uint32_t value = 0;
	for (size_t i = 0; i < count; i++)
		value = value * 10 + (uint32_t)(text[i] - '0');
	return value;
}

static bool has_date_form(const char *text)
{
	for (size_t i = 0; i < FTSI_DATE_BYTES; i++) {
		bool dash = i == 4 || i == 7;
		if (dash ? text[i] != '-' : text[i] < '0' || text[i] > '9') /* ends at the text's own end, too */
			return false;
	}
	return text[FTSI_DATE_BYTES] == '\0';
}

static uint16_t check_date(const char *text, uint32_t today)
{
	uint32_t year, month, day, date;
	if (text[0] == '\0') return FTSI_FAULT_EMPTY;
	if (!has_date_form(text)) return FTSI_FAULT_FORM;
	year = digits(text, 4);
	month = digits(text + 5, 2);
	day = digits(text + 8, 2);
	date = year * 10000 + month * 100 + day;
	if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month)) return FTSI_FAULT_CALENDAR;
	if (date < BIRTHDATE_MIN) return FTSI_FAULT_EARLY;
	return date > today ? FTSI_FAULT_FUTURE : 0;
}

/* ---- Names ---- */

/* Length of the UTF-8 character at text (0-terminated), 0: it is none. Source: Unicode 15, table 3-7. */
static size_t character_bytes(const uint8_t *text)
{
	uint8_t lead = text[0], low = 0x80, high = 0xBF;
	size_t size = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
	if (size <= 1) return size;
	if (lead == 0xE0)
		low = 0xA0;
	else if (lead == 0xED)
		high = 0x9F;
	else if (lead == 0xF0)
		low = 0x90;
	else if (lead == 0xF4)
		high = 0x8F;
	if (text[1] < low || text[1] > high) return 0;
	for (size_t i = 2; i < size; i++)
		if ((text[i] & 0xC0) != 0x80) return 0;
	return size;
}

/* C0, DEL, C1, and the line and paragraph separators: what ends a line or drives a terminal. */
static bool is_control(const uint8_t *text, size_t size_bytes)
{
	if (size_bytes == 1) return text[0] < 0x20 || text[0] == 0x7F;
	if (size_bytes == 2) return text[0] == 0xC2 && text[1] < 0xA0;
	return size_bytes == 3 && text[0] == 0xE2 && text[1] == 0x80 && (text[2] == 0xA8 || text[2] == 0xA9);
}

static uint16_t check_name(const char *name, uint16_t *out_size_bytes)
{
	const uint8_t *at = (const uint8_t *)name;
	uint16_t faults = 0;
	size_t characters = 0;
	while (*at != '\0') {
		size_t size = character_bytes(at);
		if (size == 0) return faults | FTSI_FAULT_UTF8; /* where it goes on is anybody's guess */
		if (is_control(at, size)) faults |= FTSI_FAULT_CONTROL;
		if (*at == ';' || *at == ':') faults |= FTSI_FAULT_SEPARATOR;
		at += size;
		characters++;
	}
	if (characters == 0) faults |= FTSI_FAULT_EMPTY;
	if (characters > FTSI_NAME_CHARACTERS_MAX) faults |= FTSI_FAULT_LONG;
	*out_size_bytes = (uint16_t)(at - (const uint8_t *)name); /* at most 256 when there is no fault */
	return faults;
}

bool ftsi_text_is_plain(const char *text)
{
	uint16_t size_bytes;
	return (check_name(text, &size_bytes) & (FTSI_FAULT_UTF8 | FTSI_FAULT_CONTROL)) == 0;
}

static uint16_t check_document(const char *document, uint16_t *out_size_bytes)
{
	size_t size = 0;
	uint16_t faults = 0;
	for (; document[size] != '\0'; size++)
		if (document[size] < '0' || document[size] > '9') faults |= FTSI_FAULT_DIGITS;
	if (size == 0) faults |= FTSI_FAULT_EMPTY;
	if (size > FTSI_DOCUMENT_BYTES_MAX) faults |= FTSI_FAULT_LONG;
	*out_size_bytes = (uint16_t)size;
	return faults;
}

bool ftsi_bet_check(const Fts__Lottery__V1__Bet *bet, uint32_t today, struct ftsi_bet_size *out_size,
		    struct ftsi_bet_faults *out_faults)
{
	struct ftsi_bet_faults faults = {{0}};
	struct ftsi_bet_size size = {0};
	uint16_t any = 0;
	if (bet == NULL) {
		faults.of[FTSI_BET_FIRST_NAME] = FTSI_FAULT_MISSING;
	} else {
		faults.of[FTSI_BET_FIRST_NAME] = check_name(bet->first_name, &size.first_name);
		faults.of[FTSI_BET_LAST_NAME] = check_name(bet->last_name, &size.last_name);
		faults.of[FTSI_BET_DOCUMENT] = check_document(bet->document, &size.document);
		faults.of[FTSI_BET_BIRTHDATE] = check_date(bet->birthdate, today);
		faults.of[FTSI_BET_NUMBER] = bet->number >= FTSI_NUMBER_COUNT ? FTSI_FAULT_RANGE : 0;
	}
	for (int i = 0; i < FTSI_BET_FIELD_COUNT; i++)
		any |= faults.of[i];
	if (any != 0) {
		*out_faults = faults;
		return false;
	}
	*out_size = size;
	return true;
}

/* ---- Words ---- */

const char *ftsi_bet_field_name(enum ftsi_bet_field field)
{
	static const char *const names[] = {"first_name", "last_name", "document", "birthdate", "number"};
	_Static_assert(sizeof names / sizeof *names == FTSI_BET_FIELD_COUNT, "one name a field");
	return names[field];
}

static const char *plain_text(enum ftsi_bet_field field, enum ftsi_bet_fault fault)
{
	switch ((int)fault) {
	case FTSI_FAULT_EMPTY:
		return "is missing";
	case FTSI_FAULT_LONG:
		return field == FTSI_BET_DOCUMENT ? "is longer than 20 digits" : "is longer than 64 characters";
	case FTSI_FAULT_UTF8:
		return "is not UTF-8";
	case FTSI_FAULT_CONTROL:
		return "has a control character or a line end";
	case FTSI_FAULT_SEPARATOR:
		return "has ';' or ':'";
	case FTSI_FAULT_DIGITS:
		return "has something other than digits";
	case FTSI_FAULT_FORM:
		return "is not of the form YYYY-MM-DD";
	default:
		return "there is no bet in this row";
	}
}

void ftsi_bet_fault_text(const Fts__Lottery__V1__Bet *bet, enum ftsi_bet_field field, enum ftsi_bet_fault fault,
			 char *buf, size_t size_bytes)
{
	if (fault == FTSI_FAULT_RANGE)
		(void)snprintf(buf, size_bytes, "%u is not a number from 0 to %d", bet->number, FTSI_NUMBER_COUNT - 1);
	else if (fault == FTSI_FAULT_CALENDAR)
		(void)snprintf(buf, size_bytes, "%s is not a day of the calendar", bet->birthdate);
	else if (fault == FTSI_FAULT_EARLY)
		(void)snprintf(buf, size_bytes, "%s is before 1900", bet->birthdate);
	else if (fault == FTSI_FAULT_FUTURE)
		(void)snprintf(buf, size_bytes, "%s has not come yet", bet->birthdate);
	else
		(void)snprintf(buf, size_bytes, "%s", plain_text(field, fault));
}

/* ---- Bytes ---- */

uint8_t *ftsi_bet_put(uint8_t *at, const Fts__Lottery__V1__Bet *bet, const struct ftsi_bet_size *size)
{
	at = ftsi_put_u16(at, (uint16_t)bet->number);
	at = ftsi_put_u8(at, (uint8_t)size->document);
	at = ftsi_put_bytes(at, bet->document, size->document);
	at = ftsi_put_bytes(at, bet->birthdate, FTSI_DATE_BYTES);
	at = ftsi_put_text(at, bet->first_name, size->first_name);
	return ftsi_put_text(at, bet->last_name, size->last_name);
}

bool ftsi_bet_get(struct ftsi_reader *reader, struct ftsi_bet_parts *out_parts)
{
	size_t document_size;
	out_parts->number = ftsi_get_u16(reader);
	document_size = ftsi_get_u8(reader);
	out_parts->document = (struct fts_bytes){ftsi_get_bytes(reader, document_size), document_size};
	out_parts->birthdate = (struct fts_bytes){ftsi_get_bytes(reader, FTSI_DATE_BYTES), FTSI_DATE_BYTES};
	out_parts->first_name = ftsi_get_text(reader);
	out_parts->last_name = ftsi_get_text(reader);
	return !reader->failed;
}

void ftsi_leaf_init(struct ftsi_leaf *leaf, const char *draw, uint32_t agency)
{
	uint8_t *at = ftsi_put_u8(leaf->bytes, LEAF_TAG);
	size_t draw_size = strlen(draw);
	FTS_ASSERT(draw_size <= 64);
	at = ftsi_put_text(at, draw, draw_size);
	leaf->ticket_at = (size_t)(at - leaf->bytes);
	at = ftsi_put_u32(ftsi_put_u64(at, 0), agency);
	leaf->head_bytes = (size_t)(at - leaf->bytes);
}

void ftsi_leaf_hash(struct ftsi_leaf *leaf, uint64_t ticket, const uint8_t *bet, size_t size_bytes,
		    uint8_t out_hash[FTSI_HASH_BYTES])
{
	FTS_ASSERT(size_bytes <= FTSI_BET_BYTES_MAX);
	ftsi_put_u64(leaf->bytes + leaf->ticket_at, ticket);
	memcpy(leaf->bytes + leaf->head_bytes, bet, size_bytes);
	(void)crypto_generichash(out_hash, FTSI_HASH_BYTES, leaf->bytes, leaf->head_bytes + size_bytes, NULL, 0);
}
