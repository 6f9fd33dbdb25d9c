/* Why this file exists: protobuf-c takes its memory from an arena through this. */
#ifndef FTS_REPLICA_ALLOCATOR_H
#define FTS_REPLICA_ALLOCATOR_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"

/* An allocator over arena (borrowed as long as the allocator is used); freeing does nothing. */
ProtobufCAllocator ftsi_arena_allocator(struct fts_arena *arena);

/* An initialised message of descriptor's type. NULL: the arena is full. */
ProtobufCMessage *ftsi_message_new(const ProtobufCMessageDescriptor *descriptor, struct fts_arena *arena);

#endif
