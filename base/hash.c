/* Why this file exists: see base/hash.h. */
#include "base/hash.h"

#define XXH_INLINE_ALL /* libfts takes these objects as they are, without the library */
#include <xxhash.h>

uint64_t fts_hash64(struct fts_bytes bytes, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes.size_bytes == 0 ? "" : (const char *)bytes.data, bytes.size_bytes, seed);
}
