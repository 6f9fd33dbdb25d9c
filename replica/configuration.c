/* Why this file exists: see replica/configuration.h, which has the table of the byte format. */
#include "replica/configuration.h"

#include <stdlib.h>
#include <string.h>

#include "replica/bytes.h"

enum { COUNT_BYTES = 4, MEMBER_BYTES = 11, ADDRESS_MAX = 256 };

enum fts_status ftsi_configuration_encode(const struct raft_configuration *configuration, uint8_t **out_data,
					  size_t *out_size_bytes)
{
	size_t size = COUNT_BYTES;
	uint8_t *data, *at;
	for (unsigned i = 0; i < configuration->n; i++) {
		size_t address_size = strlen(configuration->servers[i].address);
		if (address_size >= ADDRESS_MAX) return FTS_INVALID_ARGUMENT;
		size += MEMBER_BYTES + address_size;
	}
	data = malloc(size);
	if (data == NULL) return FTS_RESOURCE_EXHAUSTED;
	ftsi_put_u32(data, configuration->n);
	at = data + COUNT_BYTES;
	for (unsigned i = 0; i < configuration->n; i++) {
		const struct raft_server *server = &configuration->servers[i];
		size_t address_size = strlen(server->address);
		ftsi_put_u64(at, server->id);
		at[8] = (uint8_t)server->role;
		at[9] = (uint8_t)(address_size >> 8);
		at[10] = (uint8_t)address_size;
		memcpy(at + MEMBER_BYTES, server->address, address_size);
		at += MEMBER_BYTES + address_size;
	}
	*out_data = data;
	*out_size_bytes = size;
	return FTS_OK;
}

static int decode_member(struct fts_bytes *at, struct raft_configuration *configuration)
{
	char address[ADDRESS_MAX];
	size_t address_size;
	raft_id id;
	int role;
	if (at->size_bytes < MEMBER_BYTES) return -1;
	id = ftsi_get_u64(at->data);
	role = at->data[8];
	address_size = (size_t)at->data[9] << 8 | at->data[10];
	if (address_size >= sizeof address || at->size_bytes - MEMBER_BYTES < address_size) return -1;
	memcpy(address, at->data + MEMBER_BYTES, address_size);
	address[address_size] = 0;
	at->data += MEMBER_BYTES + address_size;
	at->size_bytes -= MEMBER_BYTES + address_size;
	return raft_configuration_add(configuration, id, address, role);
}

enum fts_status ftsi_configuration_decode(struct fts_bytes bytes, struct raft_configuration *out_configuration)
{
	uint32_t count;
	if (bytes.size_bytes < COUNT_BYTES) return FTS_DATA_LOSS;
	count = ftsi_get_u32(bytes.data);
	bytes.data += COUNT_BYTES;
	bytes.size_bytes -= COUNT_BYTES;
	raft_configuration_init(out_configuration);
	for (uint32_t i = 0; i < count; i++) {
		if (decode_member(&bytes, out_configuration) != 0) {
			raft_configuration_close(out_configuration);
			return FTS_DATA_LOSS;
		}
	}
	return FTS_OK;
}
