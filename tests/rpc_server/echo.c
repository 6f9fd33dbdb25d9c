/* Why this file exists: see echo.h. */
#include "echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "echo.pb-c.h"

#define FIRST_ID 0x10u
#define PATIENCE_S 20

static uint8_t filler[FTS_MESSAGE_MAX + 1];

void echo_reply(struct fts_call *call, const char *text)
{
	Echo__EchoResponse response = ECHO__ECHO_RESPONSE__INIT;
	response.text = (char *)(uintptr_t)text;
	fts_call_reply(call, &response.base);
}

static void on_now(const void *handlers, struct fts_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Echo__EchoRequest *request = (const Echo__EchoRequest *)message;
	Echo__EchoResponse response = ECHO__ECHO_RESPONSE__INIT;
	(void)handlers;
	(void)ctx;
	response.text = request->text;
	response.item_count = (uint32_t)request->n_items;
	response.filler.data = filler;
	response.filler.len = request->reply_bytes <= sizeof filler ? request->reply_bytes : 0;
	fts_call_reply(call, &response.base);
}

static void on_later(const void *handlers, struct fts_call *call, const ProtobufCMessage *message, void *ctx)
{
	struct echo_server *echo = ctx;
	(void)handlers;
	(void)message;
	pthread_mutex_lock(&echo->mutex);
	if (echo->held_count < ECHO_HELD_MAX) echo->held[echo->held_count++] = call;
	pthread_cond_broadcast(&echo->changed);
	pthread_mutex_unlock(&echo->mutex);
}

static void on_blocking(const void *handlers, struct fts_call *call, const ProtobufCMessage *message, void *ctx)
{
	struct echo_server *echo = ctx;
	(void)handlers;
	pthread_mutex_lock(&echo->mutex);
	echo->blocked_count++;
	pthread_cond_broadcast(&echo->changed);
	while (!echo->gate_open)
		pthread_cond_wait(&echo->changed, &echo->mutex);
	pthread_mutex_unlock(&echo->mutex);
	echo_reply(call, ((const Echo__EchoRequest *)message)->text);
}

static void on_fail(const void *handlers, struct fts_call *call, const ProtobufCMessage *message, void *ctx)
{
	(void)handlers;
	(void)message;
	(void)ctx;
	fts_call_set_executed(call, FTS_EXECUTED_UNKNOWN);
	fts_call_set_log_position(call, 7, 41);
	fts_call_set_leader(call, "10.0.0.9:7400");
	fts_call_set_age_ms(call, 12);
	struct fts_error error = {.status = FTS_ABORTED, .executed = FTS_EXECUTED_YES, .retry_after_ms = 50};
	snprintf(error.detail, sizeof error.detail, "rule \"%s\", 100%% refused", "turn");
	fts_call_fail_error(call, &error);
}

static void on_raw(struct fts_call *call, const struct fts_method *method, struct fts_bytes payload, void *ctx)
{
	(void)method;
	(void)ctx;
	fts_call_reply_bytes(call, payload);
}

#define METHOD(name_text, number, handler, blocks)                                                                     \
	{                                                                                                              \
		.name = name_text, .full_name = "echo.Echo/" name_text, .id = FIRST_ID + (number),                     \
		.request = &echo__echo_request__descriptor, .response = &echo__echo_response__descriptor,              \
		.invoke = handler, .timeout_ms = 5000, .longest_run_ms = 100, .blocking = blocks                       \
	}

static const struct fts_method methods[] = {
    METHOD("Now", ECHO_NOW, on_now, false),
    METHOD("Later", ECHO_LATER, on_later, false),
    METHOD("Blocking", ECHO_BLOCKING, on_blocking, true),
    METHOD("Fail", ECHO_FAIL, on_fail, false),
};
static const struct fts_method raw_methods[] = {METHOD("Raw", ECHO_RAW, NULL, false)};
static const struct fts_service service = {.name = "echo.Echo", .methods = methods, .method_count = 4};
static const struct fts_service raw_service = {.name = "echo.Raw", .methods = raw_methods, .method_count = 1};

uint32_t echo_method_id(enum echo_method method)
{
	return FIRST_ID + (uint32_t)method;
}

enum fts_status echo_server_add(struct fts_server *server, struct echo_server *echo)
{
	enum fts_status st = fts_server_add(server, &service, NULL, echo, NULL);
	return st != FTS_OK ? st : fts_server_add_raw(server, &raw_service, on_raw, echo, NULL);
}

void echo_server_start(struct echo_server *echo, const struct fts_server_options *options)
{
	struct fts_server_options used = {.listen = NULL};
	struct fts_error error = {.detail = ""};
	memset(echo, 0, sizeof *echo);
	pthread_mutex_init(&echo->mutex, NULL);
	pthread_cond_init(&echo->changed, NULL);
	if (options != NULL) used = *options;
	if (used.listen == NULL) used.listen = "127.0.0.1:0";
	if (used.node == NULL) used.node = "n1";
	if (fts_server_create(&used, &echo->server, &error) != FTS_OK) fail_msg("%s", error.detail);
	assert_int_equal(echo_server_add(echo->server, echo), FTS_OK);
	assert_int_equal(fts_server_port(echo->server), 0);
	if (fts_server_start(echo->server, &error) != FTS_OK) fail_msg("%s", error.detail);
	echo->port = fts_server_port(echo->server);
	snprintf(echo->address, sizeof echo->address, "127.0.0.1:%u", echo->port);
}

void echo_server_stop(struct echo_server *echo)
{
	echo_open_gate(echo);
	fts_server_destroy(echo->server);
	echo_answer_held(echo);
	pthread_cond_destroy(&echo->changed);
	pthread_mutex_destroy(&echo->mutex);
}

static void wait_for(struct echo_server *echo, const size_t *value, size_t count)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&echo->mutex);
	int rc = 0;
	while (*value < count && rc == 0)
		rc = pthread_cond_timedwait(&echo->changed, &echo->mutex, &until);
	size_t reached = *value;
	pthread_mutex_unlock(&echo->mutex);
	assert_true(reached >= count);
}

void echo_wait_held(struct echo_server *echo, size_t count)
{
	wait_for(echo, &echo->held_count, count);
}

struct fts_call *echo_take_held(struct echo_server *echo)
{
	pthread_mutex_lock(&echo->mutex);
	struct fts_call *call = echo->held_count > 0 ? echo->held[--echo->held_count] : NULL;
	pthread_mutex_unlock(&echo->mutex);
	return call;
}

void echo_answer_held(struct echo_server *echo)
{
	struct fts_call *call;
	while ((call = echo_take_held(echo)) != NULL)
		echo_reply(call, "later");
}

void echo_wait_blocked(struct echo_server *echo, size_t count)
{
	wait_for(echo, &echo->blocked_count, count);
}

void echo_open_gate(struct echo_server *echo)
{
	pthread_mutex_lock(&echo->mutex);
	echo->gate_open = true;
	pthread_cond_broadcast(&echo->changed);
	pthread_mutex_unlock(&echo->mutex);
}
