/* Why this file exists: see node.h. */
#include "bench/node.h"

#include "bench/process.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NODE_PORT_COUNT 4 /* calls, events, health, peers */
#define READY_TIMEOUT_MS 10000

static bool port_is_free(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                              .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	bool is_free = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return is_free;
}

/* The first of NODE_PORT_COUNT free ports in a row; 0: none found. */
static uint16_t free_ports(void)
{
	uint16_t first = (uint16_t)(20000 + getpid() % 10000);
	for (int tries = 0; tries < 1000; tries++, first += NODE_PORT_COUNT) {
		int count = 0;
		while (count < NODE_PORT_COUNT && port_is_free((uint16_t)(first + count))) count++;
		if (count == NODE_PORT_COUNT) return first;
	}
	return 0;
}

/* Reads what ftsd says until it is ready; the rest of it goes nowhere. */
static bool wait_ready(int fd)
{
	char text[8192];
	size_t size = 0;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	while (size < sizeof text - 1 && poll(&poll_fd, 1, READY_TIMEOUT_MS) > 0) {
		ssize_t n = read(fd, text + size, sizeof text - 1 - size);
		if (n <= 0) break;
		size += (size_t)n;
		text[size] = 0;
		if (strstr(text, "event=node.ready") != NULL) return true;
	}
	fprintf(stderr, "fts-bench: ftsd did not come up: %.*s\n", (int)size, text);
	return false;
}

static _Noreturn void child(const char *dir, const char *endpoint, const int err[2])
{
	char path[PATH_MAX];
	if (!bench_path_beside("ftsd", path, sizeof path)) _exit(127);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(err[1], STDERR_FILENO);
	close(err[0]);
	execl(path, path, "--data", dir, "--listen", endpoint, "--log-level", "info", (char *)NULL);
	_exit(127);
}

bool bench_node_start(struct bench_node *node)
{
	int err[2];
	const char *base = getenv("TMPDIR");
	snprintf(node->dir, sizeof node->dir, "%s/fts-bench-XXXXXX", base ? base : "/tmp");
	uint16_t port = free_ports();
	if (port == 0 || mkdtemp(node->dir) == NULL || pipe(err) != 0) return false;
	snprintf(node->endpoint, sizeof node->endpoint, "127.0.0.1:%u", port);
	node->pid = fork();
	if (node->pid == 0) child(node->dir, node->endpoint, err);
	close(err[1]);
	bool ready = node->pid > 0 && wait_ready(err[0]);
	/* Kept open and unread on purpose: at level info a healthy node writes less than a pipe holds. */
	if (!ready) bench_node_stop(node);
	return ready;
}

static void remove_dir(const char *dir)
{
	pid_t pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
		_exit(127);
	}
	if (pid > 0) waitpid(pid, NULL, 0);
}

void bench_node_stop(struct bench_node *node)
{
	const struct timespec step = {.tv_nsec = 10000000};
	if (node->pid <= 0) return;
	kill(node->pid, SIGTERM);
	for (int i = 0; i < 1000 && waitpid(node->pid, NULL, WNOHANG) == 0; i++) {
		if (i == 999) kill(node->pid, SIGKILL);
		nanosleep(&step, NULL);
	}
	node->pid = 0;
	remove_dir(node->dir);
}
