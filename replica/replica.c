/* Why this file exists: the life of a replica: opening DIR, starting and ending its threads, and what other threads
 * ask of it (replica/replica.h). */
#include "replica/digest.h"
#include "replica/replica.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "replica/format.h"
#include "replica/forming.h"
#include "replica/identity.h"
#include "replica/internal.h"
#include "replica/membership.h"
#include "replica/peers.h"
#include "replica/state.h"
#include "rpc/endpoint.h"

enum { ELECTION_MS_MIN = 50, ELECTION_MS_MAX = 60000, HAND_OVER_MS = 2000, READ_MS_MAX = 60000 };
enum { LOG_BUFFER_BYTES = 16 * 1024 * 1024, CACHE_BYTES = 8 * 1024 * 1024 };
/* with a message being read, 48 MiB at most */
#define APPLY_POOL_BYTES (FTSI_APPLY_ARENA_BYTES + 3 * FTSI_ANSWER_ARENA_BYTES)
#define READ_POOL_BYTES (8 * FTSI_READ_ARENA_BYTES)

/* ---- Start ---- */

static enum fts_status no_memory(struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the replica");
}

static enum fts_status check_options(const struct fts_replica_options *options, struct fts_error *out_error)
{
	struct ftsi_identity limits;
	if (options->data == NULL || options->data[0] == 0)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the replica needs a directory");
	if (options->name == NULL || options->name[0] == 0 || strlen(options->name) >= sizeof limits.name)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a node's name has 1 to %zu bytes",
				     sizeof limits.name - 1);
	if (options->address == NULL || strlen(options->address) >= sizeof limits.address)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a node's address has 1 to %zu bytes",
				     sizeof limits.address - 1);
	if (options->election_ms != 0 &&
	    (options->election_ms < ELECTION_MS_MIN || options->election_ms > ELECTION_MS_MAX))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the election time is %d to %d ms",
				     ELECTION_MS_MIN, ELECTION_MS_MAX);
	return FTS_OK;
}

static enum fts_status copy_options(struct fts_replica *replica, const struct fts_replica_options *options,
				    struct fts_error *out_error)
{
	replica->options = *options;
	replica->data = strdup(options->data);
	replica->name = strdup(options->name);
	replica->address = strdup(options->address);
	replica->machines = calloc(options->machine_count + 2, sizeof *replica->machines);
	if (replica->data == NULL || replica->name == NULL || replica->address == NULL || replica->machines == NULL)
		return no_memory(out_error);
	for (size_t i = 0; i < options->machine_count; i++)
		replica->machines[i] = options->machines[i];
	atomic_init(&replica->others_clock_ms, INT64_MIN);
	replica->environment = options->environment == NULL ? ftsi_environment_real() : options->environment;
	replica->transport = replica->environment->transport;
	replica->election_ms = options->election_ms == 0 ? FTSI_ELECTION_MS : options->election_ms;
	replica->heartbeat_ms = replica->election_ms / 5;
	replica->tick_ms = replica->election_ms / 10;
	ftsi_read_index_init(replica);
	ftsi_replay_init(replica);
	replica->machines[options->machine_count] = &replica->events_machine;
	ftsi_format_init(replica);
	ftsi_digest_init(replica, &replica->marks_machine, replica->marks_methods);
	replica->machines[options->machine_count + 1] = &replica->marks_machine;
	replica->machine_count = options->machine_count + 2;
	replica->log_bytes_max =
	    options->log_bytes_before_snapshot == 0 ? FTSI_LOG_BYTES_DEFAULT : options->log_bytes_before_snapshot;
	return FTS_OK;
}

static enum fts_status reserve(struct fts_replica *replica, struct fts_error *out_error)
{
	replica->apply_pool = fts_arena_pool_create(APPLY_POOL_BYTES);
	replica->read_pool = fts_arena_pool_create(READ_POOL_BYTES);
	replica->sessions = ftsi_sessions_create();
	replica->events = ftsi_event_log_create();
	if (replica->apply_pool == NULL || replica->read_pool == NULL || replica->sessions == NULL ||
	    replica->events == NULL)
		return no_memory(out_error);
	replica->apply_arena = fts_arena_acquire(replica->apply_pool, FTSI_APPLY_ARENA_BYTES);
	replica->answer_arena = fts_arena_acquire(replica->apply_pool, FTSI_ANSWER_ARENA_BYTES);
	return replica->apply_arena == NULL || replica->answer_arena == NULL ? no_memory(out_error) : FTS_OK;
}

static void init_shared(struct fts_replica *replica)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&replica->state_lock, NULL);
	pthread_mutex_init(&replica->status_lock, NULL);
	pthread_cond_init(&replica->status_changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&replica->readers.lock, NULL);
	pthread_cond_init(&replica->readers.wake, NULL);
	replica->readers.waiting.last = &replica->readers.waiting.first;
	replica->readers.strand = fts_strand_of("fts-reader", READ_MS_MAX);
	replica->unconfirmed.last = &replica->unconfirmed.first;
	replica->parked.last = &replica->parked.first;
	replica->rounds.confirming.last = &replica->rounds.confirming.first;
	replica->rounds.waiting.last = &replica->rounds.waiting.first;
	ftsi_slots_init(&replica->queue);
	ftsi_slots_init(&replica->answered);
}

static enum fts_status open_store(const char *data, const char *name, const struct fts_store_options *options,
				  struct fts_store **out_store, struct fts_error *out_error)
{
	char path[4096];
	int length = snprintf(path, sizeof path, "%s/%s", data, name);
	if (length < 0 || (size_t)length >= sizeof path)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "the directory's path is too long");
	return fts_store_open(path, options, out_store, out_error);
}

static enum fts_status open_stores(struct fts_replica *replica, struct fts_error *out_error)
{
	const struct fts_store_options log_options = {.write_ahead_log = true,
						      .write_buffer_bytes = LOG_BUFFER_BYTES,
						      .block_cache_bytes = CACHE_BYTES / 4,
						      .create_if_missing = true};
	enum fts_status status = ftsi_dir_make(replica->data, out_error);
	if (status == FTS_OK) status = open_store(replica->data, "log", &log_options, &replica->log, out_error);
	if (status == FTS_OK) status = ftsi_state_open(replica, out_error);
	return status;
}

static enum fts_status open_dir(struct fts_replica *replica, struct fts_error *out_error)
{
	enum fts_status status = open_stores(replica, out_error);
	if (status == FTS_OK) status = ftsi_forming_open(replica, out_error);
	if (status == FTS_OK) status = ftsi_state_load(replica, out_error);
	return status;
}

/* ---- The network ---- */

static bool post_to_loop(struct fts_replica *replica, struct ftsi_post *post)
{
	return ftsi_mailbox_post(&replica->mailbox, post);
}

/* HOST:PORT + 3 of the address of calls. False: it is no such address. */
static bool peer_address(const struct fts_replica *replica, char *out, size_t capacity_bytes)
{
	struct ftsi_endpoint endpoint;
	if (ftsi_endpoint_parse(replica->address, strlen(replica->address), &endpoint, NULL) != FTS_OK) return false;
	(void)snprintf(out, capacity_bytes, endpoint.ipv6 ? "[%s]:%u" : "%s:%u", endpoint.host, endpoint.port + 3u);
	return true;
}

int ftsi_replica_open_network(struct fts_replica *replica)
{
	char address[FTSI_MEMBER_TEXT_BYTES];
	struct fts_error error = {.status = FTS_INVALID_ARGUMENT, .detail = "its address is not HOST:PORT"};
	struct ftsi_peers_options options = {.listen = replica->options.peer_listen,
					     .tls = replica->options.tls,
					     .replica = replica,
					     .post = post_to_loop};
	bool alone = replica->options.member_count <= 1 && !replica->options.join && ftsi_forming_is_over(replica);
	if (replica->transport != NULL || (options.listen == NULL && alone)) return 0;
	if (options.listen == NULL && peer_address(replica, address, sizeof address)) options.listen = address;
	if (options.listen != NULL && ftsi_peers_create(&options, &replica->peers, &error) == FTS_OK) {
		replica->transport = ftsi_peers_transport(replica->peers);
		return 0;
	}
	ftsi_loop_fail(replica, error.status, "peers: %s", error.detail);
	return -1;
}

static void *run_loop(void *data)
{
	ftsi_loop_run(data);
	return NULL;
}

static enum fts_status start_threads(struct fts_replica *replica, struct fts_error *out_error)
{
	if (ftsi_loop_start(replica) != 0) {
		if (out_error != NULL) *out_error = replica->failure;
		return replica->failure.status;
	}
	if (replica->environment->stepped) return FTS_OK;
	if (pthread_create(&replica->thread, NULL, run_loop, replica) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no threads for the replica");
	replica->thread_running = true;
	pthread_setname_np(replica->thread, "fts-replica");
	return FTS_OK;
}

enum fts_status fts_replica_start(const struct fts_replica_options *options, struct fts_replica **out_replica,
				  struct fts_error *out_error)
{
	struct fts_replica *replica;
	enum fts_status status = check_options(options, out_error);
	if (status != FTS_OK) return status;
	replica = calloc(1, sizeof *replica);
	if (replica == NULL) return no_memory(out_error);
	init_shared(replica);
	if ((status = copy_options(replica, options, out_error)) != FTS_OK ||
	    (status = ftsi_targets_init(replica, out_error)) != FTS_OK ||
	    (status = reserve(replica, out_error)) != FTS_OK || (status = open_dir(replica, out_error)) != FTS_OK ||
	    (status = start_threads(replica, out_error)) != FTS_OK)
		goto out;
	*out_replica = replica;
	return FTS_OK;
out:
	fts_replica_stop(replica);
	fts_replica_destroy(replica);
	return status;
}

/* ---- Stop ---- */

static void begin_stop(struct fts_replica *replica, struct ftsi_post *post)
{
	(void)post;
	ftsi_loop_begin_stop(replica);
}

static void handed_over(void *ctx, enum fts_status status, const struct fts_error *error)
{
	(void)status; /* when nobody took over, the others elect somebody as soon as this node is gone */
	(void)error;
	sem_post(ctx);
}

void fts_replica_hand_over(struct fts_replica *replica)
{
	struct fts_error error;
	sem_t done;
	if (!replica->thread_running || !atomic_load(&replica->serving) || atomic_load(&replica->sole)) return;
	sem_init(&done, 0, 0);
	if (fts_replica_member_lead(replica, NULL, HAND_OVER_MS, handed_over, &done, &error) == FTS_OK)
		while (sem_wait(&done) != 0)
			continue;
	sem_destroy(&done);
}

static void stop_loop(struct fts_replica *replica)
{
	struct ftsi_post stop = {.run = begin_stop};
	if (!replica->loop_open) return;
	fts_replica_hand_over(replica);
	if (!replica->thread_running) { /* start failed half-way: end it on this thread */
		ftsi_loop_begin_stop(replica);
		ftsi_loop_turn(replica, false);
		ftsi_loop_run(replica);
		return;
	}
	if (!ftsi_mailbox_post(&replica->mailbox, &stop)) return;
	pthread_join(replica->thread, NULL);
	replica->thread_running = false;
}

void fts_replica_stop(struct fts_replica *replica)
{
	bool failed = atomic_load(&replica->failed);
	stop_loop(replica);
	if (replica->peers != NULL) ftsi_peers_stop(replica->peers);
	ftsi_readers_stop(replica);
	ftsi_worker_stop(&replica->append_worker);
	ftsi_worker_stop(&replica->snapshot_worker);
	ftsi_worker_stop(&replica->state_worker);
	if (!failed && replica->state != NULL && fts_store_flush(replica->state) != FTS_OK)
		FTS_LOG_WARN("replica.flush_failed", "node=%s", replica->name); /* the log has all of it */
}

void fts_replica_destroy(struct fts_replica *replica)
{
	if (replica == NULL) return;
	FTS_ASSERT(!replica->thread_running);
	ftsi_peers_destroy(replica->peers);
	ftsi_membership_destroy(replica);
	ftsi_forming_destroy(replica);
	fts_txn_abort(replica->txn);
	ftsi_state_close(replica);
	fts_store_close(replica->log);
	ftsi_event_log_destroy(replica->events);
	ftsi_sessions_destroy(replica->sessions);
	fts_arena_release(replica->answer_arena);
	fts_arena_release(replica->apply_arena);
	fts_arena_pool_destroy(replica->read_pool);
	fts_arena_pool_destroy(replica->apply_pool);
	ftsi_outbox_destroy(replica);
	free(replica->targets);
	free(replica->machines);
	free(replica->address);
	free(replica->name);
	free(replica->data);
	pthread_cond_destroy(&replica->readers.wake);
	pthread_mutex_destroy(&replica->readers.lock);
	pthread_cond_destroy(&replica->status_changed);
	pthread_mutex_destroy(&replica->status_lock);
	pthread_mutex_destroy(&replica->state_lock);
	free(replica);
}

/* ---- Asked by others ---- */

void fts_replica_status(struct fts_replica *replica, struct fts_replica_status *out_status)
{
	pthread_mutex_lock(&replica->status_lock);
	*out_status = replica->status;
	pthread_mutex_unlock(&replica->status_lock);
	out_status->queue_count = atomic_load(&replica->queue_count);
	out_status->disk_full = atomic_load(&replica->disk_full);
	ftsi_state_status(replica, out_status);
	out_status->disk_slow = atomic_load(&replica->disk_slow);
	out_status->format = atomic_load(&replica->format);
	out_status->format_max = replica->format_max;
}

enum fts_status fts_replica_wait_ready(struct fts_replica *replica, uint32_t timeout_ms)
{
	uint64_t deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), timeout_ms);
	struct timespec until = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
	int result = 0;
	bool ready;
	pthread_mutex_lock(&replica->status_lock);
	while (!replica->status.ready && result != ETIMEDOUT)
		result = pthread_cond_timedwait(&replica->status_changed, &replica->status_lock, &until);
	ready = replica->status.ready;
	pthread_mutex_unlock(&replica->status_lock);
	return ready ? FTS_OK : FTS_DEADLINE_EXCEEDED;
}
