/* Why this file exists: the keeper and its guardians; see work_keeper.h. Each is one thread and one poll(). */
#include "client/cli/work_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/elect_script.h"

#define SWEEP_MS 2
#define EXIT_NO_COMMAND 127

enum { FD_IN, FD_OUT, FD_ERR, FD_REPORT, FD_COUNT };

/* ---- A guardian ---- */

struct guardian {
	int report_fd, signal_fd, timer_fd;
	pid_t command;
	struct ftsi_work_report report;
	bool kills;  /* the command has ended, or has to */
	bool reaped; /* it has ended */
};

/* In the child. */
static void become_command(const struct ftsi_work_order *order, const int *fds, char *const *words, pid_t guardian)
{
	char number[24];
	sigset_t none;
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != guardian) _exit(EXIT_NO_COMMAND); /* it went before the line above */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (int i = FD_IN; i <= FD_ERR; i++)
		(void)dup2(fds[i], i);
	(void)snprintf(number, sizeof number, "%" PRIu64, order->number);
	(void)setenv("FTS_WORK", number, 1);
	(void)syscall(SYS_close_range, 3u, ~0u, 0);
	execvp(words[0], words);
	fprintf(stderr, "%s: %s\n", words[0], strerror(errno));
	_exit(EXIT_NO_COMMAND);
}

static void end_with(struct guardian *guardian, enum ftsi_work_end end)
{
	if (guardian->kills) return;
	guardian->kills = true;
	guardian->report.end = end;
}

/* True: nothing is left. */
static bool reap(struct guardian *guardian)
{
	int wait_status;
	pid_t pid;
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (pid != guardian->command) continue;
		guardian->report.wait_status = wait_status;
		guardian->reaped = true;
		end_with(guardian, FTSI_WORK_ENDED);
	}
	return pid < 0 && errno == ECHILD;
}

static bool arm(const struct guardian *guardian, uint32_t max_run_ms)
{
	const struct itimerspec when = {.it_value = {max_run_ms / 1000, (long)(max_run_ms % 1000) * 1000000}};
	return timerfd_settime(guardian->timer_fd, 0, &when, NULL) == 0;
}

static void guard(struct guardian *guardian)
{
	struct signalfd_siginfo signal_info;
	struct pollfd fds[] = {
	    {guardian->report_fd, POLLIN, 0}, {guardian->signal_fd, POLLIN, 0}, {guardian->timer_fd, POLLIN, 0}};
	while (!reap(guardian)) {
		if (guardian->kills) {
			ftsi_guardian_signal_group(guardian->command, guardian->reaped, SIGKILL);
			(void)ftsi_guardian_sweep();
			(void)poll(NULL, 0, SWEEP_MS);
			continue;
		}
		if (poll(fds, 3, -1) < 0 && errno != EINTR) end_with(guardian, FTSI_WORK_GIVEN_UP);
		while (read(guardian->signal_fd, &signal_info, sizeof signal_info) == (ssize_t)sizeof signal_info)
			;
		if (fds[2].revents != 0) end_with(guardian, FTSI_WORK_OVERRAN);
		if (fds[0].revents != 0)
			end_with(guardian, FTSI_WORK_GIVEN_UP); /* so it was told, or the worker is gone */
	}
}

/* In the child of the keeper. */
static void run_guardian(const struct ftsi_work_order *order, const int *fds, char *const *words)
{
	struct guardian guardian = {.report_fd = fds[FD_REPORT], .report = {.end = FTSI_WORK_NOT_STARTED}};
	sigset_t set;
	pid_t self = getpid();
	(void)setsid();
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	guardian.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	guardian.timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	bool ready = guardian.signal_fd >= 0 && guardian.timer_fd >= 0 && arm(&guardian, order->max_run_ms);
	guardian.command = ready ? fork() : -1;
	if (guardian.command == 0) become_command(order, fds, words, self);
	for (int i = FD_IN; i <= FD_ERR; i++)
		close(fds[i]); /* the command's alone: their other ends see when nothing of it is left */
	if (guardian.command > 0) {
		(void)setpgid(guardian.command, guardian.command);
		guard(&guardian);
	}
	(void)send(guardian.report_fd, &guardian.report, sizeof guardian.report, MSG_NOSIGNAL);
	_exit(0);
}

/* ---- The keeper ---- */

/* False: the worker is gone. */
static bool take_order(int link_fd, int signal_fd, char *const *words)
{
	struct ftsi_work_order order;
	union {
		char bytes[CMSG_SPACE(FD_COUNT * sizeof(int))];
		struct cmsghdr align;
	} control;
	int fds[FD_COUNT];
	struct iovec part = {&order, sizeof order};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	ssize_t got = recvmsg(link_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0) return errno == EAGAIN || errno == EINTR;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (got == 0) return false;
	if (got != sizeof order || header == NULL || header->cmsg_len != CMSG_LEN(sizeof fds)) return true;
	memcpy(fds, CMSG_DATA(header), sizeof fds);
	pid_t pid = fork();
	if (pid == 0) {
		close(link_fd);
		close(signal_fd);
		run_guardian(&order, fds, words);
	}
	for (int i = 0; i < FD_COUNT; i++)
		close(fds[i]); /* not started: the worker sees the end of the report's socket */
	return true;
}

/* False: a guardian was killed, and nobody watches over what it had. */
static bool reap_guardians(void)
{
	int wait_status;
	pid_t pid;
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		if (!WIFEXITED(wait_status)) return false;
	return true;
}

static void end_all(void)
{
	while (!ftsi_guardian_sweep())
		(void)poll(NULL, 0, SWEEP_MS);
}

static int prepare(void)
{
	sigset_t set;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)setsid(); /* Ctrl-C is for the worker */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int fd = 0; null_fd >= 0 && fd <= 1; fd++)
		(void)dup2(null_fd, fd);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL); /* who wants it to end ends the worker */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	(void)syscall(SYS_close_range, FTSI_WORK_KEEPER_FD + 1u, ~0u, 0);
	(void)fcntl(FTSI_WORK_KEEPER_FD, F_SETFD, FD_CLOEXEC);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int ftsi_work_keeper_run(int link_fd, char *const *words)
{
	struct signalfd_siginfo signal_info;
	int signal_fd = prepare();
	struct pollfd fds[] = {{link_fd, POLLIN, 0}, {signal_fd, POLLIN, 0}};
	bool serves = signal_fd >= 0 && words[0] != NULL;
	while (serves && reap_guardians()) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR) break;
		while (read(signal_fd, &signal_info, sizeof signal_info) == (ssize_t)sizeof signal_info)
			;
		if (fds[0].revents != 0) serves = take_order(link_fd, signal_fd, words);
	}
	if (serves) { /* a guardian is gone: so is everything */
		end_all();
		return 1;
	}
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		; /* the guardians see for themselves that the worker is gone */
	end_all();
	return 0;
}
