/* Why this file exists: see server/settings.h: the table of settings, what a value may be, the command line, --help. */
#include "server/settings.h"

#include <string.h>

#include "base/log.h"
#include "server/settings_table.h"

#define HASH_DIGITS 64
#define MEMBER(member) offsetof(struct ftsi_settings, member), sizeof(((struct ftsi_settings *)NULL)->member)

const struct ftsi_setting ftsi_setting_table[] = {
    {"name", "name", FTSI_SETTING_NAME, MEMBER(name), true, "n1", "NAME", "this node's name"},
    {"data", "data", FTSI_SETTING_PATH, MEMBER(data), false, FTSI_DATA_DEFAULT, "DIR",
     "where everything is kept; remembers name, addresses and TLS"},
    {"listen", "listen", FTSI_SETTING_ADDRESS, MEMBER(listen), true, "127.0.0.1:7400", "HOST:PORT",
     "calls; PORT + 1 is events, + 2 health, + 3 peers"},
    {"cluster", "cluster", FTSI_SETTING_CLUSTER, MEMBER(cluster), true, "", "NAME=HOST:PORT,…",
     "first start of a new cluster: all its nodes, the same list on each, in any order of starting"},
    {"join", "join", FTSI_SETTING_ADDRESS, MEMBER(join), true, "", "HOST:PORT",
     "first start of a node that becomes a member of a running cluster: any member's address"},
    {"election-ms", "election_ms", FTSI_SETTING_COUNT, MEMBER(election_ms), true, "500", "MS",
     "silence of the leader after which another is elected; heartbeats are a fifth"},
    {"elect", "elect", FTSI_SETTING_NAME, MEMBER(elect), false, "", "NAME",
     "take part in this election under the node's name while it serves; given at each start, as all of it"},
    {"on-master", "on_master", FTSI_SETTING_PATH, MEMBER(on_master), false, "", "CMD",
     "--elect: run while master; words are split at blanks, quotes keep them"},
    {"on-standby", "on_standby", FTSI_SETTING_PATH, MEMBER(on_standby), false, "", "CMD",
     "--elect: run while not master"},
    {"elect-rule", "elect_rule", FTSI_SETTING_PATH, MEMBER(elect_rule), false, "", "RULE",
     "--elect: oldest, youngest, priority, lowest-id or a command (see fts-cli elect run --help)"},
    {"elect-priority", "elect_priority", FTSI_SETTING_COUNT, MEMBER(elect_priority), false, "", "N",
     "--elect: for the rule priority: the highest is master"},
    {"elect-lease-ms", "elect_lease_ms", FTSI_SETTING_COUNT, MEMBER(elect_lease_ms), false, "", "MS",
     "--elect: how long the cluster waits for a silent member; 1000 unless given, 300 and up"},
    {"elect-sleep-ms", "elect_sleep_ms", FTSI_SETTING_COUNT, MEMBER(elect_sleep_ms), false, "", "MS",
     "--elect: between two runs of a script; 1000 unless given"},
    {"elect-min-members", "elect_min_members", FTSI_SETTING_COUNT, MEMBER(elect_min_members), false, "", "N",
     "--elect: with fewer nobody is master; 2 unless given, the same on all members"},
    {"elect-once", "elect_once", FTSI_SETTING_SWITCH, MEMBER(elect_once), false, "", "",
     "--elect: run a script once for each change of role, not again and again"},
    {"elect-shell", "elect_shell", FTSI_SETTING_SWITCH, MEMBER(elect_shell), false, "", "",
     "--elect: give scripts to /bin/sh -c"},
    {"elect-token-file", "elect_token_file", FTSI_SETTING_PATH, MEMBER(elect_token_file), false, "", "FILE",
     "--elect, once calls need tokens: its own, of mode 0600: `fts-cli token make --role member:NAME` makes one"},
    {"snapshot-mb", "snapshot_mb", FTSI_SETTING_COUNT, MEMBER(snapshot_mb), true, "64", "MB",
     "MiB of log after which the state is written out and the log is cut"},
    {"kv-tombstone-s", "kv_tombstone_s", FTSI_SETTING_COUNT, MEMBER(kv_tombstone_s), true, "3600", "S",
     "kv: how long a deletion is remembered at least"},
    {"kv-hint-s", "kv_hint_s", FTSI_SETTING_COUNT, MEMBER(kv_hint_s), true, "7200", "S",
     "kv: how long a record is kept for an owner that is away, when others have it"},
    {"kv-hint-mb", "kv_hint_mb", FTSI_SETTING_COUNT, MEMBER(kv_hint_mb), true, "256", "MB",
     "kv: MiB of records kept for owners that are away"},
    {"kv-sweep-s", "kv_sweep_s", FTSI_SETTING_COUNT, MEMBER(kv_sweep_s), true, "10", "S",
     "kv: all partitions are compared with their other owners once in this time"},
    {"http", "http", FTSI_SETTING_ADDRESS_OR_OFF, MEMBER(http), true, "", "HOST:PORT",
     "serve the page, the metrics and every service over HTTP (docs/http.md); off: no more"},
    {"http-origins", "http_origins", FTSI_SETTING_PATH, MEMBER(http_origins), true, "", "ORIGIN,…",
     "web pages that may call it, beside its own and this machine's; *: all"},
    {"lottery-text", "lottery_text", FTSI_SETTING_ADDRESS_OR_OFF, MEMBER(lottery_text), true, "", "HOST:PORT",
     "serve the draw `text` to agencies that speak the text protocol; off: no more"},
    {"lottery-text-agencies", "lottery_text_agencies", FTSI_SETTING_COUNT, MEMBER(lottery_text_agencies), true, "5",
     "COUNT", "agencies of the draw `text`, when it is opened on first use"},
    {"tls-ca", "tls_ca", FTSI_SETTING_PATH, MEMBER(tls_ca), true, "", "FILE",
     "PEM: the authority of the nodes; who may be a peer, and who this node calls"},
    {"tls-client-ca", "tls_client_ca", FTSI_SETTING_PATH, MEMBER(tls_client_ca), true, "", "FILE",
     "PEM: the authority of the clients, who may call and not be a peer"},
    {"tls-cert", "tls_cert", FTSI_SETTING_PATH, MEMBER(tls_cert), true, "", "FILE", "PEM: this node's certificate"},
    {"tls-key", "tls_key", FTSI_SETTING_PATH, MEMBER(tls_key), true, "", "FILE",
     "PEM: its key, of mode 0600; files that are renewed are taken without a restart, at once on SIGHUP"},
    {"admin-token-hash", "admin_token_hash", FTSI_SETTING_HASH, MEMBER(admin_token_hash), true, "", "HASH",
     "calls need tokens from the start, and this is an admin's: `fts-cli token new FILE` makes one and its hash"},
    {"join-token-file", "join_token_file", FTSI_SETTING_PATH, MEMBER(join_token_file), false, "", "FILE",
     "with --join: the token to be let in with, of mode 0600: `fts-cli token join NAME` makes one"},
    {"insecure", "insecure", FTSI_SETTING_SWITCH, MEMBER(insecure), false, "", "",
     "allow addresses other than loopback without TLS; never remembered"},
    {"debug-hooks", "debug_hooks", FTSI_SETTING_SWITCH, MEMBER(debug_hooks), false, "", "",
     "for tests: `fts-cli debug` may make this node hang; never remembered"},
    {"log-level", "log_level", FTSI_SETTING_LEVEL, MEMBER(log_level), false, "info", "LEVEL",
     "error, warn, info or debug"},
};
const size_t ftsi_setting_count = sizeof(ftsi_setting_table) / sizeof(ftsi_setting_table[0]);

bool ftsi_setting_is_set(const struct ftsi_settings *settings, const struct ftsi_setting *setting)
{
	const char *at = (const char *)settings + setting->offset;
	for (size_t i = 0; i < setting->size_bytes; i++) {
		if (at[i] != 0) return true;
		if (setting->kind != FTSI_SETTING_COUNT) return false;
	}
	return false;
}

static bool is_name(const char *text)
{
	size_t size = strlen(text);
	return size > 0 && size < FTSI_NODE_NAME_MAX &&
	       size == strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
}

/* One "NAME=HOST:PORT" of size_bytes bytes. */
static bool read_member(const char *text, size_t size_bytes, char *out_name, char *out_address)
{
	struct ftsi_endpoint address;
	const char *equals = memchr(text, '=', size_bytes);
	size_t name_size = equals == NULL ? 0 : (size_t)(equals - text);
	if (equals == NULL || name_size >= FTSI_NODE_NAME_MAX || size_bytes - name_size - 1 >= FTSI_ADDRESS_MAX)
		return false;
	snprintf(out_name, FTSI_NODE_NAME_MAX, "%.*s", (int)name_size, text);
	snprintf(out_address, FTSI_ADDRESS_MAX, "%.*s", (int)(size_bytes - name_size - 1), equals + 1);
	return is_name(out_name) && ftsi_address_parse(out_address, &address);
}

const char *ftsi_cluster_list_parse(const char *text, struct ftsi_cluster_list *out_list)
{
	out_list->count = 0;
	while (*text != '\0') {
		size_t size = strcspn(text, ",");
		if (out_list->count == FTSI_MEMBER_MAX) return "expected at most 16 members";
		char *name = out_list->members[out_list->count].name,
		     *address = out_list->members[out_list->count].address;
		if (!read_member(text, size, name, address)) return "expected NAME=HOST:PORT,NAME=HOST:PORT,…";
		for (size_t i = 0; i < out_list->count; i++) {
			if (strcmp(out_list->members[i].name, name) == 0) return "a name stands there twice";
			if (strcmp(out_list->members[i].address, address) == 0) return "an address stands there twice";
		}
		out_list->count++;
		text += size;
		if (*text == ',' && *++text == '\0') return "expected NAME=HOST:PORT behind the last comma";
	}
	return NULL;
}

/* Reads 1 to FTSI_COUNT_MAX; 0: it is something else. */
static uint32_t read_count(const char *text)
{
	uint32_t count = 0;
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 5 || text[digits] != '\0') return 0;
	for (; *text != '\0'; text++)
		count = count * 10 + (uint32_t)(*text - '0');
	return count <= FTSI_COUNT_MAX ? count : 0;
}

/* What was expected, when value is not it; NULL: it is fine. */
static const char *what_is_wrong(const struct ftsi_setting *setting, const char *value)
{
	struct ftsi_endpoint address;
	struct ftsi_cluster_list list;
	enum fts_log_level level;
	switch (setting->kind) {
	case FTSI_SETTING_NAME:
		return is_name(value) ? NULL : "expected 1 to 63 of a-z A-Z 0-9 . _ -";
	case FTSI_SETTING_PATH:
		return value[0] != '\0' && strlen(value) < FTSI_PATH_MAX ? NULL : "expected a path of 1 to 1,023 bytes";
	case FTSI_SETTING_ADDRESS_OR_OFF:
		if (strcmp(value, FTSI_LOTTERY_TEXT_OFF) == 0) return NULL; /* fall through */
	case FTSI_SETTING_ADDRESS:
		return ftsi_address_parse(value, &address) ? NULL : "expected HOST:PORT with a port of 1 to 65535";
	case FTSI_SETTING_CLUSTER:
		return value[0] == '\0' ? "expected NAME=HOST:PORT,NAME=HOST:PORT,…"
					: ftsi_cluster_list_parse(value, &list);
	case FTSI_SETTING_HASH:
		return strlen(value) == HASH_DIGITS && strspn(value, "0123456789abcdef") == HASH_DIGITS
			   ? NULL
			   : "expected the 64 hexadecimal digits that `fts-cli token new FILE` prints";
	case FTSI_SETTING_LEVEL:
		return fts_log_level_parse(value, &level) ? NULL : "expected error, warn, info or debug";
	case FTSI_SETTING_COUNT:
		return read_count(value) > 0 ? NULL : "expected a number of 1 to 10000";
	case FTSI_SETTING_SWITCH:
		return strcmp(value, "true") == 0 ? NULL : "takes no value";
	case FTSI_SETTING_LATER:
		break;
	}
	return "is not offered by this release";
}

static void store(struct ftsi_settings *settings, const struct ftsi_setting *setting, const char *value)
{
	char *at = (char *)settings + setting->offset;
	if (setting->kind == FTSI_SETTING_SWITCH) {
		memcpy(at, &(bool){true}, sizeof(bool));
	} else if (setting->kind == FTSI_SETTING_COUNT) {
		uint32_t count = read_count(value);
		memcpy(at, &count, sizeof(count));
	} else {
		snprintf(at, setting->size_bytes, "%s", value);
	}
}

enum fts_status ftsi_setting_put(struct ftsi_settings *settings, const struct ftsi_setting *setting, const char *where,
				 const char *value, struct fts_error *out_error)
{
	const char *wrong = what_is_wrong(setting, value);
	if (wrong != NULL && (setting->kind == FTSI_SETTING_LATER || setting->kind == FTSI_SETTING_SWITCH))
		return fts_error_set(out_error, FTS_UNIMPLEMENTED, "%s: %s", where, wrong);
	if (wrong != NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: \"%.100s\": %s", where, value, wrong);
	store(settings, setting, value);
	return FTS_OK;
}

/* ---- The command line ---- */

/* The setting that argument names; *out_value: what stands behind its '=', or NULL. */
static const struct ftsi_setting *find_flag(const char *argument, const char **out_value)
{
	if (strncmp(argument, "--", 2) != 0) return NULL;
	const char *flag = argument + 2;
	size_t size = strcspn(flag, "=");
	for (size_t i = 0; i < ftsi_setting_count; i++) {
		const struct ftsi_setting *setting = &ftsi_setting_table[i];
		if (strlen(setting->flag) == size && memcmp(setting->flag, flag, size) == 0) {
			*out_value = flag[size] == '=' ? flag + size + 1 : NULL;
			return setting;
		}
	}
	return NULL;
}

static enum fts_status read_flag(struct ftsi_settings *settings, const struct ftsi_setting *setting, const char *value,
				 struct fts_error *out_error)
{
	char where[64];
	snprintf(where, sizeof(where), "--%s", setting->flag);
	if (ftsi_setting_is_set(settings, setting))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s is given twice", where);
	return ftsi_setting_put(settings, setting, where, value, out_error);
}

/* The value of the flag at argv[*at]: behind '=', or the next argument, which *at then names. */
static const char *flag_value(int argc, char **argv, int *at, const struct ftsi_setting *setting, const char *behind)
{
	if (behind != NULL) return behind;
	if (setting != NULL && (setting->kind == FTSI_SETTING_SWITCH || setting->kind == FTSI_SETTING_LATER))
		return "true";
	return *at + 1 < argc ? argv[++*at] : NULL;
}

static bool is_config(const char *argument, const char **out_value)
{
	if (strncmp(argument, "--config", 8) != 0 || (argument[8] != '\0' && argument[8] != '=')) return false;
	*out_value = argument[8] == '=' ? argument + 9 : NULL;
	return true;
}

enum ftsi_flags ftsi_settings_read_flags(int argc, char **argv, struct ftsi_settings *out_settings,
					 const char **out_config, struct fts_error *out_error)
{
	memset(out_settings, 0, sizeof(*out_settings));
	*out_config = NULL;
	for (int at = 1; at < argc; at++) {
		const char *argument = argv[at], *value = NULL;
		if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) return FTSI_FLAGS_HELP;
		if (strcmp(argument, "--version") == 0) return FTSI_FLAGS_VERSION;
		const struct ftsi_setting *setting = find_flag(argument, &value);
		bool config = setting == NULL && is_config(argument, &value);
		if (setting == NULL && !config) {
			(void)fts_error_set(out_error, FTS_INVALID_ARGUMENT,
					    "unknown argument \"%.100s\"; see ftsd --help", argument);
			return FTSI_FLAGS_WRONG;
		}
		value = flag_value(argc, argv, &at, setting, value);
		if (value == NULL) {
			(void)fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s needs a value; see ftsd --help",
					    argument);
			return FTSI_FLAGS_WRONG;
		}
		if (config)
			*out_config = value;
		else if (read_flag(out_settings, setting, value, out_error) != FTS_OK)
			return FTSI_FLAGS_WRONG;
	}
	return FTSI_FLAGS_RUN;
}

void ftsi_settings_help(FILE *out)
{
	fputs("ftsd: a node of fts: typed RPC over one replicated log, and the services that stand on it\n\n"
	      "usage: ftsd [--config FILE.json] [flags]\n\n"
	      "  --config FILE.json           the flags below by the same names; flags win over the file\n",
	      out);
	for (size_t i = 0; i < ftsi_setting_count; i++) {
		const struct ftsi_setting *setting = &ftsi_setting_table[i];
		if (setting->kind == FTSI_SETTING_LATER) continue;
		int used = fprintf(out, "  --%s %s", setting->flag, setting->value);
		fprintf(out, "%*s%s", used < 31 ? 31 - used : 1, "", setting->help);
		if (setting->fallback[0] != '\0') fprintf(out, " (default: %s)", setting->fallback);
		fputc('\n', out);
	}
	fputs("  --help, --version\n\n"
	      "A later start needs --data alone. SIGTERM hands leadership over, finishes what is open and exits 0.\n"
	      "Exit codes: 0 stopped as asked, 1 could not go on, 2 could not start.\n\n"
	      "example: ftsd --data /var/lib/fts --listen 127.0.0.1:7400 --lottery-text 127.0.0.1:7410\n",
	      out);
}
