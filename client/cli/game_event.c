/* Why this file exists: what happened in a match, as a JSON object and as a sentence; see game_text.h. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/game_text.h"
#include "client/cli/output.h"

/* json: owned; fields: owned. Both in one, fields behind. Returned. */
static json_t *with(json_t *json, json_t *fields)
{
	json_object_update(json, fields);
	json_decref(fields);
	return json;
}

static json_t *moved_json(const Fts__Game__V1__Moved *moved)
{
	return ftsi_json("{s:I,s:I,s:o,s:s,s:o,s:o,s:o,s:I}", "ply", (json_int_t)moved->ply, "seat",
			 (json_int_t)moved->seat, "move", ftsi_game_text_json(moved->move), "outcome",
			 ftsi_game_outcome(moved->outcome), "winner", ftsi_game_seat_json(moved->winner), "turn",
			 ftsi_game_seat_json(moved->turn), "board", ftsi_game_board_json(moved->board), "left_ms",
			 (json_int_t)moved->left_ms);
}

/* The fields of its kind, its name first. */
static json_t *kind_json(const Fts__Game__V1__MatchEvent *event)
{
	switch (event->kind_case) {
	case FTS__GAME__V1__MATCH_EVENT__KIND_CREATED:
		return ftsi_json("{s:s,s:o}", "event", "created", "rules", ftsi_game_text_json(event->created->rules));
	case FTS__GAME__V1__MATCH_EVENT__KIND_JOINED:
		return ftsi_json("{s:s,s:I,s:o}", "event", "joined", "seat", (json_int_t)event->joined->seat, "name",
				 ftsi_game_text_json(event->joined->name));
	case FTS__GAME__V1__MATCH_EVENT__KIND_MOVED:
		return with(ftsi_json("{s:s}", "event", "moved"), moved_json(event->moved));
	case FTS__GAME__V1__MATCH_EVENT__KIND_RESIGNED:
		return ftsi_json("{s:s,s:I,s:o}", "event", "resigned", "seat", (json_int_t)event->resigned->seat,
				 "winner", ftsi_game_seat_json(event->resigned->winner));
	case FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED:
		return ftsi_json("{s:s,s:I}", "event", "clock_paused", "paused_ms",
				 (json_int_t)event->clock_paused->paused_ms);
	case FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER:
		return ftsi_json("{s:s,s:I,s:o}", "event", "time_over", "seat", (json_int_t)event->time_over->seat,
				 "winner", ftsi_game_seat_json(event->time_over->winner));
	case FTS__GAME__V1__MATCH_EVENT__KIND_REMATCH_ASKED:
		return ftsi_json("{s:s,s:I,s:o}", "event", "rematch_asked", "seat",
				 (json_int_t)event->rematch_asked->seat, "rematch",
				 event->rematch_asked->match[0] ? ftsi_game_text_json(event->rematch_asked->match)
								: json_null());
	default: /* of a newer server */
		return ftsi_json("{s:s}", "event", "unknown");
	}
}

json_t *ftsi_match_event_json(const Fts__Game__V1__MatchEvent *event)
{
	return with(
	    ftsi_json("{s:o,s:I}", "match", ftsi_game_text_json(event->match), "number", (json_int_t)event->number),
	    kind_json(event));
}

int32_t ftsi_match_event_seat(const Fts__Game__V1__MatchEvent *event)
{
	switch (event->kind_case) {
	case FTS__GAME__V1__MATCH_EVENT__KIND_JOINED:
		return (int32_t)event->joined->seat;
	case FTS__GAME__V1__MATCH_EVENT__KIND_MOVED:
		return (int32_t)event->moved->seat;
	case FTS__GAME__V1__MATCH_EVENT__KIND_RESIGNED:
		return (int32_t)event->resigned->seat;
	case FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER:
		return (int32_t)event->time_over->seat;
	case FTS__GAME__V1__MATCH_EVENT__KIND_REMATCH_ASKED:
		return (int32_t)event->rematch_asked->seat;
	default:
		return -1;
	}
}

static const char *ending(const Fts__Game__V1__Moved *moved)
{
	if (moved->outcome == FTS__GAME__V1__OUTCOME__DRAWN) return ", which draws the match";
	if (moved->outcome != FTS__GAME__V1__OUTCOME__WON) return "";
	return moved->winner == (int32_t)moved->seat ? " and wins" : " and loses";
}

static void say_rematch(char *buf, const Fts__Game__V1__RematchAsked *asked, const char *who)
{
	char match[FTSI_GAME_TEXT_MAX];

	if (asked->match[0])
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES, "%s takes the rematch: it is %s", who,
			 ftsi_game_clean(match, asked->match));
	else
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES, "%s asks for a rematch", who);
}

const char *ftsi_match_event_text(char *buf, const Fts__Game__V1__MatchEvent *event, const char *who)
{
	char text[FTSI_GAME_TEXT_MAX];

	switch (event->kind_case) {
	case FTS__GAME__V1__MATCH_EVENT__KIND_CREATED:
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES, "a match of %s", ftsi_game_clean(text, event->created->rules));
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_JOINED:
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES, "%s takes seat %" PRIu32, who, event->joined->seat);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_MOVED:
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES, "move %" PRIu32 ": %s plays %s%s", event->moved->ply, who,
			 ftsi_game_clean(text, event->moved->move), ending(event->moved));
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_RESIGNED:
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES, "%s resigns", who);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_CLOCK_PAUSED:
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES,
			 "the clock stood still for about %" PRIu64 " ms: there was no leader",
			 event->clock_paused->paused_ms);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_TIME_OVER:
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES, "%s has no time left", who);
		break;
	case FTS__GAME__V1__MATCH_EVENT__KIND_REMATCH_ASKED:
		say_rematch(buf, event->rematch_asked, who);
		break;
	default:
		snprintf(buf, FTSI_GAME_SENTENCE_BYTES, "something that this program is too old to tell");
	}
	return buf;
}
