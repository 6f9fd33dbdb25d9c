/* Why this file exists: tests/replica/powerloss.c for a real node: preloaded, it begins to watch before main. */
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/replica/powerloss.h"

__attribute__((constructor)) static void watch(void)
{
	const char *dir = getenv("FTS_POWER_LOSS_DIR"), *side = getenv("FTS_POWER_LOSS_SIDE");
	if (dir == NULL || side == NULL) return;
	(void)mkdir(dir, 0750);
	powerloss_watch(dir, side);
}
