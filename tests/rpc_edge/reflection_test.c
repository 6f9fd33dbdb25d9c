/* Why this file exists: what a server tells of itself is enough to call it: every step here knows names only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fts/health/v1/health.fts.h>
#include <fts/lottery/v1/lottery.fts.h>
#include <fts/rpc/v1/reflection.fts.h>

#include "rpc/json.h"
#include "rpc/schema.h"

struct fixture {
	struct fts_server *server;
	struct fts_channel *channel;
};

static void ping(struct fts_call *call, const Fts__Health__V1__PingRequest *request, void *ctx)
{
	Fts__Health__V1__PingResponse response = FTS__HEALTH__V1__PING_RESPONSE__INIT;

	(void)ctx;
	response.payload = request->payload;
	fts_health_ping_reply(call, &response);
}

static void refuse_raw(struct fts_call *call, const struct fts_method *method, struct fts_bytes payload, void *ctx)
{
	(void)ctx;
	fts_call_fail(call, FTS_FAILED_PRECONDITION, "%s of %zu bytes: no draw here", method->name, payload.size_bytes);
}

static int set_up(void **state)
{
	static const struct fts_health_handlers handlers = {.ping = ping};
	struct fixture *fixture = calloc(1, sizeof *fixture);
	struct fts_server_options options = {.listen = "127.0.0.1:0", .node = "n1"};
	char endpoint[32];

	if (fts_server_create(&options, &fixture->server, NULL) != FTS_OK || fts_lottery_service.method_count == 0 ||
	    fts_server_add_raw(fixture->server, &fts_lottery_service, refuse_raw, NULL, NULL) != FTS_OK ||
	    fts_health_register(fixture->server, &handlers, NULL, NULL) != FTS_OK ||
	    fts_server_start(fixture->server, NULL) != FTS_OK)
		return -1;
	(void)snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", (unsigned)fts_server_port(fixture->server));
	*state = fixture;
	return fts_channel_open(&(struct fts_channel_options){.endpoints = endpoint}, &fixture->channel, NULL) == FTS_OK
		   ? 0
		   : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	fts_channel_close(fixture->channel);
	fts_server_destroy(fixture->server);
	free(fixture);
	return 0;
}

static void lists_what_it_offers(void **state)
{
	struct fixture *fixture = *state;
	Fts__Rpc__V1__ListServicesRequest request = FTS__RPC__V1__LIST_SERVICES_REQUEST__INIT;
	Fts__Rpc__V1__ListServicesResponse *response = NULL;

	assert_int_equal(fts_reflection_list_services(fixture->channel, &request, NULL, &response, NULL), FTS_OK);
	assert_int_equal(response->n_services, 3);
	assert_string_equal(response->services[0], "fts.health.v1.Health");
	assert_string_equal(response->services[1], "fts.lottery.v1.Lottery");
	assert_string_equal(response->services[2], "fts.rpc.v1.Reflection");
	fts__rpc__v1__list_services_response__free_unpacked(response, NULL);
}

static Fts__Rpc__V1__DescribeResponse *describe(struct fixture *fixture, const char *name, enum fts_status expected)
{
	Fts__Rpc__V1__DescribeRequest request = FTS__RPC__V1__DESCRIBE_REQUEST__INIT;
	Fts__Rpc__V1__DescribeResponse *response = NULL;
	struct fts_error error = {.detail = ""};

	request.name = (char *)(uintptr_t)name;
	enum fts_status status = fts_reflection_describe(fixture->channel, &request, NULL, &response, &error);
	if (status != expected) fail_msg("%s: %d %s", name, (int)status, error.detail);
	return response;
}

struct described {
	const char *name;
	size_t services, methods, messages, enums;
	const char *first_message;
};

static void describes_by_name(void **state)
{
	static const struct described cases[] = {
	    {"fts.health.v1.Health", 1, 4, 12, 2, "fts.health.v1.PingRequest"},
	    {"fts.health.v1.Health/Ping", 1, 1, 2, 0, "fts.health.v1.PingRequest"},
	    {"fts.health.v1.Report", 0, 0, 4, 2, "fts.health.v1.Report"},
	    {"fts.health.v1.State", 0, 0, 0, 1, NULL},
	    {"lottery.draw", 0, 0, 1, 1, "fts.lottery.v1.DrawEvent"},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Fts__Rpc__V1__DescribeResponse *response = describe(fixture, cases[i].name, FTS_OK);
		struct fts_schema *schema = NULL;
		assert_int_equal(response->n_services, cases[i].services);
		if (cases[i].services) assert_int_equal(response->services[0]->n_methods, cases[i].methods);
		if (response->n_messages != cases[i].messages || response->n_enums != cases[i].enums)
			fail_msg("%s: %zu messages, %zu enums", cases[i].name, response->n_messages, response->n_enums);
		if (cases[i].first_message) assert_string_equal(response->messages[0]->name, cases[i].first_message);
		assert_int_equal(fts_schema_build(response, &schema, NULL), FTS_OK);
		fts_schema_destroy(schema);
		fts__rpc__v1__describe_response__free_unpacked(response, NULL);
	}
	assert_null(describe(fixture, "fts.nowhere.v1.Nothing", FTS_NOT_FOUND));
}

/* Everything at once, docs, options and topics included. */
static void describes_all(void **state)
{
	struct fixture *fixture = *state;
	Fts__Rpc__V1__DescribeResponse *response = describe(fixture, "", FTS_OK);
	struct fts_schema *schema = NULL;
	struct fts_error error = {.detail = ""};
	char *text = NULL;

	if (fts_schema_build(response, &schema, &error) != FTS_OK) fail_msg("%s", error.detail);
	const struct fts_method *method = fts_schema_method(schema, "fts.lottery.v1.Lottery/StoreBet");
	assert_non_null(method);
	assert_int_equal(method->id, fts_lottery_store_bet_method->id);
	assert_true(method->mutates);
	assert_string_equal(method->role, "agency");
	assert_non_null(fts_schema_topic(schema, "lottery.draw"));
	assert_int_equal(fts_schema_print(response, &text, NULL), FTS_OK);
	assert_non_null(strstr(text, "// Stores one bet."));
	assert_non_null(strstr(text, "string document = 3;  // 1 to 20 digits"));
	free(text);
	fts_schema_destroy(schema);
	fts__rpc__v1__describe_response__free_unpacked(response, NULL);
}

/* JSON in, JSON out, by names alone. */
static void calls_by_name(void **state)
{
	struct fixture *fixture = *state;
	Fts__Rpc__V1__DescribeResponse *response = describe(fixture, "fts.health.v1.Health", FTS_OK);
	struct fts_schema *schema = NULL;
	ProtobufCMessage *request = NULL;
	struct json_t *answer = NULL;
	static const char json[] = "{\"payload\":\"aGVsbG8=\"}";
	uint8_t packed[64], *out = NULL;
	size_t out_bytes = 0;

	assert_int_equal(fts_schema_build(response, &schema, NULL), FTS_OK);
	const struct fts_method *method = fts_schema_method(schema, "fts.health.v1.Health/Ping");
	assert_int_equal(fts_json_decode((struct fts_bytes){(const uint8_t *)json, strlen(json)}, method->request, NULL,
					 &request, NULL),
			 FTS_OK);
	size_t packed_bytes = protobuf_c_message_pack(request, packed);
	assert_int_equal(fts_channel_call_bytes(fixture->channel, method, (struct fts_bytes){packed, packed_bytes},
						NULL, &out, &out_bytes, NULL),
			 FTS_OK);
	assert_int_equal(
	    fts_json_value_of_bytes(method->response, (struct fts_bytes){out, out_bytes}, NULL, &answer, NULL), FTS_OK);
	assert_string_equal(json_string_value(json_object_get(answer, "payload")), "aGVsbG8=");
	json_decref(answer);
	free(out);
	protobuf_c_message_free_unpacked(request, NULL);
	fts_schema_destroy(schema);
	fts__rpc__v1__describe_response__free_unpacked(response, NULL);
}

static const Fts__Rpc__V1__MethodStatistics *find(const Fts__Rpc__V1__StatisticsResponse *response, const char *name)
{
	for (size_t i = 0; i < response->n_methods; i++)
		if (strcmp(response->methods[i]->method, name) == 0) return response->methods[i];
	fail_msg("no statistics of %s", name);
	return NULL;
}

static void counts(void **state)
{
	struct fixture *fixture = *state;
	Fts__Health__V1__PingRequest request = FTS__HEALTH__V1__PING_REQUEST__INIT;
	Fts__Rpc__V1__StatisticsRequest ask = FTS__RPC__V1__STATISTICS_REQUEST__INIT;
	Fts__Rpc__V1__StatisticsResponse *response = NULL;

	for (int i = 0; i < 10; i++) {
		Fts__Health__V1__PingResponse *pong = NULL;
		assert_int_equal(fts_health_ping(fixture->channel, &request, NULL, &pong, NULL), FTS_OK);
		fts__health__v1__ping_response__free_unpacked(pong, NULL);
	}
	ask.reset = 1;
	assert_int_equal(fts_reflection_statistics(fixture->channel, &ask, NULL, &response, NULL), FTS_OK);
	const Fts__Rpc__V1__MethodStatistics *pings = find(response, "fts.health.v1.Health/Ping");
	assert_int_equal(pings->calls, 10);
	assert_int_equal(pings->errors, 0);
	uint64_t sum = 0;
	for (size_t i = 0; i < pings->n_latency_log2_us; i++)
		sum += pings->latency_log2_us[i];
	assert_int_equal(sum, 10);
	assert_true(response->inbound_bytes > 0 && response->outbound_bytes > 0);
	assert_int_equal(response->connections, 1);
	fts__rpc__v1__statistics_response__free_unpacked(response, NULL);
	ask.reset = 0;
	assert_int_equal(fts_reflection_statistics(fixture->channel, &ask, NULL, &response, NULL), FTS_OK);
	assert_int_equal(find(response, "fts.health.v1.Health/Ping")->calls, 0);
	fts__rpc__v1__statistics_response__free_unpacked(response, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(lists_what_it_offers), CASE(describes_by_name), CASE(describes_all), CASE(calls_by_name), CASE(counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
