/* Why this file exists: see server/address.h. */
#include "server/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool ftsi_address_parse(const char *text, struct ftsi_endpoint *out_address)
{
	struct ftsi_endpoint address;
	/* Blanks around it are no part of an endpoint, and this text goes on as it is: to a socket, to other members.
	 */
	if (ftsi_endpoint_parse(text, strlen(text), &address, NULL) != FTS_OK || strcmp(address.text, text) != 0)
		return false;
	*out_address = address;
	return true;
}

const char *ftsi_address_print(const struct ftsi_endpoint *address, uint16_t port, char *out)
{
	snprintf(out, FTSI_ADDRESS_MAX, address->ipv6 ? "[%.110s]:%u" : "%.110s:%u", address->host, port);
	return out;
}

bool ftsi_address_is_wildcard(const struct ftsi_endpoint *address)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, address->host, &v4) == 1) return v4.s_addr == htonl(INADDR_ANY);
	return inet_pton(AF_INET6, address->host, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}

static int listen_on(const struct addrinfo *address)
{
	int one = 1, socket_fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (socket_fd < 0) return -1;
	(void)setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(socket_fd, address->ai_addr, address->ai_addrlen) == 0 && listen(socket_fd, SOMAXCONN) == 0)
		return socket_fd;
	int wrong = errno;
	close(socket_fd);
	errno = wrong;
	return -1;
}

enum fts_status ftsi_listener_open(const char *text, const char *what, int *out_fd, struct fts_error *out_error)
{
	struct ftsi_endpoint where;
	char port[8];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	if (!ftsi_address_parse(text, &where))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: %s is not HOST:PORT", what, text);
	snprintf(port, sizeof(port), "%u", where.port);
	int wrong = getaddrinfo(where.host, port, &hints, &found);
	if (wrong != 0) return fts_error_set(out_error, FTS_UNAVAILABLE, "%s: %s: %s", what, text, gai_strerror(wrong));
	int listen_fd = listen_on(found);
	wrong = errno;
	freeaddrinfo(found);
	if (listen_fd >= 0) {
		*out_fd = listen_fd;
		return FTS_OK;
	}
	return fts_error_set(out_error, FTS_UNAVAILABLE, "%s: can't listen on %s: %s", what, text, strerror(wrong));
}
