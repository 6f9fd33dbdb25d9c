/* Why this file exists: see elect_choice.h. */
#include "client/cli/elect_choice.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/elect_script.h"
#include "client/cli/output.h"

#define MS_NS 1000000ull
#define AGAIN_MS 1000u
#define LOOK_MS 20u /* its end is seen so late at most */
#define EXIT_NO_COMMAND 127
#define VARIABLE_COUNT 3
#define VARIABLE_BYTES 160

extern char **environ;

void ftsi_choice_init(struct ftsi_choice *choice)
{
	*choice = (struct ftsi_choice){.out_fd = -1};
}

static void stop(struct ftsi_choice *choice)
{
	if (choice->out_fd >= 0) close(choice->out_fd);
	choice->out_fd = -1;
	if (choice->pid == 0) return;
	(void)kill(-choice->pid, SIGKILL);
	while (waitpid(choice->pid, NULL, 0) < 0 && errno == EINTR)
		;
	choice->pid = 0;
}

void ftsi_choice_fini(struct ftsi_choice *choice)
{
	stop(choice);
}

Fts__Elector__V1__StatusResponse *ftsi_choice_copy(const Fts__Elector__V1__StatusResponse *members)
{
	uint8_t *packed = malloc(fts__elector__v1__status_response__get_packed_size(members) + 1);
	if (packed == NULL) return NULL;
	size_t size = fts__elector__v1__status_response__pack(members, packed);
	Fts__Elector__V1__StatusResponse *copy = fts__elector__v1__status_response__unpack(NULL, size, packed);
	free(packed);
	return copy;
}

void ftsi_choice_drop(Fts__Elector__V1__StatusResponse *members)
{
	if (members != NULL) fts__elector__v1__status_response__free_unpacked(members, NULL);
}

bool ftsi_choice_is_idle(const struct ftsi_choice *choice, uint64_t now_ns)
{
	return choice->pid == 0 && !choice->is_made && now_ns >= choice->next_ns;
}

void ftsi_choice_forget(struct ftsi_choice *choice)
{
	choice->is_made = false;
	choice->next_ns = 0;
}

void ftsi_choice_later(struct ftsi_choice *choice)
{
	choice->is_made = false;
	choice->next_ns = ftsi_script_now_ns() + AGAIN_MS * MS_NS;
}

/* ---- Starting ---- */

/* A file without a name that holds the members. -1: none could be made. */
static int write_members(const Fts__Elector__V1__StatusResponse *members)
{
	int fd = memfd_create("members", MFD_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "w");
	for (size_t i = 0; file != NULL && i < members->n_members; i++) {
		const Fts__Elector__V1__Member *member = members->members[i];
		if (member->leaving) continue;
		fprintf(file, "%s\t%" PRId64 "\t%" PRId32 "\t%" PRIu32 "\t%s\n", member->id, member->started_ms,
			member->priority, member->lease_ms, member->address);
	}
	if (file != NULL && fclose(file) == 0 && lseek(fd, 0, SEEK_SET) == 0) return fd;
	if (fd >= 0) close(fd);
	return -1;
}

/* What the program has, and ours behind it. Returned (free()). NULL: no memory. */
static char **make_environment(char own[VARIABLE_COUNT][VARIABLE_BYTES],
			       const Fts__Elector__V1__StatusResponse *members, const char *self)
{
	size_t count = 0, kept = 0;
	while (environ[count] != NULL)
		count++;
	char **made = calloc(count + VARIABLE_COUNT + 1, sizeof(*made));
	if (made == NULL) return NULL;
	(void)snprintf(own[0], VARIABLE_BYTES, "FTS_ELECTION=%.128s", members->election);
	(void)snprintf(own[1], VARIABLE_BYTES, "FTS_MEMBER=%.128s", self);
	(void)snprintf(own[2], VARIABLE_BYTES, "FTS_MASTER=%.128s", members->master);
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "FTS_ELECTION=", 13) != 0 && strncmp(environ[i], "FTS_MEMBER=", 11) != 0 &&
		    strncmp(environ[i], "FTS_MASTER=", 11) != 0)
			made[kept++] = environ[i];
	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		made[kept++] = own[i];
	return made;
}

/* In the child of a process with threads: nothing but system calls until the program is another. */
static void become_command(char *const *words, char *const *variables, int in_fd, int out_fd, pid_t parent)
{
	sigset_t none;
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) _exit(EXIT_NO_COMMAND); /* it went before the line above */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)dup2(in_fd, STDIN_FILENO);
	(void)dup2(out_fd, STDOUT_FILENO);
	execvpe(words[0], words, variables);
	_exit(EXIT_NO_COMMAND);
}

static void spawn(struct ftsi_choice *choice, char *const *words, char *const *variables, int in_fd)
{
	int fds[2];
	pid_t self = getpid();
	if (pipe2(fds, O_CLOEXEC) != 0) return;
	pid_t pid = fork();
	if (pid == 0) become_command(words, variables, in_fd, fds[1], self);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return;
	}
	(void)setpgid(pid, pid);
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	choice->pid = pid;
	choice->out_fd = fds[0];
}

void ftsi_choice_start(struct ftsi_choice *choice, char *const *words, Fts__Elector__V1__StatusResponse *members,
		       const char *self)
{
	char own[VARIABLE_COUNT][VARIABLE_BYTES];
	int in_fd = write_members(members);
	char **variables = make_environment(own, members, self);
	choice->generation = members->generation;
	choice->used = 0;
	choice->until_ns = ftsi_script_now_ns() + FTSI_CHOICE_MS * MS_NS;
	if (in_fd >= 0 && variables != NULL) spawn(choice, words, variables, in_fd);
	if (in_fd >= 0) close(in_fd);
	free(variables);
	ftsi_choice_drop(members);
	if (choice->pid == 0) {
		ftsi_note("the rule's command could not be started: no memory, process or descriptor");
		ftsi_choice_later(choice);
	}
}

/* ---- Following ---- */

/* What does not fit any more is no id. */
static void take_output(struct ftsi_choice *choice)
{
	char more[256];
	for (ssize_t got; choice->out_fd >= 0; choice->used += (size_t)got) {
		size_t room = sizeof(choice->chosen) - 1 - choice->used;
		got = read(choice->out_fd, room > 0 ? choice->chosen + choice->used : more,
			   room > 0 ? room : sizeof(more));
		if (got < 0) return;
		if (got == 0) {
			close(choice->out_fd);
			choice->out_fd = -1;
		}
		if (room == 0) got = 0;
	}
}

/* The first line, without white space behind it. False: there is none of 1 to 64 bytes. */
static bool read_id(struct ftsi_choice *choice)
{
	choice->chosen[choice->used] = 0;
	size_t size = strcspn(choice->chosen, "\n");
	while (size > 0 && (choice->chosen[size - 1] == ' ' || choice->chosen[size - 1] == '\r'))
		size--;
	choice->chosen[size] = 0;
	return size >= 1 && size <= FTSI_CHOICE_ID_MAX;
}

static void note_end(struct ftsi_choice *choice, int wait_status)
{
	if (!WIFEXITED(wait_status))
		ftsi_note("the rule's command ended by signal %d: nobody is chosen", WTERMSIG(wait_status));
	else if (WEXITSTATUS(wait_status) != 0)
		ftsi_note("the rule's command ended with code %d%s: nobody is chosen", WEXITSTATUS(wait_status),
			  WEXITSTATUS(wait_status) == EXIT_NO_COMMAND ? " (was it found?)" : "");
	else if (!read_id(choice))
		ftsi_note("the rule's command printed no id of 1 to %u bytes: nobody is chosen", FTSI_CHOICE_ID_MAX);
	else
		choice->is_made = true;
	if (!choice->is_made) ftsi_choice_later(choice);
}

void ftsi_choice_drive(struct ftsi_choice *choice, uint64_t now_ns)
{
	int wait_status;
	if (choice->pid == 0) return;
	take_output(choice);
	if (waitpid(choice->pid, &wait_status, WNOHANG) == choice->pid) {
		take_output(choice); /* it may have printed in between */
		ftsi_guardian_signal_group(choice->pid, true, SIGKILL);
		choice->pid = 0;
		stop(choice);
		note_end(choice, wait_status);
	} else if (now_ns >= choice->until_ns) {
		stop(choice);
		ftsi_note("the rule's command took more than %u ms and was ended: nobody is chosen", FTSI_CHOICE_MS);
		ftsi_choice_later(choice);
	} else {
		choice->next_ns = now_ns + LOOK_MS * MS_NS;
	}
}
