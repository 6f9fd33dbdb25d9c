/* Why this file exists: tests make the n-th access to the disk fail, n rising until none does (a fault sweep),
 * without a disk that is broken. In production the hook is NULL and costs one load.
 * Thread: set it while no store is in use; the hook itself is called from any thread. */
#ifndef FTS_STORE_FAULT_H
#define FTS_STORE_FAULT_H

#include "store/store.h"

enum ftsi_store_access { FTSI_STORE_READ, FTSI_STORE_WRITE, FTSI_STORE_FLUSH };

/* Returns the status the access shall fail with, FTS_OK to let it go on. */
typedef enum fts_status (*ftsi_store_fault_fn)(void *ctx, enum ftsi_store_access access);

/* fault: static, NULL: none. ctx: borrowed until replaced. */
void ftsi_store_fault_set(ftsi_store_fault_fn fault, void *ctx);
enum fts_status ftsi_store_fault(enum ftsi_store_access access);

/* For a simulation, whose same seed must make the same files: stores that are opened from now on compact nothing in the
 * background, and reserve no room ahead. */
void ftsi_store_still_set(bool still);
bool ftsi_store_is_still(void);

#endif
