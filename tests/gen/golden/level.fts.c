/* Made by protoc-gen-fts from level.proto: do not edit. */
#include "level.fts.h"

const char *acme_level_name(enum acme_level value)
{
	switch (value) {
	case ACME_LEVEL_UNKNOWN:
		return "UNKNOWN";
	case ACME_LEVEL_QUIET:
		return "QUIET";
	case ACME_LEVEL_LOUD:
		return "LOUD";
	}
	return "UNKNOWN";
}

enum acme_level acme_level_from_wire(int32_t number)
{
	switch (number) {
	case ACME_LEVEL_UNKNOWN:
	case ACME_LEVEL_QUIET:
	case ACME_LEVEL_LOUD:
		return (enum acme_level)number;
	default:
		return ACME_LEVEL_UNKNOWN;
	}
}

const char *acme_colour_name(enum acme_colour value)
{
	switch (value) {
	case UNKNOWN:
		return "UNKNOWN";
	case BLUE:
		return "BLUE";
	case GREY:
		return "GREY";
	}
	return "UNKNOWN";
}

enum acme_colour acme_colour_from_wire(int32_t number)
{
	switch (number) {
	case UNKNOWN:
	case BLUE:
	case GREY:
		return (enum acme_colour)number;
	default:
		return UNKNOWN;
	}
}
