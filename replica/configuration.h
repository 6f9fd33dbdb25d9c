/* Why this file exists: who the members were at a snapshot, as bytes of our own: libraft can encode a configuration,
 * but lets nobody decode one.
 *
 * | count 4 | then each member: id 8, role 1, address length 2, address |  all big endian
 *
 * And what libraft itself writes into an entry of type RAFT_CHANGE, to be read:
 *
 * | version 1 (= 1), count 8 | then each member: id 8, address with its zero byte, role 1 |  all little endian
 */
#ifndef FTS_REPLICA_CONFIGURATION_H
#define FTS_REPLICA_CONFIGURATION_H

#include <raft.h>

#include <fts/status.h>

/* *out_data: returned (free()). */
FTS_MUST_USE enum fts_status ftsi_configuration_encode(const struct raft_configuration *configuration,
						       uint8_t **out_data, size_t *out_size_bytes);
/* *out_configuration: initialised here, returned (raft_configuration_close). DATA_LOSS: not such bytes. */
FTS_MUST_USE enum fts_status ftsi_configuration_decode(struct fts_bytes bytes,
						       struct raft_configuration *out_configuration);
/* The same, of an entry of libraft's. */
FTS_MUST_USE enum fts_status ftsi_configuration_decode_entry(struct fts_bytes bytes,
							     struct raft_configuration *out_configuration);
/* RESOURCE_EXHAUSTED: no memory. Otherwise as decode. */
FTS_MUST_USE enum fts_status ftsi_configuration_copy(const struct raft_configuration *configuration,
						     struct raft_configuration *out_copy);

#endif
