/* Why this file exists: `make chaos SECONDS=600 SEED=7`: the long mix of faults. Prints its seed first and a summary at
 * the end, keeps logs and history when something is wrong, and exits non-zero then. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/chaos/mix.h"

static struct mix_options options = {
    .seconds = 600,
    .stretch_seconds = 60,
    .node_count = 3,
    .client_count = 12,
    .hosts = true,
    .log_bytes = "16384",
    .talks = true,
};
static struct mix_counts counts;

static void long_mix(void **state)
{
	(void)state;
	mix_run(&options, &counts);
}

static uint64_t number(const char *text, const char *what)
{
	char *end = NULL;
	unsigned long long value = strtoull(text, &end, 10);
	if (end == text || *end != '\0') {
		(void)fprintf(stderr, "fts-chaos: %s: not a number: %s\n", what, text);
		exit(2);
	}
	return value;
}

/* fts-chaos [SECONDS [SEED [NODES [LOG_BYTES [FAULT,... [PROGRESS_MS]]]]]] */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(long_mix)};
	static uint32_t weights[MIX_FAULT_COUNT];
	if (argc > 7) {
		(void)fprintf(stderr,
			      "usage: fts-chaos [SECONDS [SEED [NODES [LOG_BYTES [FAULT,... [PROGRESS_MS]]]]]]\n");
		return 2;
	}
	options.seed = (uint64_t)time(NULL);
	if (argc > 1) options.seconds = (uint32_t)number(argv[1], "SECONDS");
	if (argc > 2 && argv[2][0] != '\0') options.seed = number(argv[2], "SEED");
	if (argc > 3) options.node_count = (uint32_t)number(argv[3], "NODES");
	if (argc > 4) options.log_bytes = argv[4];
	if (argc > 5 && argv[5][0] != '\0') {
		if (!mix_only(argv[5], weights)) {
			(void)fprintf(stderr, "fts-chaos: no such fault in: %s\n", argv[5]);
			return 2;
		}
		options.weights = weights;
	}
	if (argc > 6) options.progress_ms = (uint32_t)number(argv[6], "PROGRESS_MS");
	printf("seed %" PRIu64 ", %u s, %u nodes, a snapshot every %s bytes of log\n", options.seed, options.seconds,
	       options.node_count, options.log_bytes);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	mix_print(&counts);
	printf("seed %" PRIu64 ": %s\n", options.seed, failed == 0 ? "no violation" : "FAILED");
	return failed == 0 ? 0 : 1;
}
