/* Why this file exists: a power loss without a machine to unplug. The program that links this has its fsync and
 * fdatasync replaced: they sync, then note what is safe from now on. powerloss_strike makes a directory what a disk
 * would hold that kept nothing but that.
 *
 * What is kept: a directory's names as of its last fsync; of each file under these names, as many bytes as it had at
 * its own last sync. What was created, renamed, unlinked or written later never happened.
 * Invariant: files that a synced directory names stay alive by a hard link in the side directory, whatever happens to
 * their names afterwards. */
#ifndef FTS_TESTS_REPLICA_POWERLOSS_H
#define FTS_TESTS_REPLICA_POWERLOSS_H

/* Watch everything below dir (borrowed, absolute, exists) from now on, in this process and those it forks; notes go
 * to side (borrowed, an empty directory on the same disk). */
void powerloss_watch(const char *dir, const char *side);
/* Make dir what the disk holds. The processes that wrote must be gone. Returns how many syncs of
 * files it saw. */
unsigned long powerloss_strike(const char *dir, const char *side);

#endif
