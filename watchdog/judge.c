/* Why this file exists: see watchdog/judge.h. */
#include "watchdog/judge.h"

#include <stdio.h>
#include <string.h>

#define JUDGE_ANSWERS_MIN 3
#define GAP_INTERVALS 2 /* more than so many intervals between two looks: the watchdog itself did not run */

void ftsi_judge_init(struct ftsi_judge *judge, const struct ftsi_watch_process *process, uint32_t interval_ms)
{
	memset(judge, 0, sizeof(*judge));
	judge->process = process;
	judge->interval_ms = interval_ms;
}

void ftsi_judge_pass(struct ftsi_judge *judge, uint64_t passed_ms)
{
	if (passed_ms > (uint64_t)GAP_INTERVALS * judge->interval_ms) passed_ms = judge->interval_ms;
	judge->alive_ms += passed_ms;
	judge->silent_ms += passed_ms;
}

/* The strand of that name in an answer, most likely at the place it had before; NULL: it is not there. */
static const struct ftsi_judge_strand *strand_of(const struct ftsi_judge_answer *answer, const char *name, size_t place)
{
	if (place < answer->strand_count && strcmp(answer->strands[place].name, name) == 0)
		return &answer->strands[place];
	for (size_t i = 0; i < answer->strand_count; i++)
		if (strcmp(answer->strands[i].name, name) == 0) return &answer->strands[i];
	return NULL;
}

/* For how long strand, as it is told now, has stood still. */
static uint64_t still_ms(const struct ftsi_judge *judge, const struct ftsi_judge_strand *strand, size_t place,
			 uint64_t passed_ms)
{
	const struct ftsi_judge_strand *before = strand_of(&judge->last, strand->name, place);
	if (before == NULL || strand->waiting == 0 || before->waiting == 0 || strand->moved != before->moved) return 0;
	return judge->still_ms[before - judge->last.strands] + passed_ms;
}

void ftsi_judge_hear(struct ftsi_judge *judge, const struct ftsi_judge_answer *answer)
{
	uint64_t passed_ms = judge->alive_ms - judge->answered_ms, still[FTSI_JUDGE_STRAND_MAX];
	bool same = answer->overrun_method[0] != '\0' &&
		    strcmp(answer->overrun_method, judge->last.overrun_method) == 0 &&
		    answer->overrun_ms > judge->last.overrun_ms;
	for (size_t i = 0; i < answer->strand_count; i++)
		still[i] = still_ms(judge, &answer->strands[i], i, passed_ms);
	memcpy(judge->still_ms, still, answer->strand_count * sizeof(still[0]));
	judge->overrun_ms = same ? judge->overrun_ms + passed_ms : 0;
	judge->overrun_count = answer->overrun_method[0] == '\0' ? 0 : same ? judge->overrun_count + 1 : 1;
	judge->last = *answer;
	judge->answered_ms = judge->alive_ms;
	judge->silent_ms = 0;
	judge->answer_count++;
}

static uint32_t patience_ms(const struct ftsi_judge *judge, const struct ftsi_judge_strand *strand)
{
	const struct ftsi_watch_limits *limits = &judge->process->limits;
	for (size_t i = 0; i < limits->strand_count; i++)
		if (strcmp(limits->strands[i].name, strand->name) == 0) return limits->strands[i].stall_ms;
	return strand->longest_ms > limits->stall_ms ? strand->longest_ms : limits->stall_ms;
}

/* How long silence is borne; 0: for ever. */
static uint32_t silence_ms(const struct ftsi_judge *judge)
{
	if (judge->process->health == FTSI_WATCH_HEALTH_OFF) return 0;
	if (judge->answer_count > 0 || judge->answered_before) return judge->process->limits.silent_ms;
	bool has_to = judge->speaks || judge->process->health == FTSI_WATCH_HEALTH_REQUIRED;
	return has_to ? judge->process->limits.start_ms : 0;
}

static void use(uint64_t spent_ms, uint32_t patience, uint32_t *used_percent)
{
	uint64_t percent = spent_ms * 100 / patience;
	if (percent > UINT32_MAX) percent = UINT32_MAX;
	if (percent > *used_percent) *used_percent = (uint32_t)percent;
}

enum ftsi_verdict ftsi_judge_decide(const struct ftsi_judge *judge, char *out_detail, size_t size_bytes,
				    uint32_t *out_used_percent)
{
	uint32_t silence = silence_ms(judge), overrun = judge->process->limits.overrun_ms;
	*out_used_percent = 0;
	out_detail[0] = '\0';
	if (silence > 0) use(judge->silent_ms, silence, out_used_percent);
	if (silence > 0 && judge->silent_ms >= silence) {
		bool ever = judge->answer_count > 0 || judge->answered_before;
		snprintf(out_detail, size_bytes, "no answer for %llu ms%s", (unsigned long long)judge->silent_ms,
			 ever ? "" : ", and none since it was started (start_ms)");
		return FTSI_VERDICT_SILENT;
	}
	if (judge->overrun_count > 0) use(judge->overrun_ms, overrun, out_used_percent);
	if (judge->overrun_count >= JUDGE_ANSWERS_MIN && judge->overrun_ms >= overrun) {
		snprintf(out_detail, size_bytes, "%s has been running for %u ms", judge->last.overrun_method,
			 judge->last.overrun_ms);
		return FTSI_VERDICT_OVERRUN;
	}
	for (size_t i = 0; i < judge->last.strand_count; i++) {
		const struct ftsi_judge_strand *strand = &judge->last.strands[i];
		uint32_t patience = patience_ms(judge, strand);
		use(judge->still_ms[i], patience, out_used_percent);
		if (judge->answer_count < JUDGE_ANSWERS_MIN || judge->still_ms[i] < patience) continue;
		snprintf(out_detail, size_bytes, "%s has not moved for %llu ms, and %u wait for it", strand->name,
			 (unsigned long long)judge->still_ms[i], strand->waiting);
		return FTSI_VERDICT_STALLED;
	}
	return FTSI_VERDICT_WELL;
}

const char *ftsi_verdict_name(enum ftsi_verdict verdict)
{
	static const char *const names[] = {"well", "silent", "stalled", "overrun"};
	return names[verdict];
}
