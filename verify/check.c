/* Why this file exists: see check.h. The rules are those of docs/lottery.md. */
#include "verify/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { REVEAL_WAIT_MS = 60000 };

bool check_fail(struct check *check, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(check->what, sizeof check->what, format, args);
	va_end(args);
	return false;
}

static struct text draw_of(const struct check *check)
{
	return (struct text){check->claim.draw, strlen(check->claim.draw)};
}

bool check_claim(struct check *check, const json_t *json)
{
	char fault[FAULT_BYTES];
	if (!claim_read(json, &check->claim, fault)) return check_fail(check, "status: %s", fault);
	if (check->claim.draw[0] == '\0') return check_fail(check, "status: the draw has no name");
	if (check->claim.state < STATE_SEALED) return check_fail(check, "status: the draw is not sealed");
	return true;
}

/* ---- Kinds of records. Each sets digest, which is zero before. ---- */

static bool on_open(struct check *check, const struct record *record)
{
	if (check->stage != BEFORE_OPEN) return check_fail(check, "the draw is opened a second time");
	if (record->agencies < 1 || record->agencies > AGENCY_COUNT_MAX)
		return check_fail(check, "%" PRIu64 " agencies are not 1 to %d", record->agencies, AGENCY_COUNT_MAX);
	if (record->number >= NUMBER_COUNT || (!record->fixed && record->number != 0))
		return check_fail(check, "the fixed number is not one");
	check->agency_count = record->agencies;
	check->fixed = record->fixed;
	check->number = (uint32_t)record->number;
	check->close_by_ms = record->close_by_ms;
	check->stage = TAKES_BETS;
	return true;
}

static bool add_bet(struct check *check, const struct record *record, const json_t *json, uint32_t i,
		    hash_state *digest)
{
	char fault[FAULT_BYTES];
	uint8_t leaf[HASH_BYTES];
	struct bet bet;
	struct agency *agency = &check->agencies[record->agency - 1];
	check->ticket = record->first_ticket + i;
	if (!bet_read(json, i, &bet, fault)) return check_fail(check, "%s", fault);
	if (!bet_has_bytes(&bet)) return check_fail(check, "the bet is not one that could have been taken");
	leaf_hash(draw_of(check), check->ticket, (uint32_t)record->agency, &bet, leaf);
	tree_add(&check->tree, leaf);
	hash_bytes(digest, leaf, HASH_BYTES);
	agency->bets++;
	if (check->claim.state == STATE_DRAWN && bet.number == check->claim.number) {
		agency->winners++;
		if (check->on_winner != NULL &&
		    !check->on_winner(check->ctx, (uint32_t)record->agency, check->ticket, bet.document)) {
			check->no_memory = true;
			return check_fail(check, "no memory for the winners");
		}
	}
	check->ticket = 0;
	return true;
}

static bool on_bets(struct check *check, const struct record *record, const json_t *json, uint8_t digest[HASH_BYTES])
{
	hash_state state;
	if (check->stage != TAKES_BETS) return check_fail(check, "bets are stored although the draw is not open");
	if (record->agency < 1 || record->agency > check->agency_count)
		return check_fail(check, "there is no agency %" PRIu64, record->agency);
	if (check->agencies[record->agency - 1].closed)
		return check_fail(check, "agency %" PRIu64 " stores bets after it has closed", record->agency);
	if (record->first_ticket != check->tree.count + 1)
		return check_fail(check, "tickets go on with %" PRIu64 ", not %" PRIu64, record->first_ticket,
				  check->tree.count + 1);
	if (record->bet_count == 0) return check_fail(check, "the record has no bets");
	hash_begin(&state);
	for (uint32_t i = 0; i < record->bet_count; i++)
		if (!add_bet(check, record, json, i, &state)) return false;
	hash_end(&state, digest);
	return true;
}

static bool on_close(struct check *check, const struct record *record)
{
	struct agency *agency;
	if (check->stage != TAKES_BETS) return check_fail(check, "an agency closes although the draw is not open");
	if (record->agency < 1 || record->agency > check->agency_count)
		return check_fail(check, "there is no agency %" PRIu64, record->agency);
	agency = &check->agencies[record->agency - 1];
	if (agency->closed) return check_fail(check, "agency %" PRIu64 " closes a second time", record->agency);
	agency->closed = true;
	agency->entropy = record->entropy;
	check->closed_count++;
	return true;
}

static uint32_t place_of(const struct check *check, struct text name, bool *out_found)
{
	uint32_t i = 0;
	int order = -1;
	for (; i < check->node_count; i++) {
		order = strncmp(check->nodes[i].name, name.data, name.size_bytes);
		if (order == 0) order = strlen(check->nodes[i].name) > name.size_bytes ? 1 : 0;
		if (order >= 0) break;
	}
	*out_found = i < check->node_count && order == 0;
	return i;
}

static bool on_commit(struct check *check, const struct record *record)
{
	bool found;
	uint32_t place = place_of(check, record->node, &found);
	struct node *node = &check->nodes[place];
	if (check->stage != TAKES_BETS || check->fixed)
		return check_fail(check, "a node commits to a secret when there is no place for it");
	if (record->node.size_bytes == 0 || record->entropy.size_bytes != HASH_BYTES)
		return check_fail(check, "the commitment is not whole");
	if (found || check->node_count == COMMITMENT_COUNT_MAX)
		return check_fail(check, "a node commits a second time");
	memmove(node + 1, node, (check->node_count - place) * sizeof *node);
	*node = (struct node){0};
	memcpy(node->name, record->node.data, record->node.size_bytes);
	memcpy(node->hash, record->entropy.data, HASH_BYTES);
	check->node_count++;
	return true;
}

static bool on_seal(struct check *check, const struct record *record, uint8_t digest[HASH_BYTES])
{
	bool late = check->close_by_ms != 0 && record->time_ms >= check->close_by_ms;
	if (check->stage != TAKES_BETS) return check_fail(check, "the draw is sealed although it is not open");
	if (check->closed_count != check->agency_count && !late)
		return check_fail(check,
				  "the draw is sealed although %" PRIu64 " of %" PRIu64 " agencies have not closed",
				  check->agency_count - check->closed_count, check->agency_count);
	tree_root(&check->tree, check->root);
	if (record->root.size_bytes != HASH_BYTES || memcmp(record->root.data, check->root, HASH_BYTES) != 0)
		return check_fail(check, "the root is not that of the bets");
	memcpy(digest, check->root, HASH_BYTES);
	check->stage = SEALED;
	check->sealed_ms = record->time_ms;
	check->seal_index = record->index;
	return true;
}

static bool on_reveal(struct check *check, const struct record *record)
{
	bool found;
	uint32_t place = place_of(check, record->node, &found);
	uint8_t hash[HASH_BYTES];
	hash_state state;
	if (check->stage != SEALED) return check_fail(check, "a secret is revealed although the draw is not sealed");
	if (!found) return check_fail(check, "a secret is revealed by a node that has not committed");
	if (check->nodes[place].revealed)
		return check_fail(check, "node %s reveals a second time", check->nodes[place].name);
	hash_begin(&state);
	hash_bytes(&state, record->entropy.data, record->entropy.size_bytes);
	hash_end(&state, hash);
	if (record->entropy.size_bytes != HASH_BYTES || memcmp(hash, check->nodes[place].hash, HASH_BYTES) != 0)
		return check_fail(check, "the secret is not what node %s has committed to", check->nodes[place].name);
	memcpy(check->nodes[place].secret, record->entropy.data, HASH_BYTES);
	check->nodes[place].revealed = true;
	check->revealed_count++;
	return true;
}

static void make_seed(const struct check *check, uint8_t out[HASH_BYTES])
{
	hash_state state;
	uint32_t count = 0;
	hash_begin(&state);
	hash_u8(&state, 0x03);
	hash_bytes(&state, check->root, HASH_BYTES);
	hash_bytes(&state, check->seal_head, HASH_BYTES);
	hash_u32(&state, check->revealed_count);
	for (uint32_t i = 0; i < check->node_count; i++) {
		if (!check->nodes[i].revealed) continue;
		hash_text(&state, (struct text){check->nodes[i].name, strlen(check->nodes[i].name)});
		hash_bytes(&state, check->nodes[i].secret, HASH_BYTES);
	}
	for (uint64_t i = 0; i < check->agency_count; i++)
		count += check->agencies[i].entropy.size_bytes > 0 ? 1 : 0;
	hash_u32(&state, count);
	for (uint64_t i = 0; i < check->agency_count; i++) {
		const struct blob *entropy = &check->agencies[i].entropy;
		if (entropy->size_bytes == 0) continue;
		hash_u32(&state, (uint32_t)i + 1);
		hash_u16(&state, (uint16_t)entropy->size_bytes);
		hash_bytes(&state, entropy->data, entropy->size_bytes);
	}
	hash_end(&state, out);
}

static bool on_draw(struct check *check, const struct record *record, uint8_t digest[HASH_BYTES])
{
	/* No record is before the seal; a difference of what a file says may not fit into 63 bits. */
	bool waited = (uint64_t)record->time_ms - (uint64_t)check->sealed_ms >= REVEAL_WAIT_MS;
	if (check->stage != SEALED) return check_fail(check, "the number is drawn although the draw is not sealed");
	if (!check->fixed) {
		if (check->revealed_count < check->node_count && !waited)
			return check_fail(check, "the number is drawn although %u secrets were still waited for",
					  check->node_count - check->revealed_count);
		make_seed(check, check->seed);
		if (record->seed.size_bytes != HASH_BYTES || memcmp(record->seed.data, check->seed, HASH_BYTES) != 0)
			return check_fail(check, "the seed does not follow from root, chain, secrets and entropy");
		check->number = number_of_seed(check->seed);
		memcpy(digest, check->seed, HASH_BYTES);
	}
	if (record->number != check->number)
		return check_fail(check, "the number is %" PRIu64 ", but %u %s", record->number, check->number,
				  check->fixed ? "was fixed" : "follows from the seed");
	check->stage = DRAWN;
	check->draw_index = record->index;
	return true;
}

static bool follow(struct check *check, const struct record *record, const json_t *json, uint8_t digest[HASH_BYTES])
{
	switch (record->kind) {
	case KIND_OPEN:
		return on_open(check, record);
	case KIND_BETS:
		return on_bets(check, record, json, digest);
	case KIND_CLOSE:
		return on_close(check, record);
	case KIND_COMMIT:
		return on_commit(check, record);
	case KIND_SEAL:
		return on_seal(check, record, digest);
	case KIND_REVEAL:
		return on_reveal(check, record);
	case KIND_DRAW:
		return on_draw(check, record, digest);
	default:
		return check_fail(check, "the kind of record is unknown");
	}
}

/* What the record has that no hash covers must not be there. */
static bool check_spare(struct check *check, const struct record *record)
{
	if (record->kind != KIND_BETS && record->bet_count != 0)
		return check_fail(check, "the record has bets, but is not one of bets");
	if (record->kind != KIND_SEAL && record->root.size_bytes != 0)
		return check_fail(check, "the record has a root, but is not the seal");
	if ((record->kind != KIND_DRAW || check->fixed) && record->seed.size_bytes != 0)
		return check_fail(check, "the record has a seed that belongs nowhere");
	return true;
}

bool check_record(struct check *check, const json_t *json)
{
	char fault[FAULT_BYTES];
	uint8_t digest[HASH_BYTES] = {0};
	struct record record;
	check->in_record = true;
	if (!record_read(json, &record, fault)) return check_fail(check, "%s", fault);
	if (check->stage == BEFORE_OPEN && record.kind != KIND_OPEN)
		return check_fail(check, "the first record does not open the draw");
	if (check->stage == DRAWN) return check_fail(check, "there is a record after the number was drawn");
	if (record.index < check->last_index || record.time_ms < check->last_time_ms)
		return check_fail(check, "its index or time is before that of the record before it");
	if (!follow(check, &record, json, digest) || !check_spare(check, &record)) return false;
	chain_step(check->head, draw_of(check), &record, digest);
	if (memcmp(check->head, record.head.data, HASH_BYTES) != 0)
		return check_fail(
		    check, "%s",
		    record.kind == KIND_BETS
			? "the chain's head does not follow from the record and its bets: one of them was altered"
			: "the chain's head does not follow from the record: one of its fields was altered");
	if (record.kind == KIND_SEAL) memcpy(check->seal_head, check->head, HASH_BYTES);
	if (check->stage == SEALED && check->claim.chain.size_bytes == HASH_BYTES &&
	    memcmp(check->head, check->claim.chain.data, HASH_BYTES) == 0)
		check->claimed_chain_seen = true;
	check->last_index = record.index;
	check->last_time_ms = record.time_ms;
	check->record_count++;
	check->in_record = false;
	return true;
}

/* ---- The end ---- */

static bool same(const struct blob *blob, const uint8_t hash[HASH_BYTES])
{
	return blob->size_bytes == HASH_BYTES && memcmp(blob->data, hash, HASH_BYTES) == 0;
}

static bool check_agencies(struct check *check)
{
	const struct claim *claim = &check->claim;
	if (claim->agency_count != check->agency_count)
		return check_fail(check, "status: there are %" PRIu64 " agencies, not %" PRIu64, check->agency_count,
				  claim->agency_count);
	for (uint64_t i = 0; i < claim->agency_count; i++) {
		if (claim->agencies[i].bets != check->agencies[i].bets)
			return check_fail(check, "status: agency %" PRIu64 " stored %" PRIu64 " bets, not %" PRIu64,
					  i + 1, check->agencies[i].bets, claim->agencies[i].bets);
		if (!claim->agencies[i].closed)
			return check_fail(check, "status: agency %" PRIu64 " is open although the draw is sealed",
					  i + 1);
	}
	return true;
}

static bool check_commitments(struct check *check)
{
	const struct claim *claim = &check->claim;
	if (claim->commitment_count != check->node_count)
		return check_fail(check, "status: %u nodes have committed, not %" PRIu64, check->node_count,
				  claim->commitment_count);
	for (uint32_t i = 0; i < check->node_count; i++) {
		const struct commitment *claimed = &claim->commitments[i];
		const struct node *node = &check->nodes[i];
		/* A bundle taken between seal and draw may have been revealed more than its first line knew. */
		bool may_lack = claimed->secret.size_bytes == 0 && (!node->revealed || claim->state == STATE_SEALED);
		if (strcmp(claimed->node, node->name) != 0 || !same(&claimed->hash, node->hash) ||
		    (!may_lack && !(node->revealed && same(&claimed->secret, node->secret))))
			return check_fail(check, "status: commitment %u is not that of the chain", i + 1);
	}
	return true;
}

static bool check_progress(struct check *check)
{
	const struct claim *claim = &check->claim;
	if (claim->state == STATE_SEALED) {
		if (!check->claimed_chain_seen || claim->number != 0 || claim->draw_index != 0)
			return check_fail(check, "status: it is not one the draw had after its seal");
		return true;
	}
	if (check->stage != DRAWN)
		return check_fail(check, "the file ends before the number is drawn: records are missing at the end");
	if (claim->number != check->number)
		return check_fail(check, "status: the number is %u, not %" PRIu64, check->number, claim->number);
	if (claim->draw_index != check->draw_index)
		return check_fail(check, "status: the log index of the draw is another");
	if (!same(&claim->chain, check->head))
		return check_fail(check, "status: the chain's head is not that of the last record");
	return true;
}

bool check_end(struct check *check)
{
	const struct claim *claim = &check->claim;
	if (check->stage < SEALED)
		return check_fail(check, "the file ends before the seal: records are missing at the end");
	if (claim->bets != check->tree.count)
		return check_fail(check, "status: there are %" PRIu64 " bets, not %" PRIu64, check->tree.count,
				  claim->bets);
	if (!same(&claim->root, check->root)) return check_fail(check, "status: the root is not that of the bets");
	if (claim->fixed != check->fixed || claim->close_by_ms != check->close_by_ms)
		return check_fail(check, "status: the terms are not those the draw was opened with");
	if (claim->seal_index != check->seal_index)
		return check_fail(check, "status: the log index of the seal is another");
	return check_progress(check) && check_agencies(check) && check_commitments(check);
}
