/* Why this file exists: fts-verify: whether an exported draw is what it claims to be, checked on any machine, offline,
 * with nothing but the file. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "verify/check.h"

enum exit_code { EXIT_TRUE = 0, EXIT_ALTERED = 1, EXIT_UNREADABLE = 2 };

static const char usage[] =
    "usage: fts-verify FILE [--root HEX] [--winners [--agency N]] [--json]\n"
    "\n"
    "Checks a draw that `fts-cli lottery export` wrote: every bet's leaf, the Merkle root, the hash chain,\n"
    "commitments and secrets, the seed, the number, and what each agency stored and won.\n"
    "\n"
    "  --root HEX   the root as it was published at the seal: without it, a file that was made anew from\n"
    "               beginning to end is only checked against itself\n"
    "  --winners    print the winners' documents by agency, in the order of their bets\n"
    "  --agency N   only those of agency N\n"
    "  --json       one JSON object instead of lines\n"
    "  --help, --version\n"
    "\n"
    "exit status: 0 true, 1 altered (says where), 2 usage or unreadable file\n"
    "example: fts-verify draw.bundle --winners --agency 1\n";
static const char version[] = "fts-verify " FTS_VERSION "\n";

struct options {
	const char *path;
	bool winners, json;
	uint32_t agency; /* 0: all */
	bool has_root;
	uint8_t root[HASH_BYTES];
};

struct winner {
	uint32_t agency;
	uint64_t ticket;
	char document[UINT8_MAX + 1];
};

struct winners {
	uint32_t agency; /* 0: all */
	size_t count, capacity;
	struct winner *list; /* owned; by ticket */
};

static bool keep_winner(void *ctx, uint32_t agency, uint64_t ticket, struct text document)
{
	struct winners *winners = ctx;
	struct winner *winner;
	if (winners->agency != 0 && winners->agency != agency) return true;
	if (winners->count == winners->capacity) {
		size_t capacity = winners->capacity == 0 ? 256 : winners->capacity * 2;
		struct winner *list = reallocarray(winners->list, capacity, sizeof *list);
		if (list == NULL) return false;
		winners->list = list;
		winners->capacity = capacity;
	}
	winner = &winners->list[winners->count++];
	winner->agency = agency;
	winner->ticket = ticket;
	memcpy(winner->document, document.data, document.size_bytes);
	winner->document[document.size_bytes] = '\0';
	return true;
}

/* ---- Checking ---- */

static enum exit_code unreadable(const struct options *options, const char *why)
{
	(void)fprintf(stderr, "fts-verify: %s: %s\n", options->path, why);
	return EXIT_UNREADABLE;
}

static enum exit_code read_records(struct bundle *bundle, struct check *check, const struct options *options)
{
	for (;;) {
		json_t *json = NULL;
		bool good;
		enum bundle_result result = bundle_next(bundle, &json);
		if (result == BUNDLE_UNREADABLE) return unreadable(options, "can't be read to its end");
		if (result == BUNDLE_END) return check_end(check) ? EXIT_TRUE : EXIT_ALTERED;
		check->in_record = true;
		good = result == BUNDLE_FAULT ? check_fail(check, "%s", bundle->fault) : check_record(check, json);
		json_decref(json);
		if (check->no_memory) return unreadable(options, check->what);
		if (!good) return EXIT_ALTERED;
	}
}

static enum exit_code read_bundle(struct bundle *bundle, struct check *check, const struct options *options)
{
	json_t *json = NULL;
	enum exit_code code = EXIT_ALTERED;
	enum bundle_result result = bundle_next(bundle, &json);
	if (result != BUNDLE_LINE)
		return unreadable(options, result == BUNDLE_END     ? "is empty"
					   : result == BUNDLE_FAULT ? bundle->fault
								    : "can't be read");
	if (!bundle_is_header(json))
		code = unreadable(options, "is not a draw that fts-cli lottery export wrote");
	else if (check_claim(check, json))
		code = EXIT_TRUE;
	json_decref(json);
	if (code != EXIT_TRUE) return code;
	code = read_records(bundle, check, options);
	if (code == EXIT_TRUE && options->has_root && memcmp(options->root, check->root, HASH_BYTES) != 0) {
		(void)check_fail(check, "the root is not the one given with --root");
		code = EXIT_ALTERED;
	}
	return code;
}

/* ---- Telling: lines ---- */

static const char *hex(const uint8_t hash[HASH_BYTES], char out[2 * HASH_BYTES + 1])
{
	return sodium_bin2hex(out, 2 * HASH_BYTES + 1, hash, HASH_BYTES);
}

static void print_altered(const struct check *check, uint64_t line)
{
	if (check->in_record) {
		(void)printf("ALTERED: record %" PRIu64 " (line %" PRIu64 ")", check->record_count, line);
		if (check->ticket != 0) (void)printf(", ticket %" PRIu64, check->ticket);
		(void)printf(": %s\n", check->what);
	} else {
		(void)printf("ALTERED: %s\n", check->what);
	}
}

static void print_number(const struct check *check)
{
	char text[2 * HASH_BYTES + 1];
	if (check->stage != DRAWN) {
		(void)printf("number       not drawn yet\n");
	} else if (check->fixed) {
		(void)printf("number       %u, fixed when the draw was opened\n", check->number);
	} else {
		(void)printf("seed         %s follows from root, chain, secrets and entropy\n", hex(check->seed, text));
		(void)printf("number       %u follows from the seed\n", check->number);
	}
}

static void print_commitments(const struct check *check)
{
	if (check->fixed) return;
	(void)printf("commitments  %u, secrets revealed and right %u\n", check->node_count, check->revealed_count);
	for (uint32_t i = 0; i < check->node_count; i++)
		if (!check->nodes[i].revealed)
			(void)printf("             node %s has not revealed its secret\n", check->nodes[i].name);
	if (check->stage == DRAWN && check->revealed_count == 0)
		(void)printf(
		    "             WARNING: no secret went into the number: who closed last could foresee it\n");
}

static void print_winners(const struct check *check, const struct winners *winners)
{
	for (uint64_t agency = 1; agency <= check->agency_count; agency++) {
		if (winners->agency != 0 && winners->agency != agency) continue;
		for (size_t i = 0; i < winners->count; i++)
			if (winners->list[i].agency == agency)
				(void)printf("winner       agency %u, ticket %" PRIu64 ", document %s\n",
					     winners->list[i].agency, winners->list[i].ticket,
					     winners->list[i].document);
	}
}

static void print_true(const struct check *check, const struct options *options, const struct winners *winners)
{
	char text[2 * HASH_BYTES + 1];
	(void)printf("draw         %s, %" PRIu64 " agencies\n", check->claim.draw, check->agency_count);
	(void)printf("records      %" PRIu64 ", each follows from the one before; chain %s\n", check->record_count,
		     hex(check->head, text));
	(void)printf("bets         %" PRIu64 ", all under the root %s%s\n", check->tree.count, hex(check->root, text),
		     options->has_root ? ", which is the one given" : "");
	print_commitments(check);
	print_number(check);
	for (uint64_t i = 0; i < check->agency_count; i++)
		(void)printf("agency       %" PRIu64 ": %" PRIu64 " bets, %" PRIu64 " winners\n", i + 1,
			     check->agencies[i].bets, check->agencies[i].winners);
	if (options->winners) print_winners(check, winners);
	(void)printf("TRUE\n");
}

/* ---- Telling: JSON ---- */

static json_t *agencies_json(const struct check *check)
{
	json_t *list = json_array();
	for (uint64_t i = 0; i < check->agency_count; i++)
		json_array_append_new(list, json_pack("{s:I,s:I,s:I}", "agency", (json_int_t)i + 1, "bets",
						      (json_int_t)check->agencies[i].bets, "winners",
						      (json_int_t)check->agencies[i].winners));
	return list;
}

static json_t *winners_json(const struct check *check, const struct winners *winners)
{
	json_t *list = json_array();
	for (uint64_t agency = 1; agency <= check->agency_count; agency++)
		for (size_t i = 0; i < winners->count; i++)
			if (winners->list[i].agency == agency)
				json_array_append_new(list, json_pack("{s:I,s:I,s:s}", "agency", (json_int_t)agency,
								      "ticket", (json_int_t)winners->list[i].ticket,
								      "document", winners->list[i].document));
	return list;
}

static json_t *true_json(const struct check *check, const struct options *options, const struct winners *winners)
{
	char root[2 * HASH_BYTES + 1], chain[2 * HASH_BYTES + 1];
	json_t *json =
	    json_pack("{s:b,s:s,s:s,s:I,s:I,s:s,s:s,s:b,s:I,s:I,s:o}", "true", 1, "draw", check->claim.draw, "state",
		      check->stage == DRAWN ? "DRAWN" : "SEALED", "records", (json_int_t)check->record_count, "bets",
		      (json_int_t)check->tree.count, "root", hex(check->root, root), "chain", hex(check->head, chain),
		      "fixed", check->fixed ? 1 : 0, "commitments", (json_int_t)check->node_count, "revealed",
		      (json_int_t)check->revealed_count, "agencies", agencies_json(check));
	if (check->stage == DRAWN) json_object_set_new(json, "number", json_integer(check->number));
	if (options->winners) json_object_set_new(json, "winners", winners_json(check, winners));
	return json;
}

static json_t *altered_json(const struct check *check, uint64_t line)
{
	json_t *json = json_pack("{s:b,s:s}", "true", 0, "what", check->what);
	if (check->in_record) {
		json_object_set_new(json, "record", json_integer((json_int_t)check->record_count));
		json_object_set_new(json, "line", json_integer((json_int_t)line));
	}
	if (check->ticket != 0) json_object_set_new(json, "ticket", json_integer((json_int_t)check->ticket));
	return json;
}

static bool print_json(json_t *json)
{
	bool printed = json != NULL && json_dumpf(json, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
	json_decref(json);
	return printed;
}

static enum exit_code tell(const struct check *check, const struct options *options, const struct winners *winners,
			   uint64_t line, enum exit_code code)
{
	bool printed = true;
	if (code == EXIT_UNREADABLE) return code;
	if (options->json)
		printed =
		    print_json(code == EXIT_TRUE ? true_json(check, options, winners) : altered_json(check, line));
	else if (code == EXIT_TRUE)
		print_true(check, options, winners);
	else
		print_altered(check, line);
	if (!printed || fflush(stdout) != 0 || ferror(stdout)) {
		(void)fprintf(stderr, "fts-verify: the result can't be written\n");
		return EXIT_UNREADABLE;
	}
	return code;
}

/* ---- The command ---- */

static bool read_agency(const char *text, uint32_t *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	*out = (uint32_t)value;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= 1 && value <= AGENCY_COUNT_MAX;
}

static bool read_root(const char *text, uint8_t out[HASH_BYTES])
{
	size_t size = 0;
	return sodium_hex2bin(out, HASH_BYTES, text, strlen(text), NULL, &size, NULL) == 0 && size == HASH_BYTES;
}

/* EXIT_TRUE: go on. *out_text: what was asked for instead of a check; static. */
static enum exit_code read_options(int argc, char **argv, struct options *options, const char **out_text)
{
	static const struct option known[] = {{"agency", required_argument, NULL, 'a'},
					      {"help", no_argument, NULL, 'h'},
					      {"json", no_argument, NULL, 'j'},
					      {"root", required_argument, NULL, 'r'},
					      {"version", no_argument, NULL, 'v'},
					      {"winners", no_argument, NULL, 'w'},
					      {NULL, 0, NULL, 0}};
	const char *wrong = NULL;
	int option;
	while (wrong == NULL && (option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		if (option == 'h')
			*out_text = usage;
		else if (option == 'v')
			*out_text = version;
		else if (option == 'j')
			options->json = true;
		else if (option == 'w')
			options->winners = true;
		else if (option == 'r')
			wrong = (options->has_root = read_root(optarg, options->root))
				    ? NULL
				    : "--root: 64 hex digits expected";
		else if (option == 'a')
			wrong = read_agency(optarg, &options->agency) ? NULL : "--agency: 1 to 10000 expected";
		else
			wrong = "";
	}
	if (*out_text != NULL && wrong == NULL) return EXIT_TRUE;
	if (wrong == NULL && optind + 1 != argc) wrong = "one FILE expected";
	if (wrong == NULL && options->agency != 0 && !options->winners) wrong = "--agency goes with --winners";
	if (wrong == NULL) {
		options->path = argv[optind];
		return EXIT_TRUE;
	}
	(void)fprintf(stderr, "%s%s%sfts-verify --help tells more\n", wrong[0] == '\0' ? "" : "fts-verify: ", wrong,
		      wrong[0] == '\0' ? "" : "; ");
	return EXIT_UNREADABLE;
}

static enum exit_code verify(const struct options *options)
{
	struct winners winners = {.agency = options->agency};
	struct check *check = calloc(1, sizeof *check);
	struct bundle bundle = {.file = fopen(options->path, "re")};
	enum exit_code code;
	if (check == NULL) {
		code = unreadable(options, "no memory");
	} else if (bundle.file == NULL) {
		code = unreadable(options, strerror(errno));
	} else {
		if (options->winners) {
			check->on_winner = keep_winner;
			check->ctx = &winners;
		}
		code = read_bundle(&bundle, check, options);
		code = tell(check, options, &winners, bundle.line, code);
	}
	if (bundle.file != NULL) (void)fclose(bundle.file);
	bundle_fini(&bundle);
	free(winners.list);
	free(check);
	return code;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	const char *text = NULL;
	enum exit_code code;
	if (sodium_init() < 0) {
		(void)fprintf(stderr, "fts-verify: libsodium can't be initialised\n");
		return EXIT_UNREADABLE;
	}
	code = read_options(argc, argv, &options, &text);
	if (code != EXIT_TRUE) return code;
	if (text != NULL) return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? EXIT_UNREADABLE : EXIT_TRUE;
	return verify(&options);
}
