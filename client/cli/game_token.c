/* Why this file exists: tokens of seats, from and to files; see game_token.h. */
#include "client/cli/game_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/session.h"

enum fts_status ftsi_game_token_take(const char *text, char *out_token, struct fts_error *out_error)
{
	uint8_t bytes[FTSI_TOKEN_MAX_BYTES + 2];
	size_t length = strlen(text);

	if (text[0] == '@') {
		enum fts_status st = ftsi_token_read(text + 1, bytes, &length, out_error);
		if (st != FTS_OK) return st;
		text = (const char *)bytes;
	}
	if (length == 0 || length >= FTSI_GAME_TOKEN_BYTES)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--token is a seat's token, or @FILE with it");
	memcpy(out_token, text, length);
	out_token[length] = '\0';
	return FTS_OK;
}

static enum fts_status refuse(const char *path, struct fts_error *out_error)
{
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "token file %s: %s", path, strerror(errno));
}

enum fts_status ftsi_game_token_check(const char *path, struct fts_error *out_error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) return refuse(path, out_error);
	close(fd);
	unlink(path);
	return FTS_OK;
}

enum fts_status ftsi_game_token_keep(const char *path, const char *token, struct fts_error *out_error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) return refuse(path, out_error);
	bool written = dprintf(fd, "%s\n", token) > 0 && fsync(fd) == 0;
	enum fts_status st = written ? FTS_OK : refuse(path, out_error);
	if (close(fd) != 0 && st == FTS_OK) st = refuse(path, out_error);
	return st;
}
