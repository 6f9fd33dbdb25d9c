/* Why this file exists: what a role allows, as a pure function of a method's options and the request's bytes.
 *
 * | option role of a method | who may                                                                        |
 * | anybody                 | everybody, without a token                                                     |
 * | token                   | whoever has any token                                                          |
 * | reader writer operator admin | that role and those above it; none given: reader when nothing is changed, |
 * |                         | operator otherwise                                                             |
 * | agency player member    | the bound role whose subject the request names (agency, match, election);      |
 * |                         | also operator; for player and member also writer                               |
 * | join                    | a token to join with, for the name in the request; also admin                  |
 * | node                    | nodes alone                                                                    |
 * | anything else           | admin                                                                          |
 *
 * Who has a bound role may also read what a reader may of the same service's package. Nodes may call everything. */
#ifndef FTS_ACCESS_POLICY_H
#define FTS_ACCESS_POLICY_H

#include <fts/access/v1/access.pb-c.h>
#include <fts/rpc.h>

enum ftsi_need {
	FTSI_NEED_ANYBODY,
	FTSI_NEED_TOKEN,
	FTSI_NEED_READER,
	FTSI_NEED_WRITER,
	FTSI_NEED_OPERATOR,
	FTSI_NEED_ADMIN,
	FTSI_NEED_AGENCY,
	FTSI_NEED_PLAYER,
	FTSI_NEED_MEMBER,
	FTSI_NEED_JOIN,
	FTSI_NEED_NODE,
	FTSI_NEED_COUNT
};

enum ftsi_need ftsi_policy_need(const struct fts_method *method);
/* As --role and errors write it: "agency". Static. */
const char *ftsi_policy_need_name(enum ftsi_need need);
const char *ftsi_policy_role_name(Fts__Access__V1__Role role);
/* The field of a request that a bound role is compared with, as "agency"; NULL: this need is not bound. Static. */
const char *ftsi_policy_field(enum ftsi_need need);

/* May role with subject (borrowed, "": unbound) call method with payload (borrowed)? */
bool ftsi_policy_allows(Fts__Access__V1__Role role, const char *subject, const struct fts_method *method,
			struct fts_bytes payload);

#endif
