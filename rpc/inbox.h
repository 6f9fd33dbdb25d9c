/* Why this file exists: a subscription's connection to one publisher, and what has come over it. It speaks nng's SUB
 * over rpc/conn.h rather than through a SUB socket: nng 1.5.2 never comes back from closing a socket while a message
 * arrives (its transport starts the read of the body when the pipe is closed already; seen, one close in ten).
 *
 * Invariants: messages are read in order by one thread; what doesn't fit the bounded queue is dropped, which the
 * publisher's counter shows; after ftsi_inbox_close nothing runs any more. */
#ifndef FTS_RPC_INBOX_H
#define FTS_RPC_INBOX_H

#include <fts/rpc.h>

struct ftsi_inbox;

/* Wake ftsi_inbox_wait from another thread. ftsi_inbox_open may be woken too, at the latest at its time limit. */
struct ftsi_inbox *ftsi_inbox_create(void);        /* Returned (ftsi_inbox_destroy); NULL: no memory. */
void ftsi_inbox_destroy(struct ftsi_inbox *inbox); /* NULL: no-op; must be closed */
void ftsi_inbox_wake(struct ftsi_inbox *inbox);    /* Thread: any; remembered until the next wait */

/* Connect to the events of endpoint ("HOST:PORT" of its calls; borrowed), all topics, within timeout_ms.
 * Errors: UNAVAILABLE, INVALID_ARGUMENT, RESOURCE_EXHAUSTED; then it is closed. */
FTS_MUST_USE enum fts_status ftsi_inbox_open(struct ftsi_inbox *inbox, const char *endpoint, const struct fts_tls *tls,
					     uint32_t timeout_ms, struct fts_error *out_error);
/* Any number of times. Waits for the connection to be gone. */
void ftsi_inbox_close(struct ftsi_inbox *inbox);

/* Wait for a message, the end of the connection, a wake or timeout_ms. False: the connection is gone and everything
 * that came over it was taken. */
bool ftsi_inbox_wait(struct ftsi_inbox *inbox, uint32_t timeout_ms);
/* The next message; borrowed until the next call for this inbox. False: none has come. */
bool ftsi_inbox_next(struct ftsi_inbox *inbox, struct fts_bytes *out_message);

#endif
