/* Why this file exists: see identity.c. */
#ifndef FTS_REPLICA_IDENTITY_H
#define FTS_REPLICA_IDENTITY_H

#include "replica/internal.h"

/* A fresh identity; nothing is written. name, address: borrowed. */
FTS_MUST_USE enum fts_status ftsi_identity_make(const char *name, const char *address,
						struct ftsi_identity *out_identity, struct fts_error *out_error);
/* FAILED_PRECONDITION: its directory is not this node's, or newer than this version. All borrowed. */
FTS_MUST_USE enum fts_status ftsi_identity_check(const struct ftsi_identity *identity,
						 const struct fts_replica *replica, struct fts_error *out_error);
/* Make dir, not its parents. */
FTS_MUST_USE enum fts_status ftsi_dir_make(const char *dir, struct fts_error *out_error);
/* The names in dir, and dir's own name, survive a power loss from now on. */
FTS_MUST_USE enum fts_status ftsi_dir_sync(const char *dir, struct fts_error *out_error);

#endif
