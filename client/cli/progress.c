/* Why this file exists: the progress line; see progress.h. */
#include "client/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "client/cli/output.h"

#define MIB 1048576.0

#define BAR_COLUMNS 30u
#define REDRAW_NS 100000000u

void ftsi_progress_start(struct ftsi_progress *progress)
{
	*progress = (struct ftsi_progress){.terminal = ftsi_is_terminal(stderr), .begin_ns = fts_clock_monotonic_ns()};
}

double ftsi_progress_seconds(const struct ftsi_progress *progress)
{
	double seconds = (double)(fts_clock_monotonic_ns() - progress->begin_ns) / 1e9;

	return seconds > 1e-6 ? seconds : 1e-6;
}

void ftsi_progress_clear(struct ftsi_progress *progress)
{
	if (progress->drawn) fputs("\r\033[K", stderr);
	progress->drawn = false;
}

/* The bar, when it is time for one. */
static bool draw_bar(struct ftsi_progress *progress, uint64_t done_bytes, uint64_t total_bytes)
{
	uint64_t now_ns = fts_clock_monotonic_ns();
	char bar[BAR_COLUMNS + 1];
	unsigned percent = total_bytes ? (unsigned)(done_bytes * 100 / total_bytes) : 0;

	percent = percent < 100 ? percent : 100; /* the file may have grown, and line ends are counted as two bytes */

	if (!progress->terminal || now_ns - progress->drawn_ns < REDRAW_NS) return false;
	for (unsigned i = 0; i < BAR_COLUMNS; i++)
		bar[i] = i * 100 < percent * BAR_COLUMNS ? '#' : '.';
	bar[BAR_COLUMNS] = '\0';
	fprintf(stderr, "\r\033[K[%s] %3u%%", bar, percent);
	progress->drawn = true;
	progress->drawn_ns = now_ns;
	return true;
}

void ftsi_progress_show(struct ftsi_progress *progress, uint64_t done_bytes, uint64_t total_bytes, uint64_t rows,
			uint64_t refused)
{
	if (!draw_bar(progress, done_bytes, total_bytes)) return;
	fprintf(stderr, "  %" PRIu64 " rows  %.0f rows/s", rows, (double)rows / ftsi_progress_seconds(progress));
	if (refused) fprintf(stderr, "  %" PRIu64 " refused", refused);
	fflush(stderr);
}

void ftsi_progress_show_bytes(struct ftsi_progress *progress, uint64_t done_bytes, uint64_t total_bytes)
{
	if (!draw_bar(progress, done_bytes, total_bytes)) return;
	fprintf(stderr, "  %.1f of %.1f MiB  %.1f MiB/s", (double)done_bytes / MIB, (double)total_bytes / MIB,
		(double)done_bytes / MIB / ftsi_progress_seconds(progress));
	fflush(stderr);
}
