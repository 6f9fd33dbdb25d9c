/* Why this file exists: see replica/allocator.h. */
#include "replica/allocator.h"

static void *allocate(void *data, size_t size_bytes)
{
	return fts_arena_alloc(data, size_bytes);
}

static void release(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

ProtobufCAllocator ftsi_arena_allocator(struct fts_arena *arena)
{
	return (ProtobufCAllocator){allocate, release, arena};
}

ProtobufCMessage *ftsi_message_new(const ProtobufCMessageDescriptor *descriptor, struct fts_arena *arena)
{
	ProtobufCMessage *message = fts_arena_alloc(arena, descriptor->sizeof_message);
	if (message != NULL) protobuf_c_message_init(descriptor, message);
	return message;
}
