/* Why this file exists: see token.h. */
#include "credentials/token.h"

#include <mbedtls/constant_time.h>
#include <mbedtls/sha256.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"

#define ID_RANDOM_BYTES 8
#define SECRET_RANDOM_BYTES 32

static const char prefix[] = "fts_";

static char *put_hex(char *out, const uint8_t *bytes, size_t size_bytes)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < size_bytes; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	return out;
}

bool fts_token_make(char *out_text)
{
	uint8_t random[ID_RANDOM_BYTES + SECRET_RANDOM_BYTES];
	_Static_assert(sizeof prefix + 2 * sizeof random + 1 == FTS_TOKEN_TEXT_BYTES, "as token.h says");
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return false;
	memcpy(out_text, prefix, sizeof prefix - 1);
	char *at = put_hex(out_text + sizeof prefix - 1, random, ID_RANDOM_BYTES);
	*at++ = '_';
	at = put_hex(at, random + ID_RANDOM_BYTES, SECRET_RANDOM_BYTES);
	*at = '\0';
	explicit_bzero(random, sizeof random);
	return true;
}

static bool is_hex(const char *text, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
	return true;
}

bool fts_token_id(const void *text, size_t size_bytes, char *out_id)
{
	const char *at = text;
	const size_t head_bytes = sizeof prefix - 1, id_bytes = FTS_TOKEN_ID_BYTES - 1;
	if (size_bytes != FTS_TOKEN_TEXT_BYTES - 1 || memcmp(at, prefix, head_bytes) != 0) return false;
	if (!is_hex(at + head_bytes, id_bytes) || at[head_bytes + id_bytes] != '_') return false;
	memcpy(out_id, at + head_bytes, id_bytes);
	out_id[id_bytes] = '\0';
	return true;
}

void fts_token_hash(const void *text, size_t size_bytes, uint8_t *out_hash)
{
	int result = mbedtls_sha256_ret(text, size_bytes, out_hash, 0);
	FTS_ASSERT(result == 0); /* in software it can't fail */
}

bool fts_token_equal(const uint8_t *a, const uint8_t *b, size_t size_bytes)
{
	return mbedtls_ct_memcmp(a, b, size_bytes) == 0;
}
