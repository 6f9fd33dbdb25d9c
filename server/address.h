/* Why this file exists: what may be said of a HOST:PORT without asking anybody: names are not resolved for it, so a
 * host counts as loopback only when its text says so; and how to listen on one. */
#ifndef FTS_SERVER_ADDRESS_H
#define FTS_SERVER_ADDRESS_H

#include <stdbool.h>

#include "rpc/endpoint.h"

#define FTSI_ADDRESS_MAX FTSI_ENDPOINT_TEXT_BYTES /* "HOST:PORT" with its zero byte */

/* "HOST:PORT" or "[V6]:PORT", without blanks; text: borrowed. False: it is neither. */
bool ftsi_address_parse(const char *text, struct ftsi_endpoint *out_address);
/* Write HOST:port (another port of the same host) into out (FTSI_ADDRESS_MAX bytes, borrowed). Returns out. */
const char *ftsi_address_print(const struct ftsi_endpoint *address, uint16_t port, char *out);
/* 0.0.0.0 or ::, which are good to listen on and not to call. */
bool ftsi_address_is_wildcard(const struct ftsi_endpoint *address);

/* Listen on text (HOST:PORT, borrowed). what: how an error calls it, as "--listen". out_fd: returned (close), does not
 * block. Errors: UNAVAILABLE (in use, or no address of this machine), INVALID_ARGUMENT. */
FTS_MUST_USE enum fts_status ftsi_listener_open(const char *text, const char *what, int *out_fd,
						struct fts_error *out_error);

#endif
