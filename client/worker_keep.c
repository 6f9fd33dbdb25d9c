/* Why this file exists: see worker_internal.h: what a worker says to the dispatcher: that it is there, that it lives,
 * which tickets have ended. */
#include "client/worker_internal.h"

#include <string.h>

#include "base/clock.h"

#define MS_NS UINT64_C(1000000)

enum { BEAT_MIN_MS = 100, BEAT_MAX_MS = 1000, AGAIN_MS = 100, REGISTER_MS = 5000, FINISH_MS = 10000 };
enum { IDLE_LOOK_MS = FTS_TICKET_IDLE_MS / 2 };
enum { OVERDUE_MARGIN_MS = 1000 }; /* as the dispatcher has it */

static struct timespec time_at(uint64_t at_ns)
{
	return (struct timespec){(time_t)(at_ns / 1000000000u), (long)(at_ns % 1000000000u)};
}

/* Called with lock held. */
static void set_clock(struct fts_worker *worker, int64_t now_ms)
{
	worker->clock_ms = now_ms;
	worker->clock_ns = fts_clock_monotonic_ns();
}

/* ---- Being there ---- */

/* Called with lock held: another worker for the dispatcher than before. */
static void become(struct fts_worker *worker, uint64_t id)
{
	if (worker->id != 0) worker->ended_count = worker->telling_count = 0;
	worker->id = id;
	memset(&worker->window, 0, sizeof worker->window);
}

/* Called with lock held: the dispatcher does not know it any more. */
static void forget_registration(struct fts_worker *worker)
{
	worker->ended_count = worker->telling_count = 0;
	worker->id = 0;
	for (uint32_t i = 0; i < worker->capacity; i++) {
		struct ftsi_slot *slot = &worker->slots[i];
		if (!slot->used || slot->stray) continue;
		slot->stray = true;
		worker->stray_count++;
	}
	ftsi_worker_sweep(worker, true);
}

enum fts_status ftsi_worker_register(struct fts_worker *worker, struct fts_error *out_error)
{
	Fts__Dispatch__V1__RegisterRequest request = FTS__DISPATCH__V1__REGISTER_REQUEST__INIT;
	Fts__Dispatch__V1__RegisterResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = REGISTER_MS};
	pthread_mutex_lock(&worker->lock);
	uint32_t offered = worker->capacity - worker->stray_count;
	pthread_mutex_unlock(&worker->lock);
	if (offered == 0) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "runs of before take all places");
	request.name = worker->name;
	request.address = worker->address;
	request.capacity = offered;
	request.max_run_ms = worker->max_run_ms;
	request.lease_ms = worker->lease_ms;
	request.instance = worker->instance;
	request.key.data = worker->key;
	request.key.len = sizeof worker->key;
	enum fts_status status =
	    fts_dispatch_register_worker(worker->channel, &request, &options, &response, out_error);
	if (status != FTS_OK) return status;
	pthread_mutex_lock(&worker->lock);
	if (worker->id != response->worker) become(worker, response->worker);
	worker->offered = offered;
	set_clock(worker, response->now_ms);
	pthread_mutex_unlock(&worker->lock);
	fts__dispatch__v1__register_response__free_unpacked(response, NULL);
	return FTS_OK;
}

/* Called with lock held. */
static uint32_t oldest_run_ms(const struct fts_worker *worker)
{
	uint64_t now_ns = fts_clock_monotonic_ns(), oldest_ns = now_ns;
	for (uint32_t i = 0; i < worker->capacity; i++) {
		const struct ftsi_slot *slot = &worker->slots[i];
		if (slot->used && slot->run != 0 && slot->started_ns < oldest_ns) oldest_ns = slot->started_ns;
	}
	return (uint32_t)((now_ns - oldest_ns) / MS_NS);
}

/* Called with lock held. */
static void take_beat(struct fts_worker *worker, uint64_t id, const Fts__Dispatch__V1__BeatResponse *response)
{
	if (worker->id != id) return;
	set_clock(worker, response->now_ms);
	/* Nobody may come later with one that is given up here, whatever clocks do: all of them ended before the
	 * margin. */
	if (response->n_overdue > 0 && response->now_ms - OVERDUE_MARGIN_MS > worker->floor_ms)
		worker->floor_ms = response->now_ms - OVERDUE_MARGIN_MS;
	for (size_t i = 0; i < response->n_overdue; i++)
		ftsi_worker_overdue(worker, response->overdue[i]);
}

static enum fts_status beat(struct fts_worker *worker, uint64_t id, struct fts_error *out_error)
{
	Fts__Dispatch__V1__BeatRequest request = FTS__DISPATCH__V1__BEAT_REQUEST__INIT;
	Fts__Dispatch__V1__BeatResponse *response = NULL;
	const struct fts_call_options options = {
	    .timeout_ms = worker->lease_ms / 2 > BEAT_MAX_MS ? BEAT_MAX_MS : worker->lease_ms / 2};
	request.worker = id;
	pthread_mutex_lock(&worker->lock);
	request.oldest_run_ms = oldest_run_ms(worker);
	pthread_mutex_unlock(&worker->lock);
	enum fts_status status = fts_dispatch_beat(worker->channel, &request, &options, &response, out_error);
	pthread_mutex_lock(&worker->lock);
	if (status == FTS_OK) take_beat(worker, id, response);
	if (status == FTS_NOT_FOUND && worker->id == id) forget_registration(worker);
	ftsi_worker_sweep(worker, false);
	pthread_mutex_unlock(&worker->lock);
	if (response != NULL) fts__dispatch__v1__beat_response__free_unpacked(response, NULL);
	return status;
}

static uint32_t pause_ms(const struct fts_worker *worker, enum fts_status status)
{
	uint32_t third_ms = worker->lease_ms / 3;
	if (status == FTS_NOT_FOUND) return 0; /* register at once */
	if (status != FTS_OK) return AGAIN_MS;
	if (third_ms < BEAT_MIN_MS) return BEAT_MIN_MS;
	return third_ms > BEAT_MAX_MS ? BEAT_MAX_MS : third_ms;
}

void *ftsi_worker_beat(void *data)
{
	struct fts_worker *worker = data;
	pthread_mutex_lock(&worker->lock);
	while (!worker->ending) {
		struct fts_error error = {0};
		uint64_t id = worker->id;
		bool changed = id == 0 || worker->offered != worker->capacity - worker->stray_count;
		bool offers = !worker->stopping && worker->capacity > worker->stray_count;
		pthread_mutex_unlock(&worker->lock);
		enum fts_status status = FTS_OK;
		if (changed && offers) status = ftsi_worker_register(worker, &error);
		if (id != 0) status = beat(worker, id, &error);
		pthread_mutex_lock(&worker->lock);
		worker->told = error;
		if (status == FTS_OK) worker->told.status = FTS_OK;
		uint32_t wait_ms = pause_ms(worker, status);
		struct timespec until = time_at(fts_clock_monotonic_ns() + wait_ms * MS_NS);
		if (!worker->ending && wait_ms > 0)
			(void)pthread_cond_timedwait(&worker->beat_wake, &worker->lock, &until);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/* ---- What has ended ---- */

/* Called with lock held. The first ones; they stay until they are known. */
static size_t list_ended(struct fts_worker *worker, Fts__Dispatch__V1__EndedTicket *items,
			 Fts__Dispatch__V1__EndedTicket **list)
{
	uint32_t count = worker->ended_count < FTSI_WORKER_TELL_MAX ? worker->ended_count : FTSI_WORKER_TELL_MAX;
	for (uint32_t i = 0; i < count; i++) {
		const struct ftsi_ended *ended = &worker->ended[(worker->ended_first + i) % worker->ended_max];
		fts__dispatch__v1__ended_ticket__init(&items[i]);
		items[i].number = ended->number;
		items[i].ran = ended->ran;
		list[i] = &items[i];
	}
	worker->telling_count = count;
	return count;
}

/* Called with lock held: the dispatcher knows of them now. */
static void drop_told(struct fts_worker *worker)
{
	worker->ended_first = (worker->ended_first + worker->telling_count) % worker->ended_max;
	worker->ended_count -= worker->telling_count;
	worker->telling_count = 0;
}

/* Called with lock held, which is dropped meanwhile: not at once again what has failed at once. */
static void pause_telling(struct fts_worker *worker)
{
	uint64_t until_ns = fts_clock_monotonic_ns() + AGAIN_MS * MS_NS;
	struct timespec until = time_at(until_ns);
	while (!worker->ending && fts_clock_monotonic_ns() < until_ns)
		(void)pthread_cond_timedwait(&worker->finish_wake, &worker->lock, &until);
}

/* True: it knows. */
static bool tell_ended(struct fts_worker *worker, uint64_t id, Fts__Dispatch__V1__EndedTicket **list, size_t count)
{
	Fts__Dispatch__V1__FinishRequest request = FTS__DISPATCH__V1__FINISH_REQUEST__INIT;
	Fts__Dispatch__V1__FinishResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = FINISH_MS};
	struct fts_error error;
	request.worker = id;
	request.instance = worker->instance;
	request.ended = list;
	request.n_ended = count;
	if (fts_dispatch_finish(worker->channel, &request, &options, &response, &error) != FTS_OK) return false;
	fts__dispatch__v1__finish_response__free_unpacked(response, NULL);
	return true;
}

/* Called with lock held. Tickets for several runs may lie idle: that is looked for in time, whatever else ends. */
static void look_for_idle(struct fts_worker *worker, uint64_t *looked_ns)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (worker->several_count == 0 || now_ns - *looked_ns < IDLE_LOOK_MS * MS_NS) return;
	*looked_ns = now_ns;
	ftsi_worker_sweep(worker, false);
}

/* Called with lock held, which is dropped meanwhile. */
static void wait_ended(struct fts_worker *worker)
{
	struct timespec until = time_at(fts_clock_monotonic_ns() + IDLE_LOOK_MS * MS_NS);
	if (worker->several_count == 0)
		(void)pthread_cond_wait(&worker->finish_wake, &worker->lock);
	else
		(void)pthread_cond_timedwait(&worker->finish_wake, &worker->lock, &until);
}

void *ftsi_worker_finish(void *data)
{
	Fts__Dispatch__V1__EndedTicket items[FTSI_WORKER_TELL_MAX], *list[FTSI_WORKER_TELL_MAX];
	struct fts_worker *worker = data;
	uint64_t looked_ns = 0;
	bool known = true;
	pthread_mutex_lock(&worker->lock);
	while (!worker->ending || (known && worker->ended_count > 0)) {
		look_for_idle(worker, &looked_ns);
		size_t count = worker->id != 0 ? list_ended(worker, items, list) : 0;
		uint64_t id = worker->id;
		if (count == 0 && worker->ending) break;
		if (count == 0) {
			wait_ended(worker);
			continue;
		}
		pthread_mutex_unlock(&worker->lock);
		known = tell_ended(worker, id, list, count);
		pthread_mutex_lock(&worker->lock);
		if (known)
			drop_told(worker);
		else
			pause_telling(worker);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

void ftsi_worker_leave(struct fts_worker *worker, bool gone, uint32_t timeout_ms)
{
	Fts__Dispatch__V1__LeaveRequest request = FTS__DISPATCH__V1__LEAVE_REQUEST__INIT;
	Fts__Dispatch__V1__LeaveResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = timeout_ms};
	struct fts_error error;
	pthread_mutex_lock(&worker->lock);
	request.worker = worker->id;
	bool is_all_told = worker->ended_count == 0;
	pthread_mutex_unlock(&worker->lock);
	if (gone && !is_all_told)
		return; /* it would be taken for not having run what the dispatcher has not heard of */
	request.instance = worker->instance;
	request.gone = gone;
	if (request.worker != 0 && fts_dispatch_leave(worker->channel, &request, &options, &response, &error) == FTS_OK)
		fts__dispatch__v1__leave_response__free_unpacked(response, NULL);
}
