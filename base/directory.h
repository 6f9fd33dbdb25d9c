/* Why this file exists: the few things done to whole directories, by more than one folder.
 *
 * Invariants: symbolic links are removed, never followed. Thread: any. */
#ifndef FTS_BASE_DIRECTORY_H
#define FTS_BASE_DIRECTORY_H

/* Remove path (borrowed) and all below it. 0, also when it is not there; -1: errno, something of it is left. */
int fts_directory_remove(const char *path);
/* Make what was named or renamed in path (borrowed) durable. 0; -1: errno. */
int fts_directory_sync(const char *path);
/* The same for the directory that path (borrowed) lies in, as far as it may be read and its file system knows how. */
int fts_directory_sync_parent(const char *path);

#endif
