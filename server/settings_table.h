/* Why this file exists: the table of settings, shared by the files that read and write them in different forms. */
#ifndef FTS_SERVER_SETTINGS_TABLE_H
#define FTS_SERVER_SETTINGS_TABLE_H

#include "server/settings.h"

enum ftsi_setting_kind {
	FTSI_SETTING_NAME,
	FTSI_SETTING_PATH,
	FTSI_SETTING_ADDRESS,
	FTSI_SETTING_ADDRESS_OR_OFF,
	FTSI_SETTING_CLUSTER,
	FTSI_SETTING_LEVEL,
	FTSI_SETTING_HASH,   /* 64 hexadecimal digits */
	FTSI_SETTING_COUNT,  /* uint32_t */
	FTSI_SETTING_SWITCH, /* bool; takes no value */
	FTSI_SETTING_LATER,  /* known, not offered by this release, not in --help */
};

/* One setting. All pointers are static. */
struct ftsi_setting {
	const char *flag;  /* "lottery-text": --lottery-text */
	const char *field; /* of fts.config.v1.Config */
	enum ftsi_setting_kind kind;
	size_t offset; /* in struct ftsi_settings */
	size_t size_bytes;
	bool remembered;      /* DIR keeps it for later starts */
	const char *fallback; /* default; "" : none */
	const char *value;    /* as --help writes it */
	const char *help;
};

extern const struct ftsi_setting ftsi_setting_table[];
extern const size_t ftsi_setting_count;

bool ftsi_setting_is_set(const struct ftsi_settings *settings, const struct ftsi_setting *setting);
/* Check value and store it. where (borrowed): how the error calls the place, as "--listen".
 * Errors: INVALID_ARGUMENT, UNIMPLEMENTED (FTSI_SETTING_LATER). value: borrowed. */
FTS_MUST_USE enum fts_status ftsi_setting_put(struct ftsi_settings *settings, const struct ftsi_setting *setting,
					      const char *where, const char *value, struct fts_error *out_error);

#endif
