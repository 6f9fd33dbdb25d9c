/* Why this file exists: one running node: the replica, the server with its services, events, health and the gateways,
 * put together and taken apart in the one order that is right.
 *
 *   start: ports are tried -> replica -> server listens (calls wait or are refused until the replica is ready) -> ready
 * -> gateways stop:  gateways drain -> server takes no more -> replica finishes its log -> answers are written -> all
 * is freed
 *
 * Thread: main, unless said otherwise. */
#ifndef FTS_SERVER_NODE_H
#define FTS_SERVER_NODE_H

#include "server/settings.h"

struct ftsi_node;

/* Start everything but the gateways. settings: borrowed until destroy. fatal_fd: an eventfd (borrowed until destroy)
 * that becomes readable when the node can't go on, which the log tells. out_node: returned (stop, destroy).
 * Errors: as fts_replica_start and fts_server_start. */
FTS_MUST_USE enum fts_status ftsi_node_start(const struct ftsi_settings *settings, int fatal_fd,
					     struct ftsi_node **out_node, struct fts_error *out_error);
/* Wait until the node serves. Errors: DEADLINE_EXCEEDED (not yet). */
FTS_MUST_USE enum fts_status ftsi_node_wait_ready(struct ftsi_node *node, uint32_t timeout_ms);
/* Start the gateways. Errors: RESOURCE_EXHAUSTED, INVALID_ARGUMENT (TLS). */
FTS_MUST_USE enum fts_status ftsi_node_open_gateways(struct ftsi_node *node, struct fts_error *out_error);
/* How it is, in a line for people. out: size_bytes. Thread: any. */
void ftsi_node_describe(struct ftsi_node *node, char *out, size_t size_bytes);
/* Why it can't go on, once fatal_fd is readable. False: it can. Thread: any. */
bool ftsi_node_failed(struct ftsi_node *node, struct fts_error *out_error);
/* Finish what is open, refuse what is new. Blocks for some seconds at most. */
void ftsi_node_stop(struct ftsi_node *node);
void ftsi_node_destroy(struct ftsi_node *node); /* owned; NULL: no-op */

#endif
