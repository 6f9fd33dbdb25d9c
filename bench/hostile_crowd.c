/* Why this file exists: see hostile_crowd.h. Bytes as docs/wire.md has them. */
#include "bench/hostile_crowd.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CROWD 1000
#define FLOOD_MAX 64
#define FRAMES_AT_ONCE 32
#define FRAME_MAX 160
#define TOKEN_BYTES 85

/* The hello of who dials calls, events, health and peers. */
static const uint8_t hellos[4][8] = {{0, 'S', 'P', 0, 0, 0x30, 0, 0},
				     {0, 'S', 'P', 0, 0, 0x21, 0, 0},
				     {0, 'S', 'P', 0, 0, 0x62, 0, 0},
				     {0, 'S', 'P', 0, 0, 0x50, 0, 0}};

static int connect_to(const struct hostile_target *target, unsigned offset)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(target->port + offset))};
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* or ports run out */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0) (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) return fd;
	if (fd >= 0) close(fd);
	return -1;
}

/* ---- Those who wait ---- */

static void misbehave(int fd, unsigned offset, enum hostile_kind kind)
{
	static const uint8_t half[12] = {0, 0, 0, 0, 0, 0, 16, 0, 0x80, 0, 0, 1};
	static const uint8_t gibibyte[12] = {0, 0, 0, 0, 0x40, 0, 0, 0, 0x80, 0, 0, 1};
	if (kind == HOSTILE_SILENT || send(fd, hellos[offset], 8, MSG_NOSIGNAL) != 8) return;
	const uint8_t *message = kind == HOSTILE_HALF ? half : gibibyte;
	ssize_t ignored = send(fd, message, sizeof half, MSG_NOSIGNAL);
	(void)ignored; /* sent away already */
}

/* Whoever is sent away comes back. */
static _Noreturn void wait_about(enum hostile_kind kind, const struct hostile_target *target, volatile uint64_t *done)
{
	static struct pollfd fds[CROWD];
	for (;;) {
		for (unsigned i = 0; i < CROWD; i++) {
			if (fds[i].fd > 0 && (fds[i].revents & (POLLHUP | POLLERR)) == 0) continue;
			if (fds[i].fd > 0) close(fds[i].fd);
			fds[i] = (struct pollfd){.fd = connect_to(target, i % 4), .events = POLLRDHUP};
			if (fds[i].fd < 0) continue;
			misbehave(fds[i].fd, i % 4, kind);
			++*done;
		}
		(void)poll(fds, CROWD, 100);
		for (unsigned i = 0; i < CROWD; i++)
			if ((fds[i].revents & POLLRDHUP) != 0) fds[i].revents |= POLLHUP;
	}
}

/* ---- Floods ---- */

static size_t frame_of(enum hostile_kind kind, const struct hostile_target *target, uint64_t number, uint8_t *out)
{
	static const uint8_t route[4] = {0x80, 0, 0, 1};
	uint8_t *at = out + 8;
	memcpy(at, route, sizeof route);
	at += sizeof route;
	if (kind == HOSTILE_GARBAGE) {
		memset(at, 0xff, 40); /* no header */
		at += 40;
	} else {
		char token[TOKEN_BYTES + 1];
		uint8_t *header = at++;
		*at++ = 0x0d; /* method */
		memcpy(at, &target->method_id, 4);
		at += 4;
		*at++ = 0x10; /* timeout_ms */
		*at++ = 100;
		*at++ = 0x3a; /* token */
		*at++ = TOKEN_BYTES;
		(void)snprintf(token, sizeof token, "fts_%016llx_%064llx", (unsigned long long)number,
			       (unsigned long long)number);
		memcpy(at,
		       kind == HOSTILE_CALLS   ? target->token
		       : kind == HOSTILE_QUOTA ? target->slow_token
					       : token,
		       TOKEN_BYTES);
		at += TOKEN_BYTES;
		*header = (uint8_t)(at - header - 1);
		*at++ = 0x12; /* key */
		*at++ = 1;
		*at++ = 'k';
	}
	size_t size = (size_t)(at - out - 8);
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(size >> (56 - 8 * i));
	return size + 8;
}

static bool flood(int fd, enum hostile_kind kind, const struct hostile_target *target, volatile uint64_t *done)
{
	uint8_t bytes[FRAMES_AT_ONCE * FRAME_MAX], answers[65536];
	size_t size = 0;
	for (int i = 0; i < FRAMES_AT_ONCE; i++)
		size += frame_of(kind, target, *done + (uint64_t)i, bytes + size);
	ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	ssize_t got = recv(fd, answers, sizeof answers, MSG_DONTWAIT);
	if (sent == (ssize_t)size) *done += FRAMES_AT_ONCE;
	/* part of a frame was sent: what follows would be read as something else, which is as good */
	return got != 0 && sent != 0;
}

static _Noreturn void flood_on(enum hostile_kind kind, const struct hostile_target *target, volatile uint64_t *done)
{
	struct pollfd fds[FLOOD_MAX];
	for (unsigned i = 0; i < target->connections; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLOUT | POLLRDHUP};
	for (;;) {
		for (unsigned i = 0; i < target->connections; i++) {
			if (fds[i].fd >= 0 && (fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) {
				if ((fds[i].revents & POLLOUT) == 0 || flood(fds[i].fd, kind, target, done)) continue;
			}
			if (fds[i].fd >= 0) close(fds[i].fd);
			fds[i].fd = connect_to(target, 0);
			if (fds[i].fd < 0) continue;
			ssize_t ignored = send(fds[i].fd, hellos[0], 8, MSG_NOSIGNAL);
			(void)ignored;
		}
		(void)poll(fds, target->connections, 100);
	}
}

static _Noreturn void reconnect(const struct hostile_target *target, volatile uint64_t *done)
{
	for (;;) {
		int fd = connect_to(target, 0);
		if (fd < 0) continue;
		ssize_t ignored = send(fd, hellos[0], 8, MSG_NOSIGNAL);
		(void)ignored;
		close(fd);
		++*done;
	}
}

/* ---- Life ---- */

static _Noreturn void child(enum hostile_kind kind, const struct hostile_target *target, volatile uint64_t *done)
{
	struct rlimit limit;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpriority(PRIO_PROCESS, 0, 19);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (kind == HOSTILE_RECONNECT) reconnect(target, done);
	if (kind >= HOSTILE_GARBAGE) flood_on(kind, target, done);
	wait_about(kind, target, done);
}

int hostile_start(enum hostile_kind kind, const struct hostile_target *target, volatile uint64_t *out_done)
{
	int pid = fork();
	if (pid == 0) child(kind, target, out_done);
	return pid;
}

void hostile_stop(int pid)
{
	if (pid <= 0) return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
