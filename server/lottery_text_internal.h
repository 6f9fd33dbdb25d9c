/* Why this file exists: what the halves of the gateway share: lottery_text.c (sockets, thread, time limits) and
 * lottery_text_call.c (packets to calls, calls to answers).
 *
 *            accept                whole line            started              answered
 *   FREE ------------> READING ----------------> READY ------------> CALLING ------------> WRITING --> READING
 *                         ^                        |  (draw being opened,  |  (no reply)               or FREE
 *                         |                        |   too many calls)     +--> READING
 *                         +------------------------+                       +--> RESTING --> READY (try again)
 *   A connection that is closed while its call runs is GONE until the call has ended.
 *
 * Invariant: a connection belongs to the gateway's thread; only its answer is written by others, between the start of
 * a call and its place in the gateway's list of done ones. */
#ifndef FTS_SERVER_LOTTERY_TEXT_INTERNAL_H
#define FTS_SERVER_LOTTERY_TEXT_INTERNAL_H

#include <pthread.h>

#include <fts/lottery/v1/lottery.pb-c.h>

#include "base/arena.h"
#include "server/lottery_text.h"
#include "server/lottery_text_parse.h"

#define FTSI_TEXT_CONNECTION_MAX 4096
#define FTSI_TEXT_WAITER_MAX 3072 /* waiting for winners: the rest stays free for those who still bet and close */
#define FTSI_TEXT_POOL_BYTES (64u * 1024 * 1024)   /* answers of all connections together */
#define FTSI_TEXT_ANSWER_BYTES (16u * 1024 * 1024) /* one answer: some 760,000 winners */
#define FTSI_TEXT_CALL_MAX 256 /* changing calls in flight: below a client's window for exactly-once */

enum ftsi_text_state {
	FTSI_TEXT_FREE,
	FTSI_TEXT_READING,
	FTSI_TEXT_READY,
	FTSI_TEXT_CALLING,
	FTSI_TEXT_RESTING,
	FTSI_TEXT_WRITING,
	FTSI_TEXT_GONE,
};

/* How a call ended. */
struct ftsi_text_answer {
	enum fts_status status;
	enum fts_executed executed;
	struct fts_arena *arena; /* holds text; NULL: text is static or absent */
	const char *text;        /* line for the client; NULL: none */
	size_t size_bytes;
	uint64_t winner_count; /* in text so far */
	uint64_t winner_total;
};

struct ftsi_text_connection {
	struct ftsi_text_gateway *gateway;
	struct ftsi_text_connection *next; /* in the list of free, ready or done ones */
	int socket_fd;
	enum ftsi_text_state state;
	enum ftsi_text_kind kind; /* of the packet that is being served */
	bool ended;               /* the client sends no more */
	bool greeted;             /* has sent a whole packet */
	bool waiter;              /* counts as waiting for winners */
	uint32_t interest;        /* epoll events now asked for */
	struct fts_call_id call;
	uint64_t since_ns; /* when this state, half line or lack of progress began */
	struct ftsi_text_answer answer;
	size_t sent_bytes;    /* of the answer */
	size_t used_bytes;    /* of in */
	size_t scanned_bytes; /* of in, known to hold no line end */
	char *in;             /* FTSI_TEXT_LINE_MAX bytes of gateway->lines */
};

struct ftsi_text_list {
	struct ftsi_text_connection *first, *last;
};

enum ftsi_text_draw { FTSI_TEXT_DRAW_UNKNOWN, FTSI_TEXT_DRAW_OPENING, FTSI_TEXT_DRAW_OPEN };

struct ftsi_text_gateway {
	struct fts_channel *channel; /* NULL: cut off from it, no call may begin any more */
	struct fts_arena_pool *pool; /* of answers */
	uint32_t agencies;
	int listen_fd, epoll_fd, wake_fd;
	bool accepting;
	bool starved; /* accept failed for want of descriptors or memory: wait for the next sweep */
	enum ftsi_text_draw draw;
	struct ftsi_text_list free, ready;
	uint32_t connection_count, waiter_count, resting_count;
	uint32_t call_count; /* changing calls in flight */
	struct ftsi_text_packet packet;
	char line[FTSI_TEXT_LINE_MAX + 1];
	Fts__Lottery__V1__Bet bets[FTSI_TEXT_BETS_MAX];
	Fts__Lottery__V1__Bet *bet_pointers[FTSI_TEXT_BETS_MAX];
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t empty_cond;
	struct ftsi_text_list done;     /* guarded by mutex */
	bool open_done;                 /* guarded by mutex */
	enum fts_status open_status;    /* guarded by mutex */
	bool draining, stopping, empty; /* guarded by mutex */
	bool cut, cut_done;             /* guarded by mutex; the thread lets go of the channel, and has done so */
	struct ftsi_text_connection *connections;
	char *lines; /* what each connection has sent; apart, so that lines nobody sent take no memory */
};

void ftsi_text_list_push(struct ftsi_text_list *list, struct ftsi_text_connection *connection);
struct ftsi_text_connection *ftsi_text_list_pop(struct ftsi_text_list *list); /* NULL: empty */

/* What a connection does next, once its call has ended. */
enum ftsi_text_next {
	FTSI_TEXT_NEXT_WRITE,
	FTSI_TEXT_NEXT_READ,
	FTSI_TEXT_NEXT_MORE,  /* there are more winners to ask for; the answer so far is kept */
	FTSI_TEXT_NEXT_AGAIN, /* from the start, in a moment */
	FTSI_TEXT_NEXT_CLOSE,
};

/* Start opening the draw; its end is told by open_done. Errors: as fts_channel_start. Thread: gateway. */
FTS_MUST_USE enum fts_status ftsi_text_draw_open(struct ftsi_text_gateway *gateway);
/* Start the call of gateway->packet for connection. OK: its end will be told through the list of done ones; otherwise
 * nothing was sent and connection->answer.status tells. Thread: gateway. */
FTS_MUST_USE enum fts_status ftsi_text_call_start(struct ftsi_text_gateway *gateway,
						  struct ftsi_text_connection *connection);
/* Judge connection->answer: what the client is told, and how it goes on. Thread: gateway. */
enum ftsi_text_next ftsi_text_call_judge(struct ftsi_text_connection *connection);
/* Give back what the answer holds. */
void ftsi_text_answer_release(struct ftsi_text_connection *connection);

/* Take a client in (socket_fd: owned). A slot must be free. */
void ftsi_text_connection_begin(struct ftsi_text_gateway *gateway, int socket_fd);
/* epoll says so. */
void ftsi_text_connection_event(struct ftsi_text_connection *connection, uint32_t events);
/* Its call has ended. */
void ftsi_text_connection_done(struct ftsi_text_connection *connection);
/* Close what is over its time limit, wake what has rested. */
void ftsi_text_connection_age(struct ftsi_text_connection *connection, uint64_t now_ns);
/* The node stops: close it unless its packet is being stored or answered. */
void ftsi_text_connection_drain(struct ftsi_text_connection *connection);
/* Close it whatever it does. No call of it may be in flight. FREE: no-op. */
void ftsi_text_connection_end(struct ftsi_text_connection *connection);

/* Start what is READY, as far as the limits allow; opens the draw first. */
void ftsi_text_ready_run(struct ftsi_text_gateway *gateway);
/* The draw can't be opened: end the packets of all that are READY with status. */
void ftsi_text_ready_refuse(struct ftsi_text_gateway *gateway, enum fts_status status);

/* Put connection on the list of done ones and wake the gateway. Thread: any. */
void ftsi_text_done(struct ftsi_text_connection *connection);
/* Make the gateway's thread look at what others have left for it. Thread: any. */
void ftsi_text_wake(struct ftsi_text_gateway *gateway);

#endif
