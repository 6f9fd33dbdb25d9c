/* Why this file exists: see certificate.h. */
#include "credentials/certificate.h"

#include <arpa/inet.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERIAL_BYTES 16
#define CLOCK_SLACK_S 3600
#define DAYS_MAX 36500u
#define HOST_BYTES_MAX 253
#define EXTENSION_BYTES 8192
#define DER_SEQUENCE 0x30
#define DER_DNS_NAME 0x82 /* GeneralName, RFC 5280 section 4.2.1.6 */
#define DER_IP_ADDRESS 0x87

/* What mbedTLS needs for each certificate. */
struct maker {
	mbedtls_entropy_context entropy;
	mbedtls_ctr_drbg_context random;
	mbedtls_x509write_cert draft;
	mbedtls_pk_context key, issuer_key;
	mbedtls_x509_crt issuer;
	mbedtls_mpi serial;
	char subject[FTS_CERTIFICATE_NAME_MAX + 8], issuer_name[512];
};

static void maker_init(struct maker *maker)
{
	mbedtls_entropy_init(&maker->entropy);
	mbedtls_ctr_drbg_init(&maker->random);
	mbedtls_x509write_crt_init(&maker->draft);
	mbedtls_pk_init(&maker->key);
	mbedtls_pk_init(&maker->issuer_key);
	mbedtls_x509_crt_init(&maker->issuer);
	mbedtls_mpi_init(&maker->serial);
}

static void maker_fini(struct maker *maker)
{
	mbedtls_mpi_free(&maker->serial);
	mbedtls_x509_crt_free(&maker->issuer);
	mbedtls_pk_free(&maker->issuer_key);
	mbedtls_pk_free(&maker->key);
	mbedtls_x509write_crt_free(&maker->draft);
	mbedtls_ctr_drbg_free(&maker->random);
	mbedtls_entropy_free(&maker->entropy);
}

static enum fts_status failed(const char *what, int number, struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_INTERNAL, "%s: mbedTLS error -0x%04x", what, (unsigned)-number);
}

static bool is_name(const char *text)
{
	size_t size = strlen(text);
	return size > 0 && size < FTS_CERTIFICATE_NAME_MAX &&
	       size == strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
}

static bool is_host(const char *text)
{
	struct in6_addr address;
	size_t size = strlen(text);
	if (inet_pton(AF_INET6, text, &address) == 1) return true;
	return size > 0 && size <= HOST_BYTES_MAX &&
	       size == strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
}

/* ---- What every certificate has ---- */

static int make_key(struct maker *maker)
{
	int result = mbedtls_pk_setup(&maker->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
	if (result != 0) return result;
	return mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(maker->key), mbedtls_ctr_drbg_random,
				   &maker->random);
}

static int set_serial(struct maker *maker)
{
	unsigned char bytes[SERIAL_BYTES];
	int result = mbedtls_ctr_drbg_random(&maker->random, bytes, sizeof bytes);
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and all of its bytes count */
	if (result == 0) result = mbedtls_mpi_read_binary(&maker->serial, bytes, sizeof bytes);
	return result != 0 ? result : mbedtls_x509write_crt_set_serial(&maker->draft, &maker->serial);
}

static int set_validity(struct maker *maker, uint32_t days)
{
	char from[16], until[16];
	struct tm parts;
	time_t now = time(NULL), begin = now - CLOCK_SLACK_S, end = now + (time_t)days * 24 * 3600;
	if (gmtime_r(&begin, &parts) == NULL || strftime(from, sizeof from, "%Y%m%d%H%M%S", &parts) == 0)
		return MBEDTLS_ERR_X509_INVALID_DATE;
	if (gmtime_r(&end, &parts) == NULL || strftime(until, sizeof until, "%Y%m%d%H%M%S", &parts) == 0)
		return MBEDTLS_ERR_X509_INVALID_DATE;
	return mbedtls_x509write_crt_set_validity(&maker->draft, from, until);
}

static int begin(struct maker *maker, const char *name, uint32_t days)
{
	int result = mbedtls_ctr_drbg_seed(&maker->random, mbedtls_entropy_func, &maker->entropy, NULL, 0);
	if (result == 0) result = make_key(maker);
	if (result == 0) result = set_serial(maker);
	if (result == 0) result = set_validity(maker, days);
	if (result != 0) return result;
	(void)snprintf(maker->subject, sizeof maker->subject, "CN=%s", name);
	mbedtls_x509write_crt_set_version(&maker->draft, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(&maker->draft, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(&maker->draft, &maker->key);
	return mbedtls_x509write_crt_set_subject_name(&maker->draft, maker->subject);
}

static int finish(struct maker *maker, struct fts_credential *out_credential)
{
	struct fts_credential made;
	int result = mbedtls_x509write_crt_set_subject_key_identifier(&maker->draft);
	if (result == 0) result = mbedtls_x509write_crt_set_authority_key_identifier(&maker->draft);
	if (result == 0)
		result = mbedtls_x509write_crt_pem(&maker->draft, (unsigned char *)made.certificate,
						   sizeof made.certificate, mbedtls_ctr_drbg_random, &maker->random);
	if (result == 0) result = mbedtls_pk_write_key_pem(&maker->key, (unsigned char *)made.key, sizeof made.key);
	if (result == 0) *out_credential = made;
	fts_credential_wipe(&made);
	return result;
}

/* ---- An authority ---- */

static int make_authority(struct maker *maker, const char *name, uint32_t days, struct fts_credential *out_authority)
{
	int result = begin(maker, name, days);
	mbedtls_x509write_crt_set_issuer_key(&maker->draft, &maker->key);
	if (result == 0) result = mbedtls_x509write_crt_set_issuer_name(&maker->draft, maker->subject);
	if (result == 0) result = mbedtls_x509write_crt_set_basic_constraints(&maker->draft, 1, 0);
	if (result == 0)
		result = mbedtls_x509write_crt_set_key_usage(&maker->draft,
							     MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN);
	return result == 0 ? finish(maker, out_authority) : result;
}

static enum fts_status check(const char *name, uint32_t days, struct fts_error *out_error)
{
	if (!is_name(name))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "\"%.100s\" is no name: 1 to %d letters, digits and . _ - are expected", name,
				     FTS_CERTIFICATE_NAME_MAX - 1);
	if (days == 0 || days > DAYS_MAX)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "1 to %u days are expected, not %u", DAYS_MAX,
				     days);
	return FTS_OK;
}

enum fts_status fts_authority_make(const char *name, uint32_t days, struct fts_credential *out_authority,
				   struct fts_error *out_error)
{
	struct maker maker;
	enum fts_status status = check(name, days, out_error);
	if (status != FTS_OK) return status;
	maker_init(&maker);
	int result = make_authority(&maker, name, days, out_authority);
	maker_fini(&maker);
	return result == 0 ? FTS_OK : failed("the authority could not be made", result, out_error);
}

/* ---- A certificate by one ---- */

/* Bytes of an extension, written from their end to the beginning, as DER is easiest. */
struct der {
	unsigned char bytes[EXTENSION_BYTES];
	size_t at; /* first byte in use */
};

static bool put(struct der *der, unsigned char tag, const void *data, size_t size_bytes)
{
	if (der->at < size_bytes + 4) return false;
	if (data != NULL) memcpy(der->bytes + (der->at -= size_bytes), data, size_bytes);
	if (size_bytes > 0xff) {
		der->bytes[--der->at] = (unsigned char)size_bytes;
		der->bytes[--der->at] = (unsigned char)(size_bytes >> 8);
		der->bytes[--der->at] = 0x82;
	} else {
		der->bytes[--der->at] = (unsigned char)size_bytes;
		if (size_bytes > 0x7f) der->bytes[--der->at] = 0x81;
	}
	der->bytes[--der->at] = tag;
	return true;
}

/* Wrap all that is there. */
static bool put_sequence(struct der *der)
{
	return put(der, DER_SEQUENCE, NULL, sizeof der->bytes - der->at);
}

static bool put_host(struct der *der, const char *host)
{
	unsigned char address[16];
	if (inet_pton(AF_INET, host, address) == 1 && !put(der, DER_IP_ADDRESS, address, 4)) return false;
	if (inet_pton(AF_INET6, host, address) == 1 && !put(der, DER_IP_ADDRESS, address, 16)) return false;
	return put(der, DER_DNS_NAME, host, strlen(host));
}

static int set_hosts(struct maker *maker, const struct fts_certificate_order *order)
{
	struct der der = {.at = sizeof der.bytes};
	if (order->host_count == 0) return 0;
	for (size_t i = order->host_count; i-- > 0;)
		if (!put_host(&der, order->hosts[i])) return MBEDTLS_ERR_X509_BUFFER_TOO_SMALL;
	if (!put_sequence(&der)) return MBEDTLS_ERR_X509_BUFFER_TOO_SMALL;
	return mbedtls_x509write_crt_set_extension(&maker->draft, MBEDTLS_OID_SUBJECT_ALT_NAME,
						   MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
						   der.bytes + der.at, sizeof der.bytes - der.at);
}

static int set_uses(struct maker *maker, enum fts_certificate_use use)
{
	struct der der = {.at = sizeof der.bytes};
	bool fits = put(&der, MBEDTLS_ASN1_OID, MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) &&
		    (use != FTS_CERTIFICATE_NODE ||
		     put(&der, MBEDTLS_ASN1_OID, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH))) &&
		    put_sequence(&der);
	if (!fits) return MBEDTLS_ERR_X509_BUFFER_TOO_SMALL;
	int result = mbedtls_x509write_crt_set_extension(&maker->draft, MBEDTLS_OID_EXTENDED_KEY_USAGE,
							 MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0,
							 der.bytes + der.at, sizeof der.bytes - der.at);
	if (result == 0) result = mbedtls_x509write_crt_set_key_usage(&maker->draft, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
	return result;
}

static int read_authority(struct maker *maker, const struct fts_credential *authority)
{
	int result = mbedtls_x509_crt_parse(&maker->issuer, (const unsigned char *)authority->certificate,
					    strlen(authority->certificate) + 1);
	if (result == 0)
		result = mbedtls_pk_parse_key(&maker->issuer_key, (const unsigned char *)authority->key,
					      strlen(authority->key) + 1, NULL, 0);
	if (result == 0) result = mbedtls_pk_check_pair(&maker->issuer.pk, &maker->issuer_key);
	if (result != 0) return result;
	result = mbedtls_x509_dn_gets(maker->issuer_name, sizeof maker->issuer_name, &maker->issuer.subject);
	return result < 0 ? result : 0;
}

static int make_certificate(struct maker *maker, const struct fts_certificate_order *order,
			    struct fts_credential *out_credential)
{
	int result = begin(maker, order->name, order->days);
	mbedtls_x509write_crt_set_issuer_key(&maker->draft, &maker->issuer_key);
	if (result == 0) result = mbedtls_x509write_crt_set_issuer_name(&maker->draft, maker->issuer_name);
	if (result == 0) result = mbedtls_x509write_crt_set_basic_constraints(&maker->draft, 0, -1);
	if (result == 0) result = set_uses(maker, order->use);
	if (result == 0) result = set_hosts(maker, order);
	return result == 0 ? finish(maker, out_credential) : result;
}

enum fts_status fts_certificate_make(const struct fts_credential *authority, const struct fts_certificate_order *order,
				     struct fts_credential *out_credential, struct fts_error *out_error)
{
	struct maker maker;
	enum fts_status status = check(order->name, order->days, out_error);
	if (status != FTS_OK) return status;
	for (size_t i = 0; i < order->host_count; i++)
		if (!is_host(order->hosts[i]))
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
					     "\"%.100s\" is neither a host name nor an address", order->hosts[i]);
	maker_init(&maker);
	int result = read_authority(&maker, authority);
	if (result != 0) {
		status = fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				       "the authority's certificate and key can't be used: mbedTLS error -0x%04x",
				       (unsigned)-result);
	} else if ((result = make_certificate(&maker, order, out_credential)) != 0) {
		status = failed("the certificate could not be made", result, out_error);
	}
	maker_fini(&maker);
	return status;
}

void fts_credential_wipe(struct fts_credential *credential)
{
	explicit_bzero(credential, sizeof *credential);
}

/* ---- How long one is good ---- */

static int64_t unix_ms(const mbedtls_x509_time *time)
{
	struct tm parts = {.tm_year = time->year - 1900,
			   .tm_mon = time->mon - 1,
			   .tm_mday = time->day,
			   .tm_hour = time->hour,
			   .tm_min = time->min,
			   .tm_sec = time->sec};
	return (int64_t)timegm(&parts) * 1000;
}

enum fts_status fts_certificate_ends(const char *path, int64_t *out_ends_ms)
{
	static const size_t size_max = 1024 * 1024;
	mbedtls_x509_crt chain;
	enum fts_status status = FTS_INVALID_ARGUMENT;
	char *text = malloc(size_max + 1);
	FILE *file = text == NULL ? NULL : fopen(path, "re");
	mbedtls_x509_crt_init(&chain);
	if (file == NULL) goto out;
	size_t size = fread(text, 1, size_max, file);
	text[size] = '\0';
	if (mbedtls_x509_crt_parse(&chain, (const unsigned char *)text, size + 1) != 0) goto out;
	status = FTS_OK;
	*out_ends_ms = unix_ms(&chain.valid_to);
	for (const mbedtls_x509_crt *next = chain.next; next != NULL; next = next->next)
		if (unix_ms(&next->valid_to) < *out_ends_ms) *out_ends_ms = unix_ms(&next->valid_to);
out:
	mbedtls_x509_crt_free(&chain);
	if (file != NULL) fclose(file);
	free(text);
	return status;
}
