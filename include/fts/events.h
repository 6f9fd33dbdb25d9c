/* Why this file exists: events over PUB/SUB with the log index in each, so that a subscriber sees a gap at
 * once and fills it by Replay from any node. Loss is never silent.
 *
 * Invariant of a subscription: its callback sees events in the order of (index, ordinal), each exactly once,
 * from the place it asked for; what could not be had (older than the 100,000 kept) is told as a gap.
 *
 * When the node it listens to dies, falls silent for about a second or has long known no leader, it goes on at
 * another: one of the endpoints it was given, or of the members that a node has named (Cluster/Status). What was missed
 * meanwhile is replayed from there first. on_notice tells. */
#ifndef FTS_EVENTS_H
#define FTS_EVENTS_H

#include <fts/rpc.h>

FTS_BEGIN_DECLS

struct fts_event {
	uint64_t index;   /* of the log entry */
	uint32_t ordinal; /* within the entry */
	const char *topic;
	struct fts_bytes payload; /* the packed event message */
};

/* event: borrowed until the callback returns. lost_count > 0: that many indexes before this event can't be
 * had any more (event may then be NULL when nothing newer exists). Thread: the subscription's own; it may
 * block, and calls on the channel are fine. Return false to end the subscription. */
typedef bool (*fts_event_fn)(void *ctx, const struct fts_event *event, uint64_t lost_count);

enum fts_subscription_notice {
	FTS_SUBSCRIPTION_UP,   /* it listens to endpoint, and all that had happened before has been delivered */
	FTS_SUBSCRIPTION_LOST, /* the node at endpoint is of no use any more; another is looked for until the next UP */
};

/* endpoint ("HOST:PORT" of the node's calls), reason (for people; "" with UP): borrowed. They come in turn, UP first.
 * Thread: the subscription's own, as the events' callback: never at the same time. */
typedef void (*fts_notice_fn)(void *ctx, enum fts_subscription_notice notice, const char *endpoint,
			      const char *reason);

struct fts_subscription;

struct fts_subscribe_options {
	const char *endpoints; /* call endpoints, as in fts_channel_options; events are at port + 1. Borrowed. */
	struct fts_bytes token; /* sent with the calls that fill gaps; at most 128 bytes, copied. Empty: none */
	struct fts_tls tls;
	const char *topic;   /* prefix; NULL or "": all */
	uint64_t from_index; /* 0: only what happens from now on; 1: everything kept */
	fts_notice_fn on_notice; /* NULL: not wanted; gets the ctx of on_event */
	bool stay_local;         /* as in fts_channel_options */
};

/* Start a subscription that goes on over the death of the node it listens to. out_subscription: returned.
 * Errors: INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE (no endpoint answers within timeout_ms). Thread: any. */
FTS_API FTS_MUST_USE enum fts_status fts_subscribe(const struct fts_subscribe_options *options, uint32_t timeout_ms,
                                                   fts_event_fn on_event, void *ctx,
                                                   struct fts_subscription **out_subscription,
                                                   struct fts_error *out_error);

/* Stop, wait for a running callback, free (owned; NULL: no-op). Thread: any but the callback's. */
FTS_API void fts_subscription_close(struct fts_subscription *subscription);

FTS_END_DECLS

#endif
