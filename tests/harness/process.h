/* Why this file exists: real child processes in tests, with their output kept in files.
 *
 * Invariant: no child outlives the test program: each is killed by its pid at exit, and by the kernel
 * (PR_SET_PDEATHSIG) when the program is killed itself. Start children from the main thread only: the kernel's
 * signal comes when the starting thread ends. */
#ifndef FTS_TESTS_HARNESS_PROCESS_H
#define FTS_TESTS_HARNESS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/harness/directory.h"

#define HARNESS_SIGNALLED 1000 /* exit code of a process ended by signal n: HARNESS_SIGNALLED + n */

struct harness_process {
	pid_t pid; /* 0: not running */
	int exit_code;
	char out_path[HARNESS_PATH_MAX];
	char err_path[HARNESS_PATH_MAX];
};

/* Path of a program of this build, as "ftsd", or of that in $FTS_TEST_BIN. out_path: HARNESS_PATH_MAX bytes. */
void harness_program_path(const char *name, char *out_path);
/* Root of the source tree. */
const char *harness_source_root(void);

/* Start argv (NULL-ended, argv[0] is "ftsd" and the like or a path with '/'). Output goes to DIRECTORY/LABEL.out and
 * .err, appended. Fails the test when it can't be started. */
void harness_process_start(struct harness_process *process, const char *directory, const char *label,
			   const char *const *argv);
/* Where a process runs, when not where the test does. Everything borrowed for the call. */
struct harness_place {
	int network_fd;                 /* of a network namespace; 0: the test's own */
	const char *const *environment; /* "NAME=VALUE" each, beside what the test has; NULL-ended; NULL: none */
};
void harness_process_start_in(struct harness_process *process, const char *directory, const char *label,
			      const char *const *argv, const struct harness_place *place);
void harness_process_signal(const struct harness_process *process, int number);
/* True once it has ended within timeout_ms (exit_code is set then). */
bool harness_process_wait(struct harness_process *process, uint32_t timeout_ms);
/* Is it still running? Takes note of an end. */
bool harness_process_running(struct harness_process *process);
/* SIGKILL and wait. Not running: no-op. */
void harness_process_kill(struct harness_process *process);
/* All it has written so far: returned (free()). */
char *harness_process_stdout(const struct harness_process *process);
char *harness_process_stderr(const struct harness_process *process);
/* Wait until text stands in its standard error behind byte `from`. */
bool harness_process_wait_stderr(struct harness_process *process, const char *text, long from, uint32_t timeout_ms);

/* Run a program to its end and give back its exit code; not ended within timeout_ms: killed, the test fails.
 * out_stdout, out_stderr: returned (free()); NULL: not wanted. */
int harness_run(const char *const *argv, uint32_t timeout_ms, char **out_stdout, char **out_stderr);
/* The same elsewhere. place: borrowed. */
int harness_run_in(const char *const *argv, const struct harness_place *place, uint32_t timeout_ms, char **out_stdout,
		   char **out_stderr);

#endif
