/* Why this file exists: see tests/faults/registers.h. */
#include "tests/faults/registers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "register.fts.h"

#define MUST_MS 20000

struct fts_channel *registers_open(const char *endpoints)
{
	struct fts_channel_options options = {.endpoints = endpoints};
	struct fts_channel *channel = NULL;
	struct fts_error error;
	if (fts_channel_open(&options, &channel, &error) != FTS_OK) fail_msg("no channel: %s", error.detail);
	return channel;
}

enum fts_status registers_write(struct fts_channel *channel, uint32_t key, int64_t value, uint32_t timeout_ms,
				bool once, struct fts_error *out_error)
{
	struct fts_call_options options = {.timeout_ms = timeout_ms, .no_retry = once};
	Fts__Test__Register__V1__WriteRequest request = FTS__TEST__REGISTER__V1__WRITE_REQUEST__INIT;
	Fts__Test__Register__V1__WriteResponse *response = NULL;
	request.key = key;
	request.value = value;
	enum fts_status status = test_register_write(channel, &request, &options, &response, out_error);
	if (status == FTS_OK) fts__test__register__v1__write_response__free_unpacked(response, NULL);
	return status;
}

enum fts_status registers_read(struct fts_channel *channel, uint32_t key, bool any, uint32_t timeout_ms, bool once,
			       int64_t *out_value, struct fts_error *out_error)
{
	struct fts_call_options options = {.timeout_ms = timeout_ms, .no_retry = once};
	Fts__Test__Register__V1__ReadRequest request = FTS__TEST__REGISTER__V1__READ_REQUEST__INIT;
	Fts__Test__Register__V1__ReadResponse *response = NULL;
	request.key = key;
	enum fts_status status = any ? test_register_read_any(channel, &request, &options, &response, out_error)
				     : test_register_read(channel, &request, &options, &response, out_error);
	if (status != FTS_OK) return status;
	*out_value = response->value;
	fts__test__register__v1__read_response__free_unpacked(response, NULL);
	return FTS_OK;
}

void registers_must_write(struct fts_channel *channel, uint32_t key, int64_t value)
{
	struct fts_error error;
	if (registers_write(channel, key, value, MUST_MS, false, &error) != FTS_OK)
		fail_msg("register %u can't be written: %s", key, error.detail);
}

int64_t registers_must_read(struct fts_channel *channel, uint32_t key)
{
	int64_t value = 0;
	struct fts_error error;
	if (registers_read(channel, key, false, MUST_MS, false, &value, &error) != FTS_OK)
		fail_msg("register %u can't be read: %s", key, error.detail);
	return value;
}
