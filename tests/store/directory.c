/* Why this file exists: see directory.h. */
#include "directory.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *make_directory(void)
{
	const char *base = getenv("TMPDIR");
	char path[512];
	(void)snprintf(path, sizeof path, "%s/fts-store-XXXXXX", base == NULL ? "/tmp" : base);
	if (mkdtemp(path) == NULL) abort();
	return strdup(path);
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
	(void)about;
	(void)type;
	(void)place;
	return remove(path);
}

void remove_directory(char *directory)
{
	(void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(directory);
}
