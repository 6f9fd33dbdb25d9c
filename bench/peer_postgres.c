/* Why this file exists: PostgreSQL storing the same bets: a connection an agency, --batch rows in each
 * transaction (one prepared multi-row INSERT), synchronous_commit on, over its local socket; then the winners of
 * one agency. What fts-bench lottery is compared with.
 * Usage: peer-postgres --endpoints SOCKET_DIR [flags of fts-bench lottery] */
#include "bench/measure.h"
#include "bench/options.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_COUNT 6
#define CLIENTS_MAX 64

struct agency {
	const struct bench_options *options;
	char name[12];
	uint64_t end_ns;
	struct measure measure; /* of transactions */
	pthread_t thread;
};

static PGconn *connect_to(const char *dir)
{
	char text[512];
	snprintf(text, sizeof text, "host=%s dbname=postgres user=postgres", dir);
	PGconn *connection = PQconnectdb(text);
	if (PQstatus(connection) == CONNECTION_OK) return connection;
	fprintf(stderr, "peer-postgres: %s", PQerrorMessage(connection));
	exit(1);
}

static void execute(PGconn *connection, const char *sql)
{
	PGresult *result = PQexec(connection, sql);
	ExecStatusType status = PQresultStatus(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
		fprintf(stderr, "peer-postgres: %s", PQerrorMessage(connection));
		exit(1);
	}
	PQclear(result);
}

/* INSERT ... VALUES ($1,..,$6),($7,..): returned (free). */
static char *insert_statement(uint32_t batch)
{
	size_t capacity = 256 + (size_t)batch * 64;
	char *sql = malloc(capacity);
	if (sql == NULL) exit(1);
	size_t at = (size_t)snprintf(sql, capacity, "INSERT INTO bets(agency,first,last,document,birth,number) VALUES ");
	for (uint32_t row = 0; row < batch; row++) {
		unsigned p = row * COLUMN_COUNT;
		at += (size_t)snprintf(sql + at, capacity - at, "%s($%u,$%u,$%u,$%u,$%u,$%u)", row ? "," : "", p + 1, p + 2,
		                       p + 3, p + 4, p + 5, p + 6);
	}
	return sql;
}

static void *run_agency(void *arg)
{
	struct agency *agency = arg;
	uint32_t batch = agency->options->batch;
	PGconn *connection = connect_to(agency->options->endpoints);
	char *sql = insert_statement(batch);
	const char **values = calloc((size_t)batch * COLUMN_COUNT, sizeof *values);
	char(*numbers)[8] = calloc(batch, sizeof *numbers);
	if (values == NULL || numbers == NULL) exit(1);
	PQclear(PQprepare(connection, "insert", sql, 0, NULL));
	for (uint32_t row = 0; row < batch; row++) {
		const char *const columns[COLUMN_COUNT] = {agency->name, "Santiago Lionel", "Lorca", "30904465",
		                                           "1999-03-17", numbers[row]};
		memcpy(values + (size_t)row * COLUMN_COUNT, columns, sizeof columns);
	}
	for (uint64_t now, n = 0; (now = measure_now_ns()) < agency->end_ns;) {
		for (uint32_t row = 0; row < batch; row++) snprintf(numbers[row], 8, "%u", (unsigned)(n++ * 7919 % 10000));
		PGresult *result = PQexecPrepared(connection, "insert", (int)(batch * COLUMN_COUNT), values, NULL, NULL, 0);
		if (PQresultStatus(result) == PGRES_COMMAND_OK)
			measure_add(&agency->measure, measure_now_ns() - now);
		else
			agency->measure.error_count++;
		PQclear(result);
	}
	free(numbers);
	free(values);
	free(sql);
	PQfinish(connection);
	return NULL;
}

int main(int argc, char **argv)
{
	struct bench_options options = {.clients = 5, .outstanding = 5, .seconds = 5, .batch = 100};
	static struct agency agencies[CLIENTS_MAX];
	bench_options_parse(&options, argc, argv, 1);
	if (options.endpoints == NULL || options.clients > CLIENTS_MAX) {
		fprintf(stderr, "peer-postgres: --endpoints SOCKET_DIR is needed, and at most %d clients\n", CLIENTS_MAX);
		return 2;
	}
	PGconn *connection = connect_to(options.endpoints);
	execute(connection, "DROP TABLE IF EXISTS bets");
	execute(connection, "CREATE TABLE bets(id bigserial PRIMARY KEY, agency int NOT NULL, first text NOT NULL, "
	                    "last text NOT NULL, document text NOT NULL, birth date NOT NULL, number int NOT NULL)");
	execute(connection, "CREATE INDEX ON bets(number, agency)");
	uint64_t start_ns = measure_now_ns();
	for (uint32_t i = 0; i < options.clients; i++) {
		agencies[i].options = &options;
		agencies[i].end_ns = start_ns + options.seconds * 1000000000ull;
		snprintf(agencies[i].name, sizeof agencies[i].name, "%u", i + 1);
		pthread_create(&agencies[i].thread, NULL, run_agency, &agencies[i]);
	}
	struct measure total = {0};
	for (uint32_t i = 0; i < options.clients; i++) {
		pthread_join(agencies[i].thread, NULL);
		measure_merge(&total, &agencies[i].measure);
	}
	total.op_count *= options.batch; /* rows */
	measure_print(&total, "postgres", options.seconds, 0, options.json);
	uint64_t query_ns = measure_now_ns();
	execute(connection, "SELECT document FROM bets WHERE number = 7574 AND agency = 1 ORDER BY id");
	fprintf(stderr, "postgres: winners of agency 1 in %.2f ms\n", (double)(measure_now_ns() - query_ns) / 1e6);
	PQfinish(connection);
	return 0;
}
