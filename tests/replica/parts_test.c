/* Why this file exists: the parts of a replica that need no disk thread: entries' bytes against protobuf-c's own code,
 * sessions against their limits and against themselves after a restart, the bounded event log, configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver.h"
#include "fts/replica/v1/log.pb-c.h"
#include "replica/clocks.h"
#include "replica/configuration.h"

/* ---- Entries ---- */

static struct ftsi_command random_command(unsigned *seed, uint8_t *payload)
{
	struct ftsi_command command = {.method = (uint32_t)rand_r(seed),
				       .payload = {payload, (size_t)rand_r(seed) % 300}};
	if (rand_r(seed) % 3 != 0) {
		command.client_id = (uint64_t)rand_r(seed) << 33 | 1;
		command.sequence = (uint64_t)rand_r(seed) << (rand_r(seed) % 30);
		command.lowest_unanswered = (uint64_t)rand_r(seed) % 200;
		command.fence = rand_r(seed) % 2 == 0 ? 0 : (uint64_t)rand_r(seed) << 20;
	}
	return command;
}

static void check_command(const struct ftsi_command *command, const Fts__Replica__V1__Command *message)
{
	assert_int_equal(command->method, message->method);
	assert_true(command->client_id == message->client_id && command->sequence == message->sequence);
	assert_true(command->lowest_unanswered == message->lowest_unanswered && command->fence == message->fence);
	assert_int_equal(command->payload.size_bytes, message->payload.len);
	if (message->payload.len > 0)
		assert_memory_equal(command->payload.data, message->payload.data, message->payload.len);
}

static void entries_are_protobuf(void **state)
{
	enum { ROUNDS = 300, COMMANDS = 20, CAPACITY = 16 * 1024 };
	static uint8_t bytes[CAPACITY], again[CAPACITY], payload[300];
	unsigned seed = 9;
	(void)state;
	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)i;
	for (int round = 0; round < ROUNDS; round++) {
		struct ftsi_command commands[COMMANDS], read;
		int count = rand_r(&seed) % COMMANDS;
		struct ftsi_batch_head head = {(int64_t)rand_r(&seed) * 1000, (uint64_t)rand_r(&seed),
					       (uint64_t)rand_r(&seed), (uint32_t)rand_r(&seed) % 3},
				       read_head;
		uint8_t *at = ftsi_batch_write_head(bytes, &head);
		Fts__Replica__V1__CommandBatch *batch;
		struct fts_bytes rest;
		for (int i = 0; i < count; i++) {
			uint8_t *before = at;
			commands[i] = random_command(&seed, payload);
			at = ftsi_command_write(at, &commands[i]);
			assert_int_equal(at - before, ftsi_command_size(&commands[i]));
		}
		batch = fts__replica__v1__command_batch__unpack(NULL, (size_t)(at - bytes), bytes);
		assert_non_null(batch);
		assert_true(batch->time_ms == head.time_ms && batch->term == head.term &&
			    batch->lead_index == head.lead_index && batch->format == head.format);
		assert_int_equal(batch->n_commands, count);
		rest = (struct fts_bytes){again, fts__replica__v1__command_batch__pack(batch, again)};
		assert_int_equal(ftsi_batch_read_head(rest, &read_head), 0);
		assert_true(read_head.time_ms == head.time_ms && read_head.term == head.term &&
			    read_head.lead_index == head.lead_index && read_head.format == head.format);
		for (int i = 0; i < count; i++) {
			check_command(&commands[i], batch->commands[i]);
			assert_int_equal(ftsi_batch_next(&rest, &read), 1);
			check_command(&read, batch->commands[i]);
		}
		assert_int_equal(ftsi_batch_next(&rest, &read), 0);
		fts__replica__v1__command_batch__free_unpacked(batch, NULL);
	}
}

/* Any bytes at all: an answer, never a read past the end (the sanitizers watch). */
static void broken_entries_are_refused(void **state)
{
	unsigned seed = 4;
	(void)state;
	for (int round = 0; round < 100000; round++) {
		size_t size = (size_t)rand_r(&seed) % 40;
		uint8_t *bytes = malloc(size + 1);
		struct fts_bytes rest = {bytes, size};
		struct ftsi_command command;
		struct ftsi_batch_head head;
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)(rand_r(&seed) % 3 == 0 ? 0x0A : rand_r(&seed) % 48);
		(void)ftsi_batch_read_head(rest, &head);
		while (ftsi_batch_next(&rest, &command) == 1)
			assert_true(command.payload.size_bytes <= size);
		free(bytes);
	}
}

/* ---- Sessions ---- */

struct sessions_fixture {
	char *dir;
	struct fts_store *store;
	struct ftsi_sessions *sessions;
	uint64_t index;
};

static int open_sessions(void **state)
{
	const struct fts_store_options options = {.create_if_missing = true};
	struct sessions_fixture *fixture = calloc(1, sizeof *fixture);
	fixture->dir = make_dir();
	fixture->sessions = ftsi_sessions_create();
	*state = fixture;
	return fts_store_open(fixture->dir, &options, &fixture->store, NULL) == FTS_OK ? 0 : -1;
}

static int close_sessions(void **state)
{
	struct sessions_fixture *fixture = *state;
	ftsi_sessions_destroy(fixture->sessions);
	fts_store_close(fixture->store);
	remove_dir(fixture->dir);
	free(fixture);
	return 0;
}

static void keep(struct sessions_fixture *fixture, struct fts_txn *txn, uint64_t client_id, uint64_t sequence,
		 uint64_t lowest)
{
	const struct ftsi_session_record record = {.client_id = client_id,
						   .sequence = sequence,
						   .lowest_unanswered = lowest,
						   .index = ++fixture->index,
						   .time_ms = (int64_t)fixture->index,
						   .payload = {(const uint8_t *)&client_id, sizeof client_id}};
	assert_int_equal(ftsi_session_keep(fixture->sessions, txn, &record), FTS_OK);
}

static struct ftsi_sessions *load_again(struct sessions_fixture *fixture)
{
	struct ftsi_sessions *loaded = ftsi_sessions_create();
	struct fts_txn *view = NULL;
	assert_int_equal(fts_store_view(fixture->store, &view), FTS_OK);
	assert_int_equal(ftsi_sessions_load(loaded, view), FTS_OK);
	fts_txn_abort(view);
	return loaded;
}

/* Whatever clients do within their window, an index built anew decides exactly as the one that lived through it. */
static void a_restart_changes_nothing(void **state)
{
	enum { STEPS = 20000, CLIENTS = 12, SPREAD = 1500 };
	struct sessions_fixture *fixture = *state;
	struct fts_txn *txn = NULL;
	unsigned seed = 21;
	uint64_t high[CLIENTS] = {0};
	for (int step = 1; step <= STEPS; step++) {
		uint64_t client = (uint64_t)rand_r(&seed) % CLIENTS;
		uint64_t sequence =
		    high[client] + 1 - (uint64_t)rand_r(&seed) % (high[client] < 30 ? high[client] + 1 : 30);
		if (txn == NULL) assert_int_equal(fts_txn_begin(fixture->store, &txn), FTS_OK);
		if (rand_r(&seed) % 500 == 0) sequence += (uint64_t)rand_r(&seed) % SPREAD; /* past the window */
		if (ftsi_session_check(fixture->sessions, client + 1, sequence) == FTSI_SESSION_NEW) {
			uint64_t back = (uint64_t)rand_r(&seed) % 40;
			keep(fixture, txn, client + 1, sequence, sequence > back ? sequence - back : 1);
			high[client] = sequence > high[client] ? sequence : high[client];
		}
		if (step % 2000 == 0) {
			struct ftsi_sessions *loaded;
			assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
			loaded = load_again(fixture);
			assert_int_equal(ftsi_sessions_place_count(loaded),
					 ftsi_sessions_place_count(fixture->sessions));
			for (uint64_t i = 1; i <= CLIENTS; i++)
				for (uint64_t at = 1; at < high[i - 1] + 10; at++)
					assert_int_equal(ftsi_session_check(loaded, i, at),
							 ftsi_session_check(fixture->sessions, i, at));
			ftsi_sessions_destroy(fixture->sessions);
			fixture->sessions = loaded;
		}
	}
	fts_txn_abort(txn);
}

static void the_window_is_bounded(void **state)
{
	struct sessions_fixture *fixture = *state;
	struct fts_txn *txn = NULL;
	struct ftsi_answer answer;
	assert_int_equal(fts_txn_begin(fixture->store, &txn), FTS_OK);
	for (uint64_t i = 1; i <= 3 * FTSI_SESSION_WINDOW; i++)
		keep(fixture, txn, 5, i, 1);
	assert_int_equal(ftsi_sessions_place_count(fixture->sessions), FTSI_SESSION_WINDOW);
	assert_int_equal(ftsi_session_check(fixture->sessions, 5, 2 * FTSI_SESSION_WINDOW), FTSI_SESSION_TOO_OLD);
	assert_int_equal(ftsi_session_check(fixture->sessions, 5, 2 * FTSI_SESSION_WINDOW + 1), FTSI_SESSION_ANSWERED);
	assert_int_equal(ftsi_session_answer(fixture->sessions, txn, 5, 2 * FTSI_SESSION_WINDOW + 1, &answer), FTS_OK);
	assert_int_equal(answer.status, FTS_OK);
	assert_true(answer.index == 2 * FTSI_SESSION_WINDOW + 1);
	assert_int_equal(answer.payload.size_bytes, 8);
	fts_value_release(&answer.value);
	keep(fixture, txn, 5, 1000000, 1000000);
	assert_int_equal(ftsi_session_check(fixture->sessions, 5, 3 * FTSI_SESSION_WINDOW), FTSI_SESSION_TOO_OLD);
	fts_txn_abort(txn);
}

static void the_longest_idle_goes_first(void **state)
{
	struct sessions_fixture *fixture = *state;
	struct ftsi_sessions *loaded;
	struct fts_txn *txn = NULL;
	assert_int_equal(fts_txn_begin(fixture->store, &txn), FTS_OK);
	for (uint64_t i = 1; i <= FTSI_SESSION_CLIENT_MAX; i++)
		keep(fixture, txn, i, 1, 1);
	keep(fixture, txn, 1, 2, 2); /* now 2 is the longest idle */
	keep(fixture, txn, FTSI_SESSION_CLIENT_MAX + 1, 1, 1);
	assert_int_equal(ftsi_sessions_client_count(fixture->sessions), FTSI_SESSION_CLIENT_MAX);
	assert_int_equal(ftsi_session_check(fixture->sessions, 2, 1), FTSI_SESSION_NEW);
	assert_int_equal(ftsi_session_check(fixture->sessions, 1, 2), FTSI_SESSION_ANSWERED);
	assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);

	loaded = load_again(fixture); /* the order of idleness comes back too */
	ftsi_sessions_destroy(fixture->sessions);
	fixture->sessions = loaded;
	assert_int_equal(fts_txn_begin(fixture->store, &txn), FTS_OK);
	keep(fixture, txn, FTSI_SESSION_CLIENT_MAX + 2, 1, 1);
	assert_int_equal(ftsi_session_check(fixture->sessions, 3, 1), FTSI_SESSION_NEW);
	assert_int_equal(ftsi_session_check(fixture->sessions, 4, 1), FTSI_SESSION_ANSWERED);

	assert_int_equal(ftsi_sessions_expire(fixture->sessions, txn, FTSI_SESSION_IDLE_MS + 10), FTS_OK);
	assert_int_equal(ftsi_session_check(fixture->sessions, 10, 1), FTSI_SESSION_NEW);
	assert_int_equal(ftsi_session_check(fixture->sessions, 11, 1), FTSI_SESSION_ANSWERED);
	fts_txn_abort(txn);
}

/* ---- Events ---- */

static void events_are_bounded(void **state)
{
	enum { PER_ENTRY = 1000, ENTRIES = 250 };
	struct sessions_fixture *fixture = *state;
	struct ftsi_event_log *log = ftsi_event_log_create(), *loaded = ftsi_event_log_create();
	struct ftsi_pending_event *events = calloc(PER_ENTRY, sizeof *events);
	struct fts_txn *txn = NULL;
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, value;
	uint32_t count = 0;
	for (uint64_t index = 1; index <= ENTRIES; index++) {
		for (uint32_t i = 0; i < PER_ENTRY; i++) {
			events[i].next = i + 1 < PER_ENTRY ? &events[i + 1] : NULL;
			events[i].event =
			    (struct ftsi_event){index, i, {(const uint8_t *)"topic", 5}, {(const uint8_t *)"x", i % 2}};
		}
		assert_int_equal(fts_txn_begin(fixture->store, &txn), FTS_OK);
		assert_int_equal(ftsi_event_log_keep(log, txn, events), FTS_OK);
		assert_int_equal(fts_txn_commit(&txn, false), FTS_OK);
	}
	assert_int_equal(ftsi_event_log_count(log), FTSI_EVENT_MAX);
	assert_int_equal(ftsi_event_log_oldest(log), ENTRIES - FTSI_EVENT_MAX / PER_ENTRY + 1);
	assert_int_equal(ftsi_event_log_gone_before(log), ftsi_event_log_oldest(log));
	assert_int_equal(fts_store_view(fixture->store, &txn), FTS_OK);
	assert_int_equal(ftsi_event_log_load(loaded, txn), FTS_OK);
	assert_int_equal(ftsi_event_log_count(loaded), FTSI_EVENT_MAX);
	assert_int_equal(ftsi_event_log_oldest(loaded), ftsi_event_log_oldest(log));
	assert_int_equal(ftsi_event_log_gone_before(loaded), ftsi_event_log_gone_before(log));
	assert_int_equal(ftsi_event_scan(txn, 0, &cursor), FTS_OK);
	while (fts_cursor_next(cursor, &key, &value)) {
		struct ftsi_event_walk walk;
		int found;
		assert_int_equal(ftsi_event_walk_begin(&walk, key, value), 0);
		while ((found = ftsi_event_walk_next(&walk)) == 1) {
			assert_int_equal(walk.event.topic.size_bytes, 5);
			assert_int_equal(walk.event.payload.size_bytes, walk.event.ordinal % 2);
			count++;
		}
		assert_int_equal(found, 0);
		value.size_bytes--; /* cut: noticed, not read past */
		assert_int_equal(ftsi_event_walk_begin(&walk, key, value), 0);
		while ((found = ftsi_event_walk_next(&walk)) == 1)
			continue;
		assert_int_equal(found, -1);
	}
	assert_int_equal(count, FTSI_EVENT_MAX);
	fts_cursor_close(cursor);
	fts_txn_abort(txn);
	ftsi_event_log_destroy(loaded);
	ftsi_event_log_destroy(log);
	free(events);
}

/* ---- Configurations and the log's own functions ---- */

static void configurations_come_back(void **state)
{
	struct raft_configuration conf, back;
	uint8_t *data = NULL;
	size_t size = 0;
	(void)state;
	raft_configuration_init(&conf);
	assert_int_equal(raft_configuration_add(&conf, 1, "127.0.0.1:7400", RAFT_VOTER), 0);
	assert_int_equal(raft_configuration_add(&conf, UINT64_MAX, "", RAFT_STANDBY), 0);
	assert_int_equal(ftsi_configuration_encode(&conf, &data, &size), FTS_OK);
	assert_int_equal(ftsi_configuration_decode((struct fts_bytes){data, size}, &back), FTS_OK);
	assert_int_equal(back.n, 2);
	assert_string_equal(back.servers[0].address, "127.0.0.1:7400");
	assert_true(back.servers[1].id == UINT64_MAX && back.servers[1].role == RAFT_STANDBY);
	raft_configuration_close(&back);
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(ftsi_configuration_decode((struct fts_bytes){data, cut}, &back), FTS_DATA_LOSS);
	raft_configuration_close(&conf);
	free(data);
}

static void the_log_truncates_and_cuts(void **state)
{
	const struct fts_store_options options = {.create_if_missing = true, .write_ahead_log = true};
	char *dir = make_dir();
	struct fts_store *log = NULL;
	struct ftsi_loaded loaded;
	struct fts_error error = {0};
	struct raft_entry entries[10];
	const struct ftsi_mark mark = {.index = 6, .term = 1, .conf_index = 1, .conf = {(const uint8_t *)"abc", 3}};
	(void)state;
	assert_int_equal(fts_store_open(dir, &options, &log, NULL), FTS_OK);
	for (int i = 0; i < 10; i++)
		entries[i] = (struct raft_entry){
		    .term = 1, .type = i == 0 ? RAFT_CHANGE : RAFT_COMMAND, .buf = {(void *)&entries[i].term, 8}};
	assert_int_equal(ftsi_log_append(log, 1, entries, 10), FTS_OK);
	assert_int_equal(ftsi_log_truncate(log, 9), FTS_OK);
	assert_int_equal(ftsi_log_load(log, 0, &loaded, &error), FTS_OK);
	assert_true(loaded.first_index == 1 && loaded.count == 8);
	ftsi_loaded_drop(&loaded);
	assert_int_equal(ftsi_log_append(log, 9, entries, 2), FTS_OK);
	assert_int_equal(ftsi_log_mark(log, &mark, 6), FTS_OK);
	assert_int_equal(ftsi_log_load(log, 6, &loaded, &error), FTS_OK);
	assert_true(loaded.first_index == 7 && loaded.count == 4);
	ftsi_loaded_drop(&loaded);
	assert_int_equal(ftsi_log_load(log, 5, &loaded, &error), FTS_DATA_LOSS); /* it begins too late for that mark */
	assert_int_equal(ftsi_log_append(log, 13, entries, 1), FTS_OK);
	assert_int_equal(ftsi_log_load(log, 6, &loaded, &error), FTS_DATA_LOSS);
	assert_non_null(strstr(error.detail, "entry 11 is missing"));
	fts_store_close(log);
	remove_dir(dir);
}

/* ---- Clocks ---- */

static int64_t others_of(const int64_t *offsets_ms, size_t count)
{
	struct fts_replica *replica = calloc(1, sizeof *replica);
	assert_non_null(replica);
	replica->now_ns = UINT64_C(1000) * 1000000000;
	replica->members.count = count;
	for (size_t i = 0; i < count; i++) {
		replica->members.each[i].configured = true;
		ftsi_clocks_told(replica, &replica->members.each[i], 1000000 + offsets_ms[i]);
	}
	ftsi_clocks_compare(replica);
	int64_t others_ms = fts_replica_others_clock_ms(replica);
	replica->now_ns += UINT64_C(11) * 1000000000; /* what was told long ago is not counted */
	ftsi_clocks_compare(replica);
	assert_true(fts_replica_others_clock_ms(replica) == INT64_MIN);
	free(replica);
	return others_ms;
}

/* Sorted, this node's own at the end, it is the lower one of the two in the middle. */
static void most_clocks_are_right(void **state)
{
	(void)state;
	assert_true(others_of(NULL, 0) == INT64_MIN);
	assert_int_equal(others_of((const int64_t[]){7}, 1), 7);
	assert_int_equal(others_of((const int64_t[]){9, 7}, 2), 9);
	assert_int_equal(others_of((const int64_t[]){99999, 7, 8}, 3), 8);
	assert_int_equal(others_of((const int64_t[]){99999, 8, 99998, 7}, 4), 99998);
	assert_int_equal(others_of((const int64_t[]){9, 99999, 8, 7}, 4), 9);
	/* What no clock says is not counted. */
	assert_true(others_of((const int64_t[]){INT64_MAX - 1000000}, 1) == INT64_MIN);
	assert_true(others_of((const int64_t[]){INT64_MIN}, 1) == INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(entries_are_protobuf),
	    cmocka_unit_test(broken_entries_are_refused),
	    cmocka_unit_test_setup_teardown(a_restart_changes_nothing, open_sessions, close_sessions),
	    cmocka_unit_test_setup_teardown(the_window_is_bounded, open_sessions, close_sessions),
	    cmocka_unit_test_setup_teardown(the_longest_idle_goes_first, open_sessions, close_sessions),
	    cmocka_unit_test_setup_teardown(events_are_bounded, open_sessions, close_sessions),
	    cmocka_unit_test(configurations_come_back),
	    cmocka_unit_test(most_clocks_are_right),
	    cmocka_unit_test(the_log_truncates_and_cuts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
