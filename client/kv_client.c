/* Why this file exists: see fts/kv.h; here: calls on keys, sent straight to who owns them.
 *
 * The map is asked for with the first call, which does not wait for it; an answer to a call under another epoch brings
 * the new one. An owner that can't be reached costs nothing more than a call without a map: the channel goes on to the
 * next server, and any node coordinates. */
#include <fts/kv.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/kv_map.h"

struct fts_kv_client {
	struct fts_channel *channel;
	struct ftsi_kv_map map;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	uint32_t open_count; /* guarded by lock, as all below; asynchronous calls whose callbacks have not ended */
	bool asked;          /* for the map; a question that failed is asked again */
};

/* ---- Open calls ---- */

static void enter(struct fts_kv_client *client)
{
	pthread_mutex_lock(&client->lock);
	client->open_count++;
	pthread_mutex_unlock(&client->lock);
}

static void leave(struct fts_kv_client *client)
{
	pthread_mutex_lock(&client->lock);
	if (--client->open_count == 0) pthread_cond_broadcast(&client->idle);
	pthread_mutex_unlock(&client->lock);
}

/* ---- The map ---- */

static void map_came(void *ctx, enum fts_status status, const Fts__Kv__V1__MapResponse *response,
		     const struct fts_error *error)
{
	struct fts_kv_client *client = ctx;
	(void)error;
	if (status == FTS_OK) ftsi_kv_map_take(&client->map, response, fts_clock_monotonic_ns());
	if (status != FTS_OK) {
		pthread_mutex_lock(&client->lock);
		client->asked = false;
		pthread_mutex_unlock(&client->lock);
	}
	leave(client);
}

static void ask_for_map(struct fts_kv_client *client)
{
	const Fts__Kv__V1__MapRequest request = FTS__KV__V1__MAP_REQUEST__INIT;
	pthread_mutex_lock(&client->lock);
	bool first = !client->asked;
	client->asked = true;
	if (first) client->open_count++;
	pthread_mutex_unlock(&client->lock);
	if (first && fts_kv_map_start(client->channel, &request, NULL, map_came, client, NULL) != FTS_OK)
		map_came(client, FTS_UNAVAILABLE, NULL, NULL);
}

/* Where a call goes. */
struct aim {
	struct fts_call_options options; /* to be called with: they point into the aim */
	char address[FTSI_KV_ADDRESS_MAX];
};

/* To the owner of key, unless the caller says where to; returns the epoch of the map that says so, 0: no map. */
static uint64_t aim_at(struct fts_kv_client *client, uint32_t db, ProtobufCBinaryData key,
		       const struct fts_call_options *options, struct aim *out_aim)
{
	uint32_t partition = fts_kv_partition(db, (struct fts_bytes){key.data, key.len});
	uint64_t epoch = ftsi_kv_map_owner(&client->map, partition, out_aim->address);
	out_aim->options = options == NULL ? (struct fts_call_options){0} : *options;
	if (epoch == 0)
		ask_for_map(client);
	else if (out_aim->options.endpoint == NULL)
		out_aim->options.endpoint = out_aim->address;
	return epoch;
}

/* ---- Blocking ---- */

enum fts_status fts_kv_client_set(struct fts_kv_client *client, const Fts__Kv__V1__SetRequest *request,
				  const struct fts_call_options *options, Fts__Kv__V1__SetResponse **out_response,
				  struct fts_error *out_error)
{
	struct aim aim;
	Fts__Kv__V1__SetRequest own = *request;
	own.epoch = aim_at(client, request->db, request->key, options, &aim);
	enum fts_status st = fts_kv_set(client->channel, &own, &aim.options, out_response, out_error);
	if (st == FTS_OK) ftsi_kv_map_take(&client->map, (*out_response)->map, fts_clock_monotonic_ns());
	return st;
}

enum fts_status fts_kv_client_get(struct fts_kv_client *client, const Fts__Kv__V1__GetRequest *request,
				  const struct fts_call_options *options, Fts__Kv__V1__GetResponse **out_response,
				  struct fts_error *out_error)
{
	struct aim aim;
	Fts__Kv__V1__GetRequest own = *request;
	own.epoch = aim_at(client, request->db, request->key, options, &aim);
	enum fts_status st = fts_kv_get(client->channel, &own, &aim.options, out_response, out_error);
	if (st == FTS_OK) ftsi_kv_map_take(&client->map, (*out_response)->map, fts_clock_monotonic_ns());
	return st;
}

enum fts_status fts_kv_client_delete(struct fts_kv_client *client, const Fts__Kv__V1__DeleteRequest *request,
				     const struct fts_call_options *options, Fts__Kv__V1__DeleteResponse **out_response,
				     struct fts_error *out_error)
{
	struct aim aim;
	Fts__Kv__V1__DeleteRequest own = *request;
	own.epoch = aim_at(client, request->db, request->key, options, &aim);
	enum fts_status st = fts_kv_delete(client->channel, &own, &aim.options, out_response, out_error);
	if (st == FTS_OK) ftsi_kv_map_take(&client->map, (*out_response)->map, fts_clock_monotonic_ns());
	return st;
}

/* ---- Asynchronous ---- */

/* Lives until its callback. */
struct started {
	struct fts_kv_client *client;
	fts_kv_set_done_fn set;
	fts_kv_get_done_fn get;
	fts_kv_delete_done_fn deleted;
	void *ctx;
};

static struct started *make_started(struct fts_kv_client *client, void *ctx)
{
	struct started *started = calloc(1, sizeof *started);
	if (started == NULL) return NULL;
	started->client = client;
	started->ctx = ctx;
	enter(client);
	return started;
}

/* The map first: the callback may start the next call. */
static struct started take_started(void *ctx, enum fts_status status, const Fts__Kv__V1__MapResponse *map)
{
	struct started started = *(struct started *)ctx;
	free(ctx);
	if (status == FTS_OK) ftsi_kv_map_take(&started.client->map, map, fts_clock_monotonic_ns());
	return started;
}

/* What the start of its call came to: a call that did not start has no callback. */
static enum fts_status was_started(struct started *started, enum fts_status status)
{
	if (status == FTS_OK) return FTS_OK;
	leave(started->client);
	free(started);
	return status;
}

static void set_ended(void *ctx, enum fts_status status, const Fts__Kv__V1__SetResponse *response,
		      const struct fts_error *error)
{
	struct started started = take_started(ctx, status, status == FTS_OK ? response->map : NULL);
	started.set(started.ctx, status, response, error);
	leave(started.client);
}

enum fts_status fts_kv_client_set_start(struct fts_kv_client *client, const Fts__Kv__V1__SetRequest *request,
					const struct fts_call_options *options, fts_kv_set_done_fn done, void *ctx,
					struct fts_call_id *out_id)
{
	struct aim aim;
	Fts__Kv__V1__SetRequest own = *request;
	struct started *started = make_started(client, ctx);
	if (started == NULL) return FTS_RESOURCE_EXHAUSTED;
	started->set = done;
	own.epoch = aim_at(client, request->db, request->key, options, &aim);
	return was_started(started, fts_kv_set_start(client->channel, &own, &aim.options, set_ended, started, out_id));
}

static void get_ended(void *ctx, enum fts_status status, const Fts__Kv__V1__GetResponse *response,
		      const struct fts_error *error)
{
	struct started started = take_started(ctx, status, status == FTS_OK ? response->map : NULL);
	started.get(started.ctx, status, response, error);
	leave(started.client);
}

enum fts_status fts_kv_client_get_start(struct fts_kv_client *client, const Fts__Kv__V1__GetRequest *request,
					const struct fts_call_options *options, fts_kv_get_done_fn done, void *ctx,
					struct fts_call_id *out_id)
{
	struct aim aim;
	Fts__Kv__V1__GetRequest own = *request;
	struct started *started = make_started(client, ctx);
	if (started == NULL) return FTS_RESOURCE_EXHAUSTED;
	started->get = done;
	own.epoch = aim_at(client, request->db, request->key, options, &aim);
	return was_started(started, fts_kv_get_start(client->channel, &own, &aim.options, get_ended, started, out_id));
}

static void delete_ended(void *ctx, enum fts_status status, const Fts__Kv__V1__DeleteResponse *response,
			 const struct fts_error *error)
{
	struct started started = take_started(ctx, status, status == FTS_OK ? response->map : NULL);
	started.deleted(started.ctx, status, response, error);
	leave(started.client);
}

enum fts_status fts_kv_client_delete_start(struct fts_kv_client *client, const Fts__Kv__V1__DeleteRequest *request,
					   const struct fts_call_options *options, fts_kv_delete_done_fn done,
					   void *ctx, struct fts_call_id *out_id)
{
	struct aim aim;
	Fts__Kv__V1__DeleteRequest own = *request;
	struct started *started = make_started(client, ctx);
	if (started == NULL) return FTS_RESOURCE_EXHAUSTED;
	started->deleted = done;
	own.epoch = aim_at(client, request->db, request->key, options, &aim);
	return was_started(started,
			   fts_kv_delete_start(client->channel, &own, &aim.options, delete_ended, started, out_id));
}

/* ---- Life ---- */

uint64_t fts_kv_client_epoch(struct fts_kv_client *client)
{
	pthread_mutex_lock(&client->map.lock);
	uint64_t epoch = client->map.epoch;
	pthread_mutex_unlock(&client->map.lock);
	return epoch;
}

enum fts_status fts_kv_client_create(struct fts_channel *channel, struct fts_kv_client **out_client,
				     struct fts_error *out_error)
{
	struct fts_kv_client *client = calloc(1, sizeof *client);
	if (client == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
	client->channel = channel;
	ftsi_kv_map_init(&client->map);
	pthread_mutex_init(&client->lock, NULL);
	pthread_cond_init(&client->idle, NULL);
	*out_client = client;
	return FTS_OK;
}

void fts_kv_client_destroy(struct fts_kv_client *client)
{
	if (client == NULL) return;
	pthread_mutex_lock(&client->lock);
	while (client->open_count > 0)
		pthread_cond_wait(&client->idle, &client->lock); /* every call ends by its time limit */
	pthread_mutex_unlock(&client->lock);
	pthread_cond_destroy(&client->idle);
	pthread_mutex_destroy(&client->lock);
	ftsi_kv_map_fini(&client->map);
	free(client);
}
