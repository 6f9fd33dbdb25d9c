/* Why this file exists: RocksDB tells errors as English; here they become statuses, and nowhere else.
 *
 * Invariant: a message is freed and logged exactly once. */
#include <string.h>

#include "base/log.h"
#include "store/internal.h"

static const struct {
	const char *words;
	enum fts_status status;
} meanings[] = {
    {"No space left", FTS_RESOURCE_EXHAUSTED},    {"Disk quota exceeded", FTS_RESOURCE_EXHAUSTED},
    {"NoSpace", FTS_RESOURCE_EXHAUSTED},          {"lock hold by current process", FTS_UNAVAILABLE},
    {"While lock file", FTS_UNAVAILABLE},         {"Corruption", FTS_DATA_LOSS},
    {"checksum mismatch", FTS_DATA_LOSS},         {"missing", FTS_DATA_LOSS},
    {"No such file or directory", FTS_DATA_LOSS}, {"Input/output error", FTS_DATA_LOSS},
};

enum fts_status ftsi_store_classify(const char *message)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (strstr(message, meanings[i].words) != NULL) return meanings[i].status;
	return FTS_INTERNAL;
}

enum fts_status ftsi_store_status(char *message, const char *event, const char *dir)
{
	char quoted[600];
	enum fts_status status;
	if (message == NULL) return FTS_OK;
	status = ftsi_store_classify(message);
	FTS_LOG_ERROR(event, "dir=%s status=%s said=%s", dir, fts_status_name(status),
		      fts_log_quote(quoted, sizeof quoted, message));
	rocksdb_free(message);
	return status;
}
