/* Why this file exists: see replica/mailbox.h. */
#include "replica/mailbox.h"

int ftsi_mailbox_init(struct ftsi_mailbox *mailbox, uv_loop_t *loop, uv_async_cb on_wake, void *data)
{
	pthread_mutex_init(&mailbox->lock, NULL);
	mailbox->first = NULL;
	mailbox->last = &mailbox->first;
	mailbox->closed = false;
	mailbox->has_async = loop != NULL;
	mailbox->async.data = data;
	if (loop == NULL) return 0;
	return uv_async_init(loop, &mailbox->async, on_wake);
}

bool ftsi_mailbox_post(struct ftsi_mailbox *mailbox, struct ftsi_post *post)
{
	bool taken, wake;
	post->next = NULL;
	pthread_mutex_lock(&mailbox->lock);
	taken = !mailbox->closed;
	wake = taken && mailbox->first == NULL && mailbox->has_async;
	if (taken) {
		*mailbox->last = post;
		mailbox->last = &post->next;
	}
	if (wake) /* under the lock, so that the handle can't be closed meanwhile; it never blocks */
		uv_async_send(&mailbox->async);
	pthread_mutex_unlock(&mailbox->lock);
	return taken;
}

static struct ftsi_post *take_locked(struct ftsi_mailbox *mailbox)
{
	struct ftsi_post *first = mailbox->first;
	mailbox->first = NULL;
	mailbox->last = &mailbox->first;
	return first;
}

struct ftsi_post *ftsi_mailbox_take(struct ftsi_mailbox *mailbox)
{
	struct ftsi_post *first;
	pthread_mutex_lock(&mailbox->lock);
	first = take_locked(mailbox);
	pthread_mutex_unlock(&mailbox->lock);
	return first;
}

struct ftsi_post *ftsi_mailbox_close(struct ftsi_mailbox *mailbox)
{
	struct ftsi_post *first;
	pthread_mutex_lock(&mailbox->lock);
	mailbox->closed = true;
	first = take_locked(mailbox);
	pthread_mutex_unlock(&mailbox->lock);
	return first;
}

void ftsi_mailbox_fini(struct ftsi_mailbox *mailbox)
{
	pthread_mutex_destroy(&mailbox->lock);
}
