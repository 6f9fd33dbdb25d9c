/* Why this file exists: the calls of a member of an election, and how their answers come into its mailbox.
 *
 * Invariants
 * - Each function opens one call, which agent->open then names; nothing else is open. A call that can't be made is
 * tried again after a moment.
 * - The answer is posted under agent->lock by another thread, once a call, and wakes the loop. */
#ifndef FTSI_ELECT_CALLS_H
#define FTSI_ELECT_CALLS_H

#include "client/cli/elect_agent.h"

/* Thread: main, all of them. */
void ftsi_agent_elect(struct ftsi_agent *agent);
void ftsi_agent_renew(struct ftsi_agent *agent);
void ftsi_agent_yield(struct ftsi_agent *agent); /* the fence it has now */
void ftsi_agent_resign(struct ftsi_agent *agent);
void ftsi_agent_look(struct ftsi_agent *agent); /* at the members, for the rule's command */
void ftsi_agent_nominate(struct ftsi_agent *agent);
/* The loop has something to see to. Thread: any. */
void ftsi_agent_wake(struct ftsi_agent *agent);

#endif
