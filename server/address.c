/* Why this file exists: see server/address.h. */
#include "server/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool ftsi_address_parse(const char *text, struct ftsi_endpoint *out_address)
{
	return ftsi_endpoint_parse(text, strlen(text), out_address, NULL) == FTS_OK;
}

const char *ftsi_address_print(const struct ftsi_endpoint *address, uint16_t port, char *out)
{
	snprintf(out, FTSI_ADDRESS_MAX, address->ipv6 ? "[%.110s]:%u" : "%.110s:%u", address->host, port);
	return out;
}

bool ftsi_address_is_loopback(const struct ftsi_endpoint *address)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, address->host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, address->host, &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcmp(address->host, "localhost") == 0;
}

bool ftsi_address_is_wildcard(const struct ftsi_endpoint *address)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, address->host, &v4) == 1) return v4.s_addr == htonl(INADDR_ANY);
	return inet_pton(AF_INET6, address->host, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}
