/* Why this file exists: workers, agents and watchdogs are no members, and health asks them all the same: each says to a
 * node where it answers surveys, every few seconds; nodes tell each other whom they know in the answers of surveys.
 *
 * Invariants: the table is bounded; of two tidings of one name the newer counts; who was not heard of for
 * FTSI_OTHERS_FORGET_MS is forgotten, so one that died is named as missing for that long. Thread: any. */
#ifndef FTS_SERVER_OTHERS_H
#define FTS_SERVER_OTHERS_H

#include <pthread.h>
#include <stdbool.h>

#include <fts/health/v1/health.pb-c.h>

#include "server/address.h"

#define FTSI_OTHERS_MAX 40 /* beside the members; a survey asks 64 in all */
#define FTSI_OTHERS_FORGET_MS 60000
#define FTSI_OTHERS_NAME_MAX 144
#define FTSI_OTHERS_SAID_BYTES 512
#define FTSI_OTHERS_SAID_MS 3500 /* one that says by itself how it is, every second, and has not for so long: missing  \
				  */

struct ftsi_other {
	char name[FTSI_OTHERS_NAME_MAX];
	char address[FTSI_ADDRESS_MAX]; /* HOST:PORT of its survey socket; "": it can't be asked, and said how it is */
	uint8_t said[FTSI_OTHERS_SAID_BYTES]; /* a Report, packed */
	size_t said_bytes;
	Fts__Health__V1__Kind kind;
	uint64_t heard_ns;
	bool left; /* said so: kept for a while, so that nobody else's older tidings bring it back */
};

struct ftsi_others {
	pthread_mutex_t lock;
	struct ftsi_other list[FTSI_OTHERS_MAX]; /* guarded by lock */
	size_t count;                            /* guarded by lock */
};

void ftsi_others_init(struct ftsi_others *others);
void ftsi_others_fini(struct ftsi_others *others);
/* Take note of who (borrowed). Errors: INVALID_ARGUMENT (names the field), RESOURCE_EXHAUSTED (the table is full). */
FTS_MUST_USE enum fts_status ftsi_others_note(struct ftsi_others *others, const Fts__Health__V1__Announced *who,
					      struct fts_error *out_error);
/* All that are known, those that left included. out_list: FTSI_OTHERS_MAX. Returns how many. */
size_t ftsi_others_list(struct ftsi_others *others, struct ftsi_other *out_list);

#endif
