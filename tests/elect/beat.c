/* Why this file exists: the worst script a master can have: it says when it is alive, does not listen to TERM, and has
 * a child that leaves its process group.
 *
 *   elect_beat FILE: appends "NANOSECONDS MEMBER FENCE PID" every 5 ms (CLOCK_MONOTONIC), one write a line */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BEAT_NS 5000000

static void beat(int fd, const char *member, const char *fence)
{
	struct timespec now;
	char line[256];
	clock_gettime(CLOCK_MONOTONIC, &now);
	int length = snprintf(line, sizeof(line), "%" PRIu64 " %s %s %d\n",
			      (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, member, fence, (int)getpid());
	if (write(fd, line, (size_t)length) != length) _exit(1);
}

int main(int argc, char **argv)
{
	const struct timespec pause = {0, BEAT_NS};
	const char *member = getenv("FTS_MEMBER"), *fence = getenv("FTS_FENCE");
	if (argc != 2 || member == NULL || fence == NULL) return 2;
	int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0) return 1;
	(void)signal(SIGTERM, SIG_IGN);
	if (fork() == 0) {
		(void)setsid();
		if (fork() != 0) _exit(0); /* nobody's child now, but the guardian's */
	}
	for (;;) {
		beat(fd, member, fence);
		(void)nanosleep(&pause, NULL);
	}
}
