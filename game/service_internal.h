/* Why this file exists: the inside of the service, shared by the files that load, store, read and propose.
 *
 * | file           | what it does                                              | thread        |
 * | change.c       | what all commands share: load, advance the clocks, keep    | loop          |
 * | apply.c        | Create, Join, Move, Resign, Rematch                       | loop          |
 * | apply_clock.c  | Tick, Resume                                              | loop          |
 * | read.c         | Rules, Show, List                                         | readers       |
 * | read_events.c  | Watch, Record                                             | readers       |
 * | turn.c         | what a leader does of itself                              | loop          |
 * | tools.c        | Perft, Replay                                             | server's pool |
 */
#ifndef FTS_GAME_SERVICE_INTERNAL_H
#define FTS_GAME_SERVICE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "game/service.h"
#include "game/state.h"

enum { FTSI_GAME_MACHINE_COUNT = 2, FTSI_GAME_METHOD_COUNT = 10, FTSI_GAME_CLOCK_METHOD_COUNT = 2 };

struct fts_games {
	/* Read-only once created. */
	struct fts_machine machines[FTSI_GAME_MACHINE_COUNT];
	const struct fts_machine *machine_list[FTSI_GAME_MACHINE_COUNT];
	struct fts_machine_method methods[FTSI_GAME_METHOD_COUNT];
	struct fts_machine_method clock_methods[FTSI_GAME_CLOCK_METHOD_COUNT];

	/* Loop. Hints only: what is done follows from the store. */
	bool led; /* as of the last turn */
	int64_t tick_at_ms, look_at_ms;

	pthread_mutex_t lock;
	struct fts_replica *replica; /* guarded by lock */

	atomic_flag counting; /* a perft runs: one at a time */
};

/* ---- change.c: one command ---- */

struct ftsi_game_change {
	struct fts_apply *apply;
	struct ftsi_game game;
	bool game_changed;
	struct ftsi_match match;
	struct ftsi_match_step step;
};

/* Load the service and advance game time. Errors: broken. */
FTS_MUST_USE enum fts_status ftsi_change_begin(struct ftsi_game_change *change, struct fts_apply *apply);
/* Load the match of this name. Errors: NOT_FOUND, broken. */
FTS_MUST_USE enum fts_status ftsi_change_find(struct ftsi_game_change *change, const char *name);
/* Whose seat token opens. Errors: PERMISSION_DENIED. */
FTS_MUST_USE enum fts_status ftsi_change_seat(struct ftsi_game_change *change, const char *token, uint32_t *out_seat);
/* A name nobody has, from entropy. Errors: INVALID_ARGUMENT (entropy), RESOURCE_EXHAUSTED, broken. */
FTS_MUST_USE enum fts_status ftsi_change_name(struct ftsi_game_change *change, ProtobufCBinaryData entropy,
					      struct ftsi_match_name *out_name);
/* match is new: give it its place, if need be for the oldest that is over. Errors: RESOURCE_EXHAUSTED, broken. */
FTS_MUST_USE enum fts_status ftsi_change_admit(struct ftsi_game_change *change, struct ftsi_match *match);
/* Store a match and what step did to it, and publish it. Errors: RESOURCE_EXHAUSTED (events), broken. */
FTS_MUST_USE enum fts_status ftsi_change_keep(struct ftsi_game_change *change, struct ftsi_match *match,
					      const struct ftsi_match_step *step);
/* Forget a match and all of its. Errors: broken. */
FTS_MUST_USE enum fts_status ftsi_change_drop(struct ftsi_game_change *change, const struct ftsi_match *match);
/* Store the service, if it changed. */
FTS_MUST_USE enum fts_status ftsi_change_end(struct ftsi_game_change *change);
/* A transition's refusal becomes the command's. */
enum fts_status ftsi_change_refuse(struct ftsi_game_change *change, enum fts_status status);
/* Turn a failed load or store into what halts this replica. */
enum fts_status ftsi_change_broken(struct ftsi_game_change *change, enum fts_status status, const char *what);
/* An empty step at the command's time. */
struct ftsi_match_step ftsi_change_step(const struct ftsi_game_change *change);

/* ---- apply.c, apply_clock.c, read.c, read_events.c: ctx is struct fts_games ---- */

enum fts_status ftsi_game_apply_create(struct fts_apply *apply, const ProtobufCMessage *request,
				       ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_game_apply_join(struct fts_apply *apply, const ProtobufCMessage *request,
				     ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_game_apply_move(struct fts_apply *apply, const ProtobufCMessage *request,
				     ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_game_apply_resign(struct fts_apply *apply, const ProtobufCMessage *request,
				       ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_game_apply_rematch(struct fts_apply *apply, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_game_apply_tick(struct fts_apply *apply, const ProtobufCMessage *request,
				     ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_game_apply_resume(struct fts_apply *apply, const ProtobufCMessage *request,
				       ProtobufCMessage *response, void *ctx);

enum fts_status ftsi_game_read_rules(struct fts_read *read, const ProtobufCMessage *request, ProtobufCMessage *response,
				     void *ctx);
enum fts_status ftsi_game_read_show(struct fts_read *read, const ProtobufCMessage *request, ProtobufCMessage *response,
				    void *ctx);
enum fts_status ftsi_game_read_list(struct fts_read *read, const ProtobufCMessage *request, ProtobufCMessage *response,
				    void *ctx);
enum fts_status ftsi_game_read_watch(struct fts_read *read, const ProtobufCMessage *request, ProtobufCMessage *response,
				     void *ctx);
enum fts_status ftsi_game_read_record(struct fts_read *read, const ProtobufCMessage *request,
				      ProtobufCMessage *response, void *ctx);
/* Load the match of this name. Errors: NOT_FOUND, or what ftsi_game_read_broken says. */
FTS_MUST_USE enum fts_status ftsi_game_read_find(struct fts_read *read, const char *name, struct ftsi_match *out_match);
enum fts_status ftsi_game_read_broken(struct fts_read *read, enum fts_status status);

/* Put entropy into the request: nobody else may choose it. */
struct fts_bytes ftsi_game_prepare_create(const ProtobufCMessage *request, struct fts_arena *arena, void *ctx,
					  struct fts_error *out_error);
struct fts_bytes ftsi_game_prepare_join(const ProtobufCMessage *request, struct fts_arena *arena, void *ctx,
					struct fts_error *out_error);
struct fts_bytes ftsi_game_prepare_rematch(const ProtobufCMessage *request, struct fts_arena *arena, void *ctx,
					   struct fts_error *out_error);

/* ---- turn.c, tools.c ---- */

void ftsi_game_turn(void *ctx, struct fts_txn *view, bool leader, int64_t now_ms);
enum fts_status ftsi_game_tools_serve(struct fts_games *game, struct fts_server *server, struct fts_error *out_error);

#endif
