/* Why this file exists: see tests/harness/ports.h. */
#include "tests/harness/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST_PORT 12000
#define BLOCK_COUNT 2400 /* up to port 31,199 */

static bool port_is_free(uint16_t port)
{
	int one = 1, socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	bool is_free = bind(socket_fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(socket_fd, 1) == 0;
	close(socket_fd);
	return is_free;
}

/* The lock lives as long as this process: the descriptor is left open on purpose. */
static bool block_lock(uint32_t block)
{
	char path[128];
	(void)mkdir("/tmp/fts-test-ports", 0777);
	snprintf(path, sizeof(path), "/tmp/fts-test-ports/%u", block);
	int lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (lock_fd < 0) return false;
	if (flock(lock_fd, LOCK_EX | LOCK_NB) == 0) return true;
	close(lock_fd);
	return false;
}

uint16_t harness_ports_reserve(void)
{
	static uint32_t next;
	if (next == 0) next = (uint32_t)getpid() * 7u;
	for (uint32_t tries = 0; tries < BLOCK_COUNT; tries++) {
		uint32_t block = next++ % BLOCK_COUNT;
		uint16_t first = (uint16_t)(FIRST_PORT + block * HARNESS_PORTS_IN_BLOCK);
		if (!block_lock(block)) continue;
		uint16_t free_count = 0;
		while (free_count < HARNESS_PORTS_IN_BLOCK && port_is_free((uint16_t)(first + free_count)))
			free_count++;
		if (free_count == HARNESS_PORTS_IN_BLOCK) return first;
	}
	fail_msg("no block of %d free ports", HARNESS_PORTS_IN_BLOCK);
	return 0;
}
