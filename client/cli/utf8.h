/* Why this file exists: names travel as UTF-8 only; protobuf-c does not check, so the tool does before it sends. */
#ifndef FTSI_UTF8_H
#define FTSI_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether size_bytes at text (borrowed) are well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong,
 * nothing above U+10FFFF). Thread: any. */
bool ftsi_utf8_valid(const char *text, size_t size_bytes);

/* Bytes of the character that begins at text (borrowed, size_bytes of it); 0: none does. Thread: any. */
size_t ftsi_utf8_character(const char *text, size_t size_bytes);

#endif
