/* Why this file exists: libFuzzer against the JSON mapping: the first byte picks a message, the rest is text.
 * What must hold: a text is refused with words, or its message prints, packs, unpacks and reads to the same text. */
#include <stdlib.h>
#include <string.h>

#include <fts/config/v1/config.pb-c.h>
#include <fts/lottery/v1/lottery.pb-c.h>
#include <fts/rpc/v1/events.pb-c.h>
#include <fts/rpc/v1/reflection.pb-c.h>

#include "base/assert.h"
#include "rpc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static const ProtobufCMessageDescriptor *const types[] = {
    &fts__lottery__v1__store_batch_request__descriptor,
    &fts__lottery__v1__export_response__descriptor,
    &fts__rpc__v1__describe_response__descriptor,
    &fts__rpc__v1__statistics_response__descriptor,
    &fts__rpc__v1__event_batch__descriptor,
    &fts__config__v1__config__descriptor,
};

static char *print(const ProtobufCMessage *message, const struct fts_json_options *options)
{
	char *text = NULL;

	FTS_ASSERT(fts_json_encode(message, options, &text, NULL, NULL) == FTS_OK);
	return text;
}

static ProtobufCMessage *read_back(const char *text, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = NULL;
	struct fts_bytes bytes = {(const uint8_t *)text, strlen(text)};

	FTS_ASSERT(fts_json_decode(bytes, type, NULL, &message, NULL) == FTS_OK);
	return message;
}

/* Text as printed in every way gives the same message again. */
static void check_message(const ProtobufCMessage *message)
{
	static const struct fts_json_options ways[] = {
	    {.print_defaults = true}, {.proto_names = true}, {.pretty = true}};
	char *plain = print(message, NULL);

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		char *text = print(message, &ways[i]);
		ProtobufCMessage *again = read_back(text, message->descriptor);
		char *same = print(again, NULL);
		FTS_ASSERT(strcmp(plain, same) == 0);
		free(same);
		free(text);
		protobuf_c_message_free_unpacked(again, NULL);
	}
	size_t size_bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(size_bytes + 1);
	FTS_ASSERT(packed && protobuf_c_message_pack(message, packed) == size_bytes);
	ProtobufCMessage *unpacked = protobuf_c_message_unpack(message->descriptor, NULL, size_bytes, packed);
	FTS_ASSERT(unpacked);
	char *same = print(unpacked, NULL);
	FTS_ASSERT(strcmp(plain, same) == 0);
	protobuf_c_message_free_unpacked(unpacked, NULL);
	free(packed);
	free(same);
	free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	if (size_bytes == 0) return 0;
	const ProtobufCMessageDescriptor *type = types[data[0] % (sizeof types / sizeof *types)];
	struct fts_error error = {.detail = ""};
	ProtobufCMessage *message = NULL;
	enum fts_status status =
	    fts_json_decode((struct fts_bytes){data + 1, size_bytes - 1}, type, NULL, &message, &error);

	FTS_ASSERT((status == FTS_OK) == (message != NULL));
	FTS_ASSERT(status == FTS_OK || error.detail[0] != 0);
	if (message) check_message(message);
	protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
