/* Why this file exists: see transition.h. Storing bets is in batch.c. */
#include "lottery/transition.h"

#include <inttypes.h>

#include "base/assert.h"

#define OPEN FTS__LOTTERY__V1__DRAW_STATE__OPEN
#define SEALED FTS__LOTTERY__V1__DRAW_STATE__SEALED
#define DRAWN FTS__LOTTERY__V1__DRAW_STATE__DRAWN

void ftsi_step_record(struct ftsi_step *step, struct ftsi_draw *draw, struct ftsi_record *record, struct fts_bytes bets)
{
	uint8_t *bytes, *end;
	FTS_ASSERT(step->record_count < FTSI_STEP_RECORD_COUNT_MAX);
	record->index = step->index;
	record->time_ms = step->time_ms;
	bytes = step->records[step->record_count].bytes;
	end = ftsi_record_put(bytes + FTSI_HASH_BYTES, record);
	ftsi_chain_next(draw->head, draw->name,
			(struct fts_bytes){bytes + FTSI_HASH_BYTES, (size_t)(end - bytes) - FTSI_HASH_BYTES});
	memcpy(bytes, draw->head, FTSI_HASH_BYTES);
	step->records[step->record_count].number = draw->record_count++;
	step->records[step->record_count].size_bytes = (size_t)(end - bytes);
	step->records[step->record_count].bets = bets;
	step->record_count++;
}

static void add_record(struct ftsi_step *step, struct ftsi_draw *draw, struct ftsi_record record)
{
	ftsi_step_record(step, draw, &record, (struct fts_bytes){NULL, 0});
}

static void add_event(struct ftsi_step *step, Fts__Lottery__V1__DrawState state, uint32_t agency_closed)
{
	FTS_ASSERT(step->event_count < FTSI_STEP_EVENT_COUNT_MAX);
	step->events[step->event_count].state = state;
	step->events[step->event_count++].agency_closed = agency_closed;
}

enum fts_status ftsi_agency_check(const struct ftsi_draw *draw, uint32_t agency, struct fts_error *error)
{
	if (agency >= 1 && agency <= draw->agencies) return FTS_OK;
	return fts_error_set(error, FTS_INVALID_ARGUMENT,
			     "agency: %u is not one of the %u agencies of draw %s (from 1)", agency, draw->agencies,
			     draw->name);
}

/* ---- Open ---- */

static enum fts_status check_terms(const Fts__Lottery__V1__OpenRequest *request, int64_t now_ms,
				   struct fts_error *error)
{
	if (!ftsi_draw_name_valid(request->draw))
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "draw: a name is 1 to 64 of a-z A-Z 0-9 . _ -");
	if (request->agencies < 1 || request->agencies > FTSI_AGENCY_COUNT_MAX)
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "agencies: %u is not 1 to %d", request->agencies,
				     FTSI_AGENCY_COUNT_MAX);
	if (request->fixed && request->number >= FTSI_NUMBER_COUNT)
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "number: %u is not 0 to %d", request->number,
				     FTSI_NUMBER_COUNT - 1);
	if (!request->fixed && request->number != 0)
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "number: %u is given, but the number is not fixed",
				     request->number);
	if (request->close_by_ms < 0 || (request->close_by_ms != 0 && request->close_by_ms <= now_ms))
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "close_by_ms: %" PRId64 " has passed",
				     request->close_by_ms);
	return FTS_OK;
}

static enum fts_status check_room(const struct ftsi_lottery *lottery, struct fts_error *error)
{
	if (lottery->next_id == UINT32_MAX)
		return fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "no more draws can be numbered");
	if (lottery->watched_count >= FTSI_WATCHED_COUNT_MAX)
		return fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "%d draws wait for their number: close some first",
				     FTSI_WATCHED_COUNT_MAX);
	return FTS_OK;
}

static void start_draw(const Fts__Lottery__V1__OpenRequest *request, struct ftsi_lottery *lottery,
		       struct ftsi_draw *draw)
{
	memset(draw, 0, sizeof *draw);
	memcpy(draw->name, request->draw, strlen(request->draw));
	draw->id = lottery->next_id++;
	draw->state = OPEN;
	draw->fixed = request->fixed;
	draw->number = request->number;
	draw->agencies = request->agencies;
	draw->close_by_ms = request->close_by_ms;
}

enum fts_status ftsi_open(const Fts__Lottery__V1__OpenRequest *request, struct ftsi_step *step,
			  struct ftsi_lottery *lottery, struct ftsi_draw *out_draw,
			  struct ftsi_commitments *out_commitments)
{
	enum fts_status status = check_terms(request, step->time_ms, &step->error);
	if (status == FTS_OK) status = check_room(lottery, &step->error);
	if (status != FTS_OK) return status;
	start_draw(request, lottery, out_draw);
	out_commitments->count = 0;
	out_commitments->revealed_count = 0;
	add_record(step, out_draw,
		   (struct ftsi_record){.kind = FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_OPEN,
					.agencies = request->agencies,
					.fixed = request->fixed,
					.number = request->number,
					.close_by_ms = request->close_by_ms});
	add_event(step, OPEN, 0);
	step->watched_changed = ftsi_draw_is_watched(out_draw);
	if (request->fixed || request->commitment == NULL) return FTS_OK;
	return ftsi_commit(request->commitment, step, out_draw, out_commitments);
}

enum fts_status ftsi_open_again(const Fts__Lottery__V1__OpenRequest *request, const struct ftsi_draw *draw,
				struct ftsi_step *step)
{
	if (request->agencies != draw->agencies)
		return fts_error_set(&step->error, FTS_ALREADY_EXISTS, "draw %s is there with %u agencies, not %u",
				     draw->name, draw->agencies, request->agencies);
	if (request->fixed != draw->fixed)
		return fts_error_set(&step->error, FTS_ALREADY_EXISTS, "draw %s is there with a number that is %s",
				     draw->name, draw->fixed ? "fixed" : "not fixed");
	if (draw->fixed && request->number != draw->number)
		return fts_error_set(&step->error, FTS_ALREADY_EXISTS, "draw %s is there with the number %u, not %u",
				     draw->name, draw->number, request->number);
	if (request->close_by_ms != draw->close_by_ms)
		return fts_error_set(&step->error, FTS_ALREADY_EXISTS,
				     "draw %s is there with close_by_ms %" PRId64 ", not %" PRId64, draw->name,
				     draw->close_by_ms, request->close_by_ms);
	return FTS_OK;
}

/* ---- Close and seal ---- */

static void seal(struct ftsi_step *step, struct ftsi_draw *draw, uint32_t agency_closed)
{
	struct ftsi_record record = {.kind = FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_SEAL};
	ftsi_merkle_root(&draw->tree, draw->root);
	memcpy(record.digest, draw->root, FTSI_HASH_BYTES);
	add_record(step, draw, record);
	memcpy(draw->seal_head, draw->head, FTSI_HASH_BYTES);
	draw->state = SEALED;
	draw->sealed_ms = step->time_ms;
	draw->seal_index = step->index;
	add_event(step, SEALED, agency_closed);
	step->watched_changed = true;
}

enum fts_status ftsi_close(const Fts__Lottery__V1__AgencyCloseRequest *request, struct ftsi_step *step,
			   struct ftsi_draw *draw, struct ftsi_agency *agency)
{
	enum fts_status status = ftsi_agency_check(draw, request->agency, &step->error);
	if (status != FTS_OK) return status;
	if (request->entropy.len > FTSI_ENTROPY_BYTES_MAX)
		return fts_error_set(&step->error, FTS_INVALID_ARGUMENT, "entropy: %zu bytes are more than %d",
				     request->entropy.len, FTSI_ENTROPY_BYTES_MAX);
	if (agency->closed || draw->state != OPEN) return FTS_OK;
	agency->closed = true;
	agency->entropy_bytes = (uint8_t)request->entropy.len;
	ftsi_put_bytes(agency->entropy, request->entropy.data, request->entropy.len);
	draw->agencies_closed++;
	add_record(step, draw,
		   (struct ftsi_record){.kind = FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_CLOSE,
					.agency = request->agency,
					.entropy = {agency->entropy, agency->entropy_bytes}});
	if (draw->agencies_closed == draw->agencies)
		seal(step, draw, request->agency);
	else
		add_event(step, OPEN, request->agency);
	return FTS_OK;
}

enum fts_status ftsi_expire(const Fts__Lottery__V1__ExpireCommand *command, struct ftsi_step *step,
			    struct ftsi_draw *draw, bool *out_waited)
{
	*out_waited = false;
	if (draw->state == DRAWN || (command->seal_index == 0 && draw->state != OPEN)) return FTS_OK;
	if (command->seal_index != 0) {
		if (draw->state != SEALED || command->seal_index != draw->seal_index ||
		    step->time_ms < draw->sealed_ms + FTSI_REVEAL_WAIT_MS)
			return fts_error_set(&step->error, FTS_FAILED_PRECONDITION,
					     "draw %s: the wait for secrets is not over", draw->name);
		*out_waited = true;
		return FTS_OK;
	}
	if (draw->close_by_ms == 0 || step->time_ms < draw->close_by_ms)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "draw %s: its time limit has not passed",
				     draw->name);
	seal(step, draw, 0);
	return FTS_OK;
}

/* ---- Commit and reveal ---- */

/* Where node is or belongs. */
static uint32_t place_of(const struct ftsi_commitments *commitments, const char *node)
{
	uint32_t place = 0;
	while (place < commitments->count && strcmp(commitments->of[place].node, node) < 0)
		place++;
	return place;
}

static bool is_at(const struct ftsi_commitments *commitments, uint32_t place, const char *node)
{
	return place < commitments->count && strcmp(commitments->of[place].node, node) == 0;
}

static enum fts_status check_commitment(const Fts__Lottery__V1__Commitment *commitment, const struct ftsi_draw *draw,
					struct fts_error *error)
{
	size_t node_size = strlen(commitment->node);
	if (node_size < 1 || node_size > FTSI_NODE_NAME_MAX || !ftsi_text_is_plain(commitment->node))
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "commitment.node: a name is 1 to %d bytes of UTF-8",
				     FTSI_NODE_NAME_MAX);
	if (commitment->hash.len != FTSI_HASH_BYTES)
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "commitment.hash: %zu bytes are not %d",
				     commitment->hash.len, FTSI_HASH_BYTES);
	if (draw->fixed)
		return fts_error_set(error, FTS_FAILED_PRECONDITION,
				     "draw %s has a fixed number: no secrets are needed", draw->name);
	return FTS_OK;
}

static enum fts_status check_new_commitment(const struct ftsi_draw *draw, const struct ftsi_commitments *commitments,
					    struct fts_error *error)
{
	if (draw->state != OPEN)
		return fts_error_set(error, FTS_FAILED_PRECONDITION, "draw %s is sealed: it takes no more commitments",
				     draw->name);
	if (commitments->count == FTSI_COMMITMENT_COUNT_MAX)
		return fts_error_set(error, FTS_RESOURCE_EXHAUSTED, "draw %s has %d commitments already", draw->name,
				     FTSI_COMMITMENT_COUNT_MAX);
	return FTS_OK;
}

enum fts_status ftsi_commit(const Fts__Lottery__V1__Commitment *commitment, struct ftsi_step *step,
			    struct ftsi_draw *draw, struct ftsi_commitments *commitments)
{
	uint32_t place = place_of(commitments, commitment->node);
	struct ftsi_commitment *at = &commitments->of[place];
	enum fts_status status = check_commitment(commitment, draw, &step->error);
	if (status != FTS_OK) return status;
	if (is_at(commitments, place, commitment->node)) {
		if (memcmp(at->hash, commitment->hash.data, FTSI_HASH_BYTES) == 0) return FTS_OK;
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "node %s has committed to another secret",
				     commitment->node);
	}
	if ((status = check_new_commitment(draw, commitments, &step->error)) != FTS_OK) return status;
	memmove(at + 1, at, (commitments->count - place) * sizeof *at);
	*at = (struct ftsi_commitment){0};
	memcpy(at->node, commitment->node, strlen(commitment->node));
	memcpy(at->hash, commitment->hash.data, FTSI_HASH_BYTES);
	commitments->count++;
	add_record(step, draw,
		   (struct ftsi_record){.kind = FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_COMMIT,
					.node = {(const uint8_t *)at->node, strlen(at->node)},
					.entropy = {at->hash, FTSI_HASH_BYTES}});
	step->watched_changed = true;
	return FTS_OK;
}

static enum fts_status check_secret(const Fts__Lottery__V1__RevealCommand *command,
				    const struct ftsi_commitment *commitment, struct fts_error *error)
{
	uint8_t hash[FTSI_HASH_BYTES];
	if (command->secret.len != FTSI_HASH_BYTES)
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "secret: %zu bytes are not %d", command->secret.len,
				     FTSI_HASH_BYTES);
	ftsi_secret_hash(command->secret.data, hash);
	if (memcmp(hash, commitment->hash, FTSI_HASH_BYTES) != 0)
		return fts_error_set(error, FTS_INVALID_ARGUMENT, "secret: it is not what node %s has committed to",
				     commitment->node);
	return FTS_OK;
}

enum fts_status ftsi_reveal(const Fts__Lottery__V1__RevealCommand *command, struct ftsi_step *step,
			    struct ftsi_draw *draw, struct ftsi_commitments *commitments)
{
	uint32_t place = place_of(commitments, command->node);
	struct ftsi_commitment *at = &commitments->of[place];
	enum fts_status status;
	if (!is_at(commitments, place, command->node))
		return fts_error_set(&step->error, FTS_NOT_FOUND, "draw %s has no commitment of this node", draw->name);
	if (draw->state == OPEN)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "draw %s is not sealed yet", draw->name);
	if ((status = check_secret(command, at, &step->error)) != FTS_OK || at->revealed || draw->state == DRAWN)
		return status;
	at->revealed = true;
	memcpy(at->secret, command->secret.data, FTSI_HASH_BYTES);
	commitments->revealed_count++;
	add_record(step, draw,
		   (struct ftsi_record){.kind = FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_REVEAL,
					.node = {(const uint8_t *)at->node, strlen(at->node)},
					.entropy = {at->secret, FTSI_HASH_BYTES}});
	step->watched_changed = true;
	return FTS_OK;
}

/* ---- The number ---- */

bool ftsi_number_is_due(const struct ftsi_draw *draw, const struct ftsi_commitments *commitments, bool waited)
{
	if (draw->state != SEALED) return false;
	return draw->fixed || waited || commitments->revealed_count == commitments->count;
}

void ftsi_number_make(struct ftsi_step *step, struct ftsi_draw *draw, const uint8_t seed[FTSI_HASH_BYTES])
{
	struct ftsi_record record = {.kind = FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_DRAW};
	FTS_ASSERT(draw->state == SEALED && draw->fixed == (seed == NULL));
	if (seed != NULL) {
		draw->number = ftsi_number_of(seed);
		memcpy(record.digest, seed, FTSI_HASH_BYTES);
	}
	record.number = draw->number;
	add_record(step, draw, record);
	draw->state = DRAWN;
	draw->draw_index = step->index;
	add_event(step, DRAWN, 0);
	step->watched_changed = true;
}
