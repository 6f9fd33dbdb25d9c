/* Why this file exists: see server/release.h. */
#include "server/release.h"

#include "base/format.h"
#include "server/extra.h"

const char *ftsi_release_version(void)
{
	return ftsi_extra()->version != NULL ? ftsi_extra()->version : FTS_VERSION;
}

uint32_t ftsi_release_format_max(void)
{
	return ftsi_extra()->format_max != 0 ? ftsi_extra()->format_max : FTS_FORMAT;
}
