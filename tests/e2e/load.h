/* Why this file exists: callers that store one bet after another through libfts and remember what each was told, so
 * that afterwards every promise can be held against what the node has.
 *
 * Documents are numbers: caller * LOAD_BETS_MAX + place + 1; every bet has the number 7574, so winners lists them. */
#ifndef FTS_TESTS_E2E_LOAD_H
#define FTS_TESTS_E2E_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <fts/rpc.h>

#include "tests/harness/node.h"

#define LOAD_CALLERS 4
#define LOAD_BETS_MAX 20000 /* of one caller */

enum load_told { LOAD_NOT_SENT, LOAD_STORED, LOAD_REFUSED, LOAD_UNKNOWN };

struct load_caller {
	struct load *load;
	uint32_t place; /* among the callers */
	pthread_t thread;
	uint8_t told[LOAD_BETS_MAX];
	atomic_uint sent_count;
};

struct load {
	struct fts_channel *channel;
	const char *draw;
	atomic_bool stop;
	struct load_caller callers[LOAD_CALLERS];
};

/* Open a channel to node and let the callers go; draw (borrowed) is open. load: the caller's memory, cleared first. */
void load_start(struct load *load, const struct harness_node *node, const char *draw);
/* Wait until that many calls have been answered, by all together. */
void load_wait(struct load *load, uint32_t answered_count, uint32_t timeout_ms);
/* End the callers. */
void load_stop(struct load *load);
/* Bets that were told stored; with out_unknown those that nobody knows of. */
uint32_t load_stored(const struct load *load, uint32_t *out_unknown);
/* Close the draw (one agency) on node and hold winners against what the callers were told: nothing stored is missing,
 * nothing refused is there, nothing is there twice. */
void load_check(const struct load *load, const struct harness_node *node);

#endif
