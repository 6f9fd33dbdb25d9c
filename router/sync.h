/* Why this file exists: two owners of a partition compared and brought to the same records, both through service
 * Storage, whichever of them this node is. Trees tell where they differ; only those leaves are read.
 *
 * Source: DeCandia et al., "Dynamo" (2007), section 4.7. Thread: one that may block. */
#ifndef FTS_ROUTER_SYNC_H
#define FTS_ROUTER_SYNC_H

#include "router/internal.h"

enum { FTSI_SYNC_TIMEOUT_MS = 2000 };

struct ftsi_sync {
	struct fts_router *router;
	const struct fts_router_map *map;
	uint32_t partition;
	int a, b; /* places */
	bool repair;
	uint64_t settled_before; /* differences in records that are younger don't count; 0: all count */
};

struct ftsi_sync_result {
	bool differs;
	bool untrusted[2]; /* a's, b's tree */
	uint64_t missing, repaired;
};
/* Errors: UNAVAILABLE (one of them does not answer). */
FTS_MUST_USE enum fts_status ftsi_sync_run(const struct ftsi_sync *sync, struct ftsi_sync_result *out_result);

/* Have an owner read all of partition, and none of it given: *damaged is raised by what it met. Errors: the call's. */
FTS_MUST_USE enum fts_status ftsi_check_records(struct fts_router *router, const struct fts_router_node *node,
						uint32_t partition, uint64_t *damaged);

/* One call at a node; responses are freed with protobuf_c_message_free_unpacked. Errors: the call's. */
/* The roots of all partitions. */
FTS_MUST_USE enum fts_status ftsi_ask_roots(struct fts_router *router, const struct fts_router_node *node,
					    Fts__Kv__V1__TreeResponse **out_response);
FTS_MUST_USE enum fts_status ftsi_ask_tree(struct fts_router *router, const struct fts_router_node *node,
					   uint32_t partition, bool leaves, Fts__Kv__V1__TreeResponse **out_response);
FTS_MUST_USE enum fts_status ftsi_ask_scan(struct fts_router *router, const struct fts_router_node *node,
					   const Fts__Kv__V1__ScanRequest *request,
					   Fts__Kv__V1__ScanResponse **out_response);
/* records: borrowed, at most 4,096, in the background. */
FTS_MUST_USE enum fts_status ftsi_push(struct fts_router *router, const struct fts_router_map *map, int place,
				       Fts__Kv__V1__Record **records, size_t count, uint64_t as_of);

#endif
