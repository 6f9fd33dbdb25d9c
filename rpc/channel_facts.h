/* Why this file exists: what the library above has to know of a channel, and nobody else does. */
#ifndef FTS_RPC_CHANNEL_FACTS_H
#define FTS_RPC_CHANNEL_FACTS_H

#include <fts/rpc.h>

/* True on a thread that is inside a done callback: a blocking call there would wait for itself. Thread: any. */
bool ftsi_channel_in_callback(void);
/* Are its servers called over TLS? channel: borrowed. Thread: any. */
bool ftsi_channel_has_tls(const struct fts_channel *channel);

#endif
