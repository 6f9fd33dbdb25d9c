/* Why this file exists: see game_terminal.h. Escape sequences: ECMA-48, and xterm's private modes 1049 (the other
 * screen) and 25 (the cursor). */
#include "client/cli/game_terminal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "client/cli/output.h"

#define WRITE_MS 2000 /* a terminal that takes nothing for so long is left alone */

static const char enter_text[] = "\033[?1049h\033[2J";
static const char leave_text[] = "\033[0m\033[?25h\033[?1049l";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct termios before; /* guarded by lock */
static bool is_entered;       /* guarded by lock */

bool ftsi_terminal_is_there(void)
{
	return isatty(STDIN_FILENO) && ftsi_is_terminal(stdout);
}

/* The lock is held. */
static bool write_all(const char *bytes, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t written = write(STDOUT_FILENO, bytes, size_bytes);
		if (written > 0) {
			bytes += written;
			size_bytes -= (size_t)written;
		} else if (written < 0 && errno != EINTR && errno != EAGAIN) {
			return false;
		} else if (written < 0 && errno == EAGAIN) {
			struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
			if (poll(&out, 1, WRITE_MS) == 0) return false;
		}
	}
	return true;
}

bool ftsi_terminal_write(const char *bytes, size_t size_bytes)
{
	pthread_mutex_lock(&lock);
	bool written = !is_entered || write_all(bytes, size_bytes); /* nothing on a terminal that was given back */
	pthread_mutex_unlock(&lock);
	return written;
}

/* Signals stay keys: Ctrl-C is a way to leave, not to die. Output is left as it is. */
static struct termios raw_mode(struct termios mode)
{
	mode.c_iflag &= ~(tcflag_t)(ICRNL | IXON | BRKINT | INPCK | ISTRIP);
	mode.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	return mode;
}

bool ftsi_terminal_enter(void)
{
	static bool is_registered; /* guarded by lock */
	bool entered = false;

	(void)fflush(stdout);
	pthread_mutex_lock(&lock);
	if (is_entered) {
		entered = true;
	} else if (tcgetattr(STDIN_FILENO, &before) == 0) {
		struct termios raw = raw_mode(before);
		entered = tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) == 0;
	}
	if (entered && !is_entered) {
		if (!is_registered) atexit(ftsi_terminal_leave);
		is_registered = is_entered = true;
		(void)write_all(enter_text, sizeof(enter_text) - 1);
	}
	pthread_mutex_unlock(&lock);
	return entered;
}

void ftsi_terminal_leave(void)
{
	pthread_mutex_lock(&lock);
	if (is_entered) {
		(void)write_all(leave_text, sizeof(leave_text) - 1);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	}
	is_entered = false;
	pthread_mutex_unlock(&lock);
}

void ftsi_terminal_suspend(void)
{
	ftsi_terminal_leave();
	raise(SIGTSTP);
	(void)ftsi_terminal_enter();
}

void ftsi_terminal_size(unsigned *out_columns, unsigned *out_rows)
{
	struct winsize size = {0};
	bool is_told = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;

	*out_columns = is_told ? size.ws_col : 80;
	*out_rows = is_told ? size.ws_row : 24;
}
