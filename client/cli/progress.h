/* Why this file exists: one line on a terminal that says how far a long command is; nothing anywhere else. */
#ifndef FTSI_PROGRESS_H
#define FTSI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct ftsi_progress {
	bool drawn; /* the line is on the screen */
	bool terminal;
	uint64_t begin_ns;
	uint64_t drawn_ns;
};

/* Begins to measure. */
void ftsi_progress_start(struct ftsi_progress *progress);

/* Ten times a second at most: a bar for done_bytes of total_bytes (0: unknown), rows and their rate. */
void ftsi_progress_show(struct ftsi_progress *progress, uint64_t done_bytes, uint64_t total_bytes, uint64_t rows,
			uint64_t refused);

/* The same for bytes alone, with their rate. */
void ftsi_progress_show_bytes(struct ftsi_progress *progress, uint64_t done_bytes, uint64_t total_bytes);

/* Wipe the line, so that another can be written. */
void ftsi_progress_clear(struct ftsi_progress *progress);

/* Seconds since start. */
double ftsi_progress_seconds(const struct ftsi_progress *progress);

#endif
