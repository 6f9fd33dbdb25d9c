/* Why this file exists: a process that is watched answers its watchdog on a thread that depends on nothing else in it:
 * not on its loop, nor on nng's threads, nor on a lock that is held for long. So a process whose work hangs still says
 * how it stands, and its watchdog can tell stuck from silent.
 *
 * The watchdog names a path in the environment of what it starts (FTS_PULSE). There a socket of packets in order
 * (AF_UNIX, SOCK_SEQPACKET) is listened on: each packet is a Question of fts.health.v1, each answer a Report.
 *
 * Invariants: an answer is made in fixed memory; at most PULSE_ASKERS_MAX (pulse.c) ask at a time, the oldest gives
 * way; a path that can't be listened on is an error at the start, not a silence afterwards. */
#ifndef FTS_RPC_PULSE_H
#define FTS_RPC_PULSE_H

#include "rpc/survey.h"

#define FTS_PULSE_VARIABLE "FTS_PULSE"

struct fts_pulse;

/* Answer at path (borrowed) until destroyed. A file that is there already is replaced. respond: as a survey's, called
 * on the pulse's own thread; it must take no lock that somebody may hold for long. out_pulse: returned
 * (fts_pulse_destroy). Errors: INVALID_ARGUMENT (the path is too long), UNAVAILABLE (it can't be listened on),
 * RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_pulse_create(const char *path, fts_respond_fn respond, void *ctx,
					      struct fts_pulse **out_pulse, struct fts_error *out_error);
/* End the thread, free (owned; NULL: no-op). */
void fts_pulse_destroy(struct fts_pulse *pulse);

#endif
