/* Why this file exists: what members, operators and scripts ask of elections. Signatures as fts_read_fn, ctx: struct
 * fts_leases. Renew is a read: it changes only when a member was heard of (replica/leases.h). */
#ifndef FTS_ELECTOR_READ_H
#define FTS_ELECTOR_READ_H

#include "replica/replica.h"

enum fts_status ftsi_elector_read_renew(struct fts_read *read, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_read_status(struct fts_read *read, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_read_list(struct fts_read *read, const ProtobufCMessage *request,
				       ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_read_history(struct fts_read *read, const ProtobufCMessage *request,
					  ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_read_check(struct fts_read *read, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);

#endif
