/* Why this file exists: the lottery for C programs: the generated calls, and an importer that stores a long list
 * of bets in the order given, each exactly once, over the death of servers and of itself.
 *
 *   fts_lottery_importer_create -> fts_lottery_importer_add (a row at a time) -> fts_lottery_importer_finish
 *
 * Invariants of an importer: rows are known by (draw, agency, import, row number), so that the same rows may be
 * given again after any interruption; bets are stored in the order of their rows; memory is bounded by
 * batch_rows * (outstanding_max + 1) rows, and by 1 MiB of text a batch. */
#ifndef FTS_LOTTERY_H
#define FTS_LOTTERY_H

#include <fts/rpc.h>

#include "fts/lottery/v1/lottery.fts.h"

FTS_BEGIN_DECLS

#define FTS_LOTTERY_BATCH_ROWS_MAX 4096u
#define FTS_LOTTERY_OUTSTANDING_MAX 64u

/* One bet; strings are UTF-8, 0-terminated, borrowed for the call that takes the struct. */
struct fts_lottery_bet {
	const char *first_name;
	const char *last_name;
	const char *document;
	const char *birthdate;
	uint32_t number;
};

struct fts_lottery_refusal {
	uint64_t row;                     /* as given to add */
	uint64_t tag;                     /* as given to add */
	const Fts__Lottery__V1__Bet *bet; /* borrowed until the callback returns */
	const char *reason;               /* every fault of the row, "field: reason; …"; borrowed likewise */
};

/* Called by add and finish, on their caller's thread. */
struct fts_lottery_import_observer {
	void *ctx; /* borrowed until destroy */
	/* A row the server refused; the others of its batch are stored. May be NULL. */
	void (*refused)(void *ctx, const struct fts_lottery_refusal *refusal);
	/* No server answers for now, and the importer keeps trying: error (borrowed), how long there has been no
	 * progress. error NULL: it goes on again. May be NULL. */
	void (*waiting)(void *ctx, const struct fts_error *error, uint64_t waited_ms);
};

struct fts_lottery_import_options {
	const char *draw; /* borrowed until destroy */
	uint32_t agency;
	const char *import;         /* 1 to 128 bytes; borrowed until destroy */
	uint32_t batch_rows;        /* 0: 200 */
	uint32_t outstanding_max;   /* batches in flight; 0: 8 */
	uint32_t timeout_ms;        /* of one call; 0: 5,000 */
	uint32_t patience_ms;       /* give up after so long without progress; 0: 60,000 */
	uint32_t first_patience_ms; /* the same until the first batch is stored; 0: as patience_ms */
};

struct fts_lottery_import_counts {
	uint64_t stored;
	uint64_t already; /* stored by an earlier run of the same import */
	uint64_t refused;
	uint64_t calls; /* started, retries included */
	uint64_t retries;
};

struct fts_lottery_importer;

/* channel: borrowed until destroy. options, observer: copied. out_importer: returned
 * (fts_lottery_importer_destroy). Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED (memory). Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_lottery_importer_create(struct fts_channel *channel,
								 const struct fts_lottery_import_options *options,
								 const struct fts_lottery_import_observer *observer,
								 struct fts_lottery_importer **out_importer,
								 struct fts_error *out_error);

/* Give the next bet (borrowed: copied). row: its number in the import, from 1, growing; numbers may be left out.
 * tag: the caller's, comes back in a refusal. Blocks while outstanding_max batches are in flight.
 * Errors: INVALID_ARGUMENT (row does not grow, a bet above 64 KiB), UNAVAILABLE or DEADLINE_EXCEEDED (patience is
 * over), CANCELLED (stop was called), and any status with which the server refuses a whole batch (NOT_FOUND: no
 * such draw; FAILED_PRECONDITION: the agency has closed). After an error only counts and destroy are of use;
 * what the counts name is stored. Thread: one at a time. */
FTS_API FTS_MUST_USE enum fts_status fts_lottery_importer_add(struct fts_lottery_importer *importer, uint64_t row,
							      uint64_t tag, const struct fts_lottery_bet *bet,
							      struct fts_error *out_error);

/* Send what is left and wait for every verdict. Errors and thread as add. */
FTS_API FTS_MUST_USE enum fts_status fts_lottery_importer_finish(struct fts_lottery_importer *importer,
								 struct fts_error *out_error);

/* Make a running or later add or finish end with CANCELLED, once what is in flight has ended. Thread: any. */
FTS_API void fts_lottery_importer_stop(struct fts_lottery_importer *importer);

/* What is known by now. Thread: add's. */
FTS_API struct fts_lottery_import_counts fts_lottery_importer_counts(const struct fts_lottery_importer *importer);

/* Wait for what is in flight, free (owned; NULL: no-op). Thread: add's. */
FTS_API void fts_lottery_importer_destroy(struct fts_lottery_importer *importer);

FTS_END_DECLS

#endif
