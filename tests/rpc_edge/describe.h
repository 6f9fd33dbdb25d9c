/* Why this file exists: tests and fuzzers need a description of generated types without a server. */
#ifndef FTS_TESTS_RPC_EDGE_DESCRIBE_H
#define FTS_TESTS_RPC_EDGE_DESCRIBE_H

#include "rpc/describe.h"
#include "rpc/schema.h"

#define EDGE_BLOCK_MAX 512

struct edge_description {
	Fts__Rpc__V1__DescribeResponse response;
	void *blocks[EDGE_BLOCK_MAX];
	size_t block_count;
};

/* A service edge.v1.Edge whose one method Echo takes and gives type (borrowed), described into out (caller's,
 * edge_describe_free). */
void edge_describe(const ProtobufCMessageDescriptor *type, struct edge_description *out);
void edge_describe_free(struct edge_description *description);

#endif
