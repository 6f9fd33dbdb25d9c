/* Why this file exists: the inside of a mesh, shared by its life (mesh.c), the dialing (mesh_link.c) and the
 * connections (mesh_line.c). */
#ifndef FTS_RPC_MESH_INTERNAL_H
#define FTS_RPC_MESH_INTERNAL_H

#include <pthread.h>

#include "rpc/conn.h"
#include "rpc/endpoint.h"
#include "rpc/mesh.h"
#include "rpc/tls_watch.h"

#define FTSI_MESH_TICK_MS 250u
#define FTSI_MESH_PING_NS 500000000ull
#define FTSI_MESH_NAME_NS 10000000000ull /* an accepted line has a key by then */

enum ftsi_mesh_state {
	FTSI_MESH_IDLE, /* not wanted: nothing is on its way */
	FTSI_MESH_WAITING,
	FTSI_MESH_DIALING,
	FTSI_MESH_GREETING,
	FTSI_MESH_UP
};

/* One who is to be dialed. Guarded by the mesh's mutex, but for what never changes while it is not idle. */
struct ftsi_mesh_link {
	struct ftsi_mesh *mesh;
	char key[FTSI_MESH_KEY_BYTES];
	struct ftsi_endpoint endpoint;
	enum ftsi_mesh_state state;
	bool used, wanted;
	struct ftsi_tls_watch *tls;    /* NULL: no TLS */
	nng_stream_dialer *dialers[2]; /* IPv4, IPv6 */
	uint32_t dialer_count, dialer_at;
	nng_aio *dial, *wait;
	struct ftsi_mesh_line *line; /* NULL unless GREETING or UP */
	uint32_t failure_count;      /* dials in a row that came to nothing */
	uint64_t up_ns;
};

struct ftsi_mesh_line {
	struct ftsi_mesh *mesh;
	struct ftsi_conn *conn;
	struct ftsi_mesh_link *link; /* NULL: accepted */
	struct ftsi_mesh_line *next, *prev;
	char key[FTSI_MESH_KEY_BYTES]; /* "": none yet; written under the mutex, by the line's own callbacks */
	bool up;                       /* dialed, and the hello has come */
	bool replaced;                 /* a newer one has its key */
	uint64_t opened_ns;
	atomic_uint_fast64_t heard_ns;
	uint64_t sent_bytes, sent_ns; /* as the tick saw them */
};

struct ftsi_mesh {
	struct ftsi_mesh_options options;
	bool secure;                /* with TLS */
	struct ftsi_tls_watch *tls; /* of the listener; NULL: no TLS */
	nng_stream_listener *listener;
	nng_aio *accept, *tick;
	uint16_t port;
	bool accept_stalled;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool stopping;                                   /* guarded by mutex */
	struct ftsi_mesh_link links[FTSI_MESH_LINK_MAX]; /* guarded by mutex */
	struct ftsi_mesh_line *lines;                    /* guarded by mutex */
	size_t line_count;                               /* guarded by mutex */
	uint64_t ticked_ns;
	atomic_uint read_on_count; /* how often ftsi_mesh_read_on was called */
};

/* ---- mesh_line.c ---- */
/* A line over stream (owned), on the list; link: NULL for an accepted one. NULL: no memory, or too many. To be started
 * (ftsi_conn_start) by the caller, without the mutex. Called with the mutex held. */
struct ftsi_mesh_line *ftsi_mesh_line_make(struct ftsi_mesh *mesh, struct ftsi_mesh_link *link, nng_stream *stream);
/* The line that carries messages to key; NULL: none. Called with the mutex held. */
struct ftsi_mesh_line *ftsi_mesh_line_to(struct ftsi_mesh *mesh, const char *key);
/* The accepted line from key; NULL: none. Called with the mutex held. */
struct ftsi_mesh_line *ftsi_mesh_line_from(struct ftsi_mesh *mesh, const char *key);

/* ---- mesh_link.c: all called with the mutex held ---- */
/* NULL: it is in no state to be dialed, which has been logged. */
struct ftsi_mesh_link *ftsi_mesh_link_want(struct ftsi_mesh *mesh, const struct ftsi_mesh_target *target);
void ftsi_mesh_link_give_up(struct ftsi_mesh_link *link);
/* Its line has ended: dial again, after a while. */
void ftsi_mesh_link_down(struct ftsi_mesh_link *link);
/* Its other end is alive: if it waits to be dialed, that is now. */
void ftsi_mesh_link_hurry(struct ftsi_mesh_link *link);
struct ftsi_mesh_link *ftsi_mesh_link_find(struct ftsi_mesh *mesh, const char *key);
/* Without the mutex, after everything has been stopped. */
void ftsi_mesh_link_free(struct ftsi_mesh_link *link);

#endif
