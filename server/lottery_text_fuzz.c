/* Why this file exists: libFuzzer against the text protocol's parser: any bytes, cut into lines as the gateway does.
 * What must hold: no byte outside the line is touched (ASan), and a packet that was read is what its docstring says. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "server/lottery_text_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static struct ftsi_text_packet packet;

/* Every string lies in the line and ends in it. */
static void check_text(const char *text, const char *line, size_t size_bytes)
{
	FTS_ASSERT(text >= line && text <= line + size_bytes);
	FTS_ASSERT(memchr(text, '\0', (size_t)(line + size_bytes - text) + 1) != NULL);
}

static void check_line(const char *bytes, size_t size_bytes)
{
	char *line = malloc(size_bytes + 1); /* its own block, so that ASan sees one byte too many */
	FTS_ASSERT(line != NULL);
	memcpy(line, bytes, size_bytes);
	line[size_bytes] = '\n';
	if (ftsi_text_parse(line, size_bytes, &packet)) {
		bool stores = packet.kind == FTSI_TEXT_STORE_BET || packet.kind == FTSI_TEXT_STORE_BATCH;
		FTS_ASSERT(packet.bet_count <= FTSI_TEXT_BETS_MAX && stores == (packet.bet_count > 0));
		FTS_ASSERT(packet.kind != FTSI_TEXT_STORE_BET || packet.bet_count == 1);
		for (size_t i = 0; i < packet.bet_count; i++) {
			check_text(packet.bets[i].first_name, line, size_bytes);
			check_text(packet.bets[i].last_name, line, size_bytes);
			check_text(packet.bets[i].document, line, size_bytes);
			check_text(packet.bets[i].birthdate, line, size_bytes);
		}
	}
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	const char *at = (const char *)data;
	size_t line_bytes, used_bytes;
	while (ftsi_text_line_find(at, size_bytes, 0, &line_bytes, &used_bytes) == FTSI_TEXT_LINE_WHOLE) {
		FTS_ASSERT(line_bytes < used_bytes && used_bytes <= size_bytes && used_bytes <= FTSI_TEXT_LINE_MAX);
		check_line(at, line_bytes);
		at += used_bytes;
		size_bytes -= used_bytes;
	}
	return 0;
}
