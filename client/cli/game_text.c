/* Why this file exists: how matches are told; see game_text.h. Seats are counted from 0, on the wire,
 * in JSON and where people read, so that all speak of the same one; seat 0 moves first. */
#include "client/cli/game_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/utf8.h"
#include "client/cli/value.h"

const char *ftsi_game_state(Fts__Game__V1__State state)
{
	switch (state) {
	case FTS__GAME__V1__STATE__OPEN:
		return "OPEN";
	case FTS__GAME__V1__STATE__PLAYING:
		return "PLAYING";
	case FTS__GAME__V1__STATE__OVER:
		return "OVER";
	default:
		return "UNKNOWN";
	}
}

const char *ftsi_game_outcome(Fts__Game__V1__Outcome outcome)
{
	switch (outcome) {
	case FTS__GAME__V1__OUTCOME__ONGOING:
		return "ONGOING";
	case FTS__GAME__V1__OUTCOME__WON:
		return "WON";
	case FTS__GAME__V1__OUTCOME__DRAWN:
		return "DRAWN";
	default:
		return "UNKNOWN";
	}
}

const char *ftsi_game_reason(Fts__Game__V1__Reason reason)
{
	switch (reason) {
	case FTS__GAME__V1__REASON__BOARD:
		return "BOARD";
	case FTS__GAME__V1__REASON__RESIGNED:
		return "RESIGNED";
	case FTS__GAME__V1__REASON__TIME:
		return "TIME";
	default:
		return "NONE";
	}
}

/* ---- What strangers wrote ---- */

const char *ftsi_game_clean(char *buf, const char *text)
{
	return ftsi_utf8_clean(buf, FTSI_GAME_TEXT_MAX, text, false);
}

const char *ftsi_game_clean_board(char *buf, size_t size_bytes, const char *board)
{
	return ftsi_utf8_clean(buf, size_bytes, board, true);
}

json_t *ftsi_game_text_json(const char *text)
{
	char buf[FTSI_GAME_TEXT_MAX];

	return ftsi_json("s", ftsi_game_clean(buf, text));
}

json_t *ftsi_game_board_json(const char *board)
{
	char buf[FTSI_GAME_BOARD_BYTES];

	return ftsi_json("s", ftsi_game_clean_board(buf, sizeof(buf), board));
}

json_t *ftsi_game_seat_json(int32_t seat)
{
	return seat < 0 ? json_null() : json_integer(seat);
}

/* ---- A match ---- */

static json_t *seats_json(const Fts__Game__V1__ShowResponse *match)
{
	json_t *seats = ftsi_json("[]");

	for (size_t i = 0; i < match->n_seats; i++)
		json_array_append_new(
		    seats, ftsi_json("{s:o,s:b,s:I}", "name", ftsi_game_text_json(match->seats[i]->name), "taken",
				     match->seats[i]->taken, "left_ms", (json_int_t)match->seats[i]->left_ms));
	return seats;
}

static json_t *clock_json(const Fts__Game__V1__ClockTerms *clock)
{
	if (!clock || clock->initial_ms == 0) return json_null();
	return ftsi_json("{s:I,s:I}", "initial_ms", (json_int_t)clock->initial_ms, "increment_ms",
			 (json_int_t)clock->increment_ms);
}

json_t *ftsi_match_json(const Fts__Game__V1__ShowResponse *match, bool is_row)
{
	char hash[20];
	json_t *json =
	    ftsi_json("{s:o,s:o,s:s,s:I,s:o,s:s,s:o,s:s,s:o,s:o,s:o,s:I}", "match", ftsi_game_text_json(match->match),
		      "rules", ftsi_game_text_json(match->rules), "state", ftsi_game_state(match->state), "ply",
		      (json_int_t)match->ply, "turn", ftsi_game_seat_json(match->turn), "outcome",
		      ftsi_game_outcome(match->outcome), "winner", ftsi_game_seat_json(match->winner), "reason",
		      ftsi_game_reason(match->reason), "seats", seats_json(match), "clock", clock_json(match->clock),
		      "label", ftsi_game_text_json(match->label), "events", (json_int_t)match->events);

	snprintf(hash, sizeof(hash), "%016" PRIx64, match->hash);
	json_object_set_new(json, "hash", json_string(hash));
	json_object_set_new(json, "rematch", match->rematch[0] ? ftsi_game_text_json(match->rematch) : json_null());
	if (is_row) return json;
	json_t *legal = ftsi_json("[]");
	for (size_t i = 0; i < match->n_legal; i++)
		json_array_append_new(legal, ftsi_game_text_json(match->legal[i]));
	json_object_set_new(json, "board", ftsi_game_board_json(match->board));
	json_object_set_new(json, "legal", legal);
	json_object_set_new(json, "running_ms", json_integer((json_int_t)match->running_ms));
	return json;
}

/* The name at a seat of match, cleaned into buf. */
static const char *seat_name(char *buf, const Fts__Game__V1__ShowResponse *match, int32_t seat)
{
	if (seat < 0 || (size_t)seat >= match->n_seats) return "nobody";
	if (match->seats[seat]->name[0]) return ftsi_game_clean(buf, match->seats[seat]->name);
	snprintf(buf, FTSI_GAME_TEXT_MAX, "player %" PRId32, seat + 1);
	return buf;
}

const char *ftsi_match_sentence(char *buf, size_t size_bytes, const Fts__Game__V1__ShowResponse *match)
{
	char name[FTSI_GAME_TEXT_MAX];
	static const char *const why[] = {[FTS__GAME__V1__REASON__BOARD] = "",
					  [FTS__GAME__V1__REASON__RESIGNED] = ": the other resigned",
					  [FTS__GAME__V1__REASON__TIME] = " on time"};
	bool is_known = match->reason > 0 && (size_t)match->reason < sizeof(why) / sizeof(why[0]);

	if (match->state == FTS__GAME__V1__STATE__OPEN)
		snprintf(buf, size_bytes, "waiting for a player");
	else if (match->outcome == FTS__GAME__V1__OUTCOME__DRAWN)
		snprintf(buf, size_bytes, "drawn");
	else if (match->outcome == FTS__GAME__V1__OUTCOME__WON)
		snprintf(buf, size_bytes, "%s has won%s", seat_name(name, match, match->winner),
			 is_known ? why[match->reason] : "");
	else
		snprintf(buf, size_bytes, "%s is to move", seat_name(name, match, match->turn));
	return buf;
}

static void print_seats(const Fts__Game__V1__ShowResponse *match)
{
	char name[FTSI_GAME_TEXT_MAX], left[16];
	bool has_clock = match->clock && match->clock->initial_ms > 0;

	for (size_t i = 0; i < match->n_seats; i++) {
		const Fts__Game__V1__Seat *seat = match->seats[i];
		printf("seat %zu  %s", i, seat->taken ? seat_name(name, match, (int32_t)i) : "(free)");
		if (has_clock) printf("  %s", ftsi_game_clock_text(left, seat->left_ms));
		putchar('\n');
	}
}

static void print_legal(const Fts__Game__V1__ShowResponse *match)
{
	char move[FTSI_GAME_TEXT_MAX];

	if (match->n_legal == 0) return;
	printf("\nlegal  ");
	for (size_t i = 0; i < match->n_legal; i++)
		printf("%s%s", i ? " " : "", ftsi_game_clean(move, match->legal[i]));
	putchar('\n');
}

void ftsi_match_print(const Fts__Game__V1__ShowResponse *match)
{
	char text[FTSI_GAME_TEXT_MAX], sentence[FTSI_GAME_SENTENCE_BYTES], board[FTSI_GAME_BOARD_BYTES];
	size_t length;

	printf("match   %s\n", ftsi_game_clean(text, match->match));
	printf("rules   %s\n", ftsi_game_clean(text, match->rules));
	if (match->label[0]) printf("label   %s\n", ftsi_game_clean(text, match->label));
	printf("state   %s, %s\n", ftsi_game_state(match->state),
	       ftsi_match_sentence(sentence, sizeof(sentence), match));
	printf("moves   %" PRIu32 "\n", match->ply);
	print_seats(match);
	ftsi_game_clean_board(board, sizeof(board), match->board);
	length = strlen(board);
	printf("\n%s%s", board, length > 0 && board[length - 1] == '\n' ? "" : "\n");
	print_legal(match);
	if (match->rematch[0]) printf("\nrematch %s\n", ftsi_game_clean(text, match->rematch));
}

const char *ftsi_game_clock_text(char *buf, uint64_t left_ms)
{
	uint64_t seconds = left_ms / 1000;

	if (left_ms < 10000)
		snprintf(buf, 16, "0:0%u.%u", (unsigned)seconds, (unsigned)(left_ms / 100 % 10));
	else if (seconds < 3600)
		snprintf(buf, 16, "%u:%02u", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
	else
		snprintf(buf, 16, "%u:%02u:%02u", (unsigned)(seconds / 3600 % 100000), (unsigned)(seconds / 60 % 60),
			 (unsigned)(seconds % 60));
	return buf;
}
