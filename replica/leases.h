/* Why this file exists: who of many holders (members of elections, workers) was heard of when, in the memory of every
 * node; the leader's is what counts. Renewing costs no log entry; who was not heard of for its lease is expired by its
 * service through the log.
 *
 * Invariants
 * - A node that begins to lead has heard of everybody just then: nobody is expired for silence towards another leader,
 *   or towards none.
 * - A holder is heard of when its renewal is answered, by a leader that made sure that it still leads after the call
 *   came: so the lease a holder counts from when it sent the call ends before the one counted here.
 * - A leader that was stopped itself (its looks, which come ten times a second, did not) lengthens every lease by that
 *   time: it could not have heard of anybody.
 * - Once an expiry is on its way into the log, renewals of that holder are not answered until the log has decided, also
 *   when it says meanwhile that it is there: what it says may have been in the log before.
 * Source: Gray and Cheriton, "Leases" (1989). Thread: any. */
#ifndef FTS_REPLICA_LEASES_H
#define FTS_REPLICA_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fts/api.h>

struct fts_leases;

/* Returned (fts_leases_destroy). NULL: no memory. */
struct fts_leases *fts_leases_create(void);
void fts_leases_destroy(struct fts_leases *leases); /* NULL: no-op */

/* id of group (1 to 64 bytes each, borrowed) holds a lease since index joined (again: it may be another), or none any
 * more. */
void fts_leases_joined(struct fts_leases *leases, const char *group, const char *id, uint64_t joined,
		       uint32_t lease_ms);
void fts_leases_forget(struct fts_leases *leases, const char *group, const char *id);
/* Forget everybody: the state was replaced. */
void fts_leases_clear(struct fts_leases *leases);
bool fts_leases_empty(struct fts_leases *leases);

/* This node leads in term (0: not known yet), or does not lead. When that is new, everybody was heard of at now_ns. */
void fts_leases_lead(struct fts_leases *leases, bool leads, uint64_t term, uint64_t now_ns);

/* Only a leader calls it (it made sure). False: the holder is being expired, or not known: no answer now. */
bool fts_leases_renew(struct fts_leases *leases, const char *group, const char *id, uint64_t joined, uint64_t now_ns);

/* What is left of the holder's lease at now_ns, as this leader counts it; 0: it is not known, not heard of yet, being
 * expired. Only a leader calls it (it made sure). out_lease_ms: all of it. */
uint32_t fts_leases_remaining_ms(struct fts_leases *leases, const char *group, const char *id, uint64_t joined,
				 uint64_t now_ns, uint32_t *out_lease_ms);

/* To be called ten times a second and more while this node leads (once it has holders).
 * Holders whose lease has ended, up to max, now marked as being expired; texts and items are one block: returned
 * (free()); NULL: none. *out_next_ns: when to look again. */
struct fts_late_lease {
	char group[65], id[65];
	uint64_t joined;
};
struct fts_late_lease *fts_leases_late(struct fts_leases *leases, uint64_t now_ns, size_t max, size_t *out_count,
				       uint64_t *out_next_ns);
/* The log has decided on their expiry, or did not take it: who is still there is not being expired any more. Borrowed.
 */
void fts_leases_spare(struct fts_leases *leases, const struct fts_late_lease *late, size_t count);

#endif
