/* Why this file exists: 100,000 messages that are malformed, cut off or garbage, from many connections, against a
 * live server. It must not crash or leak, and a caller beside them must notice nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "caller.h"
#include "rpc/statistics.h"

#define MESSAGE_COUNT 100000
#define SEED 20261121u

static struct echo_server echo;
static atomic_bool done;

struct witness {
	uint64_t call_count;
	uint64_t worst_ms;
};

/* The well-behaved caller: every call answered rightly, on one connection. */
static void *behave_well(void *arg)
{
	struct witness *witness = arg;
	int fd = caller_open(echo.port);
	while (!atomic_load(&done)) {
		uint64_t begin_ns = fts_clock_monotonic_ns();
		caller_expect_echo(fd, "as if nothing were");
		uint64_t took_ms = (fts_clock_monotonic_ns() - begin_ns) / 1000000u;
		if (took_ms > witness->worst_ms) witness->worst_ms = took_ms;
		witness->call_count++;
	}
	close(fd);
	return NULL;
}

static size_t put_random(uint8_t *out, size_t size, unsigned *seed)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)rand_r(seed);
	return size;
}

/* One bad message into out. Returns its size. */
static size_t bad_message(uint8_t *out, size_t out_bytes, unsigned *seed)
{
	struct caller_call call = {.id = (uint32_t)rand_r(seed) & 0xffffff,
				   .method_id = echo_method_id((enum echo_method)(rand_r(seed) % 2 * ECHO_RAW)),
				   .text = "some text of a call"};
	size_t size = caller_encode(&call, out, out_bytes);
	size_t body = size - FTSI_LENGTH_BYTES;
	switch (rand_r(seed) % 7) {
	case 0: /* bytes changed anywhere behind the length */
		for (int k = rand_r(seed) % 6 + 1; k > 0; k--)
			out[FTSI_LENGTH_BYTES + (size_t)rand_r(seed) % body] = (uint8_t)rand_r(seed);
		return size;
	case 1: /* cut off, with a right length */
		body = (size_t)rand_r(seed) % body;
		ftsi_put_be64(out, body);
		return FTSI_LENGTH_BYTES + body;
	case 2: /* cut off, the length promises more */
		return FTSI_LENGTH_BYTES + (size_t)rand_r(seed) % body;
	case 3: /* a wild length */
		put_random(out, FTSI_LENGTH_BYTES, seed);
		return size;
	case 4: /* only garbage, rightly framed */
		return FTSI_LENGTH_BYTES + put_random(out + FTSI_LENGTH_BYTES, body, seed);
	case 5: /* header length lies */
		out[FTSI_LENGTH_BYTES + 4] = (uint8_t)rand_r(seed);
		return size;
	default: /* the request claims more than there is */
		out[size - 20 - (size_t)rand_r(seed) % 3] = (uint8_t)rand_r(seed);
		return size;
	}
}

static void swallow(int fd)
{
	char bytes[65536];
	while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		continue;
}

/* A connection that misbehaves until it is closed or has had enough. Returns the messages sent. */
static size_t misbehave(unsigned *seed)
{
	size_t count = 0, most = (size_t)rand_r(seed) % 200 + 1;
	uint8_t bytes[8192];
	int fd = rand_r(seed) % 20 == 0 ? caller_connect(echo.port) : caller_open(echo.port);
	while (count < most && caller_write(fd, bytes, bad_message(bytes, sizeof bytes, seed))) {
		count++;
		swallow(fd);
	}
	if (rand_r(seed) % 3 == 0) { /* leave with a reset */
		struct linger reset = {.l_onoff = 1};
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	}
	close(fd);
	return count;
}

static void others_notice_nothing(void **state)
{
	(void)state;
	struct witness witness = {0, 0};
	unsigned seed = SEED;
	pthread_t thread;
	echo_server_start(&echo, &(struct fts_server_options){.idle_timeout_ms = 300});
	assert_int_equal(pthread_create(&thread, NULL, behave_well, &witness), 0);
	for (size_t count = 0; count < MESSAGE_COUNT;)
		count += misbehave(&seed);
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	print_message("seed %u: %llu good calls beside, worst %llu ms\n", SEED, (unsigned long long)witness.call_count,
		      (unsigned long long)witness.worst_ms);
	assert_true(witness.call_count > 100);
	assert_true(witness.worst_ms < 2000);

	struct ftsi_server_statistics statistics;
	ftsi_server_statistics(echo.server, &statistics);
	assert_true(statistics.malformed > 1000);
	uint64_t begin_ns = fts_clock_monotonic_ns();
	while (statistics.connections > 0 && fts_clock_monotonic_ns() - begin_ns < 20000000000u)
		ftsi_server_statistics(echo.server, &statistics);
	assert_int_equal(statistics.connections, 0);
	struct fts_server_work work;
	fts_server_work(echo.server, &work);
	assert_int_equal(work.open_count, 0);
	echo_server_stop(&echo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(others_notice_nothing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
