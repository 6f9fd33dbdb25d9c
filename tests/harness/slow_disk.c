/* Why this file exists: a library to preload into a process whose disk shall be slow: each sync first waits as many
 * microseconds as the file named by FTS_SLOW_DISK says at that moment. Nothing else changes. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

static const volatile uint32_t *delay_us;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FTS_SLOW_DISK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) return;
	void *page = mmap(NULL, sizeof(uint32_t), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page != MAP_FAILED) delay_us = page;
}

static void be_slow(void)
{
	uint32_t wait_us = delay_us != NULL ? *delay_us : 0;
	struct timespec wait = {wait_us / 1000000u, (long)(wait_us % 1000000u) * 1000};
	if (wait_us > 0) (void)nanosleep(&wait, NULL);
}

VISIBLE int fsync(int fd)
{
	be_slow();
	return (int)syscall(SYS_fsync, fd);
}

VISIBLE int fdatasync(int fd)
{
	be_slow();
	return (int)syscall(SYS_fdatasync, fd);
}
