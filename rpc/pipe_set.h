/* Why this file exists: nng tells of the end (REM_POST) also of pipes of whose beginning (ADD_POST) it never told:
 * whoever speaks another protocol, whoever was turned away; and it may tell of an end first. Who counts pipes by those
 * two alone counts less and less. So ids are kept: an end counts once, and only after its beginning.
 *
 * Thread: one at a time; the owner's lock. */
#ifndef FTS_RPC_PIPE_SET_H
#define FTS_RPC_PIPE_SET_H

#include <nng/nng.h>
#include <stdint.h>

#define FTSI_PIPE_SET_MAX 4096u

/* Zeroed at the start. */
struct ftsi_pipe_set {
	uint32_t count;
	uint32_t ids[FTSI_PIPE_SET_MAX];
};

/* What nng tells: ADD_POST or REM_POST. More than there is room for are not counted. */
void ftsi_pipe_set_note(struct ftsi_pipe_set *set, nng_pipe pipe, nng_pipe_ev event);

#endif
