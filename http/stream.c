/* Why this file exists: fts.http.v1.Events/Subscribe: a subscription (include/fts/events.h) as a stream of the Connect
 * protocol. The subscription keeps its promises here too: in order, each once, over the deaths of nodes, losses told.
 *
 * Invariants
 * - A reader that is slow holds its own subscription up, no more: at most BUFFER_MAX_BYTES and one event wait for it.
 * - Every stream says something at least every BEAT_NS, so that each side notices the other's end.
 * - The housekeeper alone opens, closes and frees; whoever else is done with a stream says so (is_left, is_ended).
 * - Who may not replay events may not subscribe: the caller's token is tried on Events/Replay first. */
#include <stdlib.h>
#include <string.h>

#include <fts/events.h>
#include <fts/http/v1/stream.pb-c.h>
#include <fts/rpc/v1/events.fts.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/internal.h"
#include "http/message.h"
#include "rpc/statistics.h"

#define BUFFER_MAX_BYTES ((size_t)256 * 1024)
#define BEAT_NS (5ull * 1000 * 1000 * 1000)
#define SUBSCRIBE_MS 3000
#define PIECE_BYTES 16384u

struct ftsi_http_stream {
	struct fts_door *door;
	struct ftsi_http_stream *next; /* guarded by the door's lock */
	char *topic;                   /* owned */
	uint64_t from_index;
	bool json;
	enum ftsi_codec codec;
	uint8_t token[FTSI_HTTP_TOKEN_MAX_BYTES];
	size_t token_bytes;
	uint64_t deadline_ns;                  /* 0: none */
	struct fts_subscription *subscription; /* the housekeeper's */
	bool is_opened;                        /* the housekeeper's: or it was tried in vain */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Guarded by lock. */
	struct MHD_Connection *connection;
	bool is_begun; /* the caller may, and is told so */
	bool is_suspended;
	bool is_ended; /* the last envelope is in the buffer */
	bool is_left;  /* nobody reads any more */
	uint64_t beat_ns;
	uint8_t *bytes; /* owned */
	size_t begin, end, capacity_bytes;
};

/* ---- The buffer: with the lock held ---- */

static bool buffer_grow(struct ftsi_http_stream *stream, size_t more_bytes)
{
	size_t used = stream->end - stream->begin, capacity = stream->capacity_bytes;
	if (stream->begin > 0 && used > 0) memmove(stream->bytes, stream->bytes + stream->begin, used);
	stream->begin = 0;
	stream->end = used;
	if (used + more_bytes <= capacity) return true;
	for (capacity = capacity == 0 ? 4096 : capacity; capacity < used + more_bytes;)
		capacity *= 2;
	uint8_t *bytes = realloc(stream->bytes, capacity);
	if (bytes == NULL) return false;
	stream->bytes = bytes;
	stream->capacity_bytes = capacity;
	return true;
}

static void resume(struct ftsi_http_stream *stream)
{
	if (!stream->is_suspended) return;
	stream->is_suspended = false;
	MHD_resume_connection(stream->connection);
}

/* One envelope. False: no memory. */
static bool append(struct ftsi_http_stream *stream, uint8_t flags, const void *data, size_t size_bytes)
{
	if (stream->is_left || stream->is_ended) return true;
	if (size_bytes > FTS_MESSAGE_MAX * 4u || !buffer_grow(stream, FTSI_ENVELOPE_BYTES + size_bytes)) return false;
	uint8_t *at = stream->bytes + stream->end;
	at[0] = flags;
	for (unsigned i = 0; i < 4; i++)
		at[1 + i] = (uint8_t)(size_bytes >> (24 - 8 * i));
	if (size_bytes > 0) memcpy(at + FTSI_ENVELOPE_BYTES, data, size_bytes);
	stream->end += FTSI_ENVELOPE_BYTES + size_bytes;
	stream->beat_ns = fts_clock_monotonic_ns() + BEAT_NS;
	resume(stream);
	return true;
}

static void end_with(struct ftsi_http_stream *stream, const struct fts_error *error)
{
	char *text = error == NULL ? NULL : ftsi_connect_error_json(error, true);
	const char *end = text != NULL ? text : "{}";
	(void)append(stream, FTSI_ENVELOPE_END, end, strlen(end)); /* without memory it ends without a word */
	stream->is_ended = true;
	free(text);
	resume(stream);
	pthread_cond_broadcast(&stream->changed);
}

/* ---- Messages ---- */

static const ProtobufCMessageDescriptor *type_of_topic(const struct fts_server *server, const char *topic)
{
	for (size_t i = 0; i < ftsi_server_service_count(server); i++) {
		const struct fts_service *service = ftsi_server_service(server, i);
		for (size_t k = 0; k < service->type_count; k++)
			if (service->types[k].message != NULL && service->types[k].topic[0] != '\0' &&
			    strcmp(service->types[k].topic, topic) == 0)
				return service->types[k].message;
	}
	return NULL;
}

/* Blocks while the reader is behind. False: the stream is over. Called without the lock. */
static bool send_message(struct ftsi_http_stream *stream, Fts__Http__V1__SubscribeResponse *message)
{
	uint8_t *body = NULL;
	size_t size = 0, packed_size = fts__http__v1__subscribe_response__get_packed_size(message);
	uint8_t *packed = malloc(packed_size + 1);
	if (packed == NULL) return false;
	fts__http__v1__subscribe_response__pack(message, packed);
	enum fts_status status = ftsi_message_write(stream->codec, message->base.descriptor,
						    (struct fts_bytes){packed, packed_size}, &body, &size, NULL);
	free(packed);
	if (status != FTS_OK) return false;
	pthread_mutex_lock(&stream->lock);
	while (stream->end - stream->begin > BUFFER_MAX_BYTES && !stream->is_left && !stream->is_ended)
		pthread_cond_wait(&stream->changed, &stream->lock);
	bool goes_on = append(stream, 0, body, size) && !stream->is_left && !stream->is_ended;
	pthread_mutex_unlock(&stream->lock);
	free(body);
	return goes_on;
}

static void send_notice(struct ftsi_http_stream *stream, const char *notice)
{
	Fts__Http__V1__SubscribeResponse message = FTS__HTTP__V1__SUBSCRIBE_RESPONSE__INIT;
	message.notice = (char *)(uintptr_t)notice;
	(void)send_message(stream, &message);
}

/* ---- The subscription's thread ---- */

static bool on_event(void *ctx, const struct fts_event *event, uint64_t lost_count)
{
	struct ftsi_http_stream *stream = ctx;
	Fts__Http__V1__SubscribeResponse message = FTS__HTTP__V1__SUBSCRIBE_RESPONSE__INIT;
	uint8_t *json = NULL;
	size_t json_size = 0;
	message.lost = lost_count;
	if (event != NULL) {
		const ProtobufCMessageDescriptor *type =
		    stream->json ? type_of_topic(stream->door->options.server, event->topic) : NULL;
		message.index = event->index;
		message.ordinal = event->ordinal;
		message.topic = (char *)(uintptr_t)event->topic;
		message.payload.data = (uint8_t *)(uintptr_t)event->payload.data;
		message.payload.len = event->payload.size_bytes;
		if (type != NULL &&
		    ftsi_message_write(FTSI_CODEC_JSON, type, event->payload, &json, &json_size, NULL) == FTS_OK) {
			message.json = (char *)json;
			message.payload.len = 0; /* once is enough */
		}
	}
	bool goes_on = send_message(stream, &message);
	free(json);
	return goes_on;
}

static void on_notice(void *ctx, enum fts_subscription_notice notice, const char *endpoint, const char *reason)
{
	(void)endpoint;
	(void)reason;
	send_notice(ctx, notice == FTS_SUBSCRIPTION_UP ? "up" : "lost");
}

/* ---- The housekeeper ---- */

static void open_stream(struct ftsi_http_stream *stream)
{
	struct fts_error error = {0};
	struct fts_door *door = stream->door;
	struct fts_subscribe_options options = {.endpoints = door->options.endpoint,
						.tls = door->options.tls,
						.token = {stream->token, stream->token_bytes},
						.topic = stream->topic,
						.from_index = stream->from_index,
						.on_notice = on_notice};
	stream->is_opened = true;
	if (fts_subscribe(&options, SUBSCRIBE_MS, on_event, stream, &stream->subscription, &error) == FTS_OK) return;
	pthread_mutex_lock(&stream->lock);
	end_with(stream, &error);
	pthread_mutex_unlock(&stream->lock);
}

static void free_stream(struct ftsi_http_stream *stream)
{
	if (stream == NULL) return;
	fts_subscription_close(stream->subscription);
	atomic_fetch_sub(&stream->door->stream_count, 1);
	pthread_cond_destroy(&stream->changed);
	pthread_mutex_destroy(&stream->lock);
	free(stream->topic);
	free(stream->bytes);
	free(stream);
}

/* True: it is to be freed. */
static bool look_at(struct ftsi_http_stream *stream, bool ending, uint64_t now_ns)
{
	struct fts_error error = {0};
	if (ending)
		(void)fts_error_set(&error, FTS_UNAVAILABLE, "this node is stopping: go on at another one");
	else if (stream->deadline_ns != 0 && now_ns >= stream->deadline_ns)
		(void)fts_error_set(&error, FTS_DEADLINE_EXCEEDED, "the time limit of the stream has passed");
	pthread_mutex_lock(&stream->lock);
	bool is_left = stream->is_left, beat = now_ns >= stream->beat_ns && stream->begin == stream->end;
	if (error.status != FTS_OK && !stream->is_ended) end_with(stream, &error);
	bool goes_on = stream->is_begun && !stream->is_ended;
	pthread_mutex_unlock(&stream->lock);
	if (is_left) return true;
	if (goes_on && !stream->is_opened)
		open_stream(stream);
	else if (goes_on && beat)
		send_notice(stream, "alive");
	return false;
}

void ftsi_stream_keep(struct fts_door *door, bool ending)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	struct ftsi_http_stream **at = &door->streams, *stream;
	pthread_mutex_lock(&door->lock);
	while ((stream = *at) != NULL) { /* others add at the front only, and only the housekeeper takes away */
		pthread_mutex_unlock(&door->lock);
		bool over = look_at(stream, ending, now_ns);
		pthread_mutex_lock(&door->lock);
		if (!over) {
			at = &stream->next;
			continue;
		}
		while (*at != stream) /* what was added at the front meanwhile stands before it */
			at = &(*at)->next;
		*at = stream->next;
		pthread_mutex_unlock(&door->lock);
		free_stream(stream);
		pthread_mutex_lock(&door->lock);
	}
	pthread_mutex_unlock(&door->lock);
}

void ftsi_stream_leave(struct ftsi_http_stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	stream->is_left = true;
	stream->is_suspended = false;
	pthread_cond_broadcast(&stream->changed);
	pthread_mutex_unlock(&stream->lock);
}

/* ---- libmicrohttpd's threads ---- */

static ssize_t read_piece(void *ctx, uint64_t position, char *out, size_t max_bytes)
{
	struct ftsi_http_stream *stream = ctx;
	(void)position;
	pthread_mutex_lock(&stream->lock);
	size_t size = stream->end - stream->begin;
	ssize_t result = (ssize_t)(size < max_bytes ? size : max_bytes);
	if (size > 0) {
		memcpy(out, stream->bytes + stream->begin, (size_t)result);
		stream->begin += (size_t)result;
		pthread_cond_broadcast(&stream->changed);
	} else if (stream->is_ended) {
		result = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		stream->is_suspended = true;
		MHD_suspend_connection(stream->connection);
	}
	pthread_mutex_unlock(&stream->lock);
	return result;
}

static struct ftsi_http_stream *make_stream(struct ftsi_exchange *exchange,
					    const Fts__Http__V1__SubscribeRequest *request)
{
	struct ftsi_http_stream *stream = calloc(1, sizeof(*stream));
	if (stream == NULL) return NULL;
	stream->topic = strdup(request->topic);
	if (stream->topic == NULL) {
		free(stream);
		return NULL;
	}
	stream->door = exchange->door;
	stream->connection = exchange->connection;
	stream->codec = exchange->codec;
	stream->from_index = request->from_index;
	stream->json = request->json;
	stream->token_bytes = exchange->token.size_bytes; /* bounded where it was read */
	if (stream->token_bytes > 0) memcpy(stream->token, exchange->token.data, stream->token_bytes);
	uint64_t now_ns = fts_clock_monotonic_ns();
	stream->beat_ns = now_ns + BEAT_NS;
	if (exchange->timeout_ms > 0) stream->deadline_ns = fts_clock_deadline_ns(now_ns, exchange->timeout_ms);
	pthread_mutex_init(&stream->lock, NULL);
	pthread_cond_init(&stream->changed, NULL);
	return stream;
}

/* From now on the housekeeper frees it. */
static bool enlist(struct ftsi_exchange *exchange, struct ftsi_http_stream *stream)
{
	struct fts_door *door = exchange->door;
	if (atomic_fetch_add(&door->stream_count, 1) >= door->options.stream_count_max) {
		(void)fts_error_set(&exchange->error, FTS_RESOURCE_EXHAUSTED,
				    "%u streams of events are open at this node, more it does not serve: ask another",
				    door->options.stream_count_max);
		free_stream(stream);
		return false;
	}
	exchange->stream = stream;
	pthread_mutex_lock(&door->lock);
	stream->next = door->streams;
	door->streams = stream;
	pthread_mutex_unlock(&door->lock);
	return true;
}

/* The one envelope of the request. */
static enum fts_status read_request(struct ftsi_exchange *exchange, ProtobufCMessage **out_request)
{
	const uint8_t *at = exchange->body;
	size_t size = exchange->body_bytes;
	if (size < FTSI_ENVELOPE_BYTES)
		return fts_error_set(&exchange->error, FTS_INVALID_ARGUMENT,
				     "the body lacks an envelope: 5 bytes of flags and length, then the message");
	if ((at[0] & FTSI_ENVELOPE_COMPRESSED) != 0)
		return fts_error_set(&exchange->error, FTS_UNIMPLEMENTED, "compression is not known here");
	uint64_t length = (uint64_t)at[1] << 24 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 8 | at[4];
	if (length != size - FTSI_ENVELOPE_BYTES)
		return fts_error_set(&exchange->error, FTS_INVALID_ARGUMENT,
				     "the envelope says %llu bytes and %zu follow: one message is expected",
				     (unsigned long long)length, size - FTSI_ENVELOPE_BYTES);
	struct fts_bytes body = {at + FTSI_ENVELOPE_BYTES, (size_t)length};
	return ftsi_message_read(exchange->codec, &fts__http__v1__subscribe_request__descriptor, body, out_request,
				 &exchange->error);
}

bool ftsi_stream_start(struct ftsi_exchange *exchange)
{
	ProtobufCMessage *request = NULL;
	Fts__Rpc__V1__ReplayRequest replay = FTS__RPC__V1__REPLAY_REQUEST__INIT;
	if (read_request(exchange, &request) != FTS_OK) return false;
	struct ftsi_http_stream *stream = make_stream(exchange, (Fts__Http__V1__SubscribeRequest *)request);
	protobuf_c_message_free_unpacked(request, NULL);
	if (stream == NULL) {
		(void)fts_error_set(&exchange->error, FTS_RESOURCE_EXHAUSTED, "out of memory");
		return false;
	}
	return enlist(exchange, stream) && ftsi_call_start(exchange, fts_events_replay_method, &replay.base);
}

/* Refused: the answer of a stream is a stream, with an end alone. */
static enum MHD_Result answer_end(struct ftsi_exchange *exchange)
{
	char *text = ftsi_connect_error_json(&exchange->error, true);
	size_t size = text == NULL ? 0 : strlen(text);
	uint8_t *body = text == NULL ? NULL : malloc(FTSI_ENVELOPE_BYTES + size);
	if (body != NULL) {
		body[0] = FTSI_ENVELOPE_END;
		for (unsigned i = 0; i < 4; i++)
			body[1 + i] = (uint8_t)(size >> (24 - 8 * i));
		memcpy(body + FTSI_ENVELOPE_BYTES, text, size);
	}
	free(text);
	if (body == NULL) return MHD_NO;
	return ftsi_answer(exchange, MHD_HTTP_OK, ftsi_connect_stream_name(exchange->codec), body,
			   FTSI_ENVELOPE_BYTES + size);
}

enum MHD_Result ftsi_stream_answer(struct ftsi_exchange *exchange)
{
	struct ftsi_http_stream *stream = exchange->stream;
	if (exchange->error.status != FTS_OK) return answer_end(exchange);
	struct MHD_Response *response =
	    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_piece, stream, NULL);
	if (response == NULL) return MHD_NO;
	pthread_mutex_lock(&stream->lock);
	stream->is_begun = true;
	pthread_mutex_unlock(&stream->lock);
	ftsi_door_wake(exchange->door);
	MHD_add_response_header(response, "Content-Type", ftsi_connect_stream_name(exchange->codec));
	MHD_add_response_header(response, "Cache-Control", "no-store");
	ftsi_answer_headers(exchange, response);
	enum MHD_Result queued = MHD_queue_response(exchange->connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return queued;
}
