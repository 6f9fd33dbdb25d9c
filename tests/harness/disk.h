/* Why this file exists: disks that are small, full, or slow, for the processes that a test starts. */
#ifndef FTS_TESTS_HARNESS_DISK_H
#define FTS_TESTS_HARNESS_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/harness/directory.h"

/* ---- A small disk that can be filled ---- */

/* Make path (borrowed) a disk of mebibytes, seen by this process and its children only; it goes away with them.
 * Fails the test, saying what is needed, when that is not allowed. Thread: main, before others are started. */
void harness_disk_make(const char *path, uint32_t mebibytes);
/* Take what is left of the disk that path is on, but for left_bytes, by a file at path. */
void harness_disk_fill(const char *path, uint64_t left_bytes);
/* Before the directory it is in is removed. */
void harness_disk_unmake(const char *path);

/* ---- A disk whose syncs take long ---- */

/* Syncs of the processes that are started with its environment take as long as it says at that moment. */
struct harness_slow_disk {
	char control[HARNESS_PATH_MAX];
	char preload[HARNESS_PATH_MAX + 16];  /* "LD_PRELOAD=..." */
	char variable[HARNESS_PATH_MAX + 32]; /* "FTS_SLOW_DISK=..." */
	volatile uint32_t *delay_us;          /* mapped: read by those processes at each sync */
};
/* directory: where its control file goes; borrowed. */
void harness_slow_disk_init(struct harness_slow_disk *disk, const char *directory);
/* Add to an environment (of HARNESS_MEMBER_FLAGS_MAX + 1 entries). */
void harness_slow_disk_use(const struct harness_slow_disk *disk, const char **environment);
void harness_slow_disk_set(struct harness_slow_disk *disk, uint32_t delay_us);
void harness_slow_disk_fini(struct harness_slow_disk *disk);

#endif
