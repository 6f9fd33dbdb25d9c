/* Why this file exists: a draw in the words of the command line, the same in all commands. */
#ifndef FTSI_DRAW_TEXT_H
#define FTSI_DRAW_TEXT_H

#include <jansson.h>

#include <fts/lottery.h>

/* "OPEN", "SEALED", "DRAWN". Static storage. */
const char *ftsi_draw_state(Fts__Lottery__V1__DrawState state);

/* As docs/cli.md has it. status: borrowed. Returned (json_decref). */
json_t *ftsi_draw_json(const Fts__Lottery__V1__StatusResponse *status);

/* For people, on standard output. */
void ftsi_draw_print(const Fts__Lottery__V1__StatusResponse *status);

#endif
