/* Why this file exists: the JSON mapping in both directions, and that each refusal names the path and what was
 * expected. Every case runs on the generated descriptors and on the ones rebuilt from a description, which must not
 * differ; every decode is repeated with the n-th allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge.pb-c.h"
#include "rpc/json.h"
#include "tests/rpc_edge/describe.h"

struct suite {
	struct edge_description description;
	struct fts_schema *schema;
	const ProtobufCMessageDescriptor *types[2]; /* generated, rebuilt */
};

/* text behind at, with its 0; returns its length. */
static size_t put(char *at, const char *text)
{
	size_t length = strlen(text);

	memcpy(at, text, length + 1);
	return length;
}

static struct fts_bytes bytes_of(const char *text)
{
	return (struct fts_bytes){(const uint8_t *)text, strlen(text)};
}

/* ---- What is read and written again ---- */

struct round_trip {
	const char *name, *in, *out;
};

static const struct round_trip round_trips[] = {
    {"empty", "{}", "{}"},
    {"int32", "{\"anInt32\":-2147483648,\"aSint32\":2147483647,\"aSfixed32\":-1}",
     "{\"anInt32\":-2147483648,\"aSint32\":2147483647,\"aSfixed32\":-1}"},
    {"proto names", "{\"an_int32\":1,\"by_number\":{}}", "{\"anInt32\":1}"},
    {"numbers as strings", "{\"anInt32\":\"-5\",\"aUint32\":\"4294967295\"}",
     "{\"anInt32\":-5,\"aUint32\":4294967295}"},
    {"numbers with exponents", "{\"anInt32\":1e3,\"aUint32\":2.0,\"anInt64\":\"1e2\"}",
     "{\"anInt32\":1000,\"anInt64\":\"100\",\"aUint32\":2}"},
    {"64 bits are strings",
     "{\"anInt64\":-9223372036854775808,\"aSint64\":9223372036854775807,\"aSfixed64\":\"-9223372036854775808\","
     "\"aUint64\":\"18446744073709551615\",\"aFixed64\":7}",
     "{\"anInt64\":\"-9223372036854775808\",\"aSint64\":\"9223372036854775807\","
     "\"aSfixed64\":\"-9223372036854775808\",\"aUint64\":\"18446744073709551615\",\"aFixed64\":\"7\"}"},
    {"reals", "{\"aFloat\":0.5,\"aDouble\":-1e300}", "{\"aFloat\":0.5,\"aDouble\":-1.0000000000000001e300}"},
    {"not numbers", "{\"aFloat\":\"NaN\",\"doubles\":[\"Infinity\",\"-Infinity\",\"0.25\",3]}",
     "{\"aFloat\":\"NaN\",\"doubles\":[\"Infinity\",\"-Infinity\",0.25,3.0]}"},
    {"bool", "{\"aBool\":true}", "{\"aBool\":true}"},
    {"enum", "{\"colour\":\"BLUE\",\"colours\":[\"RED\",-7,99]}",
     "{\"colour\":\"BLUE\",\"colours\":[\"RED\",\"BLUE\",99]}"},
    {"text", "{\"text\":\"\\u00e9\\ud83d\\ude00\\n\\\"\"}", "{\"text\":\"\xc3\xa9\xf0\x9f\x98\x80\\n\\\"\"}"},
    {"base64", "{\"data\":\"+/8=\",\"datas\":[\"-_8\",\"\",\"AAECAw==\"]}",
     "{\"data\":\"+/8=\",\"datas\":[\"+/8=\",\"\",\"AAECAw==\"]}"},
    {"messages", "{\"leaf\":{},\"leaves\":[{\"text\":\"a\"},{}]}", "{\"leaf\":{},\"leaves\":[{\"text\":\"a\"},{}]}"},
    {"null is absent", "{\"leaf\":null,\"text\":null,\"numbers\":null,\"choiceText\":null,\"choiceNumber\":0}",
     "{\"choiceNumber\":0}"},
    {"lists", "{\"numbers\":[1,2,3],\"texts\":[]}", "{\"numbers\":[1,2,3]}"},
    {"maps",
     "{\"counts\":{\"a\":1,\"\":\"2\"},\"byNumber\":{\"4294967295\":{\"text\":\"x\"}},\"byBool\":{\"true\":\"y\","
     "\"false\":\"\"}}",
     "{\"counts\":{\"a\":\"1\",\"\":\"2\"},\"byNumber\":{\"4294967295\":{\"text\":\"x\"}},\"byBool\":{\"true\":\"y\","
     "\"false\":\"\"}}"},
    {"oneof default", "{\"choiceText\":\"\"}", "{\"choiceText\":\"\"}"},
    {"oneof message", "{\"choiceLeaf\":{\"colour\":1}}", "{\"choiceLeaf\":{\"colour\":\"RED\"}}"},
    {"oneof bytes", "{\"choiceData\":\"AA==\"}", "{\"choiceData\":\"AA==\"}"},
};

static void check_round_trip(const struct round_trip *item, const ProtobufCMessageDescriptor *type)
{
	struct fts_error error = {0};
	ProtobufCMessage *message = NULL;
	char *text = NULL;
	enum fts_status status = fts_json_decode(bytes_of(item->in), type, NULL, &message, &error);

	if (status != FTS_OK) fail_msg("%s: %s", item->name, error.detail);
	/* Through the wire and back, so that what was built is what protobuf-c thinks it is. */
	size_t size_bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(size_bytes + 1);
	assert_int_equal(protobuf_c_message_pack(message, packed), size_bytes);
	protobuf_c_message_free_unpacked(message, NULL);
	message = protobuf_c_message_unpack(type, NULL, size_bytes, packed);
	assert_non_null(message);
	free(packed);
	assert_int_equal(fts_json_encode(message, NULL, &text, NULL, &error), FTS_OK);
	if (strcmp(text, item->out) != 0) fail_msg("%s: expected %s, got %s", item->name, item->out, text);
	free(text);
	protobuf_c_message_free_unpacked(message, NULL);
}

static void reads_and_writes(void **state)
{
	struct suite *suite = *state;

	for (size_t i = 0; i < sizeof round_trips / sizeof *round_trips; i++)
		for (size_t t = 0; t < 2; t++)
			check_round_trip(&round_trips[i], suite->types[t]);
}

/* ---- What is refused ---- */

struct refusal {
	const char *name, *in, *detail; /* detail: a part of the message */
};

static const struct refusal refusals[] = {
    {"unknown field", "{\"leaves\":[{},{\"birthdate\":1}]}", "leaves[1].birthdate: edge.v1.Leaf has no such field"},
    {"not an object", "[1]", "(message): expected an object, got a list"},
    {"a wrong type", "{\"leaves\":[{\"text\":12}]}", "leaves[0].text: expected a string, got a number"},
    {"list for a single", "{\"text\":[\"a\"]}", "text: expected a string, got a list"},
    {"single for a list", "{\"numbers\":1}", "numbers: expected a list, got a number"},
    {"null in a list", "{\"numbers\":[1,null]}",
     "numbers[1]: expected a whole number from -2147483648 to 2147483647, got null"},
    {"too large", "{\"anInt32\":2147483648}", "an_int32: expected a whole number from -2147483648 to 2147483647"},
    {"negative", "{\"aUint64\":-1}", "a_uint64: expected a whole number from 0 to 18446744073709551615"},
    {"a fraction", "{\"aUint32\":1.5}", "a_uint32: expected a whole number"},
    {"too large as a string", "{\"aUint64\":\"18446744073709551616\"}", "got \"18446744073709551616\""},
    {"empty string for a number", "{\"anInt32\":\"\"}", "an_int32: expected a whole number"},
    {"space in a number", "{\"anInt32\":\" 1\"}", "an_int32: expected a whole number"},
    {"integer past 63 bits", "{\"aUint64\":18446744073709551615}", "written as strings"},
    {"float overflow", "{\"aFloat\":1e39}", "a_float: is too large for a float"},
    {"not a real", "{\"aDouble\":\"0x10\"}", "a_double: expected a number"},
    {"bool as a number", "{\"aBool\":1}", "a_bool: expected true or false, got a number"},
    {"unknown enum name", "{\"colour\":\"GREEN\"}", "colour: expected one of BLUE, COLOUR_UNKNOWN, RED, got \"GREEN\""},
    {"not base64", "{\"data\":\"a*==\"}", "data: expected base64"},
    {"base64 cut", "{\"data\":\"AAAAA\"}", "data: expected base64"},
    {"bytes as a number", "{\"data\":1}", "data: expected base64 in a string"},
    {"two of a oneof", "{\"choiceText\":\"a\",\"choiceNumber\":1}",
     "choice_number: excludes choice_text, which is given too"},
    {"same key twice", "{\"text\":\"a\",\"text\":\"b\"}", "duplicate object key"},
    {"both names of a field", "{\"anInt32\":1,\"an_int32\":2}", "an_int32: is given twice"},
    {"bad UTF-8", "{\"text\":\"\xff\"}", "not JSON: line 1"},
    {"NUL in text", "{\"text\":\"\\u0000\"}", "not JSON"},
    {"map key", "{\"byNumber\":{\"x\":{}}}", "by_number.x: expected a whole number from 0 to 4294967295"},
    {"map bool key", "{\"byBool\":{\"1\":\"\"}}", "by_bool.1: expected true or false as key"},
    {"map value", "{\"counts\":{\"a\":\"b\"}}", "counts.a: expected a whole number"},
    {"null in a map", "{\"counts\":{\"a\":null}}", "counts.a: expected"},
    {"a list for a map", "{\"counts\":[]}", "counts: expected an object (a map), got a list"},
    {"trailing", "{} x", "not JSON: line 1"},
    {"empty", "", "not JSON: line 1"},
};

static void refuses_by_path(void **state)
{
	struct suite *suite = *state;

	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
		for (size_t t = 0; t < 2; t++) {
			struct fts_error error = {0};
			ProtobufCMessage *message = NULL;
			enum fts_status status =
			    fts_json_decode(bytes_of(refusals[i].in), suite->types[t], NULL, &message, &error);
			if (status != FTS_INVALID_ARGUMENT || message || !strstr(error.detail, refusals[i].detail))
				fail_msg("%s: %d '%s'", refusals[i].name, (int)status, error.detail);
		}
}

static void refuses_depth_and_size(void **state)
{
	struct suite *suite = *state;
	struct fts_error error = {0};
	ProtobufCMessage *message = NULL;
	size_t size_bytes = FTS_JSON_TEXT_MAX_BYTES + 1;
	char *text = malloc(size_bytes);

	memset(text, ' ', size_bytes);
	assert_int_equal(
	    fts_json_decode((struct fts_bytes){(uint8_t *)text, size_bytes}, suite->types[0], NULL, &message, &error),
	    FTS_RESOURCE_EXHAUSTED);
	memset(text, '[', 100000);
	assert_int_equal(
	    fts_json_decode((struct fts_bytes){(uint8_t *)text, 100000}, suite->types[0], NULL, &message, &error),
	    FTS_INVALID_ARGUMENT);
	/* Each {} of two bytes asks for a whole message: the cap on memory stops it. */
	size_t used_bytes = (size_t)snprintf(text, size_bytes, "{\"leaves\":[{}");
	while (used_bytes + 8 < size_bytes) {
		memcpy(text + used_bytes, ",{}", 3);
		used_bytes += 3;
	}
	memcpy(text + used_bytes, "]}", 2);
	assert_int_equal(fts_json_decode((struct fts_bytes){(uint8_t *)text, used_bytes + 2}, suite->types[0], NULL,
					 &message, &error),
			 FTS_RESOURCE_EXHAUSTED);
	free(text);
}

/* ---- The n-th allocation fails ---- */

struct failing {
	size_t left_count;
	size_t held_count;
	bool fired;
};

static void *failing_alloc(void *ctx, size_t size_bytes)
{
	struct failing *failing = ctx;

	if (failing->left_count == 0) {
		failing->fired = true;
		return NULL;
	}
	failing->left_count--;
	failing->held_count++;
	return malloc(size_bytes + 1);
}

static void failing_free(void *ctx, void *memory)
{
	struct failing *failing = ctx;

	failing->held_count -= memory != NULL;
	free(memory);
}

static void survives_each_failed_allocation(void **state)
{
	struct suite *suite = *state;

	for (size_t i = 0; i < sizeof round_trips / sizeof *round_trips; i++)
		for (size_t n = 0, fired = 1; fired; n++) {
			struct failing failing = {.left_count = n};
			ProtobufCAllocator allocator = {failing_alloc, failing_free, &failing};
			ProtobufCMessage *message = NULL;
			enum fts_status status = fts_json_decode(bytes_of(round_trips[i].in), suite->types[i % 2],
								 &allocator, &message, NULL);
			fired = failing.fired;
			assert_int_equal(status, fired ? FTS_RESOURCE_EXHAUSTED : FTS_OK);
			protobuf_c_message_free_unpacked(message, &allocator);
			assert_int_equal(failing.held_count, 0);
		}
}

/* What jansson makes of a text is bounded too, also when none of it has a place in the message: a million empty objects
 * are two megabytes of text and a quarter of a gigabyte of tree. What stands in a string is no tree. */
static void refuses_a_tree_out_of_bounds(void **state)
{
	enum { COUNT = 1000000, ROOM = 4 * COUNT + 64 };
	struct suite *suite = *state;
	struct fts_error error = {0};
	ProtobufCMessage *message = NULL;
	char *text = malloc(ROOM), *at = text;

	assert_non_null(text);
	at += put(at, "{\"unknown\":[{}");
	for (size_t i = 1; i < COUNT; i++)
		at += put(at, ",{}");
	(void)put(at, "]}");
	assert_int_equal(fts_json_decode(bytes_of(text), suite->types[0], NULL, &message, &error),
			 FTS_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(error.detail, "more values"));
	at = text + put(text, "{\"text\":\"\\\"");
	memset(at, '{', 2 * COUNT);
	(void)put(at + 2 * COUNT, "\"}");
	assert_int_equal(fts_json_decode(bytes_of(text), suite->types[0], NULL, &message, &error), FTS_OK);
	protobuf_c_message_free_unpacked(message, NULL);
	free(text);
}

/* ---- Options ---- */

static void prints_defaults_and_proto_names(void **state)
{
	(void)state;
	Edge__V1__Leaf leaf = EDGE__V1__LEAF__INIT;
	Edge__V1__All all = EDGE__V1__ALL__INIT;
	char *text = NULL;
	size_t size_bytes = 0;

	assert_int_equal(
	    fts_json_encode(&leaf.base, &(struct fts_json_options){.print_defaults = true}, &text, &size_bytes, NULL),
	    FTS_OK);
	assert_string_equal(text, "{\"text\":\"\",\"colour\":\"COLOUR_UNKNOWN\"}");
	assert_int_equal(size_bytes, strlen(text));
	free(text);
	all.an_int32 = 1;
	assert_int_equal(fts_json_encode(&all.base, &(struct fts_json_options){.proto_names = true, .pretty = true},
					 &text, NULL, NULL),
			 FTS_OK);
	assert_string_equal(text, "{\n  \"an_int32\": 1\n}");
	free(text);
	assert_int_equal(
	    fts_json_encode(&all.base, &(struct fts_json_options){.print_defaults = true}, &text, NULL, NULL), FTS_OK);
	assert_non_null(strstr(text, "\"numbers\":[]"));
	assert_non_null(strstr(text, "\"counts\":{}"));
	assert_non_null(strstr(text, "\"aUint64\":\"0\""));
	assert_null(strstr(text, "leaf\""));
	assert_null(strstr(text, "choice"));
	free(text);
}

static void refuses_to_print_what_is_not_utf8(void **state)
{
	(void)state;
	Edge__V1__Leaf leaf = EDGE__V1__LEAF__INIT;
	Edge__V1__Leaf *leaves[] = {&leaf};
	Edge__V1__All all = EDGE__V1__ALL__INIT;
	struct fts_error error = {0};
	char bad[] = "\xff", *text = NULL;

	leaf.text = bad;
	all.leaves = leaves;
	all.n_leaves = 1;
	assert_int_equal(fts_json_encode(&all.base, NULL, &text, NULL, &error), FTS_INVALID_ARGUMENT);
	assert_string_equal(error.detail, "leaves[0].text: holds bytes that are not UTF-8");
	assert_null(text);
}

static int set_up(void **state)
{
	struct suite *suite = calloc(1, sizeof *suite);
	struct fts_error error = {0};

	edge_describe(&edge__v1__all__descriptor, &suite->description);
	if (fts_schema_build(&suite->description.response, &suite->schema, &error) != FTS_OK) {
		(void)fprintf(stderr, "%s\n", error.detail);
		return -1;
	}
	suite->types[0] = &edge__v1__all__descriptor;
	suite->types[1] = fts_schema_message(suite->schema, "edge.v1.All");
	*state = suite;
	return suite->types[1] ? 0 : -1;
}

static int tear_down(void **state)
{
	struct suite *suite = *state;

	fts_schema_destroy(suite->schema);
	edge_describe_free(&suite->description);
	free(suite);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_and_writes),
	    cmocka_unit_test(refuses_by_path),
	    cmocka_unit_test(refuses_depth_and_size),
	    cmocka_unit_test(refuses_a_tree_out_of_bounds),
	    cmocka_unit_test(survives_each_failed_allocation),
	    cmocka_unit_test(prints_defaults_and_proto_names),
	    cmocka_unit_test(refuses_to_print_what_is_not_utf8),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
