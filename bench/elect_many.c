/* Why this file exists: the cost of many members: all join, then renew each third of their lease, as agents do, over a
 * few connections. One thread sends; answers come on the runtime's. */
#include "bench/elect.h"

#include "bench/measure.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <fts/elector/v1/elector.fts.h>

#define CHANNELS 8u
#define OUTSTANDING_MAX 512u
#define CALL_MS 10000u
#define ID_BYTES 24

struct member {
	struct crowd *crowd;
	char election[ID_BYTES], id[ID_BYTES];
	uint64_t sent_ns, next_ns, joined;
	bool open; /* guarded by the crowd's lock, as the rest while it is */
};

struct crowd {
	const struct bench_elect *options;
	struct fts_channel *channels[CHANNELS];
	struct member *members;
	pthread_mutex_t lock;
	pthread_cond_t room;
	uint32_t open_count;     /* guarded by lock */
	struct measure renewals; /* guarded by lock */
	uint32_t joined_count;   /* guarded by lock */
	uint64_t failed_count;   /* guarded by lock */
	char why[FTS_DETAIL_MAX];          /* guarded by lock */
};

static void note_end(struct member *member, enum fts_status status, const struct fts_error *error)
{
	struct crowd *crowd = member->crowd;
	member->open = false;
	crowd->open_count--;
	if (status != FTS_OK) {
		crowd->failed_count++;
		if (error != NULL) (void)snprintf(crowd->why, sizeof crowd->why, "%s", error->detail);
	}
	pthread_cond_signal(&crowd->room);
}

static void on_joined(void *ctx, enum fts_status status, const Fts__Elector__V1__ElectResponse *response,
		      const struct fts_error *error)
{
	struct member *member = ctx;
	pthread_mutex_lock(&member->crowd->lock);
	if (status == FTS_OK) {
		member->joined = response->joined;
		member->crowd->joined_count++;
	}
	note_end(member, status, error);
	pthread_mutex_unlock(&member->crowd->lock);
}

static void on_renewed(void *ctx, enum fts_status status, const Fts__Elector__V1__RenewResponse *response,
		       const struct fts_error *error)
{
	struct member *member = ctx;
	(void)response;
	pthread_mutex_lock(&member->crowd->lock);
	if (status == FTS_OK) measure_add(&member->crowd->renewals, measure_now_ns() - member->sent_ns);
	note_end(member, status, error);
	pthread_mutex_unlock(&member->crowd->lock);
}

static struct fts_channel *channel_of(const struct member *member)
{
	return member->crowd->channels[(size_t)(member - member->crowd->members) % CHANNELS];
}

static enum fts_status join(struct member *member)
{
	const struct fts_call_options call = {.timeout_ms = CALL_MS};
	Fts__Elector__V1__ElectRequest request = FTS__ELECTOR__V1__ELECT_REQUEST__INIT;
	Fts__Elector__V1__Member self = FTS__ELECTOR__V1__MEMBER__INIT;
	self.id = member->id;
	self.started_ms = 1;
	self.lease_ms = member->crowd->options->lease_ms;
	request.election = member->election;
	request.member = &self;
	return fts_elector_elect_start(channel_of(member), &request, &call, on_joined, member, NULL);
}

static enum fts_status renew(struct member *member)
{
	const struct fts_call_options call = {.timeout_ms = CALL_MS};
	Fts__Elector__V1__RenewRequest request = FTS__ELECTOR__V1__RENEW_REQUEST__INIT;
	request.election = member->election;
	request.id = member->id;
	request.joined = member->joined;
	return fts_elector_renew_start(channel_of(member), &request, &call, on_renewed, member, NULL);
}

/* Waits for room; a member whose last call is open still is left out. */
static void call(struct member *member, enum fts_status (*start)(struct member *))
{
	struct crowd *crowd = member->crowd;
	pthread_mutex_lock(&crowd->lock);
	while (crowd->open_count >= OUTSTANDING_MAX)
		pthread_cond_wait(&crowd->room, &crowd->lock);
	bool free_to_go = !member->open;
	if (free_to_go) {
		member->open = true;
		crowd->open_count++;
		member->sent_ns = measure_now_ns();
	}
	pthread_mutex_unlock(&crowd->lock);
	if (!free_to_go) return;
	enum fts_status status = start(member);
	if (status == FTS_OK) return;
	pthread_mutex_lock(&crowd->lock);
	note_end(member, status, NULL);
	pthread_mutex_unlock(&crowd->lock);
}

static void drain(struct crowd *crowd)
{
	pthread_mutex_lock(&crowd->lock);
	while (crowd->open_count > 0)
		pthread_cond_wait(&crowd->room, &crowd->lock);
	pthread_mutex_unlock(&crowd->lock);
}

/* Renewals spread over the third of a lease. */
static void renew_for(struct crowd *crowd, uint64_t until_ns)
{
	uint64_t interval_ns = crowd->options->lease_ms * UINT64_C(1000000) / 3;
	uint64_t begun_ns = measure_now_ns();
	const struct timespec pause = {0, 1000000};
	for (uint32_t i = 0; i < crowd->options->members; i++)
		crowd->members[i].next_ns = begun_ns + interval_ns * i / crowd->options->members;
	uint32_t at = 0; /* their times come in this order, round and round */
	for (uint64_t now_ns = begun_ns; now_ns < until_ns; now_ns = measure_now_ns()) {
		struct member *member = &crowd->members[at];
		if (member->next_ns > now_ns) {
			(void)nanosleep(&pause, NULL);
			continue;
		}
		member->next_ns += interval_ns;
		at = (at + 1) % crowd->options->members;
		call(member, renew);
	}
}

static void print(const struct crowd *crowd, double join_s, double seconds, double cpu_s)
{
	printf(crowd->options->json
		   ? "{\"members\":%u,\"elections\":%u,\"joins_per_s\":%.0f,\"renewals_per_s\":%.0f,\"p50_us\":%.0f,"
		     "\"p99_us\":%.0f,\"errors\":%llu,\"client_cpu\":%.3f}\n"
		   : "%u members in %u elections: %.0f joins/s; then %.0f renewals/s, p50 %.0f us, p99 %.0f us, %llu "
		     "errors, "
		     "this client %.3f of a core\n",
	       crowd->options->members, crowd->options->elections, crowd->joined_count / join_s,
	       (double)crowd->renewals.op_count / seconds, measure_percentile_us(&crowd->renewals, 0.5),
	       measure_percentile_us(&crowd->renewals, 0.99), (unsigned long long)crowd->failed_count, cpu_s / seconds);
	if (crowd->failed_count > 0) fprintf(stderr, "fts-bench: last error: %s\n", crowd->why);
}

static bool open_channels(struct crowd *crowd)
{
	struct fts_error error;
	for (size_t i = 0; i < CHANNELS; i++) {
		const struct fts_channel_options channel = {.endpoints = crowd->options->endpoints};
		if (fts_channel_open(&channel, &crowd->channels[i], &error) == FTS_OK) continue;
		fprintf(stderr, "fts-bench: %s\n", error.detail);
		return false;
	}
	return true;
}

int bench_elect_many(const struct bench_elect *given)
{
	static struct crowd crowd;
	struct bench_elect options = *given;
	if (options.lease_ms == 0) options.lease_ms = 10000;
	crowd.options = &options;
	crowd.members = calloc(options.members, sizeof *crowd.members);
	if (crowd.members == NULL || !open_channels(&crowd)) return 1;
	pthread_mutex_init(&crowd.lock, NULL);
	pthread_cond_init(&crowd.room, NULL);
	uint64_t begun_ns = measure_now_ns();
	for (uint32_t i = 0; i < options.members; i++) {
		struct member *member = &crowd.members[i];
		member->crowd = &crowd;
		(void)snprintf(member->election, sizeof member->election, "many-%u", i % options.elections);
		(void)snprintf(member->id, sizeof member->id, "m%u", i);
		call(member, join);
	}
	drain(&crowd);
	uint64_t joined_ns = measure_now_ns();
	double cpu_s = measure_cpu_s(0);
	renew_for(&crowd, joined_ns + options.seconds * UINT64_C(1000000000));
	drain(&crowd);
	print(&crowd, (double)(joined_ns - begun_ns) / 1e9, (double)(measure_now_ns() - joined_ns) / 1e9,
	      measure_cpu_s(0) - cpu_s);
	for (size_t i = 0; i < CHANNELS; i++)
		fts_channel_close(crowd.channels[i]);
	free(crowd.members);
	return crowd.failed_count == 0 ? 0 : 1;
}
