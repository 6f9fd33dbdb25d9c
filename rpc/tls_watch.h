/* Why this file exists: certificates are renewed without a restart. Whoever listens or dials with TLS keeps a watch:
 * it loads the files, hands the configuration over, looks at the files every second from then on, and hands a new one
 * over when they have changed. Connections that stand go on with what they began with.
 *
 * Invariants
 * - A change is taken only once it has been the same for two looks, so that a certificate and its key, written one
 *   after the other, come together. What can't be loaded is told, and the old one stays.
 * - A configuration lives for one change longer than it is used: nng 1.5.2 takes it without a lock when it accepts and
 *   dials.
 * - All looks are made by one timer of the process, on one of nng's threads; set is called with no lock of its owner.
 */
#ifndef FTS_RPC_TLS_WATCH_H
#define FTS_RPC_TLS_WATCH_H

#include "rpc/tls.h"

struct ftsi_tls_watch;

/* Use config (borrowed; whoever keeps it holds it). Returns nng's error number. Must not block, nor make or destroy a
 * watch. */
typedef int (*ftsi_tls_set_fn)(void *ctx, nng_tls_config *config);

/* Load tls (borrowed), hand it to set before this returns, and keep looking. server_name: as in ftsi_tls_config_create.
 * out_watch: returned (_destroy). Errors: as ftsi_tls_config_create. Thread: any. */
FTS_MUST_USE enum fts_status ftsi_tls_watch_create(const struct fts_tls *tls, enum ftsi_role role,
						   const char *server_name, ftsi_tls_set_fn set, void *ctx,
						   struct ftsi_tls_watch **out_watch, struct fts_error *out_error);
/* set is not called any more once this returns: before what it sets is freed. NULL: no-op. Thread: any but set's. */
void ftsi_tls_watch_stop(struct ftsi_tls_watch *watch);
/* Stops; after what it set is freed, so that nng never holds the last reference. NULL: no-op. */
void ftsi_tls_watch_destroy(struct ftsi_tls_watch *watch);
/* Take what the files hold now, without waiting for the next look. Thread: any. */
void ftsi_tls_watch_look_now(void);

#endif
