/* Why this file exists: see replica/member_text.h. */
#include "replica/member_text.h"

#include <stdio.h>
#include <string.h>

const char *ftsi_member_text(const char *name, const char *address, char *out)
{
	(void)snprintf(out, FTSI_MEMBER_TEXT_BYTES, "%.63s=%.127s", name, address);
	return out;
}

void ftsi_member_split(const char *text, char *out_name, char *out_address)
{
	const char *equals = strchr(text, '=');
	size_t name_size = equals == NULL ? 0 : (size_t)(equals - text);
	(void)snprintf(out_name, FTSI_MEMBER_NAME_BYTES, "%.*s", (int)name_size, text);
	(void)snprintf(out_address, FTSI_MEMBER_ADDRESS_BYTES, "%s", equals == NULL ? text : equals + 1);
}
