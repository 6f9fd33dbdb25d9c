/* Why this file exists: `lottery generate`: files of made-up bets for shows and tests, without any server. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/bets.h"
#include "client/cli/output.h"

#define WINNING_NUMBER 7574u /* the classic one */
#define WINNER_ONE_IN 2500u  /* four times as many as chance would have, so that small files show some */
#define NUMBERS 10000u
#define PATH_BYTES_MAX 4096u

struct made {
	uint64_t rows;
	uint64_t winners;
};

static bool write_bets(FILE *out, struct ftsi_random *random, struct made *made)
{
	uint64_t sure_winner = made->rows ? ftsi_random_below(random, made->rows) : 0;
	char row[256];

	for (uint64_t i = 0; i < made->rows; i++) {
		bool wins = i == sure_winner || ftsi_random_below(random, WINNER_ONE_IN) == 0;
		unsigned number = wins ? WINNING_NUMBER : (unsigned)ftsi_random_below(random, NUMBERS);
		made->winners += number == WINNING_NUMBER;
		size_t size_bytes = ftsi_bet_make(random, number, row, sizeof(row));
		if (fwrite(row, 1, size_bytes, out) != size_bytes) return false;
	}
	return true;
}

/* The file is what it was, or whole. False: errno. */
static bool write_file(const char *path, struct ftsi_random *random, struct made *made)
{
	char tmp_path[PATH_BYTES_MAX + 8];
	FILE *out;

	snprintf(tmp_path, sizeof(tmp_path), "%s.tmp", path);
	out = fopen(tmp_path, "we");
	if (!out) return false;
	bool wrote = write_bets(out, random, made);
	bool closed = fclose(out) == 0;
	if (wrote && closed && rename(tmp_path, path) == 0) return true;
	int saved = errno;
	unlink(tmp_path);
	errno = saved;
	return false;
}

static void tell_file(const struct ftsi_cli *cli, const char *path, const struct made *made, json_t *files)
{
	if (cli->json)
		json_array_append_new(files, ftsi_json("{s:s,s:I,s:I}", "file", path, "rows", (json_int_t)made->rows,
						       "winners", (json_int_t)made->winners));
	else
		printf("%s: %" PRIu64 " bets, %" PRIu64 " of them on %u\n", path, made->rows, made->winners,
		       WINNING_NUMBER);
}

static enum ftsi_exit write_files(struct ftsi_cli *cli, struct ftsi_random *random, const uint64_t *rows, size_t count)
{
	json_t *files = ftsi_json("[]");
	struct made all = {0};
	char path[PATH_BYTES_MAX];
	enum ftsi_exit code = FTSI_EXIT_DONE;

	for (size_t i = 0; i < count && code == FTSI_EXIT_DONE; i++) {
		struct made made = {.rows = rows[i]};
		int length = snprintf(path, sizeof(path), "%s/agency-%zu.csv", cli->args.positionals[0], i + 1);
		if (length < 0 || (size_t)length >= sizeof(path))
			code = ftsi_fail_usage(cli, "DIR: the path is too long");
		else if (!write_file(path, random, &made))
			code = ftsi_fail_usage(cli, "%s: %s", path, strerror(errno));
		else
			tell_file(cli, path, &made, files);
		all.rows += made.rows;
		all.winners += made.winners;
	}
	if (code == FTSI_EXIT_DONE && cli->json)
		ftsi_print_json(ftsi_json("{s:I,s:I,s:O}", "rows", (json_int_t)all.rows, "winners",
					  (json_int_t)all.winners, "files", files));
	json_decref(files);
	return code;
}

enum ftsi_exit ftsi_run_lottery_generate(struct ftsi_cli *cli)
{
	const char *dir = cli->args.positionals[0];
	size_t count = (size_t)ftsi_value_of(cli, "agencies")->number;
	struct ftsi_random random = {ftsi_value_of(cli, "seed")->number};
	uint64_t *rows = calloc(count, sizeof(*rows));
	enum ftsi_exit code;

	if (!rows) {
		struct fts_error error;
		fts_error_set(&error, FTS_RESOURCE_EXHAUSTED, "no memory");
		return ftsi_fail(cli, &error);
	}
	if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
		code = ftsi_fail_usage(cli, "%s: %s", dir, strerror(errno));
	} else {
		ftsi_bets_divide(&random, ftsi_value_of(cli, "rows")->number, count, rows);
		code = write_files(cli, &random, rows, count);
	}
	free(rows);
	return code;
}
