/* Why this file exists: see server/lottery_text_parse.h. The line is cut in place: each separator becomes the zero
 * byte that ends the field before it, so a packet costs no copies. */
#include "server/lottery_text_parse.h"

#include <string.h>

enum ftsi_text_line ftsi_text_line_find(const char *bytes, size_t size_bytes, size_t scanned_bytes,
					size_t *out_line_bytes, size_t *out_used_bytes)
{
	size_t visible = size_bytes < FTSI_TEXT_LINE_MAX ? size_bytes : FTSI_TEXT_LINE_MAX;
	if (scanned_bytes > visible) scanned_bytes = visible;
	const char *end = memchr(bytes + scanned_bytes, '\n', visible - scanned_bytes);
	if (end == NULL) return visible == FTSI_TEXT_LINE_MAX ? FTSI_TEXT_LINE_OVERSIZE : FTSI_TEXT_LINE_PARTIAL;
	*out_used_bytes = (size_t)(end - bytes) + 1;
	*out_line_bytes = *out_used_bytes - 1;
	if (*out_line_bytes > 0 && bytes[*out_line_bytes - 1] == '\r') (*out_line_bytes)--;
	return FTSI_TEXT_LINE_WHOLE;
}

/* Bytes of the UTF-8 sequence at `at`, 0 when it is none. Source: RFC 3629 section 4. */
static size_t utf8_sequence_bytes(const unsigned char *at, size_t left_bytes)
{
	static const struct {
		unsigned char first_from, first_to, second_from, second_to, size_bytes;
	} forms[] = {
	    {0x01, 0x7F, 0x00, 0x00, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
	    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
	    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (at[0] < forms[i].first_from || at[0] > forms[i].first_to) continue;
		if (forms[i].size_bytes > left_bytes) return 0;
		if (forms[i].size_bytes > 1 && (at[1] < forms[i].second_from || at[1] > forms[i].second_to)) return 0;
		for (size_t k = 2; k < forms[i].size_bytes; k++)
			if ((at[k] & 0xC0) != 0x80) return 0;
		return forms[i].size_bytes;
	}
	return 0;
}

static bool is_text(const char *line, size_t size_bytes)
{
	for (size_t at = 0; at < size_bytes;) {
		size_t step = utf8_sequence_bytes((const unsigned char *)line + at, size_bytes - at);
		if (step == 0) return false;
		at += step;
	}
	return true;
}

/* Cut off what stands before the first `separator` of *at; NULL: there is none. */
static char *cut(char **at, char separator)
{
	char *field = *at;
	char *end = strchr(field, separator);
	if (end == NULL) return NULL;
	*end = '\0';
	*at = end + 1;
	return field;
}

/* Digits only, no sign, no blanks; leading zeros are fine. */
static bool read_number(const char *text, uint32_t *out_number)
{
	uint64_t value = 0;
	if (*text == '\0') return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9') return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > UINT32_MAX) return false;
	}
	*out_number = (uint32_t)value;
	return true;
}

static bool read_kind(const char *name, enum ftsi_text_kind *out_kind)
{
	static const struct {
		const char *name;
		enum ftsi_text_kind kind;
	} kinds[] = {
	    {"StoreBet", FTSI_TEXT_STORE_BET},
	    {"StoreBatch", FTSI_TEXT_STORE_BATCH},
	    {"AgencyClose", FTSI_TEXT_AGENCY_CLOSE},
	    {"WinnersRequest", FTSI_TEXT_WINNERS_REQUEST},
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(name, kinds[i].name) == 0) {
			*out_kind = kinds[i].kind;
			return true;
		}
	}
	return false;
}

/* bet: "first;last;document;birth;number", nothing behind it. */
static bool read_bet(char *bet, struct ftsi_text_packet *packet)
{
	struct ftsi_text_bet *out = &packet->bets[packet->bet_count];
	if (packet->bet_count == FTSI_TEXT_BETS_MAX || (out->first_name = cut(&bet, ';')) == NULL ||
	    (out->last_name = cut(&bet, ';')) == NULL || (out->document = cut(&bet, ';')) == NULL ||
	    (out->birthdate = cut(&bet, ';')) == NULL || strchr(bet, ';') != NULL)
		return false;
	if (!read_number(bet, &out->number)) {
		out->number = UINT32_MAX;
		packet->faulty = true;
	}
	packet->bet_count++;
	return true;
}

static bool read_bets(char *rest, struct ftsi_text_packet *packet)
{
	char *bet;
	while ((bet = cut(&rest, ':')) != NULL) {
		if (packet->kind == FTSI_TEXT_STORE_BET || !read_bet(bet, packet)) return false;
	}
	return read_bet(rest, packet);
}

bool ftsi_text_parse(char *line, size_t size_bytes, struct ftsi_text_packet *out_packet)
{
	if (!is_text(line, size_bytes)) return false;
	line[size_bytes] = '\0';
	char *rest = line;
	const char *kind = cut(&rest, ':');
	if (kind == NULL || !read_kind(kind, &out_packet->kind)) return false;
	out_packet->bet_count = 0;
	out_packet->faulty = false;
	if (out_packet->kind == FTSI_TEXT_AGENCY_CLOSE || out_packet->kind == FTSI_TEXT_WINNERS_REQUEST)
		return read_number(rest, &out_packet->agency);
	const char *agency = cut(&rest, ';');
	return agency != NULL && read_number(agency, &out_packet->agency) && read_bets(rest, out_packet);
}
