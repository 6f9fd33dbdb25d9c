/* Why this file exists: workers and their callers, for C programs. A worker offers what it can do under a name; a
 * caller asks the dispatcher (every node of the cluster is one) for a worker of that name, gets an address and a
 * ticket, and calls the worker directly.
 *
 *   worker:  fts_worker_start(channel, &options, &worker, &error) ... fts_worker_stop(worker, 5000)
 *   caller:  fts_caller_open(channel, &options, &caller, &error)
 *            fts_caller_call(caller, "time", input, &call, &outcome, &error), or fts_caller_start, which does not wait
 *            ... fts_caller_close(caller)
 *
 * Invariants
 * - A ticket is good for one run (or for a number of them, one after the other, each with its number in the ticket), at
 *   one worker. The worker refuses a used, foreign or old one, and a run that was shown before; refused is not run.
 * - A ticket for several runs keeps its worker's place while runs follow each other within 20 ms, and ends with the
 *   first run that ends 50 ms after it was shown first. While callers stand in line it is for their share of the runs.
 * - A run that was answered ran once. One that was not: error.executed says YES, NO or UNKNOWN; NO is tried again at
 *   another worker by fts_caller_call itself, within the call's time limit; the others never are.
 * - A worker that is not heard of for its lease is taken out, and comes back by itself once it is heard of again. */
#ifndef FTS_WORKER_H
#define FTS_WORKER_H

#include <fts/rpc.h>

FTS_BEGIN_DECLS

#define FTS_WORK_MAX (1024u * 1024) /* bytes of an input, and of an output */

/* ---- A worker ---- */

struct fts_worker; /* thread-safe */
struct fts_work;   /* one run, until it is answered */

/* Run work: answer it with exactly one of fts_work_answer and fts_work_fail, at once or later, from any thread.
 * Thread: one of the worker's own, which is busy until it returns; or, with begins_only, the one that read the call,
 * which must not be kept. */
typedef void (*fts_work_fn)(void *ctx, struct fts_work *work);

struct fts_worker_options {
	const char *name;    /* what it can do, 1 to 64 bytes. Borrowed. */
	const char *listen;  /* HOST:PORT to be called at; NULL: 127.0.0.1, any free port. Borrowed. */
	const char *address; /* as callers reach it, when that is another one; NULL: listen. Borrowed. */
	uint32_t capacity;   /* runs at once, 1 to 4,096; 0: 1 */
	uint32_t max_run_ms; /* a run is never longer; 0: 30,000. A worker with one that is gets no tickets. */
	uint32_t lease_ms;   /* how long the cluster waits for a silent worker, 300 and up; 0: 2,000 */
	bool begins_only;    /* run only begins the work: it is called on the runtime's thread */
	fts_work_fn run;     /* borrowed with ctx until fts_worker_stop has returned */
	void *ctx;
	struct fts_tls tls; /* of its own port. Borrowed for the call. */
};

/* Listen, and offer it through channel (borrowed until stop). It is registered when this returns, and registers again
 * by itself whenever it has to. out_worker: returned (fts_worker_stop).
 * Errors: INVALID_ARGUMENT, UNAVAILABLE (address in use, no server reachable), RESOURCE_EXHAUSTED, and what the
 * dispatcher refuses. Thread: any but a callback's. */
FTS_API FTS_MUST_USE enum fts_status fts_worker_start(struct fts_channel *channel,
						      const struct fts_worker_options *options,
						      struct fts_worker **out_worker, struct fts_error *out_error);

/* Where it is called at, as registered. Borrowed until stop. */
FTS_API const char *fts_worker_address(const struct fts_worker *worker);
/* Is it registered, as far as it knows? What it was told last when not: *out_error (may be NULL). */
FTS_API bool fts_worker_offered(struct fts_worker *worker, struct fts_error *out_error);

/* Take no more, let what runs end for up to drain_ms, leave, free it (owned; NULL: no-op). Work that is not answered
 * by then may still be: the answer is dropped. True: everything was answered. Thread: any but its own. */
FTS_API bool fts_worker_stop(struct fts_worker *worker, uint32_t drain_ms);

/* What is to be done. Borrowed until work is answered. */
FTS_API struct fts_bytes fts_work_input(const struct fts_work *work);
/* Of the ticket; with its run, from 1, it is unique. */
FTS_API uint64_t fts_work_number(const struct fts_work *work);
FTS_API uint32_t fts_work_run(const struct fts_work *work);
/* When the caller gives up, CLOCK_MONOTONIC. */
FTS_API uint64_t fts_work_deadline_ns(const struct fts_work *work);
/* work: owned. output: borrowed, at most FTS_WORK_MAX bytes (more: RESOURCE_EXHAUSTED for the caller).
 * exit_code: 0 when there is nothing to say. */
FTS_API void fts_work_answer(struct fts_work *work, struct fts_bytes output, int exit_code);
/* It ran, and came to nothing: the caller gets status (not OK) with executed YES. work: owned. */
FTS_API void fts_work_fail(struct fts_work *work, enum fts_status status, const char *format, ...) FTS_PRINTF(3, 4);
/* It was not begun: the caller gets status (not OK) with executed NO, and tries elsewhere when that is UNAVAILABLE or
 * RESOURCE_EXHAUSTED. work: owned. */
FTS_API void fts_work_refuse(struct fts_work *work, enum fts_status status, const char *format, ...) FTS_PRINTF(3, 4);

/* ---- A caller ---- */

struct fts_caller; /* thread-safe */

struct fts_caller_options {
	struct fts_tls tls;  /* towards workers. Borrowed for the call. */
	uint32_t batch_runs; /* runs that a ticket is asked for, 1 to 1,000; 0: one, and the more the more often a name is
				called, up to 256 */
};

/* channel: to the cluster, borrowed until close. options: borrowed; NULL: defaults. out_caller: returned.
 * Errors: RESOURCE_EXHAUSTED, INVALID_ARGUMENT. Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_caller_open(struct fts_channel *channel,
						     const struct fts_caller_options *options,
						     struct fts_caller **out_caller, struct fts_error *out_error);
/* Give open calls up (CANCELLED, or UNAVAILABLE with executed UNKNOWN where one ran), wait for their callbacks, give back what it keeps, close
 * its connections (owned; NULL: no-op). No blocking call is open any more. Thread: any but a callback's. */
FTS_API void fts_caller_close(struct fts_caller *caller);

struct fts_caller_call {
	uint32_t timeout_ms; /* of everything together; 0: 30,000 */
	uint32_t wait_ms;    /* of it, at most so long in line while all workers are busy; 0: refuse at once */
};

/* What came of a call. output: returned (fts_outcome_fini). */
struct fts_outcome {
	uint8_t *output;
	size_t output_size_bytes;
	int exit_code;
	uint32_t run_ms;      /* as the worker measured it */
	uint64_t queued_us;   /* until there was a ticket */
	uint64_t number;      /* of the ticket; 0: none was had */
	uint32_t attempts;    /* workers tried */
	char worker[128];     /* HOST:PORT of the last one */
};

/* Have input (borrowed, at most FTS_WORK_MAX bytes) worked on by a worker of name. out_outcome: filled also when it
 * fails, as far as it came (fts_outcome_fini then too).
 * Errors: NOT_FOUND (nobody offers name), RESOURCE_EXHAUSTED (all busy and no wish to wait, or the line is full),
 * DEADLINE_EXCEEDED, UNAVAILABLE (no server, or the worker died: error.executed), and what the worker answers.
 * Thread: any but a callback's. */
FTS_API FTS_MUST_USE enum fts_status fts_caller_call(struct fts_caller *caller, const char *name,
						     struct fts_bytes input, const struct fts_caller_call *call,
						     struct fts_outcome *out_outcome, struct fts_error *out_error);

/* How a call ended. outcome: borrowed until the callback returns; its output may be taken (free()) by setting it to NULL
 * there. error: borrowed; NULL when status is OK. Thread: one of the runtime's or the caller's own; do not block. */
typedef void (*fts_called_fn)(void *ctx, enum fts_status status, struct fts_outcome *outcome,
			      const struct fts_error *error);

/* The same without waiting: done fires exactly once iff this returns OK, and never inside it. input: borrowed (copied
 * before return). Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED (4,096 calls of this caller are open, no memory),
 * CANCELLED (it is being closed). Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_caller_start(struct fts_caller *caller, const char *name,
						      struct fts_bytes input, const struct fts_caller_call *call,
						      fts_called_fn done, void *ctx, struct fts_error *out_error);

FTS_API void fts_outcome_fini(struct fts_outcome *outcome);

FTS_END_DECLS

#endif
