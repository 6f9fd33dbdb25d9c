/* Why this file exists: a short piece of what `make chaos` does for hours: faults of all kinds on separate hosts, bad
 * lines and partitions among them, one after the other, and every answer judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/chaos/mix.h"

#define LIMIT_S 280

static void all_kinds(void **state)
{
	static const struct mix_options options = {
	    .seed = 1, .seconds = 15, .node_count = 3, .client_count = 8, .hosts = true, .log_bytes = "16384"};
	struct mix_counts counts;
	(void)state;
	mix_run(&options, &counts);
	mix_print(&counts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_kinds),
	};
	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
