/* Why this file exists: a command of fts-cli is a row of a table. The parser, --help and the checks all read the
 * same row, so that what is documented is what is accepted.
 *
 * Invariants: the table is sorted as it is shown; a flag that a run function asks for is declared in its row
 * (asserted). Everything in struct ftsi_cli is borrowed until the command ends. */
#ifndef FTSI_COMMAND_H
#define FTSI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fts/rpc.h>

#define FTSI_FLAGS_MAX 16u
#define FTSI_POSITIONALS_MAX 3u
#define FTSI_COMMAND_NAME_BYTES 64u /* of all its words, with the 0 */

/* How a command ended, as docs/cli.md promises to scripts. */
enum ftsi_exit {
	FTSI_EXIT_DONE = 0,
	FTSI_EXIT_NO = 1, /* not found, refused by a rule, unhealthy */
	FTSI_EXIT_USAGE = 2,
	FTSI_EXIT_PARTLY = 3,
	FTSI_EXIT_UNREACHABLE = 4, /* no server */
	FTSI_EXIT_TIME = 5,        /* the time limit passed */
};

enum ftsi_flag_kind { FTSI_BOOL, FTSI_TEXT, FTSI_NUMBER, FTSI_DURATION, FTSI_TIME };

struct ftsi_flag {
	const char *name; /* without the dashes; NULL ends a list */
	const char *value_name;
	const char *default_text; /* as a user would write it; NULL: none */
	const char *purpose;
	enum ftsi_flag_kind kind;
	char letter; /* a short form; 0: none */
	bool required;
	uint64_t min, max; /* FTSI_NUMBER; max 0: no limit */
};

struct ftsi_value {
	bool given;       /* by the user */
	const char *text; /* as written, or the default; NULL: neither */
	uint64_t number;  /* FTSI_NUMBER; ms of FTSI_DURATION; Unix ms of FTSI_TIME; 1 of FTSI_BOOL */
};

struct ftsi_cli;

struct ftsi_command {
	const char *name; /* "lottery open" */
	const char *purpose;
	const char *example; /* arguments only: "fts-cli " is put before it */
	struct ftsi_flag flags[FTSI_FLAGS_MAX];
	const char *positionals[FTSI_POSITIONALS_MAX]; /* "DRAW"; "[TOPIC]" may be left out */
	const char *rest; /* "COMMAND ARG…": words behind `--`, needed; NULL: none are taken */
	bool local;       /* calls no server */
	enum ftsi_exit (*run)(struct ftsi_cli *cli);
};

/* What the arguments said. */
struct ftsi_args {
	const struct ftsi_command *command;  /* NULL: none was named */
	char group[FTSI_COMMAND_NAME_BYTES]; /* "lottery" or "kv database", when only that was named; "" otherwise */
	struct ftsi_value values[FTSI_FLAGS_MAX];
	struct ftsi_value *globals; /* by the order of ftsi_global_flags */
	const char *positionals[FTSI_POSITIONALS_MAX];
	size_t positional_count;
	char *const *rest; /* the words behind `--` as they were given, NULL-ended like argv; NULL: none */
	size_t rest_count;
};

/* One run of the program. */
struct ftsi_cli {
	struct ftsi_args args;
	struct fts_channel *channel; /* NULL for local commands */
	uint32_t timeout_ms;
	bool json;
	bool explain;
};

extern const struct ftsi_command ftsi_commands[];
extern const size_t ftsi_command_count;

/* Of every command; ended by a NULL name. */
extern const struct ftsi_flag ftsi_global_flags[];
enum ftsi_global {
	FTSI_GLOBAL_ENDPOINTS,
	FTSI_GLOBAL_TIMEOUT,
	FTSI_GLOBAL_JSON,
	FTSI_GLOBAL_EXPLAIN,
	FTSI_GLOBAL_TLS_CA,
	FTSI_GLOBAL_TLS_CERT,
	FTSI_GLOBAL_TLS_KEY,
	FTSI_GLOBAL_TOKEN_FILE,
	FTSI_GLOBAL_INSECURE,
	FTSI_GLOBAL_HELP,
	FTSI_GLOBAL_VERSION,
	FTSI_GLOBAL_COUNT
};

/* A flag of the running command, by name; asserts that its row has it. */
const struct ftsi_value *ftsi_value_of(const struct ftsi_cli *cli, const char *flag);
const struct ftsi_value *ftsi_global_of(const struct ftsi_cli *cli, enum ftsi_global global);

/* The rows' run functions, by file. */
enum ftsi_exit ftsi_run_status(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_health(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_doctor(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_completion(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_names(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_member_list(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_member_add(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_member_remove(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_member_replace(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_member_lead(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_snapshot_save(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_snapshot_verify(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_snapshot_restore(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_list(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_describe(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_call(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_events(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_set(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_get(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_delete(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_keys(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_load(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_dump(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_where(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_accept_loss(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_verify(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_move(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_kv_database_create(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_open(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_bet(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_import(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_close(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_winners(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_status(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_list(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_export(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_lottery_generate(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_rules(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_new(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_join(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_move(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_show(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_list(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_watch(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_resign(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_rematch(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_export(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_replay(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_play(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_game_perft(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_worker_run(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_worker_call(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_worker_list(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_elect_run(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_elect_fence(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_elect_status(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_elect_watch(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_elect_history(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_elect_message(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_elect_resign(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_token_make(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_token_join(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_token_new(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_token_list(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_token_revoke(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_tls_init(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_tls_node(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_tls_client(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_watchdog_status(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_watchdog_start(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_watchdog_stop(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_watchdog_restart(struct ftsi_cli *cli);
enum ftsi_exit ftsi_run_debug_hang(struct ftsi_cli *cli);

#endif
