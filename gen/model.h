/* Why this file exists: the .proto files of one request as the generator sees them: names resolved, comments and
 * places looked up, options read. Built once, then only read.
 *
 * Invariants: every pointer is borrowed until the arena is destroyed, and none is NULL unless it says so; strings
 * that are not there are "". Order is the order of the .proto files, so that output is stable. */
#ifndef FTS_GEN_MODEL_H
#define FTS_GEN_MODEL_H

#include <google/protobuf/compiler/plugin.pb-c.h>

#include "gen/options.h"

struct ftsi_file;
struct ftsi_refusals;

/* Where something stands in its file: the path of descriptor.proto's SourceCodeInfo. */
struct ftsi_path {
	const int32_t *steps;
	size_t step_count;
};

/* What everything that is declared in a file has. */
struct ftsi_element {
	const struct ftsi_file *file;
	const char *name;
	const char *full_name; /* with package, without the leading dot */
	const char *doc;       /* the comments before and behind it, lines ended by '\n' but the last */
	struct ftsi_path path;
};

/* Of one walk over the types; the walk that uses marks resets them first. */
enum ftsi_mark { FTSI_UNSEEN, FTSI_ENTERED, FTSI_LEFT };

struct ftsi_value {
	struct ftsi_element element;
	int32_t number;
};

struct ftsi_enum {
	struct ftsi_element element;
	const ProtobufCMessage *options; /* NULL: none */
	const char *pb_c_prefix;         /* of protoc-gen-c's descriptor */
	struct ftsi_value *values;
	size_t value_count;
	const char *c_enum; /* "" : no plain C enum is wanted */
	const char *c_value_prefix;
	const char *c_name_strip;
	enum ftsi_mark mark;
};

struct ftsi_message;

struct ftsi_field {
	struct ftsi_element element;
	const Google__Protobuf__FieldDescriptorProto *descriptor;
	struct ftsi_message *message;  /* type of a message field; NULL otherwise */
	struct ftsi_enum *enumeration; /* likewise */
};

struct ftsi_message {
	struct ftsi_element element;
	const ProtobufCMessage *options; /* NULL: none */
	const char *pb_c_type;           /* Fts__Lottery__V1__Bet */
	const char *pb_c_prefix;         /* fts__lottery__v1__bet */
	const char *snake;               /* fts_lottery_v1_bet */
	struct ftsi_field *fields;
	size_t field_count;
	const char *topic; /* NULL: not an event */
	bool is_nested;
	bool is_map_entry;
	enum ftsi_mark mark;
	unsigned nesting; /* messages within it and itself, at most; set by ftsi_check_messages */
};

enum ftsi_route { FTSI_ROUTE_LEADER = 0, FTSI_ROUTE_REPLICA = 1, FTSI_ROUTE_ANY = 2, FTSI_ROUTE_COUNT };

struct ftsi_method {
	struct ftsi_element element; /* full_name: "package.Service/Method" */
	const Google__Protobuf__MethodDescriptorProto *descriptor;
	const char *snake;  /* store_bet */
	const char *c_name; /* fts_lottery_store_bet */
	uint32_t id;
	struct ftsi_message *request;
	struct ftsi_message *response;
	uint32_t timeout_ms;
	uint32_t longest_run_ms;
	enum ftsi_route route;
	bool mutates;
	bool blocking;
	bool no_side_effects;
	const char *role;
};

struct ftsi_service {
	struct ftsi_element element;
	const ProtobufCMessage *options; /* NULL: none */
	const char *c_prefix;            /* fts_lottery */
	struct ftsi_method *methods;
	size_t method_count;
};

struct ftsi_file {
	const Google__Protobuf__FileDescriptorProto *descriptor;
	const char *name;
	const char *package; /* "" : none */
	const char *doc;     /* the comment at the top of the file */
	bool is_wanted;      /* named on protoc's command line, not only imported */
	struct ftsi_pb_c_options pb_c;
	const Google__Protobuf__SourceCodeInfo__Location **locations; /* by path */
	size_t location_count;
	struct ftsi_message *messages; /* nested ones too, each behind the one it stands in */
	size_t message_count;
	struct ftsi_enum *enums;
	size_t enum_count;
	struct ftsi_service *services;
	size_t service_count;
};

struct ftsi_model {
	struct ftsi_arena *arena;
	struct ftsi_file *files;
	size_t file_count;
};

/* Read a request (borrowed as long as the model is used) into a model. What is wrong with options, or can't be
 * resolved, goes to refusals (borrowed); the model is to be used only if there are none. */
void ftsi_model_build(struct ftsi_model *out_model, struct ftsi_arena *arena,
		      const Google__Protobuf__Compiler__CodeGeneratorRequest *request, struct ftsi_refusals *refusals);

#endif
