/* Why this file exists: the bets of five agencies, all of them, through the commands: every row is valid, the winners
 * are those of a plain scan of the files in file order, and the same rows again are stored by nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/csv.h"
#include "tests/harness/process.h"
#include "world.h"

enum { AGENCIES = 5, BATCH = 200, NUMBER = 7574, FIELDS = 5 };

struct file {
	char *text;
	char *at; /* where the next row begins */
	uint64_t row;
	size_t total;
};

static void file_open(struct file *file, const char *directory, uint32_t agency)
{
	char path[HARNESS_PATH_MAX + 32];
	(void)snprintf(path, sizeof path, "%s/agency-%u.csv", directory, agency);
	file->text = harness_file_read(path, NULL);
	assert_non_null(file->text);
	file->at = file->text;
	file->row = 0;
	file->total = harness_csv_rows(path);
}

static void row_of(char *line, Fts__Lottery__V1__Bet *out)
{
	char *fields[FIELDS];
	line[strcspn(line, "\r")] = '\0';
	for (int i = 0; i < FIELDS; i++)
		fields[i] = strsep(&line, ",");
	fts__lottery__v1__bet__init(out);
	out->first_name = fields[0];
	out->last_name = fields[1];
	out->document = fields[2];
	out->birthdate = fields[3];
	assert_non_null(fields[4]);
	out->number = (uint32_t)strtoul(fields[4], NULL, 10);
}

/* Up to BATCH rows; they live as long as the file. */
static size_t take(struct file *file, Fts__Lottery__V1__Bet *out)
{
	size_t count = 0;
	while (count < BATCH && *file->at != '\0') {
		char *line = file->at, *end = strchr(line, '\n');
		if (end == NULL)
			file->at += strlen(line);
		else
			*end = '\0', file->at = end + 1;
		if (*line != '\0' && *line != '\r') row_of(line, &out[count++]);
	}
	return count;
}

static uint64_t store(struct world *world, struct file *file, uint32_t agency, bool again)
{
	Fts__Lottery__V1__StoreBatchRequest request = FTS__LOTTERY__V1__STORE_BATCH_REQUEST__INIT;
	const Fts__Lottery__V1__StoreBatchResponse *response;
	Fts__Lottery__V1__Bet bets[BATCH], *rows[BATCH];
	size_t count = take(file, bets);
	if (count == 0) return 0;
	for (size_t i = 0; i < count; i++)
		rows[i] = &bets[i];
	request.draw = (char[]){"d"};
	request.agency = agency;
	request.bets = rows;
	request.n_bets = count;
	request.import = (char[]){"the file"};
	request.first_row = file->row + 1;
	request.after_row = file->row;
	assert_int_equal(world_apply(world, fts_lottery_store_batch_method, &request.base, &response), FTS_OK);
	assert_int_equal(response->refused, 0);
	assert_int_equal(again ? response->already : response->stored, count);
	file->row += count;
	return count;
}

/* All files, a batch of each in turn, as five importers at once would. */
static uint64_t store_all(struct world *world, const char *directory, bool again)
{
	struct file files[AGENCIES];
	uint64_t total = 0, before;
	for (uint32_t i = 0; i < AGENCIES; i++)
		file_open(&files[i], directory, i + 1);
	do {
		before = total;
		for (uint32_t i = 0; i < AGENCIES; i++)
			total += store(world, &files[i], i + 1, again);
		world_forget_events(world);
		world_commit(world);
	} while (total > before);
	for (uint32_t i = 0; i < AGENCIES; i++) {
		assert_int_equal(files[i].row, files[i].total);
		free(files[i].text);
	}
	return total;
}

static void check_winners(struct world *world, const char *directory, uint32_t agency)
{
	Fts__Lottery__V1__WinnersRequest request = FTS__LOTTERY__V1__WINNERS_REQUEST__INIT;
	const Fts__Lottery__V1__WinnersResponse *response;
	char path[HARNESS_PATH_MAX + 32];
	request.draw = (char[]){"d"};
	request.agency = agency;
	assert_int_equal(world_read(world, fts_lottery_winners_method, &request.base, &response), FTS_OK);
	(void)snprintf(path, sizeof path, "%s/agency-%u.csv", directory, agency);
	char *scanned = harness_csv_winners(path, NUMBER), *rest = scanned;
	for (size_t i = 0; i < response->n_documents; i++)
		assert_string_equal(response->documents[i], strsep(&rest, "\n"));
	assert_true(rest == NULL || *rest == '\0');
	free(scanned);
}

static void five_agencies_get_the_winners_of_their_files(void **state)
{
	struct world *world = malloc(sizeof *world);
	char directory[HARNESS_PATH_MAX];
	(void)state;
	harness_csv_directory(directory);
	world_open(world);
	assert_int_equal(world_draw_open(world, "d", AGENCIES, NUMBER), FTS_OK);
	uint64_t total = store_all(world, directory, false);
	assert_int_equal(store_all(world, directory, true), total);
	assert_int_equal(world_status(world, "d")->bets, total);
	assert_int_equal(total, 78697);
	for (uint32_t agency = 1; agency <= AGENCIES; agency++)
		assert_int_equal(world_agency_close(world, "d", agency, ""), FTS_OK);
	world_commit(world);
	for (uint32_t agency = 1; agency <= AGENCIES; agency++)
		check_winners(world, directory, agency);
	world_close(world);
	free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(five_agencies_get_the_winners_of_their_files)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
