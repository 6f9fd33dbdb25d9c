/* Why this file exists: see dispatch/state.h, which has the table of the byte format. */
#include "dispatch/state.h"

#include <string.h>

#include "replica/allocator.h"
#include "replica/bytes.h"
#include "store/key.h"

static const struct fts_bytes nothing = {NULL, 0};

/* What a scan is to find, and found. */
struct numbers {
	uint64_t *list; /* borrowed */
	size_t max, count;
	int64_t first_ms;
};

/* ---- Keys ---- */

static struct fts_bytes number_key(struct fts_key *key, uint16_t table, uint64_t number)
{
	fts_key_begin(key, table);
	fts_key_u64(key, number);
	return fts_key_bytes(key);
}

static struct fts_bytes pair_key(struct fts_key *key, uint16_t table, uint64_t first, uint64_t second)
{
	(void)number_key(key, table, first);
	fts_key_u64(key, second);
	return fts_key_bytes(key);
}

static struct fts_bytes name_key(struct fts_key *key, uint16_t table, const char *name)
{
	fts_key_begin(key, table);
	fts_key_text(key, name, strlen(name));
	return fts_key_bytes(key);
}

static struct fts_bytes line_key(struct fts_key *key, const char *name, uint64_t number)
{
	(void)name_key(key, FTSI_TABLE_LINE, name);
	fts_key_u64(key, number);
	return fts_key_bytes(key);
}

static struct fts_bytes free_key(struct fts_key *key, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *record)
{
	(void)name_key(key, FTSI_TABLE_FREE, record->name);
	fts_key_u32(key, record->running);
	fts_key_u64(key, worker);
	return fts_key_bytes(key);
}

/* ---- Messages as values ---- */

static enum fts_status unpack(struct ftsi_place place, const ProtobufCMessageDescriptor *type, struct fts_bytes value,
			      ProtobufCMessage **out_message)
{
	ProtobufCAllocator allocator = ftsi_arena_allocator(place.arena);
	*out_message = protobuf_c_message_unpack(type, &allocator, value.size_bytes, value.data);
	if (*out_message != NULL) return FTS_OK;
	return fts_arena_exhausted(place.arena) ? FTS_RESOURCE_EXHAUSTED : FTS_DATA_LOSS;
}

static enum fts_status get(struct ftsi_place place, struct fts_bytes key, const ProtobufCMessageDescriptor *type,
			   ProtobufCMessage **out_message)
{
	struct fts_value value;
	enum fts_status status = fts_txn_get(place.txn, key, &value);
	if (status != FTS_OK) return status;
	status = unpack(place, type, (struct fts_bytes){value.data, value.size_bytes}, out_message);
	fts_value_release(&value);
	return status;
}

static enum fts_status put(struct ftsi_place place, struct fts_bytes key, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = fts_arena_alloc(place.arena, size);
	if (packed == NULL) return FTS_RESOURCE_EXHAUSTED;
	return fts_txn_put(place.txn, key, (struct fts_bytes){packed, protobuf_c_message_pack(message, packed)});
}

/* The first key under prefix from `from` on: its last TAIL_BYTES bytes, in *out_tail. */
enum { TAIL_BYTES = 16 };
static enum fts_status first_tail(struct ftsi_place place, struct fts_bytes prefix, struct fts_bytes from,
				  uint8_t *out_tail)
{
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	enum fts_status status = fts_txn_scan(place.txn, prefix, from, &cursor);
	if (status != FTS_OK) return status;
	if (fts_cursor_next(cursor, &key, &value))
		memcpy(out_tail, key.data + key.size_bytes - TAIL_BYTES, TAIL_BYTES);
	else
		status = fts_cursor_status(cursor) == FTS_OK ? FTS_NOT_FOUND : fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

/* ---- Workers ---- */

enum fts_status ftsi_worker_get(struct ftsi_place place, uint64_t worker, Fts__Dispatch__V1__WorkerRecord **out_record)
{
	struct fts_key key;
	ProtobufCMessage *message = NULL;
	enum fts_status status = get(place, number_key(&key, FTSI_TABLE_WORKER, worker),
				     &fts__dispatch__v1__worker_record__descriptor, &message);
	*out_record = (Fts__Dispatch__V1__WorkerRecord *)message;
	return status;
}

static bool may_take(const Fts__Dispatch__V1__WorkerRecord *record)
{
	return record->running < record->capacity && !record->leaving && !record->hung && !record->unreachable;
}

Fts__Dispatch__V1__WorkerState ftsi_worker_state(const Fts__Dispatch__V1__WorkerRecord *record)
{
	if (record->leaving) return FTS__DISPATCH__V1__WORKER_STATE__LEAVING;
	if (record->hung) return FTS__DISPATCH__V1__WORKER_STATE__HUNG;
	if (record->unreachable) return FTS__DISPATCH__V1__WORKER_STATE__UNREACHABLE;
	return record->running < record->capacity ? FTS__DISPATCH__V1__WORKER_STATE__FREE
						  : FTS__DISPATCH__V1__WORKER_STATE__BUSY;
}

static enum fts_status put_instance(struct ftsi_place place, uint64_t worker,
				    const Fts__Dispatch__V1__WorkerRecord *record)
{
	struct fts_key key;
	uint8_t bytes[8];
	ftsi_put_u64(bytes, worker);
	return fts_txn_put(place.txn, number_key(&key, FTSI_TABLE_INSTANCE, record->instance),
			   (struct fts_bytes){bytes, sizeof bytes});
}

static enum fts_status remove_worker(struct ftsi_place place, uint64_t worker,
				     const Fts__Dispatch__V1__WorkerRecord *before)
{
	struct fts_key key;
	enum fts_status status = fts_txn_delete(place.txn, number_key(&key, FTSI_TABLE_WORKER, worker));
	if (status != FTS_OK) return status;
	return fts_txn_delete(place.txn, number_key(&key, FTSI_TABLE_INSTANCE, before->instance));
}

static enum fts_status put_free(struct ftsi_place place, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *record)
{
	struct fts_key key;
	struct ftsi_name name;
	enum fts_status status = fts_txn_put(place.txn, free_key(&key, worker, record), nothing);
	if (status == FTS_OK) status = ftsi_name_get(place, record->name, &name);
	if (status != FTS_OK || record->running >= name.least) return status == FTS_NOT_FOUND ? FTS_OK : status;
	name.least = record->running;
	return ftsi_name_put(place, record->name, name);
}

enum fts_status ftsi_worker_put(struct ftsi_place place, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *before,
				const Fts__Dispatch__V1__WorkerRecord *record)
{
	struct fts_key key;
	enum fts_status status = FTS_OK;
	if (before != NULL && may_take(before)) status = fts_txn_delete(place.txn, free_key(&key, worker, before));
	if (status == FTS_OK && record == NULL) return remove_worker(place, worker, before);
	if (status == FTS_OK && before == NULL) status = put_instance(place, worker, record);
	if (status == FTS_OK && may_take(record)) status = put_free(place, worker, record);
	return status == FTS_OK ? put(place, number_key(&key, FTSI_TABLE_WORKER, worker), &record->base) : status;
}

enum fts_status ftsi_instance_get(struct ftsi_place place, uint64_t instance, uint64_t *out_worker)
{
	struct fts_key key;
	struct fts_value value;
	enum fts_status status = fts_txn_get(place.txn, number_key(&key, FTSI_TABLE_INSTANCE, instance), &value);
	if (status != FTS_OK) return status;
	if (value.size_bytes == 8)
		*out_worker = ftsi_get_u64(value.data);
	else
		status = FTS_DATA_LOSS;
	fts_value_release(&value);
	return status;
}

/* The first free worker of name with at least running runs, and with so many one behind worker; *out_running: how many
 * it has. */
static enum fts_status free_behind(struct ftsi_place place, const char *name, uint32_t running, uint64_t worker,
				   uint32_t *out_running, uint64_t *out_worker)
{
	struct fts_key prefix, from;
	uint8_t tail[TAIL_BYTES];
	(void)name_key(&from, FTSI_TABLE_FREE, name);
	fts_key_u32(&from, running);
	fts_key_u64(&from, worker);
	enum fts_status status =
	    first_tail(place, name_key(&prefix, FTSI_TABLE_FREE, name), fts_key_bytes(&from), tail);
	if (status != FTS_OK) return status;
	*out_running = ftsi_get_u32(tail + TAIL_BYTES - 12);
	*out_worker = ftsi_get_u64(tail + TAIL_BYTES - 8);
	return FTS_OK;
}

enum fts_status ftsi_free_take(struct ftsi_place place, const char *name, uint64_t *out_worker)
{
	struct ftsi_name counts;
	uint32_t running = 0;
	enum fts_status status = ftsi_name_get(place, name, &counts);
	if (status == FTS_OK) /* behind the one whose turn it was */
		status = free_behind(place, name, counts.least, counts.turn + 1, &running, out_worker);
	bool found = status == FTS_OK && running == counts.least;
	if (!found && (status == FTS_OK || status == FTS_NOT_FOUND)) /* from the first of them on */
		status = free_behind(place, name, counts.least, 0, &running, out_worker);
	if (status == FTS_OK && running != counts.least) { /* none has so few any more */
		counts.least = running;
		uint64_t first = *out_worker;
		status = free_behind(place, name, running, counts.turn + 1, &running, out_worker);
		if (status == FTS_NOT_FOUND || running != counts.least) *out_worker = first;
		if (status == FTS_NOT_FOUND) status = FTS_OK;
	}
	if (status != FTS_OK) return status;
	counts.turn = *out_worker;
	return ftsi_name_put(place, name, counts);
}

enum fts_status ftsi_worker_visit(struct ftsi_place place, ftsi_worker_visit_fn visit, void *ctx)
{
	struct fts_key prefix;
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	fts_key_begin(&prefix, FTSI_TABLE_WORKER);
	enum fts_status status = fts_txn_scan(place.txn, fts_key_bytes(&prefix), nothing, &cursor);
	if (status != FTS_OK) return status;
	for (bool more = true; more && fts_cursor_next(cursor, &key, &value);) {
		ProtobufCMessage *message = NULL;
		status = unpack(place, &fts__dispatch__v1__worker_record__descriptor, value, &message);
		more = status == FTS_OK && visit(ctx, ftsi_get_u64(key.data + key.size_bytes - 8),
						 (const Fts__Dispatch__V1__WorkerRecord *)message);
	}
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

/* ---- Names ---- */

enum { NAME_BYTES = 28, NAME_SHORT_BYTES = 8 }; /* the short form knows only how many there are */

static enum fts_status read_name(const struct fts_value *value, struct ftsi_name *out)
{
	if (value->size_bytes != NAME_BYTES && value->size_bytes != NAME_SHORT_BYTES) return FTS_DATA_LOSS;
	*out =
	    (struct ftsi_name){.worker_count = ftsi_get_u32(value->data), .line_count = ftsi_get_u32(value->data + 4)};
	if (value->size_bytes == NAME_SHORT_BYTES) return FTS_OK;
	out->least = ftsi_get_u32(value->data + 8);
	out->turn = ftsi_get_u64(value->data + 12);
	out->line_from = ftsi_get_u64(value->data + 20);
	return FTS_OK;
}

enum fts_status ftsi_name_get(struct ftsi_place place, const char *name, struct ftsi_name *out_name)
{
	struct fts_key key;
	struct fts_value value;
	enum fts_status status = fts_txn_get(place.txn, name_key(&key, FTSI_TABLE_NAME, name), &value);
	*out_name = (struct ftsi_name){0};
	if (status != FTS_OK) return status;
	status = read_name(&value, out_name);
	fts_value_release(&value);
	return status;
}

enum fts_status ftsi_name_put(struct ftsi_place place, const char *name, struct ftsi_name value)
{
	struct fts_key key;
	uint8_t bytes[NAME_BYTES];
	ftsi_put_u32(bytes, value.worker_count);
	ftsi_put_u32(bytes + 4, value.line_count);
	ftsi_put_u32(bytes + 8, value.least);
	ftsi_put_u64(bytes + 12, value.turn);
	ftsi_put_u64(bytes + 20, value.line_from);
	return fts_txn_put(place.txn, name_key(&key, FTSI_TABLE_NAME, name), (struct fts_bytes){bytes, sizeof bytes});
}

/* ---- Tickets and places in line ---- */

enum fts_status ftsi_ticket_get(struct ftsi_place place, uint64_t number, Fts__Dispatch__V1__TicketRecord **out_record)
{
	struct fts_key key;
	ProtobufCMessage *message = NULL;
	enum fts_status status = get(place, number_key(&key, FTSI_TABLE_TICKET, number),
				     &fts__dispatch__v1__ticket_record__descriptor, &message);
	*out_record = (Fts__Dispatch__V1__TicketRecord *)message;
	return status;
}

static enum fts_status unlist(struct ftsi_place place, uint64_t number, const Fts__Dispatch__V1__TicketRecord *before)
{
	struct fts_key key;
	enum fts_status status = FTS_OK;
	if (before->standing == FTS__DISPATCH__V1__STANDING__ENDED)
		return fts_txn_delete(place.txn, pair_key(&key, FTSI_TABLE_ENDED, (uint64_t)before->due_ms, number));
	if (before->standing == FTS__DISPATCH__V1__STANDING__IN_LINE)
		status = fts_txn_delete(place.txn, line_key(&key, before->name, number));
	if (before->standing == FTS__DISPATCH__V1__STANDING__HELD)
		status = fts_txn_delete(place.txn, pair_key(&key, FTSI_TABLE_HELD, before->worker, number));
	if (status != FTS_OK) return status;
	return fts_txn_delete(place.txn, pair_key(&key, FTSI_TABLE_DUE, (uint64_t)before->due_ms, number));
}

static enum fts_status list(struct ftsi_place place, uint64_t number, const Fts__Dispatch__V1__TicketRecord *record)
{
	struct fts_key key;
	enum fts_status status = FTS_OK;
	if (record->standing == FTS__DISPATCH__V1__STANDING__ENDED)
		return fts_txn_put(place.txn, pair_key(&key, FTSI_TABLE_ENDED, (uint64_t)record->due_ms, number),
				   nothing);
	if (record->standing == FTS__DISPATCH__V1__STANDING__IN_LINE)
		status = fts_txn_put(place.txn, line_key(&key, record->name, number), nothing);
	if (record->standing == FTS__DISPATCH__V1__STANDING__HELD)
		status = fts_txn_put(place.txn, pair_key(&key, FTSI_TABLE_HELD, record->worker, number), nothing);
	if (status != FTS_OK) return status;
	return fts_txn_put(place.txn, pair_key(&key, FTSI_TABLE_DUE, (uint64_t)record->due_ms, number), nothing);
}

enum fts_status ftsi_ticket_put(struct ftsi_place place, uint64_t number, const Fts__Dispatch__V1__TicketRecord *before,
				const Fts__Dispatch__V1__TicketRecord *record)
{
	struct fts_key key;
	enum fts_status status = before == NULL ? FTS_OK : unlist(place, number, before);
	if (status == FTS_OK) status = list(place, number, record);
	return status == FTS_OK ? put(place, number_key(&key, FTSI_TABLE_TICKET, number), &record->base) : status;
}

enum fts_status ftsi_ticket_delete(struct ftsi_place place, uint64_t number,
				   const Fts__Dispatch__V1__TicketRecord *before)
{
	struct fts_key key;
	enum fts_status status = unlist(place, number, before);
	if (status != FTS_OK) return status;
	return fts_txn_delete(place.txn, number_key(&key, FTSI_TABLE_TICKET, number));
}

enum fts_status ftsi_line_first(struct ftsi_place place, const char *name, uint64_t *out_number)
{
	struct fts_key prefix, from;
	struct ftsi_name counts;
	uint8_t tail[TAIL_BYTES];
	enum fts_status status = ftsi_name_get(place, name, &counts);
	if (status != FTS_OK) return status;
	if (counts.line_count == 0) return FTS_NOT_FOUND;
	status =
	    first_tail(place, name_key(&prefix, FTSI_TABLE_LINE, name), line_key(&from, name, counts.line_from), tail);
	if (status != FTS_OK) return status;
	counts.line_from = *out_number = ftsi_get_u64(tail + TAIL_BYTES - 8);
	return ftsi_name_put(place, name, counts);
}

enum fts_status ftsi_held_next(struct ftsi_place place, uint64_t worker, uint64_t number, uint64_t *out_number)
{
	struct fts_key prefix, from;
	uint8_t tail[TAIL_BYTES];
	enum fts_status status = first_tail(place, number_key(&prefix, FTSI_TABLE_HELD, worker),
					    pair_key(&from, FTSI_TABLE_HELD, worker, number + 1), tail);
	*out_number = status == FTS_OK ? ftsi_get_u64(tail + TAIL_BYTES - 8) : 0;
	return status == FTS_NOT_FOUND ? FTS_OK : status;
}

/* The last 8 bytes of each key under prefix from `from` on, as long as the 8 bytes before them are at most most_ms (0:
 * whatever they are). */
static enum fts_status list_from(struct ftsi_place place, struct fts_bytes prefix, struct fts_bytes from,
				 int64_t most_ms, struct numbers *out)
{
	struct fts_bytes key, value;
	struct fts_cursor *cursor = NULL;
	out->count = 0;
	enum fts_status status = fts_txn_scan(place.txn, prefix, from, &cursor);
	if (status != FTS_OK) return status;
	while (out->count < out->max && fts_cursor_next(cursor, &key, &value)) {
		int64_t at_ms = (int64_t)ftsi_get_u64(key.data + key.size_bytes - 16);
		if (most_ms != 0 && at_ms > most_ms) break;
		if (out->count == 0) out->first_ms = at_ms;
		out->list[out->count++] = ftsi_get_u64(key.data + key.size_bytes - 8);
	}
	status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	return status;
}

enum fts_status ftsi_held_list(struct ftsi_place place, uint64_t worker, uint64_t from, uint64_t *out_numbers,
			       size_t max, size_t *out_count)
{
	struct fts_key prefix, first;
	struct numbers numbers = {.list = out_numbers, .max = max};
	enum fts_status status = list_from(place, number_key(&prefix, FTSI_TABLE_HELD, worker),
					   pair_key(&first, FTSI_TABLE_HELD, worker, from), 0, &numbers);
	*out_count = numbers.count;
	return status;
}

enum fts_status ftsi_due_by(struct ftsi_place place, int64_t from_ms, int64_t now_ms, uint64_t *out_numbers, size_t max,
			    size_t *out_count, int64_t *out_first_ms)
{
	struct fts_key prefix, from;
	struct numbers numbers = {.list = out_numbers, .max = max};
	fts_key_begin(&prefix, FTSI_TABLE_DUE);
	enum fts_status status = list_from(place, fts_key_bytes(&prefix),
					   pair_key(&from, FTSI_TABLE_DUE, (uint64_t)from_ms, 0), now_ms, &numbers);
	*out_count = numbers.count;
	*out_first_ms = numbers.first_ms;
	return status;
}

/* Of the table of those that ended: where its first one may be at the earliest. */
static enum fts_status ended_from(struct ftsi_place place, struct fts_key *out_from)
{
	struct fts_key key;
	struct fts_value value;
	fts_key_begin(&key, FTSI_TABLE_ENDED_FROM);
	fts_key_begin(out_from, FTSI_TABLE_ENDED);
	enum fts_status status = fts_txn_get(place.txn, fts_key_bytes(&key), &value);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return status;
	if (value.size_bytes == 16)
		(void)pair_key(out_from, FTSI_TABLE_ENDED, ftsi_get_u64(value.data), ftsi_get_u64(value.data + 8));
	else
		status = FTS_DATA_LOSS;
	fts_value_release(&value);
	return status;
}

enum fts_status ftsi_ended_by(struct ftsi_place place, int64_t now_ms, uint64_t *out_numbers, size_t max,
			      size_t *out_count)
{
	struct fts_key prefix, from, key;
	struct numbers numbers = {.list = out_numbers, .max = max};
	uint8_t bytes[16];
	fts_key_begin(&prefix, FTSI_TABLE_ENDED);
	enum fts_status status = ended_from(place, &from);
	if (status == FTS_OK) status = list_from(place, fts_key_bytes(&prefix), fts_key_bytes(&from), now_ms, &numbers);
	*out_count = numbers.count;
	if (status != FTS_OK || numbers.count == 0) return status;
	ftsi_put_u64(bytes, (uint64_t)numbers.first_ms);
	ftsi_put_u64(bytes + 8, numbers.list[0]);
	fts_key_begin(&key, FTSI_TABLE_ENDED_FROM);
	return fts_txn_put(place.txn, fts_key_bytes(&key), (struct fts_bytes){bytes, sizeof bytes});
}
