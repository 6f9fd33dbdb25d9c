/* Why this file exists: TLS at the door. libmicrohttpd reads certificates once and lets everybody in; here each
 * handshake is given what the files hold now, and each caller's certificate is looked at. The certificate says that the
 * caller may come in; who it is, its token says, as everywhere.
 *
 * Invariants: rpc/tls_watch.h tells when the files have changed, and that they can be used. A set lives for OLD_SET_NS
 * longer than new handshakes get it: GnuTLS borrows it until a handshake is over, and the door cuts those off long
 * before. A process has one door with TLS: GnuTLS asks for a certificate without saying on whose behalf. */
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/internal.h"
#include "rpc/tls_watch.h"

#define PEM_MAX_BYTES (1024u * 1024)
#define CHAIN_MAX 8u
#define OLD_SET_NS 120000000000ull

/* What the files held at one moment. */
struct ftsi_http_certificates {
	struct ftsi_http_certificates *next; /* the one before; guarded by the door's lock */
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned chain_count;
	gnutls_privkey_t key;
	gnutls_x509_trust_list_t trust;
	uint64_t left_ns; /* since when it is not the newest; 0: it is */
};

static pthread_mutex_t door_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fts_door *door_with_tls; /* guarded by door_lock */

/* ---- Reading ---- */

/* Text with a 0 behind it. NULL: it can't be read. */
static char *read_file(const char *path)
{
	char *text = NULL;
	FILE *file = fopen(path, "re");
	if (file == NULL) return NULL;
	if ((text = malloc(PEM_MAX_BYTES + 1)) != NULL) {
		size_t size = fread(text, 1, PEM_MAX_BYTES, file);
		text[size] = '\0';
	}
	fclose(file);
	return text;
}

/* Of nodes and of clients: browsers offer only certificates of those that they are told of. Returned (free()); NULL:
 * they can't be read. */
static char *read_authorities(const struct fts_tls *tls)
{
	char *nodes = read_file(tls->ca_file), *both = NULL;
	char *clients = tls->client_ca_file == NULL ? NULL : read_file(tls->client_ca_file);
	if (nodes != NULL && asprintf(&both, "%s\n%s", nodes, clients == NULL ? "" : clients) < 0) both = NULL;
	free(clients);
	free(nodes);
	return both;
}

static gnutls_datum_t datum_of(char *text)
{
	return (gnutls_datum_t){(unsigned char *)text, text == NULL ? 0 : (unsigned)strlen(text)};
}

static void wipe(char *text)
{
	if (text != NULL) explicit_bzero(text, strlen(text));
	free(text);
}

static void set_destroy(struct ftsi_http_certificates *set)
{
	if (set == NULL) return;
	for (unsigned i = 0; i < set->chain_count; i++)
		gnutls_pcert_deinit(&set->chain[i]);
	if (set->key != NULL) gnutls_privkey_deinit(set->key);
	if (set->trust != NULL) gnutls_x509_trust_list_deinit(set->trust, 1);
	free(set);
}

/* Callers may show a certificate of the clients' authority as well as of the nodes'. */
static int add_trust(struct ftsi_http_certificates *set, const char *path)
{
	char *text = path == NULL ? NULL : read_file(path);
	if (path == NULL) return 0;
	gnutls_datum_t pem = datum_of(text);
	int count = gnutls_x509_trust_list_add_trust_mem(set->trust, &pem, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
	free(text);
	return count > 0 ? 0 : GNUTLS_E_NO_CERTIFICATE_FOUND;
}

/* Is the key that of the first certificate? */
static int fits(const struct ftsi_http_certificates *set)
{
	unsigned char certificate_id[64], key_id[64];
	size_t certificate_bytes = sizeof(certificate_id), key_bytes = sizeof(key_id);
	gnutls_pubkey_t key = NULL;
	int result = gnutls_pubkey_init(&key);
	if (result == 0) result = gnutls_pubkey_import_privkey(key, set->key, 0, 0);
	if (result == 0) result = gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, key_id, &key_bytes);
	if (result == 0)
		result = gnutls_pubkey_get_key_id(set->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, certificate_id,
						  &certificate_bytes);
	if (key != NULL) gnutls_pubkey_deinit(key);
	if (result != 0) return result;
	return key_bytes == certificate_bytes && memcmp(key_id, certificate_id, key_bytes) == 0
		   ? 0
		   : GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
}

static int set_fill(struct ftsi_http_certificates *set, const struct fts_tls *tls)
{
	char *chain_text = read_file(tls->cert_file), *key_text = read_file(tls->key_file);
	gnutls_datum_t chain = datum_of(chain_text), key = datum_of(key_text);
	unsigned chain_count = CHAIN_MAX;
	int result = gnutls_pcert_list_import_x509_raw(set->chain, &chain_count, &chain, GNUTLS_X509_FMT_PEM, 0);
	if (result == 0) set->chain_count = chain_count;
	if (result == 0) result = gnutls_privkey_init(&set->key);
	if (result == 0) result = gnutls_privkey_import_x509_raw(set->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (result == 0) result = fits(set);
	if (result == 0) result = gnutls_x509_trust_list_init(&set->trust, 0);
	if (result == 0) result = add_trust(set, tls->ca_file);
	if (result == 0) result = add_trust(set, tls->client_ca_file);
	free(chain_text);
	wipe(key_text);
	return result;
}

static enum fts_status set_load(struct fts_door *door, struct fts_error *out_error)
{
	struct ftsi_http_certificates *set = calloc(1, sizeof(*set));
	if (set == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "--http: no memory for TLS");
	int result = set_fill(set, &door->options.tls);
	if (result < 0) {
		set_destroy(set);
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--http: certificate %s, its key and authorities can't be used: %s",
				     door->options.tls.cert_file, gnutls_strerror(result));
	}
	pthread_mutex_lock(&door->lock);
	if (door->certificates != NULL) door->certificates->left_ns = fts_clock_monotonic_ns();
	set->next = door->certificates;
	door->certificates = set;
	pthread_mutex_unlock(&door->lock);
	return FTS_OK;
}

/* ---- What GnuTLS asks ---- */

static int give_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
			    const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **out_chain,
			    unsigned *out_chain_count, gnutls_privkey_t *out_key)
{
	int result = GNUTLS_E_NO_CERTIFICATE_FOUND;
	(void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
	pthread_mutex_lock(&door_lock);
	if (door_with_tls != NULL) {
		pthread_mutex_lock(&door_with_tls->lock);
		struct ftsi_http_certificates *set = door_with_tls->certificates;
		*out_chain = set->chain;
		*out_chain_count = set->chain_count;
		*out_key = set->key;
		pthread_mutex_unlock(&door_with_tls->lock);
		result = 0;
	}
	pthread_mutex_unlock(&door_lock);
	return result;
}

void *ftsi_certificates_callback(void)
{
	gnutls_certificate_retrieve_function2 *function = give_certificate;
	void *pointer;
	memcpy(&pointer, &function, sizeof(pointer)); /* libmicrohttpd takes it so */
	return pointer;
}

/* The certificates that the other side has shown, as it sent them. Returns how many. */
static unsigned peer_chain(gnutls_session_t session, gnutls_x509_crt_t out_chain[CHAIN_MAX])
{
	unsigned shown = 0, count = 0;
	const gnutls_datum_t *raw = gnutls_certificate_get_peers(session, &shown);
	for (; raw != NULL && count < shown && count < CHAIN_MAX; count++) {
		if (gnutls_x509_crt_init(&out_chain[count]) != 0) break;
		if (gnutls_x509_crt_import(out_chain[count], &raw[count], GNUTLS_X509_FMT_DER) == 0) continue;
		gnutls_x509_crt_deinit(out_chain[count]);
		break;
	}
	return count;
}

bool ftsi_certificate_is_good(struct fts_door *door, struct MHD_Connection *connection)
{
	gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID,
					 (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT, 0};
	gnutls_x509_crt_t chain[CHAIN_MAX];
	unsigned faults = 1;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info == NULL || info->tls_session == NULL) return false;
	unsigned count = peer_chain(info->tls_session, chain);
	pthread_mutex_lock(&door->lock);
	int result = count == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND
				: gnutls_x509_trust_list_verify_crt2(door->certificates->trust, chain, count, &purpose,
								     1, 0, &faults, NULL);
	pthread_mutex_unlock(&door->lock);
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	return result >= 0 && faults == 0;
}

/* ---- Life ---- */

/* The files have changed, and nng's TLS can use them: the housekeeper takes them. */
static int on_change(void *ctx, nng_tls_config *config)
{
	struct fts_door *door = ctx;
	(void)config; /* nng's: this door has another library */
	atomic_store(&door->renew, true);
	return 0;
}

enum fts_status ftsi_certificates_open(struct fts_door *door, struct fts_error *out_error)
{
	pthread_mutex_lock(&door_lock);
	bool first = door_with_tls == NULL;
	if (first) door_with_tls = door;
	pthread_mutex_unlock(&door_lock);
	if (!first) return fts_error_set(out_error, FTS_FAILED_PRECONDITION, "--http: a process has one door with TLS");
	enum fts_status status =
	    ftsi_tls_watch_create(&door->options.tls, FTSI_ROLE_SERVER, NULL, on_change, door, &door->watch, out_error);
	atomic_store(&door->renew, false); /* what is there now is read at once */
	if (status != FTS_OK) return status;
	if ((status = set_load(door, out_error)) != FTS_OK) return status;
	door->trust_pem = read_authorities(&door->options.tls);
	return door->trust_pem != NULL ? FTS_OK
				       : fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--http: %s can't be read",
						       door->options.tls.ca_file);
}

/* Handshakes that began with these are over. Called with the door's lock held; returns those to be destroyed. */
static struct ftsi_http_certificates *take_old(struct fts_door *door, uint64_t now_ns)
{
	struct ftsi_http_certificates **at = &door->certificates;
	while (*at != NULL && ((*at)->left_ns == 0 || now_ns - (*at)->left_ns < OLD_SET_NS))
		at = &(*at)->next;
	struct ftsi_http_certificates *old = *at; /* those behind it are older still */
	*at = NULL;
	return old;
}

static void destroy_all(struct ftsi_http_certificates *set)
{
	while (set != NULL) {
		struct ftsi_http_certificates *next = set->next;
		set_destroy(set);
		set = next;
	}
}

void ftsi_certificates_keep(struct fts_door *door, uint64_t now_ns)
{
	struct fts_error error;
	char quoted[2 * FTS_DETAIL_MAX];
	if (!door->rules.https) return;
	pthread_mutex_lock(&door->lock);
	struct ftsi_http_certificates *old = take_old(door, now_ns);
	pthread_mutex_unlock(&door->lock);
	destroy_all(old);
	if (!atomic_exchange(&door->renew, false) || set_load(door, &error) == FTS_OK) return;
	FTS_LOG_WARN("tls.not_renewed", "detail=%s", fts_log_quote(quoted, sizeof(quoted), error.detail));
}

void ftsi_certificates_close(struct fts_door *door)
{
	if (!door->rules.https) return;
	ftsi_tls_watch_destroy(door->watch);
	pthread_mutex_lock(&door_lock);
	if (door_with_tls == door) door_with_tls = NULL;
	pthread_mutex_unlock(&door_lock);
	destroy_all(door->certificates);
	free(door->trust_pem);
}
