/* Why this file exists: see replica/session.h. */
#include "replica/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fts/replica/v1/log.pb-c.h"
#include "replica/bytes.h"
#include "replica/tables.h"
#include "store/key.h"

enum {
	NONE = UINT32_MAX,
	BUCKET_COUNT = 32768,
	WORD_COUNT = FTSI_SESSION_WINDOW / 64,
	HEAD_BYTES = 12,
	KEY_BYTES = 18
};

struct client {
	uint64_t client_id;
	uint64_t floor, highest;
	uint64_t index; /* of its last executed command, with ordinal and time */
	int64_t time_ms;
	uint32_t ordinal;
	uint32_t answer_count;
	uint32_t older, newer; /* by last executed command; newer also chains the free ones */
	uint32_t next;         /* in its bucket */
	uint64_t kept[WORD_COUNT];
};

struct ftsi_sessions {
	uint32_t buckets[BUCKET_COUNT];
	uint32_t oldest, newest, free;
	uint32_t used_count; /* clients ever taken out of the array */
	uint32_t client_count, answer_count;
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
	free(sessions);
}

uint32_t ftsi_sessions_client_count(const struct ftsi_sessions *sessions)
{
	return sessions->client_count;
}

uint32_t ftsi_sessions_answer_count(const struct ftsi_sessions *sessions)
{
	return sessions->answer_count;
}

/* ---- The index ---- */

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
	return at;
}

static void remove_client(struct ftsi_sessions *sessions, uint32_t at)
{
	uint32_t *link = &sessions->buckets[bucket_of(sessions->clients[at].client_id)];
	while (*link != at)
		link = &sessions->clients[*link].next;
	*link = sessions->clients[at].next;
	unlink_age(sessions, at);
	sessions->clients[at].newer = sessions->free;
	sessions->free = at;
	sessions->client_count--;
}

static bool is_kept(const struct client *client, uint64_t sequence)
{
	uint64_t slot = sequence % FTSI_SESSION_WINDOW;
	return sequence >= client->floor && sequence <= client->highest &&
	       (client->kept[slot / 64] >> (slot % 64) & 1) != 0;
}

static void set_kept(struct ftsi_sessions *sessions, struct client *client, uint64_t sequence, bool kept)
{
	uint64_t slot = sequence % FTSI_SESSION_WINDOW, bit = (uint64_t)1 << (slot % 64);
	if (kept)
		client->kept[slot / 64] |= bit;
	else
		client->kept[slot / 64] &= ~bit;
	client->answer_count += kept ? 1u : -1u;
	sessions->answer_count += kept ? 1u : -1u;
}

enum ftsi_session_verdict ftsi_session_check(const struct ftsi_sessions *sessions, uint64_t client_id,
					     uint64_t sequence)
{
	uint32_t at = find(sessions, client_id);
	if (at == NONE) return FTSI_SESSION_NEW;
	if (sequence < sessions->clients[at].floor) return FTSI_SESSION_TOO_OLD;
	return is_kept(&sessions->clients[at], sequence) ? FTSI_SESSION_ANSWERED : FTSI_SESSION_NEW;
}

/* ---- Answers in the store ---- */

static struct fts_bytes answer_key(struct fts_key *key, uint64_t client_id, uint64_t sequence)
{
	fts_key_begin(key, FTSI_TABLE_ANSWER);
	fts_key_u64(key, client_id);
	fts_key_u64(key, sequence);
	return fts_key_bytes(key);
}

/* Delete the answers of client in [client->floor, to). */
static enum fts_status drop_below(struct ftsi_sessions *sessions, struct fts_txn *txn, struct client *client,
				  uint64_t to)
{
	struct fts_key key;
	uint64_t end = client->floor + FTSI_SESSION_WINDOW < to ? client->floor + FTSI_SESSION_WINDOW : to;
	enum fts_status status = FTS_OK;
	for (uint64_t sequence = client->floor; status == FTS_OK && sequence < end && client->answer_count > 0;
	     sequence++) {
		if (!is_kept(client, sequence)) continue;
		status = fts_txn_delete(txn, answer_key(&key, client->client_id, sequence));
		set_kept(sessions, client, sequence, false);
	}
	client->floor = to > client->floor ? to : client->floor;
	return status;
}

static enum fts_status evict_oldest(struct ftsi_sessions *sessions, struct fts_txn *txn)
{
	uint32_t at = sessions->oldest;
	struct client *client = &sessions->clients[at];
	enum fts_status status = drop_below(sessions, txn, client, client->highest + 1);
	FTS_ASSERT(status != FTS_OK || client->answer_count == 0);
	remove_client(sessions, at);
	return status;
}

static enum fts_status put_answer(struct fts_txn *txn, const struct client *client,
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
	ftsi_put_u64(head, client->floor);
	ftsi_put_u32(head + 8, record->ordinal);
	FTS_ASSERT(fts__replica__v1__answer__get_packed_size(&answer) <= sizeof head - HEAD_BYTES - 8);
	size = HEAD_BYTES + fts__replica__v1__answer__pack(&answer, head + HEAD_BYTES);
	/* The payload goes behind the message it is a field of: fields come in any order, and so it is not copied
	 * into place first. */
	if (record->payload.size_bytes > 0) {
		uint64_t left = record->payload.size_bytes;
		head[size++] = 0x12; /* field 2, length */
		for (; left >= 0x80; left >>= 7)
			head[size++] = (uint8_t)(left | 0x80);
		head[size++] = (uint8_t)left;
	}
	return fts_txn_put2(txn, answer_key(&key, record->client_id, record->sequence), (struct fts_bytes){head, size},
			    record->payload);
}

static enum fts_status make_room(struct ftsi_sessions *sessions, struct fts_txn *txn)
{
	enum fts_status status = FTS_OK;
	while (status == FTS_OK && (sessions->client_count > FTSI_SESSION_CLIENT_MAX ||
				    (sessions->answer_count > FTSI_SESSION_ANSWER_MAX && sessions->client_count > 1)))
		status = evict_oldest(sessions, txn);
	return status;
}

enum fts_status ftsi_session_keep(struct ftsi_sessions *sessions, struct fts_txn *txn,
				  const struct ftsi_session_record *record)
{
	uint64_t sequence = record->sequence;
	uint64_t lowest = record->lowest_unanswered < sequence ? record->lowest_unanswered : sequence;
	uint32_t at = find(sessions, record->client_id);
	struct client *client;
	enum fts_status status;
	if (at == NONE)
		at = add_client(sessions, record->client_id);
	else
		unlink_age(sessions, at);
	link_newest(sessions, at);
	client = &sessions->clients[at];
	FTS_ASSERT(sequence >= client->floor && !is_kept(client, sequence));
	if (sequence > client->highest) client->highest = sequence;
	if (client->highest >= FTSI_SESSION_WINDOW && lowest < client->highest - (FTSI_SESSION_WINDOW - 1))
		lowest = client->highest - (FTSI_SESSION_WINDOW - 1);
	if ((status = drop_below(sessions, txn, client, lowest)) != FTS_OK) return status;
	client->index = record->index;
	client->ordinal = record->ordinal;
	client->time_ms = record->time_ms;
	set_kept(sessions, client, sequence, true);
	if ((status = put_answer(txn, client, record)) != FTS_OK) return status;
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
	if (message == NULL) return FTS_DATA_LOSS;
	answer->status = fts_status_from_wire((int32_t)message->code);
	answer->index = message->index;
	strncpy(answer->detail, message->detail, sizeof answer->detail - 1);
	answer->detail[sizeof answer->detail - 1] = 0;
	/* put_answer writes the payload last */
	answer->payload =
	    (struct fts_bytes){bytes.data + bytes.size_bytes - message->payload.len, message->payload.len};
	fts__replica__v1__answer__free_unpacked(message, NULL);
	return FTS_OK;
}

enum fts_status ftsi_session_answer(struct fts_txn *txn, uint64_t client_id, uint64_t sequence,
				    struct ftsi_answer *out_answer)
{
	struct fts_key key;
	struct fts_value value;
	enum fts_status status = fts_txn_get(txn, answer_key(&key, client_id, sequence), &value);
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_DATA_LOSS : status;
	if (value.size_bytes < HEAD_BYTES)
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

static enum fts_status load_answer(struct ftsi_sessions *sessions, struct fts_bytes key, struct fts_bytes value)
{
	uint64_t client_id, sequence, floor;
	uint32_t ordinal, at;
	struct client *client;
	struct fts_bytes rest = {key.data + 2, key.size_bytes - 2};
	Fts__Replica__V1__Answer *answer;
	if (key.size_bytes != KEY_BYTES || value.size_bytes < HEAD_BYTES || fts_key_read_u64(&rest, &client_id) != 0 ||
	    fts_key_read_u64(&rest, &sequence) != 0)
		return FTS_DATA_LOSS;
	answer = fts__replica__v1__answer__unpack(NULL, value.size_bytes - HEAD_BYTES, value.data + HEAD_BYTES);
	if (answer == NULL) return FTS_DATA_LOSS;
	floor = ftsi_get_u64(value.data);
	ordinal = ftsi_get_u32(value.data + 8);
	at = find(sessions, client_id);
	if (at == NONE && sessions->client_count == FTSI_SESSION_CLIENT_MAX) {
		fts__replica__v1__answer__free_unpacked(answer, NULL);
		return FTS_DATA_LOSS;
	}
	if (at == NONE) {
		at = add_client(sessions, client_id);
		link_newest(sessions, at);
	}
	client = &sessions->clients[at];
	client->floor = floor > client->floor ? floor : client->floor;
	client->highest = sequence > client->highest ? sequence : client->highest;
	set_kept(sessions, client, sequence, true);
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
