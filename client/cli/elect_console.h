/* Why this file exists: `elect run --console`: commands typed, or fed from a pipe. */
#ifndef FTSI_ELECT_CONSOLE_H
#define FTSI_ELECT_CONSOLE_H

#include "client/cli/elect_agent.h"

/* As ftsi_agent_run, until `quit` or the end of the input. */
enum ftsi_exit ftsi_console_run(struct ftsi_agent *agent);

#endif
