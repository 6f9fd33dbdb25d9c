/* Why this file exists: `make chaos-kv SECONDS=600 SEED=7`: the long mix of faults on the key-value store. Prints its
 * seed first and a summary at the end, keeps logs when something is wrong, and exits non-zero then. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/kv_faults/mix.h"

static struct kv_mix_options options = {.seconds = 600, .stretch_seconds = 60, .node_count = 3, .talks = true};
static struct kv_mix_counts counts;

static void long_mix(void **state)
{
	(void)state;
	kv_mix_run(&options, &counts);
}

static uint64_t number(const char *text, const char *what)
{
	char *end = NULL;
	unsigned long long value = strtoull(text, &end, 10);
	if (end == text || *end != '\0') {
		(void)fprintf(stderr, "fts-chaos-kv: %s: not a number: %s\n", what, text);
		exit(2);
	}
	return value;
}

/* fts-chaos-kv [SECONDS [SEED [NODES [FAULT,...]]]] */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(long_mix)};
	static uint32_t weights[KV_FAULT_COUNT];
	if (argc > 5) {
		(void)fprintf(stderr, "usage: fts-chaos-kv [SECONDS [SEED [NODES [FAULT,...]]]]\n");
		return 2;
	}
	options.seed = (uint64_t)time(NULL);
	if (argc > 1) options.seconds = (uint32_t)number(argv[1], "SECONDS");
	if (argc > 2 && argv[2][0] != '\0') options.seed = number(argv[2], "SEED");
	if (argc > 3) options.node_count = (uint32_t)number(argv[3], "NODES");
	if (options.node_count < 3 || options.node_count > 8) {
		(void)fprintf(stderr, "fts-chaos-kv: NODES: 3 to 8\n");
		return 2;
	}
	if (argc > 4 && !kv_mix_only(argv[4], weights)) {
		(void)fprintf(stderr, "fts-chaos-kv: no such fault in: %s\n", argv[4]);
		return 2;
	}
	if (argc > 4) options.weights = weights;
	printf("seed %" PRIu64 ", %u s, %u nodes\n", options.seed, options.seconds, options.node_count);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	kv_mix_print(&counts);
	printf("seed %" PRIu64 ": %s\n", options.seed, failed == 0 ? "no violation" : "FAILED");
	return failed == 0 ? 0 : 1;
}
