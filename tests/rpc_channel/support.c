/* Why this file exists: see support.h. */
#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

const struct fts_method read_method = {
    .name = "Read",
    .full_name = "test.v1.Test/Read",
    .id = 0x11223344,
    .request = &fts__rpc__v1__replay_request__descriptor,
    .response = &fts__rpc__v1__replay_response__descriptor,
    .timeout_ms = 5000,
    .route = FTS_ROUTE_ANY,
};
const struct fts_method write_method = {
    .name = "Write",
    .full_name = "test.v1.Test/Write",
    .id = 0x55667788,
    .request = &fts__rpc__v1__replay_request__descriptor,
    .response = &fts__rpc__v1__replay_response__descriptor,
    .timeout_ms = 5000,
    .route = FTS_ROUTE_LEADER,
    .mutates = true,
};

const char *address_of(uint16_t port)
{
	static char texts[10][32];
	static unsigned turn;
	char *text = texts[turn++ % COUNT_OF(texts)];
	snprintf(text, sizeof texts[0], "127.0.0.1:%u", (unsigned)port);
	return text;
}

struct fts_channel *open_to(const char *endpoints)
{
	struct fts_channel_options options = {.endpoints = endpoints};
	struct fts_channel *channel = NULL;
	struct fts_error error = {.status = FTS_OK};
	if (fts_channel_open(&options, &channel, &error) != FTS_OK) {
		fprintf(stderr, "channel to %s: %s\n", endpoints, error.detail);
		FTS_ASSERT(!"channel opens");
	}
	return channel;
}

uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum fts_status echo(struct fts_channel *channel, const struct fts_method *method, uint64_t from_index,
		     const struct fts_call_options *options, uint64_t *out_next, struct fts_error *out_error)
{
	Fts__Rpc__V1__ReplayRequest request = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	ProtobufCMessage *response = NULL;
	request.from_index = from_index;
	enum fts_status status = fts_channel_call(channel, method, &request.base, options, &response, out_error);
	if (status != FTS_OK) return status;
	if (out_next != NULL) *out_next = ((Fts__Rpc__V1__ReplayResponse *)response)->next_index;
	protobuf_c_message_free_unpacked(response, NULL);
	return FTS_OK;
}

void see(void *ctx, enum fts_status status, const ProtobufCMessage *response, const struct fts_error *error)
{
	struct seen *seen = ctx;
	FTS_ASSERT((status == FTS_OK) == (response != NULL) && (status == FTS_OK) == (error == NULL));
	seen->status = status;
	if (error != NULL) {
		seen->executed = error->executed;
		FTS_ASSERT(error->status == status);
		snprintf(seen->detail, sizeof seen->detail, "%s", error->detail);
	} else {
		seen->next_index = ((const Fts__Rpc__V1__ReplayResponse *)(const void *)response)->next_index;
	}
	atomic_fetch_add(&seen->count, 1);
}

enum fts_status start_echo(struct fts_channel *channel, const struct fts_method *method, uint64_t from_index,
			   uint32_t timeout_ms, struct seen *out, struct fts_call_id *out_id)
{
	Fts__Rpc__V1__ReplayRequest request = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	struct fts_call_options options = {.timeout_ms = timeout_ms};
	request.from_index = from_index;
	atomic_store(&out->count, 0);
	return fts_channel_start(channel, method, &request.base, &options, see, out, out_id);
}

bool wait_seen(struct seen *seen)
{
	uint64_t until_ms = now_ms() + 60000;
	while (atomic_load(&seen->count) == 0) {
		if (now_ms() > until_ms) return false;
		sched_yield();
	}
	return true;
}

struct pair pair_open(const struct fake_step *steps, size_t step_count, bool repeat)
{
	struct fake_options options = {.steps = steps, .step_count = step_count, .repeat = repeat};
	struct pair pair = {.fake = fake_start(&options)};
	pair.channel = open_to(address_of(fake_port(pair.fake)));
	return pair;
}

void pair_close(struct pair *pair)
{
	fts_channel_close(pair->channel);
	fake_stop(pair->fake);
}
