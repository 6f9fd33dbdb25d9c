/* Why this file exists: what each command does to an election. Pure: request, state and the command's index and time
 * decide everything.
 *
 * Invariants
 * - At most one master an election, and a new one is made only when the old one is known to be gone: it yielded,
 *   resigned, or its lease ended (ElectorClock/Expire). A master that is no longer the best, or has too little company,
 *   is asked to step down and stays master until then.
 * - A mastership's fence is the index of the command that made it, or one more than the last fence when that is not
 *   less; it stands (replica/fence.h) exactly while the mastership does.
 * - Commands that name a member name also the index at which it joined: what is meant for an earlier life of the same
 *   id changes nothing. */
#ifndef FTS_ELECTOR_TRANSITION_H
#define FTS_ELECTOR_TRANSITION_H

#include "elector/state.h"

/* Signatures as fts_apply_fn, in the order of the service's methods; ctx: struct fts_leases. Thread: loop. */
enum fts_status ftsi_elector_apply_elect(struct fts_apply *apply, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_apply_yield(struct fts_apply *apply, const ProtobufCMessage *request,
					 ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_apply_resign(struct fts_apply *apply, const ProtobufCMessage *request,
					  ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_apply_nominate(struct fts_apply *apply, const ProtobufCMessage *request,
					    ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_apply_message(struct fts_apply *apply, const ProtobufCMessage *request,
					   ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_elector_apply_expire(struct fts_apply *apply, const ProtobufCMessage *request,
					  ProtobufCMessage *response, void *ctx);

#endif
