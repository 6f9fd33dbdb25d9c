/* Why this file exists: the table that the build makes of the files in page/ (http/embed.cmake). */
#ifndef FTS_HTTP_PAGE_FILES_H
#define FTS_HTTP_PAGE_FILES_H

#include <stddef.h>
#include <stdint.h>

/* All pointers are static. */
struct ftsi_page_file {
	const char *path; /* "/", "/page.js" */
	const char *type; /* of its content */
	const uint8_t *bytes;
	size_t size_bytes;
};

extern const struct ftsi_page_file ftsi_page_files[];
extern const size_t ftsi_page_file_count;

#endif
