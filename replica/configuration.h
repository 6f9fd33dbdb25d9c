/* Why this file exists: who the members were at a snapshot, as bytes of our own: libraft can encode a configuration,
 * but lets nobody decode one.
 *
 * | count 4 | then each member: id 8, role 1, address length 2, address |  all big endian
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

#endif
