/* Why this file exists: a command that leaves as much behind as it can.
 *
 *   work_bomb FILE SECONDS: forks children that fork, some in sessions of their own, all deaf to TERM; each appends its
 *   pid to FILE. The command itself ends after SECONDS, its children never would. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHILD_COUNT = 8, DEPTH = 2, SHORT_COUNT = 200 };

static void note(const char *path)
{
	char line[24];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int length = snprintf(line, sizeof line, "%d\n", (int)getpid());
	if (fd < 0 || write(fd, line, (size_t)length) != length) _exit(1);
	close(fd);
}

static void spread(const char *path, int depth)
{
	for (int i = 0; i < CHILD_COUNT; i++) {
		if (fork() != 0) continue;
		if (i % 2 == 0) (void)setsid();
		note(path);
		if (depth > 1 && i < 2) spread(path, depth - 1);
		if (i == 2)
			for (int n = 0; n < SHORT_COUNT; n++) /* short-lived ones, all the while */
				if (fork() == 0) {
					usleep(1000);
					_exit(0);
				}
		for (;;)
			(void)pause();
	}
}

int main(int argc, char **argv)
{
	if (argc != 3) return 2;
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN); /* the short-lived ones are nobody's */
	note(argv[1]);
	spread(argv[1], DEPTH);
	usleep((useconds_t)(strtod(argv[2], NULL) * 1e6));
	printf("boom\n");
	return 7;
}
