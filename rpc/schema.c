/* Why this file exists: see schema.h. Building goes in passes: memory for every type by its name, so that types may
 * refer to each other in any order; then enums and messages; then the search for messages within themselves; then
 * services. A pass starts only when all before it succeeded.
 *
 * Layout of a message made here: ProtobufCMessage, then for each field its quantifier (count, case or has) and its
 * value, each aligned to 8 bytes. All fields of a oneof share one case and one value, as in protoc-c's unions:
 * protobuf-c frees the old value through the new field's address. */
#include "rpc/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_BYTES 8u
#define ONEOF_VALUE_BYTES 16u /* the widest: ProtobufCBinaryData */

/* Memory of a schema: a list of blocks, freed together. */
struct block {
	struct block *next;
	max_align_t data[];
};

enum mark { UNSEEN, VISITING, DONE };

struct message_entry {
	ProtobufCMessageDescriptor descriptor;
	const Fts__Rpc__V1__MessageSchema *source; /* while building */
	const char *topic;
	enum mark mark;
	unsigned depth; /* messages within it, itself included */
};
struct enum_entry {
	ProtobufCEnumDescriptor descriptor;
	const Fts__Rpc__V1__EnumSchema *source;
};

struct fts_schema {
	struct block *blocks;
	struct message_entry *messages; /* by name */
	size_t message_count;
	struct enum_entry *enums; /* by name */
	size_t enum_count;
	struct fts_method *methods; /* by full name */
	size_t method_count;
	struct fts_error *error; /* while building */
};

#define REFUSE(schema, ...) fts_error_set((schema)->error, FTS_INVALID_ARGUMENT, "schema: " __VA_ARGS__)

/* Zeroed; NULL: no memory. */
static void *take(struct fts_schema *schema, size_t count, size_t size_bytes)
{
	if (count > (SIZE_MAX - sizeof(struct block)) / (size_bytes ? size_bytes : 1)) return NULL;
	struct block *block = calloc(1, sizeof *block + count * size_bytes);
	if (!block) return NULL;
	block->next = schema->blocks;
	schema->blocks = block;
	return block->data;
}

static enum fts_status no_memory(struct fts_schema *schema)
{
	return fts_error_set(schema->error, FTS_RESOURCE_EXHAUSTED, "schema: no memory");
}

static const char *copy_text(struct fts_schema *schema, const char *text)
{
	size_t size_bytes = strlen(text) + 1;
	char *copy = take(schema, size_bytes, 1);

	if (copy) memcpy(copy, text, size_bytes);
	return copy;
}

/* Letters, digits, '_', and what `extra` holds; not empty; bounded. */
static bool is_name(const char *text, const char *extra)
{
	size_t length = text ? strlen(text) : 0;

	if (length == 0 || length > FTS_SCHEMA_NAME_MAX_BYTES) return false;
	for (; *text; text++) {
		bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			     (*text >= '0' && *text <= '9') || *text == '_';
		if (!plain && !strchr(extra, *text)) return false;
	}
	return true;
}

static const char *short_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

/* ---- Finding ---- */

static int compare_messages(const void *a, const void *b)
{
	return strcmp(((const struct message_entry *)a)->descriptor.name,
		      ((const struct message_entry *)b)->descriptor.name);
}

static int compare_enums(const void *a, const void *b)
{
	return strcmp(((const struct enum_entry *)a)->descriptor.name, ((const struct enum_entry *)b)->descriptor.name);
}

static int compare_methods(const void *a, const void *b)
{
	return strcmp(((const struct fts_method *)a)->full_name, ((const struct fts_method *)b)->full_name);
}

static struct message_entry *find_message(const struct fts_schema *schema, const char *name)
{
	struct message_entry key = {.descriptor = {.name = name}};

	return schema->message_count
		   ? bsearch(&key, schema->messages, schema->message_count, sizeof key, compare_messages)
		   : NULL;
}

const ProtobufCMessageDescriptor *fts_schema_message(const struct fts_schema *schema, const char *name)
{
	const struct message_entry *entry = find_message(schema, name);

	return entry ? &entry->descriptor : NULL;
}

const ProtobufCEnumDescriptor *fts_schema_enum(const struct fts_schema *schema, const char *name)
{
	struct enum_entry key = {.descriptor = {.name = name}};
	const struct enum_entry *entry =
	    schema->enum_count ? bsearch(&key, schema->enums, schema->enum_count, sizeof key, compare_enums) : NULL;

	return entry ? &entry->descriptor : NULL;
}

const ProtobufCMessageDescriptor *fts_schema_topic(const struct fts_schema *schema, const char *topic)
{
	for (size_t i = 0; *topic && i < schema->message_count; i++)
		if (strcmp(schema->messages[i].topic, topic) == 0) return &schema->messages[i].descriptor;
	return NULL;
}

const struct fts_method *fts_schema_method(const struct fts_schema *schema, const char *full_name)
{
	struct fts_method key = {.full_name = full_name};

	return schema->method_count ? bsearch(&key, schema->methods, schema->method_count, sizeof key, compare_methods)
				    : NULL;
}

/* ---- Pass 1: memory and names ---- */

static enum fts_status check_counts(struct fts_schema *schema, const Fts__Rpc__V1__DescribeResponse *description)
{
	size_t fields = 0, values = 0, methods = 0;

	if (description->n_messages > FTS_SCHEMA_TYPE_MAX || description->n_enums > FTS_SCHEMA_TYPE_MAX)
		return REFUSE(schema, "more than %d types", FTS_SCHEMA_TYPE_MAX);
	for (size_t i = 0; i < description->n_messages; i++) {
		fields += description->messages[i]->n_fields;
		if (description->messages[i]->n_fields > FTS_SCHEMA_FIELD_MAX)
			return REFUSE(schema, "a message of more than %d fields", FTS_SCHEMA_FIELD_MAX);
	}
	for (size_t i = 0; i < description->n_enums; i++)
		values += description->enums[i]->n_values;
	for (size_t i = 0; i < description->n_services; i++)
		methods += description->services[i]->n_methods;
	if (fields > FTS_SCHEMA_FIELDS_MAX || values > FTS_SCHEMA_FIELDS_MAX || methods > FTS_SCHEMA_METHOD_MAX)
		return REFUSE(schema, "too many fields, values or methods");
	return FTS_OK;
}

static enum fts_status name_messages(struct fts_schema *schema, const Fts__Rpc__V1__DescribeResponse *description)
{
	schema->messages = take(schema, description->n_messages, sizeof *schema->messages);
	if (!schema->messages) return no_memory(schema);
	for (size_t i = 0; i < description->n_messages; i++) {
		const Fts__Rpc__V1__MessageSchema *source = description->messages[i];
		struct message_entry *entry = &schema->messages[i];
		if (!is_name(source->name, ".")) return REFUSE(schema, "a message without a proper name");
		if (source->topic && *source->topic && !is_name(source->topic, ".-"))
			return REFUSE(schema, "%s: a topic that is not a name", source->name);
		entry->source = source;
		entry->descriptor.name = copy_text(schema, source->name);
		entry->topic = copy_text(schema, source->topic ? source->topic : "");
		if (!entry->descriptor.name || !entry->topic) return no_memory(schema);
	}
	schema->message_count = description->n_messages;
	if (schema->message_count)
		qsort(schema->messages, schema->message_count, sizeof *schema->messages, compare_messages);
	for (size_t i = 1; i < schema->message_count; i++)
		if (compare_messages(&schema->messages[i - 1], &schema->messages[i]) == 0)
			return REFUSE(schema, "%s is described twice", schema->messages[i].descriptor.name);
	return FTS_OK;
}

static enum fts_status name_enums(struct fts_schema *schema, const Fts__Rpc__V1__DescribeResponse *description)
{
	schema->enums = take(schema, description->n_enums, sizeof *schema->enums);
	if (!schema->enums) return no_memory(schema);
	for (size_t i = 0; i < description->n_enums; i++) {
		const Fts__Rpc__V1__EnumSchema *source = description->enums[i];
		if (!is_name(source->name, ".")) return REFUSE(schema, "an enum without a proper name");
		schema->enums[i].source = source;
		schema->enums[i].descriptor.name = copy_text(schema, source->name);
		if (!schema->enums[i].descriptor.name) return no_memory(schema);
	}
	schema->enum_count = description->n_enums;
	if (schema->enum_count) qsort(schema->enums, schema->enum_count, sizeof *schema->enums, compare_enums);
	for (size_t i = 1; i < schema->enum_count; i++)
		if (compare_enums(&schema->enums[i - 1], &schema->enums[i]) == 0)
			return REFUSE(schema, "%s is described twice", schema->enums[i].descriptor.name);
	return FTS_OK;
}

/* The runs of consecutive numbers that protobuf-c searches: ranges[run].orig_index is the place of its first. */
static unsigned make_ranges(const int *numbers, unsigned count, ProtobufCIntRange *ranges)
{
	unsigned run_count = 0;

	for (unsigned i = 0; i < count; i++)
		if (i == 0 || numbers[i - 1] == INT32_MAX || numbers[i] != numbers[i - 1] + 1)
			ranges[run_count++] = (ProtobufCIntRange){.start_value = numbers[i], .orig_index = i};
	ranges[run_count] = (ProtobufCIntRange){.start_value = 0, .orig_index = count};
	return run_count;
}

/* ---- Pass 2: enums ---- */

static int compare_values(const void *a, const void *b)
{
	int32_t left = ((const ProtobufCEnumValue *)a)->value, right = ((const ProtobufCEnumValue *)b)->value;

	return (left > right) - (left < right);
}

static int compare_value_names(const void *a, const void *b)
{
	return strcmp(((const ProtobufCEnumValueIndex *)a)->name, ((const ProtobufCEnumValueIndex *)b)->name);
}

/* Sorted by number; of several names for a number one stays in values, all of them in names. */
static unsigned distinct_values(ProtobufCEnumValue *values, ProtobufCEnumValueIndex *names, size_t count)
{
	unsigned kept = 0;

	qsort(values, count, sizeof *values, compare_values);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || values[kept - 1].value != values[i].value) values[kept++] = values[i];
		names[i].name = values[i].name;
		names[i].index = kept - 1;
	}
	return kept;
}

static enum fts_status index_enum(struct fts_schema *schema, ProtobufCEnumDescriptor *type, ProtobufCEnumValue *values,
				  size_t count)
{
	ProtobufCEnumValueIndex *names = take(schema, count, sizeof *names);
	ProtobufCIntRange *ranges = take(schema, count + 1, sizeof *ranges);
	int *numbers = take(schema, count, sizeof *numbers);

	if (!names || !ranges || !numbers) return no_memory(schema);
	type->n_values = distinct_values(values, names, count);
	qsort(names, count, sizeof *names, compare_value_names);
	for (size_t i = 1; i < count; i++)
		if (strcmp(names[i - 1].name, names[i].name) == 0)
			return REFUSE(schema, "%s.%s is described twice", type->name, names[i].name);
	for (unsigned i = 0; i < type->n_values; i++)
		numbers[i] = values[i].value;
	type->values = values;
	type->n_value_names = (unsigned)count;
	type->values_by_name = names;
	type->n_value_ranges = make_ranges(numbers, type->n_values, ranges);
	type->value_ranges = ranges;
	return FTS_OK;
}

static enum fts_status build_enum(struct fts_schema *schema, struct enum_entry *entry)
{
	ProtobufCEnumDescriptor *type = &entry->descriptor;
	size_t count = entry->source->n_values;

	type->magic = PROTOBUF_C__ENUM_DESCRIPTOR_MAGIC;
	type->short_name = short_name(type->name);
	type->c_name = type->name;
	type->package_name = "";
	if (count == 0) return REFUSE(schema, "%s has no values", type->name);
	ProtobufCEnumValue *values = take(schema, count, sizeof *values);
	if (!values) return no_memory(schema);
	for (size_t i = 0; i < count; i++) {
		if (!is_name(entry->source->values[i]->name, ""))
			return REFUSE(schema, "%s has a value without a proper name", type->name);
		values[i].name = values[i].c_name = copy_text(schema, entry->source->values[i]->name);
		values[i].value = entry->source->values[i]->number;
		if (!values[i].name) return no_memory(schema);
	}
	return index_enum(schema, type, values, count);
}

/* ---- Pass 3: messages ---- */

/* A message while its fields are laid out. */
struct layout {
	struct fts_schema *schema;
	const char *name;
	size_t size_bytes;
	unsigned *oneofs; /* offset of each oneof's case; 0: not placed yet. Its value follows it. */
	size_t oneof_count;
};

static unsigned place(struct layout *layout, size_t size_bytes)
{
	size_t offset = layout->size_bytes;

	layout->size_bytes += (size_bytes + SLOT_BYTES - 1) / SLOT_BYTES * SLOT_BYTES;
	return (unsigned)offset;
}

static bool is_packable(ProtobufCType type)
{
	return type != PROTOBUF_C_TYPE_STRING && type != PROTOBUF_C_TYPE_BYTES && type != PROTOBUF_C_TYPE_MESSAGE;
}

static void place_field(struct layout *layout, ProtobufCFieldDescriptor *field, uint32_t oneof)
{
	if (oneof) {
		unsigned *at = &layout->oneofs[oneof - 1];
		if (!*at) *at = place(layout, SLOT_BYTES + ONEOF_VALUE_BYTES);
		field->quantifier_offset = *at;
		field->offset = *at + SLOT_BYTES;
		return;
	}
	field->quantifier_offset = place(layout, SLOT_BYTES);
	bool bytes = field->type == PROTOBUF_C_TYPE_BYTES && field->label != PROTOBUF_C_LABEL_REPEATED;
	field->offset = place(layout, bytes ? sizeof(ProtobufCBinaryData) : SLOT_BYTES);
}

static enum fts_status check_field(const struct layout *layout, const Fts__Rpc__V1__FieldSchema *source)
{
	struct fts_schema *schema = layout->schema;

	if (!is_name(source->name, "")) return REFUSE(schema, "%s has a field without a proper name", layout->name);
	if (source->number < 1 || source->number > 536870911)
		return REFUSE(schema, "%s.%s: number %u", layout->name, source->name, source->number);
	if (source->type > PROTOBUF_C_TYPE_MESSAGE || source->label > PROTOBUF_C_LABEL_NONE)
		return REFUSE(schema, "%s.%s: unknown type or label", layout->name, source->name);
	if (source->oneof > layout->oneof_count)
		return REFUSE(schema, "%s.%s: no such oneof", layout->name, source->name);
	bool single = source->label == PROTOBUF_C_LABEL_NONE || source->label == PROTOBUF_C_LABEL_OPTIONAL;
	if (source->oneof && !single)
		return REFUSE(schema, "%s.%s: repeated or required in a oneof", layout->name, source->name);
	return FTS_OK;
}

static enum fts_status resolve_field(const struct layout *layout, ProtobufCFieldDescriptor *field,
				     const Fts__Rpc__V1__FieldSchema *source)
{
	const char *name = source->type_name ? source->type_name : "";
	bool typed = field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_ENUM;

	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		field->descriptor = fts_schema_message(layout->schema, name);
	else if (field->type == PROTOBUF_C_TYPE_ENUM)
		field->descriptor = fts_schema_enum(layout->schema, name);
	if (typed && !field->descriptor)
		return REFUSE(layout->schema, "%s.%s: its type is not described", layout->name, source->name);
	return FTS_OK;
}

static enum fts_status build_field(struct layout *layout, ProtobufCFieldDescriptor *field,
				   const Fts__Rpc__V1__FieldSchema *source)
{
	enum fts_status status = check_field(layout, source);

	if (status != FTS_OK) return status;
	field->name = copy_text(layout->schema, source->name);
	if (!field->name) return no_memory(layout->schema);
	field->id = source->number;
	field->label = (ProtobufCLabel)source->label;
	field->type = (ProtobufCType)source->type;
	bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
	if (repeated && is_packable(field->type)) field->flags = source->flags & PROTOBUF_C_FIELD_FLAG_PACKED;
	if (source->oneof)
		field->flags |= PROTOBUF_C_FIELD_FLAG_ONEOF;
	else if (field->label == PROTOBUF_C_LABEL_NONE && field->type == PROTOBUF_C_TYPE_STRING)
		field->default_value = protobuf_c_empty_string;
	place_field(layout, field, source->oneof);
	return resolve_field(layout, field, source);
}

static int compare_fields(const void *a, const void *b)
{
	uint32_t left = ((const ProtobufCFieldDescriptor *)a)->id, right = ((const ProtobufCFieldDescriptor *)b)->id;

	return (left > right) - (left < right);
}

static int compare_field_names(const void *a, const void *b, void *fields)
{
	const ProtobufCFieldDescriptor *all = fields;

	return strcmp(all[*(const unsigned *)a].name, all[*(const unsigned *)b].name);
}

static enum fts_status index_message(struct fts_schema *schema, ProtobufCMessageDescriptor *type,
				     ProtobufCFieldDescriptor *fields)
{
	unsigned count = type->n_fields;
	unsigned *by_name = take(schema, count, sizeof *by_name);
	ProtobufCIntRange *ranges = take(schema, (size_t)count + 1, sizeof *ranges);
	int *numbers = take(schema, count, sizeof *numbers);

	if (!by_name || !ranges || !numbers) return no_memory(schema);
	qsort(fields, count, sizeof *fields, compare_fields);
	for (unsigned i = 0; i < count; i++) {
		by_name[i] = i;
		numbers[i] = (int)fields[i].id;
		if (i && fields[i].id == fields[i - 1].id)
			return REFUSE(schema, "%s has two fields of number %u", type->name, fields[i].id);
	}
	qsort_r(by_name, count, sizeof *by_name, compare_field_names, fields);
	for (unsigned i = 1; i < count; i++)
		if (strcmp(fields[by_name[i - 1]].name, fields[by_name[i]].name) == 0)
			return REFUSE(schema, "%s.%s is described twice", type->name, fields[by_name[i]].name);
	type->fields = fields;
	type->fields_sorted_by_name = by_name;
	type->n_field_ranges = make_ranges(numbers, count, ranges);
	type->field_ranges = ranges;
	return FTS_OK;
}

static enum fts_status build_message(struct fts_schema *schema, struct message_entry *entry)
{
	ProtobufCMessageDescriptor *type = &entry->descriptor;
	const Fts__Rpc__V1__MessageSchema *source = entry->source;
	struct layout layout = {.schema = schema,
				.name = type->name,
				.size_bytes = sizeof(ProtobufCMessage),
				.oneof_count = source->n_oneofs};

	type->magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC;
	type->short_name = short_name(type->name);
	type->c_name = type->name;
	type->package_name = "";
	type->n_fields = (unsigned)source->n_fields;
	if (source->n_oneofs > source->n_fields) return REFUSE(schema, "%s has more oneofs than fields", type->name);
	ProtobufCFieldDescriptor *fields = take(schema, source->n_fields, sizeof *fields);
	layout.oneofs = take(schema, source->n_oneofs, sizeof *layout.oneofs);
	if (!fields || !layout.oneofs) return no_memory(schema);
	for (size_t i = 0; i < source->n_fields; i++) {
		enum fts_status status = build_field(&layout, &fields[i], source->fields[i]);
		if (status != FTS_OK) return status;
	}
	type->sizeof_message = layout.size_bytes;
	return type->n_fields ? index_message(schema, type, fields) : FTS_OK;
}

/* ---- Pass 4: nothing contains itself ---- */

static enum fts_status visit(struct fts_schema *schema, struct message_entry *entry, unsigned level)
{
	if (entry->mark == DONE) return FTS_OK;
	if (entry->mark == VISITING) return REFUSE(schema, "%s contains itself", entry->descriptor.name);
	if (level > FTS_SCHEMA_DEPTH_MAX) return REFUSE(schema, "%s is nested too deeply", entry->descriptor.name);
	entry->mark = VISITING;
	entry->depth = 1;
	for (unsigned i = 0; i < entry->descriptor.n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &entry->descriptor.fields[i];
		if (field->type != PROTOBUF_C_TYPE_MESSAGE) continue;
		const ProtobufCMessageDescriptor *inner_type = field->descriptor;
		struct message_entry *inner = find_message(schema, inner_type->name);
		enum fts_status status = visit(schema, inner, level + 1);
		if (status != FTS_OK) return status;
		if (inner->depth + 1 > entry->depth) entry->depth = inner->depth + 1;
	}
	entry->mark = DONE;
	if (entry->depth > FTS_SCHEMA_DEPTH_MAX)
		return REFUSE(schema, "%s is nested too deeply", entry->descriptor.name);
	return FTS_OK;
}

/* ---- Pass 5: services ---- */

static enum fts_status build_method(struct fts_schema *schema, const Fts__Rpc__V1__ServiceSchema *service,
				    const Fts__Rpc__V1__MethodSchema *source, struct fts_method *method)
{
	if (!is_name(source->name, "")) return REFUSE(schema, "%s has a method without a proper name", service->name);
	size_t size_bytes = strlen(service->name) + 1 + strlen(source->name) + 1;
	char *full_name = take(schema, size_bytes, 1);
	const char *role = copy_text(schema, is_name(source->role, ".-:") ? source->role : "");
	if (!full_name || !role) return no_memory(schema);
	(void)snprintf(full_name, size_bytes, "%s/%s", service->name, source->name);
	*method = (struct fts_method){
	    .name = full_name + strlen(service->name) + 1,
	    .full_name = full_name,
	    .id = source->id,
	    .request = fts_schema_message(schema, source->request ? source->request : ""),
	    .response = fts_schema_message(schema, source->response ? source->response : ""),
	    .timeout_ms = source->timeout_ms,
	    .longest_run_ms = source->longest_run_ms,
	    .route = source->route <= FTS_ROUTE_ANY ? (enum fts_route)source->route : FTS_ROUTE_LEADER,
	    .mutates = source->mutates,
	    .role = role,
	    .doc = "",
	};
	if (!method->request || !method->response)
		return REFUSE(schema, "%s: its request or response is not described", full_name);
	return FTS_OK;
}

static enum fts_status build_methods(struct fts_schema *schema, const Fts__Rpc__V1__DescribeResponse *description)
{
	size_t count = 0;

	for (size_t i = 0; i < description->n_services; i++)
		count += description->services[i]->n_methods;
	schema->methods = take(schema, count, sizeof *schema->methods);
	if (!schema->methods) return no_memory(schema);
	for (size_t i = 0; i < description->n_services; i++) {
		const Fts__Rpc__V1__ServiceSchema *service = description->services[i];
		if (!is_name(service->name, ".")) return REFUSE(schema, "a service without a proper name");
		for (size_t j = 0; j < service->n_methods; j++) {
			struct fts_method *method = &schema->methods[schema->method_count];
			enum fts_status status = build_method(schema, service, service->methods[j], method);
			if (status != FTS_OK) return status;
			schema->method_count++;
		}
	}
	if (count) qsort(schema->methods, count, sizeof *schema->methods, compare_methods);
	for (size_t i = 1; i < count; i++)
		if (compare_methods(&schema->methods[i - 1], &schema->methods[i]) == 0)
			return REFUSE(schema, "%s is described twice", schema->methods[i].full_name);
	return FTS_OK;
}

static enum fts_status build_all(struct fts_schema *schema, const Fts__Rpc__V1__DescribeResponse *description)
{
	enum fts_status status;

	if ((status = check_counts(schema, description)) != FTS_OK ||
	    (status = name_messages(schema, description)) != FTS_OK ||
	    (status = name_enums(schema, description)) != FTS_OK)
		return status;
	for (size_t i = 0; i < schema->enum_count; i++)
		if ((status = build_enum(schema, &schema->enums[i])) != FTS_OK) return status;
	for (size_t i = 0; i < schema->message_count; i++)
		if ((status = build_message(schema, &schema->messages[i])) != FTS_OK) return status;
	for (size_t i = 0; i < schema->message_count; i++)
		if ((status = visit(schema, &schema->messages[i], 1)) != FTS_OK) return status;
	return build_methods(schema, description);
}

enum fts_status fts_schema_build(const Fts__Rpc__V1__DescribeResponse *description, struct fts_schema **out_schema,
				 struct fts_error *out_error)
{
	struct fts_schema *schema = calloc(1, sizeof *schema);

	if (!schema) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "schema: no memory");
	schema->error = out_error;
	enum fts_status status = build_all(schema, description);
	schema->error = NULL;
	if (status == FTS_OK)
		*out_schema = schema;
	else
		fts_schema_destroy(schema);
	return status;
}

void fts_schema_destroy(struct fts_schema *schema)
{
	if (!schema) return;
	for (struct block *block = schema->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(schema);
}
