/* Why this file exists: see replica/configuration.h, which has the table of the byte format. */
#include "replica/configuration.h"

#include <stdlib.h>
#include <string.h>

#include "replica/bytes.h"

enum { COUNT_BYTES = 4, MEMBER_BYTES = 11, ADDRESS_MAX = 256, ENTRY_HEAD_BYTES = 9, ENTRY_VERSION = 1 };

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

enum fts_status ftsi_configuration_copy(const struct raft_configuration *configuration,
					struct raft_configuration *out_copy)
{
	struct raft_configuration copy;
	raft_configuration_init(&copy);
	for (unsigned i = 0; i < configuration->n; i++) {
		const struct raft_server *server = &configuration->servers[i];
		if (raft_configuration_add(&copy, server->id, server->address, server->role) == 0) continue;
		raft_configuration_close(&copy);
		return FTS_RESOURCE_EXHAUSTED;
	}
	*out_copy = copy;
	return FTS_OK;
}

/* ---- libraft's own bytes ---- */

static uint64_t get_little_u64(const uint8_t *at)
{
	uint64_t value = 0;
	for (int i = 7; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

static int decode_entry_member(struct fts_bytes *at, struct raft_configuration *configuration)
{
	const uint8_t *address, *end;
	size_t used;
	if (at->size_bytes < sizeof(uint64_t)) return -1;
	address = at->data + sizeof(uint64_t);
	end = memchr(address, 0, at->size_bytes - sizeof(uint64_t));
	if (end == NULL) return -1;
	used = (size_t)(end - at->data) + 2;
	if (used > at->size_bytes) return -1;
	if (raft_configuration_add(configuration, get_little_u64(at->data), (const char *)address, end[1]) != 0)
		return -1;
	at->data += used;
	at->size_bytes -= used;
	return 0;
}

enum fts_status ftsi_configuration_decode_entry(struct fts_bytes bytes, struct raft_configuration *out_configuration)
{
	uint64_t count;
	if (bytes.size_bytes < ENTRY_HEAD_BYTES || bytes.data[0] != ENTRY_VERSION) return FTS_DATA_LOSS;
	count = get_little_u64(bytes.data + 1);
	bytes.data += ENTRY_HEAD_BYTES;
	bytes.size_bytes -= ENTRY_HEAD_BYTES;
	raft_configuration_init(out_configuration);
	for (uint64_t i = 0; i < count; i++) {
		if (decode_entry_member(&bytes, out_configuration) != 0) {
			raft_configuration_close(out_configuration);
			return FTS_DATA_LOSS;
		}
	}
	return FTS_OK;
}
