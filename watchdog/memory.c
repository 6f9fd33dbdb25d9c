/* Why this file exists: see watchdog/memory.h. */
#include "watchdog/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define PATH_BYTES (FTSI_WATCH_TEXT_MAX + 32)
#define BOOT_BYTES 40
#define VERSION 1

enum fts_status ftsi_memory_claim(const char *directory, int *out_lock_fd, struct fts_error *out_error)
{
	char path[PATH_BYTES];
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return fts_error_set(out_error, FTS_UNAVAILABLE, "state: %.300s can't be made: %s", directory,
				     strerror(errno));
	snprintf(path, sizeof(path), "%s/lock", directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) return fts_error_set(out_error, FTS_UNAVAILABLE, "state: %.300s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return fts_error_set(out_error, FTS_ALREADY_EXISTS,
				     "another fts-watchdog runs with the state directory %.300s", directory);
	}
	*out_lock_fd = fd;
	return FTS_OK;
}

/* Which boot of the machine this is; "": it can't be told. */
static void boot_id(char *out)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	out[0] = '\0';
	if (file == NULL) return;
	if (fgets(out, BOOT_BYTES, file) == NULL) out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	fclose(file);
}

/* ---- Reading ---- */

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void read_process(const json_t *object, bool same_boot, struct ftsi_memory_process *out)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *reason = json_string_value(json_object_get(object, "last_reason"));
	const json_t *times = json_object_get(object, "restart_times_ms");
	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", name != NULL ? name : "");
	snprintf(out->last_reason, sizeof(out->last_reason), "%s", reason != NULL ? reason : "");
	out->pid = same_boot ? (pid_t)number_of(object, "pid") : 0;
	out->start_ticks = (uint64_t)number_of(object, "start_ticks");
	out->started_ms = number_of(object, "started_ms");
	out->wanted = json_is_true(json_object_get(object, "wanted"));
	out->answered = json_is_true(json_object_get(object, "answered"));
	out->speaks = (uint64_t)number_of(object, "speaks");
	out->quarantined = json_is_true(json_object_get(object, "quarantined"));
	out->restarts = (uint32_t)number_of(object, "restarts");
	out->backoff_ms = (uint32_t)number_of(object, "backoff_ms");
	for (size_t i = 0; i < json_array_size(times) && i < FTSI_MEMORY_RESTARTS_MAX; i++)
		out->restart_times_ms[out->restart_time_count++] = json_integer_value(json_array_get(times, i));
}

void ftsi_memory_recall(const char *directory, struct ftsi_memory *out_memory)
{
	char path[PATH_BYTES], boot[BOOT_BYTES], quoted[PATH_BYTES + 8];
	json_error_t where;
	memset(out_memory, 0, sizeof(*out_memory));
	snprintf(path, sizeof(path), "%s/state.json", directory);
	if (access(path, F_OK) != 0) return;
	json_t *root = json_load_file(path, 0, &where);
	if (!json_is_object(root) || number_of(root, "version") != VERSION) {
		FTS_LOG_WARN("watchdog.memory",
			     "file=%s detail=\"it can't be read: processes that still run are unknown\"",
			     fts_log_quote(quoted, sizeof(quoted), path));
		json_decref(root);
		return;
	}
	boot_id(boot);
	const char *written = json_string_value(json_object_get(root, "boot"));
	bool same_boot = written != NULL && boot[0] != '\0' && strcmp(written, boot) == 0;
	const json_t *list = json_object_get(root, "processes");
	out_memory->action_index = (uint64_t)number_of(root, "action_index");
	for (size_t i = 0; i < json_array_size(list) && i < FTSI_WATCH_PROCESS_MAX; i++)
		read_process(json_array_get(list, i), same_boot, &out_memory->processes[out_memory->count++]);
	json_decref(root);
}

const struct ftsi_memory_process *ftsi_memory_find(const struct ftsi_memory *memory, const char *name)
{
	for (size_t i = 0; i < memory->count; i++)
		if (strcmp(memory->processes[i].name, name) == 0) return &memory->processes[i];
	return NULL;
}

/* ---- Writing ---- */

static json_t *process_json(const struct ftsi_memory_process *process)
{
	json_t *times = json_array();
	for (uint32_t i = 0; i < process->restart_time_count; i++)
		json_array_append_new(times, json_integer(process->restart_times_ms[i]));
	return json_pack("{s:s,s:I,s:I,s:I,s:b,s:b,s:I,s:b,s:I,s:I,s:s,s:o}", "name", process->name, "pid",
			 (json_int_t)process->pid, "start_ticks", (json_int_t)process->start_ticks, "started_ms",
			 (json_int_t)process->started_ms, "wanted", process->wanted, "answered", process->answered,
			 "speaks", (json_int_t)process->speaks, "quarantined", process->quarantined, "restarts",
			 (json_int_t)process->restarts, "backoff_ms", (json_int_t)process->backoff_ms, "last_reason",
			 process->last_reason, "restart_times_ms", times);
}

bool ftsi_memory_keep(const char *directory, const struct ftsi_memory *memory)
{
	char path[PATH_BYTES], fresh[PATH_BYTES], boot[BOOT_BYTES];
	json_t *list = json_array();
	boot_id(boot);
	for (size_t i = 0; i < memory->count; i++)
		json_array_append_new(list, process_json(&memory->processes[i]));
	json_t *root = json_pack("{s:i,s:s,s:I,s:o}", "version", VERSION, "boot", boot, "action_index",
				 (json_int_t)memory->action_index, "processes", list);
	snprintf(path, sizeof(path), "%s/state.json", directory);
	snprintf(fresh, sizeof(fresh), "%s/state.json.new", directory);
	bool kept = root != NULL && json_dump_file(root, fresh, JSON_INDENT(1)) == 0 && rename(fresh, path) == 0;
	json_decref(root);
	return kept;
}
