/* Why this file exists: what `elect fence` and `elect run` share. */
#ifndef FTSI_ELECT_RUN_H
#define FTSI_ELECT_RUN_H

#include "client/cli/elect_agent.h"

/* Take part in the election of the command line until master, run the words behind `--` once, leave. Returns the
 * command's exit code, FTSI_FENCE_LOST when it was ended because the mastership was lost, or why nothing was run. */
enum ftsi_exit ftsi_elect_take_part_fenced(struct ftsi_cli *cli);

#endif
