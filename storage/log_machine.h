/* Why this file exists: the part of the key-value store that is a state machine: the map, linearizable databases and
 * their keys. Transitions are pure; ctx: struct ftsi_kv_log. */
#ifndef FTS_STORAGE_LOG_MACHINE_H
#define FTS_STORAGE_LOG_MACHINE_H

#include "storage/log_state.h"
#include "storage/map_cache.h"

enum { FTSI_KV_ADMIN_METHOD_COUNT = 8, FTSI_KV_PLACEMENT_METHOD_COUNT = 2, FTSI_KV_MACHINE_COUNT = 2 };

struct ftsi_kv_log {
	struct ftsi_map_cache *maps;         /* borrowed; follows what is applied */
	struct fts_replica *_Atomic replica; /* borrowed; NULL: not there (yet): nothing is proposed */
	struct fts_machine_method admin_methods[FTSI_KV_ADMIN_METHOD_COUNT];
	struct fts_machine_method placement_methods[FTSI_KV_PLACEMENT_METHOD_COUNT];
	struct fts_machine machines[FTSI_KV_MACHINE_COUNT];
	const struct fts_machine *machine_list[FTSI_KV_MACHINE_COUNT];
};

/* KvAdmin and KvPlacement as machines, in log->machine_list. maps: borrowed until the replica is destroyed. The leader
 * keeps the map in step with the members from then on. */
void ftsi_kv_log_init(struct ftsi_kv_log *log, struct ftsi_map_cache *maps);

/* ---- Transitions, as fts_apply_fn. Thread: loop ---- */
enum fts_status ftsi_kv_apply_create_database(struct fts_apply *apply, const ProtobufCMessage *request,
					      ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_kv_apply_move(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *response,
				   void *ctx);
enum fts_status ftsi_kv_apply_set(struct fts_apply *apply, const ProtobufCMessage *request, ProtobufCMessage *response,
				  void *ctx);
enum fts_status ftsi_kv_apply_delete(struct fts_apply *apply, const ProtobufCMessage *request,
				     ProtobufCMessage *response, void *ctx);
enum fts_status ftsi_kv_apply_batch(struct fts_apply *apply, const ProtobufCMessage *request,
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
enum fts_status ftsi_kv_read_fence(struct fts_read *read, const ProtobufCMessage *request, ProtobufCMessage *response,
				   void *ctx);

/* A version as text: decimal. out: FTSI_VERSION_TEXT_MAX. */
void ftsi_log_version_print(uint64_t version, char *out);

#endif
