/* Why this file exists: by which rule the master is picked among the members that live.
 *
 * Invariant: a total order, whatever the members say of themselves: ties go to the lower id. */
#ifndef FTS_ELECTOR_RULE_H
#define FTS_ELECTOR_RULE_H

#include <stdbool.h>
#include <stddef.h>

#include <fts/elector/v1/elector.pb-c.h>

/* Is a the better master? Not for rule COMMAND, where members choose. */
bool ftsi_rule_prefers(Fts__Elector__V1__Rule rule, const Fts__Elector__V1__Member *a,
		       const Fts__Elector__V1__Member *b);

/* The best of members (borrowed) that is not leaving. NULL: there is none, or the rule is COMMAND. */
const Fts__Elector__V1__Member *ftsi_rule_best(Fts__Elector__V1__Rule rule, Fts__Elector__V1__Member *const *members,
					       size_t count);

#endif
