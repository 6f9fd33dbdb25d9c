/* Why this file exists: which pages of the web may use the door. Whoever browses on a machine that runs a node carries
 * any site's scripts to its loopback addresses; without a token nothing else would stop them.
 *
 * Allowed is: no Origin at all (curl, programs), our own page (Origin says the Host it came to), pages of this machine
 * (http://localhost:ANY and the like) while the door is local, and what --http-origins names. A local door also wants a
 * Host that is a name of this machine, or named there: otherwise a site's own name could be made to point here (DNS
 * rebinding). Pure functions. Thread: any. */
#ifndef FTS_HTTP_ORIGIN_H
#define FTS_HTTP_ORIGIN_H

#include <stdbool.h>

struct ftsi_origin_rules {
	const char *origins; /* "ORIGIN,ORIGIN", "*"; NULL: none. Borrowed */
	bool local;
	bool https;
};

/* Texts: borrowed; NULL: the request has no such header. */
bool ftsi_origin_allowed(const struct ftsi_origin_rules *rules, const char *origin, const char *host);
bool ftsi_host_allowed(const struct ftsi_origin_rules *rules, const char *host);
/* Is text "*" or a list of SCHEME://HOST[:PORT]? */
bool ftsi_origins_valid(const char *text);

#endif
