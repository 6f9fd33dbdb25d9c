/* Why this file exists: see server/lottery_text_internal.h: one connection of the text protocol, from accept to close.
 *
 * Invariant: a slot goes back to the free ones only when no call of its own is in flight. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/lottery_text_internal.h"

#define SILENT_LIMIT_MS 30000   /* before the first packet, with half a line, or with an answer that is not read */
#define BETWEEN_LIMIT_MS 600000 /* between packets */
#define REST_LIMIT_MS 100       /* before a call is tried again */

static void ask_for(struct ftsi_text_connection *connection, uint32_t interest)
{
	struct epoll_event event = {.events = interest, .data.ptr = connection};
	if (connection->interest == interest || connection->socket_fd < 0) return;
	if (epoll_ctl(connection->gateway->epoll_fd, EPOLL_CTL_MOD, connection->socket_fd, &event) == 0)
		connection->interest = interest;
}

static void enter(struct ftsi_text_connection *connection, enum ftsi_text_state state)
{
	connection->gateway->resting_count += state == FTSI_TEXT_RESTING;
	connection->gateway->resting_count -= connection->state == FTSI_TEXT_RESTING;
	connection->state = state;
	connection->since_ns = fts_clock_monotonic_ns();
	if (state == FTSI_TEXT_READING)
		ask_for(connection, EPOLLIN);
	else
		ask_for(connection, 0);
}

static void waiter_set(struct ftsi_text_connection *connection, bool waiter)
{
	connection->gateway->waiter_count += waiter;
	connection->gateway->waiter_count -= connection->waiter;
	connection->waiter = waiter;
}

void ftsi_text_connection_begin(struct ftsi_text_gateway *gateway, int socket_fd)
{
	struct ftsi_text_connection *connection = ftsi_text_list_pop(&gateway->free);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	FTS_ASSERT(connection != NULL && connection->state == FTSI_TEXT_FREE);
	if (epoll_ctl(gateway->epoll_fd, EPOLL_CTL_ADD, socket_fd, &event) != 0) {
		close(socket_fd);
		ftsi_text_list_push(&gateway->free, connection);
		return;
	}
	connection->gateway = gateway;
	connection->socket_fd = socket_fd;
	connection->ended = connection->greeted = connection->waiter = false;
	connection->interest = EPOLLIN;
	connection->answer = (struct ftsi_text_answer){0};
	connection->used_bytes = connection->scanned_bytes = connection->sent_bytes = 0;
	gateway->connection_count++;
	enter(connection, FTSI_TEXT_READING);
}

static void set_free(struct ftsi_text_connection *connection)
{
	struct ftsi_text_gateway *gateway = connection->gateway;
	ftsi_text_answer_release(connection);
	enter(connection, FTSI_TEXT_FREE);
	gateway->connection_count--;
	ftsi_text_list_push(&gateway->free, connection);
}

static void close_socket(struct ftsi_text_connection *connection)
{
	if (connection->socket_fd >= 0) close(connection->socket_fd); /* takes it out of epoll as well */
	connection->socket_fd = -1;
	connection->ended = true;
}

/* Close the socket now; the slot is free when no list and no call holds it any more. */
static void drop(struct ftsi_text_connection *connection)
{
	bool held = connection->state == FTSI_TEXT_CALLING || connection->state == FTSI_TEXT_READY;
	waiter_set(connection, false);
	close_socket(connection);
	if (!held) {
		set_free(connection);
		return;
	}
	if (connection->state == FTSI_TEXT_CALLING && connection->kind == FTSI_TEXT_WINNERS_REQUEST)
		(void)fts_channel_cancel(connection->gateway->channel, connection->call);
	enter(connection, FTSI_TEXT_GONE);
}

void ftsi_text_connection_end(struct ftsi_text_connection *connection)
{
	if (connection->state == FTSI_TEXT_FREE) return;
	close_socket(connection);
	set_free(connection);
}

/* ---- Packets ---- */

/* Copy the first line out and take it apart. False: there is none, or it can't be read; then *out_close tells. */
static bool next_packet(struct ftsi_text_connection *connection, size_t *out_used_bytes, bool *out_close)
{
	struct ftsi_text_gateway *gateway = connection->gateway;
	size_t line_bytes;
	enum ftsi_text_line found = ftsi_text_line_find(connection->in, connection->used_bytes,
							connection->scanned_bytes, &line_bytes, out_used_bytes);
	*out_close = found == FTSI_TEXT_LINE_OVERSIZE;
	if (found != FTSI_TEXT_LINE_WHOLE) {
		connection->scanned_bytes = connection->used_bytes;
		return false;
	}
	memcpy(gateway->line, connection->in, line_bytes);
	*out_close = !ftsi_text_parse(gateway->line, line_bytes, &gateway->packet);
	return !*out_close;
}

static void consume(struct ftsi_text_connection *connection, size_t used_bytes)
{
	connection->used_bytes -= used_bytes;
	connection->scanned_bytes = 0;
	memmove(connection->in, connection->in + used_bytes, connection->used_bytes);
}

static void follow(struct ftsi_text_connection *connection, enum ftsi_text_next next);

/* Look at what has been read: a whole line makes the connection READY, an unreadable one ends it. */
static void look(struct ftsi_text_connection *connection)
{
	size_t used_bytes;
	bool close_it;
	if (next_packet(connection, &used_bytes, &close_it)) {
		connection->greeted = true;
		connection->kind = connection->gateway->packet.kind;
		enter(connection, FTSI_TEXT_READY);
		ftsi_text_list_push(&connection->gateway->ready, connection);
	} else if (close_it || connection->ended) {
		drop(connection);
	}
}

static void begin_reading(struct ftsi_text_connection *connection)
{
	ftsi_text_answer_release(connection);
	connection->sent_bytes = 0;
	enter(connection, FTSI_TEXT_READING);
	look(connection);
}

static bool may_wait(const struct ftsi_text_connection *connection)
{
	if (connection->socket_fd < 0) return false; /* nobody is there to be told */
	if (connection->waiter || connection->gateway->waiter_count < FTSI_TEXT_WAITER_MAX) return true;
	FTS_LOG_WARN("lottery_text.waiters", "limit=%d", FTSI_TEXT_WAITER_MAX);
	return false;
}

/* Run the packet of a READY connection. It stays in the buffer until its call has been started. */
static void run_packet(struct ftsi_text_connection *connection)
{
	struct ftsi_text_gateway *gateway = connection->gateway;
	size_t used_bytes = 0;
	bool close_it, readable = next_packet(connection, &used_bytes, &close_it);
	FTS_ASSERT(readable); /* look() has read it before */
	bool wants_winners = gateway->packet.kind == FTSI_TEXT_WINNERS_REQUEST;
	if (wants_winners && !may_wait(connection)) {
		enter(connection, FTSI_TEXT_READING); /* off the ready list */
		drop(connection);
		return;
	}
	waiter_set(connection, wants_winners);
	enter(connection, FTSI_TEXT_CALLING);
	if (ftsi_text_call_start(gateway, connection) == FTS_OK) {
		gateway->call_count += !connection->waiter;
		return;
	}
	follow(connection, ftsi_text_call_judge(connection));
}

void ftsi_text_ready_run(struct ftsi_text_gateway *gateway)
{
	if (gateway->ready.first != NULL && gateway->draw == FTSI_TEXT_DRAW_UNKNOWN) {
		enum fts_status status = ftsi_text_draw_open(gateway);
		if (status == FTS_OK)
			gateway->draw = FTSI_TEXT_DRAW_OPENING;
		else
			ftsi_text_ready_refuse(gateway, status);
	}
	while (gateway->draw == FTSI_TEXT_DRAW_OPEN && gateway->call_count < FTSI_TEXT_CALL_MAX) {
		struct ftsi_text_connection *connection = ftsi_text_list_pop(&gateway->ready);
		if (connection == NULL) return;
		if (connection->state == FTSI_TEXT_GONE)
			set_free(connection);
		else
			run_packet(connection);
	}
}

void ftsi_text_ready_refuse(struct ftsi_text_gateway *gateway, enum fts_status status)
{
	struct ftsi_text_list refused = gateway->ready;
	gateway->ready = (struct ftsi_text_list){NULL, NULL};
	for (struct ftsi_text_connection *connection; (connection = ftsi_text_list_pop(&refused)) != NULL;) {
		if (connection->state == FTSI_TEXT_GONE) {
			set_free(connection);
			continue;
		}
		connection->answer = (struct ftsi_text_answer){.status = status, .executed = FTS_EXECUTED_NO};
		enter(connection, FTSI_TEXT_CALLING);
		follow(connection, ftsi_text_call_judge(connection));
	}
}

/* ---- Answers ---- */

/* Send as much as the client takes. */
static void send_answer(struct ftsi_text_connection *connection)
{
	while (connection->sent_bytes < connection->answer.size_bytes) {
		ssize_t count = send(connection->socket_fd, connection->answer.text + connection->sent_bytes,
				     connection->answer.size_bytes - connection->sent_bytes, MSG_NOSIGNAL);
		if (count < 0 && errno == EINTR) continue;
		if (count < 0 && errno == EAGAIN) {
			ask_for(connection, EPOLLOUT);
			return;
		}
		if (count < 0) {
			drop(connection);
			return;
		}
		connection->sent_bytes += (size_t)count;
		connection->since_ns = fts_clock_monotonic_ns();
	}
	begin_reading(connection);
}

/* A call has ended, or could not be started: go on as its end demands. The connection is CALLING. */
static void follow(struct ftsi_text_connection *connection, enum ftsi_text_next next)
{
	size_t line_bytes, used_bytes;
	if (next == FTSI_TEXT_NEXT_AGAIN) {
		ftsi_text_answer_release(connection);
		enter(connection, FTSI_TEXT_RESTING);
		return;
	}
	if (next == FTSI_TEXT_NEXT_MORE) {
		enter(connection, FTSI_TEXT_READY);
		ftsi_text_list_push(&connection->gateway->ready, connection);
		return;
	}
	waiter_set(connection, false);
	if (next == FTSI_TEXT_NEXT_CLOSE) {
		enter(connection, FTSI_TEXT_READING);
		drop(connection);
		return;
	}
	if (ftsi_text_line_find(connection->in, connection->used_bytes, 0, &line_bytes, &used_bytes) ==
	    FTSI_TEXT_LINE_WHOLE)
		consume(connection, used_bytes);
	if (next == FTSI_TEXT_NEXT_READ) {
		begin_reading(connection);
		return;
	}
	enter(connection, FTSI_TEXT_WRITING);
	send_answer(connection);
}

void ftsi_text_connection_done(struct ftsi_text_connection *connection)
{
	connection->gateway->call_count -= connection->kind != FTSI_TEXT_WINNERS_REQUEST;
	if (connection->state == FTSI_TEXT_GONE) {
		set_free(connection);
		return;
	}
	FTS_ASSERT(connection->state == FTSI_TEXT_CALLING);
	follow(connection, ftsi_text_call_judge(connection));
}

/* ---- Events and time ---- */

static void read_more(struct ftsi_text_connection *connection)
{
	bool fresh = connection->used_bytes == 0;
	ssize_t count = recv(connection->socket_fd, connection->in + connection->used_bytes,
			     FTSI_TEXT_LINE_MAX - connection->used_bytes, 0);
	if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (count < 0) {
		drop(connection);
		return;
	}
	connection->ended = count == 0;
	connection->used_bytes += (size_t)count;
	if (fresh) connection->since_ns = fts_clock_monotonic_ns(); /* a half line is counted from its first byte */
	look(connection);
}

/* The client has vanished while its packet is served. What it asked for in full is done all the same. */
static void lose(struct ftsi_text_connection *connection)
{
	if (connection->state == FTSI_TEXT_WRITING || connection->kind == FTSI_TEXT_WINNERS_REQUEST)
		drop(connection);
	else
		close_socket(connection);
}

void ftsi_text_connection_event(struct ftsi_text_connection *connection, uint32_t events)
{
	if (connection->state == FTSI_TEXT_FREE || connection->state == FTSI_TEXT_GONE)
		return; /* closed by an earlier event of the same round */
	if (connection->state == FTSI_TEXT_READING)
		read_more(connection);
	else if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		lose(connection);
	else if (connection->state == FTSI_TEXT_WRITING)
		send_answer(connection);
}

void ftsi_text_connection_age(struct ftsi_text_connection *connection, uint64_t now_ns)
{
	uint64_t age_ms = now_ns > connection->since_ns ? (now_ns - connection->since_ns) / 1000000u : 0;
	bool between = connection->greeted && connection->used_bytes == 0;
	switch (connection->state) {
	case FTSI_TEXT_READING:
		if (age_ms > (between ? BETWEEN_LIMIT_MS : SILENT_LIMIT_MS)) drop(connection);
		break;
	case FTSI_TEXT_WRITING:
		if (age_ms > SILENT_LIMIT_MS) drop(connection);
		break;
	case FTSI_TEXT_RESTING:
		if (age_ms >= REST_LIMIT_MS) {
			enter(connection, FTSI_TEXT_READY);
			ftsi_text_list_push(&connection->gateway->ready, connection);
		}
		break;
	case FTSI_TEXT_FREE:
	case FTSI_TEXT_READY:
	case FTSI_TEXT_CALLING:
	case FTSI_TEXT_GONE:
		break; /* its call has a time limit of its own */
	}
}

void ftsi_text_connection_drain(struct ftsi_text_connection *connection)
{
	/* A READY one still runs: an AgencyClose has no answer that could tell its sender to repeat it. */
	bool waits = connection->state == FTSI_TEXT_CALLING && connection->waiter;
	if (waits || connection->state == FTSI_TEXT_READING || connection->state == FTSI_TEXT_RESTING) drop(connection);
}
