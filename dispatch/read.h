/* Why this file exists: what callers, workers and operators ask of the dispatcher. Signatures as fts_read_fn, ctx:
 * struct ftsi_dispatch_watch. Beat is a read: it changes only when a worker was heard of. */
#ifndef FTS_DISPATCH_READ_H
#define FTS_DISPATCH_READ_H

#include "replica/replica.h"

enum fts_status ftsi_dispatch_read_beat(struct fts_read *read, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_dispatch_read_await(struct fts_read *read, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_dispatch_read_fate(struct fts_read *read, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_dispatch_read_list(struct fts_read *read, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);

#endif
