/* Why this file exists: see server/join.h. */
#include "server/join.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <fts/cluster/v1/cluster.fts.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/release.h"

#define ASK_TIMEOUT_MS 3000
#define PAUSE_MS 250
#define TOLD_NS 5000000000ull /* between two lines about the same trouble */

struct ftsi_join {
	struct ftsi_join_options options;
	struct fts_channel *channel;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping; /* guarded by lock */
	uint64_t told_ns;
};

static bool is_formed(const struct ftsi_join *join)
{
	struct fts_replica_status status;
	fts_replica_status(join->options.replica, &status);
	return status.formed;
}

/* A moment between two calls. False: it is over. */
static bool pause_for(struct ftsi_join *join, uint32_t pause_ms)
{
	uint64_t until_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), pause_ms);
	struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
	int result = 0;
	pthread_mutex_lock(&join->lock);
	while (!join->stopping && result != ETIMEDOUT)
		result = pthread_cond_timedwait(&join->wake, &join->lock, &until);
	bool stopping = join->stopping;
	pthread_mutex_unlock(&join->lock);
	return !stopping;
}

static void tell(struct ftsi_join *join, const struct fts_error *error)
{
	char detail[2 * FTS_DETAIL_MAX];
	uint64_t now_ns = fts_clock_monotonic_ns();
	if (join->told_ns != 0 && now_ns - join->told_ns < TOLD_NS) return;
	join->told_ns = now_ns;
	FTS_LOG_WARN("cluster.not_let_in", "node=%s by=%s status=%s detail=%s", join->options.name,
		     join->options.endpoint, fts_status_name(error->status),
		     fts_log_quote(detail, sizeof(detail), error->detail));
}

static void ask(struct ftsi_join *join)
{
	Fts__Cluster__V1__JoinRequest request = FTS__CLUSTER__V1__JOIN_REQUEST__INIT;
	Fts__Cluster__V1__MemberResponse *response = NULL;
	struct fts_call_options options = {.timeout_ms = ASK_TIMEOUT_MS};
	struct fts_replica_status status;
	struct fts_error error;
	fts_replica_status(join->options.replica, &status);
	request.name = (char *)(uintptr_t)join->options.name;
	request.address = (char *)(uintptr_t)join->options.address;
	request.node_id = status.node_id;
	request.format_max = ftsi_release_format_max();
	request.version = (char *)(uintptr_t)ftsi_release_version();
	if (fts_cluster_join(join->channel, &request, &options, &response, &error) == FTS_OK)
		fts__cluster__v1__member_response__free_unpacked(response, NULL);
	else
		tell(join, &error);
}

static void *run(void *ctx)
{
	struct ftsi_join *join = ctx;
	bool go_on = true;
	while (go_on && !is_formed(join)) {
		ask(join);
		go_on = pause_for(join, PAUSE_MS);
	}
	return NULL;
}

static void init_sync(struct ftsi_join *join)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&join->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&join->lock, NULL);
}

enum fts_status ftsi_join_start(const struct ftsi_join_options *options, struct ftsi_join **out_join,
				struct fts_error *out_error)
{
	struct ftsi_join *join = calloc(1, sizeof(*join));
	if (join == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	init_sync(join);
	join->options = *options;
	struct fts_channel_options channel = {
	    .endpoints = options->endpoint, .tls = options->tls, .token = options->token, .learn_members = true};
	enum fts_status status = fts_channel_open(&channel, &join->channel, out_error);
	if (status == FTS_OK && pthread_create(&join->thread, NULL, run, join) != 0) {
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread to ask to be let in");
		fts_channel_close(join->channel);
	}
	if (status == FTS_OK) {
		pthread_setname_np(join->thread, "fts-join");
		*out_join = join;
		return FTS_OK;
	}
	pthread_cond_destroy(&join->wake);
	pthread_mutex_destroy(&join->lock);
	free(join);
	return status;
}

void ftsi_join_stop(struct ftsi_join *join)
{
	if (join == NULL) return;
	pthread_mutex_lock(&join->lock);
	join->stopping = true;
	pthread_cond_signal(&join->wake);
	pthread_mutex_unlock(&join->lock);
	pthread_join(join->thread, NULL);
	fts_channel_close(join->channel);
	pthread_cond_destroy(&join->wake);
	pthread_mutex_destroy(&join->lock);
	free(join);
}
