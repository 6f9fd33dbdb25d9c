/* Why this file exists: what ftsd was told, from all places it is told things: flags, then the configuration file, then
 * what DIR remembers of earlier starts, then defaults. Each lower place fills only what no higher one has set.
 *
 * Invariants: one table (settings.c) names every setting once; flags, file, memory and help all come from it. A value
 * is checked where it enters, and its error names the flag, or the file and field. Thread: main, before others start.
 */
#ifndef FTS_SERVER_SETTINGS_H
#define FTS_SERVER_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include <fts/status.h>

#include "server/address.h"

#define FTSI_NODE_NAME_MAX 64
#define FTSI_PATH_MAX 1024
#define FTSI_MEMBER_MAX 16 /* of a cluster */
#define FTSI_CLUSTER_MAX (FTSI_MEMBER_MAX * (FTSI_NODE_NAME_MAX + FTSI_ADDRESS_MAX + 2))
#define FTSI_ELECTION_MS_MIN 50
#define FTSI_ELECT_LEASE_MS_MIN 300
#define FTSI_COUNT_MAX 10000
#define FTSI_DATA_DEFAULT "fts-data"
#define FTSI_LOTTERY_TEXT_OFF "off"
#define FTSI_ADDRESS_OFF FTSI_LOTTERY_TEXT_OFF

/* Texts are "" and numbers 0 while nobody has set them. */
struct ftsi_settings {
	char name[FTSI_NODE_NAME_MAX];
	char data[FTSI_PATH_MAX];
	char listen[FTSI_ADDRESS_MAX];
	char cluster[FTSI_CLUSTER_MAX];
	char join[FTSI_ADDRESS_MAX];
	uint32_t election_ms;
	char elect[FTSI_NODE_NAME_MAX];
	char on_master[FTSI_PATH_MAX];
	char on_standby[FTSI_PATH_MAX];
	char elect_rule[FTSI_PATH_MAX];
	uint32_t elect_priority;
	uint32_t elect_lease_ms;
	uint32_t elect_sleep_ms;
	uint32_t elect_min_members;
	bool elect_once;
	bool elect_shell;
	char elect_token_file[FTSI_PATH_MAX];
	uint32_t snapshot_mb;
	uint32_t kv_tombstone_s;
	uint32_t kv_hint_s;
	uint32_t kv_hint_mb;
	uint32_t kv_sweep_s;
	char http[FTSI_ADDRESS_MAX];
	char http_origins[FTSI_PATH_MAX];
	char lottery_text[FTSI_ADDRESS_MAX];
	uint32_t lottery_text_agencies;
	char tls_ca[FTSI_PATH_MAX];
	char tls_client_ca[FTSI_PATH_MAX];
	char tls_cert[FTSI_PATH_MAX];
	char tls_key[FTSI_PATH_MAX];
	bool insecure;
	char admin_token_hash[65]; /* hexadecimal SHA-256 */
	char join_token_file[FTSI_PATH_MAX];
	bool debug_hooks;
	char log_level[8];
	char address[FTSI_ADDRESS_MAX]; /* what others call it by; follows from the rest */
};

/* The list of --cluster, taken apart. */
struct ftsi_cluster_list {
	struct {
		char name[FTSI_NODE_NAME_MAX];
		char address[FTSI_ADDRESS_MAX];
	} members[FTSI_MEMBER_MAX];
	size_t count;
};
/* text: "NAME=HOST:PORT,...", borrowed; "": an empty list. Returns NULL, or what was expected (static). */
const char *ftsi_cluster_list_parse(const char *text, struct ftsi_cluster_list *out_list);

enum ftsi_flags {
	FTSI_FLAGS_RUN,
	FTSI_FLAGS_HELP,
	FTSI_FLAGS_VERSION,
	FTSI_FLAGS_WRONG, /* out_error tells */
};

/* Read the command line (borrowed). out_settings: zeroed first. out_config: the --config path, borrowed from argv, or
 * NULL. */
enum ftsi_flags ftsi_settings_read_flags(int argc, char **argv, struct ftsi_settings *out_settings,
					 const char **out_config, struct fts_error *out_error);
/* Fill what is unset from a configuration file (JSON of fts.config.v1.Config; '-' and '_' in names are alike).
 * Errors: NOT_FOUND (no such file), PERMISSION_DENIED (can't
 * be read), INVALID_ARGUMENT (names the field and what was expected). path: borrowed. */
FTS_MUST_USE enum fts_status ftsi_settings_read_file(struct ftsi_settings *settings, const char *path,
						     struct fts_error *out_error);
/* Write what a later start of the same node needs, atomically, synced. Errors: RESOURCE_EXHAUSTED (disk full),
 * UNAVAILABLE (can't be written). path: borrowed. */
FTS_MUST_USE enum fts_status ftsi_settings_write(const struct ftsi_settings *settings, const char *path,
						 struct fts_error *out_error);
/* Fill in the defaults, then check what belongs together. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_settings_complete(struct ftsi_settings *settings, struct fts_error *out_error);
/* Its files of TLS; NULL where there are none. Borrows from settings. */
struct fts_tls ftsi_settings_tls(const struct ftsi_settings *settings);

/* The page of --help. */
void ftsi_settings_help(FILE *out);

#endif
