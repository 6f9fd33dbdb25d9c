/* Why this file exists: the table numbers of the lottery's keys, shared by the files that read and write them. */
#ifndef FTS_LOTTERY_STATE_KEYS_H
#define FTS_LOTTERY_STATE_KEYS_H

#include "replica/replica.h"

enum {
	FTSI_TABLE_SERVICE = FTS_TABLE_LOTTERY,
	FTSI_TABLE_DRAW,
	FTSI_TABLE_ORDER,
	FTSI_TABLE_AGENCY,
	FTSI_TABLE_RECORD,
	FTSI_TABLE_COMMITMENTS,
	FTSI_TABLE_WATCH,
	FTSI_TABLE_IMPORT,
	FTSI_TABLE_PAGE,
};

#endif
