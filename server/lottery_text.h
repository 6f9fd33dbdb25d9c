/* Why this file exists: the lottery for agencies that speak the text protocol (docs/lottery.md): a listener of its own
 * that turns lines into calls on this node, as any other caller makes them, and answers back into lines.
 *
 * Invariants: one thread, plain sockets, no packet is answered before its call was; the packets of one connection are
 * run one after another. Everything is bounded: connections, bytes of a line, calls in flight, bytes of answers, and
 * how long a silent or half-told connection is kept. What one connection does is never felt by another. */
#ifndef FTS_SERVER_LOTTERY_TEXT_H
#define FTS_SERVER_LOTTERY_TEXT_H

#include <fts/rpc.h>

#define FTSI_TEXT_DRAW "text"
#define FTSI_TEXT_NUMBER 7574

struct ftsi_text_gateway;

struct ftsi_text_options {
	int listen_fd;               /* from ftsi_listener_open; owned, also when start fails */
	struct fts_channel *channel; /* to this node. Borrowed until drain has returned. */
	uint32_t agencies;           /* of the draw, when it is opened on first use */
};

/* Serve from a thread of its own. out_gateway: returned (destroy). Thread: main. Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_text_gateway_start(const struct ftsi_text_options *options,
						     struct ftsi_text_gateway **out_gateway,
						     struct fts_error *out_error);
/* Take nothing new, answer what is stored or being stored, let waiters for winners go; wait timeout_ms at most.
 * When it returns the channel is not called any more, and may be closed. Once. Thread: main. */
void ftsi_text_gateway_drain(struct ftsi_text_gateway *gateway, uint32_t timeout_ms);
/* Close everything, end the thread, free (owned; NULL: no-op). It was drained, and then the channel closed:
 * its callbacks end in the gateway. Thread: main. */
void ftsi_text_gateway_destroy(struct ftsi_text_gateway *gateway);

#endif
