/* Why this file exists: see bundle.h. */
#include "verify/bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Lines ---- */

static bool grow(struct bundle *bundle)
{
	size_t capacity = bundle->capacity == 0 ? 65536 : bundle->capacity * 2;
	char *buffer;
	if (capacity > (size_t)LINE_BYTES_MAX * 2) return false;
	buffer = realloc(bundle->buffer, capacity);
	if (buffer == NULL) return false;
	bundle->buffer = buffer;
	bundle->capacity = capacity;
	return true;
}

/* One line without its end, at most LINE_BYTES_MAX bytes. */
static enum bundle_result read_line(struct bundle *bundle, size_t *out_size_bytes)
{
	size_t size = 0;
	int c = EOF;
	bundle->line++;
	while (size <= LINE_BYTES_MAX && (c = getc_unlocked(bundle->file)) != EOF && c != '\n') {
		if (size == bundle->capacity && !grow(bundle)) return BUNDLE_UNREADABLE;
		bundle->buffer[size++] = (char)c;
	}
	if (c == EOF && ferror(bundle->file)) return BUNDLE_UNREADABLE;
	if (size > LINE_BYTES_MAX) {
		(void)snprintf(bundle->fault, sizeof bundle->fault, "the line is longer than %d bytes", LINE_BYTES_MAX);
		return BUNDLE_FAULT;
	}
	if (c == EOF && size == 0) return BUNDLE_END;
	*out_size_bytes = size;
	return BUNDLE_LINE;
}

enum bundle_result bundle_next(struct bundle *bundle, json_t **out_json)
{
	json_error_t error;
	size_t size = 0;
	json_t *json;
	enum bundle_result result = read_line(bundle, &size);
	if (result != BUNDLE_LINE) return result;
	json = json_loadb(bundle->buffer == NULL ? "" : bundle->buffer, size, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL && json_error_code(&error) == json_error_out_of_memory) return BUNDLE_UNREADABLE;
	if (!json_is_object(json)) {
		(void)snprintf(bundle->fault, sizeof bundle->fault, "the line is not a JSON object");
		json_decref(json);
		return BUNDLE_FAULT;
	}
	*out_json = json;
	return BUNDLE_LINE;
}

void bundle_fini(struct bundle *bundle)
{
	free(bundle->buffer);
	bundle->buffer = NULL;
}

/* ---- Fields ---- */

static bool fail(char *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(char *fault, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(fault, FAULT_BYTES, format, args);
	va_end(args);
	return false;
}

/* Field names come from the file: only what can be shown is shown. */
static bool known_only(const json_t *json, const char *const *names, char *fault)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)json, key, value)
	{
		size_t i = 0;
		(void)value;
		while (names[i] != NULL && strcmp(names[i], key) != 0)
			i++;
		if (names[i] == NULL)
			return fail(fault, "it has a field \"%.*s\" that does not belong there",
				    (int)strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"),
				    key);
	}
	return true;
}

/* 64-bit integers are strings in canonical JSON; small ones are numbers. */
static bool read_integer(const json_t *value, int64_t *out_signed, uint64_t *out_unsigned)
{
	const char *text = json_string_value(value);
	char *end;
	if (json_is_integer(value)) {
		*out_signed = json_integer_value(value);
		*out_unsigned = *out_signed < 0 ? 0 : (uint64_t)*out_signed;
		return true;
	}
	if (text == NULL ||
	    !((text[0] >= '0' && text[0] <= '9') || (text[0] == '-' && text[1] >= '1' && text[1] <= '9')))
		return false;
	errno = 0;
	*out_unsigned = text[0] == '-' ? 0 : strtoull(text, &end, 10);
	if (text[0] == '-' || *out_unsigned <= INT64_MAX)
		*out_signed = strtoll(text, &end, 10);
	else
		*out_signed = INT64_MAX;
	return errno == 0 && *end == '\0';
}

static bool get_u64(const json_t *json, const char *name, uint64_t max, uint64_t *out, char *fault)
{
	const json_t *value = json_object_get(json, name);
	int64_t number_signed = 0;
	*out = 0;
	if (value == NULL) return true;
	if (!read_integer(value, &number_signed, out) || number_signed < 0 || *out > max)
		return fail(fault, "%s is not a number from 0 to %" PRIu64, name, max);
	return true;
}

static bool get_i64(const json_t *json, const char *name, int64_t *out, char *fault)
{
	const json_t *value = json_object_get(json, name);
	uint64_t number_unsigned;
	*out = 0;
	if (value == NULL) return true;
	if (!read_integer(value, out, &number_unsigned) || number_unsigned > INT64_MAX)
		return fail(fault, "%s is not a number of 64 bits", name);
	return true;
}

static bool get_bool(const json_t *json, const char *name, bool *out, char *fault)
{
	const json_t *value = json_object_get(json, name);
	*out = json_is_true(value);
	return value == NULL || json_is_boolean(value) ? true : fail(fault, "%s is neither true nor false", name);
}

static bool get_text(const json_t *json, const char *name, size_t max, struct text *out, char *fault)
{
	const json_t *value = json_object_get(json, name);
	*out = (struct text){"", 0};
	if (value == NULL) return true;
	if (!json_is_string(value) || json_string_length(value) > max)
		return fail(fault, "%s is not a text of at most %zu bytes", name, max);
	*out = (struct text){json_string_value(value), json_string_length(value)};
	return true;
}

static bool get_copy(const json_t *json, const char *name, char *out, size_t max, char *fault)
{
	struct text text;
	if (!get_text(json, name, max, &text, fault)) return false;
	memcpy(out, text.data, text.size_bytes);
	out[text.size_bytes] = '\0';
	return true;
}

/* size_bytes 0: any up to ENTROPY_BYTES_MAX. A field that is not there is empty. */
static bool get_blob(const json_t *json, const char *name, size_t size_bytes, struct blob *out, char *fault)
{
	const json_t *value = json_object_get(json, name);
	out->size_bytes = 0;
	if (value == NULL) return true;
	if (!json_is_string(value) ||
	    sodium_base642bin(out->data, sizeof out->data, json_string_value(value), json_string_length(value), NULL,
			      &out->size_bytes, NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
		out->size_bytes = 0;
		return fail(fault, "%s is not base64 of at most %d bytes", name, ENTROPY_BYTES_MAX);
	}
	if (size_bytes != 0 && out->size_bytes != 0 && out->size_bytes != size_bytes)
		return fail(fault, "%s has %zu bytes, not %zu", name, out->size_bytes, size_bytes);
	return true;
}

static bool get_name_of(const json_t *json, const char *name, const char *const *names, int count, int *out,
			char *fault)
{
	const char *text = json_string_value(json_object_get(json, name));
	*out = 0;
	for (int i = 0; text != NULL && i < count; i++)
		if (strcmp(text, names[i]) == 0) *out = i;
	return *out > 0 ? true : fail(fault, "%s is missing or unknown", name);
}

static bool get_array(const json_t *json, const char *name, size_t max, const json_t **out, size_t *out_count,
		      char *fault)
{
	*out = json_object_get(json, name);
	*out_count = json_array_size(*out);
	if (*out != NULL && (!json_is_array(*out) || *out_count > max))
		return fail(fault, "%s is not a list of at most %zu", name, max);
	return true;
}

/* ---- The first line ---- */

bool bundle_is_header(const json_t *json)
{
	return json_integer_value(json_object_get(json, "fts_draw_bundle")) == 1 &&
	       json_is_object(json_object_get(json, "status"));
}

static bool read_agencies(const json_t *json, struct claim *claim, char *fault)
{
	static const char *const names[] = {"agency", "bets", "closed", NULL};
	const json_t *list;
	size_t count;
	if (!get_array(json, "agencies", AGENCY_COUNT_MAX, &list, &count, fault)) return false;
	claim->agency_count = count;
	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_array_get(list, i);
		uint64_t number;
		if (!json_is_object(one) || !known_only(one, names, fault) ||
		    !get_u64(one, "agency", AGENCY_COUNT_MAX, &number, fault) ||
		    !get_u64(one, "bets", UINT64_MAX, &claim->agencies[i].bets, fault) ||
		    !get_bool(one, "closed", &claim->agencies[i].closed, fault) || number != i + 1)
			return fail(fault, "agencies: number %zu is not well formed", i + 1);
	}
	return true;
}

static bool read_commitments(const json_t *json, struct claim *claim, char *fault)
{
	static const char *const names[] = {"node", "hash", "secret", NULL};
	const json_t *list;
	size_t count;
	if (!get_array(json, "commitments", COMMITMENT_COUNT_MAX, &list, &count, fault)) return false;
	claim->commitment_count = count;
	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_array_get(list, i);
		struct commitment *commitment = &claim->commitments[i];
		if (!json_is_object(one) || !known_only(one, names, fault) ||
		    !get_copy(one, "node", commitment->node, NODE_BYTES_MAX, fault) ||
		    !get_blob(one, "hash", HASH_BYTES, &commitment->hash, fault) ||
		    !get_blob(one, "secret", HASH_BYTES, &commitment->secret, fault))
			return fail(fault, "commitments: number %zu is not well formed", i + 1);
	}
	return true;
}

bool claim_read(const json_t *json, struct claim *out_claim, char *fault)
{
	static const char *const lines[] = {"fts_draw_bundle", "status", NULL};
	static const char *const names[] = {"draw",      "state",       "bets",   "agencies",  "root",
					    "chain",     "fixed",       "number", "sealIndex", "drawIndex",
					    "closeByMs", "commitments", NULL};
	static const char *const states[] = {"", "OPEN", "SEALED", "DRAWN"};
	const json_t *status = json_object_get(json, "status");
	int state;
	if (!known_only(json, lines, fault) || !known_only(status, names, fault) ||
	    !get_copy(status, "draw", out_claim->draw, NAME_BYTES_MAX, fault) ||
	    !get_name_of(status, "state", states, 4, &state, fault) ||
	    !get_u64(status, "bets", UINT64_MAX, &out_claim->bets, fault) ||
	    !get_u64(status, "number", NUMBER_COUNT - 1, &out_claim->number, fault) ||
	    !get_u64(status, "sealIndex", UINT64_MAX, &out_claim->seal_index, fault) ||
	    !get_u64(status, "drawIndex", UINT64_MAX, &out_claim->draw_index, fault) ||
	    !get_i64(status, "closeByMs", &out_claim->close_by_ms, fault) ||
	    !get_bool(status, "fixed", &out_claim->fixed, fault) ||
	    !get_blob(status, "root", HASH_BYTES, &out_claim->root, fault) ||
	    !get_blob(status, "chain", HASH_BYTES, &out_claim->chain, fault))
		return false;
	out_claim->state = state;
	return read_agencies(status, out_claim, fault) && read_commitments(status, out_claim, fault);
}

/* ---- Records ---- */

bool record_read(const json_t *json, struct record *out_record, char *fault)
{
	static const char *const names[] = {"index",     "timeMs", "kind",   "agency",   "firstTicket", "bets",
					    "entropy",   "node",   "number", "agencies", "fixed",       "head",
					    "closeByMs", "root",   "seed",   NULL};
	static const char *const kinds[KIND_COUNT] = {
	    "", "CHAIN_OPEN", "CHAIN_BETS", "CHAIN_CLOSE", "CHAIN_COMMIT", "CHAIN_SEAL", "CHAIN_REVEAL", "CHAIN_DRAW"};
	const json_t *bets;
	size_t bet_count;
	int kind;
	if (!known_only(json, names, fault) || !get_name_of(json, "kind", kinds, KIND_COUNT, &kind, fault) ||
	    !get_u64(json, "index", UINT64_MAX, &out_record->index, fault) ||
	    !get_i64(json, "timeMs", &out_record->time_ms, fault) ||
	    !get_u64(json, "agency", UINT32_MAX, &out_record->agency, fault) ||
	    !get_u64(json, "firstTicket", UINT64_MAX, &out_record->first_ticket, fault) ||
	    !get_array(json, "bets", BET_COUNT_MAX, &bets, &bet_count, fault) ||
	    !get_blob(json, "entropy", 0, &out_record->entropy, fault) ||
	    !get_text(json, "node", NODE_BYTES_MAX, &out_record->node, fault) ||
	    !get_u64(json, "number", UINT32_MAX, &out_record->number, fault) ||
	    !get_u64(json, "agencies", UINT32_MAX, &out_record->agencies, fault) ||
	    !get_bool(json, "fixed", &out_record->fixed, fault) ||
	    !get_blob(json, "head", HASH_BYTES, &out_record->head, fault) ||
	    !get_i64(json, "closeByMs", &out_record->close_by_ms, fault) ||
	    !get_blob(json, "root", HASH_BYTES, &out_record->root, fault) ||
	    !get_blob(json, "seed", HASH_BYTES, &out_record->seed, fault))
		return false;
	out_record->kind = (enum kind)kind;
	out_record->bet_count = (uint32_t)bet_count;
	return out_record->head.size_bytes == HASH_BYTES ? true : fail(fault, "head is missing");
}

bool bet_read(const json_t *json, uint32_t i, struct bet *out_bet, char *fault)
{
	static const char *const names[] = {"firstName", "lastName", "document", "birthdate", "number", NULL};
	const json_t *bet = json_array_get(json_object_get(json, "bets"), i);
	if (!json_is_object(bet)) return fail(fault, "it is not a bet");
	return known_only(bet, names, fault) && get_text(bet, "firstName", UINT16_MAX, &out_bet->first_name, fault) &&
	       get_text(bet, "lastName", UINT16_MAX, &out_bet->last_name, fault) &&
	       get_text(bet, "document", UINT8_MAX, &out_bet->document, fault) &&
	       get_text(bet, "birthdate", 10, &out_bet->birthdate, fault) &&
	       get_u64(bet, "number", NUMBER_COUNT - 1, &out_bet->number, fault);
}
