/* Why this file exists: a short piece of what `make chaos-kv` does for hours: every kind of fault once upon the
 * key-value store, on three hosts and on five, and every answer judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/kv_faults/mix.h"

#define LIMIT_S 280

/* All at once and SIGTERM are in tests/kv. With five those that nodes which own nothing of a key, and partitions that
 * move, make a difference to. */
static const uint32_t weights_of_three[KV_FAULT_COUNT] = {
    [KV_KILL] = 1,  [KV_PAUSE] = 1,     [KV_ISOLATE] = 1, [KV_ONE_WAY] = 1,
    [KV_CLOCK] = 1, [KV_LOSE_DISK] = 1, [KV_DAMAGE] = 1,  [KV_FULL] = 1};
static const uint32_t weights_of_five[KV_FAULT_COUNT] = {[KV_ISOLATE] = 1, [KV_LOSE_DISK] = 1};
static struct kv_mix_options options = {.in_turn = true};

static void every_fault(void **state)
{
	struct kv_mix_counts counts;
	(void)state;
	kv_mix_run(&options, &counts);
	kv_mix_print(&counts);
}

/* One lab a program (tests/harness/lab.h): how many nodes is said by the caller. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_fault)};
	options.node_count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 3;
	options.seed = options.node_count;
	options.weights = options.node_count == 5 ? weights_of_five : weights_of_three;
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
