/* Why this file exists: the lottery's text protocol as pure functions: bytes in, packets out, no I/O, no memory of
 * its own. The sockets are in server/lottery_text.c, the fuzz harness in server/lottery_text_fuzz.c.
 *
 *   StoreBet:agency;first;last;document;birth;number
 *   StoreBatch:agency;first;last;document;birth;number:first;last;document;birth;number:...
 *   AgencyClose:agency
 *   WinnersRequest:agency
 *
 * Invariants: a line is at most FTSI_TEXT_LINE_MAX bytes with its line end; nothing outside the given bytes is
 * read or written; every string of a packet is valid UTF-8 without zero bytes and lies in the line.
 * Which values are right is for the lottery to say (lottery/validate.h): here only what can't be read is told. */
#ifndef FTS_SERVER_LOTTERY_TEXT_PARSE_H
#define FTS_SERVER_LOTTERY_TEXT_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FTSI_TEXT_LINE_MAX 8192
/* The shortest bet that is separated from the next one is ";;;;:". */
#define FTSI_TEXT_BETS_MAX (FTSI_TEXT_LINE_MAX / 5)

enum ftsi_text_kind {
	FTSI_TEXT_STORE_BET,
	FTSI_TEXT_STORE_BATCH,
	FTSI_TEXT_AGENCY_CLOSE,
	FTSI_TEXT_WINNERS_REQUEST,
};

/* Strings are borrowed from the line that was parsed. */
struct ftsi_text_bet {
	char *first_name;
	char *last_name;
	char *document;
	char *birthdate;
	uint32_t number;
};

struct ftsi_text_packet {
	enum ftsi_text_kind kind;
	uint32_t agency;
	bool faulty; /* a bet's number is not digits: the packet can only be refused */
	size_t bet_count;
	struct ftsi_text_bet bets[FTSI_TEXT_BETS_MAX];
};

enum ftsi_text_line {
	FTSI_TEXT_LINE_WHOLE,    /* *out_line_bytes without its line end, *out_used_bytes with it */
	FTSI_TEXT_LINE_PARTIAL,  /* more bytes are needed */
	FTSI_TEXT_LINE_OVERSIZE, /* no line end within FTSI_TEXT_LINE_MAX bytes */
};

/* Find the first line in bytes (borrowed). scanned_bytes: how many of them are known to hold no line end. */
enum ftsi_text_line ftsi_text_line_find(const char *bytes, size_t size_bytes, size_t scanned_bytes,
					size_t *out_line_bytes, size_t *out_used_bytes);

/* Take a line apart. line: borrowed and written to (separators become zero bytes); line[size_bytes] is writable too:
 * it is where the line end was. out_packet: complete when true; otherwise undefined. */
bool ftsi_text_parse(char *line, size_t size_bytes, struct ftsi_text_packet *out_packet);

#endif
