/* Why this file exists: see caller_internal.h: tickets of a caller: asked for, kept for its next calls, given back.
 *
 * Who calls workers of a name again and again gets tickets for more and more runs (a habit): two synced entries of the
 * log a ticket are shared by its runs. Who doesn't, gets one run each. A ticket that is kept is no burden: its worker
 * ends it when it lies idle for FTS_TICKET_IDLE_MS, or is FTS_TICKET_HOLD_MS old. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/caller_internal.h"
#include "client/ticket.h"

enum { KEPT_MAX = 4096, HABIT_RUNS_MAX = 256, ACQUIRE_MS = 5000, RELEASE_MS = 2000, DONE_MS = 1000 };
enum { WAIT_MARGIN_MS = 1000, KEPT_MS = FTS_TICKET_IDLE_MS * 3 / 4 };

/* ---- Habits: called with the caller's lock ---- */

/* NULL: none. */
static struct ftsi_habit *habit_of(struct fts_caller *caller, const char *name)
{
	for (size_t i = 0; i < FTSI_CALLER_NAME_MAX; i++)
		if (strcmp(caller->habits[i].name, name) == 0) return &caller->habits[i];
	return NULL;
}

static struct ftsi_habit *make_habit(struct fts_caller *caller, const char *name)
{
	struct ftsi_habit *oldest = habit_of(caller, name);
	if (oldest != NULL) return oldest;
	oldest = &caller->habits[0];
	for (size_t i = 1; i < FTSI_CALLER_NAME_MAX; i++)
		if (caller->habits[i].used_ns < oldest->used_ns) oldest = &caller->habits[i];
	*oldest = (struct ftsi_habit){.runs = 1};
	(void)snprintf(oldest->name, sizeof oldest->name, "%s", name);
	return oldest;
}

static uint32_t runs_to_ask(struct fts_caller *caller, const char *name)
{
	if (caller->batch_runs != 0) return caller->batch_runs;
	pthread_mutex_lock(&caller->lock);
	const struct ftsi_habit *habit = habit_of(caller, name);
	uint64_t now_ns = fts_clock_monotonic_ns();
	bool often = habit != NULL && now_ns - habit->used_ns < FTS_TICKET_IDLE_MS * FTSI_MS_NS;
	uint32_t runs = often ? habit->runs : 1;
	pthread_mutex_unlock(&caller->lock);
	return runs;
}

/* A ticket was used up: the next one is for twice as many; or as many as it came to before its time was over. */
static void learn(struct ftsi_habit *habit, const struct ftsi_held *ticket, uint32_t ran)
{
	uint32_t twice = ftsi_least(ticket->runs * 2, HABIT_RUNS_MAX);
	if (ran < ticket->runs)
		habit->runs = ran;
	else if (twice > habit->runs)
		habit->runs = twice;
}

/* ---- Kept ones ---- */

void ftsi_caller_drop_old_tickets(struct fts_caller *caller)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	for (struct ftsi_held **link = &caller->kept; *link != NULL;) {
		struct ftsi_held *at = *link;
		if (now_ns <= at->until_ns) {
			link = &at->next;
			continue;
		}
		struct ftsi_habit *habit = habit_of(caller, at->name);
		if (habit != NULL && habit->runs > 1) habit->runs /= 2; /* it was for too many */
		*link = at->next;
		caller->kept_count--;
		free(at); /* its worker has ended it */
	}
}

/* The first of the name is the one kept last: when it is of no use any more, none is. */
bool ftsi_job_take_kept(struct ftsi_job *job)
{
	struct fts_caller *caller = job->caller;
	pthread_mutex_lock(&caller->lock);
	struct ftsi_held **link = &caller->kept;
	while (*link != NULL && strcmp((*link)->name, job->name) != 0)
		link = &(*link)->next;
	struct ftsi_held *found = *link;
	if (found != NULL && fts_clock_monotonic_ns() > found->until_ns) found = NULL;
	if (found != NULL) {
		*link = found->next;
		caller->kept_count--;
	}
	pthread_mutex_unlock(&caller->lock);
	if (found == NULL) return false;
	job->ticket = *found;
	free(found);
	return true;
}

static void keep(struct fts_caller *caller, const struct ftsi_held *ticket, struct ftsi_held *copy)
{
	bool room = copy != NULL && caller->kept_count < KEPT_MAX;
	if (!room) {
		free(copy); /* its worker ends it in time */
		return;
	}
	*copy = *ticket;
	copy->until_ns = fts_clock_monotonic_ns() + KEPT_MS * FTSI_MS_NS;
	copy->next = caller->kept;
	caller->kept = copy;
	caller->kept_count++;
}

void ftsi_job_used_ticket(struct ftsi_job *job, bool over)
{
	struct fts_caller *caller = job->caller;
	uint32_t ran = job->ticket.run++;
	bool more = !over && ran < job->ticket.runs;
	struct ftsi_held *copy = more ? malloc(sizeof *copy) : NULL;
	pthread_mutex_lock(&caller->lock);
	struct ftsi_habit *habit = make_habit(caller, job->name);
	habit->used_ns = fts_clock_monotonic_ns();
	if (more)
		keep(caller, &job->ticket, copy);
	else
		learn(habit, &job->ticket, ran);
	pthread_mutex_unlock(&caller->lock);
}

void ftsi_job_lost_ticket(struct ftsi_job *job)
{
	pthread_mutex_lock(&job->caller->lock);
	struct ftsi_habit *habit = habit_of(job->caller, job->name);
	if (habit != NULL && habit->runs > 1) habit->runs /= 2;
	pthread_mutex_unlock(&job->caller->lock);
}

/* Its worker may have its place for others. */
static void tell_done(struct fts_caller *caller, const struct ftsi_held *ticket)
{
	Fts__Dispatch__V1__DoneRequest request = FTS__DISPATCH__V1__DONE_REQUEST__INIT;
	Fts__Dispatch__V1__DoneResponse *response = NULL;
	const struct fts_call_options options = {.timeout_ms = DONE_MS, .no_retry = true};
	struct fts_error error;
	struct ftsi_caller_link *link = ftsi_caller_take_link(caller, ticket->address, &error);
	if (link == NULL) return;
	request.ticket.data = (uint8_t *)ticket->bytes;
	request.ticket.len = ticket->size_bytes;
	if (fts_worker_done(link->channel, &request, &options, &response, &error) == FTS_OK)
		fts__dispatch__v1__done_response__free_unpacked(response, NULL);
	ftsi_caller_give_link(caller, link);
}

void ftsi_caller_return_tickets(struct fts_caller *caller)
{
	while (caller->kept != NULL) {
		struct ftsi_held *ticket = caller->kept;
		caller->kept = ticket->next;
		if (fts_clock_monotonic_ns() < ticket->until_ns) tell_done(caller, ticket);
		free(ticket);
	}
}

/* ---- From the dispatcher ---- */

/* False: what was answered is none. */
static bool read_ticket(const Fts__Dispatch__V1__AcquireResponse *response, struct ftsi_held *ticket)
{
	if (response->ticket.len > sizeof ticket->bytes || strlen(response->address) >= sizeof ticket->address)
		return false;
	(void)snprintf(ticket->address, sizeof ticket->address, "%s", response->address);
	if (response->ticket.len > 0) memcpy(ticket->bytes, response->ticket.data, response->ticket.len);
	ticket->size_bytes = response->ticket.len;
	ticket->number = response->number;
	ticket->runs = response->runs;
	ticket->run = 1;
	return true;
}

static void on_place(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error);

/* In vain: out of the line. */
static void give_up_place(struct ftsi_job *job, enum fts_status status)
{
	if (status == FTS_DEADLINE_EXCEEDED)
		(void)fts_error_set(&job->error, status, "no worker of %s was free in the time to be waited",
				    job->name);
	job->again = false;
	ftsi_job_release(job, false);
}

/* Stand in line until the dispatcher says that it was too long. */
static void await(struct ftsi_job *job)
{
	Fts__Dispatch__V1__AwaitRequest request = FTS__DISPATCH__V1__AWAIT_REQUEST__INIT;
	uint32_t call_ms = ftsi_left_ms(job->deadline_ns);
	uint32_t wait_ms = ftsi_left_ms(job->wait_until_ns + WAIT_MARGIN_MS * FTSI_MS_NS);
	const struct fts_call_options options = {.timeout_ms = ftsi_least(ftsi_least(call_ms, wait_ms), FTSI_FATE_MS)};
	enum fts_status status = FTS_DEADLINE_EXCEEDED;
	request.number = job->ticket.number;
	if (options.timeout_ms > 0)
		status = ftsi_job_start(job, job->caller->channel, fts_dispatch_await_method, &request.base, &options,
					on_place);
	if (status == FTS_OK) return;
	if (status != FTS_DEADLINE_EXCEEDED)
		(void)fts_error_set(&job->error, status, "the place in line for %s could not be kept", job->name);
	give_up_place(job, status);
}

static void take_answer(struct ftsi_job *job, const Fts__Dispatch__V1__AcquireResponse *response)
{
	if (!read_ticket(response, &job->ticket)) {
		(void)fts_error_set(&job->error, FTS_INTERNAL, "the dispatcher's answer can't be used");
		ftsi_job_fails(job);
	} else if (job->ticket.address[0] != 0) {
		ftsi_job_has_ticket(job);
	} else {
		await(job);
	}
}

static void on_place(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	struct ftsi_job *job = ctx;
	bool in_time = ftsi_left_ms(job->wait_until_ns) > 0;
	if (status != FTS_OK) job->error = *error;
	if (status == FTS_OK)
		take_answer(job, (const Fts__Dispatch__V1__AcquireResponse *)base);
	else if (status == FTS_UNAVAILABLE || (status == FTS_DEADLINE_EXCEEDED && in_time))
		await(job);
	else
		give_up_place(job, status);
	ftsi_job_drop(job);
}

static void on_acquired(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	struct ftsi_job *job = ctx;
	if (status != FTS_OK) job->error = *error;
	if (status == FTS_OK)
		take_answer(job, (const Fts__Dispatch__V1__AcquireResponse *)base);
	else
		ftsi_job_fails(job);
	ftsi_job_drop(job);
}

void ftsi_job_acquire(struct ftsi_job *job)
{
	Fts__Dispatch__V1__AcquireRequest request = FTS__DISPATCH__V1__ACQUIRE_REQUEST__INIT;
	uint32_t call_ms = ftsi_left_ms(job->deadline_ns);
	const struct fts_call_options options = {.timeout_ms = ftsi_least(call_ms, ACQUIRE_MS)};
	if (call_ms == 0) {
		(void)fts_error_set(&job->error, FTS_DEADLINE_EXCEEDED,
				    "no worker of %s did it within the call's time limit", job->name);
		ftsi_job_fails(job);
		return;
	}
	job->ticket = (struct ftsi_held){.run = 1};
	(void)snprintf(job->ticket.name, sizeof job->ticket.name, "%s", job->name);
	request.name = job->name;
	request.wait_ms = ftsi_least(ftsi_left_ms(job->wait_until_ns), call_ms);
	request.runs = runs_to_ask(job->caller, job->name);
	ftsi_job_enter(job, FTSI_JOB_ACQUIRE);
	enum fts_status status = ftsi_job_start(job, job->caller->channel, fts_dispatch_acquire_method, &request.base,
						&options, on_acquired);
	if (status == FTS_OK) return;
	(void)fts_error_set(&job->error, status, "a worker of %s could not be asked for: too many calls are open",
			    job->name);
	ftsi_job_fails(job);
}

/* ---- Back to it ---- */

static void on_released(void *ctx, enum fts_status status, const ProtobufCMessage *base, const struct fts_error *error)
{
	struct ftsi_job *job = ctx;
	(void)status, (void)base, (void)error;
	ftsi_job_conclude(job);
	ftsi_job_drop(job);
}

void ftsi_job_release(struct ftsi_job *job, bool unreachable)
{
	Fts__Dispatch__V1__ReleaseRequest request = FTS__DISPATCH__V1__RELEASE_REQUEST__INIT;
	const struct fts_call_options options = {.timeout_ms = RELEASE_MS};
	request.number = job->ticket.number;
	request.ticket.data = job->ticket.bytes;
	request.ticket.len = job->ticket.size_bytes;
	request.unreachable = unreachable;
	ftsi_job_enter(job, FTSI_JOB_RELEASE);
	if (ftsi_job_start(job, job->caller->channel, fts_dispatch_release_method, &request.base, &options,
			   on_released) != FTS_OK)
		ftsi_job_conclude(job);
}
