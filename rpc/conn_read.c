/* Why this file exists: see conn.h; here: what a connection reads.
 *
 * The buffer holds in.begin..in.end, of which whole messages are handed on where they lie. It grows with the bytes
 * that have come, at most to twice them, never with what a length claims. */
#include "rpc/conn_internal.h"

#include <string.h>

#include "base/assert.h"

#define SKIP_MAX_BYTES (64u * 1024 * 1024) /* a longer message closes the connection */
#define SMALL_READ_BYTES 2048u
#define SMALL_READS_TO_SHRINK 64u

#define AFTER_EVERY 64u /* messages: so much waits for what is put off at most */

enum parse_result { PARSE_MORE, PARSE_PAUSE, PARSE_STOPPED, PARSE_CLOSED };

static _Thread_local const struct ftsi_conn *reading_here;

/* What this thread has put off until it has handed on what it reads. */
enum { AFTER_MAX = 16 };
static _Thread_local struct {
	unsigned count;
	struct after {
		ftsi_after_fn run;
		void *ctx;
	} list[AFTER_MAX];
} put_off;

void ftsi_conn_after_reading(ftsi_after_fn run, void *ctx)
{
	for (unsigned i = 0; i < put_off.count; i++)
		if (put_off.list[i].run == run && put_off.list[i].ctx == ctx) return;
	if (reading_here == NULL || put_off.count == AFTER_MAX)
		run(ctx);
	else
		put_off.list[put_off.count++] = (struct after){run, ctx};
}

static void run_put_off(void)
{
	if (put_off.count == 0) return;
	ftsi_conn_gather_begin();
	while (put_off.count > 0) {
		struct after last = put_off.list[--put_off.count];
		last.run(last.ctx);
	}
	ftsi_conn_gather_end();
}

bool ftsi_conn_reading_here(const struct ftsi_conn *conn)
{
	return reading_here == conn;
}

uint64_t ftsi_conn_batch(const struct ftsi_conn *conn)
{
	return conn->batch;
}

static size_t held_bytes(const struct ftsi_conn *conn)
{
	return conn->in.end - conn->in.begin;
}

static bool parse_hello(struct ftsi_conn *conn)
{
	if (!ftsi_hello_is(ftsi_role_peer(conn->options.role), conn->in.data + conn->in.begin)) {
		ftsi_conn_close(conn, "peer speaks another protocol");
		return false;
	}
	conn->in.begin += FTSI_HELLO_BYTES;
	conn->hello_done = true;
	if (conn->options.on_ready != NULL) conn->options.on_ready(conn->options.ctx, conn);
	return true;
}

/* Tell of a message that is not taken, and arrange for the rest of it to be skipped. */
static void refuse(struct ftsi_conn *conn, uint64_t size_bytes)
{
	size_t have = held_bytes(conn) - FTSI_LENGTH_BYTES;
	size_t start_bytes = size_bytes < FTSI_ROUTE_MAX_BYTES ? (size_t)size_bytes : FTSI_ROUTE_MAX_BYTES;
	if (start_bytes > have) start_bytes = have;
	struct fts_bytes start = {conn->in.data + conn->in.begin + FTSI_LENGTH_BYTES, start_bytes};
	if (conn->options.on_refused != NULL)
		conn->options.on_refused(conn->options.ctx, conn, start, size_bytes);
	else
		ftsi_conn_close(conn, "message too large");
	if (size_bytes > SKIP_MAX_BYTES) ftsi_conn_close(conn, "message too large");
	conn->in.begin += FTSI_LENGTH_BYTES;
	conn->skip_bytes = size_bytes;
}

static bool skip(struct ftsi_conn *conn)
{
	size_t step = held_bytes(conn);
	if (step > conn->skip_bytes) step = (size_t)conn->skip_bytes;
	conn->in.begin += step;
	conn->skip_bytes -= step;
	return conn->skip_bytes == 0;
}

/* Take one step; false: more bytes are needed (or it was closed). */
static bool parse_step(struct ftsi_conn *conn)
{
	if (conn->skip_bytes > 0) return skip(conn);
	if (!conn->hello_done) return held_bytes(conn) >= FTSI_HELLO_BYTES && parse_hello(conn);
	size_t have = held_bytes(conn);
	if (have < FTSI_LENGTH_BYTES) return false;
	const uint8_t *at = conn->in.data + conn->in.begin;
	uint64_t size_bytes = ftsi_get_be64(at);
	if (size_bytes > SKIP_MAX_BYTES) {
		refuse(conn, size_bytes);
		return false;
	}
	if (size_bytes > conn->options.message_max_bytes) {
		if (have < FTSI_LENGTH_BYTES + FTSI_ROUTE_MAX_BYTES) return false;
		refuse(conn, size_bytes);
		return true;
	}
	if (have - FTSI_LENGTH_BYTES < size_bytes) return false;
	conn->in.begin += FTSI_LENGTH_BYTES + (size_t)size_bytes;
	struct fts_bytes message = {at + FTSI_LENGTH_BYTES, (size_t)size_bytes};
	conn->options.on_message(conn->options.ctx, conn, message);
	return true;
}

static enum parse_result parse(struct ftsi_conn *conn)
{
	enum parse_result result = PARSE_MORE;
	unsigned message_count = 0;
	reading_here = conn;
	conn->batch++;
	while (!ftsi_conn_is_closed(conn) && parse_step(conn)) {
		if (++message_count % AFTER_EVERY == 0) run_put_off();
		if (atomic_load_explicit(&conn->stopped, memory_order_relaxed)) {
			result = PARSE_STOPPED;
			break;
		}
		if (!ftsi_conn_backlog_is_high(conn)) continue;
		ftsi_conn_flush(conn);
		if (!ftsi_conn_backlog_is_high(conn)) continue;
		result = PARSE_PAUSE;
		break;
	}
	run_put_off();
	reading_here = NULL;
	return ftsi_conn_is_closed(conn) ? PARSE_CLOSED : result;
}

/* ---- Room for the next receive ---- */

static size_t budgeted_bytes(size_t capacity_bytes)
{
	return capacity_bytes > FTSI_IN_BUSY_BYTES ? capacity_bytes - FTSI_IN_BUSY_BYTES : 0;
}

static bool resize(struct ftsi_conn *conn, size_t capacity_bytes)
{
	size_t before = budgeted_bytes(conn->in.capacity_bytes), after = budgeted_bytes(capacity_bytes);
	if (after > before && !ftsi_budget_take(conn->options.budget, after - before)) return false;
	if (!ftsi_buffer_resize(&conn->in, capacity_bytes)) {
		if (after > before) ftsi_budget_give(conn->options.budget, after - before);
		return false;
	}
	if (before > after) ftsi_budget_give(conn->options.budget, before - after);
	return true;
}

/* Bytes of the message that has begun, its length included; 0: none, or not known yet. */
static size_t message_bytes(const struct ftsi_conn *conn)
{
	if (conn->skip_bytes > 0 || !conn->hello_done || held_bytes(conn) < FTSI_LENGTH_BYTES) return 0;
	uint64_t size_bytes = ftsi_get_be64(conn->in.data + conn->in.begin);
	return size_bytes > conn->options.message_max_bytes ? 0 : FTSI_LENGTH_BYTES + (size_t)size_bytes;
}

/* A buffer that one message has outgrown doubles when it is full; otherwise it follows how much comes at once. */
static size_t wanted_capacity(struct ftsi_conn *conn, size_t received_bytes)
{
	size_t capacity = conn->in.capacity_bytes, held = held_bytes(conn), message = message_bytes(conn);
	bool was_full = conn->in.end == capacity;
	conn->small_read_count = received_bytes < SMALL_READ_BYTES ? conn->small_read_count + 1 : 0;
	if (message > FTSI_IN_BUSY_BYTES) {
		if (capacity < FTSI_IN_BUSY_BYTES) return FTSI_IN_BUSY_BYTES;
		if (held < capacity) return capacity;
		return capacity * 2 < message ? capacity * 2 : message;
	}
	if (capacity > FTSI_IN_BUSY_BYTES && held < FTSI_IN_BUSY_BYTES) return FTSI_IN_BUSY_BYTES;
	if (capacity < FTSI_IN_BUSY_BYTES && (was_full || message > capacity)) return FTSI_IN_BUSY_BYTES;
	if (conn->small_read_count >= SMALL_READS_TO_SHRINK && held == 0) return FTSI_IN_IDLE_BYTES;
	return capacity;
}

/* Room behind in.end for at least one byte. False: none can be had. */
static bool prepare(struct ftsi_conn *conn, size_t received_bytes)
{
	struct ftsi_buffer *in = &conn->in;
	size_t wanted = wanted_capacity(conn, received_bytes);
	if (wanted != in->capacity_bytes && wanted > held_bytes(conn) && resize(conn, wanted)) return true;
	if (in->begin > 0) {
		memmove(in->data, in->data + in->begin, held_bytes(conn));
		in->end -= in->begin;
		in->begin = 0;
	}
	return in->end < in->capacity_bytes;
}

/* Post a receive. The reader role goes to its callback: conn may be gone at once unless the caller holds it. */
static void receive(struct ftsi_conn *conn)
{
	nng_iov iov = {conn->in.data + conn->in.end, conn->in.capacity_bytes - conn->in.end};
	ftsi_conn_hold(conn);
	nng_aio_set_iov(conn->recv_aio, 1, &iov);
	nng_stream_recv(conn->stream, conn->recv_aio);
	/* nng forgets a receive that is posted after the close: end it once more. */
	if (ftsi_conn_is_closed(conn)) {
		nng_stream_close(conn->stream);
		nng_aio_cancel(conn->recv_aio);
	}
	ftsi_conn_release(conn);
}

static void end_reading(struct ftsi_conn *conn)
{
	const char *reason = atomic_load(&conn->close_reason);
	ftsi_budget_give(conn->options.budget, budgeted_bytes(conn->in.capacity_bytes));
	ftsi_buffer_free(&conn->in);
	if (conn->options.on_closed != NULL) conn->options.on_closed(conn->options.ctx, conn, reason);
	ftsi_conn_release(conn);
}

static void read_on(struct ftsi_conn *conn, size_t received_bytes)
{
	for (;;) {
		enum parse_result result = parse(conn);
		if (result == PARSE_CLOSED) {
			end_reading(conn);
			return;
		}
		ftsi_conn_flush(conn);
		if (result == PARSE_MORE) {
			if (prepare(conn, received_bytes)) break;
			refuse(conn, message_bytes(conn) - FTSI_LENGTH_BYTES); /* then there is room */
		} else if (result == PARSE_STOPPED ? ftsi_conn_park(conn) : ftsi_conn_pause(conn)) {
			return;
		}
	}
	bool waits = !conn->hello_done || held_bytes(conn) > 0 || conn->skip_bytes > 0;
	atomic_store_explicit(&conn->waits_for_rest, waits, memory_order_relaxed);
	receive(conn);
}

void ftsi_conn_read(struct ftsi_conn *conn)
{
	read_on(conn, FTSI_IN_BUSY_BYTES);
}

void ftsi_conn_on_received(void *arg)
{
	struct ftsi_conn *conn = arg;
	int error = nng_aio_result(conn->recv_aio);
	size_t size_bytes = nng_aio_count(conn->recv_aio);
	if (error != 0 || size_bytes == 0) { /* 0 bytes: the end of a TLS stream */
		ftsi_conn_close(conn, error == 0 || error == NNG_ECONNSHUT ? "peer closed" : nng_strerror(error));
		end_reading(conn);
		return;
	}
	conn->in.end += size_bytes;
	FTS_ASSERT(conn->in.end <= conn->in.capacity_bytes);
	uint64_t received_bytes = atomic_load_explicit(&conn->received_bytes, memory_order_relaxed);
	atomic_store_explicit(&conn->received_bytes, received_bytes + size_bytes, memory_order_relaxed);
	read_on(conn, size_bytes);
}
