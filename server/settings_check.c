/* Why this file exists: defaults, and the rules that hold between settings: what the cluster flag may say, where a node
 * may listen without TLS, which ports are taken. */
#include <string.h>

#include "server/settings_table.h"

#define NODE_PORT_COUNT 4 /* calls, events, health, peers */

static enum fts_status fill_defaults(struct ftsi_settings *settings, struct fts_error *out_error)
{
	for (size_t i = 0; i < ftsi_setting_count; i++) {
		const struct ftsi_setting *setting = &ftsi_setting_table[i];
		if (setting->fallback[0] == '\0' || ftsi_setting_is_set(settings, setting)) continue;
		enum fts_status status = ftsi_setting_put(settings, setting, "default", setting->fallback, out_error);
		if (status != FTS_OK) return status;
	}
	return FTS_OK;
}

/* --cluster n1=HOST:PORT says what --name and --listen say; saying both differently is an error. */
static enum fts_status apply_cluster(struct ftsi_settings *settings, struct fts_error *out_error)
{
	if (settings->cluster[0] == '\0') return FTS_OK;
	size_t size = strcspn(settings->cluster, "=");
	const char *address = settings->cluster + size + 1;
	if (settings->name[0] == '\0')
		snprintf(settings->name, sizeof(settings->name), "%.*s", (int)size, settings->cluster);
	if (settings->listen[0] == '\0') snprintf(settings->listen, sizeof(settings->listen), "%s", address);
	if (strlen(settings->name) != size || memcmp(settings->name, settings->cluster, size) != 0)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--cluster names %.*s and this node is %s: this release runs one node", (int)size,
				     settings->cluster, settings->name);
	if (strcmp(settings->listen, address) != 0)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--cluster puts %s at %s, --listen at %s",
				     settings->name, address, settings->listen);
	return FTS_OK;
}

static bool has_tls(const struct ftsi_settings *settings)
{
	return settings->tls_ca[0] != '\0';
}

static enum fts_status check_tls(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	int given = (settings->tls_ca[0] != '\0') + (settings->tls_cert[0] != '\0') + (settings->tls_key[0] != '\0');
	if (given == 0 || given == 3) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
			     "--tls-ca, --tls-cert and --tls-key go together: %s is missing",
			     settings->tls_ca[0] == '\0'     ? "--tls-ca"
			     : settings->tls_cert[0] == '\0' ? "--tls-cert"
							     : "--tls-key");
}

static enum fts_status check_listen(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	struct ftsi_endpoint listen;
	if (!ftsi_address_parse(settings->listen, &listen) || listen.port > UINT16_MAX - (NODE_PORT_COUNT - 1))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--listen: \"%s\": expected a port of at most %d, three more are used behind it",
				     settings->listen, UINT16_MAX - (NODE_PORT_COUNT - 1));
	if (ftsi_address_is_loopback(&listen) || has_tls(settings) || settings->insecure) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
			     "--listen: %s is not a loopback address: give --tls-ca, --tls-cert and --tls-key, or "
			     "--insecure to be open to everybody",
			     settings->listen);
}

static enum fts_status check_lottery_text(struct ftsi_settings *settings, struct fts_error *out_error)
{
	struct ftsi_endpoint text, listen;
	if (settings->lottery_text[0] == '\0' || strcmp(settings->lottery_text, FTSI_LOTTERY_TEXT_OFF) == 0)
		return FTS_OK;
	if (!ftsi_address_parse(settings->lottery_text, &text) || !ftsi_address_parse(settings->listen, &listen))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--lottery-text: expected HOST:PORT");
	if (text.port >= listen.port && text.port < listen.port + NODE_PORT_COUNT)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--lottery-text: port %u is one of the node's own (%u to %u)", text.port,
				     listen.port, listen.port + NODE_PORT_COUNT - 1u);
	if (ftsi_address_is_loopback(&text) || settings->insecure) return FTS_OK;
	return fts_error_set(
	    out_error, FTS_INVALID_ARGUMENT,
	    "--lottery-text: %s is not a loopback address and this protocol has no TLS: give --insecure "
	    "to be open to everybody",
	    settings->lottery_text);
}

enum fts_status ftsi_settings_complete(struct ftsi_settings *settings, struct fts_error *out_error)
{
	enum fts_status status = apply_cluster(settings, out_error);
	if (status == FTS_OK) status = fill_defaults(settings, out_error);
	if (status == FTS_OK) status = check_tls(settings, out_error);
	if (status == FTS_OK) status = check_listen(settings, out_error);
	if (status == FTS_OK) status = check_lottery_text(settings, out_error);
	return status;
}
