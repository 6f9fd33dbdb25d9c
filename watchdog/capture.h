/* Why this file exists: a stuck process is looked at before it is ended: what it logged last, and where each of its
 * threads stands. The look is a process of its own (`fts-watchdog --capture`), since reading a stuck process may get
 * stuck too: the supervisor gives it a time limit and goes on.
 *
 * Where the system permits it: /proc/PID/task/N/{comm,status,wchan,syscall,schedstat,stack}, and the stacks of the
 * program itself by eu-stack or gdb, whichever is there. */
#ifndef FTS_WATCHDOG_CAPTURE_H
#define FTS_WATCHDOG_CAPTURE_H

#include <sys/types.h>

/* Write a report on pid to file descriptor out_fd: reason, the end of log_path, threads, stacks. All borrowed.
 * Returns an exit code. */
int ftsi_capture_run(pid_t pid, const char *reason, const char *log_path, int out_fd);
/* Begin to, as a child process: its pid, or -1. path: of the report, made anew. All borrowed. */
pid_t ftsi_capture_begin(pid_t pid, const char *reason, const char *log_path, const char *path);

#endif
