/* Why this file exists: tests/replica/powerloss.c for a real node: preloaded, it begins to watch before main. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/replica/powerloss.h"

__attribute__((constructor)) static void watch(void)
{
	const char *dir = getenv("FTS_POWER_LOSS_DIR"), *side = getenv("FTS_POWER_LOSS_SIDE");
	char path[500];
	int fd;
	if (dir == NULL || side == NULL) return;
	(void)mkdir(dir, 0750);
	powerloss_watch(dir, side);
	/* From here on a kill is a loss of power: before, the notes of what is there are not whole. */
	(void)snprintf(path, sizeof path, "%s/watching", side);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0) close(fd);
}
