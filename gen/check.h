/* Why this file exists: what protoc accepts and fts does not, refused before a line is generated. */
#ifndef FTS_GEN_CHECK_H
#define FTS_GEN_CHECK_H

#include "gen/model.h"
#include "gen/refusal.h"

/* Check every file that is wanted. model: borrowed (marks of messages are used). What is wrong goes to refusals
 * (borrowed), in the order of the files. */
void ftsi_check(struct ftsi_model *model, struct ftsi_refusals *refusals);

#endif
