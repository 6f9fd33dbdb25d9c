/* Why this file exists: see process.h. */
#include "bench/process.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX 16

bool bench_path_beside(const char *program, char *out_path, size_t size_bytes)
{
	char self[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
	if (size < 0) return false;
	self[size] = 0;
	char *slash = strrchr(self, '/');
	if (slash == NULL) return false;
	*slash = 0;
	return snprintf(out_path, size_bytes, "%s/%s", self, program) < (int)size_bytes;
}

static _Noreturn void child(const char *path, const char *const *args, const int in[2], const int out[2])
{
	char *argv[ARGS_MAX + 2] = {(char *)path};
	for (int i = 0; i < ARGS_MAX && args[i] != NULL; i++) argv[i + 1] = (char *)args[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	close(in[1]);
	close(out[0]);
	execv(path, argv);
	fprintf(stderr, "fts-bench: can't start %s\n", path);
	_exit(127);
}

static bool read_port(int fd, uint16_t *out_port)
{
	char text[16];
	size_t size = 0;
	while (size < sizeof text - 1 && read(fd, text + size, 1) == 1 && text[size] != '\n') size++;
	text[size] = 0;
	long port = strtol(text, NULL, 10);
	*out_port = (uint16_t)port;
	return port > 0 && port < 65536;
}

bool bench_process_start(struct bench_process *process, const char *program, const char *const *args)
{
	char path[PATH_MAX];
	int in[2], out[2];
	if (!bench_path_beside(program, path, sizeof path) || pipe(in) != 0 || pipe(out) != 0) return false;
	process->pid = fork();
	if (process->pid == 0) child(path, args, in, out);
	close(in[0]);
	close(out[1]);
	process->stdin_fd = in[1];
	bool ok = process->pid > 0 && read_port(out[0], &process->port);
	close(out[0]);
	if (!ok) {
		fprintf(stderr, "fts-bench: %s did not come up\n", path);
		bench_process_stop(process);
	}
	return ok;
}

void bench_process_stop(struct bench_process *process)
{
	if (process->pid <= 0) return;
	close(process->stdin_fd);
	const struct timespec step = {.tv_nsec = 10000000};
	for (int i = 0; i < 500; i++) {
		if (waitpid(process->pid, NULL, WNOHANG) != 0) goto out;
		nanosleep(&step, NULL);
	}
	kill(process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
out:
	process->pid = 0;
}
