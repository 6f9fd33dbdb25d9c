/* Why this file exists: the authorities, certificates and keys of a cluster, made without any other program. Two
 * authorities: what the nodes' one has signed may be a node, what the clients' one has signed may call, and neither
 * can pass for the other. All keys are ECDSA on P-256, signatures SHA-256.
 *
 * Invariant: a certificate names its uses (extended key usage) and, for a node, all hosts it may be called by, IP
 * addresses also as DNS names: mbedTLS 2.28 compares only those. Thread: any. Foreign library: mbedTLS. */
#ifndef FTS_CREDENTIALS_CERTIFICATE_H
#define FTS_CREDENTIALS_CERTIFICATE_H

#include <stdint.h>

#include <fts/status.h>

#define FTS_PEM_MAX 4096 /* bytes of one certificate or key, its 0 byte included */
#define FTS_CERTIFICATE_HOST_MAX 16
#define FTS_CERTIFICATE_NAME_MAX 64 /* bytes of a name, its 0 byte included; letters, digits and . _ - */

/* A certificate with its key, as PEM texts. */
struct fts_credential {
	char certificate[FTS_PEM_MAX];
	char key[FTS_PEM_MAX];
};

enum fts_certificate_use {
	FTS_CERTIFICATE_NODE,   /* is called and calls */
	FTS_CERTIFICATE_CLIENT, /* calls */
};

struct fts_certificate_order {
	enum fts_certificate_use use;
	const char *name;                            /* its subject; borrowed */
	const char *hosts[FTS_CERTIFICATE_HOST_MAX]; /* of a node: names and addresses; borrowed */
	size_t host_count;
	uint32_t days; /* from now on; an hour before now is in it, for clocks that are behind */
};

/* A new authority. name: borrowed. out_authority: the caller's; wipe it after use (fts_credential_wipe).
 * Errors: INVALID_ARGUMENT (name), RESOURCE_EXHAUSTED, INTERNAL (mbedTLS; its number is in the detail). */
FTS_MUST_USE enum fts_status fts_authority_make(const char *name, uint32_t days, struct fts_credential *out_authority,
						struct fts_error *out_error);
/* A new key, and a certificate for it by authority (borrowed). out_credential: the caller's; wipe it after use.
 * Errors: as above; INVALID_ARGUMENT (a host that is none, an authority that can't be read). */
FTS_MUST_USE enum fts_status fts_certificate_make(const struct fts_credential *authority,
						  const struct fts_certificate_order *order,
						  struct fts_credential *out_credential, struct fts_error *out_error);
void fts_credential_wipe(struct fts_credential *credential);

/* When the first certificate in a PEM file (path: borrowed) ends, Unix ms. Errors: INVALID_ARGUMENT (can't be read, holds
 * none). Blocks for as long as reading takes. */
FTS_MUST_USE enum fts_status fts_certificate_ends(const char *path, int64_t *out_ends_ms);

#endif
