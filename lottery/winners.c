/* Why this file exists: see winners.h. */
#include "lottery/winners.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"

enum { KEPT_COUNT_MAX = 64 };

struct winner {
	struct winner *next;
	uint8_t size_bytes;
	char document[FTSI_DOCUMENT_BYTES_MAX];
};

struct list {
	struct winner *first, **last;
	uint64_t count;
};

enum kept_state { EMPTY, SCANNING, READY, TOO_LARGE };

struct kept {
	enum kept_state state;
	uint32_t id;
	uint32_t agency_count;
	uint32_t pin_count; /* threads that read it without the lock */
	bool stale;         /* of a state that is gone: not given to anybody who asks from now on */
	uint64_t used_at;   /* larger: later */
	struct fts_arena *arena;
	struct list *lists; /* one an agency, in arena */
};

struct ftsi_winners {
	struct fts_arena_pool *pool;
	size_t draw_bytes_max;
	pthread_mutex_t lock;
	pthread_cond_t scanned;
	uint64_t clock; /* guarded by lock, as is what follows */
	struct kept kept[KEPT_COUNT_MAX];
};

struct ftsi_winners *ftsi_winners_create(size_t memory_bytes)
{
	struct ftsi_winners *winners = calloc(1, sizeof *winners);
	if (winners == NULL) return NULL;
	winners->pool = fts_arena_pool_create(memory_bytes);
	if (winners->pool == NULL) {
		free(winners);
		return NULL;
	}
	winners->draw_bytes_max = memory_bytes / 2;
	pthread_mutex_init(&winners->lock, NULL);
	pthread_cond_init(&winners->scanned, NULL);
	return winners;
}

void ftsi_winners_destroy(struct ftsi_winners *winners)
{
	if (winners == NULL) return;
	for (int i = 0; i < KEPT_COUNT_MAX; i++)
		fts_arena_release(winners->kept[i].arena);
	fts_arena_pool_destroy(winners->pool);
	pthread_cond_destroy(&winners->scanned);
	pthread_mutex_destroy(&winners->lock);
	free(winners);
}

void ftsi_winners_forget(struct ftsi_winners *winners)
{
	pthread_mutex_lock(&winners->lock);
	for (int i = 0; i < KEPT_COUNT_MAX; i++)
		winners->kept[i].stale = winners->kept[i].state != EMPTY; /* its place is taken as the oldest's is */
	pthread_mutex_unlock(&winners->lock);
}

/* ---- Scanning ---- */

/* Called for each winning bet in the order of tickets; false: stop. */
typedef bool (*winner_fn)(void *ctx, uint32_t agency, struct fts_bytes document);

static bool scan_record(struct fts_bytes value, const struct ftsi_draw *draw, uint32_t only_agency, winner_fn found,
			void *ctx, bool *out_go_on)
{
	struct ftsi_reader reader = ftsi_reader_of(value.data, value.size_bytes);
	struct ftsi_record record;
	struct ftsi_bet_parts bet;
	uint8_t head[FTSI_HASH_BYTES];
	if (!ftsi_record_get(&reader, head, &record)) return false;
	if (only_agency != 0 && record.agency != only_agency) return true;
	for (uint32_t i = 0; i < record.bet_count && *out_go_on; i++) {
		if (!ftsi_bet_get(&reader, &bet) || bet.document.size_bytes > FTSI_DOCUMENT_BYTES_MAX) return false;
		if (bet.number == draw->number) *out_go_on = found(ctx, record.agency, bet.document);
	}
	return true;
}

static enum fts_status scan(struct fts_txn *view, const struct ftsi_draw *draw, uint32_t only_agency, winner_fn found,
			    void *ctx)
{
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	bool go_on = true, readable = true;
	enum fts_status status = ftsi_record_scan(view, draw->id, 0, &cursor);
	if (status != FTS_OK) return status;
	while (go_on && readable && fts_cursor_next(cursor, &key, &value))
		readable = scan_record(value, draw, only_agency, found, ctx, &go_on);
	status = readable ? fts_cursor_status(cursor) : FTS_DATA_LOSS;
	fts_cursor_close(cursor);
	return status;
}

/* ---- Keeping ---- */

struct keeping {
	struct kept *kept;
	bool full;
};

static bool keep_winner(void *ctx, uint32_t agency, struct fts_bytes document)
{
	struct keeping *keeping = ctx;
	struct list *list;
	struct winner *winner;
	if (agency < 1 || agency > keeping->kept->agency_count) return true;
	list = &keeping->kept->lists[agency - 1];
	winner = fts_arena_alloc(keeping->kept->arena, sizeof *winner);
	if (winner == NULL) {
		keeping->full = true;
		return false;
	}
	winner->next = NULL;
	winner->size_bytes = (uint8_t)document.size_bytes;
	memcpy(winner->document, document.data, document.size_bytes);
	*list->last = winner;
	list->last = &winner->next;
	list->count++;
	return true;
}

/* Fill kept (SCANNING: nobody else touches it). */
static enum fts_status fill(struct ftsi_winners *winners, struct kept *kept, struct fts_txn *view,
			    const struct ftsi_draw *draw, bool *out_full)
{
	struct keeping keeping = {.kept = kept};
	enum fts_status status = FTS_OK;
	kept->agency_count = draw->agencies;
	kept->arena = fts_arena_acquire(winners->pool, winners->draw_bytes_max);
	kept->lists = kept->arena == NULL ? NULL : fts_arena_calloc(kept->arena, draw->agencies * sizeof *kept->lists);
	keeping.full = kept->lists == NULL;
	for (uint32_t i = 0; i < draw->agencies && !keeping.full; i++)
		kept->lists[i].last = &kept->lists[i].first;
	if (!keeping.full) status = scan(view, draw, 0, keep_winner, &keeping);
	if (keeping.full || status != FTS_OK) {
		fts_arena_release(kept->arena);
		kept->arena = NULL;
	}
	*out_full = keeping.full;
	return status;
}

/* A place for another draw: an empty one, else the one asked for longest ago. NULL: all are in use. Under the lock. */
static struct kept *take_place(struct ftsi_winners *winners)
{
	struct kept *oldest = NULL;
	for (int i = 0; i < KEPT_COUNT_MAX; i++) {
		struct kept *kept = &winners->kept[i];
		if (kept->state == EMPTY) return kept;
		if (kept->state == SCANNING || kept->pin_count > 0) continue;
		if (oldest == NULL || kept->used_at < oldest->used_at) oldest = kept;
	}
	if (oldest != NULL) {
		fts_arena_release(oldest->arena);
		*oldest = (struct kept){0};
	}
	return oldest;
}

/* Free the draw asked for longest ago that holds memory. Under the lock. */
static bool drop_oldest(struct ftsi_winners *winners)
{
	struct kept *oldest = NULL;
	for (int i = 0; i < KEPT_COUNT_MAX; i++) {
		struct kept *kept = &winners->kept[i];
		if (kept->state == READY && kept->pin_count == 0 && (oldest == NULL || kept->used_at < oldest->used_at))
			oldest = kept;
	}
	if (oldest == NULL) return false;
	fts_arena_release(oldest->arena);
	*oldest = (struct kept){0};
	return true;
}

/* Scan for kept, without the lock; while memory is short, forget others first. Enters and leaves under the lock. */
static enum fts_status scan_into(struct ftsi_winners *winners, struct kept *kept, struct fts_txn *view,
				 const struct ftsi_draw *draw)
{
	enum fts_status status;
	bool full, again;
	kept->state = SCANNING;
	kept->id = draw->id;
	do {
		pthread_mutex_unlock(&winners->lock);
		status = fill(winners, kept, view, draw, &full);
		pthread_mutex_lock(&winners->lock);
		again = status == FTS_OK && full && drop_oldest(winners);
	} while (again);
	if (status != FTS_OK)
		*kept = (struct kept){0};
	else
		kept->state = full ? TOO_LARGE : READY;
	pthread_cond_broadcast(&winners->scanned);
	return status;
}

static struct kept *find(struct ftsi_winners *winners, uint32_t id)
{
	for (int i = 0; i < KEPT_COUNT_MAX; i++)
		if (winners->kept[i].state != EMPTY && !winners->kept[i].stale && winners->kept[i].id == id)
			return &winners->kept[i];
	return NULL;
}

/* draw's winners, pinned; *out_kept NULL: they are not kept, scan. Give them back with unpin. */
static enum fts_status pin(struct ftsi_winners *winners, struct fts_txn *view, const struct ftsi_draw *draw,
			   struct kept **out_kept)
{
	struct kept *kept;
	enum fts_status status = FTS_OK;
	pthread_mutex_lock(&winners->lock);
	while ((kept = find(winners, draw->id)) != NULL && kept->state == SCANNING)
		pthread_cond_wait(&winners->scanned, &winners->lock);
	if (kept == NULL && (kept = take_place(winners)) != NULL) status = scan_into(winners, kept, view, draw);
	*out_kept = NULL;
	if (status == FTS_OK && kept != NULL) {
		kept->used_at = ++winners->clock;
		if (kept->state == READY) {
			kept->pin_count++;
			*out_kept = kept;
		}
	}
	pthread_mutex_unlock(&winners->lock);
	return status;
}

static void unpin(struct ftsi_winners *winners, struct kept *kept)
{
	if (kept == NULL) return;
	pthread_mutex_lock(&winners->lock);
	FTS_ASSERT(kept->pin_count > 0);
	kept->pin_count--;
	pthread_mutex_unlock(&winners->lock);
}

/* ---- Answering ---- */

struct answer {
	struct ftsi_winners_query *query;
	struct fts_arena *arena;
	size_t capacity, used_bytes;
	bool exhausted;
};

static bool grow(struct answer *answer)
{
	struct ftsi_winners_query *query = answer->query;
	size_t capacity = answer->capacity == 0 ? 64 : answer->capacity * 4;
	char **documents;
	if (query->document_count < answer->capacity) return true;
	documents = fts_arena_alloc(answer->arena, capacity * sizeof *documents);
	if (documents == NULL) return false;
	if (query->document_count > 0) memcpy(documents, query->documents, query->document_count * sizeof *documents);
	query->documents = documents;
	answer->capacity = capacity;
	return true;
}

/* winner_fn: counts every winner, and takes those of the page. */
static bool take(void *ctx, uint32_t agency, struct fts_bytes document)
{
	struct answer *answer = ctx;
	struct ftsi_winners_query *query = answer->query;
	uint64_t place = query->total++;
	(void)agency;
	if (place < query->from || query->cut) return true;
	if (query->count_max != 0 && query->document_count >= query->count_max) return true;
	answer->used_bytes += document.size_bytes + 2;
	if (answer->used_bytes > query->bytes_max) {
		query->cut = true;
		return true;
	}
	if (!grow(answer) || (query->documents[query->document_count] =
				  fts_arena_copy(answer->arena, document.data, document.size_bytes)) == NULL) {
		answer->exhausted = true;
		return false;
	}
	query->document_count++;
	return true;
}

static void take_kept(const struct kept *kept, struct answer *answer)
{
	uint32_t agency = answer->query->agency;
	const struct list *list = &kept->lists[agency - 1];
	for (const struct winner *at = list->first; at != NULL; at = at->next)
		if (!take(answer, agency, (struct fts_bytes){(const uint8_t *)at->document, at->size_bytes})) return;
}

enum fts_status ftsi_winners_find(struct ftsi_winners *winners, struct fts_txn *view, const struct ftsi_draw *draw,
				  struct ftsi_winners_query *query, struct fts_arena *arena)
{
	struct answer answer = {.query = query, .arena = arena};
	struct kept *kept;
	enum fts_status status = pin(winners, view, draw, &kept);
	FTS_ASSERT(query->agency >= 1 && query->agency <= draw->agencies);
	if (status == FTS_OK && kept != NULL)
		take_kept(kept, &answer);
	else if (status == FTS_OK)
		status = scan(view, draw, query->agency, take, &answer);
	unpin(winners, kept);
	return status == FTS_OK && answer.exhausted ? FTS_RESOURCE_EXHAUSTED : status;
}

enum fts_status ftsi_winners_warm(struct ftsi_winners *winners, struct fts_txn *view, const struct ftsi_draw *draw)
{
	struct kept *kept = NULL;
	enum fts_status status = pin(winners, view, draw, &kept);
	unpin(winners, kept);
	return status;
}
