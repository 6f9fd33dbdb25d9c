/* Why this file exists: certificates end, and with them all new connections. So the node looks at its files once a
 * minute, and says early when the first of them will end: once a day in the log from a month before, and always in its
 * health and its metrics. */
#ifndef FTS_SERVER_EXPIRY_H
#define FTS_SERVER_EXPIRY_H

#include <stdint.h>

#include <fts/rpc.h>

#define FTSI_EXPIRY_LOOK_MS 60000
#define FTSI_EXPIRY_FILE_MAX 512

struct ftsi_expiry {
	int64_t ends_ms;                 /* Unix; 0: no TLS, or its files can't be read */
	char file[FTSI_EXPIRY_FILE_MAX]; /* the certificate or authority that ends first */
};

/* Look at the files of tls (borrowed), tell when it is time. Blocks for as long as reading takes. Thread: main. */
void ftsi_expiry_look(const struct fts_tls *tls);
/* As of the last look. Thread: any. */
void ftsi_expiry_get(struct ftsi_expiry *out_expiry);

#endif
