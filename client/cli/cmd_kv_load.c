/* Why this file exists: `kv load`: a file of keys and values, many in one call.
 *
 * Invariants: lines are stored in the order of the file: a batch ends before a key that it already has, and one batch
 * is answered before the next is sent, so that the last line of a key is what stays. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/cli/interrupt.h"
#include "client/cli/kv_call.h"
#include "client/cli/kv_tsv.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/refusals.h"

#define BLOCK_BYTES (2u * (FTSI_KV_KEY_MAX_BYTES + FTSI_KV_VALUE_MAX_BYTES))
#define SLOTS (4u * FTSI_KV_BATCH_MAX) /* a power of two */

struct load {
	struct ftsi_cli *cli;
	struct ftsi_kv_place place;
	const char *path;
	FILE *in;
	struct ftsi_tsv *tsv;
	uint64_t size_bytes, end_bytes;
	uint64_t rows, stored;
	struct ftsi_refusals refusals;
	struct ftsi_progress progress;
	size_t count;      /* of the batch */
	size_t used_bytes; /* of block, by keys and values of the batch */
	uint64_t numbers[FTSI_KV_BATCH_MAX];
	Fts__Kv__V1__BatchOp ops[FTSI_KV_BATCH_MAX];
	Fts__Kv__V1__BatchOp *list[FTSI_KV_BATCH_MAX];
	Fts__Kv__V1__SetRequest sets[FTSI_KV_BATCH_MAX];
	uint16_t slots[SLOTS]; /* place + 1 of each key, by hash; 0: free */
	uint8_t block[BLOCK_BYTES];
};

/* FNV-1a, 32 bits: spreads the keys of one batch over the slots. */
static uint32_t hash_of(const uint8_t *key, size_t size_bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < size_bytes; i++)
		hash = (hash ^ key[i]) * 16777619u;
	return hash;
}

/* Where the key is, or would be. */
static uint16_t *slot_of(struct load *load, const uint8_t *key, size_t size_bytes)
{
	for (uint32_t at = hash_of(key, size_bytes);; at++) {
		uint16_t *slot = &load->slots[at % SLOTS];
		if (*slot == 0) return slot;
		const ProtobufCBinaryData *other = &load->sets[*slot - 1].key;
		if (other->len == size_bytes && memcmp(other->data, key, size_bytes) == 0) return slot;
	}
}

static void refuse(struct load *load, uint64_t number, const char *reason, const char *raw, size_t size_bytes)
{
	ftsi_progress_clear(&load->progress);
	ftsi_refusals_add(&load->refusals, number, reason, raw, size_bytes);
}

static void on_result(void *ctx, size_t place, const Fts__Kv__V1__BatchResult *result)
{
	struct load *load = ctx;
	char reason[FTS_DETAIL_MAX + 64];

	if (result->code == FTS_OK) {
		load->stored++;
		return;
	}
	snprintf(reason, sizeof(reason), "%s (%s)", result->detail, fts_status_name((enum fts_status)result->code));
	refuse(load, load->numbers[place], reason, "", 0);
}

static enum fts_status flush_batch(struct load *load, struct fts_error *out_error)
{
	if (load->count == 0) return FTS_OK;
	enum fts_status st = ftsi_kv_batch(load->cli, load->list, load->count, on_result, load, out_error);
	load->count = load->used_bytes = 0;
	memset(load->slots, 0, sizeof(load->slots));
	ftsi_progress_show(&load->progress, load->end_bytes, load->size_bytes, load->rows, load->refusals.count);
	return st;
}

static ProtobufCBinaryData keep(struct load *load, const uint8_t *bytes, size_t size_bytes)
{
	ProtobufCBinaryData kept = {size_bytes, load->block + load->used_bytes};

	if (size_bytes > 0) memcpy(kept.data, bytes, size_bytes);
	load->used_bytes += size_bytes;
	return kept;
}

static void put(struct load *load, const struct ftsi_tsv_line *line)
{
	size_t at = load->count++;
	Fts__Kv__V1__SetRequest *set = &load->sets[at];

	fts__kv__v1__set_request__init(set);
	set->db = load->place.db;
	set->consistency = load->place.level;
	uint16_t *slot = slot_of(load, line->key, line->key_size_bytes);
	set->key = keep(load, line->key, line->key_size_bytes);
	set->value = keep(load, line->value, line->value_size_bytes);
	*slot = (uint16_t)(at + 1);
	load->numbers[at] = line->number;
	fts__kv__v1__batch_op__init(&load->ops[at]);
	load->ops[at].kind_case = FTS__KV__V1__BATCH_OP__KIND_SET;
	load->ops[at].set = set;
	load->list[at] = &load->ops[at];
}

static enum fts_status take_line(struct load *load, const struct ftsi_tsv_line *line, struct fts_error *out_error)
{
	enum fts_status st = FTS_OK;

	load->rows++;
	if (line->reason) {
		refuse(load, line->number, line->reason, line->raw, line->raw_size_bytes);
		return FTS_OK;
	}
	if (load->count == FTSI_KV_BATCH_MAX ||
	    load->used_bytes + line->key_size_bytes + line->value_size_bytes > BLOCK_BYTES / 2 ||
	    *slot_of(load, line->key, line->key_size_bytes) != 0)
		st = flush_batch(load, out_error);
	if (st == FTS_OK) put(load, line);
	load->end_bytes = line->end_bytes;
	return st;
}

static enum fts_status read_all(struct load *load, struct fts_error *out_error)
{
	struct ftsi_tsv_line line;
	enum fts_status st = FTS_OK;

	while (st == FTS_OK && !ftsi_interrupted() && ftsi_tsv_next(load->tsv, &line))
		st = take_line(load, &line, out_error);
	if (st == FTS_OK) st = flush_batch(load, out_error);
	if (st == FTS_OK && ftsi_interrupted()) st = fts_error_set(out_error, FTS_CANCELLED, "stopped");
	if (st == FTS_OK && ferror(load->in))
		st = fts_error_set(out_error, FTS_DATA_LOSS, "%s can't be read: %s", load->path, strerror(errno));
	return st;
}

/* ---- the account ---- */

static enum ftsi_exit report(const struct load *load, enum fts_status st, const struct fts_error *error)
{
	double seconds = ftsi_progress_seconds(&load->progress);
	uint64_t refused = load->refusals.count;

	if (load->cli->json) {
		json_t *json =
		    ftsi_json("{s:I,s:I,s:I,s:f}", "rows", (json_int_t)load->rows, "stored", (json_int_t)load->stored,
			      "refused", (json_int_t)refused, "rows_per_s", (double)load->rows / seconds);
		if (st != FTS_OK) json_object_set_new(json, "error", ftsi_error_json(error));
		ftsi_print_json(json);
	} else {
		if (st != FTS_OK && st != FTS_CANCELLED) ftsi_fail(load->cli, error);
		printf("%s: %" PRIu64 " rows, %" PRIu64 " stored, %" PRIu64 " refused in %.2f s (%.0f rows/s)\n",
		       load->path, load->rows, load->stored, refused, seconds, (double)load->rows / seconds);
	}
	if (st != FTS_OK) ftsi_note("stopped before the end: the same command stores all lines again");
	if (st != FTS_OK && st != FTS_CANCELLED) return ftsi_exit_of(st);
	return st == FTS_CANCELLED || refused > 0 ? FTSI_EXIT_PARTLY : FTSI_EXIT_DONE;
}

/* ---- the command ---- */

/* Everything that can be wrong before a call is made. */
static enum ftsi_exit open_input(struct load *load)
{
	struct ftsi_cli *cli = load->cli;
	const char *errors = ftsi_value_of(cli, "errors")->text;
	struct fts_error error = {0};
	struct stat about;

	if (ftsi_kv_place_read(cli, true, &load->place, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	load->in = strcmp(load->path, "-") == 0 ? stdin : fopen(load->path, "re");
	if (!load->in || fstat(fileno(load->in), &about) != 0)
		return ftsi_fail_usage(cli, "%s: %s", load->path, strerror(errno));
	if (S_ISDIR(about.st_mode)) return ftsi_fail_usage(cli, "%s: is a directory", load->path);
	load->size_bytes = S_ISREG(about.st_mode) ? (uint64_t)about.st_size : 0;
	if (!ftsi_refusals_open(&load->refusals, errors, fileno(load->in)))
		return ftsi_fail_usage(cli, "%s: %s", errors, strerror(errno));
	load->tsv = ftsi_tsv_create(load->in, ftsi_value_of(cli, "escaped")->given);
	if (load->tsv) return FTSI_EXIT_DONE;
	(void)fts_error_set(&error, FTS_RESOURCE_EXHAUSTED, "no memory");
	return ftsi_fail(cli, &error);
}

static enum ftsi_exit load_file(struct load *load)
{
	struct fts_error error = {0};

	ftsi_progress_start(&load->progress);
	ftsi_interrupt_claim(NULL, NULL);
	enum fts_status st = read_all(load, &error);
	ftsi_interrupt_release();
	ftsi_progress_clear(&load->progress);
	if (!ftsi_refusals_close(&load->refusals)) ftsi_note("the errors file is not complete: %s", strerror(errno));
	return report(load, st, &error);
}

enum ftsi_exit ftsi_run_kv_load(struct ftsi_cli *cli)
{
	struct load *load = calloc(1, sizeof(*load));
	struct fts_error error = {0};

	if (!load) {
		(void)fts_error_set(&error, FTS_RESOURCE_EXHAUSTED, "no memory");
		return ftsi_fail(cli, &error);
	}
	load->cli = cli;
	load->path = cli->args.positionals[0];
	enum ftsi_exit code = open_input(load);
	if (code == FTSI_EXIT_DONE) code = load_file(load);
	ftsi_refusals_close(&load->refusals);
	ftsi_tsv_destroy(load->tsv);
	if (load->in && load->in != stdin) fclose(load->in);
	free(load);
	return code;
}
