/* Why this file exists: a service with one method for each way to answer, offered by the servers of these tests. */
#ifndef FTS_TESTS_RPC_SERVER_ECHO_H
#define FTS_TESTS_RPC_SERVER_ECHO_H

#include <pthread.h>
#include <stdatomic.h>

#include <fts/rpc.h>

enum echo_method { ECHO_NOW, ECHO_LATER, ECHO_BLOCKING, ECHO_FAIL, ECHO_RAW, ECHO_METHOD_COUNT };

/* Method ids, as a caller sends them: 0x10, 0x11 ... */
uint32_t echo_method_id(enum echo_method method);

#define ECHO_HELD_MAX 8192u

/* A running server. Calls to ECHO_LATER are held until the test answers them; ECHO_BLOCKING waits until gate_open. */
struct echo_server {
	struct fts_server *server;
	uint16_t port;
	char address[32]; /* "127.0.0.1:PORT" */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	/* Guarded by mutex. */
	struct fts_call *held[ECHO_HELD_MAX];
	size_t held_count;
	bool gate_open;
	size_t blocked_count; /* handlers that wait at the gate */
};

/* Start with options (borrowed; listen may be NULL). Fails the test when it can't. */
void echo_server_start(struct echo_server *echo, const struct fts_server_options *options);
/* Only the services, added to server (borrowed). */
enum fts_status echo_server_add(struct fts_server *server, struct echo_server *echo);
void echo_server_stop(struct echo_server *echo);

/* Wait until count calls are held, 10 s at most. */
void echo_wait_held(struct echo_server *echo, size_t count);
/* Take the last held call off. */
struct fts_call *echo_take_held(struct echo_server *echo);
/* Answer every held call. */
void echo_answer_held(struct echo_server *echo);
/* Wait until count handlers stand at the gate; open it. */
void echo_wait_blocked(struct echo_server *echo, size_t count);
void echo_open_gate(struct echo_server *echo);
void echo_reply(struct fts_call *call, const char *text);

#endif
