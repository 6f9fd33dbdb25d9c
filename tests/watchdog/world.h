/* Why this file exists: fts-watchdog over real processes, for tests: its configuration made, started, killed and
 * started again; what it did is read from its log.
 *
 * Invariant: nothing outlives the test program, though a watchdog's processes outlive the watchdog: a guard (a process
 * that waits for the test's end, however it comes) kills everything that was started here. */
#ifndef FTS_TESTS_WATCHDOG_WORLD_H
#define FTS_TESTS_WATCHDOG_WORLD_H

#include "tests/harness/process.h"

#define WORLD_NODES_MAX 3
#define WORLD_PATIENCE_MS 60000

struct world {
	char root[HARNESS_PATH_MAX];
	char state[HARNESS_PATH_MAX];
	char config[HARNESS_PATH_MAX];
	char endpoint[64];                    /* of the watchdog */
	char nodes[WORLD_NODES_MAX][64];      /* "HOST:PORT" of n1, n2, ... */
	char endpoints[WORLD_NODES_MAX * 64]; /* of all nodes */
	struct harness_process watchdog;
	long looked_at; /* in its log: what happened before is told */
};

/* Ports, directory, guard. */
void world_init(struct world *world);
/* A watchdog of other processes. top, processes: JSON, as `"interval_ms":50` and `{"name":...},...`. */
void world_configure(struct world *world, const char *top, const char *processes);
/* A watchdog of count nodes, with patience of a second or two. */
void world_configure_nodes(struct world *world, size_t count);
void world_start(struct world *world);
/* Wait until its log has a line with all of process, action and reason ("": any), behind those that were waited for
 * before. Fails the test. out_line (512 bytes; NULL: not wanted). */
void world_await(struct world *world, const char *process, const char *action, const char *reason, char *out_line);
/* How many lines of its whole log have both. */
size_t world_count(struct world *world, const char *process, const char *action);
/* Of a process, as state.json has it; 0: it does not run. */
pid_t world_pid(const struct world *world, const char *process);
/* Run fts-cli with words, split at blanks; its exit code. out_stdout: returned (free()); NULL: not wanted. */
int world_cli(const struct world *world, const char *words, char **out_stdout);
/* Wait until fts-cli with words ends with code. Fails the test. */
void world_await_cli(const struct world *world, const char *words, int code);
/* SIGTERM; fails the test when it is still there after 30 s. */
void world_stop(struct world *world);
/* Kill everything that was started here. */
void world_end(struct world *world);

#endif
