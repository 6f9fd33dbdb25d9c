/* Why this file exists: the state of a node that does not run, laid hands on by a test. */
#ifndef FTS_TESTS_SNAPSHOT_STATE_FILES_H
#define FTS_TESTS_SNAPSHOT_STATE_FILES_H

#include <stdint.h>

/* The directory below data (borrowed) that holds the state: DIR/state or DIR/state-N. out_path: HARNESS_PATH_MAX. The
 * test fails unless there is exactly one. */
void state_files_find(const char *data, char *out_path);
/* Change one byte of what a service keeps in the state below data; salt: which change. */
void state_files_alter(const char *data, uint8_t salt);

#endif
