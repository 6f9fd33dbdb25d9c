/* Why this file exists: fts-register-node is ftsd with one machine more (server/extra.h), and with snapshots as often
 * as a test wants them: FTS_TEST_LOG_BYTES in its environment is how much log it keeps before one. */
#include "server/extra.h"

#include <stdlib.h>

#include "tests/register/machine.h"

const struct ftsi_extra *ftsi_extra(void)
{
	static struct ftsi_extra extra = {register_machines, 1, 0};
	const char *log_bytes = getenv("FTS_TEST_LOG_BYTES");
	if (log_bytes != NULL) extra.log_bytes_before_snapshot = strtoull(log_bytes, NULL, 10);
	return &extra;
}
