/* Why this file exists: see batch.h. */
#include "lottery/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/assert.h"

enum { REASON_BYTES_MAX = 320 };

/* ---- Verdicts: the slow path ---- */

static Fts__Lottery__V1__RowVerdict *add_verdict(struct ftsi_batch *batch, uint32_t row, size_t fault_count_max,
						 struct fts_arena *arena)
{
	Fts__Lottery__V1__RowVerdict *verdict = fts_arena_alloc(arena, sizeof *verdict);
	if (batch->verdicts == NULL) batch->verdicts = fts_arena_alloc(arena, batch->count * sizeof(void *));
	if (verdict == NULL || batch->verdicts == NULL) return NULL;
	fts__lottery__v1__row_verdict__init(verdict);
	verdict->row = row;
	verdict->faults = fts_arena_alloc(arena, fault_count_max * sizeof(void *));
	if (verdict->faults == NULL) return NULL;
	batch->verdicts[batch->refused_count++] = verdict;
	return verdict;
}

static enum fts_status add_fault(Fts__Lottery__V1__RowVerdict *verdict, const char *field, const char *reason,
				 struct fts_arena *arena)
{
	Fts__Lottery__V1__FieldFault *fault = fts_arena_alloc(arena, sizeof *fault);
	char *copy = fts_arena_copy(arena, reason, strlen(reason));
	if (fault == NULL || copy == NULL) return FTS_RESOURCE_EXHAUSTED;
	fts__lottery__v1__field_fault__init(fault);
	fault->field = (char *)field; /* protobuf-c has no const strings; packing only reads */
	fault->reason = copy;
	verdict->faults[verdict->n_faults++] = fault;
	return FTS_OK;
}

static size_t fault_count(const struct ftsi_bet_faults *faults)
{
	size_t count = 0;
	for (int field = 0; field < FTSI_BET_FIELD_COUNT; field++)
		count += (size_t)__builtin_popcount(faults->of[field]);
	return count;
}

static enum fts_status refuse_faulty(struct ftsi_batch *batch, uint32_t row, const struct ftsi_bet_faults *faults,
				     struct fts_arena *arena)
{
	Fts__Lottery__V1__RowVerdict *verdict = add_verdict(batch, row, fault_count(faults), arena);
	enum fts_status status = verdict == NULL ? FTS_RESOURCE_EXHAUSTED : FTS_OK;
	for (int i = 0; i < FTSI_BET_FIELD_COUNT * FTSI_FAULT_COUNT && status == FTS_OK; i++) {
		enum ftsi_bet_field field = (enum ftsi_bet_field)(i / FTSI_FAULT_COUNT);
		enum ftsi_bet_fault fault = (enum ftsi_bet_fault)(1 << (i % FTSI_FAULT_COUNT));
		char reason[REASON_BYTES_MAX];
		if ((faults->of[field] & fault) == 0) continue;
		ftsi_bet_fault_text(batch->bets[row], field, fault, reason, sizeof reason);
		status = add_fault(verdict, ftsi_bet_field_name(field), reason, arena);
	}
	return status;
}

static enum fts_status refuse_changed(struct ftsi_batch *batch, uint32_t row, struct fts_arena *arena)
{
	char reason[REASON_BYTES_MAX];
	Fts__Lottery__V1__RowVerdict *verdict = add_verdict(batch, row, 1, arena);
	if (verdict == NULL) return FTS_RESOURCE_EXHAUSTED;
	(void)snprintf(reason, sizeof reason,
		       "row %" PRIu64
		       " of import %.*s was stored before with other content; give what has changed another "
		       "import name",
		       batch->first_row + row, (int)batch->import.size_bytes, (const char *)batch->import.data);
	return add_fault(verdict, "row", reason, arena);
}

void ftsi_verdict_text(const Fts__Lottery__V1__RowVerdict *verdict, char *buf, size_t size_bytes)
{
	size_t used = 0;
	buf[0] = '\0';
	for (size_t i = 0; i < verdict->n_faults && used + 1 < size_bytes; i++) {
		int wrote = snprintf(buf + used, size_bytes - used, "%s%s: %s", i == 0 ? "" : "; ",
				     verdict->faults[i]->field, verdict->faults[i]->reason);
		used += wrote > 0 ? (size_t)wrote : 0;
	}
}

/* ---- Reading ---- */

enum row_fate { STORE, ALREADY, CHANGED };

static uint8_t *print_of(const struct ftsi_batch *batch, uint32_t row)
{
	uint64_t at = batch->first_row + row;
	struct ftsi_page *page = &batch->pages[at / FTSI_PAGE_ROW_COUNT - batch->pages[0].number];
	FTS_ASSERT(page < batch->pages + batch->page_count);
	return page->prints[at % FTSI_PAGE_ROW_COUNT];
}

/* What becomes of a good row of an import whose bet has these bytes; marks it stored. */
static enum row_fate judge_row(const struct ftsi_batch *batch, uint32_t row, const uint8_t *bytes, size_t size_bytes)
{
	static const uint8_t none[8];
	uint8_t print[8], *kept = print_of(batch, row);
	uint64_t hash = XXH3_64bits(bytes, size_bytes);
	ftsi_put_u64(print, hash == 0 ? 1 : hash);
	if (memcmp(kept, print, sizeof print) == 0) return ALREADY;
	if (memcmp(kept, none, sizeof none) != 0) return CHANGED;
	memcpy(kept, print, sizeof print);
	batch->pages[(batch->first_row + row) / FTSI_PAGE_ROW_COUNT - batch->pages[0].number].changed = true;
	return STORE;
}

struct row {
	bool good;
	union {
		struct ftsi_bet_size size;     /* good */
		struct ftsi_bet_faults faults; /* otherwise */
	};
};

/* Bytes of all good rows. */
static size_t check_rows(const struct ftsi_batch *batch, uint32_t today, struct row *rows)
{
	size_t size_bytes = 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct ftsi_bet_size size;
		rows[i].good = ftsi_bet_check(batch->bets[i], today, &size, &rows[i].faults);
		if (!rows[i].good) continue;
		rows[i].size = size;
		size_bytes += ftsi_bet_bytes(&size);
	}
	return size_bytes;
}

/* One good row: its bytes at `at`, and the place behind them when it is to be stored. */
static enum fts_status write_row(struct ftsi_batch *batch, uint32_t i, const struct ftsi_bet_size *size,
				 struct fts_arena *arena, uint8_t **at)
{
	uint8_t *end = ftsi_bet_put(*at, batch->bets[i], size);
	enum row_fate fate = batch->pages == NULL ? STORE : judge_row(batch, i, *at, (size_t)(end - *at));
	if (fate == CHANGED) return refuse_changed(batch, i, arena);
	if (fate == ALREADY) {
		batch->already_count++;
		return FTS_OK;
	}
	batch->sizes[batch->stored_count++] = (uint16_t)(end - *at);
	*at = end;
	return FTS_OK;
}

enum fts_status ftsi_batch_read(struct ftsi_batch *batch, uint32_t today, struct fts_arena *arena)
{
	uint8_t *at;
	enum fts_status status = FTS_OK;
	struct row *rows = fts_arena_alloc(arena, batch->count * sizeof *rows);
	batch->sizes = fts_arena_alloc(arena, batch->count * sizeof *batch->sizes);
	if (rows == NULL || batch->sizes == NULL) return FTS_RESOURCE_EXHAUSTED;
	at = batch->bytes = fts_arena_alloc(arena, check_rows(batch, today, rows));
	if (at == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (uint32_t i = 0; i < batch->count && status == FTS_OK; i++)
		status = rows[i].good ? write_row(batch, i, &rows[i].size, arena, &at)
				      : refuse_faulty(batch, i, &rows[i].faults, arena);
	batch->size_bytes = (size_t)(at - batch->bytes);
	return status;
}

/* ---- Adding ---- */

enum fts_status ftsi_batch_check_open(const struct ftsi_draw *draw, uint32_t number, const struct ftsi_agency *agency,
				      struct ftsi_step *step)
{
	bool late = draw->close_by_ms != 0 && step->time_ms >= draw->close_by_ms;
	if (agency->closed)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION, "agency %u of draw %s has closed", number,
				     draw->name);
	if (draw->state != FTS__LOTTERY__V1__DRAW_STATE__OPEN || late)
		return fts_error_set(&step->error, FTS_FAILED_PRECONDITION,
				     "agency %u of draw %s was closed at the draw's time limit", number, draw->name);
	return FTS_OK;
}

enum fts_status ftsi_batch_add(const struct ftsi_batch *batch, struct ftsi_draw *draw, uint32_t number,
			       struct ftsi_agency *agency, struct ftsi_step *step, struct fts_arena *arena,
			       uint64_t *out_first_ticket)
{
	struct ftsi_leaf leaf;
	struct ftsi_record record = {.kind = FTS__LOTTERY__V1__CHAIN_KIND__CHAIN_BETS,
				     .agency = number,
				     .first_ticket = draw->tree.count + 1,
				     .bet_count = batch->stored_count};
	const uint8_t *bet = batch->bytes;
	uint8_t *hashes = fts_arena_alloc(arena, (size_t)batch->stored_count * FTSI_HASH_BYTES);
	FTS_ASSERT(batch->stored_count > 0);
	if (hashes == NULL) return FTS_RESOURCE_EXHAUSTED;
	ftsi_leaf_init(&leaf, draw->name, number);
	for (uint32_t i = 0; i < batch->stored_count; i++) {
		uint8_t *hash = hashes + (size_t)i * FTSI_HASH_BYTES;
		ftsi_leaf_hash(&leaf, record.first_ticket + i, bet, batch->sizes[i], hash);
		ftsi_merkle_add(&draw->tree, hash);
		bet += batch->sizes[i];
	}
	(void)crypto_generichash(record.digest, FTSI_HASH_BYTES, hashes, (size_t)batch->stored_count * FTSI_HASH_BYTES,
				 NULL, 0);
	ftsi_step_record(step, draw, &record, (struct fts_bytes){batch->bytes, batch->size_bytes});
	agency->bet_count += batch->stored_count;
	*out_first_ticket = record.first_ticket;
	return FTS_OK;
}
