/* Why this file exists: see describe.h. */
#include "tests/rpc_edge/describe.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static void *hold(void *ctx, size_t size_bytes)
{
	struct edge_description *description = ctx;

	FTS_ASSERT(description->block_count < EDGE_BLOCK_MAX);
	return description->blocks[description->block_count++] = malloc(size_bytes);
}

void edge_describe(const ProtobufCMessageDescriptor *type, struct edge_description *out)
{
	static struct fts_method method; /* the description borrows its texts, not the struct */
	static struct fts_service service;
	const struct fts_service *services[] = {&service};
	struct ftsi_describe_source source = {services, 1, hold, out};

	method = (struct fts_method){.name = "Echo",
				     .full_name = "edge.v1.Edge/Echo",
				     .id = 7,
				     .request = type,
				     .response = type,
				     .timeout_ms = 1000,
				     .mutates = true,
				     .role = "operator",
				     .doc = "Gives back what it got."};
	service = (struct fts_service){
	    .name = "edge.v1.Edge", .doc = "Two lines\nof words.", .methods = &method, .method_count = 1};
	memset(out, 0, sizeof *out);
	fts__rpc__v1__describe_response__init(&out->response);
	FTS_ASSERT(ftsi_describe(&source, "", &out->response, NULL) == FTS_OK);
}

void edge_describe_free(struct edge_description *description)
{
	while (description->block_count)
		free(description->blocks[--description->block_count]);
}
