/* Why this file exists: what fts-watchdog was told: a JSON file, checked as a whole before anything is started.
 *
 * Invariants: every wrong value is refused with the name of its field, as `processes[1].stall_ms`; a configuration that
 * was read is complete: what the file left out has its default. Thread: main, before others start; read-only after. */
#ifndef FTS_WATCHDOG_CONFIG_H
#define FTS_WATCHDOG_CONFIG_H

#include <limits.h>
#include <stdbool.h>

#include <fts/status.h>

#define FTSI_WATCH_PROCESS_MAX 32
#define FTSI_WATCH_NAME_MAX 64
#define FTSI_WATCH_TEXT_MAX 1024
#define FTSI_WATCH_ADDRESS_MAX 128
#define FTSI_WATCH_STRAND_MAX 8 /* patience told by strand */

enum ftsi_watch_health {
	FTSI_WATCH_HEALTH_AUTO,     /* what has answered once, in this run or an earlier one, has to; so has a node */
	FTSI_WATCH_HEALTH_REQUIRED, /* it has to answer within start_ms */
	FTSI_WATCH_HEALTH_OFF       /* only its end is looked for */
};

enum ftsi_watch_restart { FTSI_WATCH_RESTART_ALWAYS, FTSI_WATCH_RESTART_ON_FAILURE, FTSI_WATCH_RESTART_NEVER };

/* How long what is borne. */
struct ftsi_watch_limits {
	uint32_t silent_ms;  /* no answer */
	uint32_t stall_ms;   /* work waits, and nothing moves */
	uint32_t overrun_ms; /* a handler runs on, beyond its method's longest run */
	uint32_t start_ms;   /* until the first answer of one that has to answer */
	uint32_t stop_ms;    /* from SIGTERM to SIGKILL */
	struct {
		char name[24];
		uint32_t stall_ms;
	} strands[FTSI_WATCH_STRAND_MAX]; /* other patience for one strand */
	size_t strand_count;
};

struct ftsi_watch_process {
	char name[FTSI_WATCH_NAME_MAX];
	char **argv;                         /* NULL-ended; owned by the configuration */
	char **environment;                  /* "NAME=VALUE", NULL-ended; NULL: none; owned */
	char directory[FTSI_WATCH_TEXT_MAX]; /* to run in; "": the watchdog's */
	char log[FTSI_WATCH_TEXT_MAX];       /* of its output; "-": the watchdog's own */
	char member[FTSI_WATCH_NAME_MAX];    /* of the cluster, whose quorum it counts for; "": of none */
	uint32_t log_mb;                     /* the log is turned over beyond it */
	enum ftsi_watch_health health;
	enum ftsi_watch_restart restart;
	struct ftsi_watch_limits limits;
};

struct ftsi_watch_config {
	char name[FTSI_WATCH_NAME_MAX];
	char listen[FTSI_WATCH_ADDRESS_MAX]; /* calls; + 1 events, + 2 health; "off": none */
	char state[FTSI_WATCH_TEXT_MAX];     /* directory of what survives the watchdog */
	char cluster[FTSI_WATCH_TEXT_MAX];   /* HOST:PORT,... of the nodes; "": there is no quorum to mind */
	char tls_ca[FTSI_WATCH_TEXT_MAX], tls_cert[FTSI_WATCH_TEXT_MAX], tls_key[FTSI_WATCH_TEXT_MAX];
	char token_file[FTSI_WATCH_TEXT_MAX];
	bool insecure;
	uint32_t interval_ms; /* between two questions to a process */
	uint32_t backoff_min_ms, backoff_max_ms;
	uint32_t quarantine_restarts, quarantine_window_ms;
	uint32_t capture_ms; /* for a look at what is stuck, before it is ended */
	struct ftsi_watch_process processes[FTSI_WATCH_PROCESS_MAX];
	size_t process_count;
};

/* All defaults, no processes. */
void ftsi_watch_config_init(struct ftsi_watch_config *config);
/* Read path (borrowed) into config, which was initialised. Errors: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT
 * (names the field and what was expected). */
FTS_MUST_USE enum fts_status ftsi_watch_config_read(struct ftsi_watch_config *config, const char *path,
						    struct fts_error *out_error);
/* One process that runs argv (NULL-ended, borrowed), named after its program, with the watchdog's output. */
FTS_MUST_USE enum fts_status ftsi_watch_config_single(struct ftsi_watch_config *config, char *const *argv,
						      struct fts_error *out_error);
/* Once flags have had their say: where logs go, and what belongs together. Errors: INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_watch_config_complete(struct ftsi_watch_config *config, struct fts_error *out_error);
/* Free what its processes own. */
void ftsi_watch_config_fini(struct ftsi_watch_config *config);

#endif
