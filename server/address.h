/* Why this file exists: what may be said of a HOST:PORT without asking anybody: names are never resolved here, so a
 * host counts as loopback only when its text says so. */
#ifndef FTS_SERVER_ADDRESS_H
#define FTS_SERVER_ADDRESS_H

#include <stdbool.h>

#include "rpc/endpoint.h"

#define FTSI_ADDRESS_MAX FTSI_ENDPOINT_TEXT_BYTES /* "HOST:PORT" with its zero byte */

/* "HOST:PORT" or "[V6]:PORT"; text: borrowed. False: it is neither. */
bool ftsi_address_parse(const char *text, struct ftsi_endpoint *out_address);
/* Write HOST:port (another port of the same host) into out (FTSI_ADDRESS_MAX bytes, borrowed). Returns out. */
const char *ftsi_address_print(const struct ftsi_endpoint *address, uint16_t port, char *out);
/* 127.0.0.0/8, ::1 or localhost. */
bool ftsi_address_is_loopback(const struct ftsi_endpoint *address);
/* 0.0.0.0 or ::, which are good to listen on and not to call. */
bool ftsi_address_is_wildcard(const struct ftsi_endpoint *address);

#endif
