/* Why this file exists: see stock_guard.h. */
#include "rpc/stock_guard.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LOOK_MS 2000
#define PATIENCE_NS 8000000000ull /* with the time between two looks: at most 10 s */
#define PIPE_MAX 4096u
#define UNSEEN_MAX 2u

/* The other end of a connection, as the kernel and nng both tell it. IPv4 lies in the IPv6 form that maps it. */
struct remote {
	uint8_t address[16];
	uint16_t port; /* network byte order */
};

/* A connection that nng showed as a pipe. */
struct shown {
	struct remote remote;
	unsigned unseen_count; /* looks in a row that found no descriptor of it */
};

/* A connection that nng does not show yet. */
struct pending {
	struct remote remote;
	uint64_t since_ns;
	bool seen; /* in the look that goes on */
};

struct ftsi_stock_guard {
	nng_socket socket;
	uint16_t port;
	nng_aio *timer;
	pthread_mutex_t lock;
	/* Guarded by lock. */
	struct shown *pipes;
	size_t pipe_count;
	bool blind; /* nng can't say where pipes come from: then nobody is shut down */
	/* Of the timer alone. */
	struct pending *pending;
	size_t pending_count;
};

static bool remote_of(const struct sockaddr_storage *from, struct remote *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	memset(out, 0, sizeof *out);
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
		memcpy(out->address, mapped, sizeof mapped);
		memcpy(out->address + 12, &v4->sin_addr, 4);
		out->port = v4->sin_port;
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
		memcpy(out->address, &v6->sin6_addr, sizeof out->address);
		out->port = v6->sin6_port;
	}
	return from->ss_family == AF_INET || from->ss_family == AF_INET6;
}

static bool same(const struct remote *a, const struct remote *b)
{
	return a->port == b->port && memcmp(a->address, b->address, sizeof a->address) == 0;
}

/* ---- What nng shows ---- */

/* 0, or an error of nng's: of one whose peer has gone already, too. */
static int pipe_remote(nng_pipe pipe, struct remote *out)
{
	nng_sockaddr address;
	struct sockaddr_storage plain = {.ss_family = AF_UNSPEC};
	int error = nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &address);
	if (error != 0) return error;
	if (address.s_family == NNG_AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)&plain;
		v4->sin_family = AF_INET;
		v4->sin_addr.s_addr = address.s_in.sa_addr;
		v4->sin_port = address.s_in.sa_port;
	} else if (address.s_family == NNG_AF_INET6) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&plain;
		v6->sin6_family = AF_INET6;
		memcpy(&v6->sin6_addr, address.s_in6.sa_addr, sizeof v6->sin6_addr);
		v6->sin6_port = address.s_in6.sa_port;
	}
	return remote_of(&plain, out) ? 0 : NNG_ENOTSUP;
}

/* Called with lock held. */
static size_t find_pipe(const struct ftsi_stock_guard *guard, const struct remote *remote)
{
	size_t i = 0;
	while (i < guard->pipe_count && !same(&guard->pipes[i].remote, remote))
		i++;
	return i;
}

static void on_pipe_here(nng_pipe pipe, nng_pipe_ev event, void *ctx)
{
	struct ftsi_stock_guard *guard = ctx;
	struct remote remote;
	size_t of_peer = 0;
	(void)event;
	int error = pipe_remote(pipe, &remote);
	bool known = error == 0;
	pthread_mutex_lock(&guard->lock);
	/* Not for one that has broken off meanwhile: anybody could blind the guard so. */
	if (error == NNG_ENOTSUP) guard->blind = true;
	for (size_t i = 0; known && i < guard->pipe_count; i++)
		of_peer += memcmp(guard->pipes[i].remote.address, remote.address, sizeof remote.address) == 0;
	bool admitted = !known || (of_peer < FTSI_GUARD_PEER_MAX && guard->pipe_count < PIPE_MAX);
	if (known && admitted) guard->pipes[guard->pipe_count++] = (struct shown){.remote = remote};
	pthread_mutex_unlock(&guard->lock);
	if (admitted) return;
	FTS_LOG_WARN("rpc.peer_limit", "port=%u connections=%zu", (unsigned)guard->port, of_peer);
	nng_pipe_close(pipe);
}

/* ---- What the kernel shows ---- */

/* Is fd a connection that was accepted on the guarded port? */
static bool is_ours(const struct ftsi_stock_guard *guard, int fd, struct remote *out)
{
	struct sockaddr_storage local = {.ss_family = AF_UNSPEC}, peer = {.ss_family = AF_UNSPEC};
	struct remote here;
	socklen_t local_bytes = sizeof local, peer_bytes = sizeof peer;
	if (getsockname(fd, (struct sockaddr *)&local, &local_bytes) != 0 || !remote_of(&local, &here)) return false;
	if (here.port != htons(guard->port)) return false;
	return getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) == 0 && remote_of(&peer, out);
}

/* Its place among those that are waited for; new ones are added. NULL: there are too many. */
static struct pending *find_pending(struct ftsi_stock_guard *guard, const struct remote *remote, uint64_t now_ns)
{
	for (size_t i = 0; i < guard->pending_count; i++)
		if (same(&guard->pending[i].remote, remote)) return &guard->pending[i];
	if (guard->pending_count == FTSI_GUARD_PENDING_MAX) return NULL;
	struct pending *pending = &guard->pending[guard->pending_count++];
	*pending = (struct pending){.remote = *remote, .since_ns = now_ns};
	return pending;
}

/* A duplicate of descriptor number, when that is a socket; -1: it is none. Files are never duplicated: to close the
 * duplicate would end every lock that this process holds on the file by fcntl(), as RocksDB does on its LOCK. */
static int duplicate_socket(const char *number)
{
	struct stat about;
	char *end;
	long fd = strtol(number, &end, 10);
	if (end == number || *end != '\0' || fstat((int)fd, &about) != 0 || !S_ISSOCK(about.st_mode)) return -1;
	return fcntl((int)fd, F_DUPFD_CLOEXEC, 0);
}

/* A descriptor of our own for the same connection. */
static void look_at(struct ftsi_stock_guard *guard, int fd, uint64_t now_ns)
{
	struct remote remote;
	if (!is_ours(guard, fd, &remote)) return;
	pthread_mutex_lock(&guard->lock);
	size_t place = find_pipe(guard, &remote);
	bool is_pipe = place < guard->pipe_count || guard->blind;
	if (place < guard->pipe_count) guard->pipes[place].unseen_count = 0;
	pthread_mutex_unlock(&guard->lock);
	if (is_pipe) return;
	struct pending *pending = find_pending(guard, &remote, now_ns);
	if (pending != NULL) pending->seen = true;
	if (pending == NULL || now_ns - pending->since_ns >= PATIENCE_NS) (void)shutdown(fd, SHUT_RDWR);
}

/* One that came while a look went on is seen by the next. */
static void forget_pipes(struct ftsi_stock_guard *guard)
{
	size_t kept = 0;
	pthread_mutex_lock(&guard->lock);
	for (size_t i = 0; i < guard->pipe_count; i++)
		if (guard->pipes[i].unseen_count++ < UNSEEN_MAX) guard->pipes[kept++] = guard->pipes[i];
	guard->pipe_count = kept;
	pthread_mutex_unlock(&guard->lock);
}

static void forget_pending(struct ftsi_stock_guard *guard)
{
	size_t kept = 0;
	for (size_t i = 0; i < guard->pending_count; i++)
		if (guard->pending[i].seen) guard->pending[kept++] = guard->pending[i];
	guard->pending_count = kept;
}

static void look(struct ftsi_stock_guard *guard)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	DIR *directory = opendir("/proc/self/fd");
	if (directory == NULL) return; /* no descriptors are left: the next look has some */
	for (size_t i = 0; i < guard->pending_count; i++)
		guard->pending[i].seen = false;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		int fd = duplicate_socket(entry->d_name);
		if (fd < 0) continue;
		look_at(guard, fd, now_ns);
		close(fd);
	}
	closedir(directory);
	forget_pending(guard);
	forget_pipes(guard);
}

static void on_timer(void *ctx)
{
	struct ftsi_stock_guard *guard = ctx;
	if (nng_aio_result(guard->timer) != 0) return;
	look(guard);
	nng_sleep_aio(LOOK_MS, guard->timer);
}

/* ---- Life ---- */

struct ftsi_stock_guard *ftsi_stock_guard_create(nng_socket socket)
{
	struct ftsi_stock_guard *guard = calloc(1, sizeof *guard);
	if (guard == NULL) return NULL;
	pthread_mutex_init(&guard->lock, NULL);
	guard->socket = socket;
	guard->pipes = calloc(PIPE_MAX, sizeof *guard->pipes);
	guard->pending = calloc(FTSI_GUARD_PENDING_MAX, sizeof *guard->pending);
	/* The later events are free for others: a socket takes one callback for each. */
	if (guard->pipes != NULL && guard->pending != NULL && nng_aio_alloc(&guard->timer, on_timer, guard) == 0 &&
	    nng_pipe_notify(socket, NNG_PIPE_EV_ADD_PRE, on_pipe_here, guard) == 0)
		return guard;
	ftsi_stock_guard_destroy(guard);
	return NULL;
}

void ftsi_stock_guard_start(struct ftsi_stock_guard *guard, uint16_t port)
{
	guard->port = port;
	nng_sleep_aio(LOOK_MS, guard->timer);
}

void ftsi_stock_guard_destroy(struct ftsi_stock_guard *guard)
{
	if (guard == NULL) return;
	if (guard->timer != NULL) {
		nng_aio_stop(guard->timer);
		nng_aio_free(guard->timer);
	}
	free(guard->pipes);
	free(guard->pending);
	pthread_mutex_destroy(&guard->lock);
	free(guard);
}
