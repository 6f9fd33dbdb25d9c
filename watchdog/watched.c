/* Why this file exists: see watchdog/watched.h: what is done to one process in each state. */
#include "watchdog/watched.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <fts/watchdog/v1/watchdog.pb-c.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "watchdog/capture.h"

#define NS_PER_MS ((uint64_t)1000000)
#define CAPTURES_KEPT 5
#define PULSE_PATH_BYTES 176 /* a socket's is shorter, which the configuration has checked */
#define SETTLED_MS 60000     /* of running: what was before is forgotten */

void ftsi_watched_tell(struct ftsi_watched *watched, const char *action, const char *detail)
{
	char quoted[600];
	struct ftsi_outside_action told = {.process = watched->what->name,
					   .action = action,
					   .reason = watched->reason,
					   .detail = detail,
					   .pid = watched->process.pid};
	bool bad = strcmp(action, "stuck") == 0 || strcmp(action, "held") == 0 || strcmp(action, "quarantined") == 0 ||
		   strcmp(action, "ended") == 0;
	fts_log_write(bad ? FTS_LOG_LEVEL_WARN : FTS_LOG_LEVEL_INFO, "watchdog.action",
		      "process=%s action=%s reason=%s pid=%d detail=%s", watched->what->name, action,
		      watched->reason[0] != '\0' ? watched->reason : "-", (int)watched->process.pid,
		      fts_log_quote(quoted, sizeof(quoted), detail));
	uint64_t index = ftsi_outside_tell(watched->watch->outside, &told);
	if (index > 0) watched->watch->action_index = index;
	watched->watch->changed = true;
}

static void set_reason(struct ftsi_watched *watched, const char *reason)
{
	snprintf(watched->reason, sizeof(watched->reason), "%s", reason);
}

/* ---- Start ---- */

static void pulse_path(const struct ftsi_watched *watched, char *out, size_t size_bytes)
{
	out[0] = '\0';
	if (watched->what->health != FTSI_WATCH_HEALTH_OFF)
		snprintf(out, size_bytes, "%.100s/%.63s.pulse", watched->watch->config->state, watched->what->name);
}

/* Other watchdogs of this machine may have processes of the same name. */
static void mark_of(const struct ftsi_watched *watched, char *out, size_t size_bytes)
{
	snprintf(out, size_bytes, FTSI_PROCESS_MARK "=%s@%s", watched->what->name, watched->watch->config->state);
}

/* Names a command, so that what is known of one is not held against another that takes its name. Never 0. */
static uint64_t command_of(const struct ftsi_watched *watched)
{
	uint64_t sum = 1;
	for (char *const *word = watched->what->argv; *word != NULL; word++)
		sum = fts_hash64((struct fts_bytes){(const uint8_t *)*word, strlen(*word) + 1}, sum);
	return (sum >> 1) | 1; /* JSON's integers are signed */
}

/* Does it answer once it has started, as far as is known? A node does. */
static bool is_known_to_speak(const struct ftsi_watched *watched)
{
	const char *program = watched->what->argv[0], *slash = strrchr(program, '/');
	return watched->what->member[0] != '\0' || strcmp(slash != NULL ? slash + 1 : program, "ftsd") == 0 ||
	       watched->speaks == command_of(watched);
}

static void begin_watching(struct ftsi_watched *watched)
{
	char path[PULSE_PATH_BYTES];
	pulse_path(watched, path, sizeof(path));
	ftsi_asker_close(&watched->asker);
	ftsi_asker_init(&watched->asker, path);
	ftsi_judge_init(&watched->judge, watched->what, watched->watch->config->interval_ms);
	watched->judge.speaks = is_known_to_speak(watched);
	watched->session = watched->process.pid; /* setsid: the first of its session */
	watched->started_ns = watched->watch->now_ns;
	watched->started_wall_ms = fts_clock_wall_ms();
	watched->main_ended = false;
	watched->asked = false;
	watched->verdict = FTSI_VERDICT_WELL;
	watched->asking_quorum = false;
	watched->quorum_next_ns = 0;
	watched->starved_at_ns = 0;
	watched->excused_count = 0;
	watched->held[0] = '\0';
}

static void start(struct ftsi_watched *watched)
{
	char path[PULSE_PATH_BYTES], mark[FTSI_PROCESS_MARK_BYTES];
	struct fts_error error;
	pulse_path(watched, path, sizeof(path));
	watched->wanted = true;
	watched->adopted = false;
	watched->due_ns = 0;
	mark_of(watched, mark, sizeof(mark));
	if (ftsi_process_start(watched->what, path, mark, &watched->process, &error) != FTS_OK) {
		begin_watching(watched);
		set_reason(watched, "exit");
		snprintf(watched->detail, sizeof(watched->detail), "%.200s", error.detail);
		ftsi_watched_tell(watched, "ended", watched->detail);
		watched->main_ended = true;
		ftsi_watched_handle(watched, FTSI_WATCH_ENDED);
		return;
	}
	begin_watching(watched);
	ftsi_watch_keep(watched->watch); /* before it runs: see process.h */
	ftsi_process_release(&watched->process);
	ftsi_watched_tell(watched, "started", watched->what->argv[0]);
}

/* ---- End ---- */

static void kill_group(const struct ftsi_watched *watched)
{
	if (watched->session <= 0 || watched->main_ended) return; /* reaped: the sweep looks whose number it is */
	(void)kill(-watched->session, SIGKILL); /* a group at once: what forks meanwhile is in it too */
	(void)kill(watched->session, SIGKILL);
}

/* Look at what is left of it; nothing: gone. Called again and again until then. */
static void sweep(struct ftsi_watched *watched)
{
	char mark[FTSI_PROCESS_MARK_BYTES];
	if (!watched->main_ended) return;
	if (watched->session > 0) {
		mark_of(watched, mark, sizeof(mark));
		if (ftsi_process_sweep(watched->session, watched->process.start_ticks, mark) > 0) return;
	}
	ftsi_process_close(&watched->process);
	ftsi_watched_handle(watched, FTSI_WATCH_GONE);
}

static void capture(struct ftsi_watched *watched)
{
	char reason[300];
	snprintf(watched->capture_path, sizeof(watched->capture_path), "%s/%s.%u.capture",
		 watched->watch->config->state, watched->what->name, watched->restarts % CAPTURES_KEPT);
	snprintf(reason, sizeof(reason), "%s: %.250s", watched->reason, watched->detail);
	pid_t pid = ftsi_capture_begin(watched->process.pid, reason, watched->what->log, watched->capture_path);
	watched->capture_pid = pid > 0 ? pid : 0;
	watched->capture_due_ns = watched->watch->now_ns + watched->watch->config->capture_ms * NS_PER_MS;
	if (pid <= 0) kill_group(watched);
}

/* The look is over, or takes too long. */
static void end_capture(struct ftsi_watched *watched)
{
	if (watched->capture_pid > 0) (void)kill(-watched->capture_pid, SIGKILL);
	watched->capture_pid = 0;
	ftsi_watched_tell(watched, "killed", watched->capture_path);
	kill_group(watched);
}

static void terminate(struct ftsi_watched *watched)
{
	set_reason(watched, "asked");
	watched->asked = true;
	watched->due_ns = watched->watch->now_ns + watched->what->limits.stop_ms * NS_PER_MS;
	(void)kill(watched->process.pid, SIGTERM);
	(void)kill(watched->process.pid, SIGCONT);
}

static void forget_old_restarts(struct ftsi_watched *watched, int64_t now_ms)
{
	int64_t oldest_ms = now_ms - (int64_t)watched->watch->config->quarantine_window_ms;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < watched->restart_time_count; i++) /* later than now: the clock was set back since */
		if (watched->restart_times_ms[i] > oldest_ms && watched->restart_times_ms[i] <= now_ms)
			watched->restart_times_ms[kept++] = watched->restart_times_ms[i];
	watched->restart_time_count = kept;
}

static bool is_too_often(struct ftsi_watched *watched)
{
	forget_old_restarts(watched, fts_clock_wall_ms());
	uint32_t most = watched->watch->config->quarantine_restarts;
	return most <= FTSI_MEMORY_RESTARTS_MAX && watched->restart_time_count >= most;
}

static bool may_run_again(const struct ftsi_watched *watched)
{
	if (!watched->wanted || watched->watch->stopping) return false;
	if (watched->asked) return true;
	bool failed = strcmp(watched->reason, "exit") != 0 || watched->end_status != 0;
	return watched->what->restart == FTSI_WATCH_RESTART_ALWAYS ||
	       (watched->what->restart == FTSI_WATCH_RESTART_ON_FAILURE && failed);
}

/* Nothing is left of it: what now? */
static void decide(struct ftsi_watched *watched)
{
	uint64_t ran_ms = (watched->watch->now_ns - watched->started_ns) / NS_PER_MS;
	const struct ftsi_watch_config *config = watched->watch->config;
	watched->session = 0;
	watched->started_ns = 0;
	ftsi_asker_close(&watched->asker);
	if (ran_ms >= SETTLED_MS || watched->asked || watched->backoff_ms < config->backoff_min_ms)
		watched->backoff_ms = config->backoff_min_ms;
	if (!may_run_again(watched))
		ftsi_watched_handle(watched, FTSI_WATCH_UNWANTED);
	else if (!watched->asked && is_too_often(watched))
		ftsi_watched_handle(watched, FTSI_WATCH_ENOUGH);
	else
		ftsi_watched_handle(watched, FTSI_WATCH_AGAIN);
}

static void back_off(struct ftsi_watched *watched)
{
	char detail[80];
	uint32_t wait_ms = watched->asked ? 0 : watched->backoff_ms, most_ms = watched->watch->config->backoff_max_ms;
	watched->due_ns = watched->watch->now_ns + wait_ms * NS_PER_MS;
	if (!watched->asked) {
		watched->backoff_ms = watched->backoff_ms > most_ms / 2 ? most_ms : watched->backoff_ms * 2;
		if (watched->restart_time_count == FTSI_MEMORY_RESTARTS_MAX) {
			watched->restart_time_count--;
			memmove(&watched->restart_times_ms[0], &watched->restart_times_ms[1],
				watched->restart_time_count * sizeof(watched->restart_times_ms[0]));
		}
		watched->restart_times_ms[watched->restart_time_count++] = fts_clock_wall_ms();
	}
	watched->restarts++;
	snprintf(detail, sizeof(detail), "started again in %u ms", wait_ms);
	ftsi_watched_tell(watched, "backoff", detail);
}

static void shut_away(struct ftsi_watched *watched)
{
	char detail[160];
	const struct ftsi_watch_config *config = watched->watch->config;
	snprintf(detail, sizeof(detail), "it ended %u times within %u s: it stays down until `watchdog start %s`",
		 config->quarantine_restarts + 1, config->quarantine_window_ms / 1000, watched->what->name);
	ftsi_watched_tell(watched, "quarantined", detail);
}

/* ---- The table's acts ---- */

static void act(struct ftsi_watched *watched, enum ftsi_watch_act what)
{
	switch (what) {
	case FTSI_WATCH_ACT_NONE:
		return;
	case FTSI_WATCH_ACT_TELL:
		ftsi_watched_tell(watched, "ready", "it serves");
		return;
	case FTSI_WATCH_ACT_SWEEP:
		sweep(watched);
		return;
	case FTSI_WATCH_ACT_CAPTURE:
		capture(watched);
		return;
	case FTSI_WATCH_ACT_DECIDE:
		decide(watched);
		return;
	case FTSI_WATCH_ACT_BACK_OFF:
		back_off(watched);
		return;
	case FTSI_WATCH_ACT_SHUT_AWAY:
		shut_away(watched);
		return;
	case FTSI_WATCH_ACT_REST:
		ftsi_watched_tell(watched, "stopped", "it is not to run");
		return;
	case FTSI_WATCH_ACT_START:
		start(watched);
		return;
	case FTSI_WATCH_ACT_TERMINATE:
		terminate(watched);
		return;
	}
}

void ftsi_watched_handle(struct ftsi_watched *watched, enum ftsi_watch_event event)
{
	if (event == FTSI_WATCH_STOP) watched->wanted = false;
	if (event == FTSI_WATCH_START || event == FTSI_WATCH_RESTART) {
		watched->wanted = true;
		watched->restart_time_count = 0; /* out of quarantine it begins anew */
	}
	struct ftsi_watch_step step = ftsi_watch_next(watched->state, event);
	if (step.state != watched->state) watched->watch->changed = true;
	watched->state = step.state;
	act(watched, step.act);
}

/* ---- How it ended ---- */

static void describe_end(struct ftsi_watched *watched, char *out, size_t size_bytes)
{
	int status = watched->end_status, wrong = ftsi_process_error(&watched->process);
	if (wrong != 0)
		snprintf(out, size_bytes, "%.150s can't be run: %s", watched->what->argv[0], strerror(wrong));
	else if (watched->adopted)
		snprintf(out, size_bytes, "it is gone; how it ended was not this watchdog's to see");
	else if (WIFSIGNALED(status))
		snprintf(out, size_bytes, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, size_bytes, "ended with exit code %d", WEXITSTATUS(status));
}

static void has_ended(struct ftsi_watched *watched)
{
	watched->main_ended = true;
	if (watched->what->member[0] != '\0') watched->watch->member_ended_ns = watched->watch->now_ns;
	if (watched->state == FTSI_WATCH_STOPPING) {
		if (watched->capture_pid > 0) end_capture(watched);
		if (watched->asked) ftsi_watched_tell(watched, "ended", "as it was asked to");
		sweep(watched);
		return;
	}
	set_reason(watched, "exit");
	describe_end(watched, watched->detail, sizeof(watched->detail));
	ftsi_watched_tell(watched, "ended", watched->detail);
	ftsi_watched_handle(watched, FTSI_WATCH_ENDED);
}

bool ftsi_watched_reap(struct ftsi_watched *watched, pid_t pid, int status)
{
	if (pid == watched->capture_pid) {
		watched->capture_pid = 0;
		if (watched->state == FTSI_WATCH_STOPPING && !watched->main_ended) end_capture(watched);
		return true;
	}
	if (pid != watched->process.pid || watched->main_ended) return false;
	watched->end_status = status;
	has_ended(watched);
	return true;
}

void ftsi_watched_ended(struct ftsi_watched *watched)
{
	if (!watched->adopted || watched->main_ended) return; /* a child is reaped instead */
	watched->end_status = -1;
	has_ended(watched);
}

/* ---- Judging ---- */

void ftsi_watched_hear(struct ftsi_watched *watched)
{
	struct ftsi_judge_answer answer;
	if (!ftsi_asker_take(&watched->asker, &answer)) return;
	if (watched->judge.answer_count == 0 && !watched->judge.answered_before) { /* the next watchdog has to know */
		watched->speaks = command_of(watched);
		watched->watch->changed = true;
	}
	ftsi_judge_hear(&watched->judge, &answer);
	if (answer.ready && watched->state == FTSI_WATCH_STARTING) ftsi_watched_handle(watched, FTSI_WATCH_READY);
}

/* ---- Time ---- */

/* One that nobody knows to answer, and that never did: a program of somebody else, or one that hangs at its start. It
 * can't be told which, so it is said. */
static void tell_unheard(struct ftsi_watched *watched)
{
	const struct ftsi_judge *judge = &watched->judge;
	if (watched->told_unheard || watched->what->health != FTSI_WATCH_HEALTH_AUTO || judge->speaks ||
	    judge->answer_count > 0 || judge->answered_before || judge->alive_ms < watched->what->limits.start_ms)
		return;
	watched->told_unheard = true;
	ftsi_watched_tell(watched, "unheard",
			  "it has not answered since it was started: only its end is looked for; say so with "
			  "\"health\": \"off\", or have it started again with \"required\"");
}

static void tick_running(struct ftsi_watched *watched, uint64_t passed_ms)
{
	ftsi_judge_pass(&watched->judge, passed_ms);
	ftsi_asker_ask(&watched->asker);
	/* One that nobody asks, or that never answers, is taken for ready once it has lived for a while. */
	bool quiet = watched->what->health != FTSI_WATCH_HEALTH_REQUIRED && watched->judge.answer_count == 0 &&
		     !watched->judge.speaks;
	if (watched->state == FTSI_WATCH_STARTING && quiet && watched->judge.alive_ms >= 1000)
		ftsi_watched_handle(watched, FTSI_WATCH_READY);
	tell_unheard(watched);
	ftsi_watched_judge(watched);
}

static void tick_stopping(struct ftsi_watched *watched)
{
	uint64_t now_ns = watched->watch->now_ns;
	if (watched->main_ended)
		sweep(watched);
	else if (watched->capture_pid > 0 && now_ns >= watched->capture_due_ns)
		end_capture(watched);
	else if (watched->due_ns != 0 && now_ns >= watched->due_ns) {
		watched->due_ns = now_ns + 1000 * NS_PER_MS; /* again, should it not have gone by then */
		ftsi_watched_tell(watched, "killed", "it did not end as it was asked to");
		kill_group(watched);
	}
}

void ftsi_watched_tick(struct ftsi_watched *watched, uint64_t passed_ms)
{
	switch (watched->state) {
	case FTSI_WATCH_STARTING:
	case FTSI_WATCH_RUNNING:
		tick_running(watched, passed_ms);
		return;
	case FTSI_WATCH_STOPPING:
		tick_stopping(watched);
		return;
	case FTSI_WATCH_BACKOFF:
		if (watched->watch->now_ns >= watched->due_ns) ftsi_watched_handle(watched, FTSI_WATCH_DUE);
		return;
	default:
		return;
	}
}

/* ---- What survives, what is shown ---- */

/* One that an earlier watchdog started: it runs, or it has ended meanwhile. */
static void take_up(struct ftsi_watched *watched, const struct ftsi_memory_process *known)
{
	watched->adopted = true;
	watched->state = FTSI_WATCH_STARTING;
	if (ftsi_process_find(&watched->process, known->pid, known->start_ticks)) {
		begin_watching(watched);
		watched->judge.answered_before = known->answered;
		watched->started_wall_ms = known->started_ms;
		int64_t ran_ms = fts_clock_wall_ms() - known->started_ms;
		uint64_t ran_ns = ran_ms > 0 ? (uint64_t)ran_ms * NS_PER_MS : 0;
		watched->started_ns = ran_ns < watched->watch->now_ns ? watched->watch->now_ns - ran_ns : 1;
		ftsi_watched_tell(watched, "adopted", "it runs since before this watchdog was started");
		return;
	}
	watched->process.pid = known->pid;
	watched->process.start_ticks = known->start_ticks;
	begin_watching(watched);
	has_ended(watched);
}

void ftsi_watched_init(struct ftsi_watched *watched, struct ftsi_watch *watch, const struct ftsi_watch_process *what,
		       const struct ftsi_memory_process *known)
{
	*watched = (struct ftsi_watched){.what = what, .watch = watch, .state = FTSI_WATCH_STOPPED, .wanted = true};
	ftsi_process_init(&watched->process);
	ftsi_asker_init(&watched->asker, "");
	if (known != NULL) {
		watched->wanted = known->wanted;
		watched->speaks = known->speaks;
		watched->restarts = known->restarts;
		watched->backoff_ms = known->backoff_ms;
		watched->restart_time_count = known->restart_time_count;
		memcpy(watched->restart_times_ms, known->restart_times_ms, sizeof(watched->restart_times_ms));
		memcpy(watched->reason, known->last_reason, sizeof(watched->reason));
	}
	if (known != NULL && known->pid > 0)
		take_up(watched, known);
	else if (known != NULL && known->quarantined)
		watched->state = FTSI_WATCH_QUARANTINED;
	else if (watched->wanted) {
		watched->state = FTSI_WATCH_BACKOFF; /* due at once */
		watched->due_ns = watch->now_ns;
	}
}

void ftsi_watched_remember(const struct ftsi_watched *watched, struct ftsi_memory_process *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", watched->what->name);
	/* While it is being ended too: what it left behind is found by its session. */
	out->pid = watched->process.pid;
	out->start_ticks = watched->process.start_ticks;
	out->started_ms = watched->started_wall_ms;
	out->wanted = watched->wanted;
	out->answered = watched->judge.answer_count > 0 || watched->judge.answered_before;
	out->speaks = watched->speaks;
	out->quarantined = watched->state == FTSI_WATCH_QUARANTINED;
	out->restarts = watched->restarts;
	out->backoff_ms = watched->backoff_ms;
	memcpy(out->restart_times_ms, watched->restart_times_ms, sizeof(out->restart_times_ms));
	out->restart_time_count = watched->restart_time_count;
	memcpy(out->last_reason, watched->reason, sizeof(out->last_reason));
}

void ftsi_watched_show(const struct ftsi_watched *watched, struct ftsi_outside_process *out)
{
	static const int states[FTSI_WATCH_STATE_COUNT] = {
	    [FTSI_WATCH_STARTING] = FTS__WATCHDOG__V1__PROCESS_STATE__STARTING,
	    [FTSI_WATCH_RUNNING] = FTS__WATCHDOG__V1__PROCESS_STATE__RUNNING,
	    [FTSI_WATCH_STOPPING] = FTS__WATCHDOG__V1__PROCESS_STATE__STOPPING,
	    [FTSI_WATCH_BACKOFF] = FTS__WATCHDOG__V1__PROCESS_STATE__BACKOFF,
	    [FTSI_WATCH_QUARANTINED] = FTS__WATCHDOG__V1__PROCESS_STATE__QUARANTINED,
	    [FTSI_WATCH_STOPPED] = FTS__WATCHDOG__V1__PROCESS_STATE__STOPPED,
	};
	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", watched->what->name);
	out->pid = watched->main_ended ? 0 : watched->process.pid;
	out->state = states[watched->state];
	out->restarts = watched->restarts;
	snprintf(out->last_reason, sizeof(out->last_reason), "%s", watched->reason);
	snprintf(out->detail, sizeof(out->detail), "%s", watched->detail);
	out->started_ns = watched->process.pid != 0 ? watched->started_ns : 0;
	out->due_ns = watched->state == FTSI_WATCH_BACKOFF ? watched->due_ns : 0;
	snprintf(out->capture, sizeof(out->capture), "%s", watched->capture_path);
	snprintf(out->held, sizeof(out->held), "%s", watched->held);
}
