/* Why this file exists: when each member was heard of last, in the memory of every node; the leader's is what counts.
 * Renewing costs no log entry, and a member that was not heard of for its lease is expired through the log.
 *
 * Invariants
 * - A node that begins to lead has heard of everybody just then: nobody is expired for silence towards another leader,
 *   or towards none.
 * - A member is heard of when its renewal is answered, by a leader that made sure that it still leads after the call
 *   came: so the lease a member counts from when it sent the call ends before the one counted here.
 * - Once a member's expiry is on its way into the log, renewals of it are not answered until the log has decided.
 * Source: Gray and Cheriton, "Leases" (1989). Thread: any, unless said. */
#ifndef FTS_ELECTOR_LEASES_H
#define FTS_ELECTOR_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fts/elector/v1/elector.pb-c.h>

struct ftsi_leases;

/* Returned (ftsi_leases_destroy). NULL: no memory. */
struct ftsi_leases *ftsi_leases_create(void);
void ftsi_leases_destroy(struct ftsi_leases *leases); /* NULL: no-op */

/* A member stands in the state since index joined (again: its lease may be another), or no longer does. */
void ftsi_leases_joined(struct ftsi_leases *leases, const char *election, const char *id, uint64_t joined,
			uint32_t lease_ms);
void ftsi_leases_forget(struct ftsi_leases *leases, const char *election, const char *id);
/* Forget everybody: the state was replaced. */
void ftsi_leases_clear(struct ftsi_leases *leases);

/* This node leads in term (0: not known yet), or does not lead. When that is new, everybody was heard of at now_ns. */
void ftsi_leases_lead(struct ftsi_leases *leases, bool leads, uint64_t term, uint64_t now_ns);

/* Only a leader calls it (it made sure). False: the member is being expired, or not known: no answer now. */
bool ftsi_leases_renew(struct ftsi_leases *leases, const char *election, const char *id, uint64_t joined,
		       uint64_t now_ns);

/* Members whose lease has ended, up to max, now marked as being expired; texts and items are one block: returned
 * (free()); NULL: none. *out_next_ns: when to look again. */
struct ftsi_late_member {
	char election[65], id[65];
	uint64_t joined;
};
struct ftsi_late_member *ftsi_leases_late(struct ftsi_leases *leases, uint64_t now_ns, size_t max, size_t *out_count,
					  uint64_t *out_next_ns);
/* The log did not take their expiry: they are not being expired any more. Borrowed. */
void ftsi_leases_spare(struct ftsi_leases *leases, const struct ftsi_late_member *members, size_t count);

#endif
