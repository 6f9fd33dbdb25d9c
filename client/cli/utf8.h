/* Why this file exists: names travel as UTF-8 only; protobuf-c does not check, so the tool does before it sends, and
 * before it shows what others have sent. */
#ifndef FTSI_UTF8_H
#define FTSI_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether size_bytes at text (borrowed) are well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong,
 * nothing above U+10FFFF). Thread: any. */
bool ftsi_utf8_valid(const char *text, size_t size_bytes);

/* Bytes of the character that begins at text (borrowed, size_bytes of it); 0: none does. Thread: any. */
size_t ftsi_utf8_character(const char *text, size_t size_bytes);

/* text (borrowed) as it may be shown on a terminal: '?' for each control character, and for all of it when it is not
 * UTF-8; cut at size_bytes. keeps_lines: line feeds stay. buf: borrowed. Returns buf. Thread: any. */
const char *ftsi_utf8_clean(char *buf, size_t size_bytes, const char *text, bool keeps_lines);

#endif
