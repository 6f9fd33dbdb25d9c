/* Why this file exists: three consoles on terminals, as people use them: the second takes part through another node
 * than the first, the third too; one is interrupted, the master is killed, another takes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/cluster.h"
#include "tests/tmux/tmux.h"

#define COLUMNS 100
#define ROWS 40

static struct tmux tmux;
static struct harness_cluster cluster;

/* A console that was told of one node only. */
static void open_console(const char *id, size_t node)
{
	char program[HARNESS_PATH_MAX], command[2 * HARNESS_PATH_MAX];
	harness_program_path("fts-cli", program);
	(void)snprintf(command, sizeof(command), "exec %s --endpoints %s elect run boss --console --id %s", program,
		       cluster.members[node].endpoint, id);
	tmux_open(&tmux, id, COLUMNS, ROWS, command);
}

static void as_the_example_goes(void **state)
{
	char connect[64]; /* a blank first, or tmux takes a line for a flag of its own */
	(void)state;
	harness_cluster_init(&cluster, 3);
	harness_cluster_start(&cluster);
	tmux_start(&tmux);
	open_console("one", 0);
	tmux_await(&tmux, "one", "role STANDBY"); /* alone: nobody's master */
	open_console("two", 1);
	tmux_await(&tmux, "one", "role MASTER, master one");
	tmux_await(&tmux, "two", "role STANDBY, master one");
	open_console("three", 2);
	tmux_await(&tmux, "one", "three joined");
	(void)snprintf(connect, sizeof(connect), " -c 127.0.0.1 %u", (unsigned)cluster.members[1].port);
	tmux_enter(&tmux, "three", connect);
	tmux_await(&tmux, "two", "three is gone (RESIGNED)");
	tmux_await(&tmux, "three", "role STANDBY, master one");
	tmux_enter(&tmux, "three", " -msg good morning");
	tmux_await(&tmux, "one", "message of three at ");
	tmux_await(&tmux, "two", "good morning");
	tmux_key(&tmux, "three", "C-c");
	tmux_await(&tmux, "one", "2 members");
	open_console("four", 0);
	tmux_await(&tmux, "two", "four joined");
	tmux_close(&tmux, "one"); /* the master is killed */
	tmux_await(&tmux, "two", "role MASTER, master two");
	tmux_await(&tmux, "four", "master two");
	tmux_enter(&tmux, "two", " -cl");
	tmux_await(&tmux, "two", "two (master)");
	tmux_stop(&tmux);
	harness_cluster_fini(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_example_goes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
