/* Why this file exists: see server/expiry.h. */
#include "server/expiry.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "credentials/certificate.h"

#define DAY_MS (24ll * 3600 * 1000)
#define SOON_DAYS 30

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ftsi_expiry first; /* guarded by lock */

/* Once for each number of days that are left. */
static void tell(const struct ftsi_expiry *expiry)
{
	static int64_t told_days = INT64_MAX; /* of the main thread */
	char quoted[2 * FTSI_EXPIRY_FILE_MAX];
	int64_t left_ms = expiry->ends_ms - fts_clock_wall_ms();
	int64_t days = left_ms < 0 ? -1 : left_ms / DAY_MS;
	if (expiry->ends_ms == 0 || days > SOON_DAYS || days == told_days) return;
	told_days = days;
	if (days < 0)
		FTS_LOG_WARN("tls.ended", "file=%s do=\"make it anew: fts-cli tls node, fts-cli tls client\"",
			     fts_log_quote(quoted, sizeof(quoted), expiry->file));
	else
		FTS_LOG_WARN("tls.ends_soon",
			     "file=%s days=%lld do=\"make it anew: fts-cli tls node, fts-cli tls client\"",
			     fts_log_quote(quoted, sizeof(quoted), expiry->file), (long long)days);
}

void ftsi_expiry_look(const struct fts_tls *tls)
{
	const char *const files[] = {tls->cert_file, tls->ca_file, tls->client_ca_file};
	struct ftsi_expiry found = {.ends_ms = 0};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int64_t ends_ms;
		if (files[i] == NULL || fts_certificate_ends(files[i], &ends_ms) != FTS_OK) continue;
		if (found.ends_ms != 0 && found.ends_ms <= ends_ms) continue;
		found.ends_ms = ends_ms;
		(void)snprintf(found.file, sizeof(found.file), "%s", files[i]);
	}
	pthread_mutex_lock(&lock);
	first = found;
	pthread_mutex_unlock(&lock);
	tell(&found);
}

void ftsi_expiry_get(struct ftsi_expiry *out_expiry)
{
	pthread_mutex_lock(&lock);
	*out_expiry = first;
	pthread_mutex_unlock(&lock);
}
