/* Why this file exists: what outside.c and outside_quorum.c share. */
#ifndef FTS_WATCHDOG_OUTSIDE_INTERNAL_H
#define FTS_WATCHDOG_OUTSIDE_INTERNAL_H

#include <pthread.h>

#include <fts/rpc.h>

#include "rpc/endpoint.h"
#include "rpc/presence.h"
#include "rpc/publisher.h"
#include "watchdog/outside.h"

#define COMMAND_MAX 16
#define ACTION_BYTES 1024
#define TOKEN_BYTES 128
#define ASKED_MAX 16 /* nodes that are asked about the quorum */

struct kept_action {
	uint64_t index; /* 0: nothing */
	size_t size_bytes;
	uint8_t bytes[ACTION_BYTES];
};

struct ftsi_outside {
	const struct ftsi_watch_config *config;
	int wake_fd;
	struct fts_tls tls;         /* borrows from config */
	uint8_t token[TOKEN_BYTES]; /* that it shows to nodes, and wants to be shown before it is told anything */
	size_t token_size;          /* 0: none */
	struct fts_server *server;
	struct fts_publisher *publisher;
	struct fts_presence *presence;
	struct fts_channel
	    *channel; /* to all nodes, for announcing; NULL: no cluster was named, or it can't reach back */

	pthread_mutex_t lock;
	/* Guarded by lock. */
	struct ftsi_outside_process processes[FTSI_WATCH_PROCESS_MAX];
	size_t process_count;
	struct ftsi_outside_command commands[COMMAND_MAX];
	size_t command_count;
	uint64_t action_index;
	uint64_t oldest_index; /* actions before it were an earlier life's */
	struct kept_action kept[FTSI_OUTSIDE_KEPT];
	char asked_member[FTSI_WATCH_NAME_MAX]; /* "": nobody is asked about */
	bool asked_takes_no_part;
	bool question; /* the thread has not taken it yet */
	enum ftsi_quorum answer;
	char answer_detail[200];
	bool stopping;

	/* Of the thread that asks. */
	pthread_cond_t asked; /* with lock */
	pthread_t thread;
	bool running;
	struct fts_channel *channels[ASKED_MAX]; /* to one node each */
	char endpoints[ASKED_MAX][FTSI_ENDPOINT_TEXT_BYTES];
	size_t channel_count;
};

/* Write to wake_fd. */
void ftsi_outside_wake(struct ftsi_outside *outside);
/* Read token_file, if one is named. */
FTS_MUST_USE enum fts_status ftsi_outside_token_read(struct ftsi_outside *outside, struct fts_error *out_error);
/* The channels, and the thread that asks by them; nothing without a cluster. */
FTS_MUST_USE enum fts_status ftsi_outside_quorum_start(struct ftsi_outside *outside, struct fts_error *out_error);
void ftsi_outside_quorum_stop(struct ftsi_outside *outside);

#endif
