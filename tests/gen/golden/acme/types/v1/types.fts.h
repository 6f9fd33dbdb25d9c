/* Made by protoc-gen-fts from acme/types/v1/types.proto: do not edit.
 *
 * Messages that other files use: no services here. */
#ifndef ACME_TYPES_V1_TYPES_FTS_H
#define ACME_TYPES_V1_TYPES_FTS_H

#include <fts/api.h>

#include "acme/types/v1/types.pb-c.h"

#endif
