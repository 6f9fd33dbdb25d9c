/* Why this file exists: TLS from three PEM files, the same for server, channel and events, with the checks that
 * nng leaves out: a key that others can read is refused, and so is one that is not ECDSA (dangers.md, mbedTLS). */
#ifndef FTS_RPC_TLS_H
#define FTS_RPC_TLS_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "rpc/wire.h"

/* True when any path is given. tls: borrowed. */
bool ftsi_tls_wanted(const struct fts_tls *tls);

/* Load tls (borrowed) for a side of this role. A server needs certificate and key, and with a CA demands a
 * certificate of every caller, of this authority or of client_ca_file's; a caller needs a CA. server_name: what the server's certificate must say
 * (caller only; borrowed). out_config: returned (nng_tls_config_free).
 * Errors: INVALID_ARGUMENT (which file, and what is wrong with it), RESOURCE_EXHAUSTED. Thread: any. */
enum fts_status ftsi_tls_config_create(const struct fts_tls *tls, enum ftsi_role role, const char *server_name,
				       nng_tls_config **out_config, struct fts_error *out_error);

/* What an nng error number means to a caller. */
enum fts_status ftsi_nng_status(int nng_error);

/* Does the key belong to the first certificate? Both PEM texts, borrowed. */
bool ftsi_tls_pair_fits(const char *cert_pem, const char *key_pem);

#endif
