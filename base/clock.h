/* Why this file exists: the one place that reads clocks, so that everything above takes time as an argument
 * and a test or simulator can supply its own. Thread: any. */
#ifndef FTS_BASE_CLOCK_H
#define FTS_BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in ns: for deadlines and durations. */
uint64_t fts_clock_monotonic_ns(void);

/* CLOCK_REALTIME in ms since 1970: for what people read and for times put into commands. */
int64_t fts_clock_wall_ms(void);

/* now + timeout_ms without overflow. */
uint64_t fts_clock_deadline_ns(uint64_t now_ns, uint32_t timeout_ms);

/* Time left until deadline_ns in ms, rounded up; 0 when it has passed. */
uint32_t fts_clock_left_ms(uint64_t now_ns, uint64_t deadline_ns);

#endif
