/* Why this file exists: keys and values are any bytes, JSON texts and arguments are not: how one is written as the
 * other. Thread: any. */
#ifndef FTSI_BYTES_H
#define FTSI_BYTES_H

#include <jansson.h>
#include <stdbool.h>

#include <fts/api.h>

/* Adds size_bytes at data (borrowed) to object (borrowed): as text under name (borrowed) when they are UTF-8, under
 * name_base64 otherwise. No memory ends the program, as in ftsi_json(). */
void ftsi_bytes_set(json_t *object, const char *name, const uint8_t *data, size_t size_bytes);

/* Bytes as a JSON text, or {"base64":"…"} when they are not UTF-8. Returned (json_decref). */
json_t *ftsi_bytes_json(const uint8_t *data, size_t size_bytes);

/* text (borrowed): base64 of RFC 4648 with its padding. out: borrowed, strlen(text) bytes are enough. False: it is
 * none. */
bool ftsi_bytes_from_base64(const char *text, uint8_t *out, size_t *out_size_bytes);

#endif
