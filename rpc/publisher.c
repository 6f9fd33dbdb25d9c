/* Why this file exists: see publisher.h.
 *
 * The queue is two buffers: publishers append to one while the sender empties the other, then they change places.
 * The pace is a bucket of messages: BURST_COUNT at once, then as many a millisecond as this many pipes were measured
 * to take without loss (docs/performance); below that rate nothing ever waits. */
#include "rpc/publisher.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fts/rpc/v1/events.pb-c.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/pipe_set.h"
#include "rpc/stock.h"

#define QUEUE_DEFAULT_BYTES (8u * 1024 * 1024)
#define BATCH_COUNT_MAX 32
#define BATCH_SOFT_BYTES (16u * 1024)
#define PIPE_QUEUE_COUNT 4096 /* messages nng holds for one subscriber */
#define BURST_COUNT 1024.0
#define PIPE_MESSAGES_PER_MS 150.0      /* over all pipes together */
#define NOTHING_RECEIVED_MAX_BYTES 1024 /* PUB receives nothing; whoever sends more is cut off */
#define LAST_SENDING_NS 1000000000u

struct position {
	uint64_t index;
	uint32_t ordinal;
};

struct topic {
	char name[FTS_PUBLISHER_TOPIC_MAX_BYTES + 1];
	struct position last; /* published or dropped */
};

/* One event in a queue; its payload follows, filled up to RECORD_ALIGN. */
struct record {
	struct position position, previous;
	uint32_t topic;
	uint32_t size_bytes;
	uint64_t dropped_count; /* messages' worth of events dropped before it */
};
#define RECORD_ALIGN 8u

struct queue {
	uint8_t *data;
	size_t used_bytes;
};

struct fts_publisher {
	nng_socket socket;
	bool open;
	struct ftsi_stock_door door;
	uint16_t port;
	atomic_uint pipe_count;
	pthread_mutex_t pipe_lock;
	struct ftsi_pipe_set pipes; /* of subscribers, pipe_count of them; guarded by pipe_lock */
	size_t queue_max_bytes;
	pthread_t thread;
	bool started;
	/* guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue queues[2];
	unsigned filling;
	struct topic *topics;
	uint32_t topic_count;
	uint64_t dropped_count;
	bool stop;
	/* of the sender alone, but for stop_deadline_ns */
	atomic_uint_fast64_t stop_deadline_ns; /* 0: not stopping */
	uint64_t message;
	double tokens;
	uint64_t tokens_ns;
};

/* ---- Publishing ---- */

static struct topic *find_topic(struct fts_publisher *publisher, const char *name)
{
	for (uint32_t i = 0; i < publisher->topic_count; i++)
		if (strcmp(publisher->topics[i].name, name) == 0) return &publisher->topics[i];
	if (publisher->topic_count == FTS_PUBLISHER_TOPIC_MAX) return NULL;
	struct topic *topic = &publisher->topics[publisher->topic_count++];
	memcpy(topic->name, name, strlen(name) + 1);
	return topic;
}

static enum fts_status append(struct fts_publisher *publisher, const struct record *record, struct fts_bytes payload)
{
	struct queue *queue = &publisher->queues[publisher->filling];
	size_t padded_bytes = (payload.size_bytes + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;

	if (queue->used_bytes + sizeof *record + padded_bytes > publisher->queue_max_bytes)
		return FTS_RESOURCE_EXHAUSTED;
	memcpy(queue->data + queue->used_bytes, record, sizeof *record);
	if (payload.size_bytes)
		memcpy(queue->data + queue->used_bytes + sizeof *record, payload.data, payload.size_bytes);
	if (queue->used_bytes == 0) pthread_cond_signal(&publisher->work);
	queue->used_bytes += sizeof *record + padded_bytes;
	return FTS_OK;
}

enum fts_status fts_publisher_publish(struct fts_publisher *publisher, uint64_t index, uint32_t ordinal,
				      const char *topic_name, struct fts_bytes payload)
{
	size_t length = strlen(topic_name);
	bool named = length > 0 && length <= FTS_PUBLISHER_TOPIC_MAX_BYTES;
	enum fts_status status = named ? FTS_RESOURCE_EXHAUSTED : FTS_INVALID_ARGUMENT;

	pthread_mutex_lock(&publisher->lock);
	struct topic *topic = named ? find_topic(publisher, topic_name) : NULL;
	if (topic) {
		struct record record = {.position = {index, ordinal},
					.previous = topic->last,
					.topic = (uint32_t)(topic - publisher->topics),
					.size_bytes = (uint32_t)payload.size_bytes,
					.dropped_count = publisher->dropped_count};
		bool fits = payload.size_bytes <= FTS_EVENT_PAYLOAD_MAX_BYTES;
		status = fits ? append(publisher, &record, payload) : FTS_INVALID_ARGUMENT;
		topic->last = record.position;
	}
	publisher->dropped_count = status == FTS_OK ? 0 : publisher->dropped_count + 1;
	pthread_mutex_unlock(&publisher->lock);
	return status;
}

/* ---- Sending ---- */

static void sleep_ns(uint64_t wait_ns)
{
	struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000u), .tv_nsec = (long)(wait_ns % 1000000000u)};

	(void)nanosleep(&wait, NULL);
}

static void pace(struct fts_publisher *publisher)
{
	unsigned pipe_count = atomic_load(&publisher->pipe_count);
	double rate_per_ns = PIPE_MESSAGES_PER_MS / (pipe_count + 2) / 1e6;
	uint64_t now_ns = fts_clock_monotonic_ns();

	publisher->tokens += (double)(now_ns - publisher->tokens_ns) * rate_per_ns;
	publisher->tokens_ns = now_ns;
	if (publisher->tokens > BURST_COUNT) publisher->tokens = BURST_COUNT;
	publisher->tokens -= 1;
	if (publisher->tokens < 0 && pipe_count > 0)
		sleep_ns((uint64_t)((BURST_COUNT / 8 - publisher->tokens) / rate_per_ns));
}

/* Up to 32 events of one topic that follow each other in the queue. */
struct batch {
	Fts__Rpc__V1__EventBatch message;
	Fts__Rpc__V1__Event events[BATCH_COUNT_MAX];
	Fts__Rpc__V1__Event *list[BATCH_COUNT_MAX];
	size_t payload_bytes;
	uint32_t topic;
};

static void send_batch(struct fts_publisher *publisher, struct batch *batch, const char *topic)
{
	size_t topic_bytes = strlen(topic) + 1, packed_bytes = 0;
	nng_msg *message = NULL;
	int error;

	batch->message.message = ++publisher->message;
	packed_bytes = fts__rpc__v1__event_batch__get_packed_size(&batch->message);
	if ((error = nng_msg_alloc(&message, topic_bytes + packed_bytes)) == 0) {
		uint8_t *body = nng_msg_body(message);
		memcpy(body, topic, topic_bytes);
		fts__rpc__v1__event_batch__pack(&batch->message, body + topic_bytes);
		pace(publisher);
		if ((error = nng_sendmsg(publisher->socket, message, 0)) != 0) nng_msg_free(message);
	}
	/* Its number is used up, so every subscriber sees that it is missing. */
	if (error != 0) FTS_LOG_WARN("events.unsent", "nng_error=%d", error);
}

static void add_event(struct batch *batch, const struct record *record, const uint8_t *payload, char *topic)
{
	if (batch->message.n_events == 0) {
		fts__rpc__v1__event_batch__init(&batch->message);
		batch->message.events = batch->list;
		batch->message.previous_index = record->previous.index;
		batch->message.previous_ordinal = record->previous.ordinal;
		batch->payload_bytes = 0;
		batch->topic = record->topic;
	}
	Fts__Rpc__V1__Event *event = &batch->events[batch->message.n_events];
	fts__rpc__v1__event__init(event);
	event->index = record->position.index;
	event->ordinal = record->position.ordinal;
	event->topic = topic;
	event->payload = (ProtobufCBinaryData){record->size_bytes, (uint8_t *)(uintptr_t)payload};
	batch->list[batch->message.n_events++] = event;
	batch->payload_bytes += record->size_bytes;
}

static bool continues(const struct batch *batch, const struct record *record)
{
	return batch->message.n_events < BATCH_COUNT_MAX && record->dropped_count == 0 &&
	       batch->topic == record->topic && batch->payload_bytes + record->size_bytes <= BATCH_SOFT_BYTES;
}

static void flush(struct fts_publisher *publisher, struct batch *batch)
{
	if (batch->message.n_events) send_batch(publisher, batch, publisher->topics[batch->topic].name);
	batch->message.n_events = 0;
}

static bool too_late(struct fts_publisher *publisher)
{
	uint64_t deadline_ns = atomic_load(&publisher->stop_deadline_ns);

	return deadline_ns && fts_clock_monotonic_ns() > deadline_ns;
}

static void send_queue(struct fts_publisher *publisher, struct queue *queue)
{
	struct batch batch = {.message = {.n_events = 0}};

	for (size_t at = 0; at < queue->used_bytes;) {
		struct record record;
		memcpy(&record, queue->data + at, sizeof record);
		const uint8_t *payload = queue->data + at + sizeof record;
		if (!continues(&batch, &record)) flush(publisher, &batch);
		publisher->message += record.dropped_count;
		/* Names of topics never change once they are there. */
		add_event(&batch, &record, payload, publisher->topics[record.topic].name);
		at += sizeof record + (record.size_bytes + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
		if (too_late(publisher)) break;
	}
	flush(publisher, &batch);
	queue->used_bytes = 0;
}

static void *sender_main(void *ctx)
{
	struct fts_publisher *publisher = ctx;

	pthread_mutex_lock(&publisher->lock);
	for (;;) {
		struct queue *queue = &publisher->queues[publisher->filling];
		if (queue->used_bytes == 0 && publisher->stop) break;
		if (queue->used_bytes == 0) {
			pthread_cond_wait(&publisher->work, &publisher->lock);
			continue;
		}
		publisher->filling ^= 1u;
		pthread_mutex_unlock(&publisher->lock);
		send_queue(publisher, queue);
		pthread_mutex_lock(&publisher->lock);
	}
	pthread_mutex_unlock(&publisher->lock);
	return NULL;
}

/* ---- Life ---- */

static void note_pipe(nng_pipe pipe, nng_pipe_ev event, void *ctx)
{
	struct fts_publisher *publisher = ctx;

	pthread_mutex_lock(&publisher->pipe_lock);
	ftsi_pipe_set_note(&publisher->pipes, pipe, event);
	atomic_store(&publisher->pipe_count, publisher->pipes.count);
	pthread_mutex_unlock(&publisher->pipe_lock);
}

static enum fts_status open_socket(struct fts_publisher *publisher, const struct fts_publisher_options *options,
				   struct fts_error *out_error)
{
	if (nng_pub0_open(&publisher->socket) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no socket for events");
	publisher->open = true;
	if (nng_socket_set_int(publisher->socket, NNG_OPT_SENDBUF, PIPE_QUEUE_COUNT) != 0 ||
	    nng_pipe_notify(publisher->socket, NNG_PIPE_EV_ADD_POST, note_pipe, publisher) != 0 ||
	    nng_pipe_notify(publisher->socket, NNG_PIPE_EV_REM_POST, note_pipe, publisher) != 0)
		return fts_error_set(out_error, FTS_INTERNAL, "nng refuses its own options");
	return ftsi_stock_listen(publisher->socket, options->listen, &options->tls, NOTHING_RECEIVED_MAX_BYTES,
				 &publisher->port, &publisher->door, out_error);
}

static enum fts_status start(struct fts_publisher *publisher, const struct fts_publisher_options *options,
			     struct fts_error *out_error)
{
	publisher->queue_max_bytes = options->queue_max_bytes ? options->queue_max_bytes : QUEUE_DEFAULT_BYTES;
	publisher->topics = calloc(FTS_PUBLISHER_TOPIC_MAX, sizeof *publisher->topics);
	publisher->queues[0].data = malloc(publisher->queue_max_bytes);
	publisher->queues[1].data = malloc(publisher->queue_max_bytes);
	publisher->tokens = BURST_COUNT;
	publisher->tokens_ns = fts_clock_monotonic_ns();
	if (!publisher->topics || !publisher->queues[0].data || !publisher->queues[1].data)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for events");
	enum fts_status status = open_socket(publisher, options, out_error);
	if (status != FTS_OK) return status;
	if (pthread_create(&publisher->thread, NULL, sender_main, publisher) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread for events");
	publisher->started = true;
	return FTS_OK;
}

enum fts_status fts_publisher_create(const struct fts_publisher_options *options, struct fts_publisher **out_publisher,
				     struct fts_error *out_error)
{
	struct fts_publisher *publisher = calloc(1, sizeof *publisher);

	if (!publisher) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for events");
	pthread_mutex_init(&publisher->lock, NULL);
	pthread_mutex_init(&publisher->pipe_lock, NULL);
	pthread_cond_init(&publisher->work, NULL);
	enum fts_status status = start(publisher, options, out_error);
	if (status == FTS_OK)
		*out_publisher = publisher;
	else
		fts_publisher_destroy(publisher);
	return status;
}

uint16_t fts_publisher_port(const struct fts_publisher *publisher)
{
	return publisher->port;
}

uint32_t fts_publisher_subscriber_count(const struct fts_publisher *publisher)
{
	return atomic_load(&publisher->pipe_count);
}

static void stop_sender(struct fts_publisher *publisher)
{
	atomic_store(&publisher->stop_deadline_ns, fts_clock_monotonic_ns() + LAST_SENDING_NS);
	pthread_mutex_lock(&publisher->lock);
	publisher->stop = true;
	pthread_cond_signal(&publisher->work);
	pthread_mutex_unlock(&publisher->lock);
	pthread_join(publisher->thread, NULL);
}

void fts_publisher_destroy(struct fts_publisher *publisher)
{
	if (!publisher) return;
	if (publisher->started) stop_sender(publisher);
	if (publisher->open) nng_close(publisher->socket);
	ftsi_stock_door_close(&publisher->door);
	free(publisher->queues[0].data);
	free(publisher->queues[1].data);
	free(publisher->topics);
	pthread_cond_destroy(&publisher->work);
	pthread_mutex_destroy(&publisher->pipe_lock);
	pthread_mutex_destroy(&publisher->lock);
	free(publisher);
}
