/* Why this file exists: see client/cli/doctor_look.h. */
#include "client/cli/doctor_look.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- The port ---- */

/* Connect within timeout_ms. Returns the descriptor, or -errno. */
static int connect_to(const struct addrinfo *address, uint32_t timeout_ms)
{
	int error = 0;
	socklen_t size = sizeof(error);
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd waits = {.fd = fd, .events = POLLOUT};

	if (fd < 0) return -errno;
	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) return fd;
	if (errno != EINPROGRESS)
		error = errno;
	else if (poll(&waits, 1, (int)timeout_ms) != 1)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error == 0) return fd;
	close(fd);
	return -error;
}

static enum ftsi_look open_port(const struct ftsi_endpoint *endpoint, uint32_t timeout_ms, int *out_fd,
				char *out_detail)
{
	char port[8];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;

	snprintf(port, sizeof(port), "%u", endpoint->port);
	int error = getaddrinfo(endpoint->host, port, &hints, &found);
	if (error != 0) {
		snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "%s can't be resolved: %s", endpoint->host,
			 gai_strerror(error));
		return FTSI_LOOK_NAME;
	}
	int fd = connect_to(found, timeout_ms);
	freeaddrinfo(found);
	if (fd >= 0) {
		*out_fd = fd;
		return FTSI_LOOK_WELL;
	}
	if (fd == -ECONNREFUSED) {
		snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "nobody listens on %s", endpoint->text);
		return FTSI_LOOK_CLOSED;
	}
	snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "%s does not answer: %s", endpoint->text, strerror(-fd));
	return FTSI_LOOK_SILENT;
}

/* ---- The certificate ---- */

static void write_day(time_t when, char *out, size_t size_bytes)
{
	struct tm day;
	if (gmtime_r(&when, &day) == NULL || strftime(out, size_bytes, "%Y-%m-%d %H:%M UTC", &day) == 0)
		snprintf(out, size_bytes, "(unknown)");
}

/* From when until when it is good. False: there is none that can be read. */
static bool read_times(gnutls_session_t session, time_t *out_from, time_t *out_until)
{
	unsigned count = 0;
	gnutls_x509_crt_t certificate;
	const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &count);

	if (list == NULL || count == 0 || gnutls_x509_crt_init(&certificate) != 0) return false;
	bool read = gnutls_x509_crt_import(certificate, &list[0], GNUTLS_X509_FMT_DER) == 0;
	if (read) {
		*out_from = gnutls_x509_crt_get_activation_time(certificate);
		*out_until = gnutls_x509_crt_get_expiration_time(certificate);
	}
	gnutls_x509_crt_deinit(certificate);
	return read;
}

static enum ftsi_look judge(gnutls_session_t session, const char *host, char *out_detail)
{
	char day[40];
	unsigned faults = 0;
	time_t from = 0, until = 0, now = time(NULL);

	if (gnutls_certificate_verify_peers3(session, host, &faults) != GNUTLS_E_SUCCESS) {
		snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "its certificate can't be read");
		return FTSI_LOOK_REFUSED;
	}
	if (read_times(session, &from, &until) && (now > until || now < from)) {
		write_day(now > until ? until : from, day, sizeof(day));
		snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "its certificate %s %s",
			 now > until ? "was good until" : "is good only from", day);
		return FTSI_LOOK_EXPIRED;
	}
	if ((faults & GNUTLS_CERT_UNEXPECTED_OWNER) != 0) {
		snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "its certificate is not for %s", host);
		return FTSI_LOOK_OTHER_NAME;
	}
	if (faults == 0) return FTSI_LOOK_WELL;
	snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "its certificate is not of the authority in --tls-ca");
	return FTSI_LOOK_FOREIGN;
}

/* What a client does, but that a bad certificate does not end it: all of it is looked at. */
static enum ftsi_look look_at_tls(gnutls_session_t session, const char *host, uint32_t timeout_ms, char *out_detail)
{
	int result;

	gnutls_handshake_set_timeout(session, timeout_ms);
	do
		result = gnutls_handshake(session);
	while (result < 0 && gnutls_error_is_fatal(result) == 0);
	if (result >= 0) return judge(session, host, out_detail);
	enum ftsi_look look = FTSI_LOOK_REFUSED;
	/* It has shown its certificate, and then did not like ours. */
	if (gnutls_certificate_get_peers(session, &(unsigned){0}) != NULL) look = judge(session, host, out_detail);
	if (look == FTSI_LOOK_WELL || out_detail[0] == '\0')
		snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "TLS with it ends: %s", gnutls_strerror(result));
	return look == FTSI_LOOK_WELL ? FTSI_LOOK_REFUSED : look;
}

static enum ftsi_look handshake(int fd, const char *host, const struct fts_tls *tls, uint32_t timeout_ms,
				char *out_detail)
{
	gnutls_certificate_credentials_t credentials = NULL;
	gnutls_session_t session = NULL;
	enum ftsi_look look = FTSI_LOOK_REFUSED;

	if (gnutls_certificate_allocate_credentials(&credentials) != 0 || gnutls_init(&session, GNUTLS_CLIENT) != 0) {
		snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES, "no memory for TLS");
		goto out;
	}
	if (gnutls_certificate_set_x509_trust_file(credentials, tls->ca_file, GNUTLS_X509_FMT_PEM) <= 0 ||
	    (tls->cert_file != NULL && gnutls_certificate_set_x509_key_file(credentials, tls->cert_file, tls->key_file,
									    GNUTLS_X509_FMT_PEM) != 0)) {
		snprintf(out_detail, FTSI_LOOK_DETAIL_BYTES,
			 "the files of --tls-ca, --tls-cert and --tls-key can't be read");
		goto out;
	}
	(void)gnutls_set_default_priority(session);
	(void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
	(void)gnutls_server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host));
	gnutls_transport_set_int(session, fd);
	look = look_at_tls(session, host, timeout_ms, out_detail);
out:
	if (session != NULL) gnutls_deinit(session);
	if (credentials != NULL) gnutls_certificate_free_credentials(credentials);
	return look;
}

enum ftsi_look ftsi_doctor_look(const struct ftsi_endpoint *endpoint, const struct fts_tls *tls, uint32_t timeout_ms,
				char *out_detail)
{
	int fd = -1;
	out_detail[0] = '\0';
	enum ftsi_look look = open_port(endpoint, timeout_ms, &fd, out_detail);
	if (look != FTSI_LOOK_WELL) return look;
	if (tls->ca_file != NULL) {
		(void)fcntl(fd, F_SETFL, 0); /* the handshake has a time limit of its own */
		look = handshake(fd, endpoint->host, tls, timeout_ms, out_detail);
	}
	close(fd);
	return look;
}
