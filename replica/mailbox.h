/* Why this file exists: how other threads hand work to the loop: an intrusive list and one wake-up.
 *
 * Invariants: posts run on the loop, in the order they were posted, each exactly once. What may be posted is bounded
 * by who posts: commands and reads are counted before (propose.c, read.c), completions by the jobs there are. */
#ifndef FTS_REPLICA_MAILBOX_H
#define FTS_REPLICA_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct fts_replica;

struct ftsi_post {
	struct ftsi_post *next;
	void (*run)(struct fts_replica *replica, struct ftsi_post *post); /* Thread: loop */
};

struct ftsi_mailbox {
	pthread_mutex_t lock;
	struct ftsi_post *first, **last; /* guarded by lock */
	bool closed;                     /* guarded by lock */
	bool has_async;
	uv_async_t async;
};

/* on_wake runs on loop whenever something was posted. loop NULL: nobody is woken, its owner looks by itself. 0 on
 * success. */
int ftsi_mailbox_init(struct ftsi_mailbox *mailbox, uv_loop_t *loop, uv_async_cb on_wake, void *data);
/* post: owned until it runs. False: closed, post was not taken. Thread: any. */
bool ftsi_mailbox_post(struct ftsi_mailbox *mailbox, struct ftsi_post *post);
/* Everything posted so far, oldest first (owned by the caller). Thread: loop. */
struct ftsi_post *ftsi_mailbox_take(struct ftsi_mailbox *mailbox);
/* Take no more posts; returns what is left. The async handle is the caller's to close. Thread: loop. */
struct ftsi_post *ftsi_mailbox_close(struct ftsi_mailbox *mailbox);
void ftsi_mailbox_fini(struct ftsi_mailbox *mailbox);

#endif
