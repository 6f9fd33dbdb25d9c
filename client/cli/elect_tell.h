/* Why this file exists: what happens in an election, told the same way by `elect run` and `elect watch`: a line of
 * text, or with --json an object a line. Thread: one at a time. */
#ifndef FTSI_ELECT_TELL_H
#define FTSI_ELECT_TELL_H

#include <jansson.h>

#include <fts/elector/v1/elector.pb-c.h>
#include <fts/events.h>

#include "client/cli/command.h"

/* One event of a topic elector.*, unpacked. */
struct ftsi_elect_news {
	Fts__Elector__V1__MasterEvent *master; /* one of these: owned */
	Fts__Elector__V1__MemberEvent *member;
	Fts__Elector__V1__MessageEvent *message;
};
/* False: not of election (borrowed), or not readable; nothing is owned then. */
bool ftsi_elect_news_read(const struct fts_event *event, const char *election, struct ftsi_elect_news *out_news);
void ftsi_elect_news_free(struct ftsi_elect_news *news);

/* false: standard output is closed. */
bool ftsi_elect_tell_news(const struct ftsi_cli *cli, const struct ftsi_elect_news *news);
bool ftsi_elect_tell_role(const struct ftsi_cli *cli, const char *role, const char *master, uint64_t fence);
bool ftsi_elect_tell_text(const struct ftsi_cli *cli, const char *event, const char *name, const char *value);
/* text: any bytes, size_bytes of them. role: whose script wrote it. */
bool ftsi_elect_tell_output(const struct ftsi_cli *cli, bool is_error, uint64_t lost_count, const char *text,
			    size_t size_bytes);

const char *ftsi_elect_cause(Fts__Elector__V1__Cause cause);
const char *ftsi_elect_rule(Fts__Elector__V1__Rule rule);
/* A name, or null when it is empty. Returned. */
json_t *ftsi_elect_name(const char *name);

#endif
