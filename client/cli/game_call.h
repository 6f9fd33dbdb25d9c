/* Why this file exists: calls of the game that more than one command makes. */
#ifndef FTSI_GAME_CALL_H
#define FTSI_GAME_CALL_H

#include "client/cli/command.h"
#include "client/cli/game_token.h"
#include "fts/game/v1/game.fts.h"

struct ftsi_game_join {
	const char *match;    /* borrowed */
	const char *name;     /* of the player, borrowed; NULL: the server's choice */
	uint32_t wanted_seat; /* + 1; 0: the first free one */
	uint32_t seat;        /* filled */
	char token[FTSI_GAME_TOKEN_BYTES];
};

/* Take a seat. Errors: the server's. Thread: main. */
FTS_MUST_USE enum fts_status ftsi_game_join(struct ftsi_cli *cli, struct ftsi_game_join *join,
					    struct fts_error *out_error);

/* The match as it stands, on channel. token: to be told whose it is; NULL: none. All borrowed.
 * out_response: returned. Errors: the server's. Thread: any. */
FTS_MUST_USE enum fts_status ftsi_game_show(struct fts_channel *channel, const char *match, const char *token,
					    const struct fts_call_options *options,
					    Fts__Game__V1__ShowResponse **out_response, struct fts_error *out_error);

#endif
