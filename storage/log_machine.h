/* Why this file exists: the part of the key-value store that is a state machine: the map, linearizable databases and
 * their keys. Transitions are pure; ctx: struct ftsi_map_cache, which follows the map for who routes by it. */
#ifndef FTS_STORAGE_LOG_MACHINE_H
#define FTS_STORAGE_LOG_MACHINE_H

#include "storage/log_state.h"

/* ---- Transitions, as fts_apply_fn. Thread: loop ---- */
enum fts_status ftsi_kv_apply_create_database(struct fts_apply *apply, const ProtobufCMessage *request,
					      ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_kv_apply_move(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *response,
				   void *ctx);
enum fts_status ftsi_kv_apply_set(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *response,
				  void *ctx);
enum fts_status ftsi_kv_apply_delete(struct fts_apply *apply, const ProtobufCMessage *request,
				     ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_kv_apply_assign(struct fts_apply *apply, const ProtobufCMessage *request,
				     ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_kv_apply_moved(struct fts_apply *apply, const ProtobufCMessage *request,
				    ProtobufCMessage *response, void *ctx);

/* ---- Reads, as fts_read_fn ---- */
enum fts_status ftsi_kv_read_get(struct fts_read *read, const ProtobufCMessage *request, ProtobufCMessage *response,
				 void *ctx);
enum fts_status ftsi_kv_read_keys(struct fts_read *read, const ProtobufCMessage *request, ProtobufCMessage *response,
				  void *ctx);

/* A version as text: decimal. out: FTSI_VERSION_TEXT_MAX. */
void ftsi_log_version_print(uint64_t version, char *out);

#endif
