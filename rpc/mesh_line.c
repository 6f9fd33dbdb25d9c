/* Why this file exists: see mesh.h; here: one connection of a mesh, dialed or accepted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/mesh_internal.h"

struct ftsi_mesh_line *ftsi_mesh_line_from(struct ftsi_mesh *mesh, const char *key)
{
	for (struct ftsi_mesh_line *line = mesh->lines; line != NULL; line = line->next) {
		if (line->link == NULL && !line->replaced && strcmp(line->key, key) == 0) return line;
	}
	return NULL;
}

struct ftsi_mesh_line *ftsi_mesh_line_to(struct ftsi_mesh *mesh, const char *key)
{
	for (struct ftsi_mesh_line *line = mesh->lines; line != NULL; line = line->next) {
		if (line->up && strcmp(line->key, key) == 0) return line;
	}
	return ftsi_mesh_line_from(mesh, key);
}

const char *ftsi_mesh_line_key(const struct ftsi_mesh_line *line)
{
	return line->key;
}

void ftsi_mesh_line_name(struct ftsi_mesh_line *line, const char *key)
{
	struct ftsi_mesh *mesh = line->mesh;
	struct ftsi_conn *old = NULL;
	pthread_mutex_lock(&mesh->mutex);
	struct ftsi_mesh_line *before = ftsi_mesh_line_from(mesh, key);
	if (before != NULL && before != line) {
		before->replaced = true;
		old = ftsi_conn_hold(before->conn);
	}
	(void)snprintf(line->key, sizeof line->key, "%s", key);
	struct ftsi_mesh_link *link = ftsi_mesh_link_find(mesh, key);
	if (link != NULL) ftsi_mesh_link_hurry(link);
	pthread_mutex_unlock(&mesh->mutex);
	if (old == NULL) return;
	ftsi_conn_close(old, "a newer connection took its place");
	ftsi_conn_release(old);
}

void ftsi_mesh_line_close(struct ftsi_mesh_line *line, const char *reason)
{
	ftsi_conn_close(line->conn, reason);
}

/* ---- What the connection tells ---- */

static void on_ready(void *ctx, struct ftsi_conn *conn)
{
	struct ftsi_mesh_line *line = ctx;
	struct ftsi_mesh *mesh = line->mesh;
	(void)conn;
	if (line->link == NULL) return;
	pthread_mutex_lock(&mesh->mutex);
	line->up = line->link->line == line && line->link->wanted && !mesh->stopping;
	bool up = line->up;
	if (up) {
		line->link->state = FTSI_MESH_UP;
		line->link->up_ns = fts_clock_monotonic_ns();
	}
	pthread_mutex_unlock(&mesh->mutex);
	if (up)
		mesh->options.on_up(mesh->options.ctx, line->key);
	else
		ftsi_conn_close(conn, "not wanted any more");
}

static void on_message(void *ctx, struct ftsi_conn *conn, struct fts_bytes message)
{
	struct ftsi_mesh_line *line = ctx;
	struct ftsi_mesh *mesh = line->mesh;
	atomic_store_explicit(&line->heard_ns, fts_clock_monotonic_ns(), memory_order_relaxed);
	if (message.size_bytes == 0) return; /* only to be heard */
	unsigned told = atomic_load(&mesh->read_on_count);
	if (mesh->options.on_message(mesh->options.ctx, line, message)) return;
	ftsi_conn_stop_reading(conn);
	/* Who took what waits may have said so in the meantime, before this line had stopped: nobody says it again. */
	if (atomic_load(&mesh->read_on_count) != told) ftsi_conn_read_on(conn);
}

static void unlist(struct ftsi_mesh_line *line)
{
	struct ftsi_mesh *mesh = line->mesh;
	if (line->prev != NULL)
		line->prev->next = line->next;
	else
		mesh->lines = line->next;
	if (line->next != NULL) line->next->prev = line->prev;
}

static void on_closed(void *ctx, struct ftsi_conn *conn, const char *reason)
{
	struct ftsi_mesh_line *line = ctx;
	struct ftsi_mesh *mesh = line->mesh;
	struct ftsi_mesh_link *link = line->link;
	pthread_mutex_lock(&mesh->mutex);
	bool tell =
	    !mesh->stopping && !line->replaced && line->key[0] != '\0' && (link == NULL || (line->up && link->wanted));
	unlist(line);
	if (link != NULL) ftsi_mesh_link_down(link);
	pthread_mutex_unlock(&mesh->mutex);
	FTS_LOG_DEBUG("mesh.closed", "key=%s dialed=%d reason=\"%s\"", line->key, link != NULL, reason);
	if (tell) mesh->options.on_down(mesh->options.ctx, line->key);
	free(line);
	ftsi_conn_release(conn);
	pthread_mutex_lock(&mesh->mutex);
	mesh->line_count--; /* last: from here on a stop may free the mesh */
	pthread_cond_broadcast(&mesh->changed);
	pthread_mutex_unlock(&mesh->mutex);
}

/* ---- Making one ---- */

/* All places are taken: the oldest of those that have not said who they are gives its own up. False: there is none. */
static bool make_room(struct ftsi_mesh *mesh)
{
	struct ftsi_mesh_line *oldest = NULL;
	for (struct ftsi_mesh_line *line = mesh->lines; line != NULL; line = line->next) {
		if (line->link != NULL || line->key[0] != '\0' || ftsi_conn_is_closed(line->conn)) continue;
		if (oldest == NULL || line->opened_ns < oldest->opened_ns) oldest = line;
	}
	if (oldest != NULL) ftsi_conn_close(oldest->conn, "others want its place");
	return oldest != NULL && mesh->line_count < 2 * FTSI_MESH_LINE_MAX;
}

struct ftsi_mesh_line *ftsi_mesh_line_make(struct ftsi_mesh *mesh, struct ftsi_mesh_link *link, nng_stream *stream)
{
	struct ftsi_mesh_line *line =
	    link == NULL && mesh->line_count >= FTSI_MESH_LINE_MAX && !make_room(mesh) ? NULL : calloc(1, sizeof *line);
	if (line == NULL) {
		nng_stream_free(stream);
		return NULL;
	}
	struct ftsi_conn_options options = {
	    .role = link != NULL ? FTSI_ROLE_PUSH : FTSI_ROLE_PULL,
	    .tls = mesh->secure,
	    .message_max_bytes = mesh->options.message_max_bytes,
	    .backlog_high_bytes = mesh->options.backlog_max_bytes,
	    .backlog_max_bytes = 2 * mesh->options.backlog_max_bytes + mesh->options.message_max_bytes,
	    .on_message = on_message,
	    .on_ready = on_ready,
	    .on_closed = on_closed,
	    .ctx = line,
	};
	if (ftsi_conn_create(stream, &options, &line->conn) != FTS_OK) {
		free(line);
		return NULL;
	}
	line->mesh = mesh;
	line->link = link;
	line->opened_ns = fts_clock_monotonic_ns();
	atomic_init(&line->heard_ns, line->opened_ns);
	if (link != NULL) (void)snprintf(line->key, sizeof line->key, "%s", link->key);
	line->next = mesh->lines;
	if (line->next != NULL) line->next->prev = line;
	mesh->lines = line;
	mesh->line_count++;
	return line;
}
