/* Why this file exists: the HTTP door as others find it: the Connect protocol word by word, over real nodes, and what
 * must not come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include <fts/lottery/v1/lottery.pb-c.h>

#include "tests/harness/clock.h"
#include "tests/harness/cluster.h"
#include "tests/http/client.h"

#define NODES 3
#define SETTLE_MS 30000
#define JSON "Content-Type: application/json\r\n"

static struct harness_cluster cluster;
static char addresses[NODES][32];

static uint16_t door(size_t member)
{
	return (uint16_t)(cluster.members[member].port + 5);
}

static int start(void **state)
{
	(void)state;
	harness_cluster_init(&cluster, NODES);
	for (size_t i = 0; i < NODES; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "127.0.0.1:%u", door(i));
		cluster.members[i].flags[0] = "--http";
		cluster.members[i].flags[1] = addresses[i];
	}
	harness_cluster_start(&cluster);
	harness_cluster_wait_voters(&cluster, NODES, SETTLE_MS);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_cluster_fini(&cluster);
	return 0;
}

static void expect(const struct http_answer *answer, unsigned status, const char *text)
{
	if (answer->status != status || strstr(answer->body, text) == NULL)
		fail_msg("expected %u and %s, got:\n%s%s", status, text, answer->head, answer->body);
}

static void expect_call(size_t member, const char *method, const char *json, unsigned status, const char *text)
{
	struct http_answer answer;
	http_call(door(member), method, json, &answer);
	expect(&answer, status, text);
	http_answer_free(&answer);
}

static void expect_ask(const char *method, const char *path, const char *headers, const char *body, unsigned status,
		       const char *text)
{
	struct http_answer answer;
	http_ask(door(0), method, path, headers, body, body == NULL ? 0 : strlen(body), &answer);
	expect(&answer, status, text);
	http_answer_free(&answer);
}

/* ---- Calls ---- */

static void any_door_serves_any_call(void **state)
{
	char draw[64], request[128];
	(void)state;
	for (size_t i = 0; i < NODES; i++) { /* two of them lead the call on */
		snprintf(request, sizeof(request),
			 "{\"draw\":\"door%zu\",\"agencies\":1,\"fixed\":true,\"number\":7574}", i);
		snprintf(draw, sizeof(draw), "{\"draw\":\"door%zu\"}", i);
		expect_call(i, "fts.lottery.v1.Lottery/Open", request, 200, "\"state\":\"OPEN\"");
		expect_call((i + 1) % NODES, "fts.lottery.v1.Lottery/Status", draw, 200, "\"agencies\":[");
	}
	expect_call(0, "fts.kv.v1.Kv/Set", "{\"key\":\"YQ==\",\"value\":\"Yg==\"}", 200, "\"version\"");
	expect_call(1, "fts.kv.v1.Kv/Get", "{\"key\":\"YQ==\"}", 200, "\"value\":\"Yg==\"");
	expect_call(2, "fts.rpc.v1.Reflection/ListServices", "", 200, "fts.lottery.v1.Lottery");
}

static void messages_may_be_binary(void **state)
{
	uint8_t packed[128];
	struct http_answer answer;
	char name[] = "door0";
	(void)state;
	Fts__Lottery__V1__StatusRequest request = FTS__LOTTERY__V1__STATUS_REQUEST__INIT;
	request.draw = name;
	size_t size = fts__lottery__v1__status_request__pack(&request, packed);
	http_ask(door(1), "POST", "/fts.lottery.v1.Lottery/Status",
		 "Content-Type: application/proto\r\nConnect-Protocol-Version: 1\r\nConnect-Timeout-Ms: 5000\r\n",
		 packed, size, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(http_header(&answer, "Content-Type"), "application/proto");
	Fts__Lottery__V1__StatusResponse *status =
	    fts__lottery__v1__status_response__unpack(NULL, answer.body_bytes, (const uint8_t *)answer.body);
	assert_non_null(status);
	assert_string_equal(status->draw, "door0");
	fts__lottery__v1__status_response__free_unpacked(status, NULL);
	http_answer_free(&answer);
	http_ask(door(1), "POST", "/fts.lottery.v1.Lottery/Status", "Content-Type: application/proto\r\n",
		 "\xff\xff\xff", 3, &answer);
	expect(&answer, 400, "\"code\":\"invalid_argument\"");
	http_answer_free(&answer);
}

static void reads_may_be_asked_by_get(void **state)
{
	(void)state;
	expect_ask("GET",
		   "/fts.lottery.v1.Lottery/Status?connect=v1&encoding=json&message=%7B%22draw%22%3A%22door0%22%7D", "",
		   NULL, 200, "\"draw\":\"door0\"");
	expect_ask("GET", "/fts.lottery.v1.Lottery/Status?encoding=json&base64=1&message=eyJkcmF3IjoiZG9vcjAifQ", "",
		   NULL, 200, "\"draw\":\"door0\"");
	expect_ask("GET", "/fts.lottery.v1.Lottery/Status?encoding=json&base64=1&message=%21", "", NULL, 400, "base64");
	expect_ask("GET", "/fts.lottery.v1.Lottery/Status?encoding=json", "", NULL, 400, "message=");
	expect_ask("GET", "/fts.lottery.v1.Lottery/Status?message=%7B%7D", "", NULL, 400, "encoding=");
	expect_ask("GET", "/fts.lottery.v1.Lottery/Open?encoding=json&message=%7B%7D", "", NULL, 405, "POST");
}

static void errors_are_the_protocols(void **state)
{
	struct http_answer answer;
	(void)state;
	expect_call(0, "fts.lottery.v1.Lottery/Status", "{\"draw\":\"none\"}", 404, "\"code\":\"not_found\"");
	expect_call(0, "fts.lottery.v1.Lottery/Status", "{\"drow\":\"none\"}", 400, "drow");
	expect_call(0, "fts.lottery.v1.Lottery/Status", "{", 400, "\"code\":\"invalid_argument\"");
	expect_call(0, "fts.lottery.v1.Lottery/Open", "{\"draw\":\"door0\",\"agencies\":9}", 409,
		    "\"code\":\"already_exists\"");
	expect_call(0, "fts.lottery.v1.Lottery/Nothing", "{}", 404, "\"code\":\"unimplemented\"");
	expect_call(0, "fts.lottery.v1.LotteryLog/Expire", "{}", 404, "\"code\":\"unimplemented\""); /* nodes' own */
	expect_ask("POST", "/fts.lottery.v1.Lottery/Status", "Content-Type: text/plain\r\n", "{}", 415,
		   "application/json");
	expect_ask("POST", "/fts.lottery.v1.Lottery/Status", JSON "Connect-Timeout-Ms: soon\r\n", "{}", 400,
		   "Connect-Timeout-Ms");
	expect_ask("POST", "/fts.lottery.v1.Lottery/Status", JSON "Connect-Protocol-Version: 2\r\n", "{}", 400,
		   "Connect-Protocol-Version");
	expect_ask("POST", "/fts.lottery.v1.Lottery/Status", JSON "Content-Encoding: gzip\r\n", "{}", 501, "identity");
	expect_ask("POST", "/fts.lottery.v1.Lottery/Winners", JSON "Connect-Timeout-Ms: 200\r\n",
		   "{\"draw\":\"door0\",\"agency\":1}", 504, "\"code\":\"deadline_exceeded\"");
	expect_ask("POST", "/fts.lottery.v1.Lottery/Status", JSON "Authorization: Basic eDp5\r\n", "{}", 401,
		   "\"code\":\"unauthenticated\"");
	http_call(door(0), "fts.lottery.v1.Lottery/Winners", "{\"draw\":\"door0\",\"agency\":1,\"noWait\":true}",
		  &answer);
	expect(&answer, 400, "\"code\":\"failed_precondition\"");
	assert_true(http_header(&answer, "Fts-Executed")[0] != '\0');
	http_answer_free(&answer);
}

static void one_connection_serves_many_calls(void **state)
{
	static const char request[] = "POST /fts.health.v1.Health/Ping HTTP/1.1\r\nHost: localhost\r\n" JSON
				      "Content-Length: 18\r\n\r\n{\"payload\":\"YQ==\"}";
	struct http_answer answer;
	(void)state;
	int fd = http_open(door(0));
	for (int i = 0; i < 20; i++) {
		http_send(fd, request, sizeof(request) - 1);
		http_read(fd, &answer);
		expect(&answer, 200, "YQ==");
		http_answer_free(&answer);
	}
	close(fd);
}

/* ---- Pages of the web ---- */

static void only_known_pages_may_call(void **state)
{
	struct http_answer answer;
	(void)state;
	http_ask(door(0), "OPTIONS", "/fts.lottery.v1.Lottery/Status",
		 "Origin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n", NULL, 0, &answer);
	assert_int_equal(answer.status, 204);
	assert_string_equal(http_header(&answer, "Access-Control-Allow-Origin"), "http://localhost:3000");
	assert_non_null(strstr(http_header(&answer, "Access-Control-Allow-Headers"), "Connect-Timeout-Ms"));
	http_answer_free(&answer);
	expect_ask("POST", "/fts.lottery.v1.Lottery/Status", JSON "Origin: https://evil.example\r\n",
		   "{\"draw\":\"door0\"}", 403, "evil.example");
	expect_ask("POST", "/fts.lottery.v1.Lottery/Status", JSON "Host: evil.example:7500\r\n", "{\"draw\":\"door0\"}",
		   403, "Host");
	expect_ask("POST", "/fts.lottery.v1.Lottery/Status",
		   JSON "Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1.evil.example\r\n", "{}", 403, "Origin");
	expect_ask("GET", "/", "", NULL, 200, "<title>fts</title>");
	expect_ask("GET", "/page.js", "", NULL, 200, "follow(");
	expect_ask("GET", "/../door.c", "", NULL, 404, "not served");
}

/* ---- What is too much ---- */

static void too_much_is_refused(void **state)
{
	char *many = malloc(9 * 1024 * 1024);
	struct http_answer answer;
	(void)state;
	expect_ask("POST", "/fts.kv.v1.Kv/Set", JSON "Content-Length: 1073741824\r\n", "{", 429,
		   "\"code\":\"resource_exhausted\"");
	assert_non_null(many);
	memset(many, ' ', 9 * 1024 * 1024);
	int fd = http_open(door(0));
	static const char chunked[] = "POST /fts.kv.v1.Kv/Set HTTP/1.1\r\nHost: localhost\r\n" JSON
				      "Transfer-Encoding: chunked\r\n\r\n900000\r\n";
	http_send(fd, chunked, sizeof(chunked) - 1);
	http_send(fd, many, 9 * 1024 * 1024);
	http_send(fd, "\r\n0\r\n\r\n", 7);
	http_read(fd, &answer);
	expect(&answer, 429, "\"code\":\"resource_exhausted\"");
	http_answer_free(&answer);
	close(fd);
	memset(many, 'a', 65536);
	many[65536] = '\0';
	char *line = malloc(70000);
	assert_non_null(line);
	snprintf(line, 70000, "GET /%s HTTP/1.1\r\n", many);
	fd = http_open(door(0));
	http_send(fd, line, strlen(line));
	http_read_head(fd, &answer);
	assert_true(answer.status >= 400 && answer.status < 500);
	close(fd);
	free(line);
	free(many);
}

/* A GET's message stands in its query; what comes behind it as a body does not become part of it. */
static void a_get_has_no_body(void **state)
{
	static const char request[] =
	    "GET /fts.lottery.v1.Lottery/Status?connect=v1&encoding=json&message=%7B HTTP/1.1\r\n"
	    "Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "f\r\n\"draw\":\"door0\"}\r\n0\r\n\r\n";
	struct http_answer answer;
	(void)state;
	int fd = http_open(door(0));
	http_send(fd, request, sizeof(request) - 1);
	http_read(fd, &answer);
	expect(&answer, 429, "\"code\":\"resource_exhausted\"");
	http_answer_free(&answer);
	close(fd);
}

/* Many who open and say nothing, half of something, or nonsense: the door goes on serving. */
static void strangers_change_nothing(void **state)
{
	enum { STRANGERS = 300 };
	static int fds[STRANGERS];
	static const char half[] = "POST /fts.kv.v1.Kv/Set HTTP/1.1\r\nHost: localhost\r\n"
				   "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
	static const char *const lines[] = {"",
					    "GET / HT",
					    half,
					    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
					    "GET / HTTP/9.9\r\n\r\n",
					    "\r\n\r\n\r\n"};
	(void)state;
	for (int i = 0; i < STRANGERS; i++) {
		const char *line = lines[(size_t)i % (sizeof(lines) / sizeof(lines[0]))];
		fds[i] = http_open(door(0));
		http_send(fds[i], line, strlen(line));
	}
	for (int i = 0; i < 50; i++)
		expect_call(0, "fts.health.v1.Health/Ping", "{}", 200, "{}");
	for (int i = 0; i < STRANGERS; i++)
		close(fds[i]);
	struct harness_wait wait = harness_wait_ms(SETTLE_MS);
	for (bool gone = false; !gone;) {
		struct http_answer answer;
		http_ask(door(0), "GET", "/metrics", "", NULL, 0, &answer);
		const char *at = strstr(answer.body, "\nfts_http_connections ");
		assert_non_null(at);
		gone = strtoul(at + strlen("\nfts_http_connections "), NULL, 10) < 5;
		http_answer_free(&answer);
		if (!gone && !harness_wait_more(&wait)) fail_msg("the connections are still counted");
	}
}

/* ---- Machines ---- */

static void machines_read_metrics(void **state)
{
	struct http_answer answer;
	char directory[HARNESS_PATH_MAX], file[HARNESS_PATH_MAX + 16], command[HARNESS_PATH_MAX + 64];
	char *out = NULL, *err = NULL;
	(void)state;
	expect_ask("GET", "/livez", "", NULL, 200, "live");
	expect_ask("GET", "/readyz", "", NULL, 200, "ready");
	http_ask(door(0), "GET", "/metrics", "", NULL, 0, &answer);
	static const char *const wanted[] = {
	    "fts_calls_total{method=\"fts.lottery.v1.Lottery/Status\",code=\"NOT_FOUND\"} ",
	    "fts_call_seconds_bucket{",
	    "\nfts_raft_term ",
	    "\nfts_raft_applied_index ",
	    "\nfts_disk_free_bytes ",
	    "\nfts_queue ",
	    "\nfts_kv_hints ",
	    "\nfts_elections ",
	    "\nfts_draws{state=\"open\"} 3\n",
	    "fts_member_alive{member=\"n2\",role=\""};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		expect(&answer, 200, wanted[i]);
	if (access("/usr/bin/promtool", X_OK) == 0) {
		harness_directory_make(directory);
		snprintf(file, sizeof(file), "%s/metrics", directory);
		harness_file_write(file, answer.body);
		snprintf(command, sizeof(command), "promtool check metrics < %s", file);
		int code = harness_run((const char *const[]){"/bin/sh", "-c", command, NULL}, SETTLE_MS, &out, &err);
		if (code != 0) fail_msg("promtool: %s%s", out, err);
		free(out);
		free(err);
	} else {
		print_message("promtool is not there (Debian's prometheus): the metrics were not checked by it\n");
	}
	http_answer_free(&answer);
}

/* ---- Events ---- */

static int subscribe(size_t member, const char *json, struct http_answer *out_head)
{
	char request[512];
	size_t size = strlen(json);
	uint8_t prefix[5] = {0, 0, 0, (uint8_t)(size >> 8), (uint8_t)size};
	int fd = http_open(door(member));
	int head = snprintf(request, sizeof(request),
			    "POST /fts.http.v1.Events/Subscribe HTTP/1.1\r\nHost: localhost\r\n"
			    "Content-Type: application/connect+json\r\nContent-Length: %zu\r\n\r\n",
			    size + sizeof(prefix));
	http_send(fd, request, (size_t)head);
	http_send(fd, prefix, sizeof(prefix));
	http_send(fd, json, size);
	http_read_head(fd, out_head);
	return fd;
}

/* Read until text comes, which it does in one piece. */
static void await_event(int fd, const char *text)
{
	char gathered[65536] = "";
	size_t used = 0, size;
	for (;;) {
		char *chunk = http_read_chunk(fd, &size);
		assert_non_null(chunk);
		for (size_t i = 0; i < size && used + 1 < sizeof(gathered); i++)
			if (chunk[i] != '\0') gathered[used++] = chunk[i];
		gathered[used] = '\0';
		free(chunk);
		if (strstr(gathered, text) != NULL) return;
	}
}

static void events_are_a_stream(void **state)
{
	struct http_answer head;
	(void)state;
	int fd = subscribe(1, "{\"fromIndex\":\"1\",\"topic\":\"lottery.\",\"json\":true}", &head);
	assert_int_equal(head.status, 200);
	assert_string_equal(http_header(&head, "Content-Type"), "application/connect+json");
	await_event(fd, "door2");
	await_event(fd, "\"notice\":\"up\"");
	expect_call(0, "fts.lottery.v1.Lottery/AgencyClose", "{\"draw\":\"door0\",\"agency\":1}", 200, "");
	await_event(fd, "7574");
	close(fd);
	expect_ask("POST", "/fts.http.v1.Events/Subscribe", JSON, "{}", 415, "application/connect+json");
	/* A stream's refusal is a stream of one envelope, its end. */
	http_ask(door(1), "POST", "/fts.http.v1.Events/Subscribe", "Content-Type: application/connect+json\r\n",
		 "\0\0\0\0\010{\"no\":1}", 13, &head);
	assert_int_equal(head.status, 200);
	assert_int_equal(head.body[0], 2);
	assert_non_null(strstr(head.body + 5, "{\"error\":{\"code\":\"invalid_argument\""));
	http_answer_free(&head);
}

/* The leader dies: calls through the others' doors go on, and so does their stream. */
static void a_death_is_not_seen_through_the_door(void **state)
{
	struct http_answer head;
	(void)state;
	size_t leader = harness_cluster_wait_leader(&cluster, HARNESS_NOBODY, SETTLE_MS);
	size_t other = (leader + 1) % NODES;
	int fd = subscribe(other, "{\"topic\":\"lottery.\",\"json\":true}", &head);
	await_event(fd, "\"notice\":\"up\"");
	harness_cluster_kill(&cluster, leader);
	expect_call(other, "fts.lottery.v1.Lottery/Open", "{\"draw\":\"after\",\"agencies\":1,\"fixed\":true}", 200,
		    "OPEN");
	await_event(fd, "after");
	harness_cluster_restart(&cluster, leader);
	/* It stops while somebody listens: told, and at once. */
	assert_int_equal(harness_cluster_stop(&cluster, other), 0);
	await_event(fd, "\"code\":\"unavailable\"");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_door_serves_any_call),
	    cmocka_unit_test(messages_may_be_binary),
	    cmocka_unit_test(reads_may_be_asked_by_get),
	    cmocka_unit_test(errors_are_the_protocols),
	    cmocka_unit_test(one_connection_serves_many_calls),
	    cmocka_unit_test(only_known_pages_may_call),
	    cmocka_unit_test(too_much_is_refused),
	    cmocka_unit_test(a_get_has_no_body),
	    cmocka_unit_test(strangers_change_nothing),
	    cmocka_unit_test(machines_read_metrics),
	    cmocka_unit_test(events_are_a_stream),
	    cmocka_unit_test(a_death_is_not_seen_through_the_door),
	};
	return cmocka_run_group_tests_name("http.door", tests, start, stop);
}
