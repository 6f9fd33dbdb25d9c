/* Why this file exists: see store/recent.h. */
#include "store/recent.h"

#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"

/* More values than this replaced within one batch: nothing new is kept until it is over. */
enum { REPLACED_MAX = 4096, WAYS = 2 };

/* One key with its value. */
struct kept {
	struct kept *next; /* among those that were replaced */
	uint64_t hash;
	uint16_t key_size, value_size;
	bool there;
	uint8_t bytes[]; /* the key, then the value */
};

struct ftsi_recent {
	struct kept *replaced; /* within this batch: somebody may still look at them */
	uint32_t replaced_count;
	struct kept *sets[FTSI_RECENT_SET_COUNT][WAYS]; /* owned; the one used last first */
};

struct ftsi_recent *ftsi_recent_create(void)
{
	return calloc(1, sizeof(struct ftsi_recent)); /* untouched sets are not resident */
}

void ftsi_recent_settle(struct ftsi_recent *recent)
{
	while (recent->replaced != NULL) {
		struct kept *next = recent->replaced->next;
		free(recent->replaced);
		recent->replaced = next;
	}
	recent->replaced_count = 0;
}

void ftsi_recent_clear(struct ftsi_recent *recent)
{
	for (size_t i = 0; i < FTSI_RECENT_SET_COUNT; i++) {
		for (size_t way = 0; way < WAYS; way++) {
			free(recent->sets[i][way]);
			recent->sets[i][way] = NULL;
		}
	}
}

void ftsi_recent_destroy(struct ftsi_recent *recent)
{
	if (recent == NULL) return;
	ftsi_recent_settle(recent);
	ftsi_recent_clear(recent);
	free(recent);
}

static bool is_of(const struct kept *kept, uint64_t hash, struct fts_bytes key)
{
	return kept != NULL && kept->hash == hash && kept->key_size == key.size_bytes &&
	       memcmp(kept->bytes, key.data, key.size_bytes) == 0;
}

enum ftsi_recent_found ftsi_recent_find(const struct ftsi_recent *recent, struct fts_bytes key,
					struct fts_bytes *out_value)
{
	uint64_t hash = fts_checksum(key, 0);
	struct kept *const *set = recent->sets[hash % FTSI_RECENT_SET_COUNT];
	for (size_t way = 0; way < WAYS; way++) {
		if (!is_of(set[way], hash, key)) continue;
		if (!set[way]->there) return FTSI_RECENT_NOTHING;
		*out_value = (struct fts_bytes){set[way]->bytes + set[way]->key_size, set[way]->value_size};
		return FTSI_RECENT_VALUE;
	}
	return FTSI_RECENT_UNKNOWN;
}

/* Take what is in the way out of its set. */
static void put_aside(struct ftsi_recent *recent, struct kept **place)
{
	if (*place == NULL) return;
	(*place)->next = recent->replaced;
	recent->replaced = *place;
	recent->replaced_count++;
	*place = NULL;
}

static struct kept *make(uint64_t hash, struct fts_bytes key, struct fts_bytes value, bool there)
{
	struct kept *kept = malloc(sizeof *kept + key.size_bytes + value.size_bytes);
	if (kept == NULL) return NULL;
	*kept = (struct kept){.hash = hash,
			      .key_size = (uint16_t)key.size_bytes,
			      .value_size = (uint16_t)value.size_bytes,
			      .there = there};
	memcpy(kept->bytes, key.data, key.size_bytes);
	if (value.size_bytes > 0) memcpy(kept->bytes + key.size_bytes, value.data, value.size_bytes);
	return kept;
}

static bool may_keep(struct fts_bytes key, struct fts_bytes value)
{
	return key.size_bytes <= FTSI_RECENT_KEY_MAX && value.size_bytes <= FTSI_RECENT_VALUE_MAX;
}

void ftsi_recent_keep(struct ftsi_recent *recent, struct fts_bytes key, struct fts_bytes value, bool there)
{
	uint64_t hash = fts_checksum(key, 0);
	struct kept **set = recent->sets[hash % FTSI_RECENT_SET_COUNT], *kept;
	if (!may_keep(key, value) || recent->replaced_count == REPLACED_MAX) return;
	if ((kept = make(hash, key, value, there)) == NULL) return;
	put_aside(recent, &set[WAYS - 1]);
	for (size_t way = WAYS - 1; way > 0; way--)
		set[way] = set[way - 1];
	set[0] = kept;
}

void ftsi_recent_change(struct ftsi_recent *recent, struct fts_bytes key, struct fts_bytes value, bool there)
{
	uint64_t hash = fts_checksum(key, 0);
	struct kept **set = recent->sets[hash % FTSI_RECENT_SET_COUNT];
	for (size_t way = 0; way < WAYS; way++) {
		struct kept *kept = set[way];
		if (!is_of(kept, hash, key)) continue;
		set[way] = may_keep(key, value) ? make(hash, key, value, there) : NULL;
		free(kept);
		return;
	}
}
