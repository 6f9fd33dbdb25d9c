/* Why this file exists: the worker's end of work_keeper.h: an order, its pipes, and what comes back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/work_keeper.h"

enum { READS, WRITES, SIDES };
enum { IN, OUT, ERR, REPORT, ALL };
enum { LINE_MAX_BYTES = 1024, CHUNK_BYTES = 65536, WORDS_MAX = 256 };

/* ---- The keeper ---- */

/* In the child: nothing but system calls until the program is another. */
static void become_keeper(int link_fd, char *const *argv)
{
	if (link_fd == FTSI_WORK_KEEPER_FD)
		(void)fcntl(link_fd, F_SETFD, 0);
	else
		(void)dup2(link_fd, FTSI_WORK_KEEPER_FD);
	execv("/proc/self/exe", argv);
	_exit(127);
}

enum fts_status ftsi_work_keeper_open(struct ftsi_work_keeper *keeper, char *const *words, struct fts_error *out_error)
{
	char *argv[WORDS_MAX + 3] = {(char *)"fts-cli", (char *)FTSI_WORK_KEEPER_WORD};
	size_t count = 0;
	int fds[SIDES];
	*keeper = (struct ftsi_work_keeper){.link_fd = -1};
	for (; words[count] != NULL && count < WORDS_MAX; count++)
		argv[count + 2] = words[count];
	if (words[count] != NULL)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "a command has at most %d words", WORDS_MAX);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no socket for the command's keeper");
	keeper->pid = fork();
	if (keeper->pid == 0) become_keeper(fds[1], argv);
	close(fds[1]);
	keeper->link_fd = fds[0];
	if (keeper->pid > 0) return FTS_OK;
	close(fds[0]);
	keeper->link_fd = -1;
	return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no process for the command's keeper");
}

void ftsi_work_keeper_close(struct ftsi_work_keeper *keeper)
{
	if (keeper->link_fd < 0) return;
	close(keeper->link_fd);
	keeper->link_fd = -1;
	while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- A run ---- */

struct run {
	uint64_t number;
	int fds[ALL]; /* the worker's ends; -1: closed */
	struct fts_bytes input;
	size_t written_bytes, output_max_bytes, error_left_bytes, allocated_bytes;
	size_t line_used_bytes;
	bool no_memory;
	ftsi_work_line_fn on_line;
	void *ctx;
	struct ftsi_work_result result;
	char line[LINE_MAX_BYTES];
};

static void close_fd(int *fd)
{
	if (*fd >= 0) close(*fd);
	*fd = -1;
}

/* The pipes of a run: its own ends in run->fds, the command's in out_theirs. */
static bool open_pipes(struct run *run, int *out_theirs)
{
	int pairs[ALL][SIDES];
	size_t open_count = 0;
	for (; open_count < ALL; open_count++) {
		int *pair = pairs[open_count];
		bool good = open_count == REPORT ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0
						 : pipe2(pair, O_CLOEXEC) == 0;
		if (!good) break;
	}
	for (size_t i = 0; i < open_count; i++) {
		size_t mine = i == IN ? WRITES : READS;
		if (open_count < ALL) close(pairs[i][mine]), close(pairs[i][1 - mine]);
		run->fds[i] = pairs[i][mine];
		out_theirs[i] = pairs[i][1 - mine];
		if (open_count == ALL) (void)fcntl(run->fds[i], F_SETFL, O_NONBLOCK);
	}
	return open_count == ALL;
}

static bool send_order(const struct ftsi_work_keeper *keeper, const struct ftsi_work_order *order, const int *theirs)
{
	union {
		char bytes[CMSG_SPACE(ALL * sizeof(int))];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct ftsi_work_order copy = *order;
	struct iovec part = {&copy, sizeof copy};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(ALL * sizeof(int));
	memcpy(CMSG_DATA(header), theirs, ALL * sizeof(int));
	ssize_t sent;
	while ((sent = sendmsg(keeper->link_fd, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return sent == (ssize_t)sizeof copy;
}

static void feed(struct run *run)
{
	size_t left = run->input.size_bytes - run->written_bytes;
	ssize_t put = left == 0 ? 0 : write(run->fds[IN], run->input.data + run->written_bytes, left);
	if (put < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (put > 0) run->written_bytes += (size_t)put;
	if (put < 0 || run->written_bytes == run->input.size_bytes)
		close_fd(&run->fds[IN]); /* it may not want it all */
}

/* Room for another chunk. */
static bool grow(struct run *run)
{
	struct ftsi_work_result *result = &run->result;
	if (run->allocated_bytes - result->output_size_bytes >= CHUNK_BYTES) return true;
	size_t wanted = run->allocated_bytes * 2 + CHUNK_BYTES;
	uint8_t *larger = realloc(result->output, wanted);
	if (larger == NULL) return false;
	result->output = larger;
	run->allocated_bytes = wanted;
	return true;
}

/* The guardian sees it as the worker's end, and still has its say: a word that it did not read would cut its own off. */
static void give_up(struct run *run)
{
	(void)shutdown(run->fds[REPORT], SHUT_WR);
	close_fd(&run->fds[OUT]);
}

static void read_output(struct run *run)
{
	struct ftsi_work_result *result = &run->result;
	if (!grow(run)) {
		run->no_memory = true;
		give_up(run);
		return;
	}
	ssize_t got = read(run->fds[OUT], result->output + result->output_size_bytes, CHUNK_BYTES);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (got <= 0) {
		close_fd(&run->fds[OUT]);
		return;
	}
	result->output_size_bytes += (size_t)got;
	if (result->output_size_bytes <= run->output_max_bytes) return;
	result->too_large = true;
	give_up(run);
}

static void end_line(struct run *run)
{
	if (run->line_used_bytes > 0) run->on_line(run->ctx, run->number, run->line, run->line_used_bytes);
	run->line_used_bytes = 0;
}

static void take_errors(struct run *run, const char *bytes, size_t size_bytes)
{
	static const char more[] = "(more than is shown)";
	if (run->error_left_bytes == 0) return;
	for (size_t i = 0; i < size_bytes && run->error_left_bytes > 0; i++, run->error_left_bytes--) {
		if (bytes[i] != '\n') run->line[run->line_used_bytes++] = bytes[i];
		if (bytes[i] == '\n' || run->line_used_bytes == sizeof run->line) end_line(run);
	}
	if (run->error_left_bytes > 0) return;
	end_line(run);
	run->on_line(run->ctx, run->number, more, sizeof more - 1);
}

static void read_errors(struct run *run)
{
	char bytes[4096];
	ssize_t got = read(run->fds[ERR], bytes, sizeof bytes);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (got > 0) {
		take_errors(run, bytes, (size_t)got);
		return;
	}
	end_line(run);
	close_fd(&run->fds[ERR]);
}

/* Until guardian and pipes are at their end. False: the guardian went without a word. */
static bool attend(struct run *run)
{
	bool told = false;
	while (run->fds[REPORT] >= 0 || run->fds[OUT] >= 0 || run->fds[ERR] >= 0) {
		struct pollfd fds[] = {{run->fds[IN], POLLOUT, 0},
				       {run->fds[OUT], POLLIN, 0},
				       {run->fds[ERR], POLLIN, 0},
				       {run->fds[REPORT], POLLIN, 0}};
		if (poll(fds, ALL, -1) < 0) continue; /* EINTR */
		if (fds[IN].revents != 0) feed(run);
		if (fds[OUT].revents != 0) read_output(run);
		if (fds[ERR].revents != 0) read_errors(run);
		if (fds[REPORT].revents == 0) continue;
		struct ftsi_work_report report;
		told = told || recv(run->fds[REPORT], &report, sizeof report, MSG_DONTWAIT) == (ssize_t)sizeof report;
		if (told) run->result.report = report;
		close_fd(&run->fds[REPORT]);
	}
	return told;
}

enum fts_status ftsi_work_run(struct ftsi_work_keeper *keeper, const struct ftsi_work_order *order,
			      struct fts_bytes input, size_t output_max_bytes, size_t error_max_bytes,
			      ftsi_work_line_fn on_line, void *ctx, struct ftsi_work_result *out_result)
{
	struct run run = {.number = order->number,
			  .input = input,
			  .output_max_bytes = output_max_bytes,
			  .error_left_bytes = error_max_bytes,
			  .on_line = on_line,
			  .ctx = ctx};
	int theirs[ALL];
	if (!open_pipes(&run, theirs)) return FTS_RESOURCE_EXHAUSTED;
	bool sent = send_order(keeper, order, theirs);
	for (size_t i = 0; i < ALL; i++)
		close(theirs[i]);
	enum fts_status status = sent ? FTS_OK : FTS_UNAVAILABLE;
	if (sent && !attend(&run)) status = FTS_ABORTED;
	if (status == FTS_OK && run.result.report.end == FTSI_WORK_NOT_STARTED) status = FTS_UNAVAILABLE;
	if (status == FTS_OK && run.no_memory) status = FTS_ABORTED;
	for (size_t i = 0; i < ALL; i++)
		close_fd(&run.fds[i]);
	if (status == FTS_OK)
		*out_result = run.result;
	else
		free(run.result.output);
	return status;
}
