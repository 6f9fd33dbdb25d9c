/* Why this file exists: what the parts of a caller of workers share: caller.c gets tickets and tries, caller_link.c
 * keeps connections to workers, caller_run.c makes one run and finds out what became of it. */
#ifndef FTS_CLIENT_CALLER_INTERNAL_H
#define FTS_CLIENT_CALLER_INTERNAL_H

#include <pthread.h>

#include <fts/dispatch/v1/dispatch.fts.h>
#include <fts/worker.h>

#include "base/clock.h"

#define FTSI_MS_NS UINT64_C(1000000)

enum { FTSI_CALLER_LINK_MAX = 64, FTSI_FATE_MS = 10000 };

/* A connection to a worker. */
struct ftsi_caller_link {
	char address[128];
	struct fts_channel *channel;
	uint32_t use_count;
	uint64_t used_ns;
};

/* A ticket in hand. */
struct ftsi_held {
	struct ftsi_held *next;
	char name[65], address[128];
	uint8_t bytes[128];
	size_t size_bytes;
	uint64_t number, until_ns;
	uint32_t runs, run; /* run: the next one, from 1 */
};

struct fts_caller {
	struct fts_channel *channel; /* borrowed */
	struct fts_tls tls;          /* its texts are owned */
	uint32_t batch_runs;
	pthread_mutex_t lock;
	struct ftsi_caller_link *links[FTSI_CALLER_LINK_MAX]; /* guarded by lock */
	struct ftsi_held *kept;                               /* guarded by lock; the last one kept is the first */
	uint32_t kept_count;                                  /* guarded by lock */
};

/* One fts_caller_call; all borrowed until it has ended. */
struct ftsi_asked {
	struct fts_caller *caller;
	const char *name;
	struct fts_bytes input;
	uint64_t deadline_ns, wait_until_ns;
	struct fts_outcome *outcome;
	struct fts_error *error; /* never NULL */
};

static inline uint32_t ftsi_left_ms(uint64_t until_ns)
{
	return fts_clock_left_ms(fts_clock_monotonic_ns(), until_ns);
}

static inline uint32_t ftsi_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- caller_link.c ---- */

/* The connection to address (borrowed), to be given back. NULL: *out_error says why. */
struct ftsi_caller_link *ftsi_caller_take_link(struct fts_caller *caller, const char *address,
					       struct fts_error *out_error);
void ftsi_caller_give_link(struct fts_caller *caller, struct ftsi_caller_link *link);
void ftsi_caller_close_link(struct ftsi_caller_link *link); /* owned; NULL: no-op */

/* ---- caller_run.c ---- */

/* One run with ticket, at its worker. Not OK: asked->error says what is known of it so far. */
FTS_MUST_USE enum fts_status ftsi_caller_run(const struct ftsi_asked *asked, const struct ftsi_held *ticket,
					     const struct ftsi_caller_link *link);
/* Nothing came back from it: what does the dispatcher know? Sets asked->error->executed when it does. */
void ftsi_caller_learn_fate(const struct ftsi_asked *asked, const struct ftsi_held *ticket);

#endif
