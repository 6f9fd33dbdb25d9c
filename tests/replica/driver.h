/* Why this file exists: calls with an identity straight into a replica, without a server between.
 *
 * Invariant: a call made here is finished exactly once; call_finish counts and checks it. */
#ifndef FTS_TESTS_REPLICA_DRIVER_H
#define FTS_TESTS_REPLICA_DRIVER_H

#include <semaphore.h>

#include "counter.h"
#include "replica/internal.h"

/* A new directory under $TMPDIR or /tmp. Returned (remove_dir). */
char *make_dir(void);
void remove_dir(char *dir);
/* cp -a. Returned (remove_dir). */
char *copy_dir(const char *dir);

struct fatal_seen {
	atomic_int count;
	struct fts_error error;
};

struct driver_options {
	const char *dir;
	const char *name; /* NULL: "n1" */
	uint64_t log_bytes_before_snapshot;
	void (*on_event)(void *ctx, uint64_t index, uint32_t ordinal, const char *topic, struct fts_bytes payload);
	void *ctx; /* for on_event */
	struct fatal_seen *fatal;
	/* Of a cluster; all NULL and 0: one node, which talks to nobody. */
	const char *address;
	const struct fts_replica_member *members;
	size_t member_count;
	uint32_t election_ms;
	const struct ftsi_environment *environment;
};

FTS_MUST_USE enum fts_status driver_start(const struct driver_options *options, struct fts_replica **out_replica,
					  struct fts_error *out_error);
/* Start, wait until ready; the test fails when that fails. */
struct fts_replica *driver_ready(const struct driver_options *options);
void driver_stop(struct fts_replica *replica);

struct add {
	const char *name;
	int64_t delta;
	uint64_t client_id, sequence, lowest_unanswered;
	uint32_t ballast_bytes, echo_bytes, events;
	uint64_t deadline_ns; /* 0: none */
};

struct add_result {
	struct ftsi_slot slot; /* first */
	uint8_t *payload;
	sem_t done;
	enum fts_status status;
	enum fts_executed executed;
	uint64_t index;
	int64_t value;
	size_t echoed_bytes;
	char detail[FTS_DETAIL_MAX];
};

/* Give add to replica; result (borrowed until add_wait) is filled later. Not OK: refused at once. */
enum fts_status add_start(struct fts_replica *replica, const struct add *add, struct add_result *result);
void add_wait(struct add_result *result);
/* Both. Returns result->status. */
enum fts_status add_call(struct fts_replica *replica, const struct add *add, struct add_result *result);

/* Read a counter. *out_value is untouched unless OK. */
enum fts_status get_call(struct fts_replica *replica, const char *name, int64_t at_least, uint32_t timeout_ms,
			 int64_t *out_value);

struct get {
	const char *name;
	int64_t at_least;
	uint32_t timeout_ms;
	bool leader; /* Look instead of Get */
	bool stale;
};
struct get_result {
	struct ftsi_read_job job; /* first */
	uint8_t payload[256];
	sem_t done;
	enum fts_status status;
	int64_t value;
};
/* As add_start and add_wait. */
enum fts_status get_start(struct fts_replica *replica, const struct get *get, struct get_result *result);
void get_wait(struct get_result *result);

/* XXH3 over all of DIR/state but where the log stands. */
uint64_t state_digest(struct fts_store *state);

#endif
