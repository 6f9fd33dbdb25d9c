/* Why this file exists: see tests/linear/checker.h.
 *
 * The calls of one key are a list of events in the order of time: a call's begin, and its end if its outcome is known.
 * The search walks along the list and takes the first begin that fits the state; taking it lifts its events out of the
 * list. An end that is met means that its call should have been taken before: the last one taken is put back and the
 * next tried. All ends gone: an order has been found. */
#include "tests/linear/checker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/linear/memo.h"

#define STEPS_DEFAULT 50000000u
#define MEMO_BYTES_DEFAULT ((size_t)512 << 20)
#define TIME_DEFAULT_MS 60000u
#define STEPS_BETWEEN_CLOCKS 4096u
#define SHOWN_MAX 12

struct event {
	struct event *before, *after;
	struct event *end; /* of a begin whose outcome is known; NULL otherwise */
	uint32_t place;    /* of its operation */
	bool is_end;
};

struct taken {
	struct event *begin;
	uint8_t state_before[LINEAR_STATE_MAX_BYTES];
};

/* The search over one key. */
struct search {
	const struct linear_model *model;
	const struct linear_operation *operations; /* sorted by their begin */
	size_t count;
	struct event head, *events;
	struct taken *stack;
	size_t depth;
	size_t known_left;
	uint8_t state[LINEAR_STATE_MAX_BYTES];
	uint8_t *key; /* of the memo: bits of what is taken, then the state */
	size_t bits_bytes;
	uint64_t bits_hash;
	struct linear_memo *memo;
	uint32_t *deepest; /* the longest order that was found: places */
	size_t deepest_count, deepest_known;
};

/* Over all keys. */
struct budget {
	uint64_t steps_left, deadline_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
	value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
	return value ^ (value >> 31);
}

/* ---- The list ---- */

static void unlink_event(struct event *event)
{
	event->before->after = event->after;
	if (event->after != NULL) event->after->before = event->before;
}

static void relink_event(struct event *event)
{
	event->before->after = event;
	if (event->after != NULL) event->after->before = event;
}

struct moment {
	uint64_t at_ns;
	uint32_t place;
	bool is_end;
};

/* Begins before ends of the same moment: what may overlap does. */
static int compare_moments(const void *a, const void *b)
{
	const struct moment *left = a, *right = b;
	if (left->at_ns != right->at_ns) return left->at_ns < right->at_ns ? -1 : 1;
	if (left->is_end != right->is_end) return left->is_end ? 1 : -1;
	return left->place < right->place ? -1 : left->place > right->place;
}

static bool build_list(struct search *search)
{
	struct moment *moments = calloc(search->count * 2 + 1, sizeof(*moments));
	struct event **begins = calloc(search->count + 1, sizeof(struct event *)), *last = &search->head;
	size_t count = 0;
	bool built = moments != NULL && begins != NULL;
	for (uint32_t i = 0; built && i < search->count; i++) {
		const struct linear_operation *operation = &search->operations[i];
		moments[count++] = (struct moment){operation->invoke_ns, i, false};
		if (operation->known) moments[count++] = (struct moment){operation->return_ns, i, true};
		search->known_left += operation->known;
	}
	if (built) qsort(moments, count, sizeof(*moments), compare_moments);
	for (size_t i = 0; built && i < count; i++) {
		struct event *event = &search->events[i];
		*event = (struct event){.before = last, .place = moments[i].place, .is_end = moments[i].is_end};
		last->after = event;
		last = event;
		if (!event->is_end) begins[event->place] = event;
		if (event->is_end) begins[event->place]->end = event;
	}
	free(moments);
	free(begins);
	return built;
}

/* ---- Taking and putting back ---- */

static uint64_t state_hash(const struct search *search)
{
	uint64_t hash = 0, word;
	for (size_t i = 0; i < search->model->state_bytes; i += sizeof(word)) {
		memcpy(&word, search->state + i, sizeof(word));
		hash = mix(hash ^ word) + i;
	}
	return hash;
}

static void flip(struct search *search, uint32_t place)
{
	search->key[place / 8] ^= (uint8_t)(1u << (place % 8));
	search->bits_hash ^= mix(place + 0x9E3779B97F4A7C15u);
}

static void take(struct search *search, struct event *begin, const uint8_t *state_after)
{
	struct taken *taken = &search->stack[search->depth++];
	taken->begin = begin;
	memcpy(taken->state_before, search->state, sizeof(search->state));
	memcpy(search->state, state_after, sizeof(search->state));
	unlink_event(begin);
	if (begin->end != NULL) {
		unlink_event(begin->end);
		search->known_left--;
	}
}

static struct event *put_back(struct search *search)
{
	struct taken *taken = &search->stack[--search->depth];
	struct event *begin = taken->begin;
	if (begin->end != NULL) {
		relink_event(begin->end);
		search->known_left++;
	}
	relink_event(begin);
	flip(search, begin->place);
	memcpy(search->state, taken->state_before, sizeof(search->state));
	return begin;
}

static void note_deepest(struct search *search, size_t known_count)
{
	size_t known_taken = known_count - search->known_left;
	if (search->deepest_count > 0 && known_taken <= search->deepest_known) return;
	search->deepest_known = known_taken;
	search->deepest_count = search->depth;
	for (size_t i = 0; i < search->depth; i++)
		search->deepest[i] = search->stack[i].begin->place;
}

/* Would taking begin lead somewhere new? Takes it then. */
static enum linear_memo_answer try_take(struct search *search, struct event *begin)
{
	uint8_t after[LINEAR_STATE_MAX_BYTES] = {0}, before[LINEAR_STATE_MAX_BYTES];
	if (!search->model->step(search->state, &search->operations[begin->place], after)) return LINEAR_MEMO_KNOWN;
	memcpy(before, search->state, sizeof(before));
	memcpy(search->state, after, sizeof(after));
	flip(search, begin->place);
	memcpy(search->key + search->bits_bytes, search->state, search->model->state_bytes);
	enum linear_memo_answer answer =
	    linear_memo_add(search->memo, search->key, mix(search->bits_hash ^ state_hash(search)));
	memcpy(search->state, before, sizeof(before));
	if (answer == LINEAR_MEMO_NEW)
		take(search, begin, after);
	else
		flip(search, begin->place);
	return answer;
}

static bool spend(struct budget *budget)
{
	if (budget->steps_left == 0) return false;
	budget->steps_left--;
	return budget->steps_left % STEPS_BETWEEN_CLOCKS != 0 || now_ns() < budget->deadline_ns;
}

static enum linear_verdict run(struct search *search, struct budget *budget)
{
	size_t known_count = search->known_left;
	struct event *at = search->head.after;
	while (search->known_left > 0) {
		if (!spend(budget)) return LINEAR_UNDECIDED;
		if (at != NULL && !at->is_end) {
			enum linear_memo_answer answer = try_take(search, at);
			if (answer == LINEAR_MEMO_FULL) return LINEAR_UNDECIDED;
			at = answer == LINEAR_MEMO_NEW ? search->head.after : at->after;
			if (answer == LINEAR_MEMO_NEW) note_deepest(search, known_count);
			continue;
		}
		if (search->depth == 0) return LINEAR_VIOLATION;
		at = put_back(search)->after;
	}
	return LINEAR_OK;
}

/* ---- What could not be explained ---- */

static size_t show(const struct search *search, uint32_t place, uint64_t from_ns, const char *mark, char *out,
		   size_t size_bytes)
{
	const struct linear_operation *operation = &search->operations[place];
	char what[128];
	search->model->print(operation, what, sizeof(what));
	int length = operation->known
			 ? snprintf(out, size_bytes, "%s client %u [%.3f .. %.3f ms] %s\n", mark, operation->client,
				    (double)(operation->invoke_ns - from_ns) / 1e6,
				    (double)(operation->return_ns - from_ns) / 1e6, what)
			 : snprintf(out, size_bytes, "%s client %u [%.3f .. unknown] %s\n", mark, operation->client,
				    (double)(operation->invoke_ns - from_ns) / 1e6, what);
	return length < 0 ? 0 : (size_t)length < size_bytes ? (size_t)length : size_bytes - 1;
}

/* The end of the longest order, and the calls that had begun before the first known one outside of it ended. */
static void tell(const struct search *search, struct linear_report *report)
{
	uint8_t *taken = calloc(search->count, 1);
	uint64_t first_end_ns = UINT64_MAX, from_ns = search->operations[0].invoke_ns;
	size_t used = 0, shown = 0;
	size_t first = search->deepest_count > SHOWN_MAX ? search->deepest_count - SHOWN_MAX : 0;
	if (taken == NULL) return;
	for (size_t i = 0; i < search->deepest_count; i++) {
		taken[search->deepest[i]] = 1;
		if (i >= first)
			used += show(search, search->deepest[i], from_ns, "  done ", report->text + used,
				     sizeof(report->text) - used);
	}
	for (size_t i = 0; i < search->count; i++)
		if (!taken[i] && search->operations[i].known && search->operations[i].return_ns < first_end_ns)
			first_end_ns = search->operations[i].return_ns;
	for (uint32_t i = 0; i < search->count && shown < SHOWN_MAX; i++) {
		if (taken[i] || search->operations[i].invoke_ns > first_end_ns) continue;
		used += show(search, i, from_ns, "  stuck", report->text + used, sizeof(report->text) - used);
		shown++;
	}
	free(taken);
}

/* ---- One key ---- */

static bool prepare(struct search *search, size_t memo_bytes_max)
{
	search->bits_bytes = (search->count + 63) / 64 * 8;
	search->events = calloc(search->count * 2 + 1, sizeof(*search->events));
	search->stack = calloc(search->count + 1, sizeof(*search->stack));
	search->deepest = calloc(search->count + 1, sizeof(*search->deepest));
	search->key = calloc(1, search->bits_bytes + LINEAR_STATE_MAX_BYTES);
	search->memo = linear_memo_create(search->bits_bytes + search->model->state_bytes, memo_bytes_max);
	return search->events != NULL && search->stack != NULL && search->deepest != NULL && search->key != NULL &&
	       search->memo != NULL && build_list(search);
}

static enum linear_verdict check_key(const struct linear_model *model, const struct linear_operation *operations,
				     size_t count, size_t memo_bytes_max, struct budget *budget,
				     struct linear_report *report)
{
	struct search search = {.model = model, .operations = operations, .count = count};
	enum linear_verdict verdict = LINEAR_UNDECIDED;
	if (prepare(&search, memo_bytes_max)) verdict = run(&search, budget);
	if (verdict == LINEAR_VIOLATION) {
		report->key = operations[0].key;
		tell(&search, report);
	}
	free(search.events);
	free(search.stack);
	free(search.deepest);
	free(search.key);
	linear_memo_destroy(search.memo);
	return verdict;
}

/* ---- All keys ---- */

static int compare_operations(const void *a, const void *b)
{
	const struct linear_operation *left = a, *right = b;
	if (left->key != right->key) return left->key < right->key ? -1 : 1;
	if (left->invoke_ns != right->invoke_ns) return left->invoke_ns < right->invoke_ns ? -1 : 1;
	return left->client < right->client ? -1 : left->client > right->client;
}

enum linear_verdict linear_check(const struct linear_model *model, const struct linear_operation *operations,
				 size_t count, const struct linear_limits *limits, struct linear_report *out_report)
{
	static const struct linear_limits defaults;
	if (limits == NULL) limits = &defaults;
	uint64_t steps_max = limits->steps_max != 0 ? limits->steps_max : STEPS_DEFAULT;
	uint32_t time_max_ms = limits->time_max_ms != 0 ? limits->time_max_ms : TIME_DEFAULT_MS;
	size_t memo_bytes_max = limits->memo_bytes_max != 0 ? limits->memo_bytes_max : MEMO_BYTES_DEFAULT;
	struct budget budget = {steps_max, now_ns() + time_max_ms * (uint64_t)1000000u};
	struct linear_operation *sorted = calloc(count + 1, sizeof(*sorted));
	enum linear_verdict verdict = LINEAR_OK;
	memset(out_report, 0, sizeof(*out_report));
	if (sorted == NULL) return LINEAR_UNDECIDED;
	if (count > 0) memcpy(sorted, operations, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_operations);
	for (size_t from = 0, to; from < count && verdict != LINEAR_VIOLATION; from = to) {
		for (to = from; to < count && sorted[to].key == sorted[from].key; to++)
			;
		enum linear_verdict of_key =
		    check_key(model, sorted + from, to - from, memo_bytes_max, &budget, out_report);
		if (of_key != LINEAR_OK) verdict = of_key; /* an undecided key: another one may still be refused */
		out_report->key_count++;
	}
	out_report->steps = steps_max - budget.steps_left;
	free(sorted);
	return verdict;
}

const char *linear_verdict_name(enum linear_verdict verdict)
{
	static const char *const names[] = {"linearizable", "VIOLATION", "UNDECIDED"};
	return names[verdict];
}
