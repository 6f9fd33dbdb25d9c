/* Why this file exists: the state of a connection, shared by its life (conn.c), its reading (conn_read.c) and its
 * writing (conn_write.c).
 *
 * The reader role: whoever holds it may touch `in` and call back. It belongs to the receive in flight, then to
 * its callback; while reading is paused, to whoever sends. It is what makes callbacks of one connection
 * follow each other, and ends with on_closed. */
#ifndef FTS_RPC_CONN_INTERNAL_H
#define FTS_RPC_CONN_INTERNAL_H

#include <pthread.h>

#include "rpc/conn.h"

/* Capacity of an idle connection's receive buffer, and of a busy one's; more only while one message needs it. */
#define FTSI_IN_IDLE_BYTES 4096u
#define FTSI_IN_BUSY_BYTES 65536u

struct ftsi_buffer {
	uint8_t *data;
	size_t begin;
	size_t end;
	size_t capacity_bytes;
};

struct ftsi_conn {
	struct ftsi_conn_options options;
	nng_stream *stream;
	nng_aio *recv_aio;
	nng_aio *send_aio; /* no callback */
	nng_aio *sent_aio; /* an empty send, for its callback */
	uint8_t hello[FTSI_HELLO_BYTES];
	atomic_uint ref_count;
	atomic_bool closed;
	atomic_bool stopped; /* reading, by who owns it */
	_Atomic(const char *) close_reason;
	atomic_size_t backlog_bytes;
	atomic_uint_fast64_t departed_ns; /* the end of the last write outside the reader */
	atomic_uint_fast64_t received_bytes;
	atomic_uint_fast64_t sent_bytes;
	/* For the watch over half-sent messages: written by the reader, read by ftsi_conn_check. */
	atomic_bool waits_for_rest;

	/* Belongs to the reader role. */
	struct ftsi_buffer in;
	uint64_t skip_bytes; /* of a refused message, still to come */
	bool hello_done;
	uint32_t small_read_count;
	uint64_t batch;

	/* Guarded by out_mutex. */
	pthread_mutex_t out_mutex;
	struct ftsi_buffer pending; /* appended */
	struct ftsi_buffer flying;  /* being sent */
	bool sending;               /* somebody has the send role: flying belongs to it */
	bool paused;                /* ... and the reader role goes with it */
	bool parked;                /* the reader role waits for ftsi_conn_read_on */
	bool out_used;              /* since the last check */
	uint32_t out_idle_checks;   /* in a row that found nothing written */
	union {
		struct ftsi_call_writer call;
		struct ftsi_reply_writer reply;
	} writer;

	/* Belongs to whoever calls ftsi_conn_check (one thread). */
	uint64_t checked_moved_bytes;
	uint64_t checked_since_ns;
};

/* Make room for capacity_bytes in all, keeping begin..end (moved to the front). False: no memory. */
bool ftsi_buffer_resize(struct ftsi_buffer *buffer, size_t capacity_bytes);
void ftsi_buffer_free(struct ftsi_buffer *buffer);

/* Parse, flush, receive again or pause. Called with the reader role. */
void ftsi_conn_read(struct ftsi_conn *conn);
void ftsi_conn_on_received(void *conn);
void ftsi_conn_on_sent(void *conn);

/* True while this thread parses conn: what is appended leaves when it is done. */
bool ftsi_conn_reading_here(const struct ftsi_conn *conn);
/* Send what is pending unless a send is in flight. */
void ftsi_conn_flush(struct ftsi_conn *conn);
/* Leave the reader role to ftsi_conn_read_on, if reading is stopped still. */
bool ftsi_conn_park(struct ftsi_conn *conn);
/* Hand the reader role to the send in flight, if the backlog is too high and there is one. */
bool ftsi_conn_pause(struct ftsi_conn *conn);
bool ftsi_conn_backlog_is_high(const struct ftsi_conn *conn);

#endif
