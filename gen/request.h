/* Why this file exists: reading the CodeGeneratorRequest, from a pipe that may hold anything. */
#ifndef FTS_GEN_REQUEST_H
#define FTS_GEN_REQUEST_H

#include <google/protobuf/compiler/plugin.pb-c.h>
#include <stdio.h>

#include "gen/arena.h"

/* Read stream (borrowed) to its end and unpack it. Returned: free it with
 * google__protobuf__compiler__code_generator_request__free_unpacked. NULL: it is not a whole request, as *out_why
 * (static) says. */
Google__Protobuf__Compiler__CodeGeneratorRequest *ftsi_request_read(struct ftsi_arena *arena, FILE *stream,
								    const char **out_why);

#endif
