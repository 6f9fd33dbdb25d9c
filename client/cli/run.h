/* Why this file exists: the program as a function, so that main() is nothing. */
#ifndef FTSI_RUN_H
#define FTSI_RUN_H

/* Parse, run, report. argv: borrowed. Returns the exit code. Thread: main. */
int ftsi_run(int argc, char *const *argv);

#endif
