/* Why this file exists: a server of the wire over BSD sockets that does what a test's script says, also what no
 * honest server does. It shares only rpc/wire.h with what is tested.
 *
 * Invariants: one thread serves everything, so the script's steps go with the requests in the order they came;
 * past the last step every request is answered OK. Every request's header is kept. The question who leads
 * (Cluster/Leader) is no request: it is answered as fake_set_leader says, and counted apart; so is the one for the
 * members (Cluster/Status). */
#ifndef FTS_TESTS_FAKE_SERVER_H
#define FTS_TESTS_FAKE_SERVER_H

#include "rpc/wire.h"

enum fake_act {
	FAKE_ANSWER,      /* status and what else the step says; OK: the echo, see below */
	FAKE_SILENT,      /* no answer, now */
	FAKE_BREAK,       /* close the connection instead of answering */
	FAKE_BAD_HEADER,  /* an answer whose header is not a ReplyHeader */
	FAKE_BAD_PAYLOAD, /* OK, and a payload that is no message */
	FAKE_GARBAGE,     /* a message without a request id */
	FAKE_OVERSIZE,    /* an answer of 5 MiB */
	FAKE_BOMB,        /* OK, and 3 MiB that unpack to more than 64 MiB */
	FAKE_LARGE,       /* OK, and an echo of a megabyte */
	FAKE_LATE,        /* answers what was left silent before (and half a hundred unknown ids), then this one */
};

struct fake_step {
	enum fake_act act;
	enum fts_status status;
	enum fts_executed executed;
	uint32_t retry_after_ms;
	char leader[64];
	uint64_t index; /* of the log, in a refusal */
};

struct fake_options {
	const struct fake_step *steps; /* borrowed until fake_stop */
	size_t step_count;
	bool repeat;      /* the last step for ever */
	bool no_hello;    /* accepts, and never says anything */
	bool bad_hello;   /* says what an HTTP server might */
	uint16_t port;    /* 0: any */
	const char *node; /* its name in replies; NULL: "fake". Borrowed until fake_stop. */
};

/* What came with one request. */
struct fake_request {
	uint32_t method_id;
	uint32_t timeout_ms;
	uint64_t client_id;
	uint64_t sequence;
	uint64_t lowest_unanswered;
	uint64_t fence;
	uint64_t trace_id;
	bool stale;
	char token[129];
	uint64_t from_index;
};

struct fake;

/* Serve. The echo of a ReplayRequest is a ReplayResponse whose next_index is its from_index + 1. Returned (fake_stop).
 */
struct fake *fake_start(const struct fake_options *options);
/* Close everything, as a killed process would, and free. */
void fake_stop(struct fake *fake);
uint16_t fake_port(const struct fake *fake);
/* Requests so far. */
size_t fake_request_count(struct fake *fake);
/* Forget all but the last count of them. */
void fake_keep_requests(struct fake *fake, size_t count);
size_t fake_connection_count(struct fake *fake);
/* From now on every request is treated like this; NULL: as the script says. */
void fake_set_step(struct fake *fake, const struct fake_step *step);
/* Do this with all requests that were left silent. */
void fake_settle(struct fake *fake, const struct fake_step *step);
/* What it says about the leader: "" (name and address): knows none. Until it is called: it knows no such question. */
void fake_set_leader(struct fake *fake, uint64_t term, const char *name, const char *address);
/* Whom it names as members: addresses (borrowed until fake_stop), NULL-terminated. */
void fake_set_members(struct fake *fake, const char *const *members);
/* Stop reading and writing, as a stopped process does; or go on. */
void fake_pause(struct fake *fake, bool is_paused);
size_t fake_question_count(struct fake *fake);
/* Connections that are open now. */
size_t fake_open_count(struct fake *fake);
/* Wait until there have been count requests; false: not within 60 s. */
bool fake_wait_requests(struct fake *fake, size_t count);
/* The at-th request, from 0. It must have come. */
struct fake_request fake_request_at(struct fake *fake, size_t at);
/* True on a fake server's own thread. */
bool fake_is_serving_here(void);
/* A port on which nobody listens. */
uint16_t fake_closed_port(void);

#endif
