/* Why this file exists: a channel with mutual TLS against a real server, and what it says when the certificates do
 * not fit. They are made anew for each run (openssl), so that none can expire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "support.h"

static char directory[] = "/tmp/fts-channel-tls-XXXXXX";
static struct fts_server *server;

static const char script[] =
    "set -e; cd %s; exec >log 2>&1; umask 077\n"
    "key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }\n"
    "ca() { key $1; openssl req -x509 -new -key $1.key -subj /CN=$1 -days 2 -out $1.pem; }\n"
    "cert() { key $1; openssl req -new -key $1.key -subj /CN=$3 -out $1.csr\n"
    " printf \"subjectAltName=$4\" >$1.ext\n"
    " openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }\n"
    "ca ca; ca foreign\n"
    "cert server ca localhost DNS:localhost; cert client ca client DNS:client; cert stranger foreign s DNS:s\n";

static void serve(const void *handlers, struct fts_call *call, const ProtobufCMessage *request, void *ctx)
{
	const Fts__Rpc__V1__ReplayRequest *asked = (const void *)request;
	Fts__Rpc__V1__ReplayResponse response = FTS__RPC__V1__REPLAY_RESPONSE__INIT;
	(void)handlers;
	(void)ctx;
	response.next_index = asked->from_index + 1;
	fts_call_reply(call, &response.base);
}

static struct fts_tls files(const char *ca, const char *name)
{
	static char paths[12][96];
	static size_t turn;
	char *texts[3];
	static const char *const ends[] = {"pem", "pem", "key"};
	for (size_t i = 0; i < 3; i++) {
		texts[i] = paths[turn++ % COUNT_OF(paths)];
		snprintf(texts[i], sizeof paths[0], "%s/%s.%s", directory, i == 0 ? ca : name, ends[i]);
	}
	if (name[0] == '\0') texts[1] = texts[2] = NULL;
	return (struct fts_tls){.ca_file = texts[0], .cert_file = texts[1], .key_file = texts[2]};
}

static int start(void **state)
{
	static const char handlers;
	static struct fts_method methods[1];
	static const struct fts_service service = {.name = "test.v1.Test", .methods = methods, .method_count = 1};
	struct fts_server_options options = {.listen = "127.0.0.1:0", .node = "real"};
	char command[sizeof script + sizeof directory];
	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(command, sizeof command, script, directory);
	assert_int_equal(system(command), 0);
	methods[0] = read_method;
	methods[0].invoke = serve;
	methods[0].longest_run_ms = 1000;
	methods[0].role = methods[0].doc = "";
	options.tls = files("ca", "server");
	assert_int_equal(fts_server_create(&options, &server, NULL), FTS_OK);
	assert_int_equal(fts_server_add(server, &service, &handlers, NULL, NULL), FTS_OK);
	return fts_server_start(server, NULL) == FTS_OK ? 0 : -1;
}

static int stop(void **state)
{
	char command[64];
	(void)state;
	fts_server_destroy(server);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static struct fts_channel *open_tls(struct fts_tls tls, const char *host)
{
	char endpoint[64];
	struct fts_channel_options options = {.endpoints = endpoint, .tls = tls};
	struct fts_channel *channel = NULL;
	snprintf(endpoint, sizeof endpoint, "%s:%u", host, (unsigned)fts_server_port(server));
	assert_int_equal(fts_channel_open(&options, &channel, NULL), FTS_OK);
	return channel;
}

static void mutual_tls(void **state)
{
	struct fts_channel *channel = open_tls(files("ca", "client"), "localhost");
	static struct seen seen[500];
	struct fts_call_info info;
	struct fts_call_options options = {.info = &info};
	struct fts_error error = {.detail = ""};
	uint64_t next = 0;
	(void)state;
	if (echo(channel, &read_method, 1, &options, &next, &error) != FTS_OK) fail_msg("%s", error.detail);
	assert_int_equal(next, 2);
	assert_string_equal(info.node, "real");
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		assert_int_equal(start_echo(channel, &read_method, i, 9000, &seen[i], NULL), FTS_OK);
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		assert_true(wait_seen(&seen[i]) && seen[i].status == FTS_OK && seen[i].next_index == i + 1);
	fts_channel_close(channel);
}

static void certificates_that_do_not_fit(void **state)
{
	const struct {
		const char *name;
		struct fts_tls tls;
		const char *host;
	} cases[] = {
	    {"the server's CA is not ours", files("foreign", "client"), "localhost"},
	    {"no certificate of ours", files("ca", ""), "localhost"},
	    {"a certificate of a foreign CA", files("ca", "stranger"), "localhost"},
	    {"the server has another name", files("ca", "client"), "127.0.0.1"},
	    {"no TLS at all", {.ca_file = NULL}, "localhost"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fts_channel *channel = open_tls(cases[i].tls, cases[i].host);
		struct fts_call_options options = {.timeout_ms = 3000};
		struct fts_error error = {.status = FTS_OK};
		enum fts_status status = echo(channel, &read_method, 1, &options, NULL, &error);
		if (status != FTS_UNAVAILABLE || error.executed != FTS_EXECUTED_NO || error.detail[0] == '\0')
			fail_msg("%s: %s, executed %s: %s", cases[i].name, fts_status_name(status),
				 fts_executed_name(error.executed), error.detail);
		print_message("%s: %s\n", cases[i].name, error.detail);
		fts_channel_close(channel);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mutual_tls),
	    cmocka_unit_test(certificates_that_do_not_fit),
	};
	return cmocka_run_group_tests_name("rpc channel tls", tests, start, stop);
}
