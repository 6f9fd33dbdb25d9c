/* Why this file exists: the one number that says how everything is written that outlives a program or goes from one
 * node to another: entries, states, snapshots, messages (replica/format.h). A version that changes any of it in a way
 * that the one before can't read raises it. */
#ifndef FTS_BASE_FORMAT_H
#define FTS_BASE_FORMAT_H

#define FTS_FORMAT_FIRST 1
#define FTS_FORMAT 1 /* the highest that this version reads, and writes once everybody can read it */

#endif
