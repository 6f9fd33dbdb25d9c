/* Why this file exists: the key-value store of one node, put together: its storage (storage/), its router (router/),
 * and the map between them, which lies in the replicated log.
 *
 *   start: open -> machines go to the replica -> attach -> serve      end: stop -> replica ends -> close
 * Thread: main. */
#ifndef FTS_SERVER_KV_H
#define FTS_SERVER_KV_H

#include "replica/replica.h"

struct ftsi_kv;

struct ftsi_kv_options {
	const char *data;                                      /* DIR; borrowed until close */
	const char *endpoint;                                  /* HOST:PORT by which this node reaches itself; copied */
	struct fts_tls tls;                                    /* borrowed until close */
	size_t (*token_source)(void *ctx, uint8_t *out_token); /* as fts_channel_options has it */
	void *token_ctx;                                       /* borrowed until close */
	/* 0: an hour, two hours, ten seconds (router/keeper.h), 256 MiB (storage/hints.h). */
	uint32_t tombstone_age_ms, hint_age_ms, sweep_ms;
	uint64_t hint_bytes_max;
	void (*on_fatal)(void *ctx, const struct fts_error *error);
	void *ctx;
};

/* out_kv: returned (ftsi_kv_close). Errors: as fts_storage_open. */
FTS_MUST_USE enum fts_status ftsi_kv_open(const struct ftsi_kv_options *options, struct ftsi_kv **out_kv,
					  struct fts_error *out_error);
/* Borrowed until close. */
const struct fts_machine *const *ftsi_kv_machines(const struct ftsi_kv *kv, size_t *out_count);
/* replica: borrowed until stop. */
void ftsi_kv_attach(struct ftsi_kv *kv, struct fts_replica *replica);
/* Records it keeps for nodes that are away. Thread: any. */
uint64_t ftsi_kv_hint_count(struct ftsi_kv *kv);
/* It knows where keys lie: before that, calls on them wait. Thread: any. */
bool ftsi_kv_has_map(struct ftsi_kv *kv);
/* Partitions that keep node_id from leaving now, with those alone staying (storage/map_leave.h). Thread: any. */
uint32_t ftsi_kv_needs(struct ftsi_kv *kv, uint64_t node_id, const uint64_t *staying, size_t staying_count);
FTS_MUST_USE enum fts_status ftsi_kv_serve(struct ftsi_kv *kv, struct fts_server *server, struct fts_error *out_error);
/* Once the server listens. */
FTS_MUST_USE enum fts_status ftsi_kv_start(struct ftsi_kv *kv, struct fts_error *out_error);
/* End what is under way; before the replica is stopped. NULL: no-op. */
void ftsi_kv_stop(struct ftsi_kv *kv);
/* After server and replica. NULL: no-op. */
void ftsi_kv_close(struct ftsi_kv *kv);

#endif
