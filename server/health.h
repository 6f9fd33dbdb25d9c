/* Why this file exists: fts.health.v1.Health: what this node says of itself, to a caller, to a survey and to the
 * watchdog.
 *
 * LIVE: the process answers, the replica is not ready. READY: it serves. DEGRADED: it serves some things and not
 * others, or a call runs past its method's longest run: reasons say which. */
#ifndef FTS_SERVER_HEALTH_H
#define FTS_SERVER_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>

#include <fts/health/v1/health.pb-c.h>

#include "replica/replica.h"
#include "rpc/survey.h"
#include "server/address.h"

#define FTSI_HEALTH_REASONS_MAX 5

struct ftsi_health {
	const char *name;            /* of this node: borrowed */
	struct fts_server *server;   /* borrowed */
	struct fts_replica *replica; /* borrowed */
	struct fts_tls tls;          /* borrowed */
	char self[FTSI_ADDRESS_MAX]; /* where this node reaches itself */
	pthread_mutex_t asker_lock;
	struct ftsi_asker
	    *asker; /* of all nodes; made when it is needed, anew when they change. Guarded by asker_lock */
	atomic_uint watching_count; /* calls of this service that are open now: they are no work */
};

/* A report with the memory its parts lie in. Don't copy it: message points into it. */
struct ftsi_health_report {
	Fts__Health__V1__Report message;
	char *reasons[FTSI_HEALTH_REASONS_MAX];
	char texts[FTSI_HEALTH_REASONS_MAX][160];
};

/* name, tls: borrowed until fini. self: HOST:PORT, borrowed for the call. server and replica are set afterwards. */
void ftsi_health_init(struct ftsi_health *health, const char *name, const char *self, const struct fts_tls *tls);
void ftsi_health_fini(struct ftsi_health *health); /* never initialised: no-op */
/* Offer the service on health->server. health: borrowed until the server is destroyed. */
FTS_MUST_USE enum fts_status ftsi_health_serve(struct ftsi_health *health, struct fts_error *out_error);
/* How it is now. out_report: the caller's. Thread: any. */
void ftsi_health_look(struct ftsi_health *health, struct ftsi_health_report *out_report);
/* Answer a survey (fts_respond_fn); ctx: a struct ftsi_health whose server and replica live. */
size_t ftsi_health_respond(void *ctx, struct fts_bytes question, uint8_t *out);

#endif
