/* Why this file exists: what the `kv` commands share: what their flags mean, and many keys in one call.
 *
 * Invariants: nothing is sent that the servers would refuse for its size; the limits are told with the number. */
#ifndef FTSI_KV_CALL_H
#define FTSI_KV_CALL_H

#include <fts/kv/v1/kv.fts.h>

#include "client/cli/command.h"

#define FTSI_KV_KEY_MAX_BYTES 1024u
#define FTSI_KV_VALUE_MAX_BYTES (1024u * 1024)
#define FTSI_KV_BATCH_MAX 512u

/* Where a command works. */
struct ftsi_kv_place {
	uint32_t db;
	Fts__Kv__V1__Consistency level;
	ProtobufCBinaryData key; /* into key_bytes, or the argument itself */
	uint8_t *key_bytes;      /* owned; NULL: none (ftsi_kv_place_free) */
};

/* What --db and --consistency say; the flags the command does not have are left at their defaults. writes: `any` is
 * a word for it. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_kv_place_read(const struct ftsi_cli *cli, bool writes,
						struct ftsi_kv_place *out_place, struct fts_error *out_error);
/* The key in the first argument, which --key-base64 may say is written so. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_kv_key_read(const struct ftsi_cli *cli, struct ftsi_kv_place *place,
					      struct fts_error *out_error);
void ftsi_kv_place_free(struct ftsi_kv_place *place);

/* How one operation of a batch ended. op, result: borrowed for the call; the codes are final. */
typedef void (*ftsi_kv_result_fn)(void *ctx, size_t place, const Fts__Kv__V1__BatchResult *result);

/* Send count (1 to FTSI_KV_BATCH_MAX) operations (borrowed) in as few calls as it takes: those that only could not be
 * served at the moment are sent again until --timeout has passed without any that ended. on_result (borrowed) is called
 * once for each that ended, at the latest before this returns. Errors: those of the call, or of the first operation
 * that could not be served in time. */
FTS_MUST_USE enum fts_status ftsi_kv_batch(struct ftsi_cli *cli, Fts__Kv__V1__BatchOp *const *ops, size_t count,
					   ftsi_kv_result_fn on_result, void *ctx, struct fts_error *out_error);

/* One page of keys after `after` (borrowed; NULL data: from the start). out_response: returned. */
FTS_MUST_USE enum fts_status ftsi_kv_keys_page(struct ftsi_cli *cli, const Fts__Kv__V1__KeysRequest *request,
					       Fts__Kv__V1__KeysResponse **out_response, struct fts_error *out_error);

#endif
