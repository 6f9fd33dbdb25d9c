/* Why this file exists: a short piece of what `make chaos` does for hours: faults of all kinds, one after the other,
 * and every answer judged; and the mix that broke a stock log for good within two runs: pauses and kills with a
 * snapshot every few dozen entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/chaos/mix.h"

#define LIMIT_S 280

static void kills_pauses_snapshots(void **state)
{
	static const uint32_t weights[MIX_FAULT_COUNT] = {
	    [MIX_KILL] = 3, [MIX_KILL_AGAIN] = 1, [MIX_PAUSE] = 3, [MIX_PAUSE_KILL] = 1, [MIX_OLD_LEADER] = 2};
	static const struct mix_options options = {
	    .seed = 2, .seconds = 15, .node_count = 3, .client_count = 8, .log_bytes = "8192", .weights = weights};
	struct mix_counts counts;
	(void)state;
	mix_run(&options, &counts);
	mix_print(&counts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kills_pauses_snapshots),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
