/* Why this file exists: the one thread that starts, asks, judges and ends processes. It never waits for any of them,
 * nor for the network: every step of its loop takes microseconds, and systemd is fed from it.
 *
 * Invariants: what is to be known after the watchdog's own end is written down before it takes effect (memory.h);
 * nothing is ended that moves; a member of the cluster is ended only when the cluster keeps a majority without it. */
#ifndef FTS_WATCHDOG_SUPERVISOR_H
#define FTS_WATCHDOG_SUPERVISOR_H

#include "watchdog/config.h"

struct ftsi_supervisor;

/* Take up what an earlier watchdog left, start the rest. config: borrowed until destroyed. signal_fd: a signalfd of
 * SIGTERM, SIGINT, SIGCHLD. out_supervisor: returned (ftsi_supervisor_destroy). Errors: ALREADY_EXISTS, UNAVAILABLE,
 * INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_supervisor_create(const struct ftsi_watch_config *config, int signal_fd,
						    struct ftsi_supervisor **out_supervisor,
						    struct fts_error *out_error);
/* Until SIGTERM or SIGINT, and all processes are stopped. */
void ftsi_supervisor_run(struct ftsi_supervisor *supervisor);
void ftsi_supervisor_destroy(struct ftsi_supervisor *supervisor); /* NULL: no-op */

#endif
