/* Why this file exists: the harnesses run in every build, with any compiler: this main stands in for libFuzzer's.
 * It gives a harness each file of its corpus, and then INPUTS inputs made from them by small changes, the same every
 * time for the same SEED. Usage: NAME [CORPUS_DIR]; environment: FTS_FUZZ_INPUTS (20,000), FTS_FUZZ_SEED (1). A crash
 * is told by the signal; the number of the input is on the last line before it. */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

#define SEED_COUNT_MAX 256
#define INPUT_MAX_BYTES 8192
#define CHANGE_COUNT_MAX 8

struct input {
	uint8_t bytes[INPUT_MAX_BYTES];
	size_t size_bytes;
};

static struct input seeds[SEED_COUNT_MAX];
static size_t seed_count;
static uint64_t random_state;
static volatile uint64_t input_number;

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016). */
static uint64_t next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(2685821657736338717);
}

static size_t below(size_t limit)
{
	return limit ? (size_t)(next_random() % limit) : 0;
}

static void on_crash(int signal_number)
{
	char line[80];
	int n = snprintf(line, sizeof line, "crashed on input %" PRIu64 "\n", input_number);

	(void)!write(STDERR_FILENO, line, n > 0 ? (size_t)n : 0);
	(void)signal(signal_number, SIG_DFL);
	(void)raise(signal_number);
}

static void load(const char *directory, const char *name)
{
	char path[1024];
	struct input *seed = &seeds[seed_count];

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "rb");
	if (!file) return;
	seed->size_bytes = fread(seed->bytes, 1, sizeof seed->bytes, file);
	(void)fclose(file);
	seed_count++;
}

static void load_all(const char *directory)
{
	struct dirent **entries = NULL;
	int count = scandir(directory, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.' && seed_count < SEED_COUNT_MAX) load(directory, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void set_byte(struct input *input, size_t at)
{
	static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '}', '[', ',', '\\', '-'};

	switch (below(3)) {
	case 0:
		input->bytes[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		input->bytes[at] = (uint8_t)next_random();
		break;
	default:
		input->bytes[at] = edges[below(sizeof edges)];
	}
}

static void remove_run(struct input *input, size_t at)
{
	size_t run_bytes = 1 + below(input->size_bytes - at);

	memmove(input->bytes + at, input->bytes + at + run_bytes, input->size_bytes - at - run_bytes);
	input->size_bytes -= run_bytes;
}

/* A run of another seed goes in at a place. */
static void insert_run(struct input *input, size_t at)
{
	const struct input *other = &seeds[below(seed_count)];
	size_t from = below(other->size_bytes), run_bytes = below(other->size_bytes - from + 1);

	if (run_bytes > sizeof input->bytes - input->size_bytes) run_bytes = sizeof input->bytes - input->size_bytes;
	memmove(input->bytes + at + run_bytes, input->bytes + at, input->size_bytes - at);
	memcpy(input->bytes + at, other->bytes + from, run_bytes);
	input->size_bytes += run_bytes;
}

static void change(struct input *input)
{
	for (size_t n = 1 + below(CHANGE_COUNT_MAX); n > 0; n--) {
		size_t at = below(input->size_bytes);
		if (input->size_bytes == 0 || below(4) == 0)
			insert_run(input, at);
		else if (below(8) == 0)
			remove_run(input, at);
		else
			set_byte(input, at);
	}
}

/* Its own block, so that a sanitizer sees one byte too many. */
static void run(const struct input *input)
{
	uint8_t *bytes = malloc(input->size_bytes ? input->size_bytes : 1);

	if (!bytes) abort();
	memcpy(bytes, input->bytes, input->size_bytes);
	input_number++;
	(void)LLVMFuzzerTestOneInput(bytes, input->size_bytes);
	free(bytes);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	uint64_t count = setting("FTS_FUZZ_INPUTS", 20000);
	static struct input input;

	random_state = setting("FTS_FUZZ_SEED", 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	(void)signal(SIGSEGV, on_crash);
	(void)signal(SIGABRT, on_crash);
	if (argc > 1) load_all(argv[1]);
	if (seed_count == 0) seed_count = 1; /* the empty input */
	for (size_t i = 0; i < seed_count; i++)
		run(&seeds[i]);
	for (uint64_t i = 0; i < count; i++) {
		input = seeds[below(seed_count)];
		change(&input);
		run(&input);
	}
	(void)printf("%" PRIu64 " inputs from %zu seeds\n", input_number, seed_count);
	return 0;
}
