/* Why this file exists: see replica/session.h, which has the table of the byte format. */
#include "replica/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fts/replica/v1/log.pb-c.h"
#include "replica/bytes.h"
#include "replica/tables.h"
#include "store/key.h"

#define NONE UINT32_MAX
enum { BUCKET_COUNT = 32768, HEAD_BYTES = 20, KEY_BYTES = 14, PAYLOAD_TAG = 0x12 };

struct client {
	uint64_t client_id;
	uint64_t floor, highest;
	uint64_t index; /* of its last executed command, with ordinal and time */
	int64_t time_ms;
	uint64_t *places; /* sequence of the answer in each; owned */
	uint32_t place_count, place_capacity;
	uint32_t ordinal;
	uint32_t older, newer; /* by last executed command; newer also chains the free ones */
	uint32_t next;         /* in its bucket */
};

struct ftsi_sessions {
	uint32_t buckets[BUCKET_COUNT];
	uint32_t oldest, newest, free;
	uint32_t used_count; /* clients ever taken out of the array */
	uint32_t client_count, place_count;
	struct client clients[FTSI_SESSION_CLIENT_MAX + 1]; /* untouched ones are not resident */
};

struct ftsi_sessions *ftsi_sessions_create(void)
{
	struct ftsi_sessions *sessions = calloc(1, sizeof *sessions);
	if (sessions == NULL) return NULL;
	memset(sessions->buckets, 0xFF, sizeof sessions->buckets);
	sessions->oldest = sessions->newest = sessions->free = NONE;
	return sessions;
}

void ftsi_sessions_destroy(struct ftsi_sessions *sessions)
{
	if (sessions == NULL) return;
	for (uint32_t at = 0; at < sessions->used_count; at++)
		free(sessions->clients[at].places);
	free(sessions);
}

uint32_t ftsi_sessions_client_count(const struct ftsi_sessions *sessions)
{
	return sessions->client_count;
}

uint32_t ftsi_sessions_place_count(const struct ftsi_sessions *sessions)
{
	return sessions->place_count;
}

/* ---- The index of clients ---- */

static uint32_t bucket_of(uint64_t client_id)
{
	return (uint32_t)(client_id * 0x9E3779B97F4A7C15u >> 49) % BUCKET_COUNT;
}

static uint32_t find(const struct ftsi_sessions *sessions, uint64_t client_id)
{
	uint32_t at = sessions->buckets[bucket_of(client_id)];
	while (at != NONE && sessions->clients[at].client_id != client_id)
		at = sessions->clients[at].next;
	return at;
}

static void unlink_age(struct ftsi_sessions *sessions, uint32_t at)
{
	const struct client *client = &sessions->clients[at];
	if (client->older == NONE)
		sessions->oldest = client->newer;
	else
		sessions->clients[client->older].newer = client->newer;
	if (client->newer == NONE)
		sessions->newest = client->older;
	else
		sessions->clients[client->newer].older = client->older;
}

static void link_newest(struct ftsi_sessions *sessions, uint32_t at)
{
	struct client *client = &sessions->clients[at];
	client->older = sessions->newest;
	client->newer = NONE;
	if (sessions->newest == NONE)
		sessions->oldest = at;
	else
		sessions->clients[sessions->newest].newer = at;
	sessions->newest = at;
}

static uint32_t add_client(struct ftsi_sessions *sessions, uint64_t client_id)
{
	uint32_t at = sessions->free, *bucket = &sessions->buckets[bucket_of(client_id)];
	if (at != NONE) {
		sessions->free = sessions->clients[at].newer;
	} else {
		FTS_ASSERT(sessions->used_count <= FTSI_SESSION_CLIENT_MAX);
		at = sessions->used_count++;
	}
	sessions->clients[at] = (struct client){.client_id = client_id, .next = *bucket};
	*bucket = at;
	sessions->client_count++;
	link_newest(sessions, at);
	return at;
}

static void remove_client(struct ftsi_sessions *sessions, uint32_t at)
{
	struct client *client = &sessions->clients[at];
	uint32_t *link = &sessions->buckets[bucket_of(client->client_id)];
	while (*link != at)
		link = &sessions->clients[*link].next;
	*link = client->next;
	unlink_age(sessions, at);
	sessions->place_count -= client->place_count;
	free(client->places);
	client->places = NULL;
	client->newer = sessions->free;
	sessions->free = at;
	sessions->client_count--;
}

/* ---- The places of one client ---- */

static uint32_t place_of(const struct client *client, uint64_t sequence)
{
	for (uint32_t place = 0; place < client->place_count; place++)
		if (client->places[place] == sequence) return place;
	return NONE;
}

static bool add_place(struct ftsi_sessions *sessions, struct client *client)
{
	if (client->place_count == client->place_capacity) {
		uint32_t wanted = client->place_capacity == 0 ? 1 : client->place_capacity * 2;
		uint64_t *grown = realloc(client->places, wanted * sizeof *grown);
		if (grown == NULL) return false;
		client->places = grown;
		client->place_capacity = wanted;
	}
	client->places[client->place_count++] = 0;
	sessions->place_count++;
	return true;
}

/* The first place whose answer is not needed any more, or a new one. NONE: no memory. */
static uint32_t free_place(struct ftsi_sessions *sessions, struct client *client)
{
	for (uint32_t place = 0; place < client->place_count; place++)
		if (client->places[place] < client->floor) return place;
	FTS_ASSERT(client->place_count < FTSI_SESSION_WINDOW);
	return add_place(sessions, client) ? client->place_count - 1 : NONE;
}

enum ftsi_session_verdict ftsi_session_check(const struct ftsi_sessions *sessions, uint64_t client_id,
					     uint64_t sequence)
{
	uint32_t at = find(sessions, client_id);
	if (at == NONE) return FTSI_SESSION_NEW;
	if (sequence < sessions->clients[at].floor) return FTSI_SESSION_TOO_OLD;
	return place_of(&sessions->clients[at], sequence) == NONE ? FTSI_SESSION_NEW : FTSI_SESSION_ANSWERED;
}

/* ---- Answers in the store ---- */

static struct fts_bytes answer_key(struct fts_key *key, uint64_t client_id, uint32_t place)
{
	fts_key_begin(key, FTSI_TABLE_ANSWER);
	fts_key_u64(key, client_id);
	fts_key_u32(key, place);
	return fts_key_bytes(key);
}

static enum fts_status evict_oldest(struct ftsi_sessions *sessions, struct fts_txn *txn)
{
	const struct client *client = &sessions->clients[sessions->oldest];
	struct fts_key key;
	enum fts_status status = FTS_OK;
	for (uint32_t place = 0; place < client->place_count && status == FTS_OK; place++)
		status = fts_txn_delete(txn, answer_key(&key, client->client_id, place));
	remove_client(sessions, sessions->oldest);
	return status;
}

static enum fts_status put_answer(struct fts_txn *txn, const struct client *client, uint32_t place,
				  const struct ftsi_session_record *record)
{
	struct fts_key key;
	uint8_t head[HEAD_BYTES + 64 + FTS_DETAIL_MAX];
	size_t size;
	Fts__Replica__V1__Answer answer = FTS__REPLICA__V1__ANSWER__INIT;
	answer.code = (uint32_t)record->status;
	answer.index = record->index;
	answer.time_ms = record->time_ms;
	if (record->status != FTS_OK) answer.detail = (char *)record->detail;
	ftsi_put_u64(head, record->sequence);
	ftsi_put_u64(head + 8, client->floor);
	ftsi_put_u32(head + 16, record->ordinal);
	FTS_ASSERT(fts__replica__v1__answer__get_packed_size(&answer) <= sizeof head - HEAD_BYTES - 8);
	size = HEAD_BYTES + fts__replica__v1__answer__pack(&answer, head + HEAD_BYTES);
	/* The payload goes behind the message it is a field of: fields come in any order, and so it is not copied
	 * into place first. */
	if (record->payload.size_bytes > 0) {
		uint64_t left = record->payload.size_bytes;
		head[size++] = PAYLOAD_TAG;
		for (; left >= 0x80; left >>= 7)
			head[size++] = (uint8_t)(left | 0x80);
		head[size++] = (uint8_t)left;
	}
	return fts_txn_put2(txn, answer_key(&key, record->client_id, place), (struct fts_bytes){head, size},
			    record->payload);
}

static enum fts_status make_room(struct ftsi_sessions *sessions, struct fts_txn *txn)
{
	enum fts_status status = FTS_OK;
	while (status == FTS_OK && (sessions->client_count > FTSI_SESSION_CLIENT_MAX ||
				    (sessions->place_count > FTSI_SESSION_PLACE_MAX && sessions->client_count > 1)))
		status = evict_oldest(sessions, txn);
	return status;
}

static void raise_floor(struct client *client, const struct ftsi_session_record *record)
{
	uint64_t lowest = record->lowest_unanswered < record->sequence ? record->lowest_unanswered : record->sequence;
	if (record->sequence > client->highest) client->highest = record->sequence;
	if (client->highest >= FTSI_SESSION_WINDOW && lowest < client->highest - (FTSI_SESSION_WINDOW - 1))
		lowest = client->highest - (FTSI_SESSION_WINDOW - 1);
	if (lowest > client->floor) client->floor = lowest;
}

enum fts_status ftsi_session_keep(struct ftsi_sessions *sessions, struct fts_txn *txn,
				  const struct ftsi_session_record *record)
{
	uint32_t place, at = find(sessions, record->client_id);
	struct client *client;
	enum fts_status status;
	if (at == NONE) at = add_client(sessions, record->client_id);
	unlink_age(sessions, at);
	link_newest(sessions, at);
	client = &sessions->clients[at];
	FTS_ASSERT(record->sequence >= client->floor);
	raise_floor(client, record);
	if ((place = free_place(sessions, client)) == NONE) return FTS_RESOURCE_EXHAUSTED;
	client->places[place] = record->sequence;
	client->index = record->index;
	client->ordinal = record->ordinal;
	client->time_ms = record->time_ms;
	if ((status = put_answer(txn, client, place, record)) != FTS_OK) return status;
	return make_room(sessions, txn);
}

enum fts_status ftsi_sessions_expire(struct ftsi_sessions *sessions, struct fts_txn *txn, int64_t time_ms)
{
	enum fts_status status = FTS_OK;
	for (unsigned i = 0; i < FTSI_SESSION_EXPIRE_MAX && status == FTS_OK && sessions->oldest != NONE; i++) {
		if (sessions->clients[sessions->oldest].time_ms > time_ms - FTSI_SESSION_IDLE_MS) break;
		status = evict_oldest(sessions, txn);
	}
	return status;
}

static enum fts_status decode_answer(struct fts_bytes bytes, struct ftsi_answer *answer)
{
	Fts__Replica__V1__Answer *message = fts__replica__v1__answer__unpack(NULL, bytes.size_bytes, bytes.data);
	size_t detail_size;
	if (message == NULL) return FTS_DATA_LOSS;
	detail_size = strnlen(message->detail, sizeof answer->detail - 1);
	memcpy(answer->detail, message->detail, detail_size);
	answer->detail[detail_size] = 0;
	answer->status = fts_status_from_wire((int32_t)message->code);
	answer->index = message->index;
	/* put_answer writes the payload last */
	answer->payload =
	    (struct fts_bytes){bytes.data + bytes.size_bytes - message->payload.len, message->payload.len};
	fts__replica__v1__answer__free_unpacked(message, NULL);
	return FTS_OK;
}

enum fts_status ftsi_session_answer(const struct ftsi_sessions *sessions, struct fts_txn *txn, uint64_t client_id,
				    uint64_t sequence, struct ftsi_answer *out_answer)
{
	struct fts_key key;
	struct fts_value value;
	uint32_t at = find(sessions, client_id);
	enum fts_status status;
	FTS_ASSERT(at != NONE);
	status = fts_txn_get(txn, answer_key(&key, client_id, place_of(&sessions->clients[at], sequence)), &value);
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_DATA_LOSS : status;
	if (value.size_bytes < HEAD_BYTES || ftsi_get_u64(value.data) != sequence)
		status = FTS_DATA_LOSS;
	else
		status = decode_answer((struct fts_bytes){value.data + HEAD_BYTES, value.size_bytes - HEAD_BYTES},
				       out_answer);
	if (status == FTS_OK)
		out_answer->value = value;
	else
		fts_value_release(&value);
	return status;
}

/* ---- Building the index at start ---- */

static enum fts_status load_place(struct ftsi_sessions *sessions, uint64_t client_id, uint32_t place,
				  struct client **out_client)
{
	uint32_t at = find(sessions, client_id);
	if (at == NONE && sessions->client_count == FTSI_SESSION_CLIENT_MAX) return FTS_DATA_LOSS;
	if (at == NONE) at = add_client(sessions, client_id);
	*out_client = &sessions->clients[at];
	if (place != (*out_client)->place_count || place >= FTSI_SESSION_WINDOW) return FTS_DATA_LOSS; /* a gap */
	return add_place(sessions, *out_client) ? FTS_OK : FTS_RESOURCE_EXHAUSTED;
}

static enum fts_status load_answer(struct ftsi_sessions *sessions, struct fts_bytes key, struct fts_bytes value)
{
	uint64_t client_id, sequence, floor;
	uint32_t place, ordinal;
	struct client *client;
	struct fts_bytes rest = {key.data + 2, key.size_bytes - 2};
	Fts__Replica__V1__Answer *answer;
	enum fts_status status;
	if (key.size_bytes != KEY_BYTES || value.size_bytes < HEAD_BYTES || fts_key_read_u64(&rest, &client_id) != 0 ||
	    fts_key_read_u32(&rest, &place) != 0)
		return FTS_DATA_LOSS;
	if ((status = load_place(sessions, client_id, place, &client)) != FTS_OK) return status;
	answer = fts__replica__v1__answer__unpack(NULL, value.size_bytes - HEAD_BYTES, value.data + HEAD_BYTES);
	if (answer == NULL) return FTS_DATA_LOSS;
	sequence = ftsi_get_u64(value.data);
	floor = ftsi_get_u64(value.data + 8);
	ordinal = ftsi_get_u32(value.data + 16);
	client->places[place] = sequence;
	client->floor = floor > client->floor ? floor : client->floor;
	client->highest = sequence > client->highest ? sequence : client->highest;
	if (answer->index > client->index || (answer->index == client->index && ordinal >= client->ordinal)) {
		client->index = answer->index;
		client->ordinal = ordinal;
		client->time_ms = answer->time_ms;
	}
	fts__replica__v1__answer__free_unpacked(answer, NULL);
	return FTS_OK;
}

static int by_age(const void *left, const void *right)
{
	const struct client *a = *(const struct client *const *)left, *b = *(const struct client *const *)right;
	if (a->index != b->index) return a->index < b->index ? -1 : 1;
	return a->ordinal < b->ordinal ? -1 : a->ordinal > b->ordinal;
}

static enum fts_status order_by_age(struct ftsi_sessions *sessions)
{
	uint32_t count = sessions->client_count;
	struct client **sorted = malloc((count == 0 ? 1 : count) * sizeof *sorted);
	if (sorted == NULL) return FTS_RESOURCE_EXHAUSTED;
	for (uint32_t at = 0; at < count; at++) /* nothing was removed yet: they lie side by side */
		sorted[at] = &sessions->clients[at];
	qsort(sorted, count, sizeof *sorted, by_age);
	sessions->oldest = sessions->newest = NONE;
	for (uint32_t i = 0; i < count; i++)
		link_newest(sessions, (uint32_t)(sorted[i] - sessions->clients));
	free(sorted);
	return FTS_OK;
}

enum fts_status ftsi_sessions_load(struct ftsi_sessions *sessions, struct fts_txn *view)
{
	struct fts_key prefix;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	enum fts_status status;
	fts_key_begin(&prefix, FTSI_TABLE_ANSWER);
	status = fts_txn_scan(view, fts_key_bytes(&prefix), (struct fts_bytes){NULL, 0}, &cursor);
	while (status == FTS_OK && fts_cursor_next(cursor, &key, &value))
		status = load_answer(sessions, key, value);
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status == FTS_OK ? order_by_age(sessions) : status;
}
