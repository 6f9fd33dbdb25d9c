/* Why this file exists: from a method's id in a log entry to the machine that has it, in one step.
 *
 * Invariant: the table is at most half full and never changes once made. */
#include <stdlib.h>

#include "replica/internal.h"

static uint32_t place_of(const struct fts_replica *replica, uint32_t method_id)
{
	uint32_t at = (method_id * 2654435761u) >> 7 & replica->target_mask;
	while (replica->targets[at].method != NULL && replica->targets[at].method->id != method_id)
		at = (at + 1) & replica->target_mask;
	return at;
}

static enum fts_status add_machine(struct fts_replica *replica, const struct fts_machine *machine,
				   struct fts_error *out_error)
{
	for (size_t i = 0; i < machine->service->method_count; i++) {
		const struct fts_method *method = &machine->service->methods[i];
		struct ftsi_target *target = &replica->targets[place_of(replica, method->id)];
		bool right = method->mutates ? machine->methods[i].apply != NULL : machine->methods[i].read != NULL;
		if (target->method != NULL)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s and %s have the same id",
					     target->method->full_name, method->full_name);
		if (!right)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s has no %s function",
					     method->full_name, method->mutates ? "apply" : "read");
		*target = (struct ftsi_target){machine, method, &machine->methods[i]};
	}
	return FTS_OK;
}

enum fts_status ftsi_targets_init(struct fts_replica *replica, struct fts_error *out_error)
{
	size_t count = 0, places = 16;
	enum fts_status status = FTS_OK;
	for (size_t i = 0; i < replica->machine_count; i++)
		count += replica->machines[i]->service->method_count;
	while (places < 2 * count)
		places *= 2;
	replica->targets = calloc(places, sizeof *replica->targets);
	if (replica->targets == NULL)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for %zu methods", count);
	replica->target_mask = (uint32_t)places - 1;
	for (size_t i = 0; i < replica->machine_count && status == FTS_OK; i++)
		status = add_machine(replica, replica->machines[i], out_error);
	return status;
}

const struct ftsi_target *ftsi_target_find(const struct fts_replica *replica, uint32_t method_id)
{
	const struct ftsi_target *target = &replica->targets[place_of(replica, method_id)];
	return target->method == NULL ? NULL : target;
}
