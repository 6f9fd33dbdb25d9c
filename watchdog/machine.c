/* Why this file exists: see watchdog/machine.h. */
#include "watchdog/machine.h"

/* A cell that is set; others leave state and world as they are. */
struct cell {
	unsigned char set, state, act;
};
#define TO(next, what)                                                                                                 \
	{                                                                                                              \
		1, FTSI_WATCH_##next, FTSI_WATCH_ACT_##what                                                            \
	}

/* clang-format off */
static const struct cell table[FTSI_WATCH_STATE_COUNT][FTSI_WATCH_EVENT_COUNT] = {
	[FTSI_WATCH_STARTING] = {
		[FTSI_WATCH_READY]    = TO(RUNNING, TELL),
		[FTSI_WATCH_ENDED]    = TO(STOPPING, SWEEP),
		[FTSI_WATCH_STUCK]    = TO(STOPPING, CAPTURE),
		[FTSI_WATCH_STOP]     = TO(STOPPING, TERMINATE),
		[FTSI_WATCH_RESTART]  = TO(STOPPING, TERMINATE),
	},
	[FTSI_WATCH_RUNNING] = {
		[FTSI_WATCH_ENDED]    = TO(STOPPING, SWEEP),
		[FTSI_WATCH_STUCK]    = TO(STOPPING, CAPTURE),
		[FTSI_WATCH_STOP]     = TO(STOPPING, TERMINATE),
		[FTSI_WATCH_RESTART]  = TO(STOPPING, TERMINATE),
	},
	[FTSI_WATCH_STOPPING] = {
		[FTSI_WATCH_GONE]     = TO(STOPPING, DECIDE),
		[FTSI_WATCH_AGAIN]    = TO(BACKOFF, BACK_OFF),
		[FTSI_WATCH_ENOUGH]   = TO(QUARANTINED, SHUT_AWAY),
		[FTSI_WATCH_UNWANTED] = TO(STOPPED, REST),
	},
	[FTSI_WATCH_BACKOFF] = {
		[FTSI_WATCH_DUE]      = TO(STARTING, START),
		[FTSI_WATCH_START]    = TO(STARTING, START),
		[FTSI_WATCH_STOP]     = TO(STOPPED, REST),
		[FTSI_WATCH_RESTART]  = TO(STARTING, START),
	},
	[FTSI_WATCH_QUARANTINED] = {
		[FTSI_WATCH_START]    = TO(STARTING, START),
		[FTSI_WATCH_STOP]     = TO(STOPPED, REST),
		[FTSI_WATCH_RESTART]  = TO(STARTING, START),
	},
	[FTSI_WATCH_STOPPED] = {
		[FTSI_WATCH_START]    = TO(STARTING, START),
		[FTSI_WATCH_RESTART]  = TO(STARTING, START),
	},
};
/* clang-format on */

struct ftsi_watch_step ftsi_watch_next(enum ftsi_watch_state state, enum ftsi_watch_event event)
{
	const struct cell *cell = &table[state][event];
	if (!cell->set) return (struct ftsi_watch_step){state, FTSI_WATCH_ACT_NONE};
	return (struct ftsi_watch_step){(enum ftsi_watch_state)cell->state, (enum ftsi_watch_act)cell->act};
}
