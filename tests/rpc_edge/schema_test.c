/* Why this file exists: descriptors built from a description are what protoc-c would have made (the JSON tests run on
 * both), and a description that is wrong in any one way is refused with the way named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge.pb-c.h"
#include "tests/rpc_edge/describe.h"

#define TYPE_MESSAGE PROTOBUF_C_TYPE_MESSAGE
#define NONE PROTOBUF_C_LABEL_NONE
#define REPEATED PROTOBUF_C_LABEL_REPEATED

/* A description small enough to be written out: message A {field first; field second}, message B {field third},
 * enum E {value one; value two}, service S {method M: A -> B}. Cases change one thing. */
struct small {
	Fts__Rpc__V1__DescribeResponse response;
	Fts__Rpc__V1__FieldSchema fields[3];
	Fts__Rpc__V1__FieldSchema *of_a[2], *of_b[1];
	Fts__Rpc__V1__MessageSchema a, b;
	Fts__Rpc__V1__MessageSchema *messages[2];
	Fts__Rpc__V1__EnumValueSchema values[2];
	Fts__Rpc__V1__EnumValueSchema *value_list[2];
	Fts__Rpc__V1__EnumSchema e;
	Fts__Rpc__V1__EnumSchema *enums[1];
	Fts__Rpc__V1__MethodSchema m;
	Fts__Rpc__V1__MethodSchema *methods[1];
	Fts__Rpc__V1__ServiceSchema s;
	Fts__Rpc__V1__ServiceSchema *services[1];
	char *oneofs[1];
};

static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

static void fill_field(Fts__Rpc__V1__FieldSchema *field, const char *name, uint32_t number, uint32_t type)
{
	fts__rpc__v1__field_schema__init(field);
	field->name = text(name);
	field->number = number;
	field->type = type;
	field->label = NONE;
}

static void fill_messages(struct small *small)
{
	fill_field(&small->fields[0], "first", 1, PROTOBUF_C_TYPE_STRING);
	fill_field(&small->fields[1], "second", 2, TYPE_MESSAGE);
	fill_field(&small->fields[2], "third", 1, PROTOBUF_C_TYPE_ENUM);
	small->fields[1].type_name = text("t.B");
	small->fields[2].type_name = text("t.E");
	small->of_a[0] = &small->fields[0];
	small->of_a[1] = &small->fields[1];
	small->of_b[0] = &small->fields[2];
	fts__rpc__v1__message_schema__init(&small->a);
	small->a.name = text("t.A");
	small->a.topic = text("t.happened");
	small->a.fields = small->of_a;
	small->a.n_fields = 2;
	small->oneofs[0] = text("choice");
	small->a.oneofs = small->oneofs;
	small->a.n_oneofs = 1;
	fts__rpc__v1__message_schema__init(&small->b);
	small->b.name = text("t.B");
	small->b.fields = small->of_b;
	small->b.n_fields = 1;
	small->messages[0] = &small->a;
	small->messages[1] = &small->b;
}

static void fill(struct small *small)
{
	fill_messages(small);
	for (int i = 0; i < 2; i++) {
		fts__rpc__v1__enum_value_schema__init(&small->values[i]);
		small->values[i].name = text(i ? "TWO" : "ONE");
		small->values[i].number = i;
		small->value_list[i] = &small->values[i];
	}
	fts__rpc__v1__enum_schema__init(&small->e);
	small->e.name = text("t.E");
	small->e.values = small->value_list;
	small->e.n_values = 2;
	small->enums[0] = &small->e;
	fts__rpc__v1__method_schema__init(&small->m);
	small->m.name = text("M");
	small->m.request = text("t.A");
	small->m.response = text("t.B");
	small->methods[0] = &small->m;
	fts__rpc__v1__service_schema__init(&small->s);
	small->s.name = text("t.S");
	small->s.methods = small->methods;
	small->s.n_methods = 1;
	small->services[0] = &small->s;
	fts__rpc__v1__describe_response__init(&small->response);
	small->response.messages = small->messages;
	small->response.n_messages = 2;
	small->response.enums = small->enums;
	small->response.n_enums = 1;
	small->response.services = small->services;
	small->response.n_services = 1;
}

static void a_right_one(void **state)
{
	(void)state;
	struct small small;
	struct fts_schema *schema = NULL;
	struct fts_error error = {.detail = ""};

	fill(&small);
	small.values[1].number = 0; /* another name of the same number */
	if (fts_schema_build(&small.response, &schema, &error) != FTS_OK) fail_msg("%s", error.detail);
	const ProtobufCMessageDescriptor *a = fts_schema_message(schema, "t.A");
	assert_non_null(a);
	assert_string_equal(a->short_name, "A");
	assert_int_equal(a->n_fields, 2);
	assert_ptr_equal(a->fields[1].descriptor, fts_schema_message(schema, "t.B"));
	assert_ptr_equal(protobuf_c_message_descriptor_get_field_by_name(a, "second"), &a->fields[1]);
	assert_ptr_equal(protobuf_c_message_descriptor_get_field(a, 1), &a->fields[0]);
	assert_null(protobuf_c_message_descriptor_get_field(a, 3));
	const ProtobufCEnumDescriptor *e = fts_schema_enum(schema, "t.E");
	assert_int_equal(e->n_values, 1);
	assert_int_equal(protobuf_c_enum_descriptor_get_value_by_name(e, "ONE")->value, 0);
	assert_int_equal(protobuf_c_enum_descriptor_get_value_by_name(e, "TWO")->value, 0);
	const struct fts_method *method = fts_schema_method(schema, "t.S/M");
	assert_ptr_equal(method->request, a);
	assert_string_equal(method->name, "M");
	assert_ptr_equal(fts_schema_topic(schema, "t.happened"), a);
	assert_null(fts_schema_topic(schema, ""));
	assert_null(fts_schema_message(schema, "t.C"));
	assert_null(fts_schema_method(schema, "t.S/N"));
	fts_schema_destroy(schema);
}

/* ---- One thing wrong ---- */

static void itself(struct small *s)
{
	s->fields[1].type_name = text("t.A");
}
static void each_other(struct small *s)
{
	s->fields[2].type = TYPE_MESSAGE;
	s->fields[2].type_name = text("t.A");
}
static void no_such_type(struct small *s)
{
	s->fields[1].type_name = text("t.Nowhere");
}
static void no_such_enum(struct small *s)
{
	s->fields[2].type_name = NULL;
}
static void type_too_high(struct small *s)
{
	s->fields[0].type = TYPE_MESSAGE + 1;
}
static void label_too_high(struct small *s)
{
	s->fields[0].label = NONE + 1;
}
static void number_0(struct small *s)
{
	s->fields[0].number = 0;
}
static void number_too_high(struct small *s)
{
	s->fields[0].number = 536870912;
}
static void number_twice(struct small *s)
{
	s->fields[1].number = 1;
}
static void name_twice(struct small *s)
{
	s->fields[1].name = text("first");
}
static void escape_in_name(struct small *s)
{
	s->fields[0].name = text("a\x1b[2J");
}
static void empty_name(struct small *s)
{
	s->a.name = text("");
}
static void message_twice(struct small *s)
{
	s->b.name = text("t.A");
}
static void bad_topic(struct small *s)
{
	s->a.topic = text("a b");
}
static void oneof_too_high(struct small *s)
{
	s->fields[0].oneof = 2;
}
static void repeated_oneof(struct small *s)
{
	s->fields[0].oneof = 1;
	s->fields[0].label = REPEATED;
}
static void empty_enum(struct small *s)
{
	s->e.n_values = 0;
}
static void value_twice(struct small *s)
{
	s->values[1].name = text("ONE");
}
static void no_request(struct small *s)
{
	s->m.request = text("t.C");
}
static void bad_method(struct small *s)
{
	s->m.name = text("a/b");
}
static void bad_service(struct small *s)
{
	s->s.name = NULL;
}

struct wrong {
	const char *name;
	void (*change)(struct small *small);
	const char *detail;
};

static const struct wrong wrongs[] = {
    {"itself", itself, "t.A contains itself"},
    {"each other", each_other, "contains itself"},
    {"no such type", no_such_type, "t.A.second: its type is not described"},
    {"no such enum", no_such_enum, "t.B.third: its type is not described"},
    {"type too high", type_too_high, "t.A.first: unknown type or label"},
    {"label too high", label_too_high, "t.A.first: unknown type or label"},
    {"number 0", number_0, "t.A.first: number 0"},
    {"number too high", number_too_high, "t.A.first: number 536870912"},
    {"number twice", number_twice, "t.A has two fields of number 1"},
    {"name twice", name_twice, "t.A.first is described twice"},
    {"escape in a name", escape_in_name, "t.A has a field without a proper name"},
    {"empty name", empty_name, "a message without a proper name"},
    {"message twice", message_twice, "t.A is described twice"},
    {"bad topic", bad_topic, "t.A: a topic that is not a name"},
    {"oneof too high", oneof_too_high, "t.A.first: no such oneof"},
    {"repeated oneof", repeated_oneof, "t.A.first: repeated or required in a oneof"},
    {"empty enum", empty_enum, "t.E has no values"},
    {"value twice", value_twice, "t.E.ONE is described twice"},
    {"no request", no_request, "t.S/M: its request or response is not described"},
    {"bad method", bad_method, "t.S has a method without a proper name"},
    {"bad service", bad_service, "a service without a proper name"},
};

static void one_thing_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		struct small small;
		struct fts_schema *schema = NULL;
		struct fts_error error = {.detail = ""};
		fill(&small);
		wrongs[i].change(&small);
		enum fts_status status = fts_schema_build(&small.response, &schema, &error);
		if (status != FTS_INVALID_ARGUMENT || schema || !strstr(error.detail, wrongs[i].detail))
			fail_msg("%s: %d '%s'", wrongs[i].name, (int)status, error.detail);
	}
}

/* A chain of messages, each within the one before: as long as allowed, and one more. */
static enum fts_status build_chain(size_t count)
{
	Fts__Rpc__V1__MessageSchema *messages = calloc(count, sizeof *messages);
	Fts__Rpc__V1__FieldSchema *fields = calloc(count, sizeof *fields);
	Fts__Rpc__V1__MessageSchema **list = calloc(count, sizeof *list);
	Fts__Rpc__V1__FieldSchema **field_list = calloc(count, sizeof *field_list);
	char(*names)[32] = calloc(count, sizeof *names);
	Fts__Rpc__V1__DescribeResponse response = FTS__RPC__V1__DESCRIBE_RESPONSE__INIT;
	struct fts_schema *schema = NULL;

	for (size_t i = 0; i < count; i++) {
		fts__rpc__v1__message_schema__init(&messages[i]);
		fill_field(&fields[i], "inner", 1, TYPE_MESSAGE);
		fields[i].type_name = i + 1 < count ? names[i + 1] : NULL;
		field_list[i] = &fields[i];
		messages[i].name = names[i];
		messages[i].fields = &field_list[i];
		messages[i].n_fields = i + 1 < count;
		list[i] = &messages[i];
	}
	for (size_t i = 0; i < count; i++)
		(void)snprintf(names[i], sizeof names[i], "t.M%zu", i);
	response.messages = list;
	response.n_messages = count;
	enum fts_status status = fts_schema_build(&response, &schema, NULL);
	fts_schema_destroy(schema);
	free(messages);
	free(fields);
	free(list);
	free(field_list);
	free(names);
	return status;
}

static void bounds(void **state)
{
	(void)state;
	assert_int_equal(build_chain(FTS_SCHEMA_DEPTH_MAX), FTS_OK);
	assert_int_equal(build_chain(FTS_SCHEMA_DEPTH_MAX + 1), FTS_INVALID_ARGUMENT);
	assert_int_equal(build_chain(FTS_SCHEMA_TYPE_MAX + 1), FTS_INVALID_ARGUMENT);
}

/* ---- Printing ---- */

static void printed(void **state)
{
	(void)state;
	static const char *const parts[] = {
	    "// Two lines\n// of words.\nservice edge.v1.Edge {\n  // Gives back what it got.\n",
	    "\n  rpc Echo(edge.v1.All) returns (edge.v1.All) {\n    option (fts.rpc.v1.mutates) = true;\n",
	    "    option (fts.rpc.v1.role) = \"operator\";\n",
	    "message edge.v1.All {\n  int32 an_int32 = 1;\n",
	    "  repeated edge.v1.Leaf leaves = 21;\n",
	    "  oneof choice1 {\n    string choice_text = 26;\n",
	    "enum edge.v1.Colour {\n  BLUE = -7;\n  COLOUR_UNKNOWN = 0;\n",
	};
	struct edge_description description;
	char *out = NULL;

	edge_describe(&edge__v1__all__descriptor, &description);
	assert_int_equal(fts_schema_print(&description.response, &out, NULL), FTS_OK);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (!strstr(out, parts[i])) fail_msg("missing:\n%s\nin:\n%s", parts[i], out);
	free(out);
	edge_describe_free(&description);
}

static void no_terminal_obeys_a_stranger(void **state)
{
	(void)state;
	struct small small;
	char *out = NULL;

	fill(&small);
	small.a.doc = text("clear \x1b[2J screen\nand \x07 ring");
	small.fields[0].doc = text("a\rb");
	small.fields[0].name = text("\x1b]0;title\x07");
	small.s.name = NULL;
	assert_int_equal(fts_schema_print(&small.response, &out, NULL), FTS_OK);
	for (const char *at = out; *at; at++)
		assert_true(*at == '\n' || ((unsigned char)*at >= ' ' && *at != 127));
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_right_one),
	    cmocka_unit_test(one_thing_wrong),
	    cmocka_unit_test(bounds),
	    cmocka_unit_test(printed),
	    cmocka_unit_test(no_terminal_obeys_a_stranger),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
