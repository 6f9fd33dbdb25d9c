/* Why this file exists: what stands where on the screen of `game play`, for any size of terminal. Pure. */
#ifndef FTSI_GAME_SCREEN_H
#define FTSI_GAME_SCREEN_H

#include "client/cli/game_canvas.h"
#include "client/cli/game_input.h"
#include "client/cli/game_view.h"

struct ftsi_screen {
	const struct ftsi_view *view;   /* borrowed */
	const struct ftsi_input *input; /* borrowed */
	const char *message;            /* to the one who types: "" none; borrowed */
	bool is_bad;                    /* it is a refusal */
	bool shows_help;
	unsigned columns, rows;
	bool has_colour;
	uint64_t now_ns;
};

/* Draw it all into canvas. */
void ftsi_screen_draw(const struct ftsi_screen *screen, struct ftsi_canvas *canvas);

#endif
