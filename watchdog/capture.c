/* Why this file exists: see watchdog/capture.h. */
#include "watchdog/capture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_BYTES 8192   /* of its end */
#define PIECE_BYTES 4096 /* of one file of /proc */
#define THREAD_MAX 200

static void copy_some(int from_fd, int to_fd, size_t most_bytes)
{
	char piece[PIECE_BYTES];
	for (size_t done = 0; done < most_bytes;) {
		ssize_t got = read(from_fd, piece, sizeof(piece));
		if (got <= 0 || write(to_fd, piece, (size_t)got) != got) return;
		done += (size_t)got;
	}
}

static void show_log(const char *log_path, int out_fd)
{
	struct stat about;
	int fd = open(log_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	dprintf(out_fd, "\n== the end of %s ==\n", log_path);
	if (fd < 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
		dprintf(out_fd, "it can't be read\n");
	} else {
		(void)lseek(fd, about.st_size > LOG_BYTES ? about.st_size - LOG_BYTES : 0, SEEK_SET);
		copy_some(fd, out_fd, LOG_BYTES);
	}
	if (fd >= 0) close(fd);
}

static void show_task_file(pid_t pid, const char *task, const char *name, int out_fd)
{
	char path[96];
	snprintf(path, sizeof(path), "/proc/%d/task/%.12s/%s", (int)pid, task, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return; /* not permitted, or the thread is gone */
	dprintf(out_fd, "%s: ", name);
	copy_some(fd, out_fd, PIECE_BYTES);
	dprintf(out_fd, "\n");
	close(fd);
}

static void show_state(pid_t pid, const char *task, int out_fd)
{
	char path[96], line[256];
	snprintf(path, sizeof(path), "/proc/%d/task/%.12s/status", (int)pid, task);
	FILE *file = fopen(path, "re");
	if (file == NULL) return;
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "State:", 6) == 0 || strncmp(line, "voluntary", 9) == 0 ||
		    strncmp(line, "nonvoluntary", 12) == 0)
			dprintf(out_fd, "%s", line);
	fclose(file);
}

static void show_threads(pid_t pid, int out_fd)
{
	static const char *const files[] = {"comm", "wchan", "syscall", "schedstat", "stack"};
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	if (tasks == NULL) return;
	unsigned count = 0;
	for (struct dirent *entry; (entry = readdir(tasks)) != NULL && count < THREAD_MAX;) {
		if (entry->d_name[0] == '.') continue;
		dprintf(out_fd, "\n== thread %s ==\n", entry->d_name);
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			show_task_file(pid, entry->d_name, files[i], out_fd);
		show_state(pid, entry->d_name, out_fd);
		count++;
	}
	closedir(tasks);
}

/* Run argv with its output in out_fd. False: there is no such program. */
static bool run_tool(const char *const *argv, int out_fd)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		dup2(out_fd, STDOUT_FILENO);
		dup2(out_fd, STDERR_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv); /* which it does not write to */
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && !(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

static void show_stacks(pid_t pid, int out_fd)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", (int)pid);
	const char *const eu_stack[] = {"eu-stack", "-n", "40", "-p", text, NULL};
	const char *const gdb[] = {"gdb", "-p", text, "-batch", "-nx", "-ex", "thread apply all backtrace 40", NULL};
	dprintf(out_fd, "\n== stacks ==\n");
	if (!run_tool(eu_stack, out_fd) && !run_tool(gdb, out_fd))
		dprintf(out_fd, "neither eu-stack (elfutils) nor gdb is installed\n");
}

int ftsi_capture_run(pid_t pid, const char *reason, const char *log_path, int out_fd)
{
	dprintf(out_fd, "process %d: %s\n", (int)pid, reason);
	if (strcmp(log_path, "-") != 0) show_log(log_path, out_fd);
	show_threads(pid, out_fd);
	show_stacks(pid, out_fd);
	return 0;
}

pid_t ftsi_capture_begin(pid_t pid, const char *reason, const char *log_path, const char *path)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", (int)pid);
	const char *const argv[] = {"fts-watchdog", "--capture", text, reason, log_path, NULL};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) return -1;
	pid_t child = fork();
	if (child == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setpgid(0, 0); /* so that it ends with the tools it runs */
		dup2(fd, STDOUT_FILENO);
		execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fd);
	return child;
}
