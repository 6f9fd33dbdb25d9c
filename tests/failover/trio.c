/* Why this file exists: see trio.h. */
#include "trio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sched.h>

static const char *const names[TRIO_COUNT] = {"n1", "n2", "n3"};

void trio_open(struct trio *trio, size_t listed)
{
	char endpoints[128] = "";
	memset(trio, 0, sizeof *trio);
	for (size_t i = 0; i < TRIO_COUNT; i++) {
		struct fake_options options = {.node = names[i]};
		trio->nodes[i] = fake_start(&options);
		snprintf(trio->addresses[i], sizeof trio->addresses[i], "127.0.0.1:%u",
			 (unsigned)fake_port(trio->nodes[i]));
		size_t at = strlen(endpoints);
		if (i < listed)
			snprintf(endpoints + at, sizeof endpoints - at, "%s%s", i == 0 ? "" : ",", trio->addresses[i]);
	}
	trio->channel = open_to(endpoints);
}

void trio_stop(struct trio *trio, size_t at)
{
	fake_stop(trio->nodes[at]);
	trio->nodes[at] = NULL;
}

void trio_close(struct trio *trio)
{
	fts_channel_close(trio->channel);
	for (size_t i = 0; i < TRIO_COUNT; i++)
		if (trio->nodes[i] != NULL) trio_stop(trio, i);
}

struct fake_step trio_refusal(const struct trio *trio, size_t leader)
{
	struct fake_step step = UNAVAILABLE_STEP;
	if (leader < TRIO_COUNT)
		snprintf(step.leader, sizeof step.leader, "%s", trio->addresses[leader]);
	else
		step.retry_after_ms = 5;
	return step;
}

void trio_refuse(struct trio *trio, size_t at, size_t leader)
{
	struct fake_step step = trio_refusal(trio, leader);
	fake_set_step(trio->nodes[at], &step);
}

void trio_tell(struct trio *trio, size_t at, uint64_t term, size_t leader)
{
	bool is_known = leader < TRIO_COUNT;
	fake_set_leader(trio->nodes[at], term, is_known ? names[leader] : "", is_known ? trio->addresses[leader] : "");
}

bool trio_wait_open(struct trio *trio, size_t at, size_t count)
{
	uint64_t until_ms = now_ms() + 60000;
	while (fake_open_count(trio->nodes[at]) != count) {
		if (now_ms() > until_ms) return false;
		sched_yield();
	}
	return true;
}

void trio_warm(struct trio *trio)
{
	assert_int_equal(echo(trio->channel, &write_method, 0, NULL, NULL, NULL), FTS_OK);
	for (size_t i = 0; i < TRIO_COUNT; i++)
		if (trio->nodes[i] != NULL) assert_true(trio_wait_open(trio, i, 1));
	for (size_t i = 0; i < TRIO_COUNT; i++)
		if (trio->nodes[i] != NULL) fake_keep_requests(trio->nodes[i], i == 0 ? 1 : 0);
}

void trio_open_warm(struct trio *trio)
{
	trio_open(trio, TRIO_COUNT);
	trio_refuse(trio, 1, 0);
	trio_refuse(trio, 2, 0);
	trio_warm(trio);
	fake_set_step(trio->nodes[1], NULL);
	fake_set_step(trio->nodes[2], NULL);
}

void burst_start(struct burst *burst, struct trio *trio, size_t count, uint32_t timeout_ms)
{
	memset(burst, 0, sizeof *burst);
	burst->count = count;
	for (size_t i = 0; i < count; i++)
		assert_int_equal(start_echo(trio->channel, &write_method, i + 1, timeout_ms, &burst->calls[i], NULL),
				 FTS_OK);
}

void burst_check(struct burst *burst)
{
	for (size_t i = 0; i < burst->count; i++) {
		struct seen *seen = &burst->calls[i];
		assert_true(wait_seen(seen));
		if (seen->status != FTS_OK) fail_msg("call %zu: %s", i + 1, seen->detail);
		assert_int_equal(seen->next_index, i + 2);
		assert_int_equal(atomic_load(&seen->count), 1);
	}
}

size_t trio_request_count(struct trio *trio)
{
	size_t count = 0;
	for (size_t i = 0; i < TRIO_COUNT; i++)
		if (trio->nodes[i] != NULL) count += fake_request_count(trio->nodes[i]);
	return count;
}

void trio_check_identity(struct trio *trio)
{
	static uint64_t sequence_of[BURST_MAX + 1], number_of[BURST_MAX + 64];
	uint64_t client_id = 0;
	memset(sequence_of, 0, sizeof sequence_of);
	memset(number_of, 0xff, sizeof number_of);
	for (size_t i = 0; i < TRIO_COUNT; i++) {
		size_t count = trio->nodes[i] != NULL ? fake_request_count(trio->nodes[i]) : 0;
		for (size_t r = 0; r < count; r++) {
			struct fake_request request = fake_request_at(trio->nodes[i], r);
			if (request.method_id != write_method.id || request.from_index == 0) continue;
			uint64_t *sequence = &sequence_of[request.from_index];
			if (client_id == 0) client_id = request.client_id;
			if (*sequence == 0) *sequence = request.sequence;
			assert_true(request.client_id == client_id && client_id != 0);
			assert_true(request.sequence == *sequence && request.sequence < COUNT_OF(number_of));
			uint64_t *number = &number_of[request.sequence];
			if (*number == UINT64_MAX) *number = request.from_index;
			assert_int_equal(*number, request.from_index);
		}
	}
}
