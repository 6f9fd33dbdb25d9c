/* Why this file exists: nng makes its threads by the number of processors and has no setting for it: 13 on two, more
 * than forty on sixteen. A node needs few (one epoll loop, two task threads: performance was measured best with few),
 * and should look alike on every machine.
 *
 * Invariant: sysconf() tells the truth to everybody outside ftsi_processors_limit_begin .. _end. */
#ifndef FTS_BASE_PROCESSORS_H
#define FTS_BASE_PROCESSORS_H

/* Between the two, sysconf(_SC_NPROCESSORS_ONLN) answers processor_max at most. Thread: main, before others start. */
void ftsi_processors_limit_begin(long processor_max);
void ftsi_processors_limit_end(void);

#endif
