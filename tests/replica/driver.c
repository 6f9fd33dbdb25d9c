/* Why this file exists: see driver.h. */
#include "driver.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/clock.h"
#include "replica/tables.h"

enum { READY_MS = 30000 };

static void run_command(const char *const *arguments)
{
	int status = 0;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		execvp(arguments[0], (char *const *)arguments);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

char *make_dir(void)
{
	const char *base = getenv("TMPDIR");
	char path[512];
	(void)snprintf(path, sizeof path, "%s/fts-replica-XXXXXX", base == NULL ? "/tmp" : base);
	assert_non_null(mkdtemp(path));
	return strdup(path);
}

void remove_dir(char *dir)
{
	const char *const arguments[] = {"rm", "-rf", dir, NULL};
	run_command(arguments);
	free(dir);
}

char *copy_dir(const char *dir)
{
	char *copy = make_dir();
	char from[600];
	const char *const arguments[] = {"cp", "-a", from, copy, NULL};
	(void)snprintf(from, sizeof from, "%s/.", dir);
	run_command(arguments);
	return copy;
}

static void on_fatal(void *ctx, const struct fts_error *error)
{
	const struct driver_options *options = ctx;
	if (options->fatal == NULL) abort(); /* nothing in this test should fail */
	options->fatal->error = *error;
	atomic_fetch_add(&options->fatal->count, 1);
}

static void on_event(void *ctx, uint64_t index, uint32_t ordinal, const char *topic, struct fts_bytes payload)
{
	const struct driver_options *options = ctx;
	if (options->on_event != NULL) options->on_event(options->ctx, index, ordinal, topic, payload);
}

enum fts_status driver_start(const struct driver_options *options, struct fts_replica **out_replica,
			     struct fts_error *out_error)
{
	struct fts_replica_options replica_options = {
	    .data = options->dir,
	    .name = options->name == NULL ? "n1" : options->name,
	    .address = options->address == NULL ? "127.0.0.1:7400" : options->address,
	    .members = options->members,
	    .member_count = options->member_count,
	    .election_ms = options->election_ms,
	    .environment = options->environment,
	    .machines = counter_machines,
	    .machine_count = 1,
	    .on_event = on_event,
	    .on_fatal = on_fatal,
	    .ctx = (void *)options,
	    .log_bytes_before_snapshot = options->log_bytes_before_snapshot,
	};
	return fts_replica_start(&replica_options, out_replica, out_error);
}

struct fts_replica *driver_ready(const struct driver_options *options)
{
	struct fts_replica *replica = NULL;
	struct fts_error error = {0};
	if (driver_start(options, &replica, &error) != FTS_OK) fail_msg("%s", error.detail);
	assert_int_equal(fts_replica_wait_ready(replica, READY_MS), FTS_OK);
	return replica;
}

void driver_stop(struct fts_replica *replica)
{
	fts_replica_stop(replica);
	fts_replica_destroy(replica);
}

/* ---- Add ---- */

static void finish_add(struct fts_replica *replica, struct ftsi_slot *slot)
{
	struct add_result *result = (struct add_result *)(void *)slot;
	const struct ftsi_outcome *outcome = &slot->outcome;
	Fts__Test__Counter__V1__AddResponse *response;
	(void)replica;
	result->status = outcome->status;
	result->executed = outcome->executed;
	result->index = outcome->index;
	result->detail[0] = 0;
	if (outcome->status == FTS_OK) {
		response = fts__test__counter__v1__add_response__unpack(NULL, outcome->payload.size_bytes,
									outcome->payload.data);
		if (response == NULL) abort();
		result->value = response->value;
		result->echoed_bytes = response->ballast.len;
		fts__test__counter__v1__add_response__free_unpacked(response, NULL);
	} else {
		(void)snprintf(result->detail, sizeof result->detail, "%s", outcome->detail);
	}
	free(result->payload);
	sem_post(&result->done);
}

enum fts_status add_start(struct fts_replica *replica, const struct add *add, struct add_result *result)
{
	Fts__Test__Counter__V1__AddRequest request = FTS__TEST__COUNTER__V1__ADD_REQUEST__INIT;
	struct fts_error error = {0};
	enum fts_status status;
	size_t size;
	memset(result, 0, sizeof *result);
	request.name = (char *)add->name;
	request.delta = add->delta;
	request.echo_bytes = add->echo_bytes;
	request.events = add->events;
	request.ballast.data = calloc(1, add->ballast_bytes + 1);
	request.ballast.len = add->ballast_bytes;
	size = fts__test__counter__v1__add_request__get_packed_size(&request);
	result->payload = malloc(size + 1);
	fts__test__counter__v1__add_request__pack(&request, result->payload);
	free(request.ballast.data);
	sem_init(&result->done, 0, 0);
	result->slot.finish = finish_add;
	result->slot.deadline_ns = add->deadline_ns == 0 ? UINT64_MAX : add->deadline_ns;
	result->slot.command = (struct ftsi_command){.method = test_counter_service.methods[0].id,
						     .client_id = add->client_id,
						     .sequence = add->sequence,
						     .lowest_unanswered = add->lowest_unanswered,
						     .payload = {result->payload, size}};
	status = ftsi_propose_post(replica, &result->slot, &error);
	if (status == FTS_OK) return FTS_OK; /* result is the loop's until add_wait */
	free(result->payload);
	result->status = status;
	(void)snprintf(result->detail, sizeof result->detail, "%s", error.detail);
	return status;
}

void add_wait(struct add_result *result)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	if (sem_timedwait(&result->done, &until) != 0) abort(); /* the answer never came */
	sem_destroy(&result->done);
}

enum fts_status add_call(struct fts_replica *replica, const struct add *add, struct add_result *result)
{
	if (add_start(replica, add, result) != FTS_OK) return result->status;
	add_wait(result);
	return result->status;
}

/* ---- Get ---- */

static void finish_get(struct fts_replica *replica, struct ftsi_read_job *job, const struct ftsi_outcome *outcome)
{
	struct get_result *result = (struct get_result *)(void *)job;
	Fts__Test__Counter__V1__GetResponse *response;
	(void)replica;
	result->status = outcome->status;
	if (outcome->status == FTS_OK) {
		response = fts__test__counter__v1__get_response__unpack(NULL, outcome->payload.size_bytes,
									outcome->payload.data);
		result->value = response->value;
		fts__test__counter__v1__get_response__free_unpacked(response, NULL);
	}
	sem_post(&result->done);
}

enum fts_status get_start(struct fts_replica *replica, const struct get *get, struct get_result *result)
{
	struct fts_error error = {0};
	Fts__Test__Counter__V1__GetRequest request = FTS__TEST__COUNTER__V1__GET_REQUEST__INIT;
	enum fts_status status;
	memset(result, 0, sizeof *result);
	request.name = (char *)get->name;
	request.at_least = get->at_least;
	result->job.request =
	    (struct fts_bytes){result->payload, fts__test__counter__v1__get_request__pack(&request, result->payload)};
	result->job.finish = finish_get;
	result->job.target = ftsi_target_find(replica, test_counter_service.methods[get->leader ? 2 : 1].id);
	result->job.deadline_ns = fts_clock_deadline_ns(fts_clock_monotonic_ns(), get->timeout_ms);
	result->job.stale = get->stale;
	sem_init(&result->done, 0, 0);
	status = ftsi_read_post(replica, &result->job, &error);
	if (status != FTS_OK) result->status = status; /* it is the replica's until get_wait otherwise */
	return status;
}

void get_wait(struct get_result *result)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	if (sem_timedwait(&result->done, &until) != 0) abort(); /* the answer never came */
	sem_destroy(&result->done);
}

enum fts_status get_call(struct fts_replica *replica, const char *name, int64_t at_least, uint32_t timeout_ms,
			 int64_t *out_value)
{
	struct get_result result;
	const struct get get = {.name = name, .at_least = at_least, .timeout_ms = timeout_ms};
	if (get_start(replica, &get, &result) != FTS_OK) return result.status;
	get_wait(&result);
	if (result.status == FTS_OK) *out_value = result.value;
	return result.status;
}

uint64_t state_digest(struct fts_store *state)
{
	struct fts_txn *view = NULL;
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	XXH3_state_t *hash = XXH3_createState();
	uint64_t digest;
	XXH3_64bits_reset(hash);
	assert_int_equal(fts_store_view(state, &view), FTS_OK);
	assert_int_equal(fts_txn_scan(view, (struct fts_bytes){NULL, 0}, (struct fts_bytes){NULL, 0}, &cursor), FTS_OK);
	while (fts_cursor_next(cursor, &key, &value)) {
		if (key.data[0] == 0 && key.data[1] == FTSI_TABLE_META) continue;
		XXH3_64bits_update(hash, key.data, key.size_bytes);
		XXH3_64bits_update(hash, value.data, value.size_bytes);
	}
	assert_int_equal(fts_cursor_status(cursor), FTS_OK);
	fts_cursor_close(cursor);
	fts_txn_abort(view);
	digest = XXH3_64bits_digest(hash);
	XXH3_freeState(hash);
	return digest;
}
