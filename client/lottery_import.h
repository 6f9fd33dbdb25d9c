/* Why this file exists: the importer of <fts/lottery.h> from inside: batches in flight, in order, over the death of
 * servers. lottery_import.c makes rows into batches, lottery_import_flow.c gets the batches stored.
 *
 * Batches stand in a ring by sequence: [head, fill) are sealed, fill is being filled. A sealed batch is READY to be
 * sent, SENT, or ENDED; the owner's thread settles ENDED ones from the head on. When one fails in a way that a
 * retry may cure, everything in flight is waited for, and then the head goes out alone; the window opens again
 * with each success (1, 2, 4, …). Each batch names the last row of the one before it (after_row), so that none can
 * be stored before its predecessor whatever happens on the way: tickets follow the order of the rows.
 *
 * The stub's own retry is off: it would let batches overtake each other. A resent batch is a new call; that its
 * rows are stored once is the server's promise for (draw, agency, import, row). */
#ifndef FTSI_LOTTERY_IMPORT_H
#define FTSI_LOTTERY_IMPORT_H

#include <pthread.h>

#include <fts/lottery.h>

enum ftsi_batch_state { FTSI_BATCH_EMPTY, FTSI_BATCH_READY, FTSI_BATCH_SENT, FTSI_BATCH_ENDED };

struct ftsi_import_batch {
	struct fts_lottery_importer *importer;
	enum ftsi_batch_state state; /* SENT -> ENDED by the callback: guarded by lock; all else by the owner alone */
	enum fts_status status;      /* of ENDED */
	struct fts_error error;      /* of ENDED, when it failed */
	uint8_t *answer;             /* of ENDED, when it did not: packed, ours */
	size_t answer_size_bytes;
	uint64_t first_row;
	uint64_t after_row;
	uint32_t row_count;
	char *text; /* four strings a row, one behind the other */
	size_t text_used_bytes;
	size_t text_size_bytes;
	uint64_t *tags;
	Fts__Lottery__V1__Bet *bets;
	Fts__Lottery__V1__Bet **pointers;
};

struct fts_lottery_importer {
	struct fts_channel *channel;
	struct fts_lottery_import_options options;
	struct fts_lottery_import_observer observer;
	struct fts_lottery_import_counts counts;
	struct fts_error failure; /* once failed */
	bool failed;
	bool waiting; /* the observer has been told so */
	uint64_t last_row;
	uint64_t head;
	uint64_t fill;
	uint32_t ring_size;
	uint32_t window;
	uint32_t backoff_ms;   /* 0: nothing failed lately */
	uint64_t resend_at_ns; /* not before */
	uint64_t progress_ns;  /* when something was last stored, or the wait for it began */
	pthread_mutex_t lock;
	pthread_cond_t ended_cond; /* CLOCK_MONOTONIC */
	uint32_t sent_count;       /* guarded by lock */
	bool stopping;             /* guarded by lock */
	struct ftsi_import_batch *ring;
};

/* Borrowed; sequence: head to fill. */
static inline struct ftsi_import_batch *ftsi_import_batch_at(const struct fts_lottery_importer *importer,
							     uint64_t sequence)
{
	return &importer->ring[sequence % importer->ring_size];
}

/* Work until at most sealed_max sealed batches are not settled. Thread: the owner's. Errors: those of
 * fts_lottery_importer_add. */
FTS_MUST_USE enum fts_status ftsi_importer_pump(struct fts_lottery_importer *importer, uint64_t sealed_max,
						struct fts_error *out_error);

/* Wait until nothing is in flight. */
void ftsi_importer_wait_for_all_sent(struct fts_lottery_importer *importer);

#endif
