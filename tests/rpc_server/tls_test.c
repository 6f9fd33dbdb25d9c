/* Why this file exists: a server with TLS talks to callers its CA knows, and to nobody else; files that are unsafe
 * are refused with a reason. Certificates are made anew for each run (openssl), so that none can expire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "caller.h"
#include "rpc/conn.h"
#include "rpc/statistics.h"
#include "rpc/tls.h"

#define CALL_COUNT 2000u
#define WINDOW 50u

static char directory[] = "/tmp/fts-tls-XXXXXX";
static struct echo_server echo;

static const char script[] =
    "set -e; cd %s; exec >log 2>&1; umask 077\n"
    "key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }\n"
    "ca() { key $1; openssl req -x509 -new -key $1.key -subj /CN=$1 -days 2 -out $1.pem; }\n"
    "cert() { key $1; openssl req -new -key $1.key -subj /CN=$1 -out $1.csr\n"
    " printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >$1.ext\n"
    " openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }\n"
    "ca ca; ca foreign; cert server ca; cert client ca; cert stranger foreign\n"
    "openssl genrsa -out rsa1.key 2048; openssl pkcs8 -topk8 -nocrypt -in rsa1.key -out rsa.key\n"
    "openssl pkcs8 -topk8 -nocrypt -in server.key -out pkcs8.key\n"
    "cp server.key open.key; chmod 644 open.key\n";

static const char *path_of(const char *name)
{
	static char paths[8][128];
	static size_t next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

static int make_files(void **state)
{
	char command[sizeof script + sizeof directory];
	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(command, sizeof command, script, directory);
	assert_int_equal(system(command), 0);
	return 0;
}

static int remove_files(void **state)
{
	char command[64];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static struct fts_tls files(const char *ca, const char *cert, const char *key)
{
	return (struct fts_tls){.ca_file = ca == NULL ? NULL : path_of(ca),
				.cert_file = cert == NULL ? NULL : path_of(cert),
				.key_file = key == NULL ? NULL : path_of(key)};
}

static int start(void **state)
{
	(void)state;
	struct fts_server_options options = {.tls = files("ca.pem", "server.pem", "server.key"),
					     .idle_timeout_ms = 2000};
	echo_server_start(&echo, &options);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	echo_server_stop(&echo);
	return 0;
}

/* ---- A caller over our own connection ---- */

struct tls_caller {
	struct ftsi_conn *conn;
	struct ftsi_reply_reader reader; /* the reader's */
	atomic_uint sent_count;
	atomic_uint answered_count;
	atomic_bool closed;
};

static void send_call(struct tls_caller *caller)
{
	uint8_t route[4];
	ftsi_put_be32(route, FTSI_REQUEST_ID_BIT | atomic_fetch_add(&caller->sent_count, 1));
	struct ftsi_call_fields fields = {.method_id = echo_method_id(ECHO_RAW), .timeout_ms = 5000};
	struct ftsi_outgoing outgoing = {
	    .route = {route, 4}, .call = &fields, .payload = {(const uint8_t *)"\n\4over", 6}};
	(void)!ftsi_conn_send(caller->conn, &outgoing, NULL);
}

static void on_message(void *ctx, struct ftsi_conn *conn, struct fts_bytes message)
{
	struct tls_caller *caller = ctx;
	struct ftsi_frame frame;
	(void)conn;
	if (ftsi_frame_split(message, &frame) != FTS_OK) return;
	const fts_rpc_v1_ReplyHeader *header = ftsi_reply_header_read(&caller->reader, frame.header);
	if (header == NULL || header->code != FTS_OK || frame.payload.size_bytes != 6) return;
	atomic_fetch_add(&caller->answered_count, 1);
	if (atomic_load(&caller->sent_count) < CALL_COUNT) send_call(caller);
}

static void on_ready(void *ctx, struct ftsi_conn *conn)
{
	(void)conn;
	for (unsigned i = 0; i < WINDOW; i++)
		send_call(ctx);
}

static void on_closed(void *ctx, struct ftsi_conn *conn, const char *reason)
{
	struct tls_caller *caller = ctx;
	(void)conn;
	(void)reason;
	atomic_store(&caller->closed, true);
}

/* Connect with these files; false: TLS configuration or TCP failed. The handshake comes later. */
static bool caller_start(struct tls_caller *caller, const struct fts_tls *tls, const char *server_name)
{
	nng_tls_config *config = NULL;
	nng_stream_dialer *dialer = NULL;
	nng_aio *aio = NULL;
	char url[64];
	struct fts_error error;
	memset(caller, 0, sizeof *caller);
	if (ftsi_tls_config_create(tls, FTSI_ROLE_CALLER, server_name, &config, &error) != FTS_OK) return false;
	snprintf(url, sizeof url, "tls+tcp://%s", echo.address);
	assert_int_equal(nng_stream_dialer_alloc(&dialer, url), 0);
	assert_int_equal(nng_stream_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config), 0);
	assert_int_equal(nng_aio_alloc(&aio, NULL, NULL), 0);
	nng_stream_dialer_dial(dialer, aio);
	nng_aio_wait(aio);
	assert_int_equal(nng_aio_result(aio), 0);
	struct ftsi_conn_options options = {.role = FTSI_ROLE_CALLER,
					    .tls = true,
					    .on_message = on_message,
					    .on_ready = on_ready,
					    .on_closed = on_closed,
					    .ctx = caller};
	assert_int_equal(ftsi_conn_create(nng_aio_get_output(aio, 0), &options, &caller->conn), FTS_OK);
	ftsi_conn_start(caller->conn);
	nng_aio_free(aio);
	nng_stream_dialer_close(dialer);
	nng_stream_dialer_free(dialer);
	nng_tls_config_free(config);
	return true;
}

static void caller_wait(struct tls_caller *caller)
{
	for (int i = 0; i < CALLER_PATIENCE_MS; i++) {
		if (atomic_load(&caller->closed) || atomic_load(&caller->answered_count) >= CALL_COUNT) return;
		ftsi_conn_check(caller->conn, fts_clock_monotonic_ns());
		usleep(1000);
	}
	fail_msg("neither answered nor closed: %u of %u", atomic_load(&caller->answered_count), CALL_COUNT);
}

static void caller_end(struct tls_caller *caller)
{
	ftsi_conn_close(caller->conn, "done");
	for (int i = 0; i < CALLER_PATIENCE_MS && !atomic_load(&caller->closed); i++)
		usleep(1000);
	assert_true(atomic_load(&caller->closed));
	ftsi_conn_release(caller->conn);
}

/* ---- Tests ---- */

static void known_callers_are_served(void **state)
{
	(void)state;
	struct tls_caller caller;
	struct fts_tls tls = files("ca.pem", "client.pem", "client.key");
	for (int i = 0; i < 5; i++) {
		assert_true(caller_start(&caller, &tls, "localhost"));
		caller_wait(&caller);
		assert_int_equal(atomic_load(&caller.answered_count), CALL_COUNT);
		caller_end(&caller);
	}
}

static void unknown_callers_are_not(void **state)
{
	(void)state;
	static const struct {
		const char *name, *ca, *cert, *key, *server_name;
	} cases[] = {
	    {"no certificate", "ca.pem", NULL, NULL, "localhost"},
	    {"a foreign CA's certificate", "ca.pem", "stranger.pem", "stranger.key", "localhost"},
	    {"a server of a foreign CA", "foreign.pem", "client.pem", "client.key", "localhost"},
	    {"another server's name", "ca.pem", "client.pem", "client.key", "elsewhere.example"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tls_caller caller;
		struct fts_tls tls = files(cases[i].ca, cases[i].cert, cases[i].key);
		assert_true(caller_start(&caller, &tls, cases[i].server_name));
		caller_wait(&caller);
		if (atomic_load(&caller.answered_count) > 0) fail_msg("%s: was served", cases[i].name);
		caller_end(&caller);
	}
}

static void plain_callers_are_closed(void **state)
{
	(void)state;
	int fd = caller_connect(echo.port), silent = caller_connect(echo.port);
	uint8_t hello[FTSI_HELLO_BYTES];
	ftsi_hello_write(FTSI_ROLE_CALLER, hello);
	assert_true(caller_write(fd, hello, sizeof hello));
	assert_true(caller_sees_close(fd, CALLER_PATIENCE_MS));
	assert_true(caller_sees_close(silent, CALLER_PATIENCE_MS));
	close(fd);
	close(silent);
}

/* nng may lose the news of a TLS peer's end: no connection may stay behind all the same. */
static void gone_callers_are_noticed(void **state)
{
	(void)state;
	struct fts_tls tls = files("ca.pem", "client.pem", "client.key");
	for (int i = 0; i < 40; i++) {
		struct tls_caller caller;
		assert_true(caller_start(&caller, &tls, "localhost"));
		while (atomic_load(&caller.answered_count) < (unsigned)i * 10)
			usleep(100);
		caller_end(&caller);
	}
	struct ftsi_server_statistics statistics = {.connections = 1};
	for (int i = 0; i < CALLER_PATIENCE_MS && statistics.connections > 0; i++) {
		usleep(1000);
		ftsi_server_statistics(echo.server, &statistics);
	}
	assert_int_equal(statistics.connections, 0);
}

static void unsafe_files_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *ca, *cert, *key, *said;
	} cases[] = {
	    {"ca.pem", "server.pem", NULL, "both"},
	    {"ca.pem", NULL, NULL, "both"},
	    {"ca.pem", "server.pem", "open.key", "chmod 600"},
	    {"ca.pem", "server.pem", "rsa.key", "RSA"},
	    {"ca.pem", "server.pem", "rsa1.key", "RSA"},
	    {"ca.pem", "server.pem", "missing.key", "No such file"},
	    {"log", "server.pem", "server.key", "log"},
	    {"ca.pem", "server.pem", "ca.pem", "can't be used"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fts_server_options options = {.listen = "127.0.0.1:0",
						     .tls = files(cases[i].ca, cases[i].cert, cases[i].key)};
		struct fts_server *server = NULL;
		struct fts_error error = {.detail = ""};
		assert_int_equal(fts_server_create(&options, &server, &error), FTS_INVALID_ARGUMENT);
		if (strstr(error.detail, cases[i].said) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", error.detail, cases[i].said);
	}
	struct fts_server_options options = {.listen = "127.0.0.1:0",
					     .tls = files("ca.pem", "server.pem", "pkcs8.key")};
	struct fts_server *server = NULL;
	assert_int_equal(fts_server_create(&options, &server, NULL), FTS_OK);
	fts_server_destroy(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(known_callers_are_served, start, stop),
	    cmocka_unit_test_setup_teardown(unknown_callers_are_not, start, stop),
	    cmocka_unit_test_setup_teardown(plain_callers_are_closed, start, stop),
	    cmocka_unit_test_setup_teardown(gone_callers_are_noticed, start, stop),
	    cmocka_unit_test(unsafe_files_are_refused),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
