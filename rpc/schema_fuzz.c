/* Why this file exists: libFuzzer against descriptors built from a stranger's description. Input: two bytes of size
 * (big endian), so many bytes of a packed DescribeResponse, then bytes that are read as each of its messages, as JSON
 * and as protobuf.
 * What must hold: a description is refused with words, or protobuf-c and the JSON mapping can work with every type. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "rpc/json.h"
#include "rpc/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

#define READ_COUNT_MAX 8 /* messages that are tried */

static void read_as_json(const ProtobufCMessageDescriptor *type, struct fts_bytes bytes)
{
	ProtobufCMessage *message = NULL;
	char *text = NULL;

	if (fts_json_decode(bytes, type, NULL, &message, NULL) != FTS_OK) return;
	FTS_ASSERT(fts_json_encode(message, NULL, &text, NULL, NULL) == FTS_OK);
	size_t packed_bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(packed_bytes + 1);
	FTS_ASSERT(packed && protobuf_c_message_pack(message, packed) == packed_bytes);
	free(packed);
	free(text);
	protobuf_c_message_free_unpacked(message, NULL);
}

static void read_as_protobuf(const ProtobufCMessageDescriptor *type, struct fts_bytes bytes)
{
	struct json_t *value = NULL;

	if (fts_json_value_of_bytes(type, bytes, NULL, &value, NULL) == FTS_OK) json_decref(value);
}

static void check(const Fts__Rpc__V1__DescribeResponse *description, struct fts_bytes rest)
{
	struct fts_error error = {.detail = ""};
	struct fts_schema *schema = NULL;
	char *text = NULL;

	FTS_ASSERT(fts_schema_print(description, &text, NULL) == FTS_OK);
	free(text);
	if (fts_schema_build(description, &schema, &error) != FTS_OK) {
		FTS_ASSERT(!schema && error.detail[0] != 0);
		return;
	}
	for (size_t i = 0; i < description->n_messages && i < READ_COUNT_MAX; i++) {
		const ProtobufCMessageDescriptor *type = fts_schema_message(schema, description->messages[i]->name);
		FTS_ASSERT(type && type->n_fields == description->messages[i]->n_fields);
		read_as_json(type, rest);
		read_as_protobuf(type, rest);
	}
	fts_schema_destroy(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	if (size_bytes < 2) return 0;
	size_t wanted_bytes = (size_t)data[0] << 8 | data[1];
	size_t packed_bytes = wanted_bytes < size_bytes - 2 ? wanted_bytes : size_bytes - 2;
	struct fts_bytes rest = {data + 2 + packed_bytes, size_bytes - 2 - packed_bytes};
	Fts__Rpc__V1__DescribeResponse *description =
	    fts__rpc__v1__describe_response__unpack(NULL, packed_bytes, data + 2);

	if (description) {
		check(description, rest);
		fts__rpc__v1__describe_response__free_unpacked(description, NULL);
	}
	return 0;
}
