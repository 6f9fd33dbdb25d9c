/* Why this file exists: the rule COMMAND: a member that the cluster asks to choose runs a command of its user's, which
 * reads the members and prints the master's id.
 *
 * What the command gets: on standard input a line for each member, in the order of their ids, fields divided by tabs:
 *   ID  STARTED (Unix ms)  PRIORITY  LEASE (ms)  ADDRESS
 * (members that were asked to leave are left out), and in its environment FTS_ELECTION, FTS_MEMBER (who asks) and
 * FTS_MASTER (who is master now; empty: nobody). It has FTSI_CHOICE_MS.
 *
 * Invariants: one command at a time, in a process group of its own that is killed when its time is over; a command that
 * fails (an exit code, a signal, no line, too slow) has chosen nothing and is asked again a second later.
 * Thread: the agent's loop, but for ftsi_choice_copy. */
#ifndef FTSI_ELECT_CHOICE_H
#define FTSI_ELECT_CHOICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <fts/elector/v1/elector.pb-c.h>

#define FTSI_CHOICE_MS 5000u
#define FTSI_CHOICE_ID_MAX 64u

struct ftsi_choice {
	pid_t pid;           /* of the running command; 0: none runs */
	int out_fd;          /* what it prints; -1: closed */
	uint64_t next_ns;    /* it runs: look again; otherwise: not to be started before */
	uint64_t until_ns;   /* it is killed then */
	uint64_t generation; /* of the members it chooses from */
	bool is_made;        /* `chosen` waits to be told */
	size_t used;
	char chosen[256]; /* what was printed; once made: the id */
};

void ftsi_choice_init(struct ftsi_choice *choice);
/* Kills what runs. */
void ftsi_choice_fini(struct ftsi_choice *choice);

/* A copy (ftsi_choice_drop); NULL: no memory. Thread: any. */
Fts__Elector__V1__StatusResponse *ftsi_choice_copy(const Fts__Elector__V1__StatusResponse *members);
void ftsi_choice_drop(Fts__Elector__V1__StatusResponse *members); /* NULL: no-op */

/* Nothing runs, nothing waits, and it may start. */
bool ftsi_choice_is_idle(const struct ftsi_choice *choice, uint64_t now_ns);
/* Run words (borrowed, NULL-ended) over members (owned). self: who asks; borrowed. It must be idle. */
void ftsi_choice_start(struct ftsi_choice *choice, char *const *words, Fts__Elector__V1__StatusResponse *members,
		       const char *self);
/* Take what it printed, note its end, end it when its time is over. Tells on standard error why it chose nothing. */
void ftsi_choice_drive(struct ftsi_choice *choice, uint64_t now_ns);
/* What was made is told; or it is to be made again, a second later. */
void ftsi_choice_forget(struct ftsi_choice *choice);
void ftsi_choice_later(struct ftsi_choice *choice);

#endif
