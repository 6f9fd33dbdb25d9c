/* Why this file exists: nng 1.5.2 keeps a connection to one of its own sockets that says nothing, or stops in the
 * middle of its handshake, for as long as the other end likes, and shows it to nobody. So whoever listens with such a
 * socket keeps a guard, which finds them among the process's descriptors: accepted on the guarded port, older than the
 * time allowed, and not known to nng as a pipe. It shuts them down, and nng notices that they are gone.
 *
 * Invariants
 * - A descriptor is looked at and shut down through a duplicate of its own, so that one that nng closes and somebody
 *   else opens meanwhile is never hit. What is no socket is not touched: locks on files would go with a duplicate.
 * - Unfinished ones beyond FTSI_GUARD_PENDING_MAX are shut down at the next look; finished ones of one address beyond
 *   FTSI_GUARD_PEER_MAX are turned away.
 * Threads: one of nng's for everything but start and stop. */
#ifndef FTS_RPC_STOCK_GUARD_H
#define FTS_RPC_STOCK_GUARD_H

#include <nng/nng.h>

#include <fts/status.h>

#define FTSI_GUARD_PENDING_MAX 512u
#define FTSI_GUARD_PEER_MAX 1024u

struct ftsi_stock_guard;

/* Guard the connections of socket on port (host byte order). Before socket listens.
 * Returned (_destroy); NULL: no memory. */
struct ftsi_stock_guard *ftsi_stock_guard_create(nng_socket socket);
/* It listens on port now: look from now on. */
void ftsi_stock_guard_start(struct ftsi_stock_guard *guard, uint16_t port);
void ftsi_stock_guard_destroy(struct ftsi_stock_guard *guard); /* after socket is closed. NULL: no-op */

#endif
