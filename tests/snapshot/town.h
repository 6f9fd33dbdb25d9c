/* Why this file exists: a lottery on a cluster of real nodes, as these tests need it: bets in quantity, and the
 * question whether all nodes have the same of it. */
#ifndef FTS_TESTS_SNAPSHOT_TOWN_H
#define FTS_TESTS_SNAPSHOT_TOWN_H

#include "tests/harness/cluster.h"

#define TOWN_AGENCIES 4

struct town {
	struct harness_cluster cluster;
	char files[HARNESS_PATH_MAX]; /* agency-1.csv and on */
};

/* A cluster of count nodes that cut their logs after each MiB, not started, and rows made-up bets in files. */
void town_init(struct town *town, size_t count, unsigned rows);
/* fts-cli with the arguments up to NULL, at the nodes that run: its exit code. out, err: returned (free()); NULL: not
 * wanted. */
int town_cli(struct town *town, char **out, char **err, ...) __attribute__((sentinel));
/* The same when it must succeed. */
void town_do(struct town *town, ...) __attribute__((sentinel));
/* Open the draw for TOWN_AGENCIES. */
void town_open(struct town *town, const char *draw);
/* All bets of agency (1 and on). */
void town_import(struct town *town, const char *draw, unsigned agency);
/* The same without waiting. */
void town_import_begin(struct town *town, const char *draw, unsigned agency, struct harness_process *process);
/* What member itself says of draw, as JSON: returned (free()). */
char *town_status(struct town *town, size_t member, const char *draw);
/* A member that runs and does not lead. */
size_t town_follower(struct town *town);
/* Wait until text stands in member's log behind its last start, ms at most; fails the test. */
void town_wait_log(struct town *town, size_t member, const char *text, uint32_t timeout_ms);
/* All have the same of everything: the same index, and every member's own answer about draw is the same. */
void town_check_equal(struct town *town, const char *draw);

#endif
