/* Why this file exists: a member of an election as a loop: it joins, renews, follows its role with a script, steps down
 * in order and leaves in order.
 *
 * Invariants
 * - It takes itself for master only while its own lease stands, counted from when it sent the last renewal that was
 *   answered, and only for a fence of this life of it (at least `joined`).
 * - It yields or resigns only when nothing of the master's script is left.
 * - One call at a time is open; answers and events come by a mailbox of bounded size to the loop.
 * Thread: main, unless said otherwise. */
#ifndef FTSI_ELECT_AGENT_H
#define FTSI_ELECT_AGENT_H

#include <pthread.h>

#include <fts/events.h>

#include "client/cli/command.h"
#include "client/cli/elect_choice.h"
#include "client/cli/elect_script.h"
#include "client/cli/elect_tell.h"

#define FTSI_AGENT_NEWS_MAX 256u
#define FTSI_AGENT_NAME_MAX 64u
#define FTSI_FENCE_LOST 125 /* exit code: the mastership was lost while the command ran */

enum ftsi_agent_call {
	FTSI_AGENT_IDLE,
	FTSI_AGENT_ELECT,
	FTSI_AGENT_RENEW,
	FTSI_AGENT_YIELD,
	FTSI_AGENT_RESIGN,
	FTSI_AGENT_LOOK, /* at the members, for the rule's command */
	FTSI_AGENT_NOMINATE
};

struct ftsi_agent_answer {
	bool ready;
	enum fts_status status;
	struct fts_error error;
	uint64_t joined, fence;
	char master[FTSI_AGENT_NAME_MAX + 1];
	uint32_t members;
	bool step_down, leave, choose;
	Fts__Elector__V1__StatusResponse *voters; /* owned; NULL: not asked for */
};

struct ftsi_agent_options {
	const char *election, *id; /* borrowed until fini, as all here */
	Fts__Elector__V1__Rule rule;
	char **rule_command; /* words of the rule COMMAND; NULL: another rule */
	int32_t priority;
	uint32_t lease_ms, min_members;
	bool loop;
	uint32_t sleep_ms;
	bool fenced;          /* on_master is all there is to do: once, with our standard streams; then leave */
	uint32_t patience_ms; /* fenced: become master within; 0: whenever */
	char **on_master, **on_standby; /* words, NULL-ended; NULL: none; may be changed between turns, with edition */
	uint64_t edition;
};

struct ftsi_agent {
	struct ftsi_cli *cli;
	struct ftsi_agent_options options;
	struct ftsi_script script;
	struct ftsi_choice choice;
	struct fts_subscription *subscription;
	int wake_fd;
	int64_t started_ms;

	pthread_mutex_t lock;
	struct ftsi_agent_answer answer;                  /* guarded by lock */
	struct ftsi_elect_news news[FTSI_AGENT_NEWS_MAX]; /* guarded by lock */
	size_t news_count;                                /* guarded by lock */
	bool news_lost;                                   /* guarded by lock: events that nobody told here */
	bool stop_asked;                                  /* guarded by lock */

	/* the loop's own */
	enum ftsi_agent_call open;
	uint64_t sent_ns, begun_ns; /* of the open call; of the agent */
	uint64_t next_ns;           /* no call before */
	uint64_t lease_from_ns, subscribe_ns;
	uint64_t joined, fence, yielded_fence;
	uint64_t willed; /* the life of which the guardian's will speaks; 0: none */
	char master[FTSI_AGENT_NAME_MAX + 1];
	uint32_t members;
	bool hurry; /* renew at once */
	bool step_down, leave, choose, stopping, finished, was_member, told_role;
	bool shown_as_master;
	uint64_t shown_fence, wish;
	char shown_master[FTSI_AGENT_NAME_MAX + 1];
	uint64_t shown_edition;
	bool shown_quiet;
	bool fenced_told;        /* the fenced command has ended, and is told of */
	bool patient;            /* it waits for servers that are not there yet */
	bool terms_changed;      /* loop or sleep_ms: tell the guardian, keep the script */
	char endpoint[1024];     /* of the servers; "": as the flags say */
	char next_endpoint[160]; /* where to go once it has left; "": nowhere */
	enum ftsi_exit code;
};

/* Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_agent_init(struct ftsi_agent *agent, struct ftsi_cli *cli,
					     const struct ftsi_agent_options *options, struct fts_error *out_error);
/* Take part until it is stopped. on_line (may be NULL) gets each line of input_fd (-1: none), and NULL at its end. */
typedef void (*ftsi_agent_line_fn)(void *ctx, char *line);
enum ftsi_exit ftsi_agent_run(struct ftsi_agent *agent, int input_fd, ftsi_agent_line_fn on_line, void *ctx);
/* Leave in order, and take part through the server at endpoint (HOST:PORT, borrowed) instead. */
void ftsi_agent_move(struct ftsi_agent *agent, const char *endpoint);
/* Leave in order, from the next turn on. Thread: any. */
void ftsi_agent_stop(struct ftsi_agent *agent);
bool ftsi_agent_is_master(const struct ftsi_agent *agent);
void ftsi_agent_fini(struct ftsi_agent *agent);

#endif
