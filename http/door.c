/* Why this file exists: see http/door.h: a door's life, its connections, and the housekeeper. */
#include "http/door.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/internal.h"

#define DEFAULT_CONNECTION_COUNT_MAX 1024u
#define DEFAULT_STREAM_COUNT_MAX 64u
#define DEFAULT_RECEIVE_TIMEOUT_MS 30000u
#define IDLE_TIMEOUT_S 10u
#define CONNECTION_MEMORY_BYTES ((size_t)32 * 1024)
#define BODIES_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define THREAD_COUNT 2u
#define TICK_MS 100
#define LAST_DRAIN_MS 3000
#define TLS_PRIORITIES "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"

bool ftsi_door_take_bytes(struct fts_door *door, size_t size_bytes)
{
	if (atomic_fetch_add(&door->body_bytes, size_bytes) + size_bytes <= BODIES_MAX_BYTES) return true;
	atomic_fetch_sub(&door->body_bytes, size_bytes);
	return false;
}

void ftsi_door_give_bytes(struct fts_door *door, size_t size_bytes)
{
	atomic_fetch_sub(&door->body_bytes, size_bytes);
}

void ftsi_door_wake(struct fts_door *door)
{
	pthread_mutex_lock(&door->lock);
	pthread_cond_broadcast(&door->changed);
	pthread_mutex_unlock(&door->lock);
}

/* ---- Connections: libmicrohttpd's threads ---- */

static void conn_add(struct fts_door *door, struct MHD_Connection *connection, void **out_context)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ftsi_http_conn *conn = info == NULL ? NULL : calloc(1, sizeof(*conn));
	if (conn == NULL) return; /* it is served all the same, without a watch on its time */
	conn->fd = info->connect_fd;
	conn->waits_since_ns = fts_clock_monotonic_ns();
	*out_context = conn;
	pthread_mutex_lock(&door->lock);
	conn->next = door->conns;
	if (conn->next != NULL) conn->next->previous = conn;
	door->conns = conn;
	door->conn_count++;
	pthread_mutex_unlock(&door->lock);
}

static void conn_remove(struct fts_door *door, struct ftsi_http_conn *conn)
{
	if (conn == NULL) return;
	pthread_mutex_lock(&door->lock);
	if (conn->previous != NULL)
		conn->previous->next = conn->next;
	else
		door->conns = conn->next;
	if (conn->next != NULL) conn->next->previous = conn->previous;
	door->conn_count--;
	pthread_mutex_unlock(&door->lock);
	free(conn);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		conn_add(ctx, connection, socket_context);
	else
		conn_remove(ctx, *socket_context);
}

/* libmicrohttpd counts only the time between two bytes: who sends one now and then would stay for ever. The descriptor
 * is open as long as its record is in the list. */
static void cut_slow(struct fts_door *door, uint64_t now_ns)
{
	uint64_t limit_ns = (uint64_t)door->options.receive_timeout_ms * 1000000u;
	for (struct ftsi_http_conn *conn = door->conns; conn != NULL; conn = conn->next) {
		if (conn->waits_since_ns == 0 || now_ns - conn->waits_since_ns < limit_ns) continue;
		conn->waits_since_ns = 0;
		shutdown(conn->fd, SHUT_RDWR);
		atomic_fetch_add(&door->cut_count, 1);
	}
}

/* ---- The housekeeper ---- */

/* Called with the lock held. */
static void wait_tick(struct fts_door *door)
{
	uint64_t until_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), TICK_MS);
	struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
	pthread_cond_timedwait(&door->changed, &door->lock, &until);
}

static void *keep_house(void *ctx)
{
	struct fts_door *door = ctx;
	bool more = true;
	while (more) {
		ftsi_stream_keep(door, atomic_load(&door->draining));
		ftsi_certificates_keep(door, fts_clock_monotonic_ns());
		pthread_mutex_lock(&door->lock);
		cut_slow(door, fts_clock_monotonic_ns());
		more = !door->stopping || door->streams != NULL;
		if (more) wait_tick(door);
		pthread_mutex_unlock(&door->lock);
	}
	return NULL;
}

/* ---- Life ---- */

static void set_defaults(struct fts_door_options *options)
{
	if (options->connection_count_max == 0) options->connection_count_max = DEFAULT_CONNECTION_COUNT_MAX;
	if (options->stream_count_max == 0) options->stream_count_max = DEFAULT_STREAM_COUNT_MAX;
	if (options->receive_timeout_ms == 0) options->receive_timeout_ms = DEFAULT_RECEIVE_TIMEOUT_MS;
}

static void init_sync(struct fts_door *door)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&door->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&door->lock, NULL);
	pthread_rwlock_init(&door->calls_lock, NULL);
}

static void on_library_log(void *ctx, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

static void on_library_log(void *ctx, const char *format, va_list arguments)
{
	char text[256], quoted[512];
	(void)ctx;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	FTS_LOG_DEBUG("http.library", "detail=%s", fts_log_quote(quoted, sizeof(quoted), text));
}

static enum fts_status start_daemon(struct fts_door *door, struct fts_error *out_error)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_TRUST, 0, door->trust_pem},
				       {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, ftsi_certificates_callback()},
				       {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
				       {MHD_OPTION_END, 0, NULL}};
	struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
	if (door->rules.https) flags |= MHD_USE_TLS;
	door->daemon = MHD_start_daemon(
	    flags, 0, NULL, NULL, ftsi_on_request, door, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
	    MHD_OPTION_LISTEN_SOCKET, door->options.listen_fd, MHD_OPTION_THREAD_POOL_SIZE, THREAD_COUNT,
	    MHD_OPTION_CONNECTION_LIMIT, door->options.connection_count_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED,
	    ftsi_on_completed, door, MHD_OPTION_NOTIFY_CONNECTION, on_connection, door, MHD_OPTION_ARRAY,
	    door->rules.https ? tls : plain, MHD_OPTION_END);
	if (door->daemon != NULL) return FTS_OK;
	return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED,
			     "--http: the HTTP server does not start: out of memory, "
			     "threads or descriptors");
}

bool fts_door_origins_valid(const char *text)
{
	return ftsi_origins_valid(text);
}

enum fts_status fts_door_open(const struct fts_door_options *options, struct fts_door **out_door,
			      struct fts_error *out_error)
{
	struct fts_door *door = calloc(1, sizeof(*door));
	enum fts_status status = FTS_OK;
	if (door == NULL) {
		close(options->listen_fd);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory for the HTTP door");
	}
	door->options = *options;
	set_defaults(&door->options);
	door->rules = (struct ftsi_origin_rules){options->origins, options->local, options->tls.cert_file != NULL};
	init_sync(door);
	if (options->origins != NULL && !ftsi_origins_valid(options->origins))
		status =
		    fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				  "--http-origins: \"%.100s\": expected * or SCHEME://HOST[:PORT],…", options->origins);
	if (status == FTS_OK && door->rules.https) status = ftsi_certificates_open(door, out_error);
	if (status == FTS_OK) status = start_daemon(door, out_error);
	if (status == FTS_OK) {
		door->keeper_runs = pthread_create(&door->keeper, NULL, keep_house, door) == 0;
		if (!door->keeper_runs)
			status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread for the HTTP door");
	}
	if (status == FTS_OK)
		*out_door = door;
	else
		fts_door_destroy(door);
	return status;
}

void fts_door_drain(struct fts_door *door, uint32_t timeout_ms)
{
	if (door == NULL) return;
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms);
	atomic_store(&door->draining, true);
	pthread_mutex_lock(&door->lock);
	pthread_cond_broadcast(&door->changed);
	while (atomic_load(&door->exchange_count) > 0 && fts_clock_monotonic_ns() < deadline_ns)
		wait_tick(door);
	pthread_mutex_unlock(&door->lock);
	/* Who sends his request slowly may be at it still. */
	pthread_rwlock_wrlock(&door->calls_lock);
	door->is_cut = true;
	pthread_rwlock_unlock(&door->calls_lock);
}

void fts_door_destroy(struct fts_door *door)
{
	if (door == NULL) return;
	fts_door_drain(door, LAST_DRAIN_MS); /* nothing may be suspended when the daemon stops */
	pthread_mutex_lock(&door->lock);
	door->stopping = true;
	pthread_cond_broadcast(&door->changed);
	pthread_mutex_unlock(&door->lock);
	if (door->daemon != NULL)
		MHD_stop_daemon(door->daemon); /* closes the listener, too */
	else
		close(door->options.listen_fd);
	ftsi_door_wake(door);
	if (door->keeper_runs) pthread_join(door->keeper, NULL);
	ftsi_certificates_close(door);
	pthread_cond_destroy(&door->changed);
	pthread_rwlock_destroy(&door->calls_lock);
	pthread_mutex_destroy(&door->lock);
	free(door);
}
