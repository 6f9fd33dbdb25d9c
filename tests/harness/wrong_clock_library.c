/* Why this file exists: a library to preload into a process whose clock shall be wrong: the wall clock is ahead by as
 * many milliseconds as the file named by FTS_WRONG_CLOCK says at that moment (below 0: behind). Nothing else changes;
 * monotonic clocks stay right, as they do when somebody sets a machine's clock. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

static const volatile int64_t *ahead_ms;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FTS_WRONG_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) return;
	void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page != MAP_FAILED) ahead_ms = page;
}

VISIBLE int clock_gettime(clockid_t id, struct timespec *out)
{
	/* The cast through a union that C wants here: a function pointer out of a pointer to data. */
	union {
		void *data;
		int (*call)(clockid_t, struct timespec *);
	} found;
	if (real_clock_gettime == NULL) {
		found.data = dlsym(RTLD_NEXT, "clock_gettime");
		real_clock_gettime = found.call;
	}
	int result = real_clock_gettime(id, out);
	if (result != 0 || id != CLOCK_REALTIME || ahead_ms == NULL) return result;
	int64_t ns = out->tv_nsec + *ahead_ms % 1000 * 1000000;
	out->tv_sec += *ahead_ms / 1000 + (ns >= 1000000000) - (ns < 0);
	out->tv_nsec = ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns;
	return 0;
}
