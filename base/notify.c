/* Why this file exists: see base/notify.h. */
#include "base/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WATCHDOG_MS_MAX 3600000u
#define STATUS_BYTES 1024

/* The address that NOTIFY_SOCKET names: a path, or "@NAME" for an abstract one, which begins with a 0 byte. 0: neither.
 */
static socklen_t address_of(const char *name, struct sockaddr_un *out_address)
{
	size_t size = name != NULL ? strlen(name) : 0;
	if (size < 2 || size >= sizeof(out_address->sun_path) || (name[0] != '/' && name[0] != '@')) return 0;
	memset(out_address, 0, sizeof(*out_address));
	out_address->sun_family = AF_UNIX;
	memcpy(out_address->sun_path, name, size);
	if (name[0] == '@') out_address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (name[0] == '/' ? 1 : 0));
}

bool fts_notify_wanted(void)
{
	struct sockaddr_un address;
	return address_of(getenv("NOTIFY_SOCKET"), &address) != 0;
}

void fts_notify_status(const char *text, char *told, size_t size_bytes)
{
	char line[STATUS_BYTES];
	if (strncmp(text, told, size_bytes - 1) == 0 && strlen(told) >= strnlen(text, size_bytes - 1)) return;
	snprintf(told, size_bytes, "%s", text);
	snprintf(line, sizeof(line), "STATUS=%s", told);
	(void)fts_notify(line);
}

bool fts_notify(const char *text)
{
	struct sockaddr_un address;
	socklen_t address_size = address_of(getenv("NOTIFY_SOCKET"), &address);
	if (address_size == 0) return false;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) return false;
	ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, address_size);
	close(fd);
	return sent == (ssize_t)strlen(text);
}

/* 0: no number, or none that makes sense here. */
static uint64_t number_of(const char *text)
{
	char *end = NULL;
	if (text == NULL || text[0] < '0' || text[0] > '9') return 0;
	uint64_t number = strtoull(text, &end, 10);
	return *end == '\0' ? number : 0;
}

uint32_t fts_notify_watchdog_ms(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t ms = number_of(getenv("WATCHDOG_USEC")) / 1000;
	if (pid != NULL && number_of(pid) != (uint64_t)getpid()) return 0;
	return ms < WATCHDOG_MS_MAX ? (uint32_t)ms : WATCHDOG_MS_MAX;
}
