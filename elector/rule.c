/* Why this file exists: see elector/rule.h. */
#include "elector/rule.h"

#include <string.h>

bool ftsi_rule_prefers(Fts__Elector__V1__Rule rule, const Fts__Elector__V1__Member *a,
		       const Fts__Elector__V1__Member *b)
{
	if (rule == FTS__ELECTOR__V1__RULE__OLDEST && a->started_ms != b->started_ms)
		return a->started_ms < b->started_ms;
	if (rule == FTS__ELECTOR__V1__RULE__YOUNGEST && a->started_ms != b->started_ms)
		return a->started_ms > b->started_ms;
	if (rule == FTS__ELECTOR__V1__RULE__PRIORITY && a->priority != b->priority) return a->priority > b->priority;
	return strcmp(a->id, b->id) < 0;
}

const Fts__Elector__V1__Member *ftsi_rule_best(Fts__Elector__V1__Rule rule, Fts__Elector__V1__Member *const *members,
					       size_t count)
{
	const Fts__Elector__V1__Member *best = NULL;
	if (rule == FTS__ELECTOR__V1__RULE__COMMAND) return NULL;
	for (size_t i = 0; i < count; i++)
		if (!members[i]->leaving && (best == NULL || ftsi_rule_prefers(rule, members[i], best)))
			best = members[i];
	return best;
}
