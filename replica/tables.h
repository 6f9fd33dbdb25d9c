/* Why this file exists: the replica's own tables in DIR/state, below those that services may use. */
#ifndef FTS_REPLICA_TABLES_H
#define FTS_REPLICA_TABLES_H

enum {
	FTSI_TABLE_META = 1,   /* how far the log is applied: replica/applied.h */
	FTSI_TABLE_ANSWER = 2, /* replica/session.h */
	FTSI_TABLE_EVENT = 3,  /* replica/event_log.h */
	FTSI_TABLE_FENCE = 4,  /* replica/fence.h */
};

#endif
