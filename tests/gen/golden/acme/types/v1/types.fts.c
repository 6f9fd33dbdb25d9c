/* Made by protoc-gen-fts from acme/types/v1/types.proto: do not edit. */
#include "acme/types/v1/types.fts.h"
