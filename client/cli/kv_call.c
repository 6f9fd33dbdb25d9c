/* Why this file exists: see kv_call.h. */
#include "client/cli/kv_call.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "client/cli/bytes.h"
#include "client/cli/session.h"

#define PAUSE_MS 50

/* ---- what the flags say ---- */

static bool has_flag(const struct ftsi_cli *cli, const char *name)
{
	const struct ftsi_flag *flags = cli->args.command->flags;

	for (size_t i = 0; i < FTSI_FLAGS_MAX && flags[i].name; i++)
		if (strcmp(flags[i].name, name) == 0) return true;
	return false;
}

static bool level_of(const char *text, bool writes, Fts__Kv__V1__Consistency *out_level)
{
	static const char *const names[] = {[FTS__KV__V1__CONSISTENCY__ONE] = "one",
					    [FTS__KV__V1__CONSISTENCY__QUORUM] = "quorum",
					    [FTS__KV__V1__CONSISTENCY__ALL] = "all",
					    [FTS__KV__V1__CONSISTENCY__ANY] = "any"};
	size_t count = sizeof(names) / sizeof(names[0]) - (writes ? 0 : 1);

	for (size_t i = FTS__KV__V1__CONSISTENCY__ONE; i < count; i++) {
		if (strcmp(text, names[i]) != 0) continue;
		*out_level = (Fts__Kv__V1__Consistency)i;
		return true;
	}
	return false;
}

enum fts_status ftsi_kv_place_read(const struct ftsi_cli *cli, bool writes, struct ftsi_kv_place *out_place,
				   struct fts_error *out_error)
{
	*out_place = (struct ftsi_kv_place){.level = FTS__KV__V1__CONSISTENCY__CONSISTENCY_DEFAULT};
	if (has_flag(cli, "db")) out_place->db = (uint32_t)ftsi_value_of(cli, "db")->number;
	if (!has_flag(cli, "consistency")) return FTS_OK;
	const char *text = ftsi_value_of(cli, "consistency")->text;
	if (level_of(text, writes, &out_place->level)) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--consistency: one, quorum%s, not \"%s\"",
			     writes ? ", all or any" : " or all", text);
}

enum fts_status ftsi_kv_key_read(const struct ftsi_cli *cli, struct ftsi_kv_place *place, struct fts_error *out_error)
{
	const char *text = cli->args.positionals[0];
	size_t size_bytes = strlen(text);

	place->key = (ProtobufCBinaryData){size_bytes, (uint8_t *)text};
	if (has_flag(cli, "key-base64") && ftsi_value_of(cli, "key-base64")->given) {
		place->key_bytes = malloc(size_bytes + 1);
		if (!place->key_bytes) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
		place->key.data = place->key_bytes;
		if (!ftsi_bytes_from_base64(text, place->key_bytes, &place->key.len))
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the key is not base64");
	}
	if (place->key.len > FTSI_KV_KEY_MAX_BYTES)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "key: at most %u bytes, not %zu",
				     FTSI_KV_KEY_MAX_BYTES, place->key.len);
	return FTS_OK;
}

void ftsi_kv_place_free(struct ftsi_kv_place *place)
{
	free(place->key_bytes);
	place->key_bytes = NULL;
}

/* ---- many keys ---- */

/* Operations that have not ended yet, by their place in the caller's list. */
struct batch {
	Fts__Kv__V1__BatchOp *ops[FTSI_KV_BATCH_MAX];
	size_t places[FTSI_KV_BATCH_MAX];
	size_t count;
	size_t window; /* sent in one call: fewer once the servers could not answer all */
	ftsi_kv_result_fn on_result;
	void *ctx;
};

/* A later try may end otherwise. */
static bool is_passing(uint32_t code)
{
	return code == FTS_UNAVAILABLE || code == FTS_DEADLINE_EXCEEDED || code == FTS_RESOURCE_EXHAUSTED;
}

/* Tell what has ended, keep the rest. */
static void take_results(struct batch *batch, const Fts__Kv__V1__BatchResponse *response, struct fts_error *error)
{
	size_t kept = 0, sent = response->n_results;

	for (size_t i = 0; i < sent; i++) {
		const Fts__Kv__V1__BatchResult *result = response->results[i];
		if (!is_passing(result->code)) {
			batch->on_result(batch->ctx, batch->places[i], result);
			continue;
		}
		if (kept == 0) (void)fts_error_set(error, (enum fts_status)result->code, "%s", result->detail);
		batch->ops[kept] = batch->ops[i];
		batch->places[kept++] = batch->places[i];
	}
	for (size_t i = sent; i < batch->count; i++) {
		batch->ops[kept + i - sent] = batch->ops[i];
		batch->places[kept + i - sent] = batch->places[i];
	}
	batch->count -= sent - kept;
	if (kept > 0) batch->window = sent - kept > 0 ? sent - kept : 1;
}

static enum fts_status send_batch(struct ftsi_cli *cli, struct batch *batch, uint32_t left_ms,
				  struct fts_error *out_error)
{
	Fts__Kv__V1__BatchRequest request = FTS__KV__V1__BATCH_REQUEST__INIT;
	Fts__Kv__V1__BatchResponse *response = NULL;
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);

	options.timeout_ms = left_ms;
	request.ops = batch->ops;
	request.n_ops = batch->count < batch->window ? batch->count : batch->window;
	enum fts_status st = fts_kv_batch(cli->channel, &request, &options, &response, out_error);
	ftsi_explain(cli, "Kv/Batch", &info);
	if (st != FTS_OK) return st;
	if (response->n_results == request.n_ops)
		take_results(batch, response, out_error);
	else
		st = fts_error_set(out_error, FTS_INTERNAL, "the server answered %zu of %zu operations",
				   response->n_results, request.n_ops);
	fts__kv__v1__batch_response__free_unpacked(response, NULL);
	return st;
}

enum fts_status ftsi_kv_batch(struct ftsi_cli *cli, Fts__Kv__V1__BatchOp *const *ops, size_t count,
			      ftsi_kv_result_fn on_result, void *ctx, struct fts_error *out_error)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	struct batch batch = {.count = count, .window = count, .on_result = on_result, .ctx = ctx};
	uint64_t patience_ns = cli->timeout_ms * 1000000ull, deadline_ns = fts_clock_monotonic_ns() + patience_ns;

	for (size_t i = 0; i < count; i++) {
		batch.ops[i] = ops[i];
		batch.places[i] = i;
	}
	while (batch.count > 0) {
		uint32_t left_ms = fts_clock_left_ms(fts_clock_monotonic_ns(), deadline_ns);
		size_t before = batch.count;
		if (left_ms == 0 && out_error->status == FTS_OK)
			return fts_error_set(out_error, FTS_DEADLINE_EXCEEDED, "the time limit passed before the call");
		if (left_ms == 0) return out_error->status;
		enum fts_status st = send_batch(cli, &batch, left_ms, out_error);
		if (st != FTS_OK) return st;
		if (batch.count == before)
			nanosleep(&pause, NULL);
		else
			deadline_ns = fts_clock_monotonic_ns() + patience_ns;
	}
	return FTS_OK;
}

enum fts_status ftsi_kv_keys_page(struct ftsi_cli *cli, const Fts__Kv__V1__KeysRequest *request,
				  Fts__Kv__V1__KeysResponse **out_response, struct fts_error *out_error)
{
	struct fts_call_info info;
	struct fts_call_options options = ftsi_call_options(cli, &info);
	enum fts_status st = fts_kv_keys(cli->channel, request, &options, out_response, out_error);

	ftsi_explain(cli, "Kv/Keys", &info);
	return st;
}
