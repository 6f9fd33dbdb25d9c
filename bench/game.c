/* Why this file exists: see game.h. As many matches of gomoku as calls in flight: each is one chain of calls, the next
 * started from the callback of the one before. Stones are put row by row; the board knows when somebody has won, and
 * the chain begins another match. Only moves are counted; making matches and joining them takes its time, too. */
#include "bench/game.h"

#include "bench/measure.h"
#include "bench/node.h"

#include <fts/rpc.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fts/game/v1/game.fts.h"

enum { SIDE = 15, SEATS = 2 };

struct connection {
	const struct bench_options *options;
	struct fts_channel *channel;
	uint64_t end_ns;
	atomic_uint running;
	pthread_mutex_t lock;
	struct measure measure; /* guarded by lock */
};

struct chain {
	struct connection *connection;
	uint64_t sent_ns;
	char match[16];
	char tokens[SEATS][32];
	uint32_t joined;
	uint32_t ply;
};

static void create_done(void *ctx, enum fts_status status, const Fts__Game__V1__CreateResponse *response,
                        const struct fts_error *error);
static void join_done(void *ctx, enum fts_status status, const Fts__Game__V1__JoinResponse *response,
                      const struct fts_error *error);
static void move_done(void *ctx, enum fts_status status, const Fts__Game__V1__MoveResponse *response,
                      const struct fts_error *error);
static void show_done(void *ctx, enum fts_status status, const Fts__Game__V1__ShowResponse *response,
                      const struct fts_error *error);

/* ---- The next call ---- */

static enum fts_status start_create(struct chain *chain)
{
	Fts__Game__V1__CreateRequest request = FTS__GAME__V1__CREATE_REQUEST__INIT;
	chain->joined = 0;
	chain->ply = 0;
	request.rules = (char *)"gomoku";
	return fts_game_create_start(chain->connection->channel, &request, NULL, create_done, chain, NULL);
}

static enum fts_status start_join(struct chain *chain)
{
	Fts__Game__V1__JoinRequest request = FTS__GAME__V1__JOIN_REQUEST__INIT;
	request.match = chain->match;
	return fts_game_join_start(chain->connection->channel, &request, NULL, join_done, chain, NULL);
}

static enum fts_status start_move(struct chain *chain)
{
	Fts__Game__V1__MoveRequest request = FTS__GAME__V1__MOVE_REQUEST__INIT;
	char move[16];
	snprintf(move, sizeof move, "%c%u", (char)('a' + chain->ply % SIDE), chain->ply / SIDE + 1);
	request.match = chain->match;
	request.token = chain->tokens[chain->ply % SEATS];
	request.move = move;
	request.ply = chain->ply + 1;
	return fts_game_move_start(chain->connection->channel, &request, NULL, move_done, chain, NULL);
}

static enum fts_status start_show(struct chain *chain)
{
	Fts__Game__V1__ShowRequest request = FTS__GAME__V1__SHOW_REQUEST__INIT;
	request.match = chain->match;
	return fts_game_show_start(chain->connection->channel, &request, NULL, show_done, chain, NULL);
}

static enum fts_status start_next(struct chain *chain)
{
	if (chain->match[0] == 0) return start_create(chain);
	if (chain->joined < SEATS) return start_join(chain);
	return chain->connection->options->reads ? start_show(chain) : start_move(chain);
}

/* ---- What came of it ---- */

static void go_on(struct chain *chain)
{
	struct connection *connection = chain->connection;
	chain->sent_ns = measure_now_ns();
	if (chain->sent_ns < connection->end_ns && start_next(chain) == FTS_OK) return;
	atomic_fetch_sub(&connection->running, 1);
}

/* Anything refused: the chain begins another match. */
static void count(struct chain *chain, bool ok, bool is_measured)
{
	struct connection *connection = chain->connection;
	pthread_mutex_lock(&connection->lock);
	if (!ok)
		connection->measure.error_count++;
	else if (is_measured)
		measure_add(&connection->measure, measure_now_ns() - chain->sent_ns);
	pthread_mutex_unlock(&connection->lock);
	if (!ok) chain->match[0] = 0;
}

static void create_done(void *ctx, enum fts_status status, const Fts__Game__V1__CreateResponse *response,
                        const struct fts_error *error)
{
	struct chain *chain = ctx;
	(void)error;
	if (status == FTS_OK) snprintf(chain->match, sizeof chain->match, "%s", response->match);
	count(chain, status == FTS_OK, false);
	go_on(chain);
}

static void join_done(void *ctx, enum fts_status status, const Fts__Game__V1__JoinResponse *response,
                      const struct fts_error *error)
{
	struct chain *chain = ctx;
	(void)error;
	if (status == FTS_OK && response->seat < SEATS)
		snprintf(chain->tokens[response->seat], sizeof chain->tokens[0], "%s", response->token);
	chain->joined++;
	count(chain, status == FTS_OK, false);
	go_on(chain);
}

static void move_done(void *ctx, enum fts_status status, const Fts__Game__V1__MoveResponse *response,
                      const struct fts_error *error)
{
	struct chain *chain = ctx;
	(void)error;
	chain->ply++;
	count(chain, status == FTS_OK && response->ply == chain->ply, true);
	if (status == FTS_OK && response->outcome != FTS__GAME__V1__OUTCOME__ONGOING) chain->match[0] = 0;
	go_on(chain);
}

static void show_done(void *ctx, enum fts_status status, const Fts__Game__V1__ShowResponse *response,
                      const struct fts_error *error)
{
	struct chain *chain = ctx;
	(void)error;
	count(chain, status == FTS_OK && response->ply == chain->ply, true);
	go_on(chain);
}

/* ---- The measurement ---- */

static bool start_connection(struct connection *connection, struct chain *chains, uint32_t number,
                             const char *endpoint)
{
	const struct bench_options *options = connection->options;
	struct fts_channel_options channel_options = {.endpoints = endpoint};
	struct fts_error error;
	pthread_mutex_init(&connection->lock, NULL);
	if (fts_channel_open(&channel_options, &connection->channel, &error) != FTS_OK) {
		fprintf(stderr, "fts-bench: %s\n", error.detail);
		return false;
	}
	connection->end_ns = measure_now_ns() + options->seconds * 1000000000ull;
	for (uint32_t i = number; i < options->outstanding; i += options->clients) {
		chains[i].connection = connection;
		atomic_fetch_add(&connection->running, 1);
		go_on(&chains[i]);
	}
	return true;
}

static void wait_for(struct connection *connection)
{
	const struct timespec step = {.tv_nsec = 1000000};
	while (atomic_load(&connection->running) > 0) nanosleep(&step, NULL);
}

static bool run(const struct bench_options *options, const char *endpoint, struct measure *out_measure)
{
	struct connection *connections = calloc(options->clients, sizeof *connections);
	struct chain *chains = calloc(options->outstanding, sizeof *chains);
	bool ok = connections != NULL && chains != NULL;
	for (uint32_t i = 0; ok && i < options->clients; i++) {
		connections[i].options = options;
		ok = start_connection(&connections[i], chains, i, endpoint);
	}
	for (uint32_t i = 0; connections != NULL && i < options->clients && connections[i].channel != NULL; i++) {
		wait_for(&connections[i]);
		measure_merge(out_measure, &connections[i].measure);
		fts_channel_close(connections[i].channel);
	}
	free(chains);
	free(connections);
	return ok;
}

int bench_game(const struct bench_options *options)
{
	struct bench_node node = {0};
	if (options->endpoints == NULL && !bench_node_start(&node)) return 1;
	const char *endpoint = options->endpoints ? options->endpoints : node.endpoint;
	struct measure measure = {0};
	double cpu_before_s = measure_cpu_s(node.pid);
	bool ok = run(options, endpoint, &measure);
	double cpu_s = measure_cpu_s(node.pid) - cpu_before_s;
	bench_node_stop(&node);
	if (ok) measure_print(&measure, "fts", options->seconds, cpu_s, options->json);
	return ok && measure.error_count == 0 ? 0 : 1;
}
