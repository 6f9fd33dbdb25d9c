/* Why this file exists: see tests/harness/disk.h. */
#include "tests/harness/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

void harness_disk_make(const char *path, uint32_t mebibytes)
{
	static bool apart;
	char size[32];
	if (!apart && (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
		fail_msg("tests of a full disk need a mount namespace (%s): run them as root", strerror(errno));
	apart = true;
	snprintf(size, sizeof(size), "size=%um", mebibytes);
	if ((mkdir(path, 0700) != 0 && errno != EEXIST) || mount("tmpfs", path, "tmpfs", 0, size) != 0)
		fail_msg("can't make a disk at %s: %s", path, strerror(errno));
}

void harness_disk_fill(const char *path, uint64_t left_bytes)
{
	struct statvfs about = {0};
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct stat before = {0};
	if (fd < 0 || fstatvfs(fd, &about) != 0 || fstat(fd, &before) != 0) fail_msg("%s: %s", path, strerror(errno));
	uint64_t free_bytes = (uint64_t)about.f_bavail * about.f_frsize;
	if (free_bytes > left_bytes && posix_fallocate(fd, before.st_size, (off_t)(free_bytes - left_bytes)) != 0)
		fail_msg("can't fill the disk of %s", path);
	close(fd);
}

void harness_disk_unmake(const char *path)
{
	(void)umount2(path, MNT_DETACH);
}

void harness_slow_disk_init(struct harness_slow_disk *disk, const char *directory)
{
	snprintf(disk->control, sizeof(disk->control), "%.480s/slow-disk", directory);
	int fd = open(disk->control, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(uint32_t)) != 0) fail_msg("%s: %s", disk->control, strerror(errno));
	disk->delay_us = mmap(NULL, sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (disk->delay_us == MAP_FAILED) fail_msg("%s: can't be mapped", disk->control);
	snprintf(disk->preload, sizeof(disk->preload), "LD_PRELOAD=%s", FTS_HARNESS_SLOW_DISK);
	snprintf(disk->variable, sizeof(disk->variable), "FTS_SLOW_DISK=%s", disk->control);
}

void harness_slow_disk_use(const struct harness_slow_disk *disk, const char **environment)
{
	while (*environment != NULL)
		environment++;
	environment[0] = disk->preload;
	environment[1] = disk->variable;
	environment[2] = "ASAN_OPTIONS=verify_asan_link_order=0"; /* a sanitizer wants to be the first library */
}

void harness_slow_disk_set(struct harness_slow_disk *disk, uint32_t delay_us)
{
	*disk->delay_us = delay_us;
}

void harness_slow_disk_fini(struct harness_slow_disk *disk)
{
	if (disk->delay_us != NULL) (void)munmap((void *)(uintptr_t)disk->delay_us, sizeof(uint32_t));
	disk->delay_us = NULL;
}
