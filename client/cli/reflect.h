/* Why this file exists: asking a server to describe itself, for the commands that need no .proto. */
#ifndef FTSI_REFLECT_H
#define FTSI_REFLECT_H

#include "client/cli/command.h"
#include "rpc/schema.h"

/* Describe name (borrowed). out_description: returned (its free_unpacked). Errors: as the server answers. */
FTS_MUST_USE enum fts_status ftsi_reflect_describe(struct ftsi_cli *cli, const char *name,
						   Fts__Rpc__V1__DescribeResponse **out_description,
						   struct fts_error *out_error);

#endif
