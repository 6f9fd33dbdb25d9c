/* Why this file exists: fts's options (proto/fts/rpc/v1/options.proto) reach a plugin as unknown fields of
 * descriptor.proto's option messages, since that file was compiled without them. Here they are read from there. */
#ifndef FTS_GEN_OPTIONS_H
#define FTS_GEN_OPTIONS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "gen/arena.h"

/* Numbers of the extensions, as in options.proto. */
enum ftsi_option {
	FTSI_OPTION_MUTATES = 51001,
	FTSI_OPTION_ROUTE = 51002,
	FTSI_OPTION_TIMEOUT_MS = 51003,
	FTSI_OPTION_LONGEST_RUN_MS = 51004,
	FTSI_OPTION_ROLE = 51005,
	FTSI_OPTION_BLOCKING = 51006,
	FTSI_OPTION_C_PREFIX = 51101,
	FTSI_OPTION_TOPIC = 51201,
	FTSI_OPTION_C_ENUM = 51301,
	FTSI_OPTION_C_VALUE_PREFIX = 51302,
	FTSI_OPTION_C_NAME_STRIP = 51303,
	FTSI_OPTION_FIRST = 51000, /* fts keeps these numbers for itself */
	FTSI_OPTION_LAST = 51999,
};

/* protobuf-c's own file options (protobuf-c.proto), as far as they change names or files. */
struct ftsi_pb_c_options {
	bool no_generate;
	const char *c_package; /* NULL: none; borrowed until the arena is destroyed */
};

enum ftsi_option_found { FTSI_OPTION_ABSENT, FTSI_OPTION_PRESENT, FTSI_OPTION_MALFORMED };

/* The value of a numeric, boolean or enum option. options: borrowed, may be NULL. *out_value is left alone unless
 * the answer is PRESENT. */
enum ftsi_option_found ftsi_option_uint(const ProtobufCMessage *options, enum ftsi_option option, uint64_t *out_value);

/* The value of a string option; *out_value: borrowed until the arena is destroyed, left alone unless PRESENT.
 * MALFORMED: also for a string that holds a zero byte. */
enum ftsi_option_found ftsi_option_string(struct ftsi_arena *arena, const ProtobufCMessage *options,
					  enum ftsi_option option, const char **out_value);

/* The lowest number of fts's range in options (borrowed, may be NULL) that this generator does not know; 0: none. */
uint32_t ftsi_option_unknown(const ProtobufCMessage *options);

/* protobuf-c's options of a file. options: the FileOptions, borrowed, may be NULL. */
struct ftsi_pb_c_options ftsi_option_pb_c(struct ftsi_arena *arena, const ProtobufCMessage *options);

#endif
