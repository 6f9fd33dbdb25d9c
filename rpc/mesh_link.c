/* Why this file exists: see mesh.h; here: dialing one of the others, again and again.
 *
 * The dialer and both operations of a link stay until the mesh ends, or until the place is needed for another while
 * nothing is on its way: nng 1.5.2 can free a dialer under its own callback (#1657). */
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rpc/mesh_internal.h"

#define DIAL_TIMEOUT_MS 2000
#define BACK_OFF_MIN_MS 10u
#define BACK_OFF_MAX_MS 1000u
#define STABLE_NS 1000000000ull

/* 10 ms doubling to 1 s, a quarter of it by chance, so that two that failed together don't try together. */
static nng_duration back_off_ms(const struct ftsi_mesh_link *link)
{
	uint32_t shift = link->failure_count < 7 ? link->failure_count : 7;
	uint32_t ms = BACK_OFF_MIN_MS << shift;
	if (ms > BACK_OFF_MAX_MS) ms = BACK_OFF_MAX_MS;
	return (nng_duration)(ms - ms / 4 + nng_random() % (ms / 4 + 1));
}

static void wait_to_dial(struct ftsi_mesh_link *link)
{
	if (!link->wanted || link->mesh->stopping) {
		link->state = FTSI_MESH_IDLE;
		return;
	}
	link->state = FTSI_MESH_WAITING;
	nng_sleep_aio(back_off_ms(link), link->wait);
	link->failure_count++;
}

static void dial(struct ftsi_mesh_link *link)
{
	link->state = FTSI_MESH_DIALING;
	link->dialer_at = 0;
	nng_stream_dialer_dial(link->dialers[0], link->dial);
}

void ftsi_mesh_link_down(struct ftsi_mesh_link *link)
{
	link->line = NULL;
	if (link->state == FTSI_MESH_UP && fts_clock_monotonic_ns() - link->up_ns >= STABLE_NS) link->failure_count = 0;
	wait_to_dial(link);
}

void ftsi_mesh_link_hurry(struct ftsi_mesh_link *link)
{
	if (link->state != FTSI_MESH_WAITING) return;
	link->failure_count = 0;
	nng_aio_cancel(link->wait);
}

static void on_waited(void *arg)
{
	struct ftsi_mesh_link *link = arg;
	struct ftsi_mesh *mesh = link->mesh;
	pthread_mutex_lock(&mesh->mutex);
	if (link->wanted && !mesh->stopping)
		dial(link);
	else
		link->state = FTSI_MESH_IDLE;
	pthread_mutex_unlock(&mesh->mutex);
}

/* Called with the mutex held. Returns the connection to be started (held), or NULL. */
static struct ftsi_conn *take_dialed(struct ftsi_mesh_link *link)
{
	int result = nng_aio_result(link->dial);
	nng_stream *stream = result == 0 ? nng_aio_get_output(link->dial, 0) : NULL;
	bool wanted = link->wanted && !link->mesh->stopping;
	if (stream == NULL && wanted && link->dialer_at + 1 < link->dialer_count) {
		link->dialer_at++;
		nng_stream_dialer_dial(link->dialers[link->dialer_at], link->dial);
		return NULL;
	}
	if (stream != NULL && !wanted) {
		nng_stream_free(stream);
		stream = NULL;
	}
	if (stream != NULL) link->line = ftsi_mesh_line_make(link->mesh, link, stream);
	if (stream == NULL || link->line == NULL) {
		wait_to_dial(link);
		return NULL;
	}
	link->state = FTSI_MESH_GREETING;
	return ftsi_conn_hold(link->line->conn);
}

static void on_dialed(void *arg)
{
	struct ftsi_mesh_link *link = arg;
	pthread_mutex_lock(&link->mesh->mutex);
	struct ftsi_conn *conn = take_dialed(link);
	pthread_mutex_unlock(&link->mesh->mutex);
	if (conn == NULL) return;
	ftsi_conn_start(conn);
	ftsi_conn_release(conn);
}

/* ---- Making and freeing ---- */

static enum fts_status add_dialer(struct ftsi_mesh_link *link, const char *family)
{
	char url[FTSI_ENDPOINT_TEXT_BYTES + 16];
	nng_stream_dialer *dialer = NULL;
	snprintf(url, sizeof url, "%s%s://%s", link->mesh->secure ? "tls+tcp" : "tcp", family, link->endpoint.text);
	int result = nng_stream_dialer_alloc(&dialer, url);
	if (result != 0) return ftsi_nng_status(result);
	link->dialers[link->dialer_count++] = dialer;
	result = nng_stream_dialer_set_bool(dialer, NNG_OPT_TCP_NODELAY, true);
	return ftsi_nng_status(result);
}

static bool is_ipv4(const char *host)
{
	return strspn(host, "0123456789.") == strlen(host);
}

static enum fts_status add_dialers(struct ftsi_mesh_link *link)
{
	if (link->endpoint.ipv6) return add_dialer(link, "6");
	enum fts_status status = add_dialer(link, "4");
	if (status != FTS_OK || is_ipv4(link->endpoint.host)) return status;
	return add_dialer(link, "6");
}

static int set_tls(void *ctx, nng_tls_config *config)
{
	struct ftsi_mesh_link *link = ctx;
	int result = 0;
	for (uint32_t i = 0; i < link->dialer_count && result == 0; i++)
		result = nng_stream_dialer_set_ptr(link->dialers[i], NNG_OPT_TLS_CONFIG, config);
	return result;
}

static enum fts_status init(struct ftsi_mesh_link *link, const struct ftsi_mesh_target *target,
			    struct fts_error *out_error)
{
	const struct fts_tls *tls = &link->mesh->options.tls;
	enum fts_status status =
	    ftsi_endpoint_parse(target->endpoint, strlen(target->endpoint), &link->endpoint, out_error);
	if (status != FTS_OK) return status;
	status = add_dialers(link);
	if (status == FTS_OK && link->mesh->secure)
		status = ftsi_tls_watch_create(tls, FTSI_ROLE_CALLER, link->endpoint.host, set_tls, link, &link->tls,
					       out_error);
	if (status != FTS_OK || nng_aio_alloc(&link->dial, on_dialed, link) != 0 ||
	    nng_aio_alloc(&link->wait, on_waited, link) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for a connection");
	nng_aio_set_timeout(link->dial, DIAL_TIMEOUT_MS);
	(void)snprintf(link->key, sizeof link->key, "%s", target->key);
	link->used = true;
	return FTS_OK;
}

void ftsi_mesh_link_free(struct ftsi_mesh_link *link)
{
	struct ftsi_mesh *mesh = link->mesh;
	if (link->wait != NULL) nng_aio_stop(link->wait);
	if (link->dial != NULL) nng_aio_stop(link->dial);
	ftsi_tls_watch_stop(link->tls);
	for (uint32_t i = 0; i < link->dialer_count; i++) {
		nng_stream_dialer_close(link->dialers[i]);
		nng_stream_dialer_free(link->dialers[i]);
	}
	if (link->wait != NULL) nng_aio_free(link->wait);
	ftsi_tls_watch_destroy(link->tls);
	if (link->dial != NULL) nng_aio_free(link->dial);
	*link = (struct ftsi_mesh_link){.mesh = mesh};
}

struct ftsi_mesh_link *ftsi_mesh_link_find(struct ftsi_mesh *mesh, const char *key)
{
	for (size_t i = 0; i < FTSI_MESH_LINK_MAX; i++) {
		if (mesh->links[i].used && strcmp(mesh->links[i].key, key) == 0) return &mesh->links[i];
	}
	return NULL;
}

/* A place that was never used, or else one that nobody wants and that has nothing on its way. */
static struct ftsi_mesh_link *find_place(struct ftsi_mesh *mesh)
{
	for (size_t i = 0; i < FTSI_MESH_LINK_MAX; i++) {
		if (!mesh->links[i].used) return &mesh->links[i];
	}
	for (size_t i = 0; i < FTSI_MESH_LINK_MAX; i++) {
		struct ftsi_mesh_link *link = &mesh->links[i];
		if (link->wanted || link->state != FTSI_MESH_IDLE) continue;
		ftsi_mesh_link_free(link);
		return link;
	}
	return NULL;
}

struct ftsi_mesh_link *ftsi_mesh_link_want(struct ftsi_mesh *mesh, const struct ftsi_mesh_target *target)
{
	struct fts_error error = {.detail = "too many others to dial"};
	struct ftsi_mesh_link *link = ftsi_mesh_link_find(mesh, target->key);
	bool fits = strlen(target->key) < FTSI_MESH_KEY_BYTES;
	if (link == NULL && fits && (link = find_place(mesh)) != NULL && init(link, target, &error) != FTS_OK) {
		ftsi_mesh_link_free(link);
		link = NULL;
	}
	if (link == NULL) {
		FTS_LOG_WARN("mesh.not_dialed", "key=%.100s detail=\"%s\"", target->key, error.detail);
		return NULL;
	}
	link->wanted = true;
	if (link->state == FTSI_MESH_IDLE) {
		link->failure_count = 0;
		dial(link);
	}
	return link;
}

void ftsi_mesh_link_give_up(struct ftsi_mesh_link *link)
{
	link->wanted = false;
	if (link->state == FTSI_MESH_WAITING) nng_aio_cancel(link->wait);
	if (link->state == FTSI_MESH_DIALING) nng_aio_cancel(link->dial);
	if (link->line != NULL) ftsi_conn_close(link->line->conn, "not wanted any more");
}
