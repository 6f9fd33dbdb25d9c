/* Why this file exists: see http/origin.h. */
#include "http/origin.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

struct piece {
	const char *text;
	size_t size_bytes;
};

/* "localhost:8080" -> "localhost"; "[::1]:1" -> "[::1]". */
static struct piece host_of(const char *authority, size_t size_bytes)
{
	size_t end = 0;
	if (size_bytes > 0 && authority[0] == '[') {
		const char *close = memchr(authority, ']', size_bytes);
		end = close == NULL ? size_bytes : (size_t)(close - authority) + 1;
	} else {
		const char *colon = memchr(authority, ':', size_bytes);
		end = colon == NULL ? size_bytes : (size_t)(colon - authority);
	}
	return (struct piece){authority, end};
}

static bool piece_is(struct piece piece, const char *text)
{
	return piece.size_bytes == strlen(text) && strncasecmp(piece.text, text, piece.size_bytes) == 0;
}

/* 127.1.2.3, written out: digits and dots only, so that 127.0.0.1.evil.example is none. */
static bool is_loopback_number(struct piece host)
{
	if (host.size_bytes < 4 || strncmp(host.text, "127.", 4) != 0) return false;
	for (size_t i = 0; i < host.size_bytes; i++)
		if (strchr("0123456789.", host.text[i]) == NULL) return false;
	return true;
}

static bool is_this_machine(struct piece host)
{
	return piece_is(host, "localhost") || piece_is(host, "[::1]") || is_loopback_number(host);
}

/* What stands behind "://"; a text without it: nothing. */
static struct piece authority_of(const char *origin, size_t size_bytes)
{
	for (size_t i = 0; i + 3 <= size_bytes; i++)
		if (memcmp(origin + i, "://", 3) == 0) return (struct piece){origin + i + 3, size_bytes - i - 3};
	return (struct piece){"", 0};
}

/* Each entry of a list in turn; false: no more. */
static bool next_entry(const char **at, struct piece *out_entry)
{
	while (**at == ',' || **at == ' ')
		(*at)++;
	if (**at == '\0') return false;
	*out_entry = (struct piece){*at, strcspn(*at, ", ")};
	*at += out_entry->size_bytes;
	return true;
}

bool ftsi_origin_allowed(const struct ftsi_origin_rules *rules, const char *origin, const char *host)
{
	struct piece entry;
	if (origin == NULL) return true;
	struct piece authority = authority_of(origin, strlen(origin));
	bool scheme_is_ours = strncmp(origin, rules->https ? "https://" : "http://", rules->https ? 8 : 7) == 0;
	if (host != NULL && scheme_is_ours && authority.size_bytes > 0 && strcasecmp(authority.text, host) == 0)
		return true;
	if (rules->local && authority.size_bytes > 0 && is_this_machine(host_of(authority.text, authority.size_bytes)))
		return true;
	for (const char *at = rules->origins == NULL ? "" : rules->origins; next_entry(&at, &entry);)
		if (piece_is(entry, "*") || piece_is(entry, origin)) return true;
	return false;
}

bool ftsi_host_allowed(const struct ftsi_origin_rules *rules, const char *host)
{
	struct piece entry;
	if (!rules->local || host == NULL) return true; /* HTTP/1.0, or open to others anyway */
	struct piece wanted = host_of(host, strlen(host));
	if (is_this_machine(wanted)) return true;
	for (const char *at = rules->origins == NULL ? "" : rules->origins; next_entry(&at, &entry);) {
		struct piece authority = authority_of(entry.text, entry.size_bytes);
		struct piece named = host_of(authority.text, authority.size_bytes);
		if (named.size_bytes > 0 && named.size_bytes == wanted.size_bytes &&
		    strncasecmp(named.text, wanted.text, named.size_bytes) == 0)
			return true;
	}
	return false;
}

bool ftsi_origins_valid(const char *text)
{
	struct piece entry;
	size_t count = 0;
	for (const char *at = text; next_entry(&at, &entry); count++) {
		struct piece authority = authority_of(entry.text, entry.size_bytes);
		bool named = authority.size_bytes > 0 && memchr(authority.text, '/', authority.size_bytes) == NULL;
		if (!named && !piece_is(entry, "*")) return false;
	}
	return count > 0;
}
