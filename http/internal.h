/* Why this file exists: the state of a door and of what is under way at it, shared by door.c (life, connections,
 * housekeeping), exchange.c (a request comes in and is answered), route.c (what it asks for), unary.c (calls) and
 * stream.c (events).
 *
 * Threads: libmicrohttpd's few handle requests (on_request and what it calls); a call's answer comes on one of the
 * channel's; a stream's events on its subscription's; the housekeeper opens and closes subscriptions, which may block,
 * and looks at the clock. A request whose call is under way is suspended: libmicrohttpd does not touch it until
 * somebody resumes it. */
#ifndef FTS_HTTP_INTERNAL_H
#define FTS_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/connect.h"
#include "http/door.h"
#include "http/origin.h"
#include "http/page_files.h"

#define FTSI_HTTP_TOKEN_MAX_BYTES 128u

/* One TCP connection. */
struct ftsi_http_conn {
	struct ftsi_http_conn *next, *previous; /* guarded by the door's lock */
	int fd;
	uint64_t waits_since_ns; /* for a request to be complete, or an answer to be taken; 0: it is being served.
				    Guarded by the door's lock */
	bool is_trusted;         /* its certificate was looked at, and is good */
};

enum ftsi_http_kind {
	FTSI_HTTP_REFUSED, /* answered before its body was read */
	FTSI_HTTP_UNARY,
	FTSI_HTTP_STREAM,
	FTSI_HTTP_FILE,
	FTSI_HTTP_METRICS,
	FTSI_HTTP_LIVE,
	FTSI_HTTP_READY,
	FTSI_HTTP_PREFLIGHT,
};

struct ftsi_http_stream;

/* One request, from its headers to the end of its answer. Belongs to libmicrohttpd's thread, but for what the answer of
 * its call writes before it resumes it. */
struct ftsi_exchange {
	struct fts_door *door;
	struct MHD_Connection *connection;
	enum ftsi_http_kind kind;
	const struct fts_method *method; /* UNARY */
	const struct ftsi_page_file *file;
	enum ftsi_codec codec;
	bool is_get, is_head;
	bool close_after;
	const char *cross_origin; /* the Origin to be allowed; NULL: none. Borrowed from the connection */
	uint32_t timeout_ms;      /* 0: the method's own */
	uint64_t fence;
	bool stale;
	struct fts_bytes token; /* borrowed from the connection */
	uint8_t *body;          /* owned */
	size_t body_bytes, body_capacity_bytes, body_max_bytes, received_bytes;
	/* How it ended, once is_called. */
	bool is_called; /* the call was given away: the next time it has its answer */
	struct fts_error error;
	unsigned http_status; /* 0: the error's own */
	uint8_t *packed;      /* the answer, packed; owned */
	size_t packed_bytes;
	struct ftsi_http_stream *stream; /* STREAM, once begun; the housekeeper frees it */
	const char *allow;               /* "POST", when the method was another */
};

struct fts_door {
	struct fts_door_options options;
	struct ftsi_origin_rules rules;
	struct MHD_Daemon *daemon;
	struct ftsi_tls_watch *watch; /* of the certificates; NULL without TLS */
	atomic_bool renew;            /* they have changed */
	char *trust_pem;              /* so that callers are asked for a certificate at all; owned */
	atomic_size_t body_bytes;     /* of all requests now */
	atomic_uint exchange_count;   /* open, streams included */
	atomic_uint stream_count;
	atomic_uint_fast64_t request_count, refused_count, cut_count;
	atomic_bool draining;

	pthread_rwlock_t calls_lock; /* read while a call is begun; nothing is waited for meanwhile */
	bool is_cut;                 /* the channel is about to be closed: no call begins. Guarded by calls_lock */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Guarded by lock. */
	struct ftsi_http_certificates *certificates; /* the newest, then those before it; NULL without TLS */
	struct ftsi_http_conn *conns;
	struct ftsi_http_stream *streams;
	uint32_t conn_count;
	bool stopping;
	bool keeper_runs;
	pthread_t keeper;
};

/* ---- door.c ---- */
bool ftsi_door_take_bytes(struct fts_door *door, size_t size_bytes);
void ftsi_door_give_bytes(struct fts_door *door, size_t size_bytes);
/* Something for the housekeeper to do. */
void ftsi_door_wake(struct fts_door *door);

/* ---- exchange.c: libmicrohttpd's callbacks ---- */
enum MHD_Result ftsi_on_request(void *door, struct MHD_Connection *connection, const char *url, const char *method,
				const char *version, const char *upload_data, size_t *upload_data_size, void **ctx);
void ftsi_on_completed(void *door, struct MHD_Connection *connection, void **ctx, enum MHD_RequestTerminationCode code);
/* Send body (owned, malloc'ed) with the headers every answer has. type: static. */
enum MHD_Result ftsi_answer(struct ftsi_exchange *exchange, unsigned http_status, const char *type, uint8_t *body,
			    size_t size_bytes);
/* The same from a text that is static or copied. */
enum MHD_Result ftsi_answer_text(struct ftsi_exchange *exchange, unsigned http_status, const char *type,
				 const char *text);
/* The error as JSON, with the status it stands for or exchange->http_status. */
enum MHD_Result ftsi_answer_error(struct ftsi_exchange *exchange);
/* Headers that every answer has. */
void ftsi_answer_headers(const struct ftsi_exchange *exchange, struct MHD_Response *response);
const char *ftsi_header(const struct ftsi_exchange *exchange, const char *name);

/* ---- route.c ---- */
/* What does this request ask for? Sets kind and what belongs to it, or error and http_status with kind REFUSED. */
void ftsi_route(struct ftsi_exchange *exchange, const char *url, const char *method);

/* ---- unary.c ---- */
/* The request is complete: start its call, or set the error. True: it is suspended until the answer is there. */
bool ftsi_unary_start(struct ftsi_exchange *exchange);
enum MHD_Result ftsi_unary_answer(struct ftsi_exchange *exchange);
/* The same way for a call of the door's own, with the caller's token: request is borrowed. */
bool ftsi_call_start(struct ftsi_exchange *exchange, const struct fts_method *method, const ProtobufCMessage *request);

/* ---- stream.c ---- */
bool ftsi_stream_start(struct ftsi_exchange *exchange);
enum MHD_Result ftsi_stream_answer(struct ftsi_exchange *exchange);
/* Its connection is gone. */
void ftsi_stream_leave(struct ftsi_http_stream *stream);
/* The housekeeper's turn, without the lock. ending: end them all. */
void ftsi_stream_keep(struct fts_door *door, bool ending);

/* ---- page.c ---- */
/* NULL: no such file. Static. */
const struct ftsi_page_file *ftsi_page_find(const char *path);
enum MHD_Result ftsi_page_answer(struct ftsi_exchange *exchange);

/* ---- state.c: what machines ask ---- */
enum MHD_Result ftsi_metrics_answer(struct ftsi_exchange *exchange);
enum MHD_Result ftsi_live_answer(struct ftsi_exchange *exchange);
enum MHD_Result ftsi_ready_answer(struct ftsi_exchange *exchange);

/* ---- certificate.c ---- */
/* Read the node's PEM files, and watch them from now on. _close also after a failure. Errors: INVALID_ARGUMENT,
 * RESOURCE_EXHAUSTED, FAILED_PRECONDITION (another door has TLS). */
FTS_MUST_USE enum fts_status ftsi_certificates_open(struct fts_door *door, struct fts_error *out_error);
/* libmicrohttpd's MHD_OPTION_HTTPS_CERT_CALLBACK. Static. */
void *ftsi_certificates_callback(void);
/* The housekeeper's turn: new connections get what the files hold now. */
void ftsi_certificates_keep(struct fts_door *door, uint64_t now_ns);
/* Once there are no connections any more. Without TLS: no-op. */
void ftsi_certificates_close(struct fts_door *door);
/* Has the other side shown a certificate of the right authority, for this use, and in its time? */
bool ftsi_certificate_is_good(struct fts_door *door, struct MHD_Connection *connection);

#endif
