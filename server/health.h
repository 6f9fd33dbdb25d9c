/* Why this file exists: fts.health.v1.Health: what this node says of itself, to a caller, to a survey and to the
 * watchdog.
 *
 * LIVE: the process answers, the replica has not been ready since the start. READY: it serves. DEGRADED: it serves some
 * things and not others, or none any more, or a call runs past its method's longest run: reasons say which. */
#ifndef FTS_SERVER_HEALTH_H
#define FTS_SERVER_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>

#include <fts/health/v1/health.pb-c.h>

#include "base/progress.h"
#include "replica/replica.h"
#include "rpc/survey.h"
#include "server/address.h"
#include "server/expiry.h"
#include "server/others.h"

#define FTSI_HEALTH_REASONS_MAX 12
#define FTSI_HEALTH_METHODS_MAX 8
#define FTSI_HEALTH_OLD_MS 2000 /* work that waits so long on what does not move is told as a reason */

struct ftsi_health {
	const char *name;                      /* of this node: borrowed */
	const char *data;                      /* DIR; borrowed. NULL: not told */
	_Atomic(struct fts_server *) server;   /* borrowed; NULL: it has not started yet */
	_Atomic(struct fts_replica *) replica; /* borrowed; NULL: not there yet */
	struct fts_tls tls;                    /* borrowed */
	char self[FTSI_ADDRESS_MAX];           /* where this node reaches itself */
	pthread_mutex_t asker_lock;
	struct ftsi_asker
	    *asker; /* of all nodes; made when it is needed, anew when they change. Guarded by asker_lock */
	struct ftsi_others others;  /* workers, agents, watchdogs */
	atomic_bool was_ready;      /* since it started */
	atomic_uint watching_count; /* calls of this service that are open now: they are no work */
};

/* A report with the memory its parts lie in. Don't copy it: message points into it. */
struct ftsi_health_report {
	Fts__Health__V1__Report message;
	Fts__Health__V1__Strand strands[FTS_STRAND_MAX], *strand_list[FTS_STRAND_MAX];
	Fts__Health__V1__OpenMethod methods[FTSI_HEALTH_METHODS_MAX], *method_list[FTSI_HEALTH_METHODS_MAX];
	char *reasons[FTSI_HEALTH_REASONS_MAX];
	char texts[FTSI_HEALTH_REASONS_MAX][160];
	struct ftsi_expiry expiry;
};

/* name, tls: borrowed until fini. self: HOST:PORT, borrowed for the call. server and replica are set afterwards. */
void ftsi_health_init(struct ftsi_health *health, const char *name, const char *self, const struct fts_tls *tls);
void ftsi_health_fini(struct ftsi_health *health); /* never initialised: no-op */
/* Offer the service on server. health: borrowed until the server is destroyed. */
FTS_MUST_USE enum fts_status ftsi_health_serve(struct ftsi_health *health, struct fts_server *server,
					       struct fts_error *out_error);
/* How it is now. out_report: the caller's. Thread: any. */
void ftsi_health_look(struct ftsi_health *health, struct ftsi_health_report *out_report);
/* The same in a line for people, as systemctl status shows it: role, READY or DEGRADED, and why. out: size_bytes. */
void ftsi_health_line(struct ftsi_health *health, char *out, size_t size_bytes);
/* Answer a survey or the watchdog (fts_respond_fn); ctx: a struct ftsi_health whose server and replica live, or are
 * NULL yet. */
size_t ftsi_health_respond(void *ctx, struct fts_bytes question, uint8_t *out);

#endif
