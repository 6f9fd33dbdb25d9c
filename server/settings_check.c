/* Why this file exists: defaults, and the rules that hold between settings: what the cluster flag may say, where a node
 * may listen without TLS, which ports are taken. */
#include <string.h>

#include "http/door.h"
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

/* Among several a node has to know which one it is. */
static enum fts_status find_self(struct ftsi_settings *settings, const struct ftsi_cluster_list *list, size_t *out_self,
				 struct fts_error *out_error)
{
	if (settings->name[0] == '\0' && list->count > 1)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--cluster names %zu nodes: say with --name which one this is", list->count);
	if (settings->name[0] == '\0') snprintf(settings->name, sizeof(settings->name), "%s", list->members[0].name);
	for (*out_self = 0; *out_self < list->count; (*out_self)++)
		if (strcmp(list->members[*out_self].name, settings->name) == 0) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--cluster does not name this node, %s", settings->name);
}

/* --listen may be "everywhere" where --cluster says what others call; otherwise both say the same. */
static bool listens_there(const char *listen, const char *address)
{
	struct ftsi_endpoint a, b;
	if (strcmp(listen, address) == 0) return true;
	return ftsi_address_parse(listen, &a) && ftsi_address_parse(address, &b) && ftsi_address_is_wildcard(&a) &&
	       a.port == b.port;
}

/* --cluster says what --name and --listen say; saying both differently is an error. */
static enum fts_status apply_cluster(struct ftsi_settings *settings, struct fts_error *out_error)
{
	struct ftsi_cluster_list list;
	size_t self = 0;
	if (settings->cluster[0] == '\0') return FTS_OK;
	if (settings->join[0] != '\0')
		return fts_error_set(
		    out_error, FTS_INVALID_ARGUMENT,
		    "--cluster founds a new cluster and --join enters a running one: give one of them");
	if (ftsi_cluster_list_parse(settings->cluster, &list) != NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--cluster: expected NAME=HOST:PORT,…");
	enum fts_status status = find_self(settings, &list, &self, out_error);
	if (status != FTS_OK) return status;
	const char *address = list.members[self].address;
	if (settings->listen[0] == '\0') snprintf(settings->listen, sizeof(settings->listen), "%s", address);
	if (!listens_there(settings->listen, address))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--cluster puts %s at %s, --listen at %s",
				     settings->name, address, settings->listen);
	snprintf(settings->address, sizeof(settings->address), "%s", address);
	return FTS_OK;
}

/* What others call this node by, when no list says so. */
static enum fts_status apply_address(struct ftsi_settings *settings, struct fts_error *out_error)
{
	struct ftsi_endpoint listen;
	if (settings->address[0] != '\0') return FTS_OK;
	snprintf(settings->address, sizeof(settings->address), "%s", settings->listen);
	if (settings->join[0] == '\0' || !ftsi_address_parse(settings->listen, &listen) ||
	    !ftsi_address_is_wildcard(&listen))
		return FTS_OK;
	return fts_error_set(
	    out_error, FTS_INVALID_ARGUMENT,
	    "--listen: %s is nothing that other members could call: with --join give this node's address",
	    settings->listen);
}

static enum fts_status check_election(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	if (settings->election_ms >= FTSI_ELECTION_MS_MIN) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--election-ms: \"%u\": expected %d to %d",
			     settings->election_ms, FTSI_ELECTION_MS_MIN, FTSI_COUNT_MAX);
}

/* Scripts without an election would never run. */
static enum fts_status check_elect(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	bool given = settings->on_master[0] != '\0' || settings->on_standby[0] != '\0' ||
		     settings->elect_rule[0] != '\0' || settings->elect_priority != 0 ||
		     settings->elect_lease_ms != 0 || settings->elect_sleep_ms != 0 ||
		     settings->elect_min_members != 0 || settings->elect_once || settings->elect_shell ||
		     settings->elect_token_file[0] != '\0';
	if (settings->elect[0] == '\0' && given)
		return fts_error_set(
		    out_error, FTS_INVALID_ARGUMENT,
		    "--on-master, --on-standby and --elect-…: in which election? Say it with --elect NAME");
	if (settings->elect_lease_ms != 0 && settings->elect_lease_ms < FTSI_ELECT_LEASE_MS_MIN)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--elect-lease-ms: \"%u\": expected %d to %d",
				     settings->elect_lease_ms, FTSI_ELECT_LEASE_MS_MIN, FTSI_COUNT_MAX);
	return FTS_OK;
}

static const char *path_or_null(const char *path)
{
	return path[0] != '\0' ? path : NULL;
}

struct fts_tls ftsi_settings_tls(const struct ftsi_settings *settings)
{
	return (struct fts_tls){.ca_file = path_or_null(settings->tls_ca),
				.cert_file = path_or_null(settings->tls_cert),
				.key_file = path_or_null(settings->tls_key),
				.client_ca_file = path_or_null(settings->tls_client_ca)};
}

static bool has_tls(const struct ftsi_settings *settings)
{
	return settings->tls_ca[0] != '\0';
}

static enum fts_status check_tls(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	int given = (settings->tls_ca[0] != '\0') + (settings->tls_cert[0] != '\0') + (settings->tls_key[0] != '\0');
	if (given == 0 && settings->tls_client_ca[0] != '\0')
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--tls-client-ca goes with --tls-ca, --tls-cert and --tls-key");
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
	if (ftsi_endpoint_is_loopback(&listen) || has_tls(settings) || settings->insecure) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
			     "--listen: %s is not a loopback address: give --tls-ca, --tls-cert and --tls-key, or "
			     "--insecure to be open to everybody",
			     settings->listen);
}

/* A port that nobody else of this node has, and nobody far away without TLS. */
static enum fts_status check_http(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	struct ftsi_endpoint http, listen, text;
	if (settings->http[0] == '\0' || strcmp(settings->http, FTSI_ADDRESS_OFF) == 0) return FTS_OK;
	if (!ftsi_address_parse(settings->http, &http) || !ftsi_address_parse(settings->listen, &listen))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--http: expected HOST:PORT");
	if (http.port >= listen.port && http.port < listen.port + NODE_PORT_COUNT)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--http: port %u is one of the node's own (%u to %u)", http.port, listen.port,
				     listen.port + NODE_PORT_COUNT - 1u);
	if (ftsi_address_parse(settings->lottery_text, &text) && text.port == http.port)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--http: port %u is --lottery-text's", http.port);
	if (settings->http_origins[0] != '\0' && !fts_door_origins_valid(settings->http_origins))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
				     "--http-origins: \"%.100s\": expected * or SCHEME://HOST[:PORT],…",
				     settings->http_origins);
	if (ftsi_endpoint_is_loopback(&http) || has_tls(settings) || settings->insecure) return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT,
			     "--http: %s is not a loopback address: give --tls-ca, --tls-cert and --tls-key, or "
			     "--insecure to be open to everybody",
			     settings->http);
}

static bool may_call(const struct ftsi_settings *settings, const char *address)
{
	struct ftsi_endpoint endpoint;
	return has_tls(settings) || settings->insecure ||
	       (ftsi_address_parse(address, &endpoint) && ftsi_endpoint_is_loopback(&endpoint));
}

/* What a node says to others off loopback is as open as what it hears from there. */
static enum fts_status check_others(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	static const char advice[] = "is not a loopback address: give --tls-ca, --tls-cert and --tls-key, or "
				     "--insecure to talk to it in the open";
	struct ftsi_cluster_list list = {.count = 0};
	if (settings->join[0] != '\0' && !may_call(settings, settings->join))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--join: %s %s", settings->join, advice);
	if (settings->cluster[0] != '\0') (void)ftsi_cluster_list_parse(settings->cluster, &list);
	for (size_t i = 0; i < list.count; i++)
		if (!may_call(settings, list.members[i].address))
			return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--cluster: %s %s",
					     list.members[i].address, advice);
	return FTS_OK;
}

static enum fts_status check_join_token(const struct ftsi_settings *settings, struct fts_error *out_error)
{
	if (settings->join_token_file[0] == '\0' || settings->join[0] != '\0') return FTS_OK;
	return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "--join-token-file goes with --join");
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
	if (ftsi_endpoint_is_loopback(&text) || settings->insecure) return FTS_OK;
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
	if (status == FTS_OK) status = apply_address(settings, out_error);
	if (status == FTS_OK) status = check_election(settings, out_error);
	if (status == FTS_OK) status = check_elect(settings, out_error);
	if (status == FTS_OK) status = check_tls(settings, out_error);
	if (status == FTS_OK) status = check_listen(settings, out_error);
	if (status == FTS_OK) status = check_http(settings, out_error);
	if (status == FTS_OK) status = check_others(settings, out_error);
	if (status == FTS_OK) status = check_join_token(settings, out_error);
	if (status == FTS_OK) status = check_lottery_text(settings, out_error);
	return status;
}
