/* Why this file exists: the commands that move a draw: load, transition (transition.c), store. Bets: apply_bets.c.
 *
 * Invariant: what this node can't load or store halts it; it is never the answer to a command. */
#include "lottery/service_internal.h"

#include <fts/lottery/v1/lottery.fts.h>

#include "base/assert.h"
#include "replica/fence.h"

/* One command that may change more of a draw than its bets. */
struct change {
	struct fts_apply *apply;
	struct fts_lottery *service;
	struct ftsi_step step;
	struct ftsi_draw draw;
	struct ftsi_commitments commitments;
	bool commitments_loaded;
	bool was_watched;
};

/* ---- Shared with apply_bets.c ---- */

enum fts_status ftsi_lottery_apply_broken(struct fts_apply *apply, enum fts_status status, const char *what)
{
	return fts_apply_refuse(apply, status == FTS_DATA_LOSS ? FTS_DATA_LOSS : FTS_INTERNAL,
				"lottery: %s can't be read or written (%s)", what, fts_status_name(status));
}

enum fts_status ftsi_lottery_apply_find(struct fts_apply *apply, const char *name, struct ftsi_draw *out_draw)
{
	enum fts_status status;
	if (!ftsi_draw_name_valid(name))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "draw: a name is 1 to 64 of a-z A-Z 0-9 . _ -");
	status = ftsi_draw_load(apply->txn, name, out_draw);
	if (status == FTS_NOT_FOUND) return fts_apply_refuse(apply, FTS_NOT_FOUND, "there is no draw %s", name);
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(apply, status, "a draw");
}

enum fts_status ftsi_lottery_apply_keep(struct fts_apply *apply, const struct ftsi_step *step,
					const struct ftsi_draw *draw)
{
	enum fts_status status = FTS_OK;
	for (uint32_t i = 0; i < step->record_count && status == FTS_OK; i++)
		status = ftsi_record_save(apply->txn, draw->id, step->records[i].number,
					  (struct fts_bytes){step->records[i].bytes, step->records[i].size_bytes},
					  step->records[i].bets);
	if (status == FTS_OK && step->record_count > 0) status = ftsi_draw_save(apply->txn, draw);
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(apply, status, "a draw");
}

/* ---- Loading ---- */

static enum fts_status refuse(struct change *change, enum fts_status status)
{
	return fts_apply_refuse(change->apply, status, "%s", change->step.error.detail);
}

static void start(struct change *change, struct fts_apply *apply, void *ctx)
{
	change->apply = apply;
	change->service = ctx;
	change->step.index = apply->index;
	change->step.time_ms = apply->time_ms;
	change->step.record_count = 0;
	change->step.event_count = 0;
	change->step.watched_changed = false;
	change->draw.id = 0;
	change->draw.state = FTS__LOTTERY__V1__DRAW_STATE__DRAW_UNKNOWN;
	change->commitments_loaded = false;
	change->was_watched = false;
}

static enum fts_status find(struct change *change, const char *name)
{
	enum fts_status status = ftsi_lottery_apply_find(change->apply, name, &change->draw);
	change->was_watched = status == FTS_OK && ftsi_draw_is_watched(&change->draw);
	return status;
}

static enum fts_status load_commitments(struct change *change)
{
	enum fts_status status;
	if (change->commitments_loaded) return FTS_OK;
	status = ftsi_commitments_load(change->apply->txn, change->draw.id, &change->commitments);
	change->commitments_loaded = status == FTS_OK;
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(change->apply, status, "a draw's commitments");
}

/* ---- The number ---- */

static enum fts_status add_entropies(struct change *change, struct ftsi_seed *seed, bool count_only,
				     uint32_t *out_count)
{
	struct fts_cursor *cursor = NULL;
	struct ftsi_agency agency;
	uint32_t number;
	enum fts_status status = ftsi_agency_scan(change->apply->txn, change->draw.id, &cursor);
	*out_count = 0;
	if (status != FTS_OK) return status;
	while (ftsi_agency_next(cursor, &number, &agency)) {
		if (agency.entropy_bytes == 0) continue;
		(*out_count)++;
		if (!count_only)
			ftsi_seed_entropy(seed, number, (struct fts_bytes){agency.entropy, agency.entropy_bytes});
	}
	status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

static enum fts_status make_seed(struct change *change, uint8_t out_seed[FTSI_HASH_BYTES])
{
	struct ftsi_seed seed;
	const struct ftsi_commitments *commitments = &change->commitments;
	uint32_t count;
	enum fts_status status = add_entropies(change, &seed, true, &count);
	if (status != FTS_OK) return ftsi_lottery_apply_broken(change->apply, status, "an agency");
	ftsi_seed_begin(&seed, change->draw.root, change->draw.seal_head);
	ftsi_seed_count(&seed, commitments->revealed_count);
	for (uint32_t i = 0; i < commitments->count; i++)
		if (commitments->of[i].revealed)
			ftsi_seed_secret(&seed, commitments->of[i].node, commitments->of[i].secret);
	ftsi_seed_count(&seed, count);
	status = add_entropies(change, &seed, false, &count);
	if (status != FTS_OK) return ftsi_lottery_apply_broken(change->apply, status, "an agency");
	ftsi_seed_end(&seed, out_seed);
	return FTS_OK;
}

/* Make the number if its time has come; waited: the wait for secrets is over. */
static enum fts_status settle(struct change *change, bool waited)
{
	uint8_t seed[FTSI_HASH_BYTES];
	enum fts_status status;
	if (change->draw.state != FTS__LOTTERY__V1__DRAW_STATE__SEALED) return FTS_OK;
	if ((status = load_commitments(change)) != FTS_OK) return status;
	if (!ftsi_number_is_due(&change->draw, &change->commitments, waited)) return FTS_OK;
	if (!change->draw.fixed && (status = make_seed(change, seed)) != FTS_OK) return status;
	ftsi_number_make(&change->step, &change->draw, change->draw.fixed ? NULL : seed);
	return FTS_OK;
}

/* ---- Storing ---- */

static enum fts_status publish(struct change *change, uint32_t i)
{
	Fts__Lottery__V1__DrawEvent event = FTS__LOTTERY__V1__DRAW_EVENT__INIT;
	struct ftsi_draw *draw = &change->draw;
	event.draw = draw->name;
	event.state = change->step.events[i].state;
	event.agency_closed = change->step.events[i].agency_closed;
	event.bets = draw->tree.count;
	if (event.state != FTS__LOTTERY__V1__DRAW_STATE__OPEN)
		event.root = (ProtobufCBinaryData){FTSI_HASH_BYTES, draw->root};
	if (event.state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN) event.number = draw->number;
	return fts_apply_publish(change->apply, fts_lottery_v1_draw_event_topic.name, &event.base);
}

static enum fts_status keep_watched(struct change *change, struct ftsi_lottery *lottery)
{
	struct fts_txn *txn = change->apply->txn;
	bool watched = ftsi_draw_is_watched(&change->draw);
	enum fts_status status = FTS_OK;
	if (watched && (status = load_commitments(change)) != FTS_OK) return status;
	lottery->watched_count += (watched ? 1u : 0u) - (change->was_watched ? 1u : 0u);
	lottery->version++;
	change->service->applied_version = lottery->version;
	if (watched)
		status = ftsi_watch_save(txn, &change->draw, &change->commitments);
	else if (change->was_watched)
		status = ftsi_watch_delete(txn, change->draw.id);
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(change->apply, status, "the list of open draws");
}

/* lottery: already loaded by whoever changed it, NULL otherwise. */
static enum fts_status keep(struct change *change, struct ftsi_lottery *lottery)
{
	struct ftsi_lottery loaded;
	enum fts_status status = ftsi_lottery_apply_keep(change->apply, &change->step, &change->draw);
	bool watching = change->step.watched_changed && (change->was_watched || ftsi_draw_is_watched(&change->draw));
	if (status == FTS_OK && watching && lottery == NULL) {
		status = ftsi_lottery_load(change->apply->txn, &loaded);
		lottery = &loaded;
		if (status != FTS_OK) return ftsi_lottery_apply_broken(change->apply, status, "the lottery's state");
	}
	if (status == FTS_OK && watching) status = keep_watched(change, lottery);
	if (status == FTS_OK && lottery != NULL && (status = ftsi_lottery_save(change->apply->txn, lottery)) != FTS_OK)
		return ftsi_lottery_apply_broken(change->apply, status, "the lottery's state");
	for (uint32_t i = 0; i < change->step.event_count && status == FTS_OK; i++)
		status = publish(change, i);
	if (status == FTS_OK && change->draw.state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN)
		ftsi_warm_note(change->service, change->draw.name);
	return status;
}

static enum fts_status keep_commitments(struct change *change)
{
	enum fts_status status = ftsi_commitments_save(change->apply->txn, change->draw.id, &change->commitments);
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(change->apply, status, "a draw's commitments");
}

/* ---- Open ---- */

struct fts_bytes ftsi_prepare_open(const ProtobufCMessage *message, struct fts_arena *arena, void *ctx,
				   struct fts_error *out_error)
{
	const struct fts_lottery *lottery = ctx;
	Fts__Lottery__V1__OpenRequest request = *(const Fts__Lottery__V1__OpenRequest *)(const void *)message;
	Fts__Lottery__V1__Commitment commitment = FTS__LOTTERY__V1__COMMITMENT__INIT;
	uint8_t secret[FTSI_HASH_BYTES], hash[FTSI_HASH_BYTES], *packed;
	request.commitment = NULL;
	if (!request.fixed && ftsi_draw_name_valid(request.draw)) {
		ftsi_secret_make(lottery->key, request.draw, secret);
		ftsi_secret_hash(secret, hash);
		sodium_memzero(secret, sizeof secret);
		commitment.node = (char *)lottery->node; /* only packed */
		commitment.hash = (ProtobufCBinaryData){sizeof hash, hash};
		request.commitment = &commitment;
	}
	packed = fts_arena_alloc(arena, fts__lottery__v1__open_request__get_packed_size(&request));
	if (packed == NULL) {
		fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for this call now: try later");
		return (struct fts_bytes){NULL, 0};
	}
	return (struct fts_bytes){packed, fts__lottery__v1__open_request__pack(&request, packed)};
}

static enum fts_status open_new(struct change *change, const Fts__Lottery__V1__OpenRequest *request)
{
	struct ftsi_lottery lottery;
	struct fts_txn *txn = change->apply->txn;
	enum fts_status status = ftsi_lottery_load(txn, &lottery);
	if (status != FTS_OK) return ftsi_lottery_apply_broken(change->apply, status, "the lottery's state");
	status = ftsi_open(request, &change->step, &lottery, &change->draw, &change->commitments);
	if (status != FTS_OK) return refuse(change, status);
	change->commitments_loaded = true;
	if ((status = ftsi_order_save(txn, &change->draw)) != FTS_OK)
		return ftsi_lottery_apply_broken(change->apply, status, "a draw");
	if (change->commitments.count > 0 && (status = keep_commitments(change)) != FTS_OK) return status;
	return keep(change, &lottery);
}

/* The answer outlives the change: the draw goes into the arena first. */
static enum fts_status answer_open(struct change *change, Fts__Lottery__V1__OpenResponse *response)
{
	struct fts_apply *apply = change->apply;
	struct ftsi_draw *draw = fts_arena_alloc(apply->arena, sizeof *draw);
	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	response->status = fts_arena_alloc(apply->arena, sizeof *response->status);
	if (draw != NULL && response->status != NULL) {
		*draw = change->draw;
		fts__lottery__v1__status_response__init(response->status);
		status = ftsi_status_fill(apply->txn, apply->arena, draw, response->status);
	}
	if (status == FTS_RESOURCE_EXHAUSTED)
		return fts_apply_refuse(apply, status, "the answer takes too much memory");
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(apply, status, "a draw");
}

enum fts_status ftsi_lottery_apply_open(struct fts_apply *apply, const ProtobufCMessage *message, ProtobufCMessage *out,
					void *ctx)
{
	const Fts__Lottery__V1__OpenRequest *request = (const void *)message;
	Fts__Lottery__V1__OpenResponse *response = (void *)out;
	struct change change;
	enum fts_status status;
	start(&change, apply, ctx);
	if ((status = fts_apply_check_fence(apply, request->if_fence)) != FTS_OK) return status;
	status = FTS_NOT_FOUND;
	if (ftsi_draw_name_valid(request->draw)) /* otherwise the transition says what is wrong */
		status = ftsi_draw_load(apply->txn, request->draw, &change.draw);
	response->existed = status == FTS_OK;
	if (status == FTS_NOT_FOUND) {
		status = open_new(&change, request);
	} else if (status == FTS_OK) {
		status = ftsi_open_again(request, &change.draw, &change.step);
		if (status != FTS_OK) return refuse(&change, status);
	} else {
		return ftsi_lottery_apply_broken(apply, status, "a draw");
	}
	return status == FTS_OK ? answer_open(&change, response) : status;
}

/* ---- AgencyClose ---- */

static enum fts_status load_agency(struct change *change, uint32_t number, struct ftsi_agency *out_agency)
{
	enum fts_status status = ftsi_agency_load(change->apply->txn, change->draw.id, number, out_agency);
	return status == FTS_OK ? FTS_OK : ftsi_lottery_apply_broken(change->apply, status, "an agency");
}

enum fts_status ftsi_lottery_apply_close(struct fts_apply *apply, const ProtobufCMessage *message,
					 ProtobufCMessage *out, void *ctx)
{
	const Fts__Lottery__V1__AgencyCloseRequest *request = (const void *)message;
	Fts__Lottery__V1__AgencyCloseResponse *response = (void *)out;
	struct change change;
	struct ftsi_agency agency;
	enum fts_status status;
	start(&change, apply, ctx);
	if ((status = fts_apply_check_fence(apply, request->if_fence)) != FTS_OK ||
	    (status = find(&change, request->draw)) != FTS_OK ||
	    (status = load_agency(&change, request->agency, &agency)) != FTS_OK)
		return status;
	if ((status = ftsi_close(request, &change.step, &change.draw, &agency)) != FTS_OK)
		return refuse(&change, status);
	if (change.step.record_count > 0) {
		status = ftsi_agency_save(apply->txn, change.draw.id, request->agency, &agency);
		if (status != FTS_OK) return ftsi_lottery_apply_broken(apply, status, "an agency");
		if ((status = settle(&change, false)) != FTS_OK || (status = keep(&change, NULL)) != FTS_OK)
			return status;
	}
	response->state = change.draw.state;
	if (change.draw.state == FTS__LOTTERY__V1__DRAW_STATE__OPEN)
		response->agencies_open = change.draw.agencies - change.draw.agencies_closed;
	return FTS_OK;
}

/* ---- What nodes do among themselves ---- */

enum fts_status ftsi_lottery_apply_commit(struct fts_apply *apply, const ProtobufCMessage *message,
					  ProtobufCMessage *out, void *ctx)
{
	const Fts__Lottery__V1__CommitCommand *command = (const void *)message;
	struct change change;
	enum fts_status status;
	(void)out;
	start(&change, apply, ctx);
	if (command->commitment == NULL) return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "commitment: is missing");
	if ((status = find(&change, command->draw)) != FTS_OK || (status = load_commitments(&change)) != FTS_OK)
		return status;
	if ((status = ftsi_commit(command->commitment, &change.step, &change.draw, &change.commitments)) != FTS_OK)
		return refuse(&change, status);
	if (change.step.record_count == 0) return FTS_OK;
	return (status = keep_commitments(&change)) == FTS_OK ? keep(&change, NULL) : status;
}

enum fts_status ftsi_lottery_apply_reveal(struct fts_apply *apply, const ProtobufCMessage *message,
					  ProtobufCMessage *out, void *ctx)
{
	const Fts__Lottery__V1__RevealCommand *command = (const void *)message;
	struct change change;
	enum fts_status status;
	(void)out;
	start(&change, apply, ctx);
	if ((status = find(&change, command->draw)) != FTS_OK || (status = load_commitments(&change)) != FTS_OK)
		return status;
	if ((status = ftsi_reveal(command, &change.step, &change.draw, &change.commitments)) != FTS_OK)
		return refuse(&change, status);
	if (change.step.record_count == 0) return FTS_OK;
	if ((status = keep_commitments(&change)) != FTS_OK || (status = settle(&change, false)) != FTS_OK)
		return status;
	return keep(&change, NULL);
}

enum fts_status ftsi_lottery_apply_expire(struct fts_apply *apply, const ProtobufCMessage *message,
					  ProtobufCMessage *out, void *ctx)
{
	const Fts__Lottery__V1__ExpireCommand *command = (const void *)message;
	struct change change;
	bool waited;
	enum fts_status status;
	(void)out;
	start(&change, apply, ctx);
	if ((status = find(&change, command->draw)) != FTS_OK) return status;
	if ((status = ftsi_expire(command, &change.step, &change.draw, &waited)) != FTS_OK)
		return refuse(&change, status);
	if ((status = settle(&change, waited)) != FTS_OK) return status;
	return change.step.record_count == 0 ? FTS_OK : keep(&change, NULL);
}
