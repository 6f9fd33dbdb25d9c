/* Why this file exists: Ctrl-C and SIGTERM as a thing to wait for. A command that has something to finish claims
 * them; in all others they end the program as ever. A second one always ends the program at once. */
#ifndef FTSI_INTERRUPT_H
#define FTSI_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* One thread takes SIGINT and SIGTERM from now on. Called once, before any other thread exists.
 * False: no thread could be made; the signals are as they were. */
bool ftsi_interrupt_start(void);

/* From now on the first signal calls on_interrupt (may be NULL) with ctx (both borrowed until release) and
 * wakes ftsi_interrupt_wait, instead of ending the program. */
void ftsi_interrupt_claim(void (*on_interrupt)(void *ctx), void *ctx);
/* Back to ending the program. on_interrupt does not run any more when it returns. */
void ftsi_interrupt_release(void);

/* Whether one came after it was claimed. Thread: any. */
bool ftsi_interrupted(void);

/* Wait until one comes or somebody wakes, timeout_ms at most. True: so it was. Thread: any. */
bool ftsi_interrupt_wait(uint32_t timeout_ms);

/* Wake the waiter, as if a signal had come. Thread: any. */
void ftsi_interrupt_wake(void);

#endif
