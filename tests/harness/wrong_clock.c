/* Why this file exists: see tests/harness/wrong_clock.h; what is preloaded is tests/harness/wrong_clock_library.c. */
#include "tests/harness/wrong_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

void harness_wrong_clock_init(struct harness_wrong_clock *wrong, const char *directory)
{
	snprintf(wrong->control, sizeof(wrong->control), "%.480s/wrong-clock", directory);
	int fd = open(wrong->control, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(int64_t)) != 0) fail_msg("%s: %s", wrong->control, strerror(errno));
	wrong->ahead_ms = mmap(NULL, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (wrong->ahead_ms == MAP_FAILED) fail_msg("%s: can't be mapped", wrong->control);
	snprintf(wrong->preload, sizeof(wrong->preload), "LD_PRELOAD=%s", FTS_HARNESS_WRONG_CLOCK);
	snprintf(wrong->variable, sizeof(wrong->variable), "FTS_WRONG_CLOCK=%s", wrong->control);
}

void harness_wrong_clock_use(const struct harness_wrong_clock *wrong, const char **environment)
{
	while (*environment != NULL)
		environment++;
	environment[0] = wrong->preload;
	environment[1] = wrong->variable;
	environment[2] = "ASAN_OPTIONS=verify_asan_link_order=0"; /* a sanitizer wants to be the first library */
}

void harness_wrong_clock_set(struct harness_wrong_clock *wrong, int64_t ahead_ms)
{
	*wrong->ahead_ms = ahead_ms;
}

void harness_wrong_clock_fini(struct harness_wrong_clock *wrong)
{
	if (wrong->ahead_ms != NULL) (void)munmap((void *)(uintptr_t)wrong->ahead_ms, sizeof(int64_t));
	wrong->ahead_ms = NULL;
}
