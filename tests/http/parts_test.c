/* Why this file exists: the parts of the door that need no node: who may come in, what the protocol's words mean, how
 * numbers are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/connect.h"
#include "http/metrics.h"
#include "http/origin.h"

static void origins(void **state)
{
	static const struct {
		const char *name, *origins, *origin, *host;
		bool local, https, expected;
	} cases[] = {
	    {"a program", NULL, NULL, "localhost:1", true, false, true},
	    {"our own page", NULL, "http://10.0.0.1:7500", "10.0.0.1:7500", false, false, true},
	    {"our own page, other scheme", NULL, "https://10.0.0.1:7500", "10.0.0.1:7500", false, false, false},
	    {"this machine's", NULL, "http://localhost:3000", "127.0.0.1:7500", true, false, true},
	    {"this machine's, door open to all", NULL, "http://localhost:3000", "10.0.0.1:1", false, false, false},
	    {"looks like this machine's", NULL, "http://localhost.evil.example", "127.0.0.1:1", true, false, false},
	    {"looks like a number", NULL, "http://127.0.0.1.evil.example", "127.0.0.1:1", true, false, false},
	    {"foreign", NULL, "https://evil.example", "localhost", true, false, false},
	    {"no origin told", NULL, "null", "localhost", true, false, false},
	    {"named", "https://a.example, https://b.example", "https://b.example", "localhost", true, false, true},
	    {"named otherwise", "https://a.example", "http://a.example", "localhost", true, false, false},
	    {"all", "*", "https://any.example", "localhost", true, false, true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ftsi_origin_rules rules = {cases[i].origins, cases[i].local, cases[i].https};
		if (ftsi_origin_allowed(&rules, cases[i].origin, cases[i].host) != cases[i].expected)
			fail_msg("%s", cases[i].name);
	}
}

static void hosts(void **state)
{
	static const struct {
		const char *origins, *host;
		bool local, expected;
	} cases[] = {{NULL, "localhost:7500", true, true},
		     {NULL, "[::1]:7500", true, true},
		     {NULL, "127.0.0.1", true, true},
		     {NULL, "evil.example", true, false},
		     {NULL, "127.evil.example", true, false},
		     {NULL, "evil.example", false, true},
		     {NULL, NULL, true, true},
		     {"https://fts.example", "fts.example", true, true},
		     {"https://fts.example", "fts.example:8443", true, true},
		     {"*", "evil.example", true, false}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ftsi_origin_rules rules = {cases[i].origins, cases[i].local, false};
		if (ftsi_host_allowed(&rules, cases[i].host) != cases[i].expected) fail_msg("%s", cases[i].host);
	}
	assert_true(ftsi_origins_valid("*"));
	assert_true(ftsi_origins_valid("https://a.example,http://b.example:8080"));
	assert_false(ftsi_origins_valid(""));
	assert_false(ftsi_origins_valid("a.example"));
	assert_false(ftsi_origins_valid("https://a.example/path"));
}

static void words(void **state)
{
	uint32_t ms = 7;
	uint8_t out[16];
	enum ftsi_codec codec;
	(void)state;
	assert_string_equal(ftsi_connect_code(FTS_CANCELLED), "canceled");
	assert_int_equal(ftsi_connect_http_status(FTS_UNAVAILABLE), 503);
	assert_int_equal(ftsi_connect_http_status((enum fts_status)99), 500);
	assert_true(ftsi_connect_timeout("9999999999", &ms) && ms == UINT32_MAX);
	assert_true(ftsi_connect_timeout("0", &ms) && ms == 0);
	assert_false(ftsi_connect_timeout("", &ms) || ftsi_connect_timeout("-1", &ms) ||
		     ftsi_connect_timeout("12345678901", &ms) || ftsi_connect_timeout("1s", &ms));
	assert_true(ftsi_connect_unary_type("Application/JSON; charset=utf-8", &codec) && codec == FTSI_CODEC_JSON);
	assert_false(ftsi_connect_unary_type("application/jsonx", &codec) || ftsi_connect_unary_type(NULL, &codec));
	assert_true(ftsi_connect_stream_type("application/connect+proto", &codec) && codec == FTSI_CODEC_PROTO);
	assert_int_equal(ftsi_connect_base64("-_8", 3, out), 2);
	assert_memory_equal(out, "\xfb\xff", 2);
	assert_int_equal(ftsi_connect_base64("+/8=", 4, out), 2);
	assert_int_equal(ftsi_connect_base64("", 0, out), 0);
	assert_true(ftsi_connect_base64("a", 1, out) == (size_t)-1 && ftsi_connect_base64("a b", 3, out) == (size_t)-1);
	struct fts_error error = {.status = FTS_NOT_FOUND};
	snprintf(error.detail, sizeof(error.detail), "no \"draw\" here\xff");
	char *text = ftsi_connect_error_json(&error, true);
	assert_non_null(strstr(text, "{\"error\":{\"code\":\"not_found\""));
	free(text);
}

static void numbers(void **state)
{
	static const double bounds[] = {0.001, 0.01};
	static const uint64_t counts[] = {2, 1, 4};
	const char *labels[] = {"a", "say \"x\"\n\\", NULL};
	struct fts_metrics metrics = {0};
	(void)state;
	fts_metrics_gauge(&metrics, "fts_x", "An x.", 0.25);
	fts_metrics_family(&metrics, FTS_METRIC_COUNTER, "fts_y_total", "Ys.");
	fts_metrics_value(&metrics, labels, 18446744073709551615.0);
	fts_metrics_family(&metrics, FTS_METRIC_HISTOGRAM, "fts_z_seconds", "Zs.");
	fts_metrics_histogram(&metrics, NULL, &(struct fts_metrics_histogram){bounds, counts, 2, 0.5});
	assert_string_equal(metrics.text, "# HELP fts_x An x.\n# TYPE fts_x gauge\nfts_x 0.25\n"
					  "# HELP fts_y_total Ys.\n# TYPE fts_y_total counter\n"
					  "fts_y_total{a=\"say \\\"x\\\"\\n\\\\\"} 1.84467441e+19\n"
					  "# HELP fts_z_seconds Zs.\n# TYPE fts_z_seconds histogram\n"
					  "fts_z_seconds_bucket{le=\"0.001\"} 2\nfts_z_seconds_bucket{le=\"0.01\"} 3\n"
					  "fts_z_seconds_bucket{le=\"+Inf\"} 7\nfts_z_seconds_sum 0.5\n"
					  "fts_z_seconds_count 7\n");
	free(metrics.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(origins), cmocka_unit_test(hosts), cmocka_unit_test(words),
					   cmocka_unit_test(numbers)};
	return cmocka_run_group_tests_name("http.parts", tests, NULL, NULL);
}
