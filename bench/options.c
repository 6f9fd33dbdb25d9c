/* Why this file exists: see options.h. */
#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "Usage: fts-bench rpc|kv|lottery|game|elect|worker|hostile [flags]\n"
    "Measures calls a second and their latency, against a server of its own unless --endpoints is given.\n\n"
    "  --clients N       connections (default: 1; lottery: 5, an agency each; kv, game: 4; hostile: 2, the\n                    honest); worker: workers (default: 4)\n"
    "  --outstanding N   calls in flight, over all connections (default: 64); game: matches played at once\n"
    "  --seconds S       how long (default: 5)\n"
    "  --batch N         lottery: bets a call (default: 100); worker: runs a ticket is for (default: by habit)\n"
    "  --reads           lottery, game: ask how the draw or match stands, linearizably, instead of changing it\n"
    "  --keys N          kv: how many keys there are (default: 100000)\n"
    "  --value-bytes N   kv: of each value (default: 100)\n"
    "  --get N           kv: calls of a hundred that read; the rest set (default: 50)\n"
    "  --skewed          kv: few keys are used much (Zipf, 0.99), instead of all alike\n"
    "  --filled          kv: the keys that are read are there already\n"
    "  --linearizable    kv: a database of the replicated log, instead of the sharded one\n"
    "  --endpoints H:P   measure this server instead of starting one\n"
    "  --pids P,P        processes of that server, whose CPU time is counted too\n"
    "  --tls-dir DIR     rpc: mutual TLS with DIR/ca.pem, DIR/cert.pem, DIR/key.pem\n"
    "  --json            one JSON object instead of a line for people\n"
    "  --version         print the version\n\n"
    "`fts-bench elect --help` and `fts-bench failover --help` tell how the death of masters and of nodes is measured.\n\n"
    "Example: fts-bench rpc --outstanding 256 --seconds 3\n";

static uint32_t parse_count(const char *flag, const char *text, uint32_t min, uint32_t max)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (errno != 0 || *end != 0 || end == text || value < min || value > max) {
		fprintf(stderr, "fts-bench: --%s takes a whole number from %u to %u, not \"%s\"\n", flag, min, max,
		        text);
		exit(2);
	}
	return (uint32_t)value;
}

void bench_options_parse(struct bench_options *options, int argc, char **argv, int first)
{
	static const struct option flags[] = {
	    {"clients", required_argument, NULL, 'c'}, {"outstanding", required_argument, NULL, 'o'},
	    {"seconds", required_argument, NULL, 's'}, {"batch", required_argument, NULL, 'b'},
	    {"endpoints", required_argument, NULL, 'e'}, {"tls-dir", required_argument, NULL, 't'},
	    {"keys", required_argument, NULL, 'k'}, {"value-bytes", required_argument, NULL, 'v'},
	    {"get", required_argument, NULL, 'g'}, {"skewed", no_argument, NULL, 'z'},
	    {"filled", no_argument, NULL, 'f'},
	    {"pipeline", required_argument, NULL, 'p'}, {"pids", required_argument, NULL, 'P'},
	    {"linearizable", no_argument, NULL, 'l'}, {"reads", no_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	optind = first;
	for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
		switch (flag) {
		case 'c': options->clients = parse_count("clients", optarg, 1, 1024); break;
		case 'o': options->outstanding = parse_count("outstanding", optarg, 1, 4096); break;
		case 's': options->seconds = parse_count("seconds", optarg, 1, 3600); break;
		case 'b': options->batch = parse_count("batch", optarg, 1, 4096); break;
		case 'k': options->keys = parse_count("keys", optarg, 1, 100000000); break;
		case 'v': options->value_bytes = parse_count("value-bytes", optarg, 1, 1048576); break;
		case 'g': options->get_percent = parse_count("get", optarg, 0, 100); break;
		case 'z': options->skewed = true; break;
		case 'f': options->filled = true; break;
		case 'p': options->pipeline = parse_count("pipeline", optarg, 1, 1024); break;
		case 'P': options->pids = optarg; break;
		case 'l': options->linearizable = true; break;
		case 'e': options->endpoints = optarg; break;
		case 't': options->tls_dir = optarg; break;
		case 'r': options->reads = true; break;
		case 'j': options->json = true; break;
		case 'h': fputs(help, stdout); exit(0);
		default: fputs("fts-bench: see fts-bench --help\n", stderr); exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "fts-bench: unexpected argument \"%s\"; see fts-bench --help\n", argv[optind]);
		exit(2);
	}
	if (options->outstanding < options->clients) options->outstanding = options->clients;
}
