/* Why this file exists: see elector/check.h. */
#include "elector/check.h"

#include <string.h>

enum { ATTRIBUTE_COUNT_MAX = 16, ATTRIBUTE_BYTES_MAX = 256, ADDRESS_BYTES_MAX = 128 };

static bool is_plain(const char *text, size_t max_bytes)
{
	size_t size = strlen(text);
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
	return size <= max_bytes;
}

enum fts_status ftsi_check_name(struct fts_apply *apply, const char *field, const char *text)
{
	if (text[0] != 0 && is_plain(text, FTSI_ELECTION_NAME_MAX)) return FTS_OK;
	return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
				"%s: 1 to %d bytes without control characters are expected, not %zu bytes", field,
				FTSI_ELECTION_NAME_MAX, strlen(text));
}

static enum fts_status check_member(struct fts_apply *apply, const Fts__Elector__V1__Member *member)
{
	enum fts_status status = ftsi_check_name(apply, "member.id", member->id);
	if (status != FTS_OK) return status;
	if (member->lease_ms < FTSI_LEASE_MIN_MS || member->lease_ms > FTSI_LEASE_MAX_MS)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "member.lease_ms: %d to %d are expected, not %u",
					FTSI_LEASE_MIN_MS, FTSI_LEASE_MAX_MS, member->lease_ms);
	if (member->n_attributes > ATTRIBUTE_COUNT_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "member.attributes: at most %d, not %zu",
					ATTRIBUTE_COUNT_MAX, member->n_attributes);
	if (!is_plain(member->address, ADDRESS_BYTES_MAX))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "member.address: at most %d bytes of plain text",
					ADDRESS_BYTES_MAX);
	for (size_t i = 0; i < member->n_attributes; i++)
		if (!is_plain(member->attributes[i]->name, FTSI_ELECTION_NAME_MAX) ||
		    !is_plain(member->attributes[i]->value, ATTRIBUTE_BYTES_MAX))
			return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
						"member.attributes[%zu]: a name of at most %d bytes and a value of at "
						"most %d, plain text, are expected",
						i, FTSI_ELECTION_NAME_MAX, ATTRIBUTE_BYTES_MAX);
	return FTS_OK;
}

enum fts_status ftsi_check_elect(struct fts_apply *apply, const Fts__Elector__V1__ElectRequest *request)
{
	enum fts_status status = ftsi_check_name(apply, "election", request->election);
	if (status != FTS_OK) return status;
	if (request->member == NULL)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "member: who joins is missing");
	if (request->rule > FTS__ELECTOR__V1__RULE__COMMAND)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "rule: %d is none", (int)request->rule);
	if (request->min_members > FTSI_ELECTION_MEMBER_MAX)
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT, "min_members: at most %d, not %u",
					FTSI_ELECTION_MEMBER_MAX, request->min_members);
	return check_member(apply, request->member);
}

enum fts_status ftsi_check_message(struct fts_apply *apply, const Fts__Elector__V1__MessageRequest *request)
{
	enum fts_status status = ftsi_check_name(apply, "election", request->election);
	if (status == FTS_OK) status = ftsi_check_name(apply, "sender", request->sender);
	if (status != FTS_OK) return status;
	if (request->text[0] == 0 || !is_plain(request->text, FTSI_MESSAGE_TEXT_MAX))
		return fts_apply_refuse(apply, FTS_INVALID_ARGUMENT,
					"text: 1 to %d bytes without control characters are expected, not %zu bytes",
					FTSI_MESSAGE_TEXT_MAX, strlen(request->text));
	return FTS_OK;
}
