/* Why this file exists: what the two directions of the JSON mapping share: names, maps, base64, and where in a
 * message we are. */
#ifndef FTS_RPC_JSON_INTERNAL_H
#define FTS_RPC_JSON_INTERNAL_H

#include "rpc/json.h"

#define FTSI_JSON_NAME_MAX_BYTES 128 /* of a field, its 0 byte included */

/* Where we are: a list from the leaf to the root, on the stack. All borrowed from the frames above. */
struct ftsi_json_path {
	const struct ftsi_json_path *parent; /* NULL: the root message */
	const char *name;                    /* of the field or map key; NULL: an element */
	size_t element_index;
};

/* As `bets[3].birthdate`; "(message)" for the root. Cut when it doesn't fit. Returns buf. */
const char *ftsi_json_path_print(const struct ftsi_json_path *path, char *buf, size_t size_bytes);

/* close_by_ms -> closeByMs. */
void ftsi_json_camel(const char *name, char *out, size_t size_bytes);

/* The entry type when field (borrowed) is a map; NULL otherwise. */
const ProtobufCMessageDescriptor *ftsi_json_map_entry(const ProtobufCFieldDescriptor *field);

/* Standard alphabet with padding. Returned (free()); NULL: no memory. */
char *ftsi_base64_encode(const uint8_t *data, size_t size_bytes);
/* Both alphabets, padding as one likes. out: room for size_bytes of text, caller's. False: not base64. */
bool ftsi_base64_decode(const char *text, size_t size_bytes, uint8_t *out, size_t *out_size_bytes);

/* Bytes that one value of type takes in an array. */
size_t ftsi_json_type_size_bytes(ProtobufCType type);

#endif
