/* Why this file exists: see service.h. */
#include "game/service.h"

#include <fts/game/v1/game.fts.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "game/service_internal.h"

static void set_methods(struct fts_games *game)
{
	const struct fts_machine_method methods[] = {
	    {.read = ftsi_game_read_rules},
	    {.apply = ftsi_game_apply_create, .prepare = ftsi_game_prepare_create},
	    {.apply = ftsi_game_apply_join, .prepare = ftsi_game_prepare_join},
	    {.apply = ftsi_game_apply_move},
	    {.apply = ftsi_game_apply_resign},
	    {.apply = ftsi_game_apply_rematch, .prepare = ftsi_game_prepare_rematch},
	    {.read = ftsi_game_read_show},
	    {.read = ftsi_game_read_list},
	    {.read = ftsi_game_read_watch},
	    {.read = ftsi_game_read_record},
	};
	const struct fts_machine_method clock_methods[] = {
	    {.apply = ftsi_game_apply_tick},
	    {.apply = ftsi_game_apply_resume},
	};
	_Static_assert(sizeof methods == sizeof game->methods, "one a method, in the service's order");
	_Static_assert(sizeof clock_methods == sizeof game->clock_methods, "one a method, in the service's order");
	FTS_ASSERT(fts_game_service.method_count == FTSI_GAME_METHOD_COUNT);
	FTS_ASSERT(fts_game_clock_service.method_count == FTSI_GAME_CLOCK_METHOD_COUNT);
	memcpy(game->methods, methods, sizeof methods);
	memcpy(game->clock_methods, clock_methods, sizeof clock_methods);
	game->machines[0] = (struct fts_machine){
	    .service = &fts_game_service, .methods = game->methods, .ctx = game, .on_turn = ftsi_game_turn};
	game->machines[1] = (struct fts_machine){
	    .service = &fts_game_clock_service, .methods = game->clock_methods, .internal = true, .ctx = game};
	game->machine_list[0] = &game->machines[0];
	game->machine_list[1] = &game->machines[1];
}

enum fts_status fts_games_create(struct fts_games **out_games, struct fts_error *out_error)
{
	struct fts_games *game;
	if (sodium_init() < 0) return fts_error_set(out_error, FTS_INTERNAL, "libsodium can't be initialised");
	game = calloc(1, sizeof *game);
	if (game == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the games");
	pthread_mutex_init(&game->lock, NULL);
	atomic_flag_clear(&game->counting);
	set_methods(game);
	*out_games = game;
	return FTS_OK;
}

const struct fts_machine *const *fts_games_machines(const struct fts_games *game, size_t *out_count)
{
	*out_count = FTSI_GAME_MACHINE_COUNT;
	return game->machine_list;
}

void fts_games_attach(struct fts_games *game, struct fts_replica *replica)
{
	pthread_mutex_lock(&game->lock);
	game->replica = replica;
	pthread_mutex_unlock(&game->lock);
}

void fts_games_detach(struct fts_games *game)
{
	fts_games_attach(game, NULL);
}

enum fts_status fts_games_serve(struct fts_games *game, struct fts_server *server, struct fts_error *out_error)
{
	return ftsi_game_tools_serve(game, server, out_error);
}

void fts_games_destroy(struct fts_games *game)
{
	if (game == NULL) return;
	FTS_ASSERT(game->replica == NULL);
	pthread_mutex_destroy(&game->lock);
	free(game);
}
