/* Why this file exists: events and health use nng's own sockets; this is the one place where those are given an
 * address, TLS and the limits that nng leaves open.
 *
 * Invariant: no socket listens or dials before its largest message is set: nng's default is none, and a header
 * of eight bytes makes it reserve what it names. */
#ifndef FTS_RPC_STOCK_H
#define FTS_RPC_STOCK_H

#include <nng/nng.h>

#include <fts/rpc.h>

struct ftsi_tls_watch;
struct ftsi_stock_guard;

/* What goes with a listening socket. Zeroed: nothing. */
struct ftsi_stock_door {
	struct ftsi_stock_guard *guard; /* sends away who does not finish (rpc/stock_guard.h) */
	struct ftsi_tls_watch *tls;     /* NULL: no TLS */
};

#define FTSI_EVENTS_PORT_OFFSET 1
#define FTSI_HEALTH_PORT_OFFSET 2
#define FTSI_URL_MAX_BYTES 192

/* Listen on endpoint ("HOST:PORT", port 0: any free one; borrowed) with tls (borrowed). Sets RECVMAXSZ to
 * receive_max_bytes first. out_port: the port bound. out_door: returned (_door_close), also on failure, to be closed
 * after the socket. Renewed certificates are taken as they come (rpc/tls_watch.h). Takes the socket's ADD_PRE event.
 * Errors: INVALID_ARGUMENT, UNAVAILABLE (address in use), RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_stock_listen(nng_socket socket, const char *endpoint, const struct fts_tls *tls,
					       size_t receive_max_bytes, uint16_t *out_port,
					       struct ftsi_stock_door *out_door, struct fts_error *out_error);
/* After the socket is closed; zeroed: no-op. */
void ftsi_stock_door_close(struct ftsi_stock_door *door);

/* Begin to dial the socket port_offset above endpoint (borrowed); nng goes on trying until the socket is closed.
 * out_dialer tells whose a pipe is. out_tls: returned (_tls_free), to be freed after the socket is closed; NULL without
 * TLS. Else as ftsi_stock_listen. */
FTS_MUST_USE enum fts_status ftsi_stock_dial(nng_socket socket, const char *endpoint, uint16_t port_offset,
					     const struct fts_tls *tls, size_t receive_max_bytes,
					     nng_dialer *out_dialer, struct ftsi_tls_watch **out_tls,
					     struct fts_error *out_error);

/* What ftsi_stock_dial returned; NULL: no-op. */
void ftsi_stock_tls_free(struct ftsi_tls_watch *tls);

#endif
