/* Why this file exists: libFuzzer over the CSV reader: whatever the bytes and however they are cut, it ends, stays
 * inside its memory, and says the same. The first byte of the input chooses the cuts. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "client/cli/csv.h"

struct digest {
	uint64_t value;
	uint64_t events;
	uint64_t lines;
};

static void mix(struct digest *digest, const void *bytes, size_t size_bytes)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size_bytes; i++)
		digest->value = (digest->value ^ at[i]) * UINT64_C(1099511628211);
}

static void take(struct digest *digest, const struct ftsi_csv_row *row)
{
	FTS_ASSERT(row->line >= digest->lines);
	digest->lines = row->line;
	digest->events++;
	mix(digest, &row->line, sizeof(row->line));
	mix(digest, row->raw, row->raw_size_bytes);
	for (size_t i = 0; i < row->field_count && i < FTSI_CSV_FIELDS_MAX; i++)
		mix(digest, row->fields[i], strlen(row->fields[i]) + 1);
	if (row->reason) mix(digest, row->reason, strlen(row->reason));
}

static struct digest read_cut(const uint8_t *data, size_t size_bytes, size_t cut)
{
	struct digest digest = {.value = UINT64_C(14695981039346656037)};
	struct ftsi_csv *csv = ftsi_csv_create();
	struct ftsi_csv_row row;
	enum ftsi_csv_event event = FTSI_CSV_MORE;

	FTS_ASSERT(csv);
	while (event != FTSI_CSV_END) {
		event = ftsi_csv_next(csv, &row);
		if (event == FTSI_CSV_ROW || event == FTSI_CSV_FAULT) take(&digest, &row);
		if (event != FTSI_CSV_MORE) continue;
		size_t room;
		char *space = ftsi_csv_space(csv, &room);
		size_t part = cut < size_bytes ? cut : size_bytes;
		FTS_ASSERT(room > 0);
		part = part < room ? part : room;
		if (part == 0)
			ftsi_csv_end(csv);
		else
			memcpy(space, data, part);
		ftsi_csv_filled(csv, part);
		data += part;
		size_bytes -= part;
	}
	ftsi_csv_destroy(csv);
	return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	if (size_bytes == 0) return 0;
	struct digest whole = read_cut(data + 1, size_bytes - 1, SIZE_MAX);
	struct digest cut = read_cut(data + 1, size_bytes - 1, 1u + data[0]);
	FTS_ASSERT(whole.value == cut.value && whole.events == cut.events);
	return 0;
}
