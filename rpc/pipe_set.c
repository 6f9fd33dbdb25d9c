/* Why this file exists: see pipe_set.h. */
#include "rpc/pipe_set.h"

static void forget(struct ftsi_pipe_set *set, uint32_t id)
{
	uint32_t at = 0;
	while (at < set->count && set->ids[at] != id)
		at++;
	if (at < set->count) set->ids[at] = set->ids[--set->count];
}

void ftsi_pipe_set_note(struct ftsi_pipe_set *set, nng_pipe pipe, nng_pipe_ev event)
{
	uint32_t id = (uint32_t)nng_pipe_id(pipe);
	nng_sockaddr remote;
	bool is_new = event == NNG_PIPE_EV_ADD_POST;
	if (is_new && set->count < FTSI_PIPE_SET_MAX) set->ids[set->count++] = id;
	/* One that nng does not know any more: its end was told before, or comes and finds nothing. */
	if (!is_new || nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &remote) != 0) forget(set, id);
}
