/* Why this file exists: see describe.h. First the types are collected, breadth first, into a list without
 * repetition; then each is written out. */
#include "rpc/describe.h"

#include <string.h>

#include "rpc/schema.h"

/* Types in the order of first use. */
struct types {
	const ProtobufCMessageDescriptor *messages[FTS_SCHEMA_TYPE_MAX];
	size_t message_count;
	const ProtobufCEnumDescriptor *enums[FTS_SCHEMA_TYPE_MAX];
	size_t enum_count;
	bool full; /* more than can be told */
};

struct describer {
	const struct ftsi_describe_source *source;
	struct types *types;
	bool exhausted;
};

static void *take(struct describer *describer, size_t count, size_t size_bytes)
{
	void *memory = describer->source->alloc(describer->source->ctx, count * size_bytes + 1);

	if (memory)
		memset(memory, 0, count * size_bytes + 1);
	else
		describer->exhausted = true;
	return memory;
}

/* The tables' texts are const, protobuf-c's members are not; nothing here writes through them. */
static char *borrow(const char *text)
{
	return (char *)(uintptr_t)(text ? text : "");
}

/* ---- Collecting ---- */

static void add_message(struct types *types, const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < types->message_count; i++)
		if (types->messages[i] == type) return;
	if (types->message_count == FTS_SCHEMA_TYPE_MAX)
		types->full = true;
	else
		types->messages[types->message_count++] = type;
}

static void add_enum(struct types *types, const ProtobufCEnumDescriptor *type)
{
	for (size_t i = 0; i < types->enum_count; i++)
		if (types->enums[i] == type) return;
	if (types->enum_count == FTS_SCHEMA_TYPE_MAX)
		types->full = true;
	else
		types->enums[types->enum_count++] = type;
}

/* Everything that the messages in the list hold, until the list grows no more. */
static void close_types(struct types *types)
{
	for (size_t i = 0; i < types->message_count; i++)
		for (unsigned f = 0; f < types->messages[i]->n_fields; f++) {
			const ProtobufCFieldDescriptor *field = &types->messages[i]->fields[f];
			if (field->type == PROTOBUF_C_TYPE_MESSAGE)
				add_message(types, field->descriptor);
			else if (field->type == PROTOBUF_C_TYPE_ENUM)
				add_enum(types, field->descriptor);
		}
}

static void add_method(struct types *types, const struct fts_method *method)
{
	add_message(types, method->request);
	add_message(types, method->response);
}

static void add_service(struct types *types, const struct fts_service *service)
{
	for (size_t i = 0; i < service->method_count; i++)
		add_method(types, &service->methods[i]);
	for (size_t i = 0; i < service->type_count; i++)
		if (service->types[i].message && service->types[i].topic && *service->types[i].topic)
			add_message(types, service->types[i].message);
}

/* ---- Writing out ---- */

static const struct fts_type_doc *find_type_doc(const struct describer *describer, const void *type)
{
	for (size_t s = 0; s < describer->source->service_count; s++) {
		const struct fts_service *service = describer->source->services[s];
		for (size_t i = 0; i < service->type_count; i++)
			if (service->types[i].message == type || service->types[i].enumeration == type)
				return &service->types[i];
	}
	return NULL;
}

static char *doc_of(const struct fts_type_doc *docs, const char *field)
{
	for (size_t i = 0; docs && i < docs->field_count; i++)
		if (strcmp(docs->fields[i].field, field) == 0) return borrow(docs->fields[i].doc);
	return borrow("");
}

static void write_field(const ProtobufCFieldDescriptor *field, const struct fts_type_doc *docs,
			Fts__Rpc__V1__FieldSchema *out)
{
	fts__rpc__v1__field_schema__init(out);
	out->name = borrow(field->name);
	out->number = field->id;
	out->type = (uint32_t)field->type;
	out->label = (uint32_t)field->label;
	out->flags = field->flags & (PROTOBUF_C_FIELD_FLAG_PACKED | PROTOBUF_C_FIELD_FLAG_ONEOF);
	out->doc = doc_of(docs, field->name);
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		out->type_name = borrow(((const ProtobufCMessageDescriptor *)field->descriptor)->name);
	else if (field->type == PROTOBUF_C_TYPE_ENUM)
		out->type_name = borrow(((const ProtobufCEnumDescriptor *)field->descriptor)->name);
}

/* protobuf-c keeps no names of oneofs, only that their fields share a case: they are numbered. */
static void write_oneofs(struct describer *describer, const ProtobufCMessageDescriptor *type,
			 Fts__Rpc__V1__MessageSchema *out)
{
	static const char *const names[] = {"choice1", "choice2", "choice3", "choice4",
					    "choice5", "choice6", "choice7", "choice8"};
	unsigned cases[sizeof names / sizeof *names];
	size_t count = 0;

	for (unsigned i = 0; i < type->n_fields; i++) {
		size_t place = 0;
		if (!(type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF)) continue;
		while (place < count && cases[place] != type->fields[i].quantifier_offset)
			place++;
		if (place == sizeof names / sizeof *names) {
			describer->types->full = true;
			return;
		}
		if (place == count) cases[count++] = type->fields[i].quantifier_offset;
		out->fields[i]->oneof = (uint32_t)place + 1;
	}
	out->oneofs = count ? take(describer, count, sizeof *out->oneofs) : NULL;
	for (size_t i = 0; out->oneofs && i < count; i++)
		out->oneofs[i] = borrow(names[i]);
	out->n_oneofs = out->oneofs ? count : 0;
}

static void write_message(struct describer *describer, const ProtobufCMessageDescriptor *type,
			  Fts__Rpc__V1__MessageSchema *out)
{
	const struct fts_type_doc *docs = find_type_doc(describer, type);

	fts__rpc__v1__message_schema__init(out);
	out->name = borrow(type->name);
	out->doc = doc_of(docs, "");
	out->topic = borrow(docs ? docs->topic : "");
	Fts__Rpc__V1__FieldSchema *fields = take(describer, type->n_fields, sizeof *fields);
	out->fields = take(describer, type->n_fields, sizeof *out->fields);
	if (!fields || !out->fields) return;
	for (unsigned i = 0; i < type->n_fields; i++) {
		write_field(&type->fields[i], docs, &fields[i]);
		out->fields[i] = &fields[i];
	}
	out->n_fields = type->n_fields;
	write_oneofs(describer, type, out);
}

static void write_enum(struct describer *describer, const ProtobufCEnumDescriptor *type, Fts__Rpc__V1__EnumSchema *out)
{
	const struct fts_type_doc *docs = find_type_doc(describer, type);

	fts__rpc__v1__enum_schema__init(out);
	out->name = borrow(type->name);
	out->doc = doc_of(docs, "");
	Fts__Rpc__V1__EnumValueSchema *values = take(describer, type->n_value_names, sizeof *values);
	out->values = take(describer, type->n_value_names, sizeof *out->values);
	if (!values || !out->values) return;
	for (unsigned i = 0; i < type->n_values; i++) {
		fts__rpc__v1__enum_value_schema__init(&values[i]);
		values[i].name = borrow(type->values[i].name);
		values[i].number = type->values[i].value;
		values[i].doc = doc_of(docs, values[i].name);
		out->values[out->n_values++] = &values[i];
	}
	/* Other names of the same numbers. */
	for (unsigned i = 0; i < type->n_value_names && out->n_values < type->n_value_names; i++) {
		const ProtobufCEnumValue *value = &type->values[type->values_by_name[i].index];
		if (strcmp(type->values_by_name[i].name, value->name) == 0) continue;
		Fts__Rpc__V1__EnumValueSchema *alias = &values[out->n_values];
		fts__rpc__v1__enum_value_schema__init(alias);
		alias->name = borrow(type->values_by_name[i].name);
		alias->number = value->value;
		out->values[out->n_values++] = alias;
	}
}

static void write_method(const struct fts_method *method, Fts__Rpc__V1__MethodSchema *out)
{
	fts__rpc__v1__method_schema__init(out);
	out->name = borrow(method->name);
	out->doc = borrow(method->doc);
	out->id = method->id;
	out->request = borrow(method->request->name);
	out->response = borrow(method->response->name);
	out->mutates = method->mutates;
	out->route = (uint32_t)method->route;
	out->timeout_ms = method->timeout_ms;
	out->longest_run_ms = method->longest_run_ms;
	out->role = borrow(method->role);
}

/* only: one method of it, or NULL: all. */
static void write_service(struct describer *describer, const struct fts_service *service, const struct fts_method *only,
			  Fts__Rpc__V1__ServiceSchema *out)
{
	fts__rpc__v1__service_schema__init(out);
	out->name = borrow(service->name);
	out->doc = borrow(service->doc);
	Fts__Rpc__V1__MethodSchema *methods = take(describer, service->method_count, sizeof *methods);
	out->methods = take(describer, service->method_count, sizeof *out->methods);
	if (!methods || !out->methods) return;
	for (size_t i = 0; i < service->method_count; i++) {
		if (only && only != &service->methods[i]) continue;
		write_method(&service->methods[i], &methods[i]);
		out->methods[out->n_methods++] = &methods[i];
	}
}

static void write_types(struct describer *describer, Fts__Rpc__V1__DescribeResponse *out)
{
	const struct types *types = describer->types;
	Fts__Rpc__V1__MessageSchema *messages = take(describer, types->message_count, sizeof *messages);
	Fts__Rpc__V1__EnumSchema *enums = take(describer, types->enum_count, sizeof *enums);

	out->messages = take(describer, types->message_count, sizeof *out->messages);
	out->enums = take(describer, types->enum_count, sizeof *out->enums);
	if (!messages || !enums || !out->messages || !out->enums) return;
	for (size_t i = 0; i < types->message_count && !describer->exhausted; i++) {
		write_message(describer, types->messages[i], &messages[i]);
		out->messages[out->n_messages++] = &messages[i];
	}
	for (size_t i = 0; i < types->enum_count && !describer->exhausted; i++) {
		write_enum(describer, types->enums[i], &enums[i]);
		out->enums[out->n_enums++] = &enums[i];
	}
}

/* ---- What a name stands for ---- */

static const struct fts_method *find_method(const struct fts_service *service, const char *full_name)
{
	for (size_t i = 0; i < service->method_count; i++)
		if (strcmp(service->methods[i].full_name, full_name) == 0) return &service->methods[i];
	return NULL;
}

/* Services, or one method, that are called name. True: found. */
static bool pick_services(struct describer *describer, const char *name, Fts__Rpc__V1__DescribeResponse *out)
{
	size_t count = describer->source->service_count;
	Fts__Rpc__V1__ServiceSchema *services = take(describer, count, sizeof *services);

	out->services = take(describer, count, sizeof *out->services);
	if (!services || !out->services) return true;
	for (size_t i = 0; i < count; i++) {
		const struct fts_service *service = describer->source->services[i];
		const struct fts_method *method = find_method(service, name);
		bool whole = !*name || strcmp(service->name, name) == 0;
		if (!whole && !method) continue;
		if (whole)
			add_service(describer->types, service);
		else
			add_method(describer->types, method);
		write_service(describer, service, whole ? NULL : method, &services[out->n_services]);
		out->services[out->n_services] = &services[out->n_services];
		out->n_services++;
	}
	return out->n_services > 0 || !*name;
}

/* Of all types of all services keep the one that is called name, or published under it. */
static bool pick_type(struct describer *describer, const char *name)
{
	struct types *types = describer->types;
	const ProtobufCMessageDescriptor *message = NULL;
	const ProtobufCEnumDescriptor *enumeration = NULL;

	for (size_t i = 0; i < describer->source->service_count; i++)
		add_service(types, describer->source->services[i]);
	close_types(types);
	for (size_t i = 0; i < types->message_count && !message; i++) {
		const struct fts_type_doc *docs = find_type_doc(describer, types->messages[i]);
		bool topic = docs && docs->topic && strcmp(docs->topic, name) == 0;
		if (topic || strcmp(types->messages[i]->name, name) == 0) message = types->messages[i];
	}
	for (size_t i = 0; i < types->enum_count && !message; i++)
		if (strcmp(types->enums[i]->name, name) == 0) enumeration = types->enums[i];
	types->message_count = types->enum_count = 0;
	if (message)
		add_message(types, message);
	else if (enumeration)
		add_enum(types, enumeration);
	return message || enumeration;
}

enum fts_status ftsi_describe(const struct ftsi_describe_source *source, const char *name,
			      Fts__Rpc__V1__DescribeResponse *out, struct fts_error *out_error)
{
	struct describer describer = {.source = source};

	describer.types = take(&describer, 1, sizeof *describer.types);
	if (describer.types && !pick_services(&describer, name, out) && !pick_type(&describer, name))
		return fts_error_set(out_error, FTS_NOT_FOUND,
				     "no service, method, message, enum or topic is called '%.200s' here", name);
	if (describer.types && !describer.exhausted) {
		close_types(describer.types);
		write_types(&describer, out);
	}
	if (describer.exhausted || describer.types->full)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED,
				     "too much to describe at once: ask for one service or type");
	return FTS_OK;
}
