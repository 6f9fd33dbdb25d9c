/* Why this file exists: see rpc/pulse.h. */
#include "rpc/pulse.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PULSE_ASKERS_MAX 4
#define REFUSED_PAUSE_MS 50
#define PULSE_FDS (2 + PULSE_ASKERS_MAX)
enum { FD_STOP, FD_LISTEN, FD_ASKERS };

struct fts_pulse {
	struct pollfd fds[PULSE_FDS]; /* of the thread alone, once it runs; fd -1: no asker */
	unsigned next_asker;          /* whose place the next one takes when all are taken */
	pthread_t thread;
	bool running;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	fts_respond_fn respond;
	void *ctx;
	uint8_t question[FTS_SURVEY_QUESTION_MAX_BYTES];
	uint8_t answer[FTS_SURVEY_ANSWER_MAX_BYTES];
};

static void close_asker(struct pollfd *asker)
{
	if (asker->fd >= 0) close(asker->fd);
	asker->fd = -1;
	asker->revents = 0;
}

static void take_asker(struct fts_pulse *pulse)
{
	int fd = accept4(pulse->fds[FD_LISTEN].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		/* Out of descriptors: who knocks stays at the door, so without a pause this would spin. */
		if (errno != EAGAIN && errno != EINTR) (void)poll(&pulse->fds[FD_STOP], 1, REFUSED_PAUSE_MS);
		return;
	}
	unsigned place = 0;
	while (place < PULSE_ASKERS_MAX && pulse->fds[FD_ASKERS + place].fd >= 0)
		place++;
	if (place == PULSE_ASKERS_MAX) place = pulse->next_asker++ % PULSE_ASKERS_MAX;
	close_asker(&pulse->fds[FD_ASKERS + place]);
	pulse->fds[FD_ASKERS + place].fd = fd;
}

/* Answer one question of an asker. It has gone, or does not read: it is let go, and may come back. */
static void serve(struct fts_pulse *pulse, struct pollfd *asker)
{
	ssize_t size = recv(asker->fd, pulse->question, sizeof(pulse->question), MSG_DONTWAIT);
	if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (size > 0) {
		struct fts_bytes question = {pulse->question, (size_t)size};
		size_t answer_size = pulse->respond(pulse->ctx, question, pulse->answer);
		if (answer_size == 0) return;
		if (send(asker->fd, pulse->answer, answer_size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)answer_size)
			return;
	}
	close_asker(asker);
}

static void *run(void *arg)
{
	struct fts_pulse *pulse = arg;
	while (pulse->fds[FD_STOP].revents == 0) {
		if (poll(pulse->fds, PULSE_FDS, -1) < 0) continue; /* EINTR: revents are as they were */
		for (unsigned i = FD_ASKERS; i < PULSE_FDS; i++)
			if (pulse->fds[i].fd >= 0 && pulse->fds[i].revents != 0) serve(pulse, &pulse->fds[i]);
		if (pulse->fds[FD_LISTEN].revents != 0) take_asker(pulse);
	}
	return NULL;
}

/* A socket at path that only this user may connect to; -1: errno says why. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) return -1;
	memcpy(address.sun_path, path, strlen(path) + 1);
	(void)unlink(path); /* of one that was killed */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && chmod(path, 0600) == 0 &&
	    listen(fd, PULSE_ASKERS_MAX) == 0)
		return fd;
	int wrong = errno;
	close(fd);
	errno = wrong;
	return -1;
}

enum fts_status fts_pulse_create(const char *path, fts_respond_fn respond, void *ctx, struct fts_pulse **out_pulse,
				 struct fts_error *out_error)
{
	struct fts_pulse *pulse = calloc(1, sizeof(*pulse));
	enum fts_status status = FTS_OK;
	if (pulse == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	for (unsigned i = 0; i < PULSE_FDS; i++)
		pulse->fds[i] = (struct pollfd){-1, POLLIN, 0};
	pulse->respond = respond;
	pulse->ctx = ctx;
	if (strlen(path) >= sizeof(pulse->path)) {
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: %.300s is longer than %zu bytes",
				       FTS_PULSE_VARIABLE, path, sizeof(pulse->path) - 1);
		goto out;
	}
	if ((pulse->fds[FD_LISTEN].fd = listen_at(path)) < 0) {
		status =
		    fts_error_set(out_error, FTS_UNAVAILABLE, "%s: %s: %s", FTS_PULSE_VARIABLE, path, strerror(errno));
		goto out;
	}
	memcpy(pulse->path, path, strlen(path) + 1);
	pulse->fds[FD_STOP].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pulse->running = pulse->fds[FD_STOP].fd >= 0 && pthread_create(&pulse->thread, NULL, run, pulse) == 0;
	if (!pulse->running) {
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no thread for %s", FTS_PULSE_VARIABLE);
		goto out;
	}
	pthread_setname_np(pulse->thread, "fts-pulse");
	*out_pulse = pulse;
	pulse = NULL;
out:
	fts_pulse_destroy(pulse);
	return status;
}

void fts_pulse_destroy(struct fts_pulse *pulse)
{
	if (pulse == NULL) return;
	uint64_t one = 1;
	if (pulse->running && write(pulse->fds[FD_STOP].fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(pulse->thread, NULL);
	if (pulse->path[0] != '\0') (void)unlink(pulse->path);
	for (unsigned i = 0; i < PULSE_FDS; i++)
		close_asker(&pulse->fds[i]);
	free(pulse);
}
