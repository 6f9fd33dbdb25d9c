/* Why this file exists: see storage/recent.h. A table of small sets: a write may stand in one of WAYS places; the one
 * with the oldest version makes room. */
#include "storage/recent.h"

#include <stdlib.h>

enum { WAYS = 8, SETS = 16384 };

void ftsi_recent_init(struct ftsi_recent *recent)
{
	pthread_mutex_init(&recent->lock, NULL);
	recent->writes = NULL;
}

void ftsi_recent_fini(struct ftsi_recent *recent)
{
	free(recent->writes);
	pthread_mutex_destroy(&recent->lock);
}

static struct ftsi_recent_write *set_of(struct ftsi_recent *recent, uint64_t write_id)
{
	return &recent->writes[write_id % SETS * WAYS];
}

/* Called with the lock held: its own place, a free one, or the oldest. */
static struct ftsi_recent_write *place_for(struct ftsi_recent *recent, uint64_t write_id)
{
	struct ftsi_recent_write *set = set_of(recent, write_id), *oldest = set;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].write_id == write_id) return &set[i];
		if (set[i].version.time < oldest->version.time) oldest = &set[i];
	}
	return oldest;
}

void ftsi_recent_note(struct ftsi_recent *recent, const struct ftsi_recent_write *write)
{
	if (write->write_id == 0) return;
	pthread_mutex_lock(&recent->lock);
	if (recent->writes == NULL) recent->writes = calloc((size_t)SETS * WAYS, sizeof *recent->writes);
	if (recent->writes != NULL) {
		struct ftsi_recent_write *place = place_for(recent, write->write_id);
		if (place->write_id != write->write_id || ftsi_version_compare(write->version, place->version) > 0)
			*place = *write;
	}
	pthread_mutex_unlock(&recent->lock);
}

bool ftsi_recent_write_find(struct ftsi_recent *recent, uint64_t write_id, struct ftsi_recent_write *out_write)
{
	bool found = false;
	pthread_mutex_lock(&recent->lock);
	for (int i = 0; i < WAYS && recent->writes != NULL && write_id != 0; i++) {
		const struct ftsi_recent_write *write = &set_of(recent, write_id)[i];
		if (write->write_id != write_id) continue;
		*out_write = *write;
		found = true;
	}
	pthread_mutex_unlock(&recent->lock);
	return found;
}
