/* Why this file exists: see lottery/count.h. */
#include "lottery/count.h"

#include <string.h>

#include "lottery/state.h"

static enum fts_status add(struct fts_txn *view, struct fts_bytes name, struct fts_draw_counts *counts)
{
	char text[FTSI_DRAW_NAME_MAX + 1];
	struct ftsi_draw draw;
	if (name.size_bytes >= sizeof(text)) return FTS_DATA_LOSS;
	memcpy(text, name.data, name.size_bytes);
	text[name.size_bytes] = '\0';
	enum fts_status status = ftsi_draw_load(view, text, &draw);
	if (status != FTS_OK) return status;
	counts->open += draw.state == FTS__LOTTERY__V1__DRAW_STATE__OPEN;
	counts->sealed += draw.state == FTS__LOTTERY__V1__DRAW_STATE__SEALED;
	counts->drawn += draw.state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN;
	counts->bets += draw.tree.count;
	return FTS_OK;
}

enum fts_status fts_lottery_count(struct fts_txn *view, struct fts_draw_counts *out_counts)
{
	struct fts_draw_counts counts = {0};
	struct fts_cursor *cursor = NULL;
	struct fts_bytes key, name;
	enum fts_status status = ftsi_order_scan(view, 0, &cursor);
	if (status != FTS_OK) return status;
	for (unsigned seen = 0; status == FTS_OK && seen < FTS_DRAW_COUNTED_MAX && fts_cursor_next(cursor, &key, &name);
	     seen++)
		status = add(view, name, &counts);
	if (status == FTS_OK) status = fts_cursor_status(cursor);
	fts_cursor_close(cursor);
	if (status == FTS_OK) *out_counts = counts;
	return status;
}
