/* Why this file exists: see server/lottery_text.h: the gateway's start and end, its thread, and its time limits. What a
 * connection does is in lottery_text_connection.c. */
#include "server/lottery_text.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/lottery_text_internal.h"

#define EVENTS_AT_ONCE 128
#define SWEEP_MS 1000
#define REST_MS 100

/* ---- Lists ---- */

void ftsi_text_list_push(struct ftsi_text_list *list, struct ftsi_text_connection *connection)
{
	connection->next = NULL;
	if (list->last != NULL)
		list->last->next = connection;
	else
		list->first = connection;
	list->last = connection;
}

struct ftsi_text_connection *ftsi_text_list_pop(struct ftsi_text_list *list)
{
	struct ftsi_text_connection *connection = list->first;
	if (connection == NULL) return NULL;
	list->first = connection->next;
	if (list->first == NULL) list->last = NULL;
	connection->next = NULL;
	return connection;
}

/* ---- Word from other threads ---- */

void ftsi_text_wake(struct ftsi_text_gateway *gateway)
{
	uint64_t one = 1;
	ssize_t ignored = write(gateway->wake_fd, &one, sizeof(one));
	(void)ignored; /* EAGAIN: it is awake as it is */
}

void ftsi_text_done(struct ftsi_text_connection *connection)
{
	struct ftsi_text_gateway *gateway = connection->gateway;
	pthread_mutex_lock(&gateway->mutex);
	ftsi_text_list_push(&gateway->done, connection);
	pthread_mutex_unlock(&gateway->mutex);
	ftsi_text_wake(gateway);
}

/* What others have left, taken at once. */
struct word {
	struct ftsi_text_list done;
	bool open_done, draining, stopping, cut;
	enum fts_status open_status;
};

static struct word take_word(struct ftsi_text_gateway *gateway)
{
	uint64_t count;
	ssize_t ignored = read(gateway->wake_fd, &count, sizeof(count));
	(void)ignored; /* EAGAIN: nobody called */
	pthread_mutex_lock(&gateway->mutex);
	struct word word = {gateway->done,     gateway->open_done, gateway->draining,
			    gateway->stopping, gateway->cut,       gateway->open_status};
	gateway->done = (struct ftsi_text_list){NULL, NULL};
	gateway->open_done = false;
	pthread_mutex_unlock(&gateway->mutex);
	return word;
}

static void note_open(struct ftsi_text_gateway *gateway, enum fts_status status)
{
	bool open = status == FTS_OK || status == FTS_ALREADY_EXISTS;
	if (status == FTS_ALREADY_EXISTS)
		FTS_LOG_WARN("lottery_text.other_terms", "draw=%s agencies=%u", FTSI_TEXT_DRAW, gateway->agencies);
	else if (status != FTS_OK)
		FTS_LOG_WARN("lottery_text.not_open", "draw=%s status=%s", FTSI_TEXT_DRAW, fts_status_name(status));
	gateway->draw = open ? FTSI_TEXT_DRAW_OPEN : FTSI_TEXT_DRAW_UNKNOWN;
	if (!open) ftsi_text_ready_refuse(gateway, status);
}

/* ---- The listener ---- */

static void listener_watch(struct ftsi_text_gateway *gateway, bool watch)
{
	struct epoll_event event = {.events = watch ? EPOLLIN : 0, .data.ptr = &gateway->listen_fd};
	if (gateway->accepting == watch || gateway->listen_fd < 0) return;
	if (epoll_ctl(gateway->epoll_fd, EPOLL_CTL_MOD, gateway->listen_fd, &event) == 0) gateway->accepting = watch;
}

/* A client that went without a word (pulled cable, or closed while it waits) is found by the kernel's probes. */
static void set_socket_options(int socket_fd)
{
	int one = 1, idle_s = 60, interval_s = 10, probes = 3;
	(void)setsockopt(socket_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(socket_fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(socket_fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(socket_fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	(void)setsockopt(socket_fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void accept_all(struct ftsi_text_gateway *gateway)
{
	while (gateway->free.first != NULL) {
		int socket_fd = accept4(gateway->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (socket_fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
		if (socket_fd < 0 && errno != EAGAIN) {
			FTS_LOG_WARN("lottery_text.accept", "errno=%d", errno);
			gateway->starved = true;
			listener_watch(gateway, false);
		}
		if (socket_fd < 0) return;
		set_socket_options(socket_fd);
		ftsi_text_connection_begin(gateway, socket_fd);
	}
	listener_watch(gateway, false); /* the rest waits in the kernel's queue */
}

/* ---- The thread ---- */

static void sweep(struct ftsi_text_gateway *gateway)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	uint32_t left = gateway->connection_count;
	for (size_t i = 0; i < FTSI_TEXT_CONNECTION_MAX && left > 0; i++) {
		if (gateway->connections[i].state == FTSI_TEXT_FREE) continue;
		left--;
		ftsi_text_connection_age(&gateway->connections[i], now_ns);
	}
}

static void drain(struct ftsi_text_gateway *gateway)
{
	if (gateway->listen_fd >= 0) close(gateway->listen_fd);
	gateway->listen_fd = -1;
	for (size_t i = 0; i < FTSI_TEXT_CONNECTION_MAX; i++)
		ftsi_text_connection_drain(&gateway->connections[i]);
	pthread_mutex_lock(&gateway->mutex);
	gateway->empty = gateway->connection_count == 0;
	pthread_cond_broadcast(&gateway->empty_cond);
	pthread_mutex_unlock(&gateway->mutex);
}

/* The channel is about to be closed: calls that are open end with that, and none is begun. */
static void let_go(struct ftsi_text_gateway *gateway)
{
	gateway->channel = NULL;
	pthread_mutex_lock(&gateway->mutex);
	gateway->cut_done = true;
	pthread_cond_broadcast(&gateway->empty_cond);
	pthread_mutex_unlock(&gateway->mutex);
}

static void take_events(struct ftsi_text_gateway *gateway, int timeout_ms)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int count = epoll_wait(gateway->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr == &gateway->listen_fd)
			accept_all(gateway);
		else if (events[i].data.ptr != &gateway->wake_fd)
			ftsi_text_connection_event(events[i].data.ptr, events[i].events);
	}
}

static int wait_ms(const struct ftsi_text_gateway *gateway)
{
	if (gateway->resting_count > 0) return REST_MS;
	return gateway->connection_count > 0 || !gateway->accepting ? SWEEP_MS : -1;
}

static void *run(void *ctx)
{
	struct ftsi_text_gateway *gateway = ctx;
	uint64_t swept_ns = 0;
	for (;;) {
		take_events(gateway, wait_ms(gateway));
		struct word word = take_word(gateway);
		if (word.cut && gateway->channel != NULL) let_go(gateway);
		if (word.open_done) note_open(gateway, word.open_status);
		for (struct ftsi_text_connection *done; (done = ftsi_text_list_pop(&word.done)) != NULL;)
			ftsi_text_connection_done(done);
		ftsi_text_ready_run(gateway);
		uint64_t now_ns = fts_clock_monotonic_ns();
		if (now_ns - swept_ns >= (uint64_t)(gateway->resting_count > 0 ? REST_MS : SWEEP_MS) * 1000000u) {
			swept_ns = now_ns;
			gateway->starved = false;
			sweep(gateway);
		}
		if (word.stopping) return NULL;
		if (word.draining)
			drain(gateway);
		else
			listener_watch(gateway, gateway->free.first != NULL && !gateway->starved);
	}
}

/* ---- Start and end ---- */

static bool watch(struct ftsi_text_gateway *gateway, int *watched_fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = watched_fd};
	return epoll_ctl(gateway->epoll_fd, EPOLL_CTL_ADD, *watched_fd, &event) == 0;
}

/* Everything but the listener and the thread. False: no memory or descriptors. */
static bool prepare(struct ftsi_text_gateway *gateway)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&gateway->empty_cond, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&gateway->mutex, NULL);
	gateway->accepting = true;
	gateway->connections = calloc(FTSI_TEXT_CONNECTION_MAX, sizeof(gateway->connections[0]));
	gateway->lines = calloc(FTSI_TEXT_CONNECTION_MAX, FTSI_TEXT_LINE_MAX);
	gateway->pool = fts_arena_pool_create(FTSI_TEXT_POOL_BYTES);
	gateway->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	gateway->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (gateway->connections == NULL || gateway->lines == NULL || gateway->pool == NULL || gateway->epoll_fd < 0 ||
	    gateway->wake_fd < 0)
		return false;
	for (size_t i = 0; i < FTSI_TEXT_CONNECTION_MAX; i++) {
		gateway->connections[i].in = gateway->lines + i * FTSI_TEXT_LINE_MAX;
		ftsi_text_list_push(&gateway->free, &gateway->connections[i]);
	}
	return watch(gateway, &gateway->wake_fd);
}

static void release(struct ftsi_text_gateway *gateway)
{
	for (size_t i = 0; gateway->connections != NULL && i < FTSI_TEXT_CONNECTION_MAX; i++)
		ftsi_text_connection_end(&gateway->connections[i]);
	int fds[] = {gateway->listen_fd, gateway->epoll_fd, gateway->wake_fd};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0) close(fds[i]);
	fts_arena_pool_destroy(gateway->pool);
	pthread_mutex_destroy(&gateway->mutex);
	pthread_cond_destroy(&gateway->empty_cond);
	free(gateway->lines);
	free(gateway->connections);
	free(gateway);
}

enum fts_status ftsi_text_gateway_start(const struct ftsi_text_options *options, struct ftsi_text_gateway **out_gateway,
					struct fts_error *out_error)
{
	struct ftsi_text_gateway *gateway = calloc(1, sizeof(*gateway));
	enum fts_status status = FTS_OK;
	if (gateway == NULL) {
		close(options->listen_fd);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	}
	gateway->epoll_fd = gateway->wake_fd = -1;
	gateway->listen_fd = options->listen_fd;
	gateway->channel = options->channel;
	gateway->agencies = options->agencies;
	if (!prepare(gateway) || !watch(gateway, &gateway->listen_fd) ||
	    pthread_create(&gateway->thread, NULL, run, gateway) != 0) {
		status =
		    fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "--lottery-text: out of threads or descriptors");
		goto out;
	}
	pthread_setname_np(gateway->thread, "fts-text");
	*out_gateway = gateway;
	gateway = NULL;
out:
	if (gateway != NULL) release(gateway);
	return status;
}

void ftsi_text_gateway_drain(struct ftsi_text_gateway *gateway, uint32_t timeout_ms)
{
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms);
	struct timespec until = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
	pthread_mutex_lock(&gateway->mutex);
	gateway->draining = true;
	pthread_mutex_unlock(&gateway->mutex);
	ftsi_text_wake(gateway);
	pthread_mutex_lock(&gateway->mutex);
	while (!gateway->empty)
		if (pthread_cond_timedwait(&gateway->empty_cond, &gateway->mutex, &until) == ETIMEDOUT) break;
	gateway->cut = true;
	pthread_mutex_unlock(&gateway->mutex);
	ftsi_text_wake(gateway);
	pthread_mutex_lock(&gateway->mutex);
	while (!gateway->cut_done) /* its thread waits for nothing but its sockets */
		pthread_cond_wait(&gateway->empty_cond, &gateway->mutex);
	pthread_mutex_unlock(&gateway->mutex);
}

void ftsi_text_gateway_destroy(struct ftsi_text_gateway *gateway)
{
	if (gateway == NULL) return;
	pthread_mutex_lock(&gateway->mutex);
	gateway->stopping = true;
	pthread_mutex_unlock(&gateway->mutex);
	ftsi_text_wake(gateway);
	FTS_ASSERT(pthread_join(gateway->thread, NULL) == 0);
	release(gateway);
}
