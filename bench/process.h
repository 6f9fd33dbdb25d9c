/* Why this file exists: a benchmark measures a server in a process of its own, started and ended here. */
#ifndef FTS_BENCH_PROCESS_H
#define FTS_BENCH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_process {
	int pid;         /* 0: none */
	int stdin_fd;    /* closing it tells the server to end */
	uint16_t port;   /* as it printed on its first line */
};

/* Start `program` (beside this one) with args (NULL-terminated, without the program's name) and read the port it
 * prints. False, with a line on standard error, when it does not come up. */
bool bench_process_start(struct bench_process *process, const char *program, const char *const *args);

/* The path of a program that lies in the same directory as this one. False: it can't be told. */
bool bench_path_beside(const char *program, char *out_path, size_t size_bytes);

/* Close its standard input, wait for it, and kill it when it has not ended within 5 s. */
void bench_process_stop(struct bench_process *process);

#endif
