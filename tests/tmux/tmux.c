/* Why this file exists: see tests/tmux/tmux.h. */
#include "tests/tmux/tmux.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/clock.h"

#define COMMAND_MS 10000u
#define ARGUMENTS_MAX 16

/* ---- Commands ---- */

static int ask(struct tmux *tmux, char **out, char **err, va_list arguments)
{
	const char *argv[ARGUMENTS_MAX + 4] = {"/usr/bin/tmux", "-u", "-S", tmux->socket};
	size_t count = 4;

	for (const char *argument; (argument = va_arg(arguments, const char *)) != NULL;) {
		assert_true(count < ARGUMENTS_MAX + 3);
		argv[count++] = argument;
	}
	return harness_run(argv, COMMAND_MS, out, err);
}

static bool try_command(struct tmux *tmux, ...) __attribute__((sentinel));
static bool try_command(struct tmux *tmux, ...)
{
	va_list arguments;

	va_start(arguments, tmux);
	int code = ask(tmux, NULL, NULL, arguments);
	va_end(arguments);
	return code == 0;
}

/* Its output, returned (free()); fails the test unless it exits 0. */
static char *read_command(struct tmux *tmux, ...) __attribute__((sentinel));
static char *read_command(struct tmux *tmux, ...)
{
	va_list arguments;
	char *out = NULL, *err = NULL;

	va_start(arguments, tmux);
	int code = ask(tmux, &out, &err, arguments);
	va_end(arguments);
	if (code != 0) fail_msg("tmux: exit %d: %s", code, err);
	free(err);
	return out;
}

void tmux_start(struct tmux *tmux)
{
	char config[HARNESS_PATH_MAX + 16];

	*tmux = (struct tmux){.server = {.pid = 0}};
	harness_directory_make(tmux->root);
	snprintf(config, sizeof(config), "%s/tmux.conf", tmux->root);
	snprintf(tmux->socket, sizeof(tmux->socket), "%s/tmux", tmux->root);
	harness_file_write(config, "set -g status off\nset -g remain-on-exit on\n"
				   "set -g default-terminal screen-256color\nset -g escape-time 0\n");
	const char *argv[] = {"/usr/bin/tmux", "-u", "-S", tmux->socket, "-f", config, "-D", NULL};
	harness_process_start(&tmux->server, tmux->root, "tmux", argv);
	for (struct harness_wait wait = harness_wait_ms(COMMAND_MS); !try_command(tmux, "show", "-g", "status", NULL);)
		if (!harness_wait_more(&wait)) fail_msg("tmux does not start");
}

void tmux_stop(struct tmux *tmux)
{
	harness_process_kill(&tmux->server);
}

void tmux_open(struct tmux *tmux, const char *name, unsigned columns, unsigned rows, const char *command)
{
	char x[16], y[16];

	snprintf(x, sizeof(x), "%u", columns);
	snprintf(y, sizeof(y), "%u", rows);
	free(read_command(tmux, "new-session", "-d", "-s", name, "-x", x, "-y", y, command, NULL));
}

void tmux_resize(struct tmux *tmux, const char *name, unsigned columns, unsigned rows)
{
	char x[16], y[16];

	snprintf(x, sizeof(x), "%u", columns);
	snprintf(y, sizeof(y), "%u", rows);
	free(read_command(tmux, "resize-window", "-t", name, "-x", x, "-y", y, NULL));
}

void tmux_type(struct tmux *tmux, const char *name, const char *text)
{
	free(read_command(tmux, "send-keys", "-t", name, "-l", text, NULL));
}

void tmux_key(struct tmux *tmux, const char *name, const char *key)
{
	free(read_command(tmux, "send-keys", "-t", name, key, NULL));
}

void tmux_enter(struct tmux *tmux, const char *name, const char *text)
{
	tmux_type(tmux, name, text);
	tmux_key(tmux, name, "Enter");
}

/* ---- Screens ---- */

char *tmux_screen(struct tmux *tmux, const char *name, bool with_escapes)
{
	if (with_escapes) return read_command(tmux, "capture-pane", "-p", "-e", "-t", name, NULL);
	return read_command(tmux, "capture-pane", "-p", "-t", name, NULL);
}

static void await(struct tmux *tmux, const char *name, const char *text, bool is_there)
{
	for (struct harness_wait wait = harness_wait_ms(TMUX_WAIT_MS);;) {
		char *screen = tmux_screen(tmux, name, false);
		bool is_found = strstr(screen, text) != NULL;
		if (is_found == is_there) {
			free(screen);
			return;
		}
		if (!harness_wait_more(&wait))
			fail_msg("%s: \"%s\" %s:\n%s", name, text, is_there ? "does not come" : "stays", screen);
		free(screen);
	}
}

void tmux_await(struct tmux *tmux, const char *name, const char *text)
{
	await(tmux, name, text, true);
}

void tmux_await_gone(struct tmux *tmux, const char *name, const char *text)
{
	await(tmux, name, text, false);
}

void tmux_close(struct tmux *tmux, const char *name)
{
	free(read_command(tmux, "kill-session", "-t", name, NULL));
}
