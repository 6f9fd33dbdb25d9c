/* Why this file exists: TLS at the door. libmicrohttpd asks for a client's certificate but lets everybody in; here it
 * is looked at. The certificate says that the caller may come in; who it is, its token says, as everywhere. */
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/internal.h"

#define PEM_MAX_BYTES (1024u * 1024)

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

/* Callers may show a certificate of the clients' authority as well as of the nodes'. */
static enum fts_status add_client_authority(struct fts_door *door, struct fts_error *out_error)
{
	const char *path = door->options.tls.client_ca_file;
	char *more = read_file(path), *both = NULL;
	if (more == NULL) return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--http: %s can't be read", path);
	int size = asprintf(&both, "%s\n%s", door->pem[0], more);
	free(more);
	if (size < 0) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "out of memory");
	free(door->pem[0]);
	door->pem[0] = both;
	return FTS_OK;
}

enum fts_status ftsi_certificates_read(struct fts_door *door, struct fts_error *out_error)
{
	const char *const paths[] = {door->options.tls.ca_file, door->options.tls.cert_file,
				     door->options.tls.key_file};
	for (size_t i = 0; i < 3; i++)
		if ((door->pem[i] = read_file(paths[i])) == NULL)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--http: %s can't be read", paths[i]);
	return door->options.tls.client_ca_file == NULL ? FTS_OK : add_client_authority(door, out_error);
}

bool ftsi_certificate_is_good(struct MHD_Connection *connection)
{
	unsigned faults = 0;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info == NULL || info->tls_session == NULL) return false;
	return gnutls_certificate_verify_peers2(info->tls_session, &faults) == GNUTLS_E_SUCCESS && faults == 0;
}
