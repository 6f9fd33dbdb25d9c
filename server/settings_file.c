/* Why this file exists: settings as JSON: the configuration file a user writes, and the one in which DIR remembers.
 * Both are fts.config.v1.Config, so names, types and errors come from proto/fts/config/v1/config.proto. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fts/config/v1/config.pb-c.h>

#include "rpc/json.h"
#include "server/settings_table.h"

#define FILE_BYTES_MAX (64u * 1024)

/* ---- Reading ---- */

/* The whole file. *out_text: returned (free()), 0-terminated. */
static enum fts_status read_text(const char *path, char **out_text, size_t *out_size_bytes, struct fts_error *out_error)
{
	struct stat about;
	char *text = NULL;
	size_t size = 0;
	enum fts_status status = FTS_OK;
	int file_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file_fd < 0)
		return fts_error_set(out_error, errno == ENOENT ? FTS_NOT_FOUND : FTS_PERMISSION_DENIED,
				     "%.300s: can't be read: %s", path, strerror(errno));
	if (fstat(file_fd, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size > (off_t)FILE_BYTES_MAX) {
		status = fts_error_set(out_error, FTS_PERMISSION_DENIED, "%.300s: not a file of at most 64 KiB", path);
		goto out;
	}
	if ((text = malloc(FILE_BYTES_MAX + 1)) == NULL) {
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
		goto out;
	}
	for (ssize_t got; (got = read(file_fd, text + size, FILE_BYTES_MAX - size)) != 0; size += (size_t)got) {
		if (got < 0) {
			status = fts_error_set(out_error, FTS_PERMISSION_DENIED, "%.300s: can't be read: %s", path,
					       strerror(errno));
			goto out;
		}
	}
	text[size] = '\0';
	*out_text = text;
	*out_size_bytes = size;
	text = NULL;
out:
	free(text);
	close(file_fd);
	return status;
}

/* Names as the flags have them ("lottery-text") become those of the message ("lottery_text").
 * Returned (json_decref); NULL: no memory, or one name stands there in both forms. */
static json_t *rename_fields(json_t *object)
{
	json_t *renamed = json_object(), *value;
	const char *key;
	char name[64];
	json_object_foreach(object, key, value)
	{
		size_t size = strlen(key) < sizeof(name) - 1 ? strlen(key) : sizeof(name) - 1;
		for (size_t i = 0; i < size; i++)
			name[i] = key[i] == '-' ? '_' : key[i];
		name[size] = '\0';
		if (json_object_get(renamed, name) != NULL || json_object_set(renamed, name, value) != 0) {
			json_decref(renamed);
			return NULL;
		}
	}
	return renamed;
}

/* A message does not tell 0 from nothing, and no setting may be 0: who writes it means something. NULL: none is. */
static const char *find_zero(json_t *object)
{
	json_t *value;
	const char *key;
	json_object_foreach(object, key, value) if (json_is_number(value) && json_number_value(value) == 0) return key;
	return NULL;
}

static enum fts_status parse(const char *path, const char *text, size_t size_bytes, ProtobufCMessage **out_config,
			     struct fts_error *out_error)
{
	json_error_t where;
	struct fts_error inner;
	json_t *renamed = NULL, *root = json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES, &where);
	char *dumped = NULL;
	enum fts_status status;
	if (root == NULL) {
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.300s: line %d: %.150s", path, where.line,
				       where.text);
	} else if (!json_is_object(root)) {
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.300s: expected a JSON object", path);
	} else if ((renamed = rename_fields(root)) == NULL || (dumped = json_dumps(renamed, 0)) == NULL) {
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.300s: a name stands there twice", path);
	} else {
		struct fts_bytes bytes = {(const uint8_t *)dumped, strlen(dumped)};
		status = fts_json_decode(bytes, &fts__config__v1__config__descriptor, NULL, out_config, &inner);
		if (status != FTS_OK) status = fts_error_set(out_error, status, "%.200s: %.250s", path, inner.detail);
		const char *zero = status == FTS_OK ? find_zero(renamed) : NULL;
		if (zero != NULL) {
			protobuf_c_message_free_unpacked(*out_config, NULL);
			*out_config = NULL;
			status = fts_error_set(out_error, FTS_INVALID_ARGUMENT,
					       "%.300s: %.100s: \"0\": expected a number of 1 to %d", path, zero,
					       FTSI_COUNT_MAX);
		}
	}
	free(dumped);
	json_decref(renamed);
	json_decref(root);
	return status;
}

/* The field's value as text; "" : not there. number: 16 bytes of room. */
static const char *field_text(const ProtobufCMessage *config, const char *field_name, char *number)
{
	const ProtobufCFieldDescriptor *field =
	    protobuf_c_message_descriptor_get_field_by_name(config->descriptor, field_name);
	const char *at = (const char *)config + field->offset;
	if (field->type == PROTOBUF_C_TYPE_STRING) return *(const char *const *)at;
	if (field->type == PROTOBUF_C_TYPE_BOOL) return *(const protobuf_c_boolean *)at ? "true" : "";
	snprintf(number, 16, "%u", *(const uint32_t *)at);
	return strcmp(number, "0") == 0 ? "" : number;
}

static enum fts_status merge(struct ftsi_settings *settings, const char *path, const ProtobufCMessage *config,
			     struct fts_error *out_error)
{
	struct ftsi_settings checked; /* a value that a flag overrides must be right all the same */
	for (size_t i = 0; i < ftsi_setting_count; i++) {
		const struct ftsi_setting *setting = &ftsi_setting_table[i];
		char number[16], where[320];
		const char *value = field_text(config, setting->field, number);
		if (value[0] == '\0') continue;
		snprintf(where, sizeof(where), "%.250s: %s", path, setting->field);
		bool is_set = setting->size_bytes > 0 && ftsi_setting_is_set(settings, setting);
		enum fts_status status =
		    ftsi_setting_put(is_set ? &checked : settings, setting, where, value, out_error);
		if (status != FTS_OK) return status;
	}
	return FTS_OK;
}

enum fts_status ftsi_settings_read_file(struct ftsi_settings *settings, const char *path, struct fts_error *out_error)
{
	char *text = NULL;
	size_t size = 0;
	ProtobufCMessage *config = NULL;
	enum fts_status status = read_text(path, &text, &size, out_error);
	if (status == FTS_OK) status = parse(path, text, size, &config, out_error);
	if (status == FTS_OK) status = merge(settings, path, config, out_error);
	if (config != NULL) protobuf_c_message_free_unpacked(config, NULL);
	free(text);
	return status;
}

/* ---- Writing ---- */

/* config's texts are borrowed from settings. */
static void fill(Fts__Config__V1__Config *config, const struct ftsi_settings *settings)
{
	for (size_t i = 0; i < ftsi_setting_count; i++) {
		const struct ftsi_setting *setting = &ftsi_setting_table[i];
		if (!setting->remembered || !ftsi_setting_is_set(settings, setting)) continue;
		const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(
		    &fts__config__v1__config__descriptor, setting->field);
		char *to = (char *)config + field->offset;
		const char *from = (const char *)settings + setting->offset;
		if (setting->kind == FTSI_SETTING_COUNT)
			memcpy(to, from, sizeof(uint32_t));
		else
			memcpy(to, &from, sizeof(from));
	}
}

/* Write text to path, synced; the name is not yet the final one. */
static int write_synced(const char *path, const char *text, size_t size_bytes)
{
	int file_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (file_fd < 0) return errno;
	int wrong = 0;
	for (size_t at = 0; at < size_bytes && wrong == 0;) {
		ssize_t count = write(file_fd, text + at, size_bytes - at);
		if (count < 0)
			wrong = errno;
		else
			at += (size_t)count;
	}
	if (wrong == 0 && fsync(file_fd) != 0) wrong = errno;
	close(file_fd);
	return wrong;
}

static int rename_synced(const char *from, const char *to)
{
	char directory[FTSI_PATH_MAX + 16];
	snprintf(directory, sizeof(directory), "%s", to);
	char *slash = strrchr(directory, '/');
	if (slash != NULL) *slash = '\0';
	if (rename(from, to) != 0) return errno;
	int directory_fd = open(slash != NULL ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0) return errno;
	int wrong = fsync(directory_fd) != 0 ? errno : 0;
	close(directory_fd);
	return wrong;
}

enum fts_status ftsi_settings_write(const struct ftsi_settings *settings, const char *path, struct fts_error *out_error)
{
	static const struct fts_json_options options = {.proto_names = true, .pretty = true};
	Fts__Config__V1__Config config = FTS__CONFIG__V1__CONFIG__INIT;
	char *text = NULL, fresh[FTSI_PATH_MAX + 32];
	size_t size = 0;
	fill(&config, settings);
	enum fts_status status = fts_json_encode(&config.base, &options, &text, &size, out_error);
	if (status != FTS_OK) return status;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	int wrong = write_synced(fresh, text, size);
	if (wrong == 0) wrong = rename_synced(fresh, path);
	free(text);
	if (wrong == 0) return FTS_OK;
	return fts_error_set(out_error, wrong == ENOSPC ? FTS_RESOURCE_EXHAUSTED : FTS_UNAVAILABLE,
			     "%.300s: can't be written: %s", path, strerror(wrong));
}
