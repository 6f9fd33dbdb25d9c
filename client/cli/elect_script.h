/* Why this file exists: what an agent and its guardian say to each other, and the agent's end of it. The guardian is a
 * process of its own (fts-cli started again with FTSI_GUARDIAN_WORD) that owns the script of the agent's role.
 *
 * Invariants
 * - One script at a time: the next one starts only when nothing that the last one started is left.
 * - A master's script is told to end (TERM) once two thirds of the lease have passed since the last renewal, and is
 *   gone (KILL) before the lease ends, whatever has become of the agent: stopped, killed, cut off.
 * - An agent that dies leaves a will: once nothing of its script is left, the guardian becomes that command, which says
 *   so to the cluster, and nobody has to wait for the lease.
 * - The latest wish wins; what was wished in between is never started.
 * - One message a datagram of a SOCK_SEQPACKET pair, both ends the same program. Times: CLOCK_BOOTTIME, which goes on
 *   while the machine sleeps, as the cluster's clocks do. */
#ifndef FTSI_ELECT_SCRIPT_H
#define FTSI_ELECT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <fts/status.h>

#define FTSI_GUARDIAN_WORD "elect-guardian"
#define FTSI_GUARDIAN_DIRECT_WORD "direct"
#define FTSI_SCRIPT_TEXT_MAX 16384u
#define FTSI_SCRIPT_WORDS_MAX 128u
#define FTSI_SCRIPT_WILL_MAX 4096u
#define FTSI_SCRIPT_WILL_WORDS_MAX 24u
#define FTSI_SCRIPT_LINE_MAX 1024u

enum ftsi_script_kind {
	FTSI_SCRIPT_RUN = 1,
	FTSI_SCRIPT_LEASE,
	FTSI_SCRIPT_WILL,
	FTSI_SCRIPT_STATE,
	FTSI_SCRIPT_OUTPUT
};

/* Agent to guardian: run this from now on. */
struct ftsi_script_run {
	uint32_t kind;
	uint32_t word_count; /* of the command; 0: run nothing */
	uint64_t number;     /* grows with each */
	uint64_t fence;
	uint64_t edition; /* another one: the same command is another script */
	uint32_t master;  /* 1: only while the lease stands */
	uint32_t loop;    /* 1: again and again */
	uint32_t sleep_ms;
	uint32_t text_size_bytes;
	char text[FTSI_SCRIPT_TEXT_MAX]; /* election, member, the command's words: each with its zero byte */
};

/* Agent to guardian: run this (fts-cli's arguments) when the agent is gone and nothing of its script is left. */
struct ftsi_script_will {
	uint32_t kind;
	uint32_t word_count; /* 0: nothing */
	uint32_t text_size_bytes;
	char text[FTSI_SCRIPT_WILL_MAX]; /* each word with its zero byte */
};

/* Agent to guardian: the lease was renewed. */
struct ftsi_script_lease {
	uint32_t kind;
	uint64_t term_ns, kill_ns;
};

/* Guardian to agent, whenever it changes. */
struct ftsi_script_state {
	uint32_t kind;
	uint64_t number; /* of the wish in force: nothing of an earlier one is left */
	uint64_t started_count, ended_count;
	int32_t pid;         /* of the running script; 0: none runs */
	int32_t wait_status; /* of the last that ended, as waitpid() has it */
	uint32_t was_cut;    /* it was told to end */
};

/* Guardian to agent: a line of the script's. */
struct ftsi_script_output {
	uint32_t kind;
	uint32_t stream;     /* 1: standard output, 2: standard error */
	uint64_t lost_count; /* lines before it that nobody took */
	uint32_t size_bytes;
	char text[FTSI_SCRIPT_LINE_MAX];
};

uint64_t ftsi_script_now_ns(void);

/* The guardian: serves link_fd until it is closed and nothing is left running. direct: the script has the standard
 * streams that the guardian was started with, and nothing of it is told. Returns the exit code. */
int ftsi_guardian_run(int link_fd, bool direct);
/* SIGKILL for all children of this process, and for theirs as they become ours (a subreaper's); true: none is left. */
bool ftsi_guardian_sweep(void);
/* A signal to the process group that first began. reaped: first has been waited for: its number is the group's only
 * while something is left in that, and once it is another process's, that one's group is left alone. */
void ftsi_guardian_signal_group(pid_t first, bool reaped, int number);

/* ---- The agent's end ---- */

struct ftsi_script {
	int link_fd; /* -1: no guardian */
	pid_t guardian;
	struct ftsi_script_run wish;
	struct ftsi_script_state state;
	bool failed; /* the guardian is gone */
};

/* What a shell would say of it: the exit code, or 128 + the signal. */
int ftsi_script_exit_code(int wait_status);

/* Start a guardian. direct: see ftsi_guardian_run. Call it from the main thread. Errors: RESOURCE_EXHAUSTED. */
FTS_MUST_USE enum fts_status ftsi_script_open(struct ftsi_script *script, bool direct, struct fts_error *out_error);
/* Run words (borrowed, NULL-ended; NULL: nothing) from now on. Returns the wish's number. The same wish again keeps the
 * running script. Too long: refused before (ftsi_script_fits). */
uint64_t ftsi_script_wish(struct ftsi_script *script, const struct ftsi_script_run *terms, const char *election,
			  const char *member, char *const *words);
bool ftsi_script_fits(const char *election, const char *member, char *const *words);
/* The agent's will from now on: words (borrowed, NULL-ended, behind the program's name; too long: none); NULL: none. */
void ftsi_script_will(struct ftsi_script *script, const char *const *words);
/* The lease counts from sent_ns. */
void ftsi_script_renewed(struct ftsi_script *script, uint64_t sent_ns, uint32_t lease_ms);
/* Take what has come; on_output (may be NULL) gets each line. */
typedef void (*ftsi_output_fn)(void *ctx, const struct ftsi_script_output *output);
void ftsi_script_receive(struct ftsi_script *script, ftsi_output_fn on_output, void *ctx);
/* Nothing of a wish before number is left. */
bool ftsi_script_settled(const struct ftsi_script *script, uint64_t number);
/* The guardian is gone (failed): end what it left, which is ours now. For a subreaper. Takes 2 s at most. */
void ftsi_script_sweep(struct ftsi_script *script);
/* The guardian ends what runs and goes; waits for it. */
void ftsi_script_close(struct ftsi_script *script);

#endif
