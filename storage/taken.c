/* Why this file exists: see storage/taken.h. A table of small sets: a write may stand in one of WAYS places; the one
 * with the oldest version makes room. */
#include "storage/taken.h"

#include <stdlib.h>

enum { WAYS = 8, SETS = 16384 };

void ftsi_taken_init(struct ftsi_taken *taken)
{
	pthread_mutex_init(&taken->lock, NULL);
	taken->writes = NULL;
}

void ftsi_taken_fini(struct ftsi_taken *taken)
{
	free(taken->writes);
	pthread_mutex_destroy(&taken->lock);
}

static struct ftsi_taken_write *set_of(struct ftsi_taken *taken, uint64_t write_id)
{
	return &taken->writes[write_id % SETS * WAYS];
}

/* Called with the lock held: its own place, a free one, or the oldest. */
static struct ftsi_taken_write *place_for(struct ftsi_taken *taken, uint64_t write_id)
{
	struct ftsi_taken_write *set = set_of(taken, write_id), *oldest = set;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].write_id == write_id) return &set[i];
		if (set[i].version.time < oldest->version.time) oldest = &set[i];
	}
	return oldest;
}

void ftsi_taken_note(struct ftsi_taken *taken, const struct ftsi_taken_write *write)
{
	if (write->write_id == 0) return;
	pthread_mutex_lock(&taken->lock);
	if (taken->writes == NULL) taken->writes = calloc((size_t)SETS * WAYS, sizeof *taken->writes);
	if (taken->writes != NULL) {
		struct ftsi_taken_write *place = place_for(taken, write->write_id);
		if (place->write_id != write->write_id || ftsi_version_compare(write->version, place->version) > 0)
			*place = *write;
	}
	pthread_mutex_unlock(&taken->lock);
}

bool ftsi_taken_find(struct ftsi_taken *taken, uint64_t write_id, struct ftsi_taken_write *out_write)
{
	bool found = false;
	pthread_mutex_lock(&taken->lock);
	for (int i = 0; i < WAYS && taken->writes != NULL && write_id != 0; i++) {
		const struct ftsi_taken_write *write = &set_of(taken, write_id)[i];
		if (write->write_id != write_id) continue;
		*out_write = *write;
		found = true;
	}
	pthread_mutex_unlock(&taken->lock);
	return found;
}
