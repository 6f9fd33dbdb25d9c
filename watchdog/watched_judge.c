/* Why this file exists: from a verdict to what follows from it: is the process starved rather than stuck, may the
 * cluster do without it, is it told, held, or ended. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "watchdog/watched.h"

#define NS_PER_MS ((uint64_t)1000000)
#define QUORUM_AGAIN_MS 500
#define SETTLE_MS 3000     /* until the cluster has noticed that a member is gone */
#define EXCUSES_MAX 4      /* a process that waits for a processor is given this many patiences more */
#define SUSPECT_PERCENT 50 /* of a patience used up: from here on it is looked at closely */
#define STARVED_PERCENT 25 /* of that time spent waiting for a processor: it is starved */

/* Has it waited for a processor for much of the time since suspicion began? Then the machine is at fault, not it. */
static bool is_starved(struct ftsi_watched *watched)
{
	uint64_t passed_ns = watched->watch->now_ns - watched->starved_at_ns;
	if (watched->verdict == FTSI_VERDICT_OVERRUN || watched->excused_count >= EXCUSES_MAX) return false;
	uint64_t waited_ns = ftsi_process_starved_ns(watched->process.pid) - watched->starved_ns;
	return waited_ns * 100 > passed_ns * STARVED_PERCENT;
}

/* What it was suspected of begins anew. */
static void excuse(struct ftsi_watched *watched)
{
	watched->excused_count++;
	watched->starved_at_ns = 0;
	watched->judge.silent_ms = 0;
	memset(watched->judge.still_ms, 0, sizeof(watched->judge.still_ms));
	FTS_LOG_WARN("watchdog.starved",
		     "process=%s pid=%d detail=\"it waits for a processor: the machine is overloaded\"",
		     watched->what->name, (int)watched->process.pid);
}

static void suspect(struct ftsi_watched *watched, uint32_t used_percent)
{
	if (used_percent < SUSPECT_PERCENT) {
		watched->starved_at_ns = 0;
		if (used_percent == 0) watched->excused_count = 0;
		return;
	}
	if (watched->starved_at_ns != 0) return;
	watched->starved_at_ns = watched->watch->now_ns;
	watched->starved_ns = ftsi_process_starved_ns(watched->process.pid);
}

/* Its loop does not move, or nothing of it does. */
static bool takes_no_part(const struct ftsi_watched *watched)
{
	return watched->verdict == FTSI_VERDICT_SILENT ||
	       (watched->verdict == FTSI_VERDICT_STALLED && strncmp(watched->detail, "fts-loop ", 9) == 0);
}

/* The nodes go on for a moment to count a member that has ended as alive: two that are stuck at once would both be
 * ended. */
static bool is_settling(const struct ftsi_watch *watch)
{
	return watch->outside != NULL && watch->config->cluster[0] != '\0' && watch->member_ended_ns != 0 &&
	       watch->now_ns < watch->member_ended_ns + SETTLE_MS * NS_PER_MS;
}

/* It is stuck, but other members may need it. True: it may be ended. */
static bool may_be_ended(struct ftsi_watched *watched)
{
	char detail[200];
	if (watched->what->member[0] == '\0') return true;
	if (!takes_no_part(watched) && is_settling(watched->watch)) {
		watched->asking_quorum = false; /* what is said now may count one that is gone */
		return false;
	}
	enum ftsi_quorum quorum = ftsi_outside_quorum(watched->watch->outside, watched->what->member, detail);
	if (quorum == FTSI_QUORUM_KEPT && (watched->asking_quorum || watched->watch->outside == NULL)) return true;
	if (quorum == FTSI_QUORUM_BROKEN && watched->asking_quorum) {
		watched->asking_quorum = false;
		watched->quorum_next_ns = watched->watch->now_ns + QUORUM_AGAIN_MS * NS_PER_MS;
		if (watched->held[0] == '\0') ftsi_watched_tell(watched, "held", detail);
		snprintf(watched->held, sizeof(watched->held), "%s: %.180s", watched->reason, detail);
	}
	if (quorum == FTSI_QUORUM_KEPT ||
	    (quorum == FTSI_QUORUM_UNKNOWN && watched->watch->now_ns >= watched->quorum_next_ns)) {
		ftsi_outside_ask_quorum(watched->watch->outside, watched->what->member, takes_no_part(watched));
		watched->asking_quorum = true;
	}
	return false;
}

void ftsi_watched_judge(struct ftsi_watched *watched)
{
	uint32_t used_percent;
	char detail[sizeof(watched->detail)];
	enum ftsi_verdict verdict = ftsi_judge_decide(&watched->judge, detail, sizeof(detail), &used_percent);
	suspect(watched, used_percent);
	if (verdict == FTSI_VERDICT_WELL) {
		if (watched->verdict != FTSI_VERDICT_WELL) ftsi_watched_tell(watched, "recovered", "it moves again");
		watched->verdict = FTSI_VERDICT_WELL;
		watched->asking_quorum = false;
		watched->held[0] = '\0';
		return;
	}
	bool news = watched->verdict == FTSI_VERDICT_WELL;
	watched->verdict = verdict;
	if (news && is_starved(watched)) {
		watched->verdict = FTSI_VERDICT_WELL;
		excuse(watched);
		return;
	}
	snprintf(watched->reason, sizeof(watched->reason), "%s", ftsi_verdict_name(verdict));
	snprintf(watched->detail, sizeof(watched->detail), "%s", detail);
	if (news) ftsi_watched_tell(watched, "stuck", watched->detail);
	if (!may_be_ended(watched)) return;
	if (watched->what->member[0] != '\0') watched->watch->member_ended_ns = watched->watch->now_ns;
	ftsi_watched_handle(watched, FTSI_WATCH_STUCK);
}
