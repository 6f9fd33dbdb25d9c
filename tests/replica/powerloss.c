/* Why this file exists: see powerloss.h.
 *
 * Notes are lines in side/notes, one write(2) each: "S inode size" a file was synced, "D path" a directory was, then
 * "N inode name" for each file in it and "E" at the end: a listing without its E does not count. */
#include "powerloss.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char watched[400], side_dir[400];
static int notes = -1;

static void note(const char *text, size_t size_bytes)
{
	if (write(notes, text, size_bytes) != (ssize_t)size_bytes) abort();
}

static void keep_alive(const char *dir, const char *name, unsigned long long inode)
{
	char from[1200], to[500];
	(void)snprintf(from, sizeof from, "%s/%s", dir, name);
	(void)snprintf(to, sizeof to, "%s/%llu", side_dir, inode);
	(void)link(from, to); /* there already, or gone since */
}

static void note_directory(const char *path)
{
	DIR *dir = opendir(path);
	char *text = NULL;
	size_t size = 0;
	FILE *lines = open_memstream(&text, &size);
	if (dir == NULL || lines == NULL) abort();
	(void)fprintf(lines, "D %s\n", path);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_type != DT_REG) continue;
		keep_alive(path, entry->d_name, entry->d_ino);
		(void)fprintf(lines, "N %llu %s\n", (unsigned long long)entry->d_ino, entry->d_name);
	}
	(void)fprintf(lines, "E\n");
	(void)fclose(lines);
	note(text, size);
	free(text);
	closedir(dir);
}

/* Whether fd is below the watched directory; path: 800 bytes. */
static bool is_watched(int fd, char *path, size_t capacity_bytes)
{
	char link_path[64];
	ssize_t length;
	if (notes < 0) return false;
	(void)snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
	length = readlink(link_path, path, capacity_bytes - 1);
	if (length <= 0) return false;
	path[length] = 0;
	return strncmp(path, watched, strlen(watched)) == 0;
}

static void note_file(const struct stat *before)
{
	char line[64];
	int length = snprintf(line, sizeof line, "S %llu %lld\n", (unsigned long long)before->st_ino,
			      (long long)before->st_size);
	note(line, (size_t)length);
}

/* The size is taken before the sync: what is appended meanwhile is not safe. */
static int sync_and_note(int fd, long call)
{
	char path[800];
	struct stat before;
	bool watching = is_watched(fd, path, sizeof path) && fstat(fd, &before) == 0;
	int result = (int)syscall(call, fd);
	if (result != 0 || !watching) return result;
	if (S_ISDIR(before.st_mode))
		note_directory(path);
	else
		note_file(&before);
	return result;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	return sync_and_note(fd, SYS_fsync);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	return sync_and_note(fd, SYS_fdatasync);
}

/* What is there now is on the disk. */
static void note_all(const char *path)
{
	DIR *dir = opendir(path);
	if (dir == NULL) return;
	note_directory(path);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		char name[1200];
		struct stat about;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		(void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (stat(name, &about) != 0) continue;
		if (S_ISDIR(about.st_mode))
			note_all(name);
		else
			note_file(&about);
	}
	closedir(dir);
}

void powerloss_watch(const char *dir, const char *side)
{
	char path[500];
	(void)snprintf(watched, sizeof watched, "%s", dir);
	(void)snprintf(side_dir, sizeof side_dir, "%s", side);
	(void)snprintf(path, sizeof path, "%s/notes", side);
	notes = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (notes < 0) abort();
	note_all(dir);
}

/* ---- The loss ---- */

enum { FILE_MAX = 4096, DIRECTORY_MAX = 16 };

struct kept_file {
	unsigned long long inode;
	char name[100];
};

struct kept_directory {
	char path[400];
	size_t count;
	struct kept_file files[512];
};

struct kept {
	size_t size_count, directory_count;
	unsigned long sync_count;
	struct {
		unsigned long long inode;
		long long size_bytes;
	} sizes[FILE_MAX];
	struct kept_directory directories[DIRECTORY_MAX];
	struct kept_directory reading;
};

static void keep_size(struct kept *kept, unsigned long long inode, long long size_bytes)
{
	size_t at = 0;
	while (at < kept->size_count && kept->sizes[at].inode != inode)
		at++;
	if (at == FILE_MAX) abort();
	if (at == kept->size_count) kept->size_count++;
	kept->sizes[at].inode = inode;
	kept->sizes[at].size_bytes = size_bytes;
}

static void keep_directory(struct kept *kept)
{
	size_t at = 0;
	while (at < kept->directory_count && strcmp(kept->directories[at].path, kept->reading.path) != 0)
		at++;
	if (at == DIRECTORY_MAX) abort();
	if (at == kept->directory_count) kept->directory_count++;
	kept->directories[at] = kept->reading;
}

static void read_note(struct kept *kept, const char *line)
{
	unsigned long long inode;
	long long size_bytes;
	char name[100];
	if (sscanf(line, "S %llu %lld", &inode, &size_bytes) == 2) {
		keep_size(kept, inode, size_bytes);
		kept->sync_count++;
	} else if (line[0] == 'D') {
		(void)snprintf(kept->reading.path, sizeof kept->reading.path, "%.*s", (int)strcspn(line + 2, "\n"),
			       line + 2);
		kept->reading.count = 0;
	} else if (sscanf(line, "N %llu %99s", &inode, name) == 2) {
		struct kept_file *file = &kept->reading.files[kept->reading.count++];
		if (kept->reading.count > sizeof kept->reading.files / sizeof *kept->reading.files) abort();
		file->inode = inode;
		(void)snprintf(file->name, sizeof file->name, "%s", name);
	} else if (line[0] == 'E') {
		keep_directory(kept);
	}
}

static struct kept *read_notes(const char *side)
{
	char path[500], line[1000];
	struct kept *kept = calloc(1, sizeof *kept);
	FILE *lines;
	(void)snprintf(path, sizeof path, "%s/notes", side);
	lines = fopen(path, "r");
	while (kept != NULL && lines != NULL && fgets(line, sizeof line, lines) != NULL)
		read_note(kept, line);
	if (lines != NULL) (void)fclose(lines);
	return kept;
}

/* Remove the files of dir and of the directories below it. */
static void remove_files(const char *path)
{
	DIR *dir = opendir(path);
	if (dir == NULL) return;
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		char name[1200];
		struct stat about;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		(void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (stat(name, &about) != 0) continue;
		if (S_ISDIR(about.st_mode))
			remove_files(name);
		else
			(void)unlink(name);
	}
	closedir(dir);
}

static void restore_file(const struct kept *kept, const char *side, const char *dir, const struct kept_file *file)
{
	char from[500], to[600];
	long long size = 0;
	(void)snprintf(from, sizeof from, "%s/%llu", side, file->inode);
	(void)snprintf(to, sizeof to, "%s/%s", dir, file->name);
	for (size_t i = 0; i < kept->size_count; i++)
		if (kept->sizes[i].inode == file->inode) size = kept->sizes[i].size_bytes;
	(void)mkdir(dir, 0700); /* removed since: who knows whether that reached the disk */
	if (truncate(from, size) != 0 || link(from, to) != 0) abort();
}

unsigned long powerloss_strike(const char *dir, const char *side)
{
	struct kept *kept = read_notes(side);
	unsigned long syncs;
	if (kept == NULL) abort();
	remove_files(dir);
	for (size_t i = 0; i < kept->directory_count; i++)
		for (size_t file = 0; file < kept->directories[i].count; file++)
			restore_file(kept, side, kept->directories[i].path, &kept->directories[i].files[file]);
	syncs = kept->sync_count;
	free(kept);
	return syncs;
}
