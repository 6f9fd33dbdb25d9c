/* Why this file exists: services and their types as the flat schema of fts.rpc.v1.Reflection: the opposite of
 * rpc/schema.h. Apart from the service that serves it, so that tests need no server.
 *
 * Invariants: every type that a described thing needs is described with it, once, in the order of first use; texts
 * are borrowed from the tables; all other memory comes from the caller's allocator and is bounded by its cap. */
#ifndef FTS_RPC_DESCRIBE_H
#define FTS_RPC_DESCRIBE_H

#include <fts/rpc.h>
#include <fts/rpc/v1/reflection.pb-c.h>

/* Memory that lives as long as the description; NULL: no more. */
typedef void *(*ftsi_describe_alloc_fn)(void *ctx, size_t size_bytes);

struct ftsi_describe_source {
	const struct fts_service *const *services; /* borrowed until the description is dropped, as all they hold */
	size_t service_count;
	ftsi_describe_alloc_fn alloc;
	void *ctx;
};

/* Fill out (initialised by the caller) with what name (borrowed) stands for: a service, a "Service/Method", a message,
 * an enum, an event's topic; "": everything. Errors: NOT_FOUND, RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status ftsi_describe(const struct ftsi_describe_source *source, const char *name,
					   Fts__Rpc__V1__DescribeResponse *out, struct fts_error *out_error);

#endif
