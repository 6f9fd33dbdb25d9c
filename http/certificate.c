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

enum fts_status ftsi_certificates_read(struct fts_door *door, struct fts_error *out_error)
{
	const char *const paths[] = {door->options.tls.ca_file, door->options.tls.cert_file,
				     door->options.tls.key_file};
	for (size_t i = 0; i < 3; i++)
		if ((door->pem[i] = read_file(paths[i])) == NULL)
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--http: %s can't be read", paths[i]);
	return FTS_OK;
}

bool ftsi_certificate_is_good(struct MHD_Connection *connection)
{
	unsigned faults = 0;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info == NULL || info->tls_session == NULL) return false;
	return gnutls_certificate_verify_peers2(info->tls_session, &faults) == GNUTLS_E_SUCCESS && faults == 0;
}
