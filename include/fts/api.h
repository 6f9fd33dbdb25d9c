/* Why this file exists: the two attributes every public declaration carries, and the few value types
 * that public headers share. */
#ifndef FTS_API_H
#define FTS_API_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FTS_API __attribute__((visibility("default")))
#define FTS_MUST_USE __attribute__((warn_unused_result))
#define FTS_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define FTS_API
#define FTS_MUST_USE
#define FTS_PRINTF(fmt, first)
#endif

#ifdef __cplusplus
#define FTS_BEGIN_DECLS extern "C" {
#define FTS_END_DECLS }
#else
#define FTS_BEGIN_DECLS
#define FTS_END_DECLS
#endif

/* A run of bytes. Who owns them is told where one is passed. */
struct fts_bytes {
	const uint8_t *data;
	size_t size_bytes;
};

#endif
