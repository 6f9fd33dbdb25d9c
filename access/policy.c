/* Why this file exists: see access/policy.h. */
#include "access/policy.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *field;
} needs[FTSI_NEED_COUNT] = {
    [FTSI_NEED_ANYBODY] = {"anybody", NULL},     [FTSI_NEED_TOKEN] = {"token", NULL},
    [FTSI_NEED_READER] = {"reader", NULL},       [FTSI_NEED_WRITER] = {"writer", NULL},
    [FTSI_NEED_OPERATOR] = {"operator", NULL},   [FTSI_NEED_ADMIN] = {"admin", NULL},
    [FTSI_NEED_AGENCY] = {"agency", "agency"},   [FTSI_NEED_PLAYER] = {"player", "match"},
    [FTSI_NEED_MEMBER] = {"member", "election"}, [FTSI_NEED_JOIN] = {"join", "name"},
    [FTSI_NEED_NODE] = {"node", NULL},
};

enum ftsi_need ftsi_policy_need(const struct fts_method *method)
{
	if (method->role[0] == '\0') return method->mutates ? FTSI_NEED_OPERATOR : FTSI_NEED_READER;
	for (int need = 0; need < FTSI_NEED_COUNT; need++)
		if (strcmp(method->role, needs[need].name) == 0) return (enum ftsi_need)need;
	return FTSI_NEED_ADMIN;
}

const char *ftsi_policy_need_name(enum ftsi_need need)
{
	return needs[need].name;
}

const char *ftsi_policy_role_name(Fts__Access__V1__Role role)
{
	static const char *const names[] = {"none",   "admin",  "operator", "writer", "reader",
					    "agency", "player", "member",   "join",   "node"};
	return role >= 0 && (size_t)role < sizeof names / sizeof *names ? names[role] : "none";
}

const char *ftsi_policy_field(enum ftsi_need need)
{
	return needs[need].field;
}

/* ---- A field of a packed request, without unpacking the rest ---- */

static bool take_varint(struct fts_bytes *at, uint64_t *out_value)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && at->size_bytes > 0; shift += 7) {
		uint8_t byte = *at->data++;
		at->size_bytes--;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) != 0) continue;
		*out_value = value;
		return true;
	}
	return false;
}

static bool skip(struct fts_bytes *at, uint64_t size_bytes)
{
	if (size_bytes > at->size_bytes) return false;
	at->data += size_bytes;
	at->size_bytes -= (size_t)size_bytes;
	return true;
}

/* One value of the field. Moves at past it. */
static bool value_equals(struct fts_bytes *at, unsigned wire, const ProtobufCFieldDescriptor *field,
			 const char *subject)
{
	uint64_t number;
	char text[24];
	if (!take_varint(at, &number)) return false;
	if (field->type == PROTOBUF_C_TYPE_UINT32 && wire == 0) {
		if (number > UINT32_MAX) return false; /* whoever unpacks it reads another */
		(void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
		return strcmp(text, subject) == 0;
	}
	if (field->type != PROTOBUF_C_TYPE_STRING || wire != 2 || number > at->size_bytes) return false;
	bool equal = number == strlen(subject) && memcmp(at->data, subject, (size_t)number) == 0;
	return skip(at, number) && equal;
}

/* The field stands in payload, and every time with this value: what the last one says is not known to be what counts.
 */
static bool field_equals(struct fts_bytes payload, const ProtobufCFieldDescriptor *field, const char *subject)
{
	bool found = false;
	while (payload.size_bytes > 0) {
		uint64_t tag, size_bytes = 0;
		if (!take_varint(&payload, &tag) || tag > UINT32_MAX) return false;
		unsigned wire = (unsigned)tag & 7;
		if (tag >> 3 == field->id) {
			if (!value_equals(&payload, wire, field, subject)) return false;
			found = true;
			continue;
		}
		if (wire == 0 ? !take_varint(&payload, &size_bytes)
			      : !(wire == 1 || wire == 5 || (wire == 2 && take_varint(&payload, &size_bytes))))
			return false;
		if (wire == 1 || wire == 5) size_bytes = wire == 1 ? 8 : 4;
		if (wire != 0 && !skip(&payload, size_bytes)) return false;
	}
	return found;
}

static bool is_bound_to(const struct fts_method *method, enum ftsi_need need, const char *subject,
			struct fts_bytes payload)
{
	const ProtobufCFieldDescriptor *field =
	    protobuf_c_message_descriptor_get_field_by_name(method->request, needs[need].field);
	return field != NULL && field_equals(payload, field, subject);
}

/* ---- Roles ---- */

static bool unbound_allows(Fts__Access__V1__Role role, enum ftsi_need need)
{
	switch (role) {
	case FTS__ACCESS__V1__ROLE__ADMIN:
		return true;
	case FTS__ACCESS__V1__ROLE__OPERATOR:
		return need != FTSI_NEED_ADMIN && need != FTSI_NEED_JOIN;
	case FTS__ACCESS__V1__ROLE__WRITER:
		return need == FTSI_NEED_READER || need == FTSI_NEED_WRITER || need == FTSI_NEED_PLAYER ||
		       need == FTSI_NEED_MEMBER;
	case FTS__ACCESS__V1__ROLE__READER:
		return need == FTSI_NEED_READER;
	default:
		return false;
	}
}

static bool bound_allows(Fts__Access__V1__Role role, const char *subject, enum ftsi_need need,
			 const struct fts_method *method, struct fts_bytes payload)
{
	static const struct {
		Fts__Access__V1__Role role;
		enum ftsi_need need;
		const char *package; /* of which a reader's methods are allowed too; NULL: none */
	} bounds[] = {
	    {FTS__ACCESS__V1__ROLE__AGENCY, FTSI_NEED_AGENCY, "fts.lottery."},
	    {FTS__ACCESS__V1__ROLE__PLAYER, FTSI_NEED_PLAYER, "fts.game."},
	    {FTS__ACCESS__V1__ROLE__MEMBER, FTSI_NEED_MEMBER, "fts.elector."},
	    {FTS__ACCESS__V1__ROLE__JOIN, FTSI_NEED_JOIN, NULL},
	};
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
		if (bounds[i].role != role) continue;
		if (need == bounds[i].need) return is_bound_to(method, need, subject, payload);
		return need == FTSI_NEED_READER && bounds[i].package != NULL &&
		       strncmp(method->full_name, bounds[i].package, strlen(bounds[i].package)) == 0;
	}
	return false;
}

bool ftsi_policy_allows(Fts__Access__V1__Role role, const char *subject, const struct fts_method *method,
			struct fts_bytes payload)
{
	enum ftsi_need need = ftsi_policy_need(method);
	if (need == FTSI_NEED_ANYBODY || role == FTS__ACCESS__V1__ROLE__NODE) return true;
	if (need == FTSI_NEED_NODE || role == FTS__ACCESS__V1__ROLE__ROLE_NONE) return false;
	if (need == FTSI_NEED_TOKEN) return true;
	return unbound_allows(role, need) || bound_allows(role, subject, need, method, payload);
}
