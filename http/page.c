/* Why this file exists: the files of page/, which the build puts into the program (http/CMakeLists.txt), as answers. A
 * browser keeps them and asks only whether they have changed. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "http/internal.h"
#include "http/page_files.h"

/* Nothing but our own files, no frames around us, no base or form elsewhere. */
#define POLICY                                                                                                         \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "          \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const struct ftsi_page_file *ftsi_page_find(const char *path)
{
	for (size_t i = 0; i < ftsi_page_file_count; i++)
		if (strcmp(ftsi_page_files[i].path, path) == 0) return &ftsi_page_files[i];
	return NULL;
}

enum MHD_Result ftsi_page_answer(struct ftsi_exchange *exchange)
{
	const struct ftsi_page_file *file = exchange->file;
	char etag[24];
	snprintf(etag, sizeof(etag), "\"%016llx\"",
		 (unsigned long long)fts_hash64((struct fts_bytes){file->bytes, file->size_bytes}, 0));
	const char *known = ftsi_header(exchange, MHD_HTTP_HEADER_IF_NONE_MATCH);
	bool is_known = known != NULL && strcmp(known, etag) == 0;
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    is_known ? 0 : file->size_bytes, (void *)(uintptr_t)file->bytes, MHD_RESPMEM_PERSISTENT);
	if (response == NULL) return MHD_NO;
	MHD_add_response_header(response, "Content-Type", file->type);
	MHD_add_response_header(response, "ETag", etag);
	MHD_add_response_header(response, "Cache-Control", "no-cache");
	MHD_add_response_header(response, "Content-Security-Policy", POLICY);
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	ftsi_answer_headers(exchange, response);
	enum MHD_Result queued =
	    MHD_queue_response(exchange->connection, is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return queued;
}
