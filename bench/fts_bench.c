/* Why this file exists: `fts-bench`, which measures fts (cli.md, bench). */
#include "bench/elect.h"
#include "bench/failover.h"
#include "bench/game.h"
#include "bench/hostile.h"
#include "bench/kv.h"
#include "bench/lottery.h"
#include "bench/options.h"
#include "bench/rpc.h"
#include "bench/worker.h"

#include <stdio.h>
#include <string.h>

struct subject {
	const char *name;
	int (*run)(const struct bench_options *options);
	struct bench_options defaults;
};

static const struct subject subjects[] = {
    {"rpc", bench_rpc, {.clients = 1, .outstanding = 64, .seconds = 5}},
    {"rpc-serve", bench_rpc_serve, {.clients = 1, .outstanding = 1, .seconds = 1}},
    {"kv",
     bench_kv,
     {.clients = 4, .outstanding = 64, .seconds = 5, .keys = 100000, .value_bytes = 100, .get_percent = 50}},
    {"lottery", bench_lottery, {.clients = 5, .outstanding = 40, .seconds = 5, .batch = 100}},
    {"worker", bench_worker, {.clients = 4, .outstanding = 64, .seconds = 5}},
    {"worker-serve", bench_worker_serve, {.clients = 4, .outstanding = 64}},
    {"game", bench_game, {.clients = 4, .outstanding = 64, .seconds = 5}},
    {"hostile", bench_hostile, {.clients = 2, .outstanding = 1, .seconds = 4}},
};

int main(int argc, char **argv)
{
	struct bench_options options = {0};
	if (argc > 1 && strcmp(argv[1], "failover") == 0) return bench_failover(argc, argv);
	if (argc > 1 && strcmp(argv[1], "elect") == 0) return bench_elect(argc, argv);
	if (argc > 1 && strcmp(argv[1], "stamp") == 0) return bench_stamp(argc, argv);
	for (size_t i = 0; argc > 1 && i < sizeof subjects / sizeof subjects[0]; i++) {
		if (strcmp(argv[1], subjects[i].name) != 0) continue;
		options = subjects[i].defaults;
		bench_options_parse(&options, argc, argv, 2);
		return subjects[i].run(&options);
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("fts-bench " FTS_VERSION);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0) bench_options_parse(&options, argc, argv, 1);
	fprintf(stderr, "fts-bench: name what to measure: rpc, kv, lottery, game, elect, worker, hostile or failover; see fts-bench --help\n");
	return 2;
}
