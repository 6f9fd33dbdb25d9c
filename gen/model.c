/* Why this file exists: see model.h. Two passes: first every declaration of every file, then types are looked up,
 * since a method may name a message of any file. */
#include "gen/model.h"

#include <stdlib.h>
#include <string.h>

#include "gen/names.h"
#include "gen/refusal.h"
#include "gen/source_info.h"

typedef Google__Protobuf__DescriptorProto DescriptorProto;
typedef Google__Protobuf__EnumDescriptorProto EnumDescriptorProto;
typedef Google__Protobuf__FileDescriptorProto FileDescriptorProto;
typedef Google__Protobuf__ServiceDescriptorProto ServiceDescriptorProto;

#define DEFAULT_TIMEOUT_MS 5000

/* Field numbers of descriptor.proto, of which paths are made. */
enum {
	FILE_MESSAGE = 4,
	FILE_ENUM = 5,
	FILE_SERVICE = 6,
	MESSAGE_FIELD = 2,
	MESSAGE_NESTED = 3,
	MESSAGE_ENUM = 4,
	MESSAGE_OPTIONS = 7,
	ENUM_VALUE = 2,
	ENUM_OPTIONS = 3,
	SERVICE_METHOD = 2,
	SERVICE_OPTIONS = 3,
	METHOD_OPTIONS = 4,
};

struct builder {
	struct ftsi_arena *arena;
	struct ftsi_refusals *refusals;
	struct ftsi_model *model;
	struct ftsi_message **messages; /* of all files, by full name */
	size_t message_count;
	struct ftsi_enum **enums;
	size_t enum_count;
};

static const char *or_empty(const char *string)
{
	return string == NULL ? "" : string;
}

static const char *join(struct ftsi_arena *arena, const char *scope, const char *name)
{
	return ftsi_arena_format(arena, "%s%s%s", scope, *scope == '\0' ? "" : ".", name);
}

static struct ftsi_element element_of(struct builder *b, const struct ftsi_file *file, const char *scope,
				      const char *name, struct ftsi_path path)
{
	name = or_empty(name);
	return (struct ftsi_element){
	    .file = file,
	    .name = name,
	    .full_name = join(b->arena, scope, name),
	    .doc = ftsi_source_info_doc(b->arena, file, path),
	    .path = path,
	};
}

/* The full name as protoc-gen-c has it: c_package, when given, stands in for the package. */
static const char *pb_c_name(struct builder *b, const struct ftsi_file *file, const char *full_name)
{
	size_t package_bytes = strlen(file->package);

	if (file->pb_c.c_package == NULL) return full_name;
	return join(b->arena, file->pb_c.c_package, full_name + package_bytes + (package_bytes > 0 ? 1 : 0));
}

/* ---- Options ---- */

static const char *read_string(struct builder *b, const struct ftsi_element *element, int32_t options_field,
			       const ProtobufCMessage *options, enum ftsi_option option, const char *absent)
{
	const char *value = absent;

	if (ftsi_option_string(b->arena, options, option, &value) == FTSI_OPTION_MALFORMED)
		ftsi_refuse_option(b->refusals, element, options_field, option,
				   "option %d of %s is not a string without zero bytes: use fts/rpc/v1/options.proto "
				   "of the same version as protoc-gen-fts",
				   (int)option, element->full_name);
	return value;
}

static uint64_t read_uint(struct builder *b, const struct ftsi_element *element, int32_t options_field,
			  const ProtobufCMessage *options, enum ftsi_option option, uint64_t absent)
{
	uint64_t value = absent;

	if (ftsi_option_uint(options, option, &value) == FTSI_OPTION_MALFORMED)
		ftsi_refuse_option(b->refusals, element, options_field, option,
				   "option %d of %s is not a number: use fts/rpc/v1/options.proto of the same version "
				   "as protoc-gen-fts",
				   (int)option, element->full_name);
	return value;
}

static void check_unknown(struct builder *b, const struct ftsi_element *element, int32_t options_field,
			  const ProtobufCMessage *options)
{
	uint32_t number = ftsi_option_unknown(options);

	if (number != 0)
		ftsi_refuse_option(b->refusals, element, options_field, (enum ftsi_option)number,
				   "option %u of %s is newer than this protoc-gen-fts, which would ignore it: use "
				   "fts/rpc/v1/options.proto of the same version",
				   number, element->full_name);
}

/* ---- First pass: declarations ---- */

static void build_enum(struct builder *b, struct ftsi_file *file, const EnumDescriptorProto *descriptor,
		       const char *scope, struct ftsi_path path)
{
	struct ftsi_enum *e = &file->enums[file->enum_count++];
	const ProtobufCMessage *options = (const ProtobufCMessage *)descriptor->options;

	e->element = element_of(b, file, scope, descriptor->name, path);
	e->options = options;
	e->pb_c_prefix = ftsi_name_message_prefix(b->arena, pb_c_name(b, file, e->element.full_name));
	e->value_count = descriptor->n_value;
	e->values = ftsi_arena_alloc(b->arena, e->value_count + 1, sizeof(*e->values));
	for (size_t i = 0; i < e->value_count; i++) {
		struct ftsi_path at = ftsi_path_child(b->arena, path, ENUM_VALUE, (int32_t)i);

		e->values[i].element = element_of(b, file, e->element.full_name, descriptor->value[i]->name, at);
		e->values[i].number = descriptor->value[i]->number;
	}
	e->c_enum = read_string(b, &e->element, ENUM_OPTIONS, options, FTSI_OPTION_C_ENUM, "");
	e->c_value_prefix = read_string(b, &e->element, ENUM_OPTIONS, options, FTSI_OPTION_C_VALUE_PREFIX, "");
	e->c_name_strip = read_string(b, &e->element, ENUM_OPTIONS, options, FTSI_OPTION_C_NAME_STRIP, "");
	if (file->is_wanted) check_unknown(b, &e->element, ENUM_OPTIONS, options);
}

static void build_fields(struct builder *b, struct ftsi_message *message, const DescriptorProto *descriptor)
{
	message->field_count = descriptor->n_field;
	message->fields = ftsi_arena_alloc(b->arena, message->field_count + 1, sizeof(*message->fields));
	for (size_t i = 0; i < message->field_count; i++) {
		struct ftsi_path at = ftsi_path_child(b->arena, message->element.path, MESSAGE_FIELD, (int32_t)i);

		message->fields[i].descriptor = descriptor->field[i];
		message->fields[i].element =
		    element_of(b, message->element.file, message->element.full_name, descriptor->field[i]->name, at);
	}
}

static void build_message(struct builder *b, struct ftsi_file *file, const DescriptorProto *descriptor,
			  const char *scope, struct ftsi_path path)
{
	struct ftsi_message *message = &file->messages[file->message_count++];
	const char *pb_c_full_name;

	message->element = element_of(b, file, scope, descriptor->name, path);
	message->options = (const ProtobufCMessage *)descriptor->options;
	pb_c_full_name = pb_c_name(b, file, message->element.full_name);
	message->pb_c_type = ftsi_name_message_type(b->arena, pb_c_full_name);
	message->pb_c_prefix = ftsi_name_message_prefix(b->arena, pb_c_full_name);
	message->snake = ftsi_name_snake(b->arena, message->element.full_name);
	message->is_nested = path.step_count > 2;
	message->is_map_entry = descriptor->options != NULL && descriptor->options->map_entry;
	message->topic = read_string(b, &message->element, MESSAGE_OPTIONS, message->options, FTSI_OPTION_TOPIC, NULL);
	if (file->is_wanted) check_unknown(b, &message->element, MESSAGE_OPTIONS, message->options);
	build_fields(b, message, descriptor);
	for (size_t i = 0; i < descriptor->n_enum_type; i++)
		build_enum(b, file, descriptor->enum_type[i], message->element.full_name,
			   ftsi_path_child(b->arena, path, MESSAGE_ENUM, (int32_t)i));
	for (size_t i = 0; i < descriptor->n_nested_type; i++)
		build_message(b, file, descriptor->nested_type[i], message->element.full_name,
			      ftsi_path_child(b->arena, path, MESSAGE_NESTED, (int32_t)i));
}

static uint32_t read_ms(struct builder *b, const struct ftsi_method *method, enum ftsi_option option, uint32_t absent,
			const char *why)
{
	const ProtobufCMessage *options = (const ProtobufCMessage *)method->descriptor->options;
	uint64_t value = read_uint(b, &method->element, METHOD_OPTIONS, options, option, absent);

	if (value == 0)
		ftsi_refuse_option(b->refusals, &method->element, METHOD_OPTIONS, option, "%s of %s is 0: %s",
				   option == FTSI_OPTION_TIMEOUT_MS ? "timeout_ms" : "longest_run_ms",
				   method->element.full_name, why);
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void read_policy(struct builder *b, struct ftsi_method *method)
{
	const struct ftsi_element *element = &method->element;
	const ProtobufCMessage *options = (const ProtobufCMessage *)method->descriptor->options;
	uint64_t route = read_uint(b, element, METHOD_OPTIONS, options, FTSI_OPTION_ROUTE, FTSI_ROUTE_LEADER);

	method->mutates = read_uint(b, element, METHOD_OPTIONS, options, FTSI_OPTION_MUTATES, 0) != 0;
	method->blocking = read_uint(b, element, METHOD_OPTIONS, options, FTSI_OPTION_BLOCKING, 0) != 0;
	method->no_side_effects = method->descriptor->options != NULL &&
				  method->descriptor->options->idempotency_level ==
				      GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS;
	method->role = read_string(b, element, METHOD_OPTIONS, options, FTSI_OPTION_ROLE, "");
	method->timeout_ms = read_ms(b, method, FTSI_OPTION_TIMEOUT_MS, DEFAULT_TIMEOUT_MS,
				     "every call has a time limit; name one, or leave the option away for 5,000 ms");
	method->longest_run_ms =
	    read_ms(b, method, FTSI_OPTION_LONGEST_RUN_MS, method->timeout_ms > 0 ? method->timeout_ms : 1,
		    "the watchdog would call every run overrun; name a time, or leave the option away for timeout_ms");
	if (route >= FTSI_ROUTE_COUNT)
		ftsi_refuse_option(
		    b->refusals, element, METHOD_OPTIONS, FTSI_OPTION_ROUTE,
		    "route %llu of %s is not one this protoc-gen-fts knows: use ROUTE_LEADER, ROUTE_REPLICA "
		    "or ROUTE_ANY",
		    (unsigned long long)route, element->full_name);
	method->route = route < FTSI_ROUTE_COUNT ? (enum ftsi_route)route : FTSI_ROUTE_LEADER;
	check_unknown(b, element, METHOD_OPTIONS, options);
}

static void build_service(struct builder *b, struct ftsi_file *file, const ServiceDescriptorProto *descriptor,
			  int32_t index)
{
	struct ftsi_service *service = &file->services[file->service_count++];
	struct ftsi_path path = ftsi_path_child(b->arena, (struct ftsi_path){0}, FILE_SERVICE, index);

	service->element = element_of(b, file, file->package, descriptor->name, path);
	service->options = (const ProtobufCMessage *)descriptor->options;
	service->c_prefix = read_string(b, &service->element, SERVICE_OPTIONS, service->options, FTSI_OPTION_C_PREFIX,
					ftsi_name_snake(b->arena, service->element.full_name));
	if (file->is_wanted) check_unknown(b, &service->element, SERVICE_OPTIONS, service->options);
	service->method_count = descriptor->n_method;
	service->methods = ftsi_arena_alloc(b->arena, service->method_count + 1, sizeof(*service->methods));
	for (size_t i = 0; i < service->method_count; i++) {
		struct ftsi_method *method = &service->methods[i];
		struct ftsi_path at = ftsi_path_child(b->arena, path, SERVICE_METHOD, (int32_t)i);

		method->descriptor = descriptor->method[i];
		method->element = element_of(b, file, "", descriptor->method[i]->name, at);
		method->element.full_name =
		    ftsi_arena_format(b->arena, "%s/%s", service->element.full_name, method->element.name);
		method->snake = ftsi_name_snake(b->arena, method->element.name);
		method->c_name = ftsi_arena_format(b->arena, "%s_%s", service->c_prefix, method->snake);
		method->id = ftsi_name_hash(method->element.full_name);
		if (file->is_wanted) read_policy(b, method);
	}
}

static void count_types(const DescriptorProto *descriptor, size_t *message_count, size_t *enum_count)
{
	*message_count += 1;
	*enum_count += descriptor->n_enum_type;
	for (size_t i = 0; i < descriptor->n_nested_type; i++)
		count_types(descriptor->nested_type[i], message_count, enum_count);
}

static void build_file(struct builder *b, struct ftsi_file *file, const FileDescriptorProto *descriptor)
{
	size_t message_count = 0, enum_count = descriptor->n_enum_type;

	file->descriptor = descriptor;
	file->name = or_empty(descriptor->name);
	file->package = or_empty(descriptor->package);
	file->pb_c = ftsi_option_pb_c(b->arena, (const ProtobufCMessage *)descriptor->options);
	ftsi_source_info_index(b->arena, file);
	file->doc = ftsi_source_info_file_doc(b->arena, file);
	for (size_t i = 0; i < descriptor->n_message_type; i++)
		count_types(descriptor->message_type[i], &message_count, &enum_count);
	file->messages = ftsi_arena_alloc(b->arena, message_count + 1, sizeof(*file->messages));
	file->enums = ftsi_arena_alloc(b->arena, enum_count + 1, sizeof(*file->enums));
	file->services = ftsi_arena_alloc(b->arena, descriptor->n_service + 1, sizeof(*file->services));
	for (size_t i = 0; i < descriptor->n_enum_type; i++)
		build_enum(b, file, descriptor->enum_type[i], file->package,
			   ftsi_path_child(b->arena, (struct ftsi_path){0}, FILE_ENUM, (int32_t)i));
	for (size_t i = 0; i < descriptor->n_message_type; i++)
		build_message(b, file, descriptor->message_type[i], file->package,
			      ftsi_path_child(b->arena, (struct ftsi_path){0}, FILE_MESSAGE, (int32_t)i));
	for (size_t i = 0; i < descriptor->n_service; i++)
		build_service(b, file, descriptor->service[i], (int32_t)i);
}

/* ---- Second pass: types by name ---- */

static int compare_messages(const void *left, const void *right)
{
	return strcmp((*(struct ftsi_message *const *)left)->element.full_name,
		      (*(struct ftsi_message *const *)right)->element.full_name);
}

static int compare_enums(const void *left, const void *right)
{
	return strcmp((*(struct ftsi_enum *const *)left)->element.full_name,
		      (*(struct ftsi_enum *const *)right)->element.full_name);
}

static void index_types(struct builder *b)
{
	for (size_t i = 0; i < b->model->file_count; i++) {
		b->message_count += b->model->files[i].message_count;
		b->enum_count += b->model->files[i].enum_count;
	}
	b->messages = ftsi_arena_alloc(b->arena, b->message_count + 1, sizeof(struct ftsi_message *));
	b->enums = ftsi_arena_alloc(b->arena, b->enum_count + 1, sizeof(struct ftsi_enum *));
	size_t m = 0, e = 0;
	for (size_t i = 0; i < b->model->file_count; i++) {
		struct ftsi_file *file = &b->model->files[i];

		for (size_t k = 0; k < file->message_count; k++)
			b->messages[m++] = &file->messages[k];
		for (size_t k = 0; k < file->enum_count; k++)
			b->enums[e++] = &file->enums[k];
	}
	qsort(b->messages, m, sizeof(struct ftsi_message *), compare_messages);
	qsort(b->enums, e, sizeof(struct ftsi_enum *), compare_enums);
}

/* type_name: as in descriptors, ".package.Message"; may be NULL. */
static struct ftsi_message *find_message(const struct builder *b, const char *type_name)
{
	struct ftsi_message key = {0}, *key_at = &key, **found;

	if (type_name == NULL || type_name[0] != '.') return NULL;
	key.element.full_name = type_name + 1;
	found = bsearch(&key_at, b->messages, b->message_count, sizeof(struct ftsi_message *), compare_messages);
	return found == NULL ? NULL : *found;
}

static struct ftsi_enum *find_enum(const struct builder *b, const char *type_name)
{
	struct ftsi_enum key = {0}, *key_at = &key, **found;

	if (type_name == NULL || type_name[0] != '.') return NULL;
	key.element.full_name = type_name + 1;
	found = bsearch(&key_at, b->enums, b->enum_count, sizeof(struct ftsi_enum *), compare_enums);
	return found == NULL ? NULL : *found;
}

static void resolve_method(struct builder *b, struct ftsi_method *method)
{
	method->request = find_message(b, method->descriptor->input_type);
	method->response = find_message(b, method->descriptor->output_type);
	if (method->request == NULL || method->response == NULL)
		ftsi_refuse(b->refusals, &method->element, "%s names a message that is in none of the request's files",
			    method->element.full_name);
}

static void resolve_file(struct builder *b, struct ftsi_file *file)
{
	for (size_t i = 0; i < file->message_count; i++) {
		struct ftsi_message *message = &file->messages[i];

		for (size_t k = 0; k < message->field_count; k++) {
			const char *type_name = message->fields[k].descriptor->type_name;

			message->fields[k].message = find_message(b, type_name);
			message->fields[k].enumeration = find_enum(b, type_name);
		}
	}
	for (size_t i = 0; i < file->service_count; i++)
		for (size_t k = 0; k < file->services[i].method_count; k++)
			resolve_method(b, &file->services[i].methods[k]);
}

static bool is_wanted(const Google__Protobuf__Compiler__CodeGeneratorRequest *request, const char *file_name)
{
	for (size_t i = 0; i < request->n_file_to_generate; i++)
		if (strcmp(request->file_to_generate[i], file_name) == 0) return true;
	return false;
}

void ftsi_model_build(struct ftsi_model *out_model, struct ftsi_arena *arena,
		      const Google__Protobuf__Compiler__CodeGeneratorRequest *request, struct ftsi_refusals *refusals)
{
	struct builder b = {.arena = arena, .refusals = refusals, .model = out_model};

	out_model->arena = arena;
	out_model->file_count = request->n_proto_file;
	out_model->files = ftsi_arena_alloc(arena, request->n_proto_file + 1, sizeof(*out_model->files));
	for (size_t i = 0; i < request->n_proto_file; i++) {
		out_model->files[i].is_wanted = is_wanted(request, or_empty(request->proto_file[i]->name));
		build_file(&b, &out_model->files[i], request->proto_file[i]);
	}
	index_types(&b);
	for (size_t i = 0; i < out_model->file_count; i++)
		resolve_file(&b, &out_model->files[i]);
}
