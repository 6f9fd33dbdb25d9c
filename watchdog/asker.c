/* Why this file exists: see watchdog/asker.h. */
#include "watchdog/asker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fts/health/v1/health.pb-c.h>

#include "rpc/survey.h"

void ftsi_asker_init(struct ftsi_asker *asker, const char *path)
{
	*asker = (struct ftsi_asker){.fd = -1};
	if (strlen(path) < sizeof(asker->path)) memcpy(asker->path, path, strlen(path) + 1);
}

void ftsi_asker_close(struct ftsi_asker *asker)
{
	if (asker->fd >= 0) close(asker->fd);
	asker->fd = -1;
	asker->open = false;
}

static bool connect_to(struct ftsi_asker *asker)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, asker->path, sizeof(asker->path));
	asker->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (asker->fd >= 0 && connect(asker->fd, (struct sockaddr *)&address, sizeof(address)) == 0) return true;
	ftsi_asker_close(asker); /* it does not listen yet, or not any more */
	return false;
}

void ftsi_asker_ask(struct ftsi_asker *asker)
{
	Fts__Health__V1__Question question = FTS__HEALTH__V1__QUESTION__INIT;
	uint8_t packed[32];
	if (asker->open || asker->path[0] == '\0' || (asker->fd < 0 && !connect_to(asker))) return;
	question.id = ++asker->question_id;
	size_t size = fts__health__v1__question__pack(&question, packed);
	if (send(asker->fd, packed, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size)
		asker->open = true;
	else
		ftsi_asker_close(asker);
}

static void take_strands(const Fts__Health__V1__Report *report, struct ftsi_judge_answer *out)
{
	for (size_t i = 0; i < report->n_strands && out->strand_count < FTSI_JUDGE_STRAND_MAX; i++) {
		const Fts__Health__V1__Strand *told = report->strands[i];
		struct ftsi_judge_strand *strand = &out->strands[out->strand_count++];
		snprintf(strand->name, sizeof(strand->name), "%s", told->name);
		strand->moved = told->moved;
		strand->waiting = told->waiting;
		strand->longest_ms = told->longest_ms;
	}
}

static bool read_report(const struct ftsi_asker *asker, const uint8_t *data, size_t size_bytes,
			struct ftsi_judge_answer *out)
{
	Fts__Health__V1__Report *report = fts__health__v1__report__unpack(NULL, size_bytes, data);
	if (report == NULL) return false;
	bool mine = report->question_id == asker->question_id;
	memset(out, 0, sizeof(*out));
	if (mine) {
		take_strands(report, out);
		snprintf(out->overrun_method, sizeof(out->overrun_method), "%s", report->overrun_method);
		out->overrun_ms = report->overrun_ms;
		out->ready = report->state != FTS__HEALTH__V1__STATE__LIVE;
	}
	fts__health__v1__report__free_unpacked(report, NULL);
	return mine;
}

bool ftsi_asker_take(struct ftsi_asker *asker, struct ftsi_judge_answer *out_answer)
{
	uint8_t answer[FTS_SURVEY_ANSWER_MAX_BYTES];
	if (asker->fd < 0) return false;
	ssize_t size = recv(asker->fd, answer, sizeof(answer), MSG_DONTWAIT);
	if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
	if (size <= 0) {
		ftsi_asker_close(asker);
		return false;
	}
	asker->open = false;
	return read_report(asker, answer, (size_t)size, out_answer);
}
