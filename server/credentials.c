/* Why this file exists: see server/credentials.h. */
#include "server/credentials.h"

#include <string.h>

#include "base/secret_file.h"

static uint8_t nibble(char digit)
{
	return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

enum fts_status ftsi_access_open(const struct ftsi_settings *settings, struct fts_access **out_access,
				 struct fts_error *out_error)
{
	uint8_t hash[FTS_TOKEN_HASH_BYTES];
	const char *text = settings->admin_token_hash; /* checked where it came in */
	for (size_t i = 0; i < sizeof hash && text[0] != '\0'; i++)
		hash[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	return fts_access_create(text[0] != '\0' ? hash : NULL, out_access, out_error);
}

enum fts_status ftsi_join_token(const struct ftsi_settings *settings, char *out_token, struct fts_error *out_error)
{
	char id[FTS_TOKEN_ID_BYTES];
	size_t size = 0;
	out_token[0] = '\0';
	if (settings->join_token_file[0] == '\0') return FTS_OK;
	enum fts_status status = fts_secret_file_read(settings->join_token_file, "join token", out_token,
						      FTS_TOKEN_TEXT_BYTES - 1, &size, out_error);
	if (status != FTS_OK) return status;
	out_token[size] = '\0';
	if (fts_token_id(out_token, size, id)) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
			     "join token file %.300s holds no token: `fts-cli token join NAME --out FILE` makes one",
			     settings->join_token_file);
}
