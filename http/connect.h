/* Why this file exists: what the Connect protocol says of names, headers and errors, without any I/O.
 * Source: https://connectrpc.com/docs/protocol. Pure functions; thread: any. */
#ifndef FTS_HTTP_CONNECT_H
#define FTS_HTTP_CONNECT_H

#include <stdbool.h>

#include <fts/status.h>

enum ftsi_codec { FTSI_CODEC_JSON, FTSI_CODEC_PROTO };

#define FTSI_ENVELOPE_BYTES 5u        /* flags 1, length 4 (big endian), in front of each message of a stream */
#define FTSI_ENVELOPE_COMPRESSED 0x01 /* flag */
#define FTSI_ENVELOPE_END 0x02        /* flag: the last one, JSON whatever the codec is */

/* "not_found": the protocol's own spelling. Static. */
const char *ftsi_connect_code(enum fts_status status);
/* 404 for NOT_FOUND, and so on. */
unsigned ftsi_connect_http_status(enum fts_status status);

/* Content-Type (borrowed, may be NULL) of a unary request or of a stream. False: neither codec. */
bool ftsi_connect_unary_type(const char *type, enum ftsi_codec *out_codec);
bool ftsi_connect_stream_type(const char *type, enum ftsi_codec *out_codec);
const char *ftsi_connect_unary_name(enum ftsi_codec codec); /* "application/json". Static. */
const char *ftsi_connect_stream_name(enum ftsi_codec codec);

/* Connect-Timeout-Ms: 1 to 10 digits. False: something else. More than UINT32_MAX counts as that. */
bool ftsi_connect_timeout(const char *text, uint32_t *out_timeout_ms);

/* Base64, the URL's alphabet or the usual one, with or without '='. out: size_bytes * 3 / 4 bytes. Returns the bytes
 * written; (size_t)-1: not base64. */
size_t ftsi_connect_base64(const char *text, size_t size_bytes, uint8_t *out);

/* {"code":"...","message":"..."} of error (borrowed), in an object "error" when as_end. Returned (free()); NULL: no
 * memory. */
char *ftsi_connect_error_json(const struct fts_error *error, bool as_end);

#endif
