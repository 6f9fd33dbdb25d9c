/* Why this file exists: libraft's messages as PeerMessages and back.
 *
 * Ownership of what is decoded, as libraft 0.15.0 has it: the array of entries and the one block that all their bytes
 * lie in (their batch) are libraft's once it is given the message; the address stays ours. Thread: loop. */
#ifndef FTS_REPLICA_MESSAGE_H
#define FTS_REPLICA_MESSAGE_H

#include "replica/internal.h"

struct Fts__Replica__V1__PeerMessage;

/* No cluster comes near it, and a term that does is nobody's: behind the last one there would never be a leader. */
#define FTSI_TERM_MAX (UINT64_C(1) << 62)

/* Pack message (borrowed) and send it. False: it is lost. */
bool ftsi_message_send(struct fts_replica *replica, const struct raft_message *message);
/* message: borrowed. *out_message: its entries are returned (ftsi_message_drop, or libraft's); server_address is left
 * NULL. False: it is not one of libraft's, or makes no sense, or there is no memory: it is lost. */
bool ftsi_message_decode(const struct Fts__Replica__V1__PeerMessage *message, struct raft_message *out_message);
/* Free what libraft was not given. */
void ftsi_message_drop(struct raft_message *message);

#endif
