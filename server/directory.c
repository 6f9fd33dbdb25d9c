/* Why this file exists: see server/directory.h. */
#include "server/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/archive.h"

#define FILE_PATH_MAX (FTSI_PATH_MAX + 32)

static const char *file_path(const struct ftsi_settings *settings, const char *name, char *out)
{
	snprintf(out, FILE_PATH_MAX, "%s/%s", settings->data, name);
	return out;
}

/* True: nothing but what a start that was cut short may leave behind. */
static bool is_blank(DIR *directory)
{
	static const char *const ours[] = {".", "..", "lock", "node.json.new", "lost+found"};
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		bool known = false;
		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			known = known || strcmp(entry->d_name, ours[i]) == 0;
		if (!known) return false;
	}
	return true;
}

static bool has_memory(const struct ftsi_settings *settings)
{
	char path[FILE_PATH_MAX];
	return access(file_path(settings, "node.json", path), F_OK) == 0;
}

/* `fts-cli snapshot restore` made it: a node begins here with what it holds. */
static bool is_restored(const struct ftsi_settings *settings)
{
	char path[FILE_PATH_MAX];
	return access(file_path(settings, FTS_ARCHIVE_ORIGIN_NAME, path), F_OK) == 0;
}

static enum fts_status check_owner(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	if (has_memory(settings) || is_restored(settings)) return FTS_OK;
	DIR *directory = opendir(settings->data);
	if (directory == NULL)
		return fts_error_set(out_error, FTS_UNAVAILABLE, "--data: %.300s: can't be read: %s", settings->data,
				     strerror(errno));
	bool blank = is_blank(directory);
	closedir(directory);
	if (blank) return FTS_OK;
	return fts_error_set(out_error, FTS_FAILED_PRECONDITION,
			     "--data: %.300s is not empty and is no node's directory (it has no node.json)",
			     settings->data);
}

/* Who holds the lock, for the error: "" when it can't be told. out: 32 bytes. */
static const char *holder(int lock_fd, char *out)
{
	char pid[16];
	ssize_t size = pread(lock_fd, pid, sizeof(pid) - 1, 0);
	size_t digits = 0;
	while (size > 0 && digits < (size_t)size && pid[digits] >= '0' && pid[digits] <= '9')
		digits++;
	out[0] = '\0';
	if (digits > 0) snprintf(out, 32, " (pid %.*s)", (int)digits, pid);
	return out;
}

static enum fts_status lock(const struct ftsi_settings *settings, int *out_lock_fd, struct fts_error *out_error)
{
	char path[FILE_PATH_MAX], who[32];
	int lock_fd = open(file_path(settings, "lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (lock_fd < 0)
		return fts_error_set(out_error, FTS_UNAVAILABLE, "--data: %.300s: can't be opened: %s", path,
				     strerror(errno));
	if (flock(lock_fd, LOCK_EX | LOCK_NB) != 0) {
		enum fts_status status =
		    fts_error_set(out_error, FTS_UNAVAILABLE, "--data: %.300s is in use by another process%s",
				  settings->data, holder(lock_fd, who));
		close(lock_fd);
		return status;
	}
	/* The pid is for people only: a full disk must not keep the node from starting. */
	int size = snprintf(who, sizeof(who), "%d\n", (int)getpid());
	if (ftruncate(lock_fd, 0) == 0 && pwrite(lock_fd, who, (size_t)size, 0) != size) (void)ftruncate(lock_fd, 0);
	*out_lock_fd = lock_fd;
	return FTS_OK;
}

/* DIR without its trailing slashes; "/" stays. */
static void trim(char *path)
{
	size_t size = strlen(path);
	while (size > 1 && path[size - 1] == '/')
		path[--size] = '\0';
}

enum fts_status ftsi_directory_recall(struct ftsi_settings *settings, struct fts_error *out_error)
{
	char path[FILE_PATH_MAX];
	struct ftsi_settings remembered = {0};
	trim(settings->data);
	if (!has_memory(settings)) return FTS_OK;
	enum fts_status status =
	    ftsi_settings_read_file(&remembered, file_path(settings, "node.json", path), out_error);
	if (status != FTS_OK) return status;
	if (settings->name[0] != '\0' && strcmp(settings->name, remembered.name) != 0)
		return fts_error_set(out_error, FTS_FAILED_PRECONDITION, "--data: %.300s belongs to node %s, not %s",
				     settings->data, remembered.name, settings->name);
	bool joins = settings->join[0] != '\0', founds = settings->cluster[0] != '\0';
	status = ftsi_settings_read_file(settings, path, out_error);
	/* What is said now takes the place of what was said then: the two exclude each other. */
	if (joins) settings->cluster[0] = '\0';
	if (founds) settings->join[0] = '\0';
	return status;
}

enum fts_status ftsi_directory_claim(const struct ftsi_settings *settings, int *out_lock_fd,
				     struct fts_error *out_error)
{
	if (mkdir(settings->data, 0750) != 0 && errno != EEXIST)
		return fts_error_set(out_error, FTS_UNAVAILABLE, "--data: %.300s: can't be made: %s", settings->data,
				     strerror(errno));
	int lock_fd = -1;
	enum fts_status status = check_owner(settings, out_error);
	if (status == FTS_OK) status = lock(settings, &lock_fd, out_error);
	if (status == FTS_OK && !has_memory(settings)) status = ftsi_directory_remember(settings, out_error);
	if (status == FTS_OK)
		*out_lock_fd = lock_fd;
	else if (lock_fd >= 0)
		close(lock_fd);
	return status;
}

enum fts_status ftsi_directory_remember(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	char path[FILE_PATH_MAX];
	return ftsi_settings_write(settings, file_path(settings, "node.json", path), out_error);
}
