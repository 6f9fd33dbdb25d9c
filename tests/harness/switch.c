/* Why this file exists: see tests/harness/switch.h.
 *
 * One thread: it waits for frames or for the moment when the next one is due; waiting frames are a heap by that moment
 * (and by arrival, so that equal moments keep their order). */
#include "tests/harness/switch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/clock.h"

#define FRAME_MAX_BYTES 2048
#define ADDRESS_BYTES 6
#define MILLION 1000000u
#define WAIT_MAX_NS 50000000u
#define READ_AT_ONCE 64

struct frame {
	uint64_t due_ns, number;
	uint32_t port; /* to which it goes */
	uint32_t size_bytes;
	uint8_t bytes[FRAME_MAX_BYTES];
};

struct harness_switch {
	pthread_t thread;
	pthread_mutex_t lock;
	int wake_fd;
	bool stop;                                                                           /* guarded by lock */
	struct harness_link_faults faults[HARNESS_SWITCH_PORT_MAX][HARNESS_SWITCH_PORT_MAX]; /* guarded by lock */
	struct harness_switch_counts counts;                                                 /* guarded by lock */
	/* Of the thread alone. */
	size_t port_count;
	int fds[HARNESS_SWITCH_PORT_MAX];
	uint8_t addresses[HARNESS_SWITCH_PORT_MAX][ADDRESS_BYTES]; /* learnt */
	struct harness_random random;
	uint64_t next_number;
	struct frame *heap[HARNESS_SWITCH_FRAMES_MAX];
	size_t heap_count;
	struct frame *free_frames[HARNESS_SWITCH_FRAMES_MAX];
	size_t free_count;
	struct frame *frames; /* all of them */
};

/* ---- The heap ---- */

static bool is_earlier(const struct frame *a, const struct frame *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void push(struct harness_switch *ether, struct frame *frame)
{
	size_t at = ether->heap_count++;
	for (; at > 0 && is_earlier(frame, ether->heap[(at - 1) / 2]); at = (at - 1) / 2)
		ether->heap[at] = ether->heap[(at - 1) / 2];
	ether->heap[at] = frame;
}

static struct frame *pop(struct harness_switch *ether)
{
	struct frame *first = ether->heap[0], *last = ether->heap[--ether->heap_count];
	size_t at = 0;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= ether->heap_count) break;
		if (child + 1 < ether->heap_count && is_earlier(ether->heap[child + 1], ether->heap[child])) child++;
		if (!is_earlier(ether->heap[child], last)) break;
		ether->heap[at] = ether->heap[child];
		at = child;
	}
	ether->heap[at] = last;
	return first;
}

/* ---- Frames ---- */

static bool happens(struct harness_switch *ether, uint32_t ppm)
{
	return ppm > 0 && harness_random_below(&ether->random, MILLION) < ppm;
}

/* Lock held. */
static void queue_one(struct harness_switch *ether, const struct harness_link_faults *faults, size_t to,
		      const uint8_t *bytes, size_t size_bytes)
{
	uint64_t delay_us = faults->delay_us;
	if (faults->jitter_us > 0) delay_us += harness_random_below(&ether->random, faults->jitter_us + 1);
	if (ether->free_count == 0) {
		ether->counts.overflowed++;
		return;
	}
	struct frame *frame = ether->free_frames[--ether->free_count];
	frame->due_ns = harness_now_ns() + delay_us * 1000u;
	frame->number = ether->next_number++;
	frame->port = (uint32_t)to;
	frame->size_bytes = (uint32_t)size_bytes;
	memcpy(frame->bytes, bytes, size_bytes);
	push(ether, frame);
}

/* Lock held. */
static void send_from_to(struct harness_switch *ether, size_t from, size_t to, const uint8_t *bytes, size_t size_bytes)
{
	const struct harness_link_faults *faults = &ether->faults[from][to];
	if (faults->cut || happens(ether, faults->loss_ppm)) {
		ether->counts.lost++;
		return;
	}
	queue_one(ether, faults, to, bytes, size_bytes);
	if (!happens(ether, faults->duplicate_ppm)) return;
	ether->counts.duplicated++;
	queue_one(ether, faults, to, bytes, size_bytes);
}

/* Lock held. To the port that has the address, or to all when nobody is known to have it. */
static void route(struct harness_switch *ether, size_t from, const uint8_t *bytes, size_t size_bytes)
{
	if (size_bytes < 2 * ADDRESS_BYTES) return;
	memcpy(ether->addresses[from], bytes + ADDRESS_BYTES, ADDRESS_BYTES);
	for (size_t to = 0; to < ether->port_count; to++) {
		if (to == from || memcmp(ether->addresses[to], bytes, ADDRESS_BYTES) != 0) continue;
		send_from_to(ether, from, to, bytes, size_bytes);
		return;
	}
	for (size_t to = 0; to < ether->port_count; to++)
		if (to != from) send_from_to(ether, from, to, bytes, size_bytes);
}

static void read_port(struct harness_switch *ether, size_t port)
{
	uint8_t bytes[FRAME_MAX_BYTES];
	for (int i = 0; i < READ_AT_ONCE; i++) {
		ssize_t size = read(ether->fds[port], bytes, sizeof(bytes));
		if (size <= 0) return;
		pthread_mutex_lock(&ether->lock);
		route(ether, port, bytes, (size_t)size);
		pthread_mutex_unlock(&ether->lock);
	}
}

static void deliver_due(struct harness_switch *ether)
{
	uint64_t now_ns = harness_now_ns();
	while (ether->heap_count > 0 && ether->heap[0]->due_ns <= now_ns) {
		struct frame *frame = pop(ether);
		bool sent = write(ether->fds[frame->port], frame->bytes, frame->size_bytes) > 0;
		ether->free_frames[ether->free_count++] = frame;
		pthread_mutex_lock(&ether->lock);
		ether->counts.forwarded += sent;
		ether->counts.overflowed += !sent;
		pthread_mutex_unlock(&ether->lock);
	}
}

static struct timespec time_to_wait(const struct harness_switch *ether)
{
	uint64_t wait_ns = WAIT_MAX_NS, now_ns = harness_now_ns();
	if (ether->heap_count > 0) {
		uint64_t due_ns = ether->heap[0]->due_ns;
		wait_ns = due_ns <= now_ns ? 0 : due_ns - now_ns < WAIT_MAX_NS ? due_ns - now_ns : WAIT_MAX_NS;
	}
	return (struct timespec){0, (long)wait_ns};
}

static bool stopped(struct harness_switch *ether)
{
	pthread_mutex_lock(&ether->lock);
	bool stop = ether->stop;
	pthread_mutex_unlock(&ether->lock);
	return stop;
}

static void *run(void *ctx)
{
	struct harness_switch *ether = ctx;
	struct pollfd fds[HARNESS_SWITCH_PORT_MAX + 1];
	for (size_t i = 0; i < ether->port_count; i++)
		fds[i] = (struct pollfd){ether->fds[i], POLLIN, 0};
	fds[ether->port_count] = (struct pollfd){ether->wake_fd, POLLIN, 0};
	while (!stopped(ether)) {
		struct timespec wait = time_to_wait(ether);
		if (ppoll(fds, ether->port_count + 1, &wait, NULL) < 0 && errno != EINTR) break;
		for (size_t i = 0; i < ether->port_count; i++)
			if (fds[i].revents & POLLIN) read_port(ether, i);
		deliver_due(ether);
	}
	return NULL;
}

/* ---- From outside ---- */

struct harness_switch *harness_switch_create(const int *fds, size_t count, uint64_t seed)
{
	struct harness_switch *ether = calloc(1, sizeof(*ether));
	if (ether == NULL || count > HARNESS_SWITCH_PORT_MAX) abort();
	ether->frames = calloc(HARNESS_SWITCH_FRAMES_MAX, sizeof(*ether->frames));
	ether->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (ether->frames == NULL || ether->wake_fd < 0) abort();
	memcpy(ether->fds, fds, count * sizeof(*fds));
	ether->port_count = count;
	ether->random.state = seed;
	for (size_t i = 0; i < HARNESS_SWITCH_FRAMES_MAX; i++)
		ether->free_frames[ether->free_count++] = &ether->frames[i];
	pthread_mutex_init(&ether->lock, NULL);
	if (pthread_create(&ether->thread, NULL, run, ether) != 0) abort();
	return ether;
}

void harness_switch_set(struct harness_switch *ether, size_t from, size_t to, const struct harness_link_faults *faults)
{
	pthread_mutex_lock(&ether->lock);
	ether->faults[from][to] = *faults;
	pthread_mutex_unlock(&ether->lock);
}

void harness_switch_set_all(struct harness_switch *ether, const struct harness_link_faults *faults)
{
	for (size_t from = 0; from < ether->port_count; from++)
		for (size_t to = 0; to < ether->port_count; to++)
			harness_switch_set(ether, from, to, faults);
}

struct harness_switch_counts harness_switch_counts(struct harness_switch *ether)
{
	pthread_mutex_lock(&ether->lock);
	struct harness_switch_counts counts = ether->counts;
	pthread_mutex_unlock(&ether->lock);
	return counts;
}

void harness_switch_destroy(struct harness_switch *ether)
{
	uint64_t one = 1;
	if (ether == NULL) return;
	pthread_mutex_lock(&ether->lock);
	ether->stop = true;
	pthread_mutex_unlock(&ether->lock);
	ssize_t ignored = write(ether->wake_fd, &one, sizeof(one));
	(void)ignored; /* it looks every 50 ms in any case */
	pthread_join(ether->thread, NULL);
	pthread_mutex_destroy(&ether->lock);
	close(ether->wake_fd);
	free(ether->frames);
	free(ether);
}
