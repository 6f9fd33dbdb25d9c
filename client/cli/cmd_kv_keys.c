/* Why this file exists: `kv keys` and `kv dump`: all keys of a database, page by page, in the order of their bytes;
 * dump asks for the values of each page in one call.
 *
 * Invariants: memory is that of one page. With --json what was told before a failure stays one whole object: its list
 * is ended and the error stands beside it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/bytes.h"
#include "client/cli/kv_call.h"
#include "client/cli/kv_tsv.h"
#include "client/cli/output.h"

#define PAGE_KEYS 512u
#define PART_BYTES ((size_t)2 * 1024 * 1024)
#define PART_KEYS_MAX 64u /* large values behind many small ones are at most so many at once */

struct walk {
	struct ftsi_cli *cli;
	struct ftsi_kv_place place;
	uint64_t left; /* keys still wanted */
	uint64_t told;
	size_t part;    /* dump: keys that are asked for at once; 0: it begins */
	uint64_t unfit; /* dump: records that the form can't hold */
	bool escaped;
	const Fts__Kv__V1__KeysResponse *page;
	/* The walk: what each page comes to. */
	enum fts_status (*take)(struct walk *walk, struct fts_error *out_error);
};

/* Page by page. The last key of a page is where the next begins, so a page lives until that one is there. */
static enum fts_status walk_pages(struct walk *walk, const char *prefix, struct fts_error *out_error)
{
	Fts__Kv__V1__KeysRequest request = FTS__KV__V1__KEYS_REQUEST__INIT;
	Fts__Kv__V1__KeysResponse *before = NULL, *page = NULL;
	enum fts_status st = FTS_OK;
	bool end = walk->left == 0;

	request.db = walk->place.db;
	if (prefix) request.prefix = (ProtobufCBinaryData){strlen(prefix), (uint8_t *)prefix};
	while (st == FTS_OK && !end && ftsi_output_open()) {
		request.limit = walk->left < PAGE_KEYS ? (uint32_t)walk->left : PAGE_KEYS;
		st = ftsi_kv_keys_page(walk->cli, &request, &page, out_error);
		if (before) fts__kv__v1__keys_response__free_unpacked(before, NULL);
		before = NULL;
		if (st != FTS_OK) break;
		before = page;
		walk->page = page;
		if (page->n_keys > 0) {
			st = walk->take(walk, out_error);
			request.has_after = true;
			request.after = page->keys[page->n_keys - 1];
		}
		walk->left -= page->n_keys < walk->left ? page->n_keys : walk->left;
		end = page->end || page->n_keys == 0 || walk->left == 0;
	}
	if (before) fts__kv__v1__keys_response__free_unpacked(before, NULL);
	return st;
}

/* ---- keys ---- */

static void print_key_json(const struct walk *walk, const ProtobufCBinaryData *key)
{
	json_t *json = ftsi_bytes_json(key->data, key->len);

	if (walk->told > 0) putchar(',');
	if (json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY) != 0) (void)ftsi_output_open();
	json_decref(json);
}

static enum fts_status print_keys(struct walk *walk, struct fts_error *out_error)
{
	(void)out_error;
	for (size_t i = 0; i < walk->page->n_keys; i++, walk->told++) {
		const ProtobufCBinaryData *key = &walk->page->keys[i];
		if (walk->cli->json) {
			print_key_json(walk, key);
			continue;
		}
		if (key->len > 0) fwrite(key->data, 1, key->len, stdout);
		putchar('\n');
	}
	return FTS_OK;
}

/* Ends the object whose list was printed as it came. */
static void end_object(enum fts_status st, const struct fts_error *error)
{
	putchar(']');
	if (st != FTS_OK) {
		json_t *json = ftsi_error_json(error);
		fputs(",\"error\":", stdout);
		(void)json_dumpf(json, stdout, JSON_COMPACT);
		json_decref(json);
	}
	puts("}");
}

static struct walk walk_of(struct ftsi_cli *cli)
{
	const struct ftsi_value *limit = ftsi_value_of(cli, "limit");

	return (struct walk){.cli = cli, .left = limit->given ? limit->number : UINT64_MAX};
}

enum ftsi_exit ftsi_run_kv_keys(struct ftsi_cli *cli)
{
	struct walk walk = walk_of(cli);
	struct fts_error error = {0};

	if (ftsi_kv_place_read(cli, false, &walk.place, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	walk.take = print_keys;
	if (cli->json) fputs("{\"keys\":[", stdout);
	enum fts_status st = walk_pages(&walk, ftsi_value_of(cli, "prefix")->text, &error);
	if (cli->json)
		end_object(st, &error);
	else if (st != FTS_OK)
		return ftsi_fail(cli, &error);
	return ftsi_exit_of(st);
}

/* ---- dump ---- */

/* The operations of a part of a page, and their answers; they come in any order, and are told in that of the keys. */
struct values {
	struct walk *walk;
	struct {
		uint8_t *data; /* owned */
		size_t size_bytes;
		bool there;
		char version[64];
	} of[PART_KEYS_MAX];
	Fts__Kv__V1__BatchOp ops[PART_KEYS_MAX], *list[PART_KEYS_MAX];
	Fts__Kv__V1__GetRequest gets[PART_KEYS_MAX];
	size_t bytes;           /* of all values that came */
	enum fts_status status; /* of the first that failed */
	struct fts_error *error;
};

static void on_value(void *ctx, size_t place, const Fts__Kv__V1__BatchResult *result)
{
	struct values *values = ctx;

	if (result->code == FTS_NOT_FOUND || values->status != FTS_OK) return; /* deleted meanwhile */
	if (result->code != FTS_OK || result->kind_case != FTS__KV__V1__BATCH_RESULT__KIND_GET) {
		values->status =
		    fts_error_set(values->error, result->code == FTS_OK ? FTS_INTERNAL : (enum fts_status)result->code,
				  "%s", result->detail);
		return;
	}
	const ProtobufCBinaryData *value = &result->get->value;
	values->of[place].data = malloc(value->len + 1);
	if (!values->of[place].data) {
		values->status = fts_error_set(values->error, FTS_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	if (value->len > 0) memcpy(values->of[place].data, value->data, value->len);
	values->of[place].size_bytes = value->len;
	values->bytes += value->len;
	values->of[place].there = true;
	snprintf(values->of[place].version, sizeof(values->of[place].version), "%s", result->get->version);
}

static void print_record(struct walk *walk, const ProtobufCBinaryData *key, const uint8_t *value, size_t size_bytes,
			 const char *version)
{
	if (walk->cli->json) {
		json_t *json = ftsi_json("{}");
		ftsi_bytes_set(json, "key", key->data, key->len);
		ftsi_bytes_set(json, "value", value, size_bytes);
		json_object_set_new(json, "version", ftsi_json("s", version));
		ftsi_print_json(json);
	} else if (ftsi_tsv_fits(key->data, key->len, value, size_bytes, walk->escaped)) {
		ftsi_tsv_write(stdout, key->data, key->len, value, size_bytes, walk->escaped);
	} else {
		walk->unfit++;
		return;
	}
	walk->told++;
}

/* One question for each of count keys of the page, from that at first on. */
static void ask(struct values *values, size_t first, size_t count)
{
	const struct walk *walk = values->walk;

	for (size_t i = 0; i < count; i++) {
		Fts__Kv__V1__GetRequest *get = &values->gets[i];
		fts__kv__v1__get_request__init(get);
		get->db = walk->place.db;
		get->consistency = walk->place.level;
		get->key = walk->page->keys[first + i];
		fts__kv__v1__batch_op__init(&values->ops[i]);
		values->ops[i].kind_case = FTS__KV__V1__BATCH_OP__KIND_GET;
		values->ops[i].get = get;
		values->list[i] = &values->ops[i];
	}
}

static enum fts_status dump_part(struct walk *walk, struct values *values, size_t first, size_t count,
				 struct fts_error *out_error)
{
	*values = (struct values){.walk = walk, .error = out_error};
	ask(values, first, count);
	enum fts_status st = ftsi_kv_batch(walk->cli, values->list, count, on_value, values, out_error);
	if (st == FTS_OK) st = values->status;
	for (size_t i = 0; i < count; i++) {
		if (st == FTS_OK && values->of[i].there)
			print_record(walk, &walk->page->keys[first + i], values->of[i].data, values->of[i].size_bytes,
				     values->of[i].version);
		free(values->of[i].data);
	}
	return st;
}

/* How many keys fit PART_BYTES if their values are as large as those that came last; not many more than before at once,
 * since they may be larger. */
static size_t next_part(size_t count, size_t bytes)
{
	size_t fits = bytes == 0 ? PART_KEYS_MAX : PART_BYTES * count / bytes;

	if (fits > 2 * count) fits = 2 * count;
	return fits < 1 ? 1 : fits > PART_KEYS_MAX ? PART_KEYS_MAX : fits;
}

static enum fts_status dump_page(struct walk *walk, struct fts_error *out_error)
{
	size_t all = walk->page->n_keys < PAGE_KEYS ? walk->page->n_keys : PAGE_KEYS, count;
	struct values *values = malloc(sizeof(*values));
	enum fts_status st = FTS_OK;

	if (!values) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory");
	if (walk->part == 0) walk->part = 1;
	for (size_t first = 0; first < all && st == FTS_OK; first += count) {
		count = walk->part < all - first ? walk->part : all - first;
		st = dump_part(walk, values, first, count, out_error);
		walk->part = next_part(count, values->bytes);
	}
	free(values);
	return st;
}

enum ftsi_exit ftsi_run_kv_dump(struct ftsi_cli *cli)
{
	struct walk walk = walk_of(cli);
	struct fts_error error = {0};

	if (ftsi_kv_place_read(cli, false, &walk.place, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	walk.take = dump_page;
	walk.escaped = ftsi_value_of(cli, "escaped")->given;
	enum fts_status st = walk_pages(&walk, ftsi_value_of(cli, "prefix")->text, &error);
	if (st != FTS_OK) return ftsi_fail(cli, &error);
	if (walk.unfit == 0) return FTSI_EXIT_DONE;
	ftsi_note("%" PRIu64
		  " records hold a line feed, or a tab in their key, and were left out: --escaped writes them",
		  walk.unfit);
	return FTSI_EXIT_PARTLY;
}
