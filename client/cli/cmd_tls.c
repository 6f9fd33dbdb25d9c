/* Why this file exists: `tls init`, `tls node`, `tls client`: the certificates of a cluster, made without any other
 * program (credentials/certificate.h).
 *
 * | file of DIR                        | whose                                                        |
 * | nodes-ca.pem, nodes-ca.key         | authority of the nodes; the key belongs into a safe          |
 * | clients-ca.pem, clients-ca.key     | authority of the clients                                     |
 * | NAME.pem, NAME.key                 | of a node or a client                                        |
 *
 * Invariants: keys are 0600 from the moment they are there, DIR is 0700 when it is made here; a file is never
 * half written: it is made beside its place and renamed; an authority is never overwritten. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directory.h"
#include "base/secret_file.h"
#include "client/cli/output.h"
#include "credentials/certificate.h"

#define NODE_MAX 16
#define AUTHORITY_DAYS 3650
#define NODES_CA "nodes-ca"
#define CLIENTS_CA "clients-ca"
#define LIST_BYTES 4096

static const char *directory_of(const struct ftsi_cli *cli)
{
	return cli->args.positionals[0];
}

static void path_of(char out_path[PATH_MAX], const char *directory, const char *name, const char *ending)
{
	(void)snprintf(out_path, PATH_MAX, "%.3000s/%.200s%s", directory, name, ending);
}

/* ---- Files ---- */

static enum fts_status replace(const char *directory, const char *name, const char *ending, const char *text,
			       struct fts_error *out_error)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	path_of(path, directory, name, ending);
	path_of(fresh, directory, name, strcmp(ending, ".key") == 0 ? ".key.new" : ".pem.new");
	(void)unlink(fresh); /* of a run that was cut short */
	enum fts_status status = fts_secret_file_make(fresh, text, strlen(text), out_error);
	if (status != FTS_OK) return status;
	if (strcmp(ending, ".pem") == 0) (void)chmod(fresh, 0644); /* a certificate is no secret */
	if (rename(fresh, path) == 0 && fts_directory_sync_parent(path) == 0) return FTS_OK;
	status = fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s can't be written: %s", path, strerror(errno));
	(void)unlink(fresh);
	return status;
}

/* The key first: a node that looks at both takes a pair only once neither changes any more. */
static enum fts_status write_pair(const char *directory, const char *name, const struct fts_credential *credential,
				  struct fts_error *out_error)
{
	enum fts_status status = replace(directory, name, ".key", credential->key, out_error);
	return status == FTS_OK ? replace(directory, name, ".pem", credential->certificate, out_error) : status;
}

static enum fts_status read_text(const char *path, char out_text[FTS_PEM_MAX], struct fts_error *out_error)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s: %s; `fts-cli tls init` makes it", path,
				     strerror(errno));
	size_t size = fread(out_text, 1, FTS_PEM_MAX - 1, file);
	out_text[size] = '\0';
	fclose(file);
	return FTS_OK;
}

static enum fts_status read_authority(const char *directory, const char *name, struct fts_credential *out_authority,
				      struct fts_error *out_error)
{
	char path[PATH_MAX];
	size_t size = 0;
	path_of(path, directory, name, ".pem");
	enum fts_status status = read_text(path, out_authority->certificate, out_error);
	if (status != FTS_OK) return status;
	path_of(path, directory, name, ".key");
	status = fts_secret_file_read(path, "key", out_authority->key, sizeof out_authority->key - 2, &size, out_error);
	if (status != FTS_OK) return status;
	out_authority->key[size] = '\n'; /* which reading took off, and PEM wants */
	out_authority->key[size + 1] = '\0';
	return FTS_OK;
}

static bool is_there(const char *directory, const char *name)
{
	char path[PATH_MAX];
	path_of(path, directory, name, ".key");
	return access(path, F_OK) == 0;
}

/* ---- Making one ---- */

static enum fts_status make_authority(const char *directory, const char *name, struct fts_error *out_error)
{
	struct fts_credential authority;
	enum fts_status status = fts_authority_make(name, AUTHORITY_DAYS, &authority, out_error);
	if (status == FTS_OK) status = write_pair(directory, name, &authority, out_error);
	fts_credential_wipe(&authority);
	return status;
}

static enum fts_status make_pair(const char *directory, const struct fts_certificate_order *order,
				 struct fts_error *out_error)
{
	struct fts_credential authority, credential;
	const char *ca = order->use == FTS_CERTIFICATE_NODE ? NODES_CA : CLIENTS_CA;
	if (strcmp(order->name, NODES_CA) == 0 || strcmp(order->name, CLIENTS_CA) == 0)
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "%s is the name of an authority", order->name);
	enum fts_status status = read_authority(directory, ca, &authority, out_error);
	if (status == FTS_OK) status = fts_certificate_make(&authority, order, &credential, out_error);
	if (status == FTS_OK) status = write_pair(directory, order->name, &credential, out_error);
	fts_credential_wipe(&authority);
	fts_credential_wipe(&credential);
	return status;
}

/* Add a comma-separated list (changed: its commas become ends) to the hosts of order. */
static bool add_hosts(struct fts_certificate_order *order, char *list)
{
	for (char *host; (host = strsep(&list, ",")) != NULL;) {
		if (order->host_count == FTS_CERTIFICATE_HOST_MAX) return false;
		order->hosts[order->host_count++] = host;
	}
	return true;
}

/* A node also calls itself, by loopback when it listens everywhere. */
static struct fts_certificate_order node_order(const char *name, uint32_t days)
{
	return (struct fts_certificate_order){.use = FTS_CERTIFICATE_NODE,
					      .name = name,
					      .hosts = {"localhost", "127.0.0.1", "::1"},
					      .host_count = 3,
					      .days = days};
}

/* ---- tls init ---- */

struct node {
	char *name, *host; /* in the list it was taken from */
};

/* "n1=HOST[:PORT],...": the same list as ftsd's --cluster will do. Returns how many; 0: it can't be read. */
static size_t parse_nodes(char *list, struct node out_nodes[NODE_MAX])
{
	size_t count = 0;
	for (char *item; (item = strsep(&list, ",")) != NULL;) {
		char *equals = strchr(item, '='), *colon = strrchr(item, ':');
		if (equals == NULL || equals == item || equals[1] == '\0' || count == NODE_MAX) return 0;
		*equals = '\0';
		char *host = equals + 1;
		if (host[0] == '[' && strchr(host, ']') != NULL) { /* [V6]:PORT */
			*strchr(host, ']') = '\0';
			host++;
		} else if (colon != NULL && strchr(host, ':') == colon) {
			*colon = '\0';
		}
		out_nodes[count++] = (struct node){item, host};
	}
	return count;
}

static enum fts_status make_all(const char *directory, struct node *nodes, size_t count, const char *client,
				uint32_t days, struct fts_error *out_error)
{
	enum fts_status status = make_authority(directory, NODES_CA, out_error);
	if (status == FTS_OK) status = make_authority(directory, CLIENTS_CA, out_error);
	for (size_t i = 0; i < count && status == FTS_OK; i++) {
		struct fts_certificate_order order = node_order(nodes[i].name, days);
		order.hosts[order.host_count++] = nodes[i].host;
		status = make_pair(directory, &order, out_error);
	}
	struct fts_certificate_order order = {.use = FTS_CERTIFICATE_CLIENT, .name = client, .days = days};
	return status == FTS_OK ? make_pair(directory, &order, out_error) : status;
}

static void tell_init(const struct ftsi_cli *cli, const struct node *nodes, size_t count, const char *client)
{
	const char *directory = directory_of(cli);
	if (cli->json) {
		json_t *names = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(names, ftsi_json("s", nodes[i].name));
		ftsi_print_json(ftsi_json("{s:s,s:o,s:s}", "directory", directory, "nodes", names, "client", client));
		return;
	}
	printf("%s holds the authorities, a certificate and key for each of %zu nodes, and one for a client\n",
	       directory, count);
	printf("a node:   ftsd --tls-ca %s/" NODES_CA ".pem --tls-client-ca %s/" CLIENTS_CA
	       ".pem --tls-cert %s/%s.pem --tls-key %s/%s.key …\n",
	       directory, directory, directory, nodes[0].name, directory, nodes[0].name);
	printf("a client: fts-cli --tls-ca %s/" NODES_CA ".pem --tls-cert %s/%s.pem --tls-key %s/%s.key …\n", directory,
	       directory, client, directory, client);
	printf("give each machine its own pair and the two " NODES_CA ".pem and " CLIENTS_CA
	       ".pem; keep both authorities' .key away from all of them\n");
}

enum ftsi_exit ftsi_run_tls_init(struct ftsi_cli *cli)
{
	struct node nodes[NODE_MAX];
	struct fts_error error = {0};
	char list[LIST_BYTES];
	const char *directory = directory_of(cli), *given = ftsi_value_of(cli, "nodes")->text;
	const char *client = ftsi_value_of(cli, "client")->text;
	size_t count = 0;
	if (strlen(given) < sizeof list) {
		memcpy(list, given, strlen(given) + 1);
		count = parse_nodes(list, nodes);
	}
	if (count == 0)
		return ftsi_fail_usage(cli, "--nodes: NAME=HOST,… is expected, of at most %d nodes, not \"%.200s\"",
				       NODE_MAX, given);
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return ftsi_fail_usage(cli, "%s can't be made: %s", directory, strerror(errno));
	if (is_there(directory, NODES_CA) || is_there(directory, CLIENTS_CA))
		return ftsi_fail_usage(cli,
				       "%s has authorities already: `tls node` and `tls client` make more certificates "
				       "by them, another directory new ones",
				       directory);
	if (make_all(directory, nodes, count, client, (uint32_t)ftsi_value_of(cli, "days")->number, &error) != FTS_OK)
		return ftsi_fail_usage(cli, "%s", error.detail);
	tell_init(cli, nodes, count, client);
	return FTSI_EXIT_DONE;
}

/* ---- tls node, tls client ---- */

static enum ftsi_exit make_one(const struct ftsi_cli *cli, const struct fts_certificate_order *order)
{
	struct fts_error error = {0};
	const char *directory = directory_of(cli);
	if (make_pair(directory, order, &error) != FTS_OK) return ftsi_fail_usage(cli, "%s", error.detail);
	if (cli->json)
		ftsi_print_json(ftsi_json("{s:s,s:s,s:I}", "directory", directory, "name", order->name, "days",
					  (json_int_t)order->days));
	else
		printf("%s/%s.pem and %s.key are new and good for %u days\n", directory, order->name, order->name,
		       (unsigned)order->days);
	return FTSI_EXIT_DONE;
}

enum ftsi_exit ftsi_run_tls_node(struct ftsi_cli *cli)
{
	char list[LIST_BYTES];
	const char *hosts = ftsi_value_of(cli, "hosts")->text;
	struct fts_certificate_order order =
	    node_order(cli->args.positionals[1], (uint32_t)ftsi_value_of(cli, "days")->number);
	(void)snprintf(list, sizeof list, "%s", hosts);
	if (strlen(hosts) >= sizeof list || !add_hosts(&order, list))
		return ftsi_fail_usage(cli, "--hosts: at most %d names and addresses", FTS_CERTIFICATE_HOST_MAX - 3);
	return make_one(cli, &order);
}

enum ftsi_exit ftsi_run_tls_client(struct ftsi_cli *cli)
{
	const struct fts_certificate_order order = {.use = FTS_CERTIFICATE_CLIENT,
						    .name = cli->args.positionals[1],
						    .days = (uint32_t)ftsi_value_of(cli, "days")->number};
	return make_one(cli, &order);
}
