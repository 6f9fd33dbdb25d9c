/* Why this file exists: what happens to workers: they come, change, leave, are lost, hang and recover; see
 * dispatch/transition.h and dispatch/move.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <fts/dispatch/v1/dispatch.fts.h>

#include "client/ticket.h"
#include "dispatch/move.h"
#include "dispatch/transition.h"
#include "dispatch/watch.h"

enum { RUN_DEFAULT_MS = 30000, LEASE_DEFAULT_MS = 2000, ADDRESS_MAX = 128 };
enum {
	LEASE_MIN_MS = 300,
	LEASE_MAX_MS = 600000,
	RUN_MAX_MS = 24 * 3600 * 1000,
	CAPACITY_MAX = 4096,
	HELD_AT_ONCE = 64
};

static const char lease_group[] = "worker";

static void lease_id(uint64_t worker, char *out)
{
	(void)snprintf(out, 24, "%" PRIu64, worker);
}

static enum fts_status tell(struct fts_apply *apply, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *record,
			    bool gone)
{
	Fts__Dispatch__V1__WorkerEvent event = FTS__DISPATCH__V1__WORKER_EVENT__INIT;
	event.name = record->name;
	event.address = record->address;
	event.state = ftsi_worker_state(record);
	event.gone = gone;
	event.worker = worker;
	return fts_apply_publish(apply, fts_dispatch_v1_worker_event_topic.name, &event.base);
}

/* ---- Coming ---- */

static enum fts_status check_register(struct fts_apply *apply, const Fts__Dispatch__V1__RegisterRequest *request)
{
	enum fts_status status = ftsi_move_check_name(apply, request->name);
	if (status != FTS_OK) return status;
	if (!ftsi_move_is_plain(request->address, ADDRESS_MAX))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "address: HOST:PORT of at most %d bytes",
					ADDRESS_MAX);
	if (request->instance == 0 || request->key.len != FTS_TICKET_KEY_BYTES)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
					"instance must not be 0, and key has %d random bytes", FTS_TICKET_KEY_BYTES);
	if (request->capacity > CAPACITY_MAX || request->max_run_ms > RUN_MAX_MS)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "capacity: at most %d; max_run_ms: at most %d",
					CAPACITY_MAX, RUN_MAX_MS);
	if (request->lease_ms != 0 && (request->lease_ms < LEASE_MIN_MS || request->lease_ms > LEASE_MAX_MS))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "lease_ms: %d to %d, not %u", LEASE_MIN_MS,
					LEASE_MAX_MS, request->lease_ms);
	return FTS_OK;
}

static void fill(Fts__Dispatch__V1__WorkerRecord *record, const Fts__Dispatch__V1__RegisterRequest *request)
{
	record->name = request->name;
	record->address = request->address;
	record->capacity = request->capacity == 0 ? 1 : request->capacity;
	record->max_run_ms = request->max_run_ms == 0 ? RUN_DEFAULT_MS : request->max_run_ms;
	record->lease_ms = request->lease_ms == 0 ? LEASE_DEFAULT_MS : request->lease_ms;
	record->instance = request->instance;
	record->key = request->key;
}

static enum fts_status count_name(struct fts_apply *apply)
{
	struct ftsi_name names;
	enum fts_status status = ftsi_name_get(ftsi_move_place(apply), FTSI_ALL_NAMES, &names);
	if (status != FTS_OK && status != FTS_NOT_FOUND) return ftsi_move_check(apply, status);
	if (names.worker_count >= FTSI_NAME_COUNT_MAX)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "%u names are offered already",
					names.worker_count);
	names.worker_count++;
	return ftsi_move_check(apply, ftsi_name_put(ftsi_move_place(apply), FTSI_ALL_NAMES, names));
}

static enum fts_status count_worker(struct fts_apply *apply, const char *name)
{
	struct ftsi_name counts;
	enum fts_status status = ftsi_name_get(ftsi_move_place(apply), name, &counts);
	if (status == FTS_NOT_FOUND) status = count_name(apply);
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (counts.worker_count >= FTSI_WORKER_COUNT_MAX)
		return fts_apply_refuse(apply, FTS_RESOURCE_EXHAUSTED, "a name has at most %d workers",
					FTSI_WORKER_COUNT_MAX);
	counts.worker_count++;
	return ftsi_move_check(apply, ftsi_name_put(ftsi_move_place(apply), name, counts));
}

/* A worker that is there already: its name and key stay, so that tickets that are out stay good. */
static enum fts_status change(struct fts_apply *apply, const Fts__Dispatch__V1__RegisterRequest *request,
			      uint64_t worker, Fts__Dispatch__V1__WorkerRecord *out_record)
{
	Fts__Dispatch__V1__WorkerRecord *before;
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), worker, &before);
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (strcmp(before->name, request->name) != 0)
		return fts_apply_refuse(apply, FTS_FAILED_PRECONDITION, "name: this worker offers %s: leave first",
					before->name);
	*out_record = *before;
	fill(out_record, request);
	out_record->key = before->key;
	out_record->leaving = 0;
	return ftsi_move_check(apply, ftsi_worker_put(ftsi_move_place(apply), worker, before, out_record));
}

static enum fts_status come(struct fts_apply *apply, const Fts__Dispatch__V1__RegisterRequest *request, uint64_t worker,
			    Fts__Dispatch__V1__WorkerRecord *out_record)
{
	enum fts_status status = count_worker(apply, request->name);
	if (status != FTS_OK) return status;
	fts__dispatch__v1__worker_record__init(out_record);
	fill(out_record, request);
	return ftsi_move_check(apply, ftsi_worker_put(ftsi_move_place(apply), worker, NULL, out_record));
}

enum fts_status ftsi_dispatch_apply_register(struct fts_apply *apply, const ProtobufCMessage *request_base,
					     ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__RegisterRequest *request = (const Fts__Dispatch__V1__RegisterRequest *)request_base;
	Fts__Dispatch__V1__RegisterResponse *response = (Fts__Dispatch__V1__RegisterResponse *)response_base;
	Fts__Dispatch__V1__WorkerRecord record;
	uint64_t worker = ftsi_number_here(apply);
	char id[24];
	enum fts_status status = check_register(apply, request);
	if (status != FTS_OK) return status;
	status = ftsi_instance_get(ftsi_move_place(apply), request->instance, &worker);
	if (status == FTS_OK)
		status = change(apply, request, worker, &record);
	else if (status == FTS_NOT_FOUND)
		status = come(apply, request, worker, &record);
	else
		status = ftsi_move_check(apply, status);
	if (status == FTS_OK) status = tell(apply, worker, &record, false);
	if (status == FTS_OK) status = ftsi_move_line(apply, request->name);
	if (status != FTS_OK) return status;
	response->worker = worker;
	response->now_ms = apply->time_ms;
	lease_id(worker, id);
	fts_leases_joined(ftsi_dispatch_watch_leases(ctx), lease_group, id, worker, record.lease_ms);
	return FTS_OK;
}

/* ---- Going ---- */

static enum fts_status end_held(struct fts_apply *apply, uint64_t worker, uint64_t from, struct ftsi_end end)
{
	uint64_t numbers[HELD_AT_ONCE];
	size_t count = HELD_AT_ONCE;
	enum fts_status status = FTS_OK;
	while (status == FTS_OK && count == HELD_AT_ONCE) {
		status = ftsi_move_check(
		    apply, ftsi_held_list(ftsi_move_place(apply), worker, from, numbers, HELD_AT_ONCE, &count));
		for (size_t i = 0; i < count && status == FTS_OK; i++) {
			Fts__Dispatch__V1__TicketRecord *ticket;
			from = numbers[i] + 1;
			status = ftsi_move_check(apply, ftsi_ticket_get(ftsi_move_place(apply), numbers[i], &ticket));
			if (status == FTS_OK) status = ftsi_move_end(apply, numbers[i], ticket, end);
		}
	}
	return status;
}

/* The worker is no more; the tickets that it holds end so. It takes no more first, or they would go back to it. */
static enum fts_status take_out(struct fts_apply *apply, uint64_t worker, const Fts__Dispatch__V1__WorkerRecord *record,
				struct ftsi_end end)
{
	Fts__Dispatch__V1__WorkerRecord leaving = *record, *now;
	struct ftsi_name counts;
	leaving.leaving = true;
	enum fts_status status =
	    ftsi_move_check(apply, ftsi_worker_put(ftsi_move_place(apply), worker, record, &leaving));
	if (status == FTS_OK) status = end_held(apply, worker, record->held_from, end);
	if (status != FTS_OK) return status;
	status = ftsi_worker_get(ftsi_move_place(apply), worker, &now);
	if (status == FTS_OK) status = ftsi_worker_put(ftsi_move_place(apply), worker, now, NULL);
	if (status == FTS_OK) status = ftsi_name_get(ftsi_move_place(apply), record->name, &counts);
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	counts.worker_count--;
	status = ftsi_move_check(apply, ftsi_name_put(ftsi_move_place(apply), record->name, counts));
	return status == FTS_OK ? tell(apply, worker, &leaving, true) : status;
}

enum fts_status ftsi_dispatch_apply_leave(struct fts_apply *apply, const ProtobufCMessage *request_base,
					  ProtobufCMessage *response_base, void *ctx)
{
	const Fts__Dispatch__V1__LeaveRequest *request = (const Fts__Dispatch__V1__LeaveRequest *)request_base;
	Fts__Dispatch__V1__WorkerRecord *record, changed;
	(void)response_base;
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), request->worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (record->instance != request->instance)
		return fts_apply_refuse(apply, FTS_PERMISSION_DENIED, "instance: worker %" PRIu64 " is another's",
					request->worker);
	if (request->gone) {
		status = take_out(apply, request->worker, record, (struct ftsi_end){.known = true});
		if (status == FTS_OK) ftsi_move_forget(request->worker, ftsi_dispatch_watch_leases(ctx));
		return status;
	}
	if (record->leaving) return FTS_OK;
	changed = *record;
	changed.leaving = true;
	status = ftsi_move_check(apply, ftsi_worker_put(ftsi_move_place(apply), request->worker, record, &changed));
	return status == FTS_OK ? tell(apply, request->worker, &changed, false) : status;
}

enum fts_status ftsi_move_lose(struct fts_apply *apply, uint64_t worker, size_t *moved_count)
{
	Fts__Dispatch__V1__WorkerRecord *record;
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	*moved_count += record->running;
	return take_out(apply, worker, record, (struct ftsi_end){.known = false});
}

void ftsi_move_forget(uint64_t worker, struct fts_leases *leases)
{
	char id[24];
	lease_id(worker, id);
	fts_leases_forget(leases, lease_group, id);
}

/* ---- Hanging ---- */

static enum fts_status put_marks(struct fts_apply *apply, uint64_t worker,
				 const Fts__Dispatch__V1__WorkerRecord *record, bool hung, bool unreachable)
{
	Fts__Dispatch__V1__WorkerRecord changed = *record;
	if ((record->hung != 0) == hung && (record->unreachable != 0) == unreachable) return FTS_OK;
	changed.hung = hung;
	changed.unreachable = unreachable;
	enum fts_status status =
	    ftsi_move_check(apply, ftsi_worker_put(ftsi_move_place(apply), worker, record, &changed));
	if (status == FTS_OK) status = tell(apply, worker, &changed, false);
	return status == FTS_OK ? ftsi_move_line(apply, changed.name) : status;
}

enum fts_status ftsi_move_mark(struct fts_apply *apply, uint64_t worker, bool hung, size_t *moved_count)
{
	Fts__Dispatch__V1__WorkerRecord *record;
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	if (!hung && record->running < record->capacity) *moved_count += record->capacity - record->running;
	return put_marks(apply, worker, record, hung, hung && record->unreachable);
}

enum fts_status ftsi_move_unreachable(struct fts_apply *apply, uint64_t worker)
{
	Fts__Dispatch__V1__WorkerRecord *record;
	enum fts_status status = ftsi_worker_get(ftsi_move_place(apply), worker, &record);
	if (status == FTS_NOT_FOUND) return FTS_OK;
	if (status != FTS_OK) return ftsi_move_check(apply, status);
	return put_marks(apply, worker, record, record->hung != 0, true);
}
