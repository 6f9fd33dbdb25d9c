/* Why this file exists: ftsd has nothing extra; see server/extra.h. Nothing else may stand here: a test daemon's linker
 * leaves this file out. */
#include "server/extra.h"

const struct ftsi_extra *ftsi_extra(void)
{
	static const struct ftsi_extra nothing;
	return &nothing;
}
