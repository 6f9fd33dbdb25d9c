/* Why this file exists: whoever started this process, systemd or another that speaks its protocol, is told that it is
 * ready, that it moves and that it stops: datagrams of NAME=VALUE lines to the socket that NOTIFY_SOCKET names
 * (sd_notify(3)). A few lines; no library is needed for them.
 *
 * Invariant: without NOTIFY_SOCKET nothing happens; nothing here ever blocks or fails for its caller. Thread: any. */
#ifndef FTS_BASE_NOTIFY_H
#define FTS_BASE_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is there anybody to be told? */
bool fts_notify_wanted(void);
/* Send "STATUS=" and text (borrowed), one line for people, unless it is what was told last: told (size_bytes bytes, at
 * first "") keeps that. */
void fts_notify_status(const char *text, char *told, size_t size_bytes);
/* Send text, as "READY=1\nSTATUS=serving": borrowed. False: nobody wants it, or it could not be sent. */
bool fts_notify(const char *text);

/* Within how many ms the next WATCHDOG=1 is due, when WATCHDOG_USEC asks this very process (WATCHDOG_PID) for them;
 * 0: nobody asks. */
uint32_t fts_notify_watchdog_ms(void);

#endif
