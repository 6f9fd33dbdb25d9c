/* Why this file exists: C names, ours and those protoc-gen-c gives to the same things; both must be told exactly.
 * Everything returned is borrowed until the arena is destroyed; everything passed is borrowed. */
#ifndef FTS_GEN_NAMES_H
#define FTS_GEN_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "gen/arena.h"

/* StoreBet -> store_bet, GetURL -> get_url, HTTPServer -> http_server; '.' becomes '_'. */
char *ftsi_name_snake(struct ftsi_arena *arena, const char *name);

/* protoc-gen-c's type: fts.lottery.v1.Bet -> Fts__Lottery__V1__Bet. */
char *ftsi_name_message_type(struct ftsi_arena *arena, const char *full_name);

/* protoc-gen-c's prefix of functions and descriptors: fts.lottery.v1.Bet -> fts__lottery__v1__bet. */
char *ftsi_name_message_prefix(struct ftsi_arena *arena, const char *full_name);

/* protoc-gen-c's name of a service method: GetURL -> get_url. */
char *ftsi_name_pb_c_method(struct ftsi_arena *arena, const char *name);

/* The guard of the header made from a file: a/b-c.proto -> A_B_2DC_FTS_H. */
char *ftsi_name_guard(struct ftsi_arena *arena, const char *file_name);

/* a/b.proto -> a/b */
char *ftsi_name_stem(struct ftsi_arena *arena, const char *file_name);

/* Is it a keyword of C11, or a macro of headers that are always there? */
bool ftsi_name_is_reserved(const char *name);

/* May it be a C identifier that starts with a letter? lower_only: letters must be lower case. */
bool ftsi_name_is_identifier(const char *name, bool lower_only);

/* FNV-1a, 32 bits: the id of a method on the wire. Source: Fowler, Noll, Vo,
 * http://www.isthe.com/chongo/tech/comp/fnv/ */
uint32_t ftsi_name_hash(const char *name);

#endif
