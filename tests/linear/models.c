/* Why this file exists: see tests/linear/models.h. */
#include "tests/linear/models.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Register ---- */

static bool register_step(const void *state, const struct linear_operation *operation, void *out_state)
{
	int64_t value;
	bool fits = true;
	memcpy(&value, state, sizeof(value));
	switch ((enum linear_register_kind)operation->kind) {
	case LINEAR_READ:
		fits = value == operation->output[0];
		break;
	case LINEAR_WRITE:
		value = operation->input[0];
		break;
	case LINEAR_CAS: {
		bool swaps = value == operation->input[0];
		if (swaps) value = operation->input[1];
		fits = swaps == (operation->output[0] != 0) && value == operation->output[1];
		break;
	}
	case LINEAR_ADD:
		value = (int64_t)((uint64_t)value + (uint64_t)operation->input[0]);
		fits = value == operation->output[0];
		break;
	}
	memcpy(out_state, &value, sizeof(value));
	return fits || !operation->known;
}

static void register_print(const struct linear_operation *operation, char *out, size_t size_bytes)
{
	const int64_t *in = operation->input, *told = operation->output;
	switch ((enum linear_register_kind)operation->kind) {
	case LINEAR_READ:
		snprintf(out, size_bytes, "read = %" PRId64, told[0]);
		break;
	case LINEAR_WRITE:
		snprintf(out, size_bytes, "write %" PRId64, in[0]);
		break;
	case LINEAR_CAS:
		snprintf(out, size_bytes, "cas %" PRId64 " -> %" PRId64 " = %s, %" PRId64, in[0], in[1],
			 told[0] != 0 ? "swapped" : "not", told[1]);
		break;
	case LINEAR_ADD:
		snprintf(out, size_bytes, "add %" PRId64 " = %" PRId64, in[0], told[0]);
		break;
	}
}

const struct linear_model linear_register = {"register", sizeof(int64_t), register_step, register_print};

static bool mentions(const struct linear_operation *operation, int64_t value)
{
	switch ((enum linear_register_kind)operation->kind) {
	case LINEAR_READ:
		return operation->known && operation->output[0] == value;
	case LINEAR_WRITE:
		return operation->input[0] == value;
	case LINEAR_CAS:
		return operation->input[0] == value || operation->input[1] == value ||
		       (operation->known && operation->output[1] == value);
	case LINEAR_ADD:
		return true;
	}
	return true;
}

static bool can_not_matter(const struct linear_operation *operations, size_t count, size_t place)
{
	const struct linear_operation *operation = &operations[place];
	if (operation->known || operation->kind == LINEAR_ADD) return false;
	if (operation->kind == LINEAR_READ) return true;
	int64_t value = operation->input[operation->kind == LINEAR_CAS ? 1 : 0];
	for (size_t i = 0; i < count; i++)
		if (i != place && operations[i].key == operation->key && mentions(&operations[i], value)) return false;
	return true;
}

size_t linear_register_prune(struct linear_operation *operations, size_t count)
{
	size_t kept = 0;
	bool *goes = calloc(count + 1, sizeof(*goes));
	if (goes == NULL) return count;
	for (size_t i = 0; i < count; i++)
		goes[i] = can_not_matter(operations, count, i);
	for (size_t i = 0; i < count; i++)
		if (!goes[i]) operations[kept++] = operations[i];
	free(goes);
	return kept;
}

/* ---- Match ---- */

struct match {
	int64_t plies, hash;
};

int64_t linear_match_hash(int64_t hash, int64_t move)
{
	uint64_t next = ((uint64_t)hash + (uint64_t)move + 1) * 0x9E3779B97F4A7C15u;
	return (int64_t)(next ^ (next >> 29));
}

static bool match_step(const void *state, const struct linear_operation *operation, void *out_state)
{
	struct match match;
	bool fits;
	memcpy(&match, state, sizeof(match));
	if (operation->kind == LINEAR_SHOW) {
		fits = match.plies == operation->output[0] && match.hash == operation->output[1];
	} else {
		bool moves = match.plies + 1 == operation->input[0];
		fits = moves == (operation->output[0] != 0);
		if (moves) {
			match.plies++;
			match.hash = linear_match_hash(match.hash, operation->input[1]);
		}
	}
	memcpy(out_state, &match, sizeof(match));
	return fits || !operation->known;
}

static void match_print(const struct linear_operation *operation, char *out, size_t size_bytes)
{
	if (operation->kind == LINEAR_SHOW)
		snprintf(out, size_bytes, "show = %" PRId64 " plies, %016" PRIx64, operation->output[0],
			 (uint64_t)operation->output[1]);
	else
		snprintf(out, size_bytes, "move %" PRId64 " at ply %" PRId64 " = %s", operation->input[1],
			 operation->input[0], operation->output[0] != 0 ? "done" : "refused");
}

const struct linear_model linear_match = {"match", sizeof(struct match), match_step, match_print};

/* ---- Bets ---- */

bool linear_bets_check(const enum linear_told *told, size_t told_count, const size_t *found, size_t found_count,
		       char *out_text)
{
	uint8_t *seen = calloc(told_count + 1, 1);
	bool good = seen != NULL;
	snprintf(out_text, LINEAR_REPORT_MAX_BYTES, "%s", good ? "" : "out of memory");
	for (size_t i = 0; good && i < found_count; i++) {
		good = found[i] < told_count && seen[found[i]]++ == 0;
		if (!good)
			snprintf(out_text, LINEAR_REPORT_MAX_BYTES, "bet %zu is there %s", found[i],
				 found[i] < told_count ? "twice" : "and nobody sent it");
	}
	for (size_t i = 0; good && i < told_count; i++) {
		good = !(told[i] == LINEAR_TOLD_STORED && !seen[i]) && !(told[i] == LINEAR_TOLD_REFUSED && seen[i]);
		if (!good)
			snprintf(out_text, LINEAR_REPORT_MAX_BYTES, "bet %zu was %s", i,
				 seen[i] ? "refused and is there" : "acknowledged and is lost");
	}
	free(seen);
	return good;
}
