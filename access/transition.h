/* Why this file exists: what each command does to the tokens, as a pure function of state and request. The order of
 * rules: what a token may be, then whether there is one already, then who has to be left.
 *
 * Invariant: once there is a token there is one of an admin that never expires. Source: RFC 6750 for the use of bearer
 * tokens. All: fts_apply_fn, fts_read_fn. */
#ifndef FTS_ACCESS_TRANSITION_H
#define FTS_ACCESS_TRANSITION_H

#include "access/state.h"

enum fts_status ftsi_access_apply_make(struct fts_apply *apply, const ProtobufCMessage *request,
				       ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_access_apply_revoke(struct fts_apply *apply, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_access_apply_spend(struct fts_apply *apply, const ProtobufCMessage *request,
					ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_access_apply_rotate(struct fts_apply *apply, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_access_read_list(struct fts_read *read, const ProtobufCMessage *request,
				      ProtobufCMessage *response, void *ctx);

#endif
