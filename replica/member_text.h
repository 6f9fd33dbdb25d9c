/* Why this file exists: names of members live in raft's configuration, as part of their addresses: a raft address is
 * "NAME=HOST:PORT", HOST:PORT being where the member takes calls. */
#ifndef FTS_REPLICA_MEMBER_TEXT_H
#define FTS_REPLICA_MEMBER_TEXT_H

#define FTSI_MEMBER_TEXT_BYTES 192u
#define FTSI_MEMBER_NAME_BYTES 64u
#define FTSI_MEMBER_ADDRESS_BYTES 128u

/* Into out (FTSI_MEMBER_TEXT_BYTES). Returns out. */
const char *ftsi_member_text(const char *name, const char *address, char *out);
/* The parts of a raft address into out_name (FTSI_MEMBER_NAME_BYTES) and out_address (FTSI_MEMBER_ADDRESS_BYTES). A
 * text without '=' is an address without a name. */
void ftsi_member_split(const char *text, char *out_name, char *out_address);

#endif
