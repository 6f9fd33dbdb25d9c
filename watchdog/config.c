/* Why this file exists: see watchdog/config.h. Tables name every field once; errors and defaults come from them. */
#include "watchdog/config.h"

#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc/endpoint.h"

#define HOUR_MS 3600000u
#define WORDS_MAX 256
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum kind { KIND_TEXT, KIND_NAME, KIND_NUMBER, KIND_SWITCH, KIND_WORD };

struct field {
	const char *name;
	enum kind kind;
	size_t offset, size_bytes;
	uint32_t min, max;
	const char *const *words; /* KIND_WORD: NULL-ended; the value is the place */
};

#define AT(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
#define WATCH(member) AT(ftsi_watch_config, member)
#define PROCESS(member) AT(ftsi_watch_process, member)

static const char *const health_words[] = {"auto", "required", "off", NULL};
static const char *const restart_words[] = {"always", "on-failure", "never", NULL};

static const struct field top_fields[] = {
    {"name", KIND_NAME, WATCH(name), 0, 0, NULL},
    {"listen", KIND_TEXT, WATCH(listen), 0, 0, NULL},
    {"state", KIND_TEXT, WATCH(state), 0, 0, NULL},
    {"cluster", KIND_TEXT, WATCH(cluster), 0, 0, NULL},
    {"tls_ca", KIND_TEXT, WATCH(tls_ca), 0, 0, NULL},
    {"tls_cert", KIND_TEXT, WATCH(tls_cert), 0, 0, NULL},
    {"tls_key", KIND_TEXT, WATCH(tls_key), 0, 0, NULL},
    {"token_file", KIND_TEXT, WATCH(token_file), 0, 0, NULL},
    {"insecure", KIND_SWITCH, WATCH(insecure), 0, 0, NULL},
    {"interval_ms", KIND_NUMBER, WATCH(interval_ms), 10, 60000, NULL},
    {"backoff_min_ms", KIND_NUMBER, WATCH(backoff_min_ms), 1, HOUR_MS, NULL},
    {"backoff_max_ms", KIND_NUMBER, WATCH(backoff_max_ms), 1, HOUR_MS, NULL},
    {"quarantine_restarts", KIND_NUMBER, WATCH(quarantine_restarts), 1, 1000000, NULL},
    {"capture_ms", KIND_NUMBER, WATCH(capture_ms), 1, 60000, NULL},
    {"quarantine_window_ms", KIND_NUMBER, WATCH(quarantine_window_ms), 1000, 24 * HOUR_MS, NULL},
};

static const struct field process_fields[] = {
    {"name", KIND_NAME, PROCESS(name), 0, 0, NULL},
    {"directory", KIND_TEXT, PROCESS(directory), 0, 0, NULL},
    {"log", KIND_TEXT, PROCESS(log), 0, 0, NULL},
    {"log_mb", KIND_NUMBER, PROCESS(log_mb), 1, 100000, NULL},
    {"member", KIND_NAME, PROCESS(member), 0, 0, NULL},
    {"health", KIND_WORD, PROCESS(health), 0, 0, health_words},
    {"restart", KIND_WORD, PROCESS(restart), 0, 0, restart_words},
};

/* Of one process, or at the top for all. */
static const struct field limit_fields[] = {
    {"silent_ms", KIND_NUMBER, AT(ftsi_watch_limits, silent_ms), 50, HOUR_MS, NULL},
    {"stall_ms", KIND_NUMBER, AT(ftsi_watch_limits, stall_ms), 50, HOUR_MS, NULL},
    {"overrun_ms", KIND_NUMBER, AT(ftsi_watch_limits, overrun_ms), 1, HOUR_MS, NULL},
    {"start_ms", KIND_NUMBER, AT(ftsi_watch_limits, start_ms), 50, 24 * HOUR_MS, NULL},
    {"stop_ms", KIND_NUMBER, AT(ftsi_watch_limits, stop_ms), 1, HOUR_MS, NULL},
};

static const struct ftsi_watch_limits limits_default = {
    .silent_ms = 3000, .stall_ms = 5000, .overrun_ms = 1000, .start_ms = 60000, .stop_ms = 15000};

/* Where in the file a value stands, for errors. */
struct where {
	const char *path;
	char field[160];
};

static enum fts_status wrong(const struct where *where, const char *name, const char *expected,
			     struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.250s: %s%s: expected %s", where->path, where->field,
			     name, expected);
}

/* ---- One value ---- */

static bool is_name(const char *text)
{
	size_t size = strlen(text);
	return size > 0 && size < FTSI_WATCH_NAME_MAX && text[0] != '.' &&
	       size == strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
}

static enum fts_status take_text(const struct where *where, const struct field *field, const json_t *value, char *at,
				 struct fts_error *out_error)
{
	char expected[80];
	const char *text = json_string_value(value);
	if (field->kind == KIND_NAME && (text == NULL || !is_name(text)))
		return wrong(where, field->name, "1 to 63 of a-z A-Z 0-9 . _ -, no dot in front", out_error);
	snprintf(expected, sizeof(expected), "a text of 1 to %zu bytes", field->size_bytes - 1);
	if (text == NULL || text[0] == '\0' || strlen(text) >= field->size_bytes)
		return wrong(where, field->name, expected, out_error);
	memcpy(at, text, strlen(text) + 1);
	return FTS_OK;
}

static enum fts_status take_number(const struct where *where, const struct field *field, const json_t *value, char *at,
				   struct fts_error *out_error)
{
	char expected[80];
	json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
	snprintf(expected, sizeof(expected), "a number from %u to %u", field->min, field->max);
	if (number < field->min || number > field->max) return wrong(where, field->name, expected, out_error);
	memcpy(at, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
	return FTS_OK;
}

static enum fts_status take_word(const struct where *where, const struct field *field, const json_t *value, char *at,
				 struct fts_error *out_error)
{
	char expected[80] = "one of";
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	for (int i = 0; field->words[i] != NULL; i++) {
		size_t used = strlen(expected);
		snprintf(expected + used, sizeof(expected) - used, " \"%s\"", field->words[i]);
		if (strcmp(field->words[i], text) != 0) continue;
		memcpy(at, &i, sizeof(i));
		return FTS_OK;
	}
	return wrong(where, field->name, expected, out_error);
}

static enum fts_status take(const struct where *where, const struct field *field, const json_t *value, void *base,
			    struct fts_error *out_error)
{
	char *at = (char *)base + field->offset;
	switch (field->kind) {
	case KIND_TEXT:
	case KIND_NAME:
		return take_text(where, field, value, at, out_error);
	case KIND_NUMBER:
		return take_number(where, field, value, at, out_error);
	case KIND_WORD:
		return take_word(where, field, value, at, out_error);
	case KIND_SWITCH:
		if (!json_is_boolean(value)) return wrong(where, field->name, "true or false", out_error);
		memcpy(at, &(bool){json_is_true(value)}, sizeof(bool));
		return FTS_OK;
	}
	return FTS_OK;
}

static const struct field *find(const struct field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0) return &fields[i];
	return NULL;
}

/* ---- Commands, environments, strands ---- */

static void free_words(char **words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

static enum fts_status take_command(const struct where *where, const json_t *value, char ***out_argv,
				    struct fts_error *out_error)
{
	size_t count = json_array_size(value);
	char **argv = calloc(count + 1, sizeof(char *));
	bool right = argv != NULL && json_is_array(value) && count > 0 && count <= WORDS_MAX;
	for (size_t i = 0; right && i < count; i++) {
		const char *word = json_string_value(json_array_get(value, i));
		right = word != NULL && (argv[i] = strdup(word)) != NULL && (i > 0 || word[0] != '\0');
	}
	if (!right) {
		free_words(argv);
		return wrong(where, "command", "a list of 1 to 256 texts, the program first", out_error);
	}
	free_words(*out_argv);
	*out_argv = argv;
	return FTS_OK;
}

static enum fts_status take_environment(const struct where *where, json_t *value, char ***out_environment,
					struct fts_error *out_error)
{
	size_t count = json_object_size(value), at = 0;
	char **environment = calloc(count + 1, sizeof(char *));
	bool right = environment != NULL && json_is_object(value) && count <= WORDS_MAX;
	const char *key;
	json_t *text;
	if (right) json_object_foreach(value, key, text)
		{
			size_t size = json_is_string(text) ? strlen(key) + json_string_length(text) + 2 : 0;
			right = right && size > 0 && key[0] != '\0' && strchr(key, '=') == NULL;
			if (!right || (environment[at] = malloc(size)) == NULL) break;
			snprintf(environment[at++], size, "%s=%s", key, json_string_value(text));
		}
	if (!right || at != count) {
		free_words(environment);
		return wrong(where, "environment", "an object of texts by name", out_error);
	}
	free_words(*out_environment);
	*out_environment = environment;
	return FTS_OK;
}

static enum fts_status take_strands(const struct where *where, json_t *value, struct ftsi_watch_limits *limits,
				    struct fts_error *out_error)
{
	static const char expected[] = "an object of at most 8 patiences in ms by a strand's name";
	const char *key;
	json_t *ms;
	if (!json_is_object(value) || json_object_size(value) > FTSI_WATCH_STRAND_MAX)
		return wrong(where, "strands", expected, out_error);
	limits->strand_count = 0;
	json_object_foreach(value, key, ms)
	{
		json_int_t number = json_is_integer(ms) ? json_integer_value(ms) : 0;
		if (number < 50 || number > HOUR_MS || strlen(key) >= sizeof(limits->strands[0].name))
			return wrong(where, "strands", expected, out_error);
		snprintf(limits->strands[limits->strand_count].name, sizeof(limits->strands[0].name), "%s", key);
		limits->strands[limits->strand_count++].stall_ms = (uint32_t)number;
	}
	return FTS_OK;
}

/* out_taken: the field is one of the limits'. */
static enum fts_status take_limit(const struct where *where, const char *key, json_t *value,
				  struct ftsi_watch_limits *limits, bool *out_taken, struct fts_error *out_error)
{
	const struct field *field = find(limit_fields, COUNT_OF(limit_fields), key);
	*out_taken = field != NULL || strcmp(key, "strands") == 0;
	if (field != NULL) return take(where, field, value, limits, out_error);
	return *out_taken ? take_strands(where, value, limits, out_error) : FTS_OK;
}

/* ---- Processes ---- */

static enum fts_status read_process_field(const struct where *where, const char *key, json_t *value,
					  struct ftsi_watch_process *process, struct fts_error *out_error)
{
	bool taken;
	const struct field *field = find(process_fields, COUNT_OF(process_fields), key);
	if (field != NULL) return take(where, field, value, process, out_error);
	if (strcmp(key, "command") == 0) return take_command(where, value, &process->argv, out_error);
	if (strcmp(key, "environment") == 0) return take_environment(where, value, &process->environment, out_error);
	enum fts_status status = take_limit(where, key, value, &process->limits, &taken, out_error);
	return taken ? status : wrong(where, key, "no such field", out_error);
}

static enum fts_status read_process(const struct where *where, json_t *object, struct ftsi_watch_process *process,
				    struct fts_error *out_error)
{
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		enum fts_status status = read_process_field(where, key, value, process, out_error);
		if (status != FTS_OK) return status;
	}
	if (process->argv == NULL) return wrong(where, "command", "a list of texts: it is missing", out_error);
	if (process->name[0] == '\0') return wrong(where, "name", "a name: it is missing", out_error);
	return FTS_OK;
}

static void process_init(struct ftsi_watch_process *process, const struct ftsi_watch_limits *limits)
{
	memset(process, 0, sizeof(*process));
	process->limits = *limits;
	process->log_mb = 16;
}

static enum fts_status read_processes(const char *path, const json_t *list, const struct ftsi_watch_limits *limits,
				      struct ftsi_watch_config *config, struct fts_error *out_error)
{
	struct where where = {.path = path};
	size_t count = json_array_size(list);
	if (!json_is_array(list) || count == 0 || count > FTSI_WATCH_PROCESS_MAX)
		return wrong(&where, "processes", "a list of 1 to 32 processes", out_error);
	for (size_t i = 0; i < count; i++) {
		struct ftsi_watch_process *process = &config->processes[i];
		snprintf(where.field, sizeof(where.field), "processes[%zu]", i);
		process_init(process, limits);
		config->process_count = i + 1;
		if (!json_is_object(json_array_get(list, i))) return wrong(&where, "", "an object", out_error);
		snprintf(where.field, sizeof(where.field), "processes[%zu].", i);
		enum fts_status status = read_process(&where, json_array_get(list, i), process, out_error);
		if (status != FTS_OK) return status;
		for (size_t k = 0; k < i; k++)
			if (strcmp(config->processes[k].name, process->name) == 0)
				return wrong(&where, "name", "another name than an earlier process has", out_error);
	}
	return FTS_OK;
}

static enum fts_status read_root(const char *path, json_t *root, struct ftsi_watch_config *config,
				 struct fts_error *out_error)
{
	struct where where = {.path = path};
	struct ftsi_watch_limits limits = limits_default;
	const char *key;
	json_t *value;
	json_object_foreach(root, key, value)
	{
		bool taken;
		const struct field *field = find(top_fields, COUNT_OF(top_fields), key);
		enum fts_status status = FTS_OK;
		if (field != NULL) {
			status = take(&where, field, value, config, out_error);
		} else if (strcmp(key, "processes") != 0) {
			status = take_limit(&where, key, value, &limits, &taken, out_error);
			if (!taken) status = wrong(&where, key, "no such field", out_error);
		}
		if (status != FTS_OK) return status;
	}
	if (config->backoff_max_ms < config->backoff_min_ms)
		return wrong(&where, "backoff_max_ms", "no less than backoff_min_ms", out_error);
	return read_processes(path, json_object_get(root, "processes"), &limits, config, out_error);
}

/* ---- Whole ---- */

void ftsi_watch_config_init(struct ftsi_watch_config *config)
{
	memset(config, 0, sizeof(*config));
	if (gethostname(config->name, sizeof(config->name) - 10) != 0 || !is_name(config->name))
		snprintf(config->name, sizeof(config->name), "host");
	size_t size = strlen(config->name);
	snprintf(config->name + size, sizeof(config->name) - size, "-watchdog");
	snprintf(config->listen, sizeof(config->listen), "127.0.0.1:7390");
	snprintf(config->state, sizeof(config->state), "fts-watchdog");
	config->interval_ms = 200;
	config->backoff_min_ms = 100;
	config->backoff_max_ms = 30000;
	config->quarantine_restarts = 5;
	config->quarantine_window_ms = 60000;
	config->capture_ms = 2000;
}

/* Logs go to the state's directory, unless they were told where. */
static enum fts_status place_logs(struct ftsi_watch_config *config, struct fts_error *out_error)
{
	for (size_t i = 0; i < config->process_count; i++) {
		struct ftsi_watch_process *process = &config->processes[i];
		if (process->log[0] != '\0') continue;
		if (strlen(config->state) + strlen(process->name) + 6 > sizeof(process->log))
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "state: the path is too long");
		char made[FTSI_WATCH_TEXT_MAX];
		snprintf(made, sizeof(made), "%.900s/%.63s.log", config->state, process->name);
		memcpy(process->log, made, sizeof(process->log));
	}
	return FTS_OK;
}

enum fts_status ftsi_watch_config_read(struct ftsi_watch_config *config, const char *path, struct fts_error *out_error)
{
	json_error_t where;
	enum fts_status status;
	if (access(path, R_OK) != 0)
		return fts_error_set(out_error, errno == ENOENT ? FTS_NOT_FOUND : FTS_PERMISSION_DENIED,
				     "%.250s: can't be read: %s", path, strerror(errno));
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
	if (root == NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.250s: line %d: %.150s", path, where.line,
				     where.text);
	if (json_is_object(root))
		status = read_root(path, root, config, out_error);
	else
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%.250s: expected a JSON object", path);
	json_decref(root);
	return status;
}

enum fts_status ftsi_watch_config_single(struct ftsi_watch_config *config, char *const *argv,
					 struct fts_error *out_error)
{
	struct ftsi_watch_process *process = &config->processes[0];
	const char *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0];
	size_t count = 0;
	while (argv[count] != NULL)
		count++;
	process_init(process, &limits_default);
	config->process_count = 1;
	snprintf(process->name, sizeof(process->name), "%.63s", is_name(name) ? name : "process");
	snprintf(process->log, sizeof(process->log), "-");
	process->argv = calloc(count + 1, sizeof(char *));
	for (size_t i = 0; process->argv != NULL && i < count; i++)
		if ((process->argv[i] = strdup(argv[i])) == NULL) count = 0;
	if (process->argv == NULL || count == 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	return FTS_OK;
}

/* Processes run in directories of their own. False: the path becomes too long. */
static bool make_absolute(char *path)
{
	char here[FTSI_WATCH_TEXT_MAX], made[2 * FTSI_WATCH_TEXT_MAX];
	if (path[0] == '/') return true;
	if (getcwd(here, sizeof(here)) == NULL) return false;
	int size = snprintf(made, sizeof(made), "%s/%s", here, path);
	if (size < 0 || size >= FTSI_WATCH_TEXT_MAX) return false;
	memcpy(path, made, (size_t)size + 1);
	return true;
}

/* A socket's path is short. */
#define PULSE_PATH_MAX 107

/* Endpoints, at most so many; refused with the name of the field they came from. */
static enum fts_status check_endpoints(const char *field, const char *text, size_t count_max,
				       struct fts_error *out_error)
{
	struct fts_error error;
	struct ftsi_endpoint_list *list = calloc(1, sizeof(*list));
	if (list == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	enum fts_status status = ftsi_endpoint_list_parse(text, list, &error);
	if (status != FTS_OK)
		status = fts_error_set(out_error, status, "%s: %.300s", field, error.detail);
	else if (list->count > count_max)
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: expected one HOST:PORT", field);
	free(list);
	return status;
}

static enum fts_status check_addresses(const struct ftsi_watch_config *config, struct fts_error *out_error)
{
	enum fts_status status = FTS_OK;
	if (strcmp(config->listen, "off") != 0) status = check_endpoints("listen", config->listen, 1, out_error);
	if (status == FTS_OK && config->cluster[0] != '\0')
		status = check_endpoints("cluster", config->cluster, SIZE_MAX, out_error);
	return status;
}

enum fts_status ftsi_watch_config_complete(struct ftsi_watch_config *config, struct fts_error *out_error)
{
	enum fts_status status = check_addresses(config, out_error);
	if (status != FTS_OK) return status;
	bool tls = config->tls_ca[0] != '\0';
	bool closed = strcmp(config->listen, "off") == 0 || ftsi_listen_is_loopback(config->listen);
	if (!closed && !tls && !config->insecure)
		return fts_error_set(
		    out_error, FTS_INVALID_ARGUMENT,
		    "listen: %s is no loopback address: give tls_ca, tls_cert and tls_key, or \"insecure\": "
		    "true",
		    config->listen);
	for (size_t i = 0; i < config->process_count && strcmp(config->listen, "off") == 0; i++)
		if (config->cluster[0] != '\0' && config->processes[i].member[0] != '\0')
			return fts_error_set(
			    out_error, FTS_INVALID_ARGUMENT,
			    "listen: off: the cluster can't be asked then whether it may do without %s: "
			    "expected HOST:PORT, or no \"member\"",
			    config->processes[i].member);
	bool absolute = make_absolute(config->state);
	for (size_t i = 0; i < config->process_count; i++)
		if (!absolute ||
		    strlen(config->state) + strlen(config->processes[i].name) + sizeof("/.pulse") > PULSE_PATH_MAX)
			return fts_error_set(
			    out_error, FTS_INVALID_ARGUMENT,
			    "state: \"%.200s\" is too long for the sockets in it: expected a shorter path",
			    config->state);
	return place_logs(config, out_error);
}

void ftsi_watch_config_fini(struct ftsi_watch_config *config)
{
	for (size_t i = 0; i < config->process_count; i++) {
		free_words(config->processes[i].argv);
		free_words(config->processes[i].environment);
	}
}
