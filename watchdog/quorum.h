/* Why this file exists: would the cluster keep a majority without one of its members? Asked of every node at once, with
 * a time limit; decided from their answers by a function that a test can call.
 *
 * The leader's view counts before all others: it hears of every voter. A member that nobody hears adds nothing to a
 * majority, so ending it takes nothing away; else two that hang at once would wait for each other for ever. */
#ifndef FTS_WATCHDOG_QUORUM_H
#define FTS_WATCHDOG_QUORUM_H

#include <fts/cluster/v1/cluster.pb-c.h>

#include "watchdog/config.h"

/* What one node said. */
struct ftsi_quorum_view {
	const char *endpoint;                         /* who was asked: borrowed */
	const Fts__Cluster__V1__StatusResponse *said; /* NULL: it did not answer */
};

/* True: a majority stays without member, or member adds nothing to one. views: of count nodes; all borrowed.
 * takes_no_part: as ftsi_outside_ask_quorum. out_detail (size_bytes bytes): why, for people. */
bool ftsi_quorum_stays(const struct ftsi_quorum_view *views, size_t count, const char *member, bool takes_no_part,
		       char *out_detail, size_t size_bytes);

#endif
