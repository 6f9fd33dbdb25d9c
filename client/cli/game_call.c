/* Why this file exists: see game_call.h. */
#include "client/cli/game_call.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/session.h"

enum fts_status ftsi_game_join(struct ftsi_cli *cli, struct ftsi_game_join *join, struct fts_error *out_error)
{
	Fts__Game__V1__JoinRequest request = FTS__GAME__V1__JOIN_REQUEST__INIT;
	Fts__Game__V1__JoinResponse *response = NULL;
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	request.match = (char *)join->match;
	if (join->name) request.name = (char *)join->name;
	request.seat = join->wanted_seat;
	enum fts_status st = fts_game_join(cli->channel, &request, &options, &response, out_error);
	ftsi_explain(cli, "Game/Join", &info);
	if (st != FTS_OK) return st;
	if (strlen(response->token) < sizeof(join->token)) {
		join->seat = response->seat;
		snprintf(join->token, sizeof(join->token), "%s", response->token);
	} else {
		st = fts_error_set(out_error, FTS_INTERNAL, "the server's token has %zu bytes, which is too long",
				   strlen(response->token));
	}
	fts__game__v1__join_response__free_unpacked(response, NULL);
	return st;
}

enum fts_status ftsi_game_show(struct fts_channel *channel, const char *match, const char *token,
			       const struct fts_call_options *options, Fts__Game__V1__ShowResponse **out_response,
			       struct fts_error *out_error)
{
	Fts__Game__V1__ShowRequest request = FTS__GAME__V1__SHOW_REQUEST__INIT;

	request.match = (char *)match;
	if (token) request.token = (char *)token;
	return fts_game_show(channel, &request, options, out_response, out_error);
}
