/* Why this file exists: see endpoint.h. */
#include "rpc/endpoint.h"

#include <fts/rpc.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define QUOTE_MAX 60 /* bytes of a bad endpoint that an error repeats */

struct span {
	const char *text;
	size_t size_bytes;
};

static struct span trim(struct span span)
{
	while (span.size_bytes > 0 && isspace((unsigned char)span.text[0])) {
		span.text++;
		span.size_bytes--;
	}
	while (span.size_bytes > 0 && isspace((unsigned char)span.text[span.size_bytes - 1]))
		span.size_bytes--;
	return span;
}

static enum fts_status refuse(struct span span, const char *why, struct fts_error *out_error)
{
	int shown = (int)(span.size_bytes > QUOTE_MAX ? QUOTE_MAX : span.size_bytes);
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "endpoint \"%.*s%s\": %s; write HOST:PORT", shown,
			     span.text, span.size_bytes > QUOTE_MAX ? "..." : "", why);
}

/* Where the host ends and ":PORT" begins; size_bytes when there is none. */
static size_t port_colon(struct span span)
{
	size_t at = span.size_bytes;
	while (at > 0 && span.text[at - 1] != ':')
		at--;
	return at == 0 ? span.size_bytes : at - 1;
}

static bool port_read(struct span digits, uint16_t *out_port)
{
	uint32_t port = 0;
	if (digits.size_bytes == 0 || digits.size_bytes > 5) return false;
	for (size_t i = 0; i < digits.size_bytes; i++) {
		if (digits.text[i] < '0' || digits.text[i] > '9') return false;
		port = port * 10 + (uint32_t)(digits.text[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX) return false;
	*out_port = (uint16_t)port;
	return true;
}

static bool is_host_name(const char *host)
{
	for (const char *at = host; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && *at != '.' && *at != '-' && *at != '_') return false;
	}
	return host[0] != '\0' && host[0] != '.' && host[0] != '-';
}

/* host (0-terminated) came with or without brackets: NULL when it is fine, else what is wrong with it. */
static const char *host_fault(const char *host, bool bracketed)
{
	struct in6_addr address;
	if (bracketed) return inet_pton(AF_INET6, host, &address) == 1 ? NULL : "not an IPv6 address in the brackets";
	if (strchr(host, ':') != NULL) return "an IPv6 address stands in brackets, as [::1]:7400";
	if (host[0] == '\0') return "the host is missing";
	return is_host_name(host) ? NULL : "not a host name";
}

enum fts_status ftsi_endpoint_parse(const char *text, size_t size_bytes, struct ftsi_endpoint *out_endpoint,
				    struct fts_error *out_error)
{
	struct span all = trim((struct span){text, size_bytes});
	struct ftsi_endpoint made = {.port = 0};
	if (all.size_bytes == 0) return refuse(all, "empty", out_error);
	if (all.size_bytes >= sizeof made.text) return refuse(all, "too long (127 bytes at most)", out_error);

	size_t colon = port_colon(all);
	if (colon == all.size_bytes || all.text[all.size_bytes - 1] == ']')
		return refuse(all, "the port is missing", out_error);
	struct span digits = {all.text + colon + 1, all.size_bytes - colon - 1};
	if (!port_read(digits, &made.port)) return refuse(all, "the port is not a number from 1 to 65535", out_error);

	bool bracketed = colon >= 2 && all.text[0] == '[' && all.text[colon - 1] == ']';
	struct span host = bracketed ? (struct span){all.text + 1, colon - 2} : (struct span){all.text, colon};
	memcpy(made.host, host.text, host.size_bytes);
	const char *fault = strlen(made.host) == host.size_bytes ? host_fault(made.host, bracketed) : "a zero byte";
	if (fault != NULL) return refuse(all, fault, out_error);

	memcpy(made.text, all.text, all.size_bytes);
	made.ipv6 = bracketed;
	*out_endpoint = made;
	return FTS_OK;
}

bool ftsi_endpoint_is_loopback(const struct ftsi_endpoint *endpoint)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, endpoint->host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, endpoint->host, &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcmp(endpoint->host, "localhost") == 0;
}

bool ftsi_listen_is_loopback(const char *text)
{
	struct ftsi_endpoint endpoint = {.port = 0};
	struct span all = {text, strlen(text)};
	size_t colon = port_colon(all);
	bool bracketed = colon >= 2 && text[0] == '[' && text[colon - 1] == ']';
	struct span host = bracketed ? (struct span){text + 1, colon - 2} : (struct span){text, colon};
	if (colon == all.size_bytes || host.size_bytes >= sizeof endpoint.host) return false;
	memcpy(endpoint.host, host.text, host.size_bytes);
	return ftsi_endpoint_is_loopback(&endpoint);
}

int ftsi_endpoint_list_find(const struct ftsi_endpoint_list *list, const char *text)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].text, text) == 0) return (int)i;
	}
	return -1;
}

int ftsi_endpoint_list_add(struct ftsi_endpoint_list *list, const struct ftsi_endpoint *endpoint)
{
	int known = ftsi_endpoint_list_find(list, endpoint->text);
	if (known >= 0) return known;
	if (list->count == FTSI_ENDPOINT_COUNT_MAX) return -1;
	list->items[list->count] = *endpoint;
	return (int)list->count++;
}

enum fts_status ftsi_endpoint_list_parse(const char *text, struct ftsi_endpoint_list *out_list,
					 struct fts_error *out_error)
{
	char fallback[32];
	snprintf(fallback, sizeof fallback, "127.0.0.1:%d", FTS_DEFAULT_PORT);
	const char *at = text == NULL ? fallback : text;
	uint32_t count = 0;
	for (;;) {
		struct ftsi_endpoint endpoint;
		size_t size_bytes = strcspn(at, ",");
		enum fts_status status = ftsi_endpoint_parse(at, size_bytes, &endpoint, out_error);
		if (status != FTS_OK) return status;
		if (count == 0) out_list->count = 0;
		if (ftsi_endpoint_list_add(out_list, &endpoint) < 0)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
					     "endpoint \"%s\": more than %u in the list", endpoint.text,
					     FTSI_ENDPOINT_COUNT_MAX);
		count++;
		at += size_bytes;
		if (*at == '\0') return FTS_OK;
		at++;
	}
}
