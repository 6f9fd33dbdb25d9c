/* Why this file exists: nng starts its threads with the first thing asked of it; here that is done on purpose, so that
 * they are made as this project wants them. */
#ifndef FTS_RPC_NNG_START_H
#define FTS_RPC_NNG_START_H

/* Start nng's threads, with timers that may come a little later than asked for (nng_start.c says why). Without it
 * everything works as well, for more of a processor. Thread: main, before anything of rpc/ is used. */
void ftsi_nng_start(void);

#endif
