/* Why this file exists: one supervised process and what is done to it; shared by supervisor.c (the loop) and watched.c
 * (the acts). Thread: the supervisor's. */
#ifndef FTS_WATCHDOG_WATCHED_H
#define FTS_WATCHDOG_WATCHED_H

#include "watchdog/asker.h"
#include "watchdog/judge.h"
#include "watchdog/machine.h"
#include "watchdog/memory.h"
#include "watchdog/outside.h"
#include "watchdog/process.h"

struct ftsi_watched {
	const struct ftsi_watch_process *what;
	struct ftsi_watch *watch;
	enum ftsi_watch_state state;
	struct ftsi_process process;
	bool adopted; /* not a child of this watchdog: how it ended is not told */
	struct ftsi_asker asker;
	struct ftsi_judge judge;
	uint64_t speaks;    /* as in the memory */
	bool told_unheard;  /* that nothing but its end is looked for */
	bool wanted, asked; /* asked: an operator, or the end of the watchdog, ended it: that counts for nothing */
	uint32_t restarts, backoff_ms;
	int64_t restart_times_ms[FTSI_MEMORY_RESTARTS_MAX]; /* of the last ones, oldest first */
	uint32_t restart_time_count;
	int64_t started_wall_ms;
	uint64_t started_ns, due_ns; /* due: of the next start in BACKOFF, of SIGKILL in STOPPING */
	bool main_ended;             /* in STOPPING: what is left is its group */
	pid_t session;               /* of the last start: what is left behind is found by it */
	int end_status;              /* of waitpid */
	pid_t capture_pid;           /* that looks at it; 0: none */
	uint64_t capture_due_ns;
	enum ftsi_verdict verdict; /* stuck, and not ended yet: why */
	bool asking_quorum;
	uint64_t quorum_next_ns;               /* when to ask again */
	uint32_t excused_count;                /* times it was starved of a processor rather than stuck */
	uint64_t starved_ns, starved_at_ns;    /* when suspicion began; 0: there is none */
	char reason[FTSI_MEMORY_REASON_BYTES]; /* of the last end, or of the one under way */
	char detail[256];
	char capture_path[FTSI_WATCH_TEXT_MAX + 128];
	char held[200];
};

/* The whole, as far as the acts need it. */
struct ftsi_watch {
	const struct ftsi_watch_config *config;
	struct ftsi_outside *outside; /* NULL: "listen": "off" */
	struct ftsi_watched list[FTSI_WATCH_PROCESS_MAX];
	size_t count;
	uint64_t now_ns;
	uint64_t member_ended_ns; /* when a member of the cluster ended last; 0: none has */
	uint64_t action_index;
	bool changed; /* since it was written down */
	bool stopping;
};

/* Begin to watch what. known: what the last watchdog knew of it; NULL: nothing. Both borrowed, what until the end. */
void ftsi_watched_init(struct ftsi_watched *watched, struct ftsi_watch *watch, const struct ftsi_watch_process *what,
		       const struct ftsi_memory_process *known);
/* An event: the table says what follows, and it is done. */
void ftsi_watched_handle(struct ftsi_watched *watched, enum ftsi_watch_event event);
/* So much time has passed; judge it, and do what is due. */
void ftsi_watched_tick(struct ftsi_watched *watched, uint64_t passed_ms);
/* As things stand with one that runs: tell, hold or end it. */
void ftsi_watched_judge(struct ftsi_watched *watched);
/* A child of this process has ended. True: it was this one's. */
bool ftsi_watched_reap(struct ftsi_watched *watched, pid_t pid, int status);
/* Its pidfd says that it has ended: of one that is no child. */
void ftsi_watched_ended(struct ftsi_watched *watched);
/* Its socket has something. */
void ftsi_watched_hear(struct ftsi_watched *watched);
/* Everything that is to be known after the watchdog's end. */
void ftsi_watched_remember(const struct ftsi_watched *watched, struct ftsi_memory_process *out);
void ftsi_watched_show(const struct ftsi_watched *watched, struct ftsi_outside_process *out);
/* Write all down, now. */
void ftsi_watch_keep(struct ftsi_watch *watch);
/* What was done, to the log, to who listens. reason, detail: borrowed. */
void ftsi_watched_tell(struct ftsi_watched *watched, const char *action, const char *detail);

#endif
