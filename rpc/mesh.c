/* Why this file exists: see mesh.h; here: a mesh's life, its tick, and what its owner asks of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/mesh_internal.h"

#define SILENCE_DEFAULT_MS 2000u

/* ---- Listening ---- */

static enum fts_status listen_failed(const struct ftsi_mesh *mesh, int error, struct fts_error *out_error)
{
	if (error == NNG_EADDRINUSE)
		return fts_error_set(out_error, FTS_UNAVAILABLE, "%s is in use: is another node running there?",
				     mesh->options.listen);
	return fts_error_set(out_error, ftsi_nng_status(error), "can't listen on %s: %s", mesh->options.listen,
			     nng_strerror(error));
}

static int set_tls(void *listener, nng_tls_config *config)
{
	return nng_stream_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, config);
}

static enum fts_status listen_open(struct ftsi_mesh *mesh, struct fts_error *out_error)
{
	char url[FTSI_ENDPOINT_TEXT_BYTES + 16];
	int error, port = 0;
	int length = snprintf(url, sizeof url, "%s://%s", mesh->secure ? "tls+tcp" : "tcp", mesh->options.listen);
	if (length < 0 || (size_t)length >= sizeof url) return listen_failed(mesh, NNG_EADDRINVAL, out_error);
	if ((error = nng_stream_listener_alloc(&mesh->listener, url)) != 0)
		return listen_failed(mesh, error, out_error);
	if (mesh->secure) {
		enum fts_status status = ftsi_tls_watch_create(&mesh->options.tls, FTSI_ROLE_SERVER, NULL, set_tls,
							       mesh->listener, &mesh->tls, out_error);
		if (status != FTS_OK) return status;
	}
	if ((error = nng_stream_listener_listen(mesh->listener)) != 0 ||
	    (error = nng_stream_listener_get_int(mesh->listener, NNG_OPT_TCP_BOUND_PORT, &port)) != 0)
		return listen_failed(mesh, error, out_error);
	mesh->port = (uint16_t)port;
	return FTS_OK;
}

static void open_accepted(struct ftsi_mesh *mesh, nng_stream *stream)
{
	struct ftsi_mesh_line *line = NULL;
	struct ftsi_conn *conn = NULL;
	pthread_mutex_lock(&mesh->mutex);
	if (mesh->stopping)
		nng_stream_free(stream);
	else if ((line = ftsi_mesh_line_make(mesh, NULL, stream)) != NULL)
		conn = ftsi_conn_hold(line->conn);
	pthread_mutex_unlock(&mesh->mutex);
	if (conn == NULL) return;
	ftsi_conn_start(conn);
	ftsi_conn_release(conn);
}

static void on_accepted(void *arg)
{
	struct ftsi_mesh *mesh = arg;
	int error = nng_aio_result(mesh->accept);
	if (error == 0) open_accepted(mesh, nng_aio_get_output(mesh->accept, 0));
	pthread_mutex_lock(&mesh->mutex);
	bool stopping = mesh->stopping;
	bool stalled = error == NNG_ENOFILES || error == NNG_ENOMEM;
	if (stalled) mesh->accept_stalled = true; /* at once would spin: the tick goes on */
	pthread_mutex_unlock(&mesh->mutex);
	if (stopping || stalled || error == NNG_ECLOSED || error == NNG_ECANCELED) return;
	nng_stream_listener_accept(mesh->listener, mesh->accept);
}

/* ---- The tick ---- */

#define DOOMED_MAX (2 * FTSI_MESH_LINE_MAX)

/* What the tick decides under the mutex and does without it. */
struct round {
	uint64_t now_ns;
	bool woke_late; /* this process was stopped for a while: silence says nothing */
	size_t ping_count, doomed_count;
	struct ftsi_conn *pings[DOOMED_MAX];
	struct {
		struct ftsi_conn *conn;
		const char *reason;
	} doomed[DOOMED_MAX];
};

static void doom(struct round *round, struct ftsi_mesh_line *line, const char *reason)
{
	if (round->doomed_count == DOOMED_MAX) return;
	round->doomed[round->doomed_count].conn = ftsi_conn_hold(line->conn);
	round->doomed[round->doomed_count++].reason = reason;
}

/* A line that says nothing says that it is there. */
static void look_at_sending(struct round *round, struct ftsi_mesh_line *line)
{
	uint64_t sent_bytes = ftsi_conn_bytes(line->conn).sent_bytes;
	if (sent_bytes != line->sent_bytes) {
		line->sent_bytes = sent_bytes;
		line->sent_ns = round->now_ns;
	}
	if (round->now_ns - line->sent_ns < FTSI_MESH_PING_NS - FTSI_MESH_TICK_MS * 1000000ull / 2) return;
	line->sent_ns = round->now_ns;
	if (round->ping_count < DOOMED_MAX) round->pings[round->ping_count++] = ftsi_conn_hold(line->conn);
}

/* Both lines of a pair go when nothing has come: TCP may be waiting to send again for long. */
static void look_at_silence(struct round *round, struct ftsi_mesh_line *line)
{
	struct ftsi_mesh *mesh = line->mesh;
	struct ftsi_mesh_line *back = ftsi_mesh_line_from(mesh, line->key);
	if (back == NULL) return;
	if (round->woke_late) atomic_store_explicit(&back->heard_ns, round->now_ns, memory_order_relaxed);
	uint64_t heard_ns = atomic_load_explicit(&back->heard_ns, memory_order_relaxed);
	if (heard_ns >= round->now_ns || round->now_ns - heard_ns < mesh->options.silence_ms * 1000000ull) return;
	if (round->now_ns - line->opened_ns < mesh->options.silence_ms * 1000000ull) return;
	doom(round, line, "nothing was heard from the other end");
	doom(round, back, "nothing was heard from the other end");
}

static void look(struct ftsi_mesh *mesh, struct round *round)
{
	for (struct ftsi_mesh_line *line = mesh->lines; line != NULL; line = line->next) {
		ftsi_conn_check(line->conn, round->now_ns);
		if (line->up) {
			look_at_sending(round, line);
			look_at_silence(round, line);
		} else if (line->key[0] == '\0' && round->now_ns - line->opened_ns > FTSI_MESH_NAME_NS) {
			doom(round, line, "it did not say who it is");
		}
	}
}

static void act(struct round *round)
{
	static const struct ftsi_outgoing nothing;
	for (size_t i = 0; i < round->ping_count; i++) {
		enum fts_status ignored = ftsi_conn_send(round->pings[i], &nothing, NULL);
		(void)ignored; /* closed: it is told elsewhere */
		ftsi_conn_release(round->pings[i]);
	}
	for (size_t i = 0; i < round->doomed_count; i++) {
		ftsi_conn_close(round->doomed[i].conn, round->doomed[i].reason);
		ftsi_conn_release(round->doomed[i].conn);
	}
}

static void on_tick(void *arg)
{
	struct ftsi_mesh *mesh = arg;
	struct round round = {.now_ns = fts_clock_monotonic_ns()};
	if (nng_aio_result(mesh->tick) != 0) return;
	pthread_mutex_lock(&mesh->mutex);
	bool stopping = mesh->stopping, stalled = mesh->accept_stalled;
	mesh->accept_stalled = false;
	round.woke_late = mesh->ticked_ns != 0 && round.now_ns - mesh->ticked_ns > 4 * FTSI_MESH_TICK_MS * 1000000ull;
	mesh->ticked_ns = round.now_ns;
	if (!stopping) look(mesh, &round);
	pthread_mutex_unlock(&mesh->mutex);
	act(&round);
	if (stopping) return;
	if (stalled) nng_stream_listener_accept(mesh->listener, mesh->accept);
	nng_sleep_aio(FTSI_MESH_TICK_MS, mesh->tick);
}

/* ---- What its owner asks ---- */

uint16_t ftsi_mesh_port(const struct ftsi_mesh *mesh)
{
	return mesh->port;
}

void ftsi_mesh_set(struct ftsi_mesh *mesh, const struct ftsi_mesh_target *targets, size_t count)
{
	bool keep[FTSI_MESH_LINK_MAX] = {false};
	pthread_mutex_lock(&mesh->mutex);
	for (size_t i = 0; i < count; i++) { /* first those that stay, so that no place of theirs is given away */
		struct ftsi_mesh_link *link = ftsi_mesh_link_find(mesh, targets[i].key);
		if (link != NULL) keep[link - mesh->links] = true;
	}
	for (size_t i = 0; i < FTSI_MESH_LINK_MAX; i++) {
		if (mesh->links[i].wanted && !keep[i]) ftsi_mesh_link_give_up(&mesh->links[i]);
	}
	for (size_t i = 0; i < count && !mesh->stopping; i++)
		(void)ftsi_mesh_link_want(mesh, &targets[i]);
	pthread_mutex_unlock(&mesh->mutex);
}

/* The connection to key, held; NULL: none. */
static struct ftsi_conn *conn_to(struct ftsi_mesh *mesh, const char *key)
{
	pthread_mutex_lock(&mesh->mutex);
	struct ftsi_mesh_line *line = ftsi_mesh_line_to(mesh, key);
	struct ftsi_conn *conn = line == NULL ? NULL : ftsi_conn_hold(line->conn);
	pthread_mutex_unlock(&mesh->mutex);
	return conn;
}

bool ftsi_mesh_send(struct ftsi_mesh *mesh, const char *key, struct fts_bytes message)
{
	const struct ftsi_outgoing outgoing = {.payload = message};
	struct ftsi_conn *conn = conn_to(mesh, key);
	bool sent = false;
	if (conn != NULL && ftsi_conn_backlog_bytes(conn) + message.size_bytes <= mesh->options.backlog_max_bytes)
		sent = ftsi_conn_send(conn, &outgoing, NULL) == FTS_OK;
	ftsi_conn_release(conn);
	return sent;
}

size_t ftsi_mesh_backlog_bytes(struct ftsi_mesh *mesh, const char *key)
{
	struct ftsi_conn *conn = conn_to(mesh, key);
	size_t bytes = conn == NULL ? 0 : ftsi_conn_backlog_bytes(conn);
	ftsi_conn_release(conn);
	return bytes;
}

void ftsi_mesh_read_on(struct ftsi_mesh *mesh)
{
	atomic_fetch_add(&mesh->read_on_count, 1); /* first: see on_message of mesh_line.c */
	pthread_mutex_lock(&mesh->mutex);
	for (struct ftsi_mesh_line *line = mesh->lines; line != NULL; line = line->next)
		ftsi_conn_read_on(line->conn);
	pthread_mutex_unlock(&mesh->mutex);
}

/* ---- Life ---- */

static void init_sync(struct ftsi_mesh *mesh)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&mesh->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&mesh->mutex, NULL);
}

static char *copy(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

static bool copy_options(struct ftsi_mesh *mesh, const struct ftsi_mesh_options *options)
{
	const struct fts_tls *tls = &options->tls;
	mesh->options = *options;
	if (mesh->options.silence_ms == 0) mesh->options.silence_ms = SILENCE_DEFAULT_MS;
	mesh->options.listen = copy(options->listen);
	mesh->options.tls = (struct fts_tls){
	    .ca_file = copy(tls->ca_file), .cert_file = copy(tls->cert_file), .key_file = copy(tls->key_file)};
	mesh->secure = ftsi_tls_wanted(tls);
	return mesh->options.listen != NULL && !mesh->options.tls.ca_file == !tls->ca_file &&
	       !mesh->options.tls.cert_file == !tls->cert_file && !mesh->options.tls.key_file == !tls->key_file;
}

static enum fts_status start(struct ftsi_mesh *mesh, struct fts_error *out_error)
{
	enum fts_status status;
	if (nng_aio_alloc(&mesh->accept, on_accepted, mesh) != 0 || nng_aio_alloc(&mesh->tick, on_tick, mesh) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for connections");
	if ((status = listen_open(mesh, out_error)) != FTS_OK) return status;
	nng_stream_listener_accept(mesh->listener, mesh->accept);
	nng_sleep_aio(FTSI_MESH_TICK_MS, mesh->tick);
	return FTS_OK;
}

enum fts_status ftsi_mesh_create(const struct ftsi_mesh_options *options, struct ftsi_mesh **out_mesh,
				 struct fts_error *out_error)
{
	struct ftsi_mesh *mesh = calloc(1, sizeof *mesh);
	enum fts_status status;
	if (mesh == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for connections");
	init_sync(mesh);
	for (size_t i = 0; i < FTSI_MESH_LINK_MAX; i++)
		mesh->links[i].mesh = mesh;
	status = copy_options(mesh, options)
		     ? start(mesh, out_error)
		     : fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for connections");
	if (status == FTS_OK)
		*out_mesh = mesh;
	else
		ftsi_mesh_destroy(mesh);
	return status;
}

static void close_lines(struct ftsi_mesh *mesh)
{
	pthread_mutex_lock(&mesh->mutex);
	for (struct ftsi_mesh_line *line = mesh->lines; line != NULL; line = line->next)
		ftsi_conn_close(line->conn, "this node is stopping");
	while (mesh->line_count > 0)
		pthread_cond_wait(&mesh->changed, &mesh->mutex);
	pthread_mutex_unlock(&mesh->mutex);
}

void ftsi_mesh_stop(struct ftsi_mesh *mesh)
{
	pthread_mutex_lock(&mesh->mutex);
	bool again = mesh->stopping;
	mesh->stopping = true;
	pthread_mutex_unlock(&mesh->mutex);
	if (again) return;
	if (mesh->listener != NULL) nng_stream_listener_close(mesh->listener);
	if (mesh->tick != NULL) nng_aio_stop(mesh->tick);
	if (mesh->accept != NULL) nng_aio_stop(mesh->accept);
	for (size_t i = 0; i < FTSI_MESH_LINK_MAX; i++) { /* nobody makes lines any more */
		if (mesh->links[i].wait != NULL) nng_aio_stop(mesh->links[i].wait);
		if (mesh->links[i].dial != NULL) nng_aio_stop(mesh->links[i].dial);
	}
	close_lines(mesh);
}

void ftsi_mesh_destroy(struct ftsi_mesh *mesh)
{
	if (mesh == NULL) return;
	ftsi_mesh_stop(mesh);
	for (size_t i = 0; i < FTSI_MESH_LINK_MAX; i++)
		ftsi_mesh_link_free(&mesh->links[i]);
	ftsi_tls_watch_stop(mesh->tls);
	if (mesh->listener != NULL) nng_stream_listener_free(mesh->listener);
	ftsi_tls_watch_destroy(mesh->tls);
	if (mesh->tick != NULL) nng_aio_free(mesh->tick);
	if (mesh->accept != NULL) nng_aio_free(mesh->accept);
	pthread_cond_destroy(&mesh->changed);
	pthread_mutex_destroy(&mesh->mutex);
	free((void *)(uintptr_t)mesh->options.listen);
	free((void *)(uintptr_t)mesh->options.tls.ca_file);
	free((void *)(uintptr_t)mesh->options.tls.cert_file);
	free((void *)(uintptr_t)mesh->options.tls.key_file);
	free(mesh);
}
