/* Why this file exists: fts-register-node is ftsd with one machine more (server/extra.h), and with snapshots as often
 * as a test wants them: FTS_TEST_LOG_BYTES in its environment is how much log it keeps before one. FTS_TEST_FORGETS
 * makes it a bad register (tests/register/machine.h). */
#include "server/extra.h"

#include <stdlib.h>

#include "tests/register/machine.h"

const struct ftsi_extra *ftsi_extra(void)
{
	static struct ftsi_extra extra = {.machines = register_machines, .machine_count = 1};
	const char *log_bytes = getenv("FTS_TEST_LOG_BYTES");
	const char *forgets = getenv("FTS_TEST_FORGETS");
	if (forgets != NULL) register_forgets_one_in = strtoull(forgets, NULL, 10);
	if (log_bytes != NULL) extra.log_bytes_before_snapshot = strtoull(log_bytes, NULL, 10);
	return &extra;
}
