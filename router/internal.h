/* Why this file exists: the inside of a router, shared by its handlers. */
#ifndef FTS_ROUTER_INTERNAL_H
#define FTS_ROUTER_INTERNAL_H

#include "router/coordinate.h"
#include "router/router.h"

enum { FTSI_KEY_MAX = 1024, FTSI_VALUE_MAX = 1024 * 1024, FTSI_VERSION_MAX = 48 };

struct fts_router {
	struct fts_router_options options;
	struct ftsi_coordinator coordinator;
	struct ftsi_keeper *keeper; /* NULL until it is started */
	struct fts_channel *log;    /* to the cluster, for linearizable databases and fences */
	atomic_bool stopping;
	atomic_bool was_ready;     /* router/first_map.h */
	atomic_uint waiting_count; /* of calls (router/first_map.h) */
};

/* What a call on one key comes to; exactly one response when status is OK, borrowed for the call. */
struct ftsi_answer {
	enum fts_status status;
	enum fts_executed executed;
	const char *detail;
	const Fts__Kv__V1__SetResponse *set;
	const Fts__Kv__V1__GetResponse *get;
	const Fts__Kv__V1__DeleteResponse *deleted;
};
typedef void (*ftsi_answer_fn)(void *ctx, const struct ftsi_answer *answer);

/* Who calls, and until when. */
struct ftsi_caller {
	struct fts_call_identity identity; /* a write that is passed on stays this caller's; client 0: nobody's */
	uint32_t ordinal;                  /* of an operation within its batch */
	uint64_t fence;                    /* the call's own; 0: none */
	uint64_t deadline_ns;
};
struct ftsi_caller ftsi_caller_of(const struct fts_call *call);

/* One call on one key. request: borrowed until answer, which is called exactly once. caller: copied. Thread: any. */
void ftsi_do_set(struct fts_router *router, const Fts__Kv__V1__SetRequest *request, const struct ftsi_caller *caller,
		 ftsi_answer_fn answer, void *ctx);
void ftsi_do_get(struct fts_router *router, const Fts__Kv__V1__GetRequest *request, const struct ftsi_caller *caller,
		 ftsi_answer_fn answer, void *ctx);
void ftsi_do_delete(struct fts_router *router, const Fts__Kv__V1__DeleteRequest *request,
		    const struct ftsi_caller *caller, ftsi_answer_fn answer, void *ctx);
bool ftsi_is_linearizable(struct fts_router *router, uint32_t db);
/* Once there is a map (router/first_map.h): Kv.Batch, Kv.Keys. */
void ftsi_serve_batch(struct fts_router *router, struct fts_call *call, const void *request);
void ftsi_serve_keys(struct fts_router *router, struct fts_call *call, const void *request);
/* Handlers of their own; they block. */
void ftsi_serve_progress(struct fts_call *call, const Fts__Kv__V1__ProgressRequest *request, void *ctx);
void ftsi_serve_accept_loss(struct fts_call *call, const Fts__Kv__V1__AcceptLossRequest *request, void *ctx);
void ftsi_serve_create_database(struct fts_call *call, const Fts__Kv__V1__CreateDatabaseRequest *request, void *ctx);
void ftsi_serve_verify(struct fts_call *call, const Fts__Kv__V1__VerifyRequest *request, void *ctx);

uint32_t ftsi_left_ms(uint64_t deadline_ns);

#endif
