/* Why this file exists: a connection on the server's side: from a received message to a running handler. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "rpc/server_internal.h"

#define CALL_ARENA_MAX_BYTES (32u * 1024 * 1024) /* what one call may unpack to */
#define BAD_IN_A_ROW_MAX 100u                    /* frames and tokens: after that the connection is closed */
#define BAD_A_TICK 8u                            /* of them are heard between two ticks (server.c) */
#define PEER_CONNECTIONS_MAX 1024u               /* of one address */
#define CHARGED_FROM_BYTES 4096u                 /* smaller requests are bounded by the arenas alone */

void ftsi_server_conn_release(struct ftsi_server_conn *peer)
{
	if (atomic_fetch_sub(&peer->ref_count, 1) != 1) return;
	struct fts_server *server = peer->server;
	ftsi_conn_release(peer->conn);
	pthread_mutex_destroy(&peer->open_mutex);
	free(peer);
	ftsi_server_release(server);
}

/* ---- From a message to a call ---- */

static void *arena_alloc(void *arena, size_t size_bytes)
{
	return fts_arena_alloc(arena, size_bytes);
}

static void arena_free(void *arena, void *data)
{
	(void)arena;
	(void)data; /* goes with the arena */
}

/* One clock reading serves a batch of calls, each answer bringing the next. */
static uint64_t now_in_batch(struct ftsi_server_conn *peer)
{
	uint64_t batch = ftsi_conn_batch(peer->conn);
	if (peer->batch != batch || peer->now_ns == 0) {
		peer->batch = batch;
		peer->now_ns = fts_clock_monotonic_ns();
	}
	return peer->now_ns;
}

/* A call in the connection's arena. NULL: no memory. */
static struct fts_call *call_make(struct ftsi_server_conn *peer, const struct ftsi_entry *entry,
				  const struct ftsi_frame *frame, const fts_rpc_v1_CallHeader *header)
{
	struct fts_server *server = peer->server;
	if (peer->arena == NULL) peer->arena = fts_arena_acquire(server->arenas, CALL_ARENA_MAX_BYTES);
	if (peer->arena == NULL) return NULL;
	struct fts_call *call = fts_arena_alloc(peer->arena, sizeof *call);
	if (call == NULL) return NULL;
	memset(call, 0, offsetof(struct fts_call, route));
	call->server = server;
	call->peer = peer;
	call->arena = peer->arena;
	call->entry = entry;
	atomic_init(&call->state, FTSI_CALL_RUNNING);
	call->received_ns = now_in_batch(peer);
	uint32_t timeout_ms = header->timeout_ms > 0 ? header->timeout_ms : entry->method->timeout_ms;
	call->deadline_ns = fts_clock_deadline_ns(call->received_ns, timeout_ms);
	call->client_id = header->client_id;
	call->sequence = header->sequence;
	call->lowest_unanswered = header->lowest_unanswered;
	call->may_have_run = header->may_have_run;
	call->fence = header->fence;
	call->trace_id = header->trace_id;
	call->stale = header->stale;
	call->request_bytes = frame->route.size_bytes + frame->header.size_bytes + frame->payload.size_bytes;
	call->reply.node = server->node;
	call->route_bytes = frame->route.size_bytes;
	memcpy(call->route, frame->route.data, frame->route.size_bytes);
	if (header->token.size > 0) {
		call->token.data =
		    (const uint8_t *)fts_arena_copy(peer->arena, header->token.bytes, header->token.size);
		call->token.size_bytes = header->token.size;
		if (call->token.data == NULL) return NULL;
	}
	return call;
}

/* The request, as its handler wants it. */
static enum fts_status call_take_request(struct fts_call *call, struct fts_bytes payload)
{
	if (call->entry->offer.raw != NULL) {
		const char *copy = fts_arena_copy(call->arena, payload.data, payload.size_bytes);
		call->payload = (struct fts_bytes){(const uint8_t *)copy, payload.size_bytes};
		return copy == NULL ? FTS_RESOURCE_EXHAUSTED : FTS_OK;
	}
	ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = call->arena};
	const ProtobufCMessageDescriptor *type = call->entry->method->request;
	call->request = protobuf_c_message_unpack(type, &allocator, payload.size_bytes, payload.data);
	if (call->request != NULL) return FTS_OK;
	return fts_arena_exhausted(call->arena) ? FTS_RESOURCE_EXHAUSTED : FTS_INVALID_ARGUMENT;
}

static void call_start(struct fts_call *call)
{
	ftsi_call_set_inline(call);
	ftsi_call_run(call);
	ftsi_call_set_inline(NULL);
}

static void call_dispatch(struct fts_call *call, struct fts_bytes payload)
{
	struct fts_server *server = call->server;
	enum fts_status st = call_take_request(call, payload);
	if (st == FTS_INVALID_ARGUMENT)
		fts_call_fail(call, st, "the request is not a readable %s", call->entry->method->request->name);
	else if (st != FTS_OK)
		fts_call_fail(call, st, "the request needs more memory than a call may have");
	else if (!call->entry->method->blocking)
		call_start(call);
	else if (!ftsi_worker_pool_push(server->workers, call))
		fts_call_fail(call, FTS_RESOURCE_EXHAUSTED, "all workers are busy and their queue is full: try later");
}

static void call_serve(struct ftsi_server_conn *peer, const struct ftsi_entry *entry, const struct ftsi_frame *frame,
		       const fts_rpc_v1_CallHeader *header)
{
	struct fts_server *server = peer->server;
	size_t charge_bytes = frame->payload.size_bytes >= CHARGED_FROM_BYTES ? frame->payload.size_bytes : 0;
	if (!ftsi_budget_take(&server->budget, charge_bytes)) {
		ftsi_call_refuse(peer, frame->route, FTS_RESOURCE_EXHAUSTED,
				 "the server holds as many unanswered bytes as it may: try later");
		return;
	}
	struct fts_call *call = call_make(peer, entry, frame, header);
	if (call == NULL) {
		ftsi_budget_give(&server->budget, charge_bytes);
		if (peer->arena != NULL) fts_arena_reset(peer->arena);
		ftsi_call_refuse(peer, frame->route, FTS_RESOURCE_EXHAUSTED, "no memory for another call: try later");
		return;
	}
	call->charged_bytes = charge_bytes;
	atomic_store_explicit(&peer->inline_since_ns, call->received_ns, memory_order_relaxed);
	atomic_store_explicit(&peer->inline_entry, entry, memory_order_release);
	call_dispatch(call, frame->payload);
	if (ftsi_call_settle(call)) {
		fts_arena_reset(peer->arena);
	} else {
		peer->arena = NULL; /* went with the call */
		peer->now_ns = 0;
	}
	/* Not before it is on the list of open calls: a drain must see it here or there. */
	atomic_store_explicit(&peer->inline_entry, NULL, memory_order_release);
}

/* Nothing more is read from it until the next tick: what a caller sends who is refused anyway waits in his own machine,
 * and takes no turns of the others. */
static void slow_down(struct ftsi_server_conn *peer)
{
	/* In this order: a tick between the two would go on with what has not stopped yet, and never again. */
	ftsi_conn_stop_reading(peer->conn);
	atomic_store(&peer->slowed, true);
}

void ftsi_server_conn_go_on(struct ftsi_server_conn *peer)
{
	if (atomic_exchange(&peer->slowed, false)) ftsi_conn_read_on(peer->conn);
}

/* Who does nothing right is not heard for ever, and until then seldom. */
static void count_bad(struct ftsi_server_conn *peer)
{
	if (++peer->bad_count % BAD_A_TICK == 0) slow_down(peer);
	if (peer->bad_count < BAD_IN_A_ROW_MAX || ftsi_conn_is_closed(peer->conn)) return;
	FTS_LOG_WARN("rpc.cut_off", "node=%s bad_in_a_row=%u", peer->server->node, peer->bad_count);
	ftsi_conn_close(peer->conn, "nothing but unreadable frames and refused tokens");
}

static void count_malformed(struct ftsi_server_conn *peer)
{
	atomic_fetch_add_explicit(&peer->server->malformed, 1, memory_order_relaxed);
	count_bad(peer);
}

/* Who calls for several, as an HTTP door does, is not slowed down for one of them. */
static void note_token(struct ftsi_server_conn *peer, struct fts_bytes token)
{
	uint64_t mark = fts_hash64(token, 0) | 1;
	if (peer->token_mark != 0 && peer->token_mark != mark) peer->many_tokens = true;
	peer->token_mark = mark;
}

/* May the caller have this method? False: it has been refused. */
static bool authorized(struct ftsi_server_conn *peer, const struct ftsi_entry *entry, const struct ftsi_frame *frame,
		       const fts_rpc_v1_CallHeader *header)
{
	const struct fts_server_options *options = &peer->server->options;
	const struct fts_bytes token = {header->token.bytes, header->token.size};
	struct fts_error error = {.status = FTS_OK};
	if (options->authorize == NULL) return true;
	note_token(peer, token);
	enum fts_status status =
	    options->authorize(options->authorize_ctx, entry->method, token, frame->payload, &error);
	if (status == FTS_OK) return true;
	ftsi_call_refuse_error(peer, frame->route, &error);
	if (status == FTS_UNAUTHENTICATED) count_bad(peer);
	if (status == FTS_RESOURCE_EXHAUSTED && !peer->many_tokens) slow_down(peer);
	return false;
}

static void refuse_too_new(struct ftsi_server_conn *peer, const struct ftsi_frame *frame, uint32_t version)
{
	FTS_LOG_WARN("rpc.frame_too_new", "node=%s frame=%u known=%u", peer->server->node, (unsigned)version,
		     FTSI_FRAME_VERSION);
	ftsi_call_refuse(
	    peer, frame->route, FTS_UNIMPLEMENTED,
	    "the call's frame is of version %u, and this node reads up to %u: upgrade the node, or call it "
	    "with a client of its own release",
	    (unsigned)version, FTSI_FRAME_VERSION);
	count_bad(peer);
}

static void on_message(void *ctx, struct ftsi_conn *conn, struct fts_bytes message)
{
	struct ftsi_server_conn *peer = ctx;
	struct fts_server *server = peer->server;
	struct ftsi_frame frame;
	const fts_rpc_v1_CallHeader *header = NULL;
	if (ftsi_frame_split(message, &frame) == FTS_OK) header = ftsi_call_header_read(&peer->reader, frame.header);
	if (header == NULL) {
		count_malformed(peer);
		if (frame.route.size_bytes == 0)
			ftsi_conn_close(conn, "message without a request id");
		else
			ftsi_call_refuse(peer, frame.route, FTS_INVALID_ARGUMENT, "the call's header can't be read");
		return;
	}
	if (header->frame > FTSI_FRAME_VERSION) {
		refuse_too_new(peer, &frame, header->frame);
		return;
	}
	const struct ftsi_entry *entry = ftsi_server_find(server, header->method);
	if (entry == NULL)
		ftsi_call_refuse(peer, frame.route, FTS_UNIMPLEMENTED, "no method with id 0x%08x here",
				 (unsigned)header->method);
	else if (atomic_load_explicit(&server->draining, memory_order_relaxed))
		ftsi_call_refuse(peer, frame.route, FTS_UNAVAILABLE, "the server is shutting down");
	else if (atomic_load_explicit(&peer->open_count, memory_order_relaxed) >= server->options.open_calls_max)
		ftsi_call_refuse(peer, frame.route, FTS_RESOURCE_EXHAUSTED,
				 "%u calls are open on this connection: wait for answers",
				 (unsigned)server->options.open_calls_max);
	else if (authorized(peer, entry, &frame, header)) {
		peer->bad_count = 0;
		call_serve(peer, entry, &frame, header);
	}
}

static void on_refused(void *ctx, struct ftsi_conn *conn, struct fts_bytes start, uint64_t size_bytes)
{
	struct ftsi_server_conn *peer = ctx;
	struct ftsi_frame frame;
	count_malformed(peer);
	(void)ftsi_frame_split(start, &frame); /* only the route is there */
	if (frame.route.size_bytes == 0)
		ftsi_conn_close(conn, "message too large");
	else if (size_bytes > FTS_MESSAGE_MAX)
		ftsi_call_refuse(peer, frame.route, FTS_RESOURCE_EXHAUSTED,
				 "a message of %llu bytes: at most %u are taken", (unsigned long long)size_bytes,
				 FTS_MESSAGE_MAX);
	else
		ftsi_call_refuse(peer, frame.route, FTS_RESOURCE_EXHAUSTED,
				 "the server holds as many unread bytes as it may: try later");
}

/* ---- Life ---- */

static void list_add(struct ftsi_server_conn *peer)
{
	struct fts_server *server = peer->server;
	peer->next = server->conns;
	if (peer->next != NULL) peer->next->prev = peer;
	server->conns = peer;
	server->conn_count++;
}

static void list_remove(struct ftsi_server_conn *peer)
{
	struct fts_server *server = peer->server;
	struct ftsi_conn_bytes bytes = ftsi_conn_bytes(peer->conn);
	pthread_mutex_lock(&server->mutex);
	if (peer->prev != NULL)
		peer->prev->next = peer->next;
	else
		server->conns = peer->next;
	if (peer->next != NULL) peer->next->prev = peer->prev;
	server->conn_count--;
	server->past_inbound_bytes += bytes.received_bytes;
	server->past_outbound_bytes += bytes.sent_bytes;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->mutex);
}

static void on_closed(void *ctx, struct ftsi_conn *conn, const char *reason)
{
	struct ftsi_server_conn *peer = ctx;
	(void)conn;
	FTS_LOG_DEBUG("rpc.closed", "node=%s reason=\"%s\"", peer->server->node, reason);
	fts_arena_release(peer->arena);
	peer->arena = NULL;
	list_remove(peer);
	ftsi_server_conn_release(peer);
}

/* Where a connection comes from, without its port. */
static void take_remote(struct ftsi_server_conn *peer, nng_stream *stream)
{
	memset(&peer->remote, 0, sizeof peer->remote);
	if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &peer->remote) != 0) peer->remote.s_family = NNG_AF_UNSPEC;
	if (peer->remote.s_family == NNG_AF_INET) peer->remote.s_in.sa_port = 0;
	if (peer->remote.s_family == NNG_AF_INET6) peer->remote.s_in6.sa_port = 0;
}

static bool same_remote(const nng_sockaddr *a, const nng_sockaddr *b)
{
	if (a->s_family != b->s_family) return false;
	if (a->s_family == NNG_AF_INET) return a->s_in.sa_addr == b->s_in.sa_addr;
	return a->s_family == NNG_AF_INET6 && memcmp(a->s_in6.sa_addr, b->s_in6.sa_addr, sizeof a->s_in6.sa_addr) == 0;
}

/* One address may not take all places. Called with the server's mutex held. */
static bool within_quota(const struct ftsi_server_conn *peer)
{
	const struct fts_server *server = peer->server;
	uint32_t count = 0;
	for (const struct ftsi_server_conn *other = server->conns; other != NULL; other = other->next)
		count += same_remote(&peer->remote, &other->remote);
	if (count < PEER_CONNECTIONS_MAX) return true;
	FTS_LOG_WARN("rpc.peer_limit", "node=%s connections=%u", server->node, count);
	return false;
}

static bool admit(struct ftsi_server_conn *peer)
{
	struct fts_server *server = peer->server;
	pthread_mutex_lock(&server->mutex);
	bool admitted = server->conn_count < server->options.connection_count_max && !atomic_load(&server->draining) &&
			!atomic_load(&server->stopping) && within_quota(peer);
	if (admitted) list_add(peer);
	pthread_mutex_unlock(&server->mutex);
	return admitted;
}

void ftsi_server_conn_open(struct fts_server *server, nng_stream *stream)
{
	struct ftsi_server_conn *peer = calloc(1, sizeof *peer);
	if (peer == NULL) {
		nng_stream_free(stream);
		return;
	}
	peer->server = server;
	take_remote(peer, stream);
	atomic_init(&peer->ref_count, 1);
	pthread_mutex_init(&peer->open_mutex, NULL);
	ftsi_server_hold(server);
	struct ftsi_conn_options options = {
	    .role = FTSI_ROLE_SERVER,
	    .tls = server->tls,
	    .idle_timeout_ms = server->options.idle_timeout_ms,
	    .budget = &server->budget,
	    .on_message = on_message,
	    .on_refused = on_refused,
	    .on_closed = on_closed,
	    .ctx = peer,
	};
	if (ftsi_conn_create(stream, &options, &peer->conn) == FTS_OK && admit(peer))
		ftsi_conn_start(peer->conn);
	else
		ftsi_server_conn_release(peer);
}
