/* Why this file exists: see nng_start.h.
 *
 * nng 1.5.2's thread for time limits sleeps until the millisecond in which the next one ends has begun, but takes it
 * only when that millisecond is over: in between it asks the clock again and again (aio.c, nni_aio_expire_loop). Ten
 * timers a second, as an idle node has, cost three quarters of a hundredth of a core that way. A thread whose timers
 * the kernel may hold back for two milliseconds (prctl(2), PR_SET_TIMERSLACK) wakes when there is something to do. The
 * slack is inherited by threads when they are made, so it is set for that moment only. */
#include "rpc/nng_start.h"

#include <stddef.h>
#include <sys/prctl.h>

#include <nng/nng.h>

#define SLACK_NS 2000000ul

void ftsi_nng_start(void)
{
	nng_aio *aio = NULL;
	int before_ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	if (before_ns > 0) (void)prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0);
	if (nng_aio_alloc(&aio, NULL, NULL) == 0) nng_aio_free(aio);
	if (before_ns > 0) (void)prctl(PR_SET_TIMERSLACK, (unsigned long)before_ns, 0, 0, 0);
}
