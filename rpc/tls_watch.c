/* Why this file exists: see tls_watch.h. */
#include "rpc/tls_watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

#define LOOK_MS 1000
#define FILE_COUNT 4
#define LOG_TEXT_BYTES 400

/* What tells one content of a file from another. */
struct mark {
	dev_t device;
	ino_t inode;
	off_t size_bytes;
	struct timespec changed;
};

struct ftsi_tls_watch {
	char *paths[FILE_COUNT]; /* ca, cert, key, client ca; NULL: none */
	char *server_name;       /* NULL: none */
	enum ftsi_role role;
	ftsi_tls_set_fn set;
	void *ctx;
	nng_tls_config *config, *before;
	struct mark taken[FILE_COUNT]; /* of what config was made from, or could not be made from */
	struct mark seen[FILE_COUNT];  /* at the last look */
	struct ftsi_tls_watch *next, *prev;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ftsi_tls_watch *watches; /* guarded by lock */
static nng_aio *timer;                 /* made with the first watch, never freed; guarded by lock */
static bool timer_runs;                /* guarded by lock */

static struct fts_tls tls_of(const struct ftsi_tls_watch *watch)
{
	return (struct fts_tls){.ca_file = watch->paths[0],
				.cert_file = watch->paths[1],
				.key_file = watch->paths[2],
				.client_ca_file = watch->paths[3]};
}

static void look_at_files(const struct ftsi_tls_watch *watch, struct mark out_marks[FILE_COUNT])
{
	struct stat about;
	memset(out_marks, 0, FILE_COUNT * sizeof *out_marks);
	for (size_t i = 0; i < FILE_COUNT; i++) {
		if (watch->paths[i] == NULL || stat(watch->paths[i], &about) != 0) continue;
		out_marks[i].device = about.st_dev;
		out_marks[i].inode = about.st_ino;
		out_marks[i].size_bytes = about.st_size;
		out_marks[i].changed = about.st_mtim;
	}
}

static bool same(const struct mark a[FILE_COUNT], const struct mark b[FILE_COUNT])
{
	for (size_t i = 0; i < FILE_COUNT; i++)
		if (a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].size_bytes != b[i].size_bytes ||
		    a[i].changed.tv_sec != b[i].changed.tv_sec || a[i].changed.tv_nsec != b[i].changed.tv_nsec)
			return false;
	return true;
}

/* ---- Taking what the files hold ---- */

static void tell(const struct ftsi_tls_watch *watch, const struct fts_error *error)
{
	char text[LOG_TEXT_BYTES];
	bool server = watch->role == FTSI_ROLE_SERVER;
	const char *file = watch->paths[1] != NULL ? watch->paths[1] : watch->paths[0];
	if (error != NULL)
		FTS_LOG_WARN("tls.not_renewed", "detail=%s", fts_log_quote(text, sizeof text, error->detail));
	else if (server)
		FTS_LOG_INFO("tls.renewed", "cert=%s", fts_log_quote(text, sizeof text, file));
	else
		FTS_LOG_DEBUG("tls.renewed", "cert=%s", fts_log_quote(text, sizeof text, file));
}

static enum fts_status load(struct ftsi_tls_watch *watch, struct fts_error *out_error)
{
	struct fts_tls tls = tls_of(watch);
	nng_tls_config *config = NULL;
	enum fts_status status = ftsi_tls_config_create(&tls, watch->role, watch->server_name, &config, out_error);
	if (status != FTS_OK) return status;
	int result = watch->set(watch->ctx, config);
	if (result != 0) {
		nng_tls_config_free(config);
		return fts_error_set(out_error, ftsi_nng_status(result), "TLS can't be set up: %s",
				     nng_strerror(result));
	}
	if (watch->before != NULL) nng_tls_config_free(watch->before);
	watch->before = watch->config;
	watch->config = config;
	return FTS_OK;
}

/* Called with lock held. at_once: without waiting for a second look. */
static void look_at(struct ftsi_tls_watch *watch, bool at_once)
{
	struct mark now[FILE_COUNT];
	struct fts_error error;
	look_at_files(watch, now);
	bool stands = at_once || same(now, watch->seen);
	memcpy(watch->seen, now, sizeof now);
	if (!stands || same(now, watch->taken)) return;
	memcpy(watch->taken, now, sizeof now);
	tell(watch, load(watch, &error) == FTS_OK ? NULL : &error);
}

static void look_at_all(bool at_once)
{
	for (struct ftsi_tls_watch *watch = watches; watch != NULL; watch = watch->next)
		look_at(watch, at_once);
}

void ftsi_tls_watch_look_now(void)
{
	pthread_mutex_lock(&lock);
	look_at_all(true);
	pthread_mutex_unlock(&lock);
}

static void on_timer(void *ctx)
{
	(void)ctx;
	pthread_mutex_lock(&lock);
	look_at_all(false);
	timer_runs = watches != NULL;
	if (timer_runs) nng_sleep_aio(LOOK_MS, timer);
	pthread_mutex_unlock(&lock);
}

/* ---- Life ---- */

/* Called with lock held. False: no memory. */
static bool start_timer(void)
{
	if (timer == NULL && nng_aio_alloc(&timer, on_timer, NULL) != 0) return false;
	if (!timer_runs) nng_sleep_aio(LOOK_MS, timer);
	timer_runs = true;
	return true;
}

static void watch_free(struct ftsi_tls_watch *watch)
{
	for (size_t i = 0; i < FILE_COUNT; i++)
		free(watch->paths[i]);
	free(watch->server_name);
	if (watch->config != NULL) nng_tls_config_free(watch->config);
	if (watch->before != NULL) nng_tls_config_free(watch->before);
	free(watch);
}

static bool copy_texts(struct ftsi_tls_watch *watch, const struct fts_tls *tls, const char *server_name)
{
	const char *paths[FILE_COUNT] = {tls->ca_file, tls->cert_file, tls->key_file, tls->client_ca_file};
	bool copied = server_name == NULL || (watch->server_name = strdup(server_name)) != NULL;
	for (size_t i = 0; i < FILE_COUNT; i++)
		copied = copied && (paths[i] == NULL || (watch->paths[i] = strdup(paths[i])) != NULL);
	return copied;
}

enum fts_status ftsi_tls_watch_create(const struct fts_tls *tls, enum ftsi_role role, const char *server_name,
				      ftsi_tls_set_fn set, void *ctx, struct ftsi_tls_watch **out_watch,
				      struct fts_error *out_error)
{
	struct ftsi_tls_watch *watch = calloc(1, sizeof *watch);
	if (watch == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for TLS");
	watch->role = role;
	watch->set = set;
	watch->ctx = ctx;
	enum fts_status status = FTS_RESOURCE_EXHAUSTED;
	if (!copy_texts(watch, tls, server_name)) {
		fts_error_set(out_error, status, "no memory for TLS");
		goto out;
	}
	look_at_files(watch, watch->taken);
	memcpy(watch->seen, watch->taken, sizeof watch->seen);
	if ((status = load(watch, out_error)) != FTS_OK) goto out;
	pthread_mutex_lock(&lock);
	watch->next = watches;
	if (watches != NULL) watches->prev = watch;
	watches = watch;
	if (!start_timer()) FTS_LOG_WARN("tls.not_watched", "reason=\"no memory\"");
	pthread_mutex_unlock(&lock);
	*out_watch = watch;
	return FTS_OK;
out:
	watch_free(watch);
	return status;
}

void ftsi_tls_watch_stop(struct ftsi_tls_watch *watch)
{
	if (watch == NULL) return;
	pthread_mutex_lock(&lock);
	if (watch->next != NULL) watch->next->prev = watch->prev;
	if (watch->prev != NULL)
		watch->prev->next = watch->next;
	else if (watches == watch)
		watches = watch->next;
	watch->next = watch->prev = NULL;
	pthread_mutex_unlock(&lock);
}

void ftsi_tls_watch_destroy(struct ftsi_tls_watch *watch)
{
	if (watch == NULL) return;
	ftsi_tls_watch_stop(watch);
	watch_free(watch);
}
