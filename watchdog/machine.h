/* Why this file exists: what happens to a supervised process, as a table of states and events. Decided here, done by
 * the supervisor (supervisor.c).
 *
 * | state       | ready   | ended    | stuck    | gone     | again   | enough      | unwanted | due      | start    |
 * stop     | restart  | | STARTING    | RUNNING | STOPPING | STOPPING |          |         |             |          |
 * |          | STOPPING | STOPPING | | RUNNING     |         | STOPPING | STOPPING |          |         |             |
 * |          |          | STOPPING | STOPPING | | STOPPING    |         |          |          | (decide) | BACKOFF |
 * QUARANTINED | STOPPED  |          |          |          |          | | BACKOFF     |         |          |          |
 * |         |             |          | STARTING | STARTING | STOPPED  | STARTING | | QUARANTINED |         |          |
 * |          |         |             |          |          | STARTING | STOPPED  | STARTING | | STOPPED     |         |
 * |          |          |         |             |          |          | STARTING |          | STARTING |
 *
 * Invariant: an event that has no place in a state changes nothing. */
#ifndef FTS_WATCHDOG_MACHINE_H
#define FTS_WATCHDOG_MACHINE_H

enum ftsi_watch_state {
	FTSI_WATCH_STARTING,
	FTSI_WATCH_RUNNING,
	FTSI_WATCH_STOPPING,
	FTSI_WATCH_BACKOFF,
	FTSI_WATCH_QUARANTINED,
	FTSI_WATCH_STOPPED,
	FTSI_WATCH_STATE_COUNT
};

enum ftsi_watch_event {
	FTSI_WATCH_READY,    /* it says that it serves, or it is alive and nobody asks it */
	FTSI_WATCH_ENDED,    /* its main process is gone */
	FTSI_WATCH_STUCK,    /* the judge says so, and it may be ended */
	FTSI_WATCH_GONE,     /* so is all that it left behind */
	FTSI_WATCH_AGAIN,    /* it is to be started again, in a while */
	FTSI_WATCH_ENOUGH,   /* it ended too often */
	FTSI_WATCH_UNWANTED, /* it is not to be started again */
	FTSI_WATCH_DUE,      /* that while is over */
	FTSI_WATCH_START,    /* an operator says */
	FTSI_WATCH_STOP,
	FTSI_WATCH_RESTART,
	FTSI_WATCH_EVENT_COUNT
};

enum ftsi_watch_act {
	FTSI_WATCH_ACT_NONE,
	FTSI_WATCH_ACT_TELL,    /* that it is ready */
	FTSI_WATCH_ACT_SWEEP,   /* end what is left of it */
	FTSI_WATCH_ACT_CAPTURE, /* look at it, then end it */
	FTSI_WATCH_ACT_DECIDE,  /* AGAIN, ENOUGH or UNWANTED */
	FTSI_WATCH_ACT_BACK_OFF,
	FTSI_WATCH_ACT_SHUT_AWAY, /* until an operator says otherwise */
	FTSI_WATCH_ACT_REST,
	FTSI_WATCH_ACT_START,
	FTSI_WATCH_ACT_TERMINATE /* ask it to end, then end it */
};

struct ftsi_watch_step {
	enum ftsi_watch_state state; /* from now on */
	enum ftsi_watch_act act;
};

struct ftsi_watch_step ftsi_watch_next(enum ftsi_watch_state state, enum ftsi_watch_event event);

#endif
