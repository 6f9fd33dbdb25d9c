/* Why this file exists: workers, agents and watchdogs are no members of the cluster, and its health surveys ask them
 * all the same. A presence answers surveys for its process and tells a node every few seconds where; when it ends it
 * says so, when it dies surveys name it as missing. Where nodes speak TLS and it has no certificate that names an
 * address (a client's names none), it can't be asked: it says by itself, every second, how it is. It also answers the
 * watchdog that started the process (rpc/pulse.h).
 *
 * What it answers comes from the runtime: strands (base/progress.h), open calls and overruns of a server if there is
 * one. A program brings nothing but its name.
 *
 * Invariant: a process whose presence can't be had works all the same: only the start fails, and its caller decides. */
#ifndef FTS_RPC_PRESENCE_H
#define FTS_RPC_PRESENCE_H

#include "rpc/survey.h"

#define FTS_PRESENCE_REASONS_MAX 8
#define FTS_PRESENCE_REASON_BYTES 160

enum fts_presence_kind { FTS_PRESENCE_WORKER = 2, FTS_PRESENCE_AGENT = 3, FTS_PRESENCE_WATCHDOG = 4 };

struct fts_presence;

struct fts_presence_options {
	const char *name; /* as surveys name it: at most 143 bytes. Borrowed for the call. */
	enum fts_presence_kind kind;
	/* Where surveys are answered, "HOST:PORT". NULL: a free port of the address from which the first of endpoints
	 * is reached; with TLS none: it says by itself how it is. Borrowed for the call. */
	const char *listen;
	const char *endpoints;       /* of the nodes, as the channel's. Borrowed for the call. */
	struct fts_tls tls;          /* of its own survey socket. Borrowed for the call. */
	struct fts_channel *channel; /* to announce by; NULL: nobody is told. Borrowed until destroyed. */
	struct fts_server *server;   /* whose calls count; NULL: none. Borrowed until destroyed. */
	/* Optional: why it is degraded, FTS_PRESENCE_REASONS_MAX texts at most; returns how many. Thread: one of the
	 * runtime's; must not block. */
	size_t (*reasons)(void *ctx, char (*out_texts)[FTS_PRESENCE_REASON_BYTES]);
	void *ctx;
};

/* out_presence: returned (fts_presence_destroy). Errors: INVALID_ARGUMENT, UNAVAILABLE (the port is taken),
 * RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_presence_create(const struct fts_presence_options *options,
						 struct fts_presence **out_presence, struct fts_error *out_error);
/* Say goodbye, for half a second at most, and free (owned; NULL: no-op). Before what it borrows. */
void fts_presence_destroy(struct fts_presence *presence);

#endif
