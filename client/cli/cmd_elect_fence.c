/* Why this file exists: `elect fence`: a command that runs only while a mastership stands. Either this process takes
 * part in the election, waits until it is master and leaves when the command has ended; or it is given the fence of a
 * mastership that somebody else holds (a master's script has it in FTS_FENCE).
 *
 * Invariants
 * - The guardian owns the command, as it owns scripts: TERM and KILL come before the lease that was last confirmed
 *   ends, whatever becomes of this process.
 * - A foreign fence is confirmed by Check, whose answer says what is left of the holder's lease: counted from when the
 *   question was sent, that ends before the cluster's own count. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <fts/elector/v1/elector.fts.h>

#include "client/cli/elect_run.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/session.h"
#include "client/cli/value.h"

#define MS_NS 1000000ull
#define LONGEST_ID "0123456789012345678901234567890123456789012345678901234567890123"
#define CHECKS_A_LEASE 6u
#define CHECK_MIN_MS 100u /* time limit of a Check */

/* A foreign fence while a command runs under it. */
struct held {
	struct ftsi_cli *cli;
	const char *election;
	uint64_t fence;
	struct ftsi_script script;
	uint32_t lease_ms; /* of its holder */
	uint64_t next_ns;  /* next Check */
	uint64_t wish;
	bool lost, stopping;
};

/* ---- Which fence ---- */

/* False: what was given is no fence. 0: none was given. */
static bool given_fence(const struct ftsi_cli *cli, uint64_t *out_fence)
{
	const struct ftsi_value *value = ftsi_value_of(cli, "fence");
	const char *election = getenv("FTS_ELECTION"), *fence = getenv("FTS_FENCE");
	struct fts_error error;
	*out_fence = value->given ? value->number : 0;
	if (value->given || election == NULL || fence == NULL || strcmp(election, cli->args.positionals[0]) != 0)
		return true;
	return ftsi_number_parse(fence, 0, UINT64_MAX, out_fence, &error) == FTS_OK;
}

/* ---- Under a foreign fence ---- */

static enum fts_status check(struct held *held, uint32_t timeout_ms, struct fts_error *out_error)
{
	Fts__Elector__V1__CheckRequest request = FTS__ELECTOR__V1__CHECK_REQUEST__INIT;
	Fts__Elector__V1__CheckResponse *response = NULL;
	struct fts_call_options options = {.timeout_ms = timeout_ms};
	uint64_t sent_ns = ftsi_script_now_ns();
	request.election = (char *)held->election;
	request.fence = held->fence;
	enum fts_status status = fts_elector_check(held->cli->channel, &request, &options, &response, out_error);
	if (status != FTS_OK) return status;
	held->lease_ms = response->lease_ms;
	if (response->remaining_ms > 0) /* as if the holder's last renewal had been ours */
		ftsi_script_renewed(&held->script,
				    sent_ns + response->remaining_ms * MS_NS - response->lease_ms * MS_NS,
				    response->lease_ms);
	fts__elector__v1__check_response__free_unpacked(response, NULL);
	return FTS_OK;
}

static void end_command(struct held *held)
{
	const struct ftsi_script_run nothing = {.fence = held->fence};
	held->wish = ftsi_script_wish(&held->script, &nothing, held->election, "", NULL);
}

static void check_again(struct held *held)
{
	struct fts_error error;
	uint64_t now_ns = ftsi_script_now_ns();
	uint32_t timeout_ms = held->lease_ms / CHECKS_A_LEASE;
	if (held->lost || held->stopping || now_ns < held->next_ns) return;
	enum fts_status status = check(held, timeout_ms < CHECK_MIN_MS ? CHECK_MIN_MS : timeout_ms, &error);
	held->next_ns = now_ns + held->lease_ms * MS_NS / CHECKS_A_LEASE;
	if (status != FTS_FAILED_PRECONDITION && status != FTS_NOT_FOUND) return; /* no answer: the lease decides */
	ftsi_note("%s", error.detail);
	held->lost = true;
	end_command(held);
}

/* True: it has ended. */
static bool turn(struct held *held)
{
	const struct ftsi_script_state *state = &held->script.state;
	struct pollfd link = {held->script.link_fd, POLLIN, 0};
	(void)poll(&link, 1, (int)(held->lease_ms / CHECKS_A_LEASE / 2) + 1);
	if (link.revents != 0) ftsi_script_receive(&held->script, NULL, NULL);
	if (held->script.failed) return true;
	if (state->ended_count > 0 && state->pid == 0) return true;
	if ((held->lost || held->stopping) && ftsi_script_settled(&held->script, held->wish)) return true;
	if (ftsi_interrupted() && !held->stopping) {
		held->stopping = true;
		end_command(held);
	}
	check_again(held);
	return false;
}

static int code_of(const struct held *held)
{
	const struct ftsi_script_state *state = &held->script.state;
	if (held->script.failed) return FTSI_FENCE_LOST; /* nobody guards it: its guardian's end was its own */
	if (state->started_count == 0) return FTSI_EXIT_NO;
	if (state->was_cut && !held->stopping) return FTSI_FENCE_LOST;
	return ftsi_script_exit_code(state->wait_status);
}

static enum ftsi_exit run_under(struct ftsi_cli *cli, uint64_t fence)
{
	struct held held = {
	    .cli = cli, .election = cli->args.positionals[0], .fence = fence, .script = {.link_fd = -1}};
	const struct ftsi_script_run terms = {.master = 1, .fence = fence};
	const char *member = getenv("FTS_MEMBER");
	struct fts_error error;
	enum fts_status status = check(&held, cli->timeout_ms, &error);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* of what a guardian that dies leaves behind */
	if (status == FTS_OK) status = ftsi_script_open(&held.script, true, &error);
	if (status != FTS_OK) return ftsi_fail(cli, &error);
	ftsi_interrupt_claim(NULL, NULL);
	held.wish = ftsi_script_wish(&held.script, &terms, held.election, member == NULL ? "" : member, cli->args.rest);
	while (!turn(&held))
		;
	ftsi_interrupt_release();
	int code = code_of(&held);
	if (code == FTSI_FENCE_LOST && !held.lost)
		ftsi_note("fence %" PRIu64 " could not be confirmed in time: the command was ended", fence);
	if (held.script.failed) ftsi_script_sweep(&held.script);
	ftsi_script_close(&held.script);
	return (enum ftsi_exit)code;
}

enum ftsi_exit ftsi_run_elect_fence(struct ftsi_cli *cli)
{
	uint64_t fence;
	if (!given_fence(cli, &fence)) return ftsi_fail_usage(cli, "FTS_FENCE: a number is expected");
	if (!ftsi_script_fits(cli->args.positionals[0], LONGEST_ID, cli->args.rest))
		return ftsi_fail_usage(cli, "the command is too long: at most %u words and %u bytes",
				       FTSI_SCRIPT_WORDS_MAX, FTSI_SCRIPT_TEXT_MAX);
	return fence != 0 ? run_under(cli, fence) : ftsi_elect_take_part_fenced(cli);
}
