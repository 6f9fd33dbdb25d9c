/* Why this file exists: DIR belongs to one node, and to one process at a time.
 *
 * | file          | what                                                                    |
 * | lock          | locked while a process uses DIR; holds its pid, for people              |
 * | node.json     | what a later start needs (settings_file.c); a DIR without it is foreign |
 * | log/ state/   | the replica's                                                           |
 *
 * Invariant: nothing is written into a directory that is not empty and has no node.json. Thread: main. */
#ifndef FTS_SERVER_DIRECTORY_H
#define FTS_SERVER_DIRECTORY_H

#include "server/settings.h"

/* Fill what is unset in settings from what DIR remembers; DIR need not exist. settings->data must be set.
 * Errors: FAILED_PRECONDITION (another node's DIR), INVALID_ARGUMENT (node.json is damaged), PERMISSION_DENIED. */
FTS_MUST_USE enum fts_status ftsi_directory_recall(struct ftsi_settings *settings, struct fts_error *out_error);
/* Make DIR when it is missing, lock it, and make it this node's if it is nobody's. out_lock_fd: returned (close).
 * Errors: FAILED_PRECONDITION (foreign: not empty and not a node's), UNAVAILABLE (in use, or can't be made or opened).
 */
FTS_MUST_USE enum fts_status ftsi_directory_claim(const struct ftsi_settings *settings, int *out_lock_fd,
						  struct fts_error *out_error);
/* From now on DIR remembers settings. Errors: as ftsi_settings_write. */
FTS_MUST_USE enum fts_status ftsi_directory_remember(const struct ftsi_settings *settings, struct fts_error *out_error);

#endif
