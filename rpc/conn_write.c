/* Why this file exists: see conn.h; here: what a connection writes. Two buffers: messages are appended to one while
 * nng sends the other; they change places when it is through. */
#include "rpc/conn_internal.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

#define OUT_FIRST_BYTES 4096u
#define OUT_KEEP_BYTES 65536u
#define BURST_NS 20000u

/* A message alone leaves at once, by the thread that appends it: that is the least latency. One that follows within
 * BURST_NS is likely one of many, as when a batch of commands is answered: a write for each would cost more than all
 * else together. So the write is left to one of nng's threads, and by the time that runs there are many. */
enum departure { DEPARTS_WITH_OTHERS, DEPARTS_NOW, DEPARTS_SOON };

/* What a thread that answers many calls has appended to, and not sent yet: it has the send role of each. */
enum { GATHER_MAX = 64 };
static _Thread_local struct {
	unsigned depth; /* 0: it does not gather */
	unsigned count;
	struct ftsi_conn *conns[GATHER_MAX]; /* held */
} gathered;

bool ftsi_conn_backlog_is_high(const struct ftsi_conn *conn)
{
	return atomic_load_explicit(&conn->backlog_bytes, memory_order_relaxed) > conn->options.backlog_high_bytes;
}

/* Called with out_mutex held. */
static void backlog_note(struct ftsi_conn *conn)
{
	size_t flying_bytes = conn->flying.end - conn->flying.begin;
	atomic_store_explicit(&conn->backlog_bytes, conn->pending.end + flying_bytes, memory_order_relaxed);
}

/* Room for size_bytes more behind pending.end. Called with out_mutex held. */
static bool reserve(struct ftsi_buffer *buffer, size_t size_bytes)
{
	size_t need = buffer->end + size_bytes;
	if (need <= buffer->capacity_bytes) return true;
	size_t capacity = buffer->capacity_bytes < OUT_FIRST_BYTES ? OUT_FIRST_BYTES : buffer->capacity_bytes * 2;
	while (capacity < need)
		capacity *= 2;
	return ftsi_buffer_resize(buffer, capacity);
}

/* protobuf-c packs into this: bounded, and in one pass, where asking for the size first takes two. */
struct pack_target {
	ProtobufCBuffer base;
	struct ftsi_buffer *buffer;
	size_t left_bytes;
	bool failed;
};

static void pack_append(ProtobufCBuffer *base, size_t size_bytes, const uint8_t *data)
{
	struct pack_target *target = (struct pack_target *)(void *)base;
	if (target->failed) return;
	if (size_bytes > target->left_bytes || !reserve(target->buffer, size_bytes)) {
		target->failed = true;
		return;
	}
	memcpy(target->buffer->data + target->buffer->end, data, size_bytes);
	target->buffer->end += size_bytes;
	target->left_bytes -= size_bytes;
}

static bool append_payload(struct ftsi_buffer *out, const struct ftsi_outgoing *outgoing, size_t left_bytes)
{
	struct pack_target target = {.base = {.append = pack_append}, .buffer = out, .left_bytes = left_bytes};
	if (outgoing->message != NULL)
		protobuf_c_message_pack_to_buffer(outgoing->message, &target.base);
	else if (outgoing->payload.size_bytes > 0)
		pack_append(&target.base, outgoing->payload.size_bytes, outgoing->payload.data);
	return !target.failed;
}

/* Append one message to pending; on failure pending is as before. Called with out_mutex held. */
static enum fts_status append(struct ftsi_conn *conn, const struct ftsi_outgoing *outgoing, size_t *out_size_bytes)
{
	struct ftsi_buffer *out = &conn->pending;
	size_t start = out->end;
	size_t head_bytes = FTSI_LENGTH_BYTES + outgoing->route.size_bytes;
	FTS_ASSERT(outgoing->route.size_bytes <= FTSI_ROUTE_MAX_BYTES);
	if (!reserve(out, head_bytes + FTSI_HEADER_MAX_BYTES)) return FTS_RESOURCE_EXHAUSTED;
	if (outgoing->route.size_bytes > 0)
		memcpy(out->data + start + FTSI_LENGTH_BYTES, outgoing->route.data, outgoing->route.size_bytes);
	uint8_t *header = out->data + start + head_bytes;
	bool one_way = outgoing->call == NULL && outgoing->reply == NULL;
	size_t header_bytes = one_way ? 0
			      : outgoing->call != NULL
				  ? ftsi_call_header_write(&conn->writer.call, outgoing->call, header)
				  : ftsi_reply_header_write(&conn->writer.reply, outgoing->reply, header);
	if (header_bytes == 0 && !one_way) return FTS_INVALID_ARGUMENT;
	out->end = start + head_bytes + header_bytes;
	size_t size_bytes = out->end - start - FTSI_LENGTH_BYTES;
	if (!append_payload(out, outgoing, conn->options.message_max_bytes - size_bytes)) {
		out->end = start;
		return FTS_RESOURCE_EXHAUSTED;
	}
	size_bytes = out->end - start - FTSI_LENGTH_BYTES;
	ftsi_put_be64(out->data + start, size_bytes);
	if (out_size_bytes != NULL) *out_size_bytes = size_bytes;
	return FTS_OK;
}

/* Take what is pending for a send. True: the caller is to call transmit. Called with out_mutex held. */
static bool take_off(struct ftsi_conn *conn)
{
	if (conn->sending || conn->pending.end == 0 || ftsi_conn_is_closed(conn)) return false;
	struct ftsi_buffer empty = conn->flying;
	conn->flying = conn->pending;
	empty.begin = empty.end = 0;
	conn->pending = empty;
	conn->sending = true;
	return true;
}

/* nng forgets an operation that is posted after the close: end it once more. */
static void mind_close(struct ftsi_conn *conn, nng_aio *aio)
{
	if (!ftsi_conn_is_closed(conn)) return;
	nng_stream_close(conn->stream);
	nng_aio_cancel(aio);
}

/* Have ftsi_conn_on_sent called once nng is through with what it was given before: an empty send. The send role
 * goes with it. */
static void call_back(struct ftsi_conn *conn)
{
	nng_iov empty = {conn->hello, 0};
	ftsi_conn_hold(conn); /* until the callback has run */
	ftsi_conn_hold(conn);
	nng_aio_set_iov(conn->sent_aio, 1, &empty);
	nng_stream_send(conn->stream, conn->sent_aio);
	mind_close(conn, conn->send_aio);
	mind_close(conn, conn->sent_aio);
	ftsi_conn_release(conn);
}

/* Give flying to nng. True: it is through, which is the rule; false: the send role has gone to a callback.
 *
 * A completion that nng reports costs a wake-up of another thread, nearly as much as the write. So the send has no
 * callback but is looked at: nng leaves a count or an error when it is through. When neither is there, it waits for
 * the peer, and an empty send behind it tells of the end. */
static bool transmit(struct ftsi_conn *conn)
{
	nng_iov iov = {conn->flying.data + conn->flying.begin, conn->flying.end - conn->flying.begin};
	nng_aio_set_iov(conn->send_aio, 1, &iov);
	nng_stream_send(conn->stream, conn->send_aio);
	if (nng_aio_count(conn->send_aio) > 0 || nng_aio_result(conn->send_aio) != 0) return true;
	call_back(conn);
	return false;
}

enum landed { LANDED_IDLE, LANDED_MORE, LANDED_RESUME };

/* What follows when flying is empty: the next flight, or the reader's turn. Called with out_mutex held. */
static enum landed next_flight(struct ftsi_conn *conn)
{
	conn->sending = false;
	if (take_off(conn)) return LANDED_MORE;
	if (!conn->paused) return LANDED_IDLE;
	conn->sending = true; /* the reader role goes with the send role */
	return LANDED_RESUME;
}

/* Account for a send that is through. */
static enum landed land(struct ftsi_conn *conn)
{
	struct ftsi_buffer *flying = &conn->flying;
	nng_aio_wait(conn->send_aio); /* nng may be about to let go of it */
	int error = nng_aio_result(conn->send_aio);
	size_t sent_bytes = error == 0 ? nng_aio_count(conn->send_aio) : flying->end - flying->begin;
	if (error != 0) ftsi_conn_close(conn, error == NNG_ECONNSHUT ? "peer closed" : nng_strerror(error));
	uint64_t total = atomic_load_explicit(&conn->sent_bytes, memory_order_relaxed);
	atomic_store_explicit(&conn->sent_bytes, total + (error == 0 ? sent_bytes : 0), memory_order_relaxed);

	enum landed landed = LANDED_MORE;
	pthread_mutex_lock(&conn->out_mutex);
	flying->begin += sent_bytes;
	FTS_ASSERT(flying->begin <= flying->end);
	if (flying->begin == flying->end) {
		flying->begin = flying->end = 0;
		if (flying->capacity_bytes > OUT_KEEP_BYTES) ftsi_buffer_free(flying);
		landed = next_flight(conn);
	}
	backlog_note(conn);
	pthread_mutex_unlock(&conn->out_mutex);
	return landed;
}

/* Send until nothing is left or nng waits for the peer. Called by whoever set `sending`. */
static void send_on(struct ftsi_conn *conn)
{
	enum landed landed = LANDED_MORE;
	while (landed == LANDED_MORE) {
		if (!transmit(conn)) return;
		landed = land(conn);
	}
	/* Not from here: callbacks don't run within ftsi_conn_send. */
	if (landed == LANDED_RESUME) call_back(conn);
}

static void send_and_note(struct ftsi_conn *conn)
{
	send_on(conn);
	atomic_store_explicit(&conn->departed_ns, fts_clock_monotonic_ns(), memory_order_relaxed);
}

/* Nothing flies, and this is one of nng's threads: send what has gathered, and read on if that has waited. */
static void resume(struct ftsi_conn *conn)
{
	pthread_mutex_lock(&conn->out_mutex);
	bool was_paused = conn->paused;
	conn->paused = false;
	conn->sending = false;
	bool go = take_off(conn);
	pthread_mutex_unlock(&conn->out_mutex);
	if (go) send_and_note(conn);
	if (was_paused) ftsi_conn_read(conn);
}

void ftsi_conn_on_sent(void *arg)
{
	struct ftsi_conn *conn = arg;
	bool nothing_flies = conn->flying.begin == conn->flying.end;
	enum landed landed = nothing_flies ? LANDED_RESUME : land(conn);
	if (landed == LANDED_MORE)
		send_on(conn);
	else if (landed == LANDED_RESUME)
		resume(conn);
	ftsi_conn_release(conn);
}

void ftsi_conn_flush(struct ftsi_conn *conn)
{
	pthread_mutex_lock(&conn->out_mutex);
	bool go = take_off(conn);
	pthread_mutex_unlock(&conn->out_mutex);
	if (go) send_on(conn);
}

/* How what was just appended leaves. Called with out_mutex held. */
static enum departure departure_of(struct ftsi_conn *conn, uint64_t now_ns)
{
	if (ftsi_conn_reading_here(conn) || conn->sending || ftsi_conn_is_closed(conn)) return DEPARTS_WITH_OTHERS;
	if (gathered.depth > 0 && gathered.count < GATHER_MAX) {
		conn->sending = true;
		gathered.conns[gathered.count++] = ftsi_conn_hold(conn);
		return DEPARTS_WITH_OTHERS;
	}
	if (now_ns >= atomic_load_explicit(&conn->departed_ns, memory_order_relaxed) + BURST_NS) {
		take_off(conn);
		return DEPARTS_NOW;
	}
	conn->sending = true; /* the send role goes to a callback, and gathers until that runs */
	return DEPARTS_SOON;
}

static void depart(struct ftsi_conn *conn, enum departure departure)
{
	if (departure == DEPARTS_SOON) call_back(conn);
	if (departure != DEPARTS_NOW) return;
	send_and_note(conn);
}

enum fts_status ftsi_conn_send(struct ftsi_conn *conn, const struct ftsi_outgoing *outgoing, size_t *out_size_bytes)
{
	enum departure departure = DEPARTS_WITH_OTHERS;
	enum fts_status st = FTS_UNAVAILABLE;
	bool gathers = ftsi_conn_reading_here(conn) || gathered.depth > 0;
	uint64_t now_ns = gathers ? 0 : fts_clock_monotonic_ns();
	pthread_mutex_lock(&conn->out_mutex);
	if (!ftsi_conn_is_closed(conn)) {
		st = append(conn, outgoing, out_size_bytes);
		conn->out_used = true;
		backlog_note(conn);
		if (st == FTS_OK) departure = departure_of(conn, now_ns);
	}
	bool too_much = ftsi_conn_backlog_bytes(conn) > conn->options.backlog_max_bytes;
	pthread_mutex_unlock(&conn->out_mutex);
	depart(conn, departure);
	if (too_much) ftsi_conn_close(conn, "peer reads too slowly");
	return st;
}

static void send_gathered(struct ftsi_conn *conn)
{
	bool go = false;
	pthread_mutex_lock(&conn->out_mutex);
	bool reads_again =
	    conn->paused; /* the reader role has come to the send role: that needs one of nng's threads */
	if (!reads_again) {
		conn->sending = false;
		go = take_off(conn);
	}
	pthread_mutex_unlock(&conn->out_mutex);
	if (reads_again)
		call_back(conn);
	else if (go)
		send_and_note(conn);
	ftsi_conn_release(conn);
}

void ftsi_conn_gather_begin(void)
{
	gathered.depth++;
}

void ftsi_conn_gather_end(void)
{
	FTS_ASSERT(gathered.depth > 0);
	if (--gathered.depth > 0) return;
	for (; gathered.count > 0; gathered.count--)
		send_gathered(gathered.conns[gathered.count - 1]);
}

bool ftsi_conn_is_flushed(struct ftsi_conn *conn)
{
	pthread_mutex_lock(&conn->out_mutex);
	bool flushed = conn->pending.end == 0 && !conn->sending;
	pthread_mutex_unlock(&conn->out_mutex);
	return flushed;
}

bool ftsi_conn_pause(struct ftsi_conn *conn)
{
	pthread_mutex_lock(&conn->out_mutex);
	bool pause = conn->sending && ftsi_conn_backlog_is_high(conn);
	if (pause) conn->paused = true;
	pthread_mutex_unlock(&conn->out_mutex);
	return pause;
}

void ftsi_conn_stop_reading(struct ftsi_conn *conn)
{
	atomic_store(&conn->stopped, true);
}

bool ftsi_conn_park(struct ftsi_conn *conn)
{
	pthread_mutex_lock(&conn->out_mutex);
	bool park = atomic_load(&conn->stopped) && !ftsi_conn_is_closed(conn);
	if (park) conn->parked = true;
	pthread_mutex_unlock(&conn->out_mutex);
	return park;
}

void ftsi_conn_read_on(struct ftsi_conn *conn)
{
	bool call = false;
	pthread_mutex_lock(&conn->out_mutex);
	atomic_store(&conn->stopped, false);
	if (conn->parked) {
		conn->parked = false;
		conn->paused = true; /* the reader role goes with the send role */
		call = !conn->sending;
		conn->sending = true;
	}
	pthread_mutex_unlock(&conn->out_mutex);
	if (call) call_back(conn);
}
