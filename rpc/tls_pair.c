/* Why this file exists: see rpc/tls.h. nng takes a certificate and a key that don't belong together without a word, and
 * then each handshake fails: a pair that was renewed one file after the other would shut a node off. */
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <string.h>

#include "rpc/tls.h"

bool ftsi_tls_pair_fits(const char *cert_pem, const char *key_pem)
{
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
	mbedtls_x509_crt_init(&cert);
	mbedtls_pk_init(&key);
	bool fits = mbedtls_x509_crt_parse(&cert, (const unsigned char *)cert_pem, strlen(cert_pem) + 1) == 0 &&
		    mbedtls_pk_parse_key(&key, (const unsigned char *)key_pem, strlen(key_pem) + 1, NULL, 0) == 0 &&
		    mbedtls_pk_check_pair(&cert.pk, &key) == 0;
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&cert);
	return fits;
}
