/* Why this file exists: the agent's end of its guardian; see elect_script.h. */
#include "client/cli/elect_script.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINK_FD 3
#define EXIT_NOT_STARTED 127
#define SWEEP_NS 2000000000u

/* In the child of a process with threads: nothing but system calls until the program is another. */
static void become_guardian(int link_fd, bool direct)
{
	char *const argv[] = {(char *)"fts-cli", (char *)FTSI_GUARDIAN_WORD,
			      direct ? (char *)FTSI_GUARDIAN_DIRECT_WORD : NULL, NULL};
	if (link_fd == LINK_FD)
		(void)fcntl(link_fd, F_SETFD, 0);
	else
		(void)dup2(link_fd, LINK_FD);
	execv("/proc/self/exe", argv);
	_exit(EXIT_NOT_STARTED);
}

enum fts_status ftsi_script_open(struct ftsi_script *script, bool direct, struct fts_error *out_error)
{
	int fds[2];
	*script = (struct ftsi_script){.link_fd = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no socket for the scripts' guardian");
	script->guardian = fork();
	if (script->guardian == 0) become_guardian(fds[1], direct);
	close(fds[1]);
	if (script->guardian < 0) {
		close(fds[0]);
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no process for the scripts' guardian");
	}
	script->link_fd = fds[0];
	return FTS_OK;
}

/* Appends text and its zero byte. */
static bool append(struct ftsi_script_run *run, const char *text)
{
	size_t size_bytes = strlen(text) + 1;
	if (size_bytes > sizeof(run->text) - run->text_size_bytes) return false;
	memcpy(run->text + run->text_size_bytes, text, size_bytes);
	run->text_size_bytes += (uint32_t)size_bytes;
	return true;
}

static bool fill(struct ftsi_script_run *run, const char *election, const char *member, char *const *words)
{
	run->text_size_bytes = run->word_count = 0;
	if (!append(run, election) || !append(run, member)) return false;
	for (; words != NULL && words[run->word_count] != NULL; run->word_count++)
		if (run->word_count == FTSI_SCRIPT_WORDS_MAX || !append(run, words[run->word_count])) return false;
	return true;
}

bool ftsi_script_fits(const char *election, const char *member, char *const *words)
{
	struct ftsi_script_run run = {.kind = FTSI_SCRIPT_RUN};
	return fill(&run, election, member, words);
}

/* The guardian takes what comes at once, unless it is stopped: then the script's end is all that matters, and it has
 * its deadline. */
static void tell(struct ftsi_script *script, const void *message, size_t size_bytes)
{
	if (script->link_fd < 0 || script->failed) return;
	ssize_t sent = send(script->link_fd, message, size_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) script->failed = true;
}

static void tell_wish(struct ftsi_script *script)
{
	tell(script, &script->wish, offsetof(struct ftsi_script_run, text) + script->wish.text_size_bytes);
}

uint64_t ftsi_script_wish(struct ftsi_script *script, const struct ftsi_script_run *terms, const char *election,
			  const char *member, char *const *words)
{
	struct ftsi_script_run *wish = &script->wish;
	wish->kind = FTSI_SCRIPT_RUN;
	wish->number++;
	wish->master = terms->master;
	wish->fence = terms->fence;
	wish->edition = terms->edition;
	wish->loop = terms->loop;
	wish->sleep_ms = terms->sleep_ms;
	if (!fill(wish, election, member, words)) wish->word_count = 0;
	tell_wish(script);
	return wish->number;
}

void ftsi_script_will(struct ftsi_script *script, const char *const *words)
{
	struct ftsi_script_will will = {.kind = FTSI_SCRIPT_WILL};
	for (; words != NULL && words[will.word_count] != NULL; will.word_count++) {
		size_t size_bytes = strlen(words[will.word_count]) + 1;
		if (will.word_count == FTSI_SCRIPT_WILL_WORDS_MAX ||
		    size_bytes > sizeof(will.text) - will.text_size_bytes) {
			will.word_count = will.text_size_bytes = 0;
			break;
		}
		memcpy(will.text + will.text_size_bytes, words[will.word_count], size_bytes);
		will.text_size_bytes += (uint32_t)size_bytes;
	}
	tell(script, &will, offsetof(struct ftsi_script_will, text) + will.text_size_bytes);
}

void ftsi_script_renewed(struct ftsi_script *script, uint64_t sent_ns, uint32_t lease_ms)
{
	uint64_t lease_ns = (uint64_t)lease_ms * 1000000;
	struct ftsi_script_lease lease = {FTSI_SCRIPT_LEASE, sent_ns + lease_ns * 2 / 3, sent_ns + lease_ns * 5 / 6};
	tell(script, &lease, sizeof(lease));
	if (!ftsi_script_settled(script, script->wish.number)) tell_wish(script); /* it may not have had room for it */
}

void ftsi_script_receive(struct ftsi_script *script, ftsi_output_fn on_output, void *ctx)
{
	union {
		uint32_t kind;
		struct ftsi_script_state state;
		struct ftsi_script_output output;
	} message;
	for (size_t i = 0; i < 256; i++) { /* others want to be looked at too */
		ssize_t got = recv(script->link_fd, &message, sizeof(message), MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
		if (got <= 0) {
			script->failed = true;
			return;
		}
		if (message.kind == FTSI_SCRIPT_STATE) script->state = message.state;
		if (message.kind == FTSI_SCRIPT_OUTPUT && on_output != NULL) on_output(ctx, &message.output);
	}
}

bool ftsi_script_settled(const struct ftsi_script *script, uint64_t number)
{
	return script->state.number >= number;
}

int ftsi_script_exit_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

void ftsi_script_sweep(struct ftsi_script *script)
{
	uint64_t until_ns = ftsi_script_now_ns() + SWEEP_NS;
	close(script->link_fd);
	script->link_fd = -1;
	while (!ftsi_guardian_sweep() && ftsi_script_now_ns() < until_ns)
		(void)poll(NULL, 0, 1);
	script->failed = false;
	script->state.number = UINT64_MAX; /* nothing is left of any wish */
}

void ftsi_script_close(struct ftsi_script *script)
{
	if (script->link_fd < 0) return;
	ftsi_script_will(script, NULL); /* the agent itself has said what there was to say */
	close(script->link_fd);
	script->link_fd = -1;
	while (waitpid(script->guardian, NULL, 0) < 0 && errno == EINTR)
		;
}
