/* Why this file exists: a node tells its events on a PUB socket (base port + 1).
 *
 * Invariants
 * - Publishing never blocks and never allocates: it copies into a bounded queue; one thread takes all that is queued,
 *   packs up to 32 events of a topic into a message and sends. Nothing waits to be gathered.
 * - Messages leave in the order of publishing, at a pace that the pipes of nng hold for subscribers who read: PUB
 *   itself drops in silence.
 * - What doesn't fit the queue is dropped and shows: `message` and `previous_*` of the next batch tell of it, and
 *   Replay fills it. */
#ifndef FTS_RPC_PUBLISHER_H
#define FTS_RPC_PUBLISHER_H

#include <fts/events.h>

#define FTS_PUBLISHER_TOPIC_MAX 256              /* different topics */
#define FTS_PUBLISHER_TOPIC_MAX_BYTES 128        /* of one topic's name */
#define FTS_EVENT_PAYLOAD_MAX_BYTES (64u * 1024) /* larger ones come by Replay alone */

struct fts_publisher;

struct fts_publisher_options {
	const char *listen; /* "HOST:PORT" of the events themselves; port 0: any free one. Borrowed. */
	struct fts_tls tls;
	size_t queue_max_bytes; /* 0: 8 MiB; two queues of this size are reserved, resident as far as they were used */
};

/* Listen and start the thread. out_publisher: returned (fts_publisher_destroy).
 * Errors: INVALID_ARGUMENT, UNAVAILABLE (address in use), RESOURCE_EXHAUSTED. Thread: any. */
FTS_MUST_USE enum fts_status fts_publisher_create(const struct fts_publisher_options *options,
						  struct fts_publisher **out_publisher, struct fts_error *out_error);

/* The port it listens on. */
uint16_t fts_publisher_port(const struct fts_publisher *publisher);

/* Connections of subscribers, now: what the pace is set by. Thread: any. */
uint32_t fts_publisher_subscriber_count(const struct fts_publisher *publisher);

/* Queue one event (borrowed; copied). Events come in the order of (index, ordinal). Never blocks. Thread: any, one at
 * a time if their order matters. Errors: RESOURCE_EXHAUSTED (dropped: queue full, or too many topics; subscribers
 * will see the gap), INVALID_ARGUMENT (no topic, too large; likewise). */
enum fts_status fts_publisher_publish(struct fts_publisher *publisher, uint64_t index, uint32_t ordinal,
				      const char *topic, struct fts_bytes payload);

/* Send what is queued, for a second at most, then close and free (owned; NULL: no-op). Thread: any. */
void fts_publisher_destroy(struct fts_publisher *publisher);

#endif
