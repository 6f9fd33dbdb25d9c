/* Why this file exists: how a draw is shown; see draw_text.h. */
#include "client/cli/draw_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/cli/output.h"
#include "client/cli/value.h"

#define HASH_BYTES_MAX 64u

const char *ftsi_draw_state(Fts__Lottery__V1__DrawState state)
{
	switch (state) {
	case FTS__LOTTERY__V1__DRAW_STATE__OPEN:
		return "OPEN";
	case FTS__LOTTERY__V1__DRAW_STATE__SEALED:
		return "SEALED";
	case FTS__LOTTERY__V1__DRAW_STATE__DRAWN:
		return "DRAWN";
	default:
		return "UNKNOWN";
	}
}

/* buf: borrowed, 2 * HASH_BYTES_MAX + 1. */
static const char *hash_text(char *buf, ProtobufCBinaryData hash)
{
	return ftsi_hex(buf, hash.data, hash.len < HASH_BYTES_MAX ? hash.len : HASH_BYTES_MAX);
}

json_t *ftsi_draw_json(const Fts__Lottery__V1__StatusResponse *status)
{
	char root[2 * HASH_BYTES_MAX + 1], chain[2 * HASH_BYTES_MAX + 1];
	json_t *agencies = ftsi_json("[]");

	for (size_t i = 0; i < status->n_agencies; i++) {
		const Fts__Lottery__V1__AgencyStatus *agency = status->agencies[i];
		json_array_append_new(agencies, ftsi_json("{s:I,s:I,s:b}", "agency", (json_int_t)agency->agency, "bets",
							  (json_int_t)agency->bets, "closed", agency->closed));
	}
	json_t *json =
	    ftsi_json("{s:s,s:s,s:I,s:o,s:s,s:s,s:b}", "draw", status->draw, "state", ftsi_draw_state(status->state),
		      "bets", (json_int_t)status->bets, "agencies", agencies, "root", hash_text(root, status->root),
		      "chain", hash_text(chain, status->chain), "fixed", status->fixed);
	if (status->state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN)
		json_object_set_new(json, "number", json_integer((json_int_t)status->number));
	if (status->close_by_ms > 0)
		json_object_set_new(json, "close_by_ms", json_integer((json_int_t)status->close_by_ms));
	return json;
}

void ftsi_draw_print(const Fts__Lottery__V1__StatusResponse *status)
{
	char hash[2 * HASH_BYTES_MAX + 1], when[32];

	printf("draw   %s\nstate  ", status->draw);
	ftsi_print_state(status->state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN ? 'g' : 'w', 0,
			 ftsi_draw_state(status->state));
	printf("\nbets   %" PRIu64 "\n", status->bets);
	if (status->state == FTS__LOTTERY__V1__DRAW_STATE__DRAWN)
		printf("number %" PRIu32 "%s\n", status->number, status->fixed ? " (fixed at the opening)" : "");
	if (status->close_by_ms > 0) printf("closes %s\n", ftsi_time_format(when, sizeof(when), status->close_by_ms));
	if (status->root.len > 0) printf("root   %s\n", hash_text(hash, status->root));
	printf("\n%8s %12s\n", "AGENCY", "BETS");
	for (size_t i = 0; i < status->n_agencies; i++)
		printf("%8" PRIu32 " %12" PRIu64 "  %s\n", status->agencies[i]->agency, status->agencies[i]->bets,
		       status->agencies[i]->closed ? "closed" : "open");
}
