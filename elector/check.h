/* Why this file exists: requests are checked before anything else looks at them; a refusal names the field, what was
 * expected and what came. */
#ifndef FTS_ELECTOR_CHECK_H
#define FTS_ELECTOR_CHECK_H

#include "elector/state.h"

enum { FTSI_LEASE_MIN_MS = 300, FTSI_LEASE_MAX_MS = 600000, FTSI_MESSAGE_TEXT_MAX = 1024 };

/* Texts of 1 to 64 bytes without control characters. INVALID_ARGUMENT otherwise, as all below. */
enum fts_status ftsi_check_name(struct fts_apply *apply, const char *field, const char *text);
enum fts_status ftsi_check_elect(struct fts_apply *apply, const Fts__Elector__V1__ElectRequest *request);
enum fts_status ftsi_check_message(struct fts_apply *apply, const Fts__Elector__V1__MessageRequest *request);

#endif
