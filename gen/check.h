/* Why this file exists: what protoc accepts and fts does not, refused before a line is generated. */
#ifndef FTS_GEN_CHECK_H
#define FTS_GEN_CHECK_H

#include "gen/model.h"
#include "gen/refusal.h"

/* Messages within messages, at most: protobuf's own usual limit, and what bounds the stack of protobuf-c's unpack. */
#define FTSI_NESTING_MAX 100

/* Check every file that is wanted, and what its messages are made of. model: borrowed (marks of messages are used).
 * What is wrong goes to refusals (borrowed). */
void ftsi_check(struct ftsi_model *model, struct ftsi_refusals *refusals);

/* Parts of it: each message that a wanted file or one of its services needs, and how they contain each other; */
void ftsi_check_messages(struct ftsi_model *model, struct ftsi_refusals *refusals);
/* that no two things get the same C name, method id or topic. */
void ftsi_check_unique(const struct ftsi_model *model, struct ftsi_refusals *refusals);

#endif
