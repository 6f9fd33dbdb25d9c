/* Why this file exists: see tls.h. */
#include "rpc/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/secret_file.h"

#define PEM_MAX_BYTES 65536u
#define DER_START_BYTES 48u

bool ftsi_tls_wanted(const struct fts_tls *tls)
{
	return tls->ca_file != NULL || tls->cert_file != NULL || tls->key_file != NULL;
}

enum fts_status ftsi_nng_status(int nng_error)
{
	switch (nng_error) {
	case 0:
		return FTS_OK;
	case NNG_ENOMEM:
	case NNG_ENOFILES:
	case NNG_ENOSPC:
		return FTS_RESOURCE_EXHAUSTED;
	case NNG_ETIMEDOUT:
		return FTS_DEADLINE_EXCEEDED;
	case NNG_ECANCELED:
		return FTS_CANCELLED;
	case NNG_EINVAL:
	case NNG_EADDRINVAL:
	case NNG_ENOTSUP:
		return FTS_INVALID_ARGUMENT;
	case NNG_EPEERAUTH:
	case NNG_ECRYPTO:
		return FTS_UNAUTHENTICATED;
	default:
		return FTS_UNAVAILABLE;
	}
}

/* The file's text with a 0 behind it. Returned (pem_free); NULL: err says why. */
static char *pem_read(const char *path, bool secret, struct fts_error *err)
{
	struct stat info;
	char *text = NULL;
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		fts_error_set(err, FTS_INVALID_ARGUMENT, "can't read %s: %s", path, strerror(errno));
		return NULL;
	}
	if (secret && fts_secret_file_check(fileno(file), path, err) != FTS_OK) goto out;
	if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) {
		fts_error_set(err, FTS_INVALID_ARGUMENT, "%s is not a file", path);
		goto out;
	}
	if ((text = calloc(1, PEM_MAX_BYTES)) == NULL) {
		fts_error_set(err, FTS_RESOURCE_EXHAUSTED, "no memory for %s", path);
		goto out;
	}
	size_t size_bytes = fread(text, 1, PEM_MAX_BYTES, file);
	if (size_bytes == 0 || size_bytes == PEM_MAX_BYTES || ferror(file)) {
		fts_error_set(err, FTS_INVALID_ARGUMENT, "%s is not a PEM file of 1 to %u bytes", path,
			      PEM_MAX_BYTES - 1);
		free(text);
		text = NULL;
	}
out:
	fclose(file);
	return text;
}

static void pem_free(char *text)
{
	if (text == NULL) return;
	explicit_bzero(text, PEM_MAX_BYTES);
	free(text);
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z') return c - 'A';
	if (c >= 'a' && c <= 'z') return c - 'a' + 26;
	if (c >= '0' && c <= '9') return c - '0' + 52;
	if (c == '+') return 62;
	return c == '/' ? 63 : -1;
}

/* The first bytes of the PEM body at text; returns how many. */
static size_t der_start(const char *text, uint8_t out[DER_START_BYTES])
{
	uint32_t bits = 0;
	unsigned bit_count = 0;
	size_t size = 0;
	for (; *text != '\0' && *text != '-' && size < DER_START_BYTES; text++) {
		int value = base64_value(*text);
		if (value < 0) continue;
		bits = bits << 6 | (uint32_t)value;
		bit_count += 6;
		if (bit_count < 8) continue;
		bit_count -= 8;
		out[size++] = (uint8_t)(bits >> bit_count);
	}
	return size;
}

/* True for an RSA key, which this mbedTLS leaks by its timing (Marvin). */
static bool key_is_rsa(const char *pem)
{
	static const char pkcs8[] = "-----BEGIN PRIVATE KEY-----";
	static const uint8_t rsa_oid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01};
	if (strstr(pem, "BEGIN RSA PRIVATE KEY") != NULL) return true;
	const char *body = strstr(pem, pkcs8);
	if (body == NULL) return false;
	uint8_t der[DER_START_BYTES];
	size_t size = der_start(body + sizeof pkcs8 - 1, der);
	return memmem(der, size, rsa_oid, sizeof rsa_oid) != NULL;
}

static enum fts_status load_own(nng_tls_config *config, const struct fts_tls *tls, struct fts_error *err)
{
	enum fts_status st = FTS_INVALID_ARGUMENT;
	char *cert = NULL, *key = NULL;
	int rc;
	if (tls->cert_file == NULL || tls->key_file == NULL)
		return fts_error_set(err, FTS_INVALID_ARGUMENT, "TLS needs both a certificate and its key");
	if ((cert = pem_read(tls->cert_file, false, err)) == NULL) goto out;
	if ((key = pem_read(tls->key_file, true, err)) == NULL) goto out;
	if (key_is_rsa(key)) {
		fts_error_set(err, st, "%s is an RSA key: make an ECDSA one (prime256v1)", tls->key_file);
	} else if ((rc = nng_tls_config_own_cert(config, cert, key, NULL)) != 0) {
		fts_error_set(err, st, "%s and %s can't be used: %s", tls->cert_file, tls->key_file, nng_strerror(rc));
	} else if (!ftsi_tls_pair_fits(cert, key)) {
		fts_error_set(err, st, "%s is not the key of %s: give the two that were made together", tls->key_file,
			      tls->cert_file);
	} else {
		st = FTS_OK;
	}
out:
	pem_free(cert);
	pem_free(key);
	return st;
}

/* The authorities of both files, one behind the other; second may be NULL. Returned (pem_free); NULL: err says why. */
static char *read_authorities(const char *first, const char *second, struct fts_error *err)
{
	char *one = pem_read(first, false, err), *two = NULL, *both = NULL;
	if (one == NULL || second == NULL) return one;
	if ((two = pem_read(second, false, err)) == NULL) goto out;
	size_t one_bytes = strlen(one), two_bytes = strlen(two);
	if (one_bytes + two_bytes + 2 > PEM_MAX_BYTES || (both = calloc(1, PEM_MAX_BYTES)) == NULL) {
		fts_error_set(err, FTS_INVALID_ARGUMENT, "%s and %s: at most %u bytes together", first, second,
			      PEM_MAX_BYTES - 2);
		goto out;
	}
	memcpy(both, one, one_bytes);
	both[one_bytes] = '\n';
	memcpy(both + one_bytes + 1, two, two_bytes);
out:
	pem_free(one);
	pem_free(two);
	return both;
}

/* A server takes callers of either authority; a caller takes servers of the first alone. */
static enum fts_status load_ca(nng_tls_config *config, const struct fts_tls *tls, bool server, struct fts_error *err)
{
	int rc;
	char *ca = read_authorities(tls->ca_file, server ? tls->client_ca_file : NULL, err);
	if (ca == NULL) return FTS_INVALID_ARGUMENT;
	if ((rc = nng_tls_config_ca_chain(config, ca, NULL)) == 0)
		rc = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED);
	pem_free(ca);
	if (rc == 0) return FTS_OK;
	return fts_error_set(err, FTS_INVALID_ARGUMENT, "%s can't be used: %s", tls->ca_file, nng_strerror(rc));
}

enum fts_status ftsi_tls_config_create(const struct fts_tls *tls, enum ftsi_role role, const char *server_name,
				       nng_tls_config **out_config, struct fts_error *out_error)
{
	bool server = role == FTSI_ROLE_SERVER;
	nng_tls_config *config = NULL;
	enum fts_status st = FTS_OK;
	if (!server && tls->ca_file == NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "TLS needs a CA to check the server by");
	if (tls->client_ca_file != NULL && tls->ca_file == NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "an authority of clients goes with one of nodes: name both");
	if (nng_tls_config_alloc(&config, server ? NNG_TLS_MODE_SERVER : NNG_TLS_MODE_CLIENT) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for TLS");
	if ((server || tls->cert_file != NULL || tls->key_file != NULL) &&
	    (st = load_own(config, tls, out_error)) != FTS_OK)
		goto out;
	if (tls->ca_file != NULL && (st = load_ca(config, tls, server, out_error)) != FTS_OK) goto out;
	if (!server && server_name != NULL && nng_tls_config_server_name(config, server_name) != 0)
		st = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for TLS");
out:
	if (st != FTS_OK) {
		nng_tls_config_free(config);
		return st;
	}
	*out_config = config;
	return FTS_OK;
}
