/* Why this file exists: see tests/harness/lab.h. */
#include "tests/harness/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 24
#define TOOL_MS 20000

/* ---- Tools ---- */

/* Run a command line (words apart by one space) on host. */
static void tool(const struct harness_host *host, const char *format, ...)
{
	static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	char line[256], *err;
	const char *argv[ARGUMENTS_MAX + 1] = {"/usr/bin/env"};
	size_t count = 1;
	struct harness_place place = {host->network_fd, environment};
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	assert_true(length > 0 && (size_t)length < sizeof(line));
	char *words = strdup(line), *rest = words;
	for (char *word; (word = strsep(&rest, " ")) != NULL && count < ARGUMENTS_MAX;)
		argv[count++] = word;
	int code = harness_run_in(argv, &place, TOOL_MS, NULL, &err);
	if (code != 0) fail_msg("%s: exit %d: %s", line, code, err);
	free(err);
	free(words);
}

/* ---- Namespaces ---- */

static int own_network(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0) fail_msg("/proc/self/ns/net: %s", strerror(errno));
	return fd;
}

/* A new namespace, in which the process is now. Its descriptor: returned. */
static int new_network(void)
{
	if (unshare(CLONE_NEWNET) != 0) fail_msg("can't make a network namespace: %s", strerror(errno));
	return own_network();
}

static void move_to(int network_fd)
{
	if (setns(network_fd, CLONE_NEWNET) != 0) fail_msg("setns: %s", strerror(errno));
}

bool harness_lab_allowed(void)
{
	const char *without = getenv("FTS_TEST_NO_NETNS");
	if (without != NULL && strcmp(without, "1") == 0) {
		print_error("FTS_TEST_NO_NETNS=1: no hosts of their own in this run; partitions are NOT tested\n");
		return false;
	}
	int tap_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), before_fd = own_network();
	int problem = tap_fd < 0 ? errno : unshare(CLONE_NEWNET) != 0 ? errno : 0;
	if (problem == 0) move_to(before_fd);
	if (tap_fd >= 0) close(tap_fd);
	close(before_fd);
	if (problem != 0)
		fail_msg("these tests need network namespaces and /dev/net/tun (%s): run them as root, or set "
			 "FTS_TEST_NO_NETNS=1 to go without partitions",
			 strerror(problem));
	return true;
}

/* ---- Lines ---- */

/* A tap device named eth0 in the namespace where the process is. */
static int make_tap(void)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "eth0");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) fail_msg("can't make a tap device: %s", strerror(errno));
	return fd;
}

static void plug_into_bridge(const struct harness_host *test, const struct harness_host *host, size_t place)
{
	tool(test, "ip link add port%zu type veth peer name eth0 netns /proc/%d/fd/%d", place, (int)getpid(),
	     host->network_fd);
	tool(test, "ip link set port%zu master eth0 up", place);
}

static void set_address(const struct harness_host *host)
{
	tool(host, "ip link set lo up");
	tool(host, "ip address add %s/24 dev eth0", host->address);
	tool(host, "ip link set eth0 txqueuelen 10000 up"); /* a tap loses what its reader is late for */
}

static void host_init(struct harness_host *host, unsigned last_byte, bool tap)
{
	*host = (struct harness_host){.tap_fd = -1, .network_fd = new_network()};
	snprintf(host->address, sizeof(host->address), "10.77.0.%u", last_byte);
	if (tap) host->tap_fd = make_tap();
}

static void start_switch(struct harness_lab *lab, uint64_t seed)
{
	int fds[HARNESS_SWITCH_PORT_MAX];
	for (size_t i = 0; i < lab->host_count; i++)
		fds[i] = lab->hosts[i].tap_fd;
	fds[lab->host_count] = lab->hosts[HARNESS_LAB_TEST].tap_fd;
	lab->ether = harness_switch_create(fds, lab->host_count + 1, seed);
}

void harness_lab_init(struct harness_lab *lab, size_t host_count, enum harness_lab_line line, uint64_t seed)
{
	struct harness_host *test = &lab->hosts[HARNESS_LAB_TEST];
	bool taps = line == HARNESS_LAB_SWITCH;
	*lab = (struct harness_lab){.host_count = host_count};
	assert_true(host_count <= HARNESS_MEMBER_MAX);
	for (size_t i = 0; i < host_count; i++)
		host_init(&lab->hosts[i], 11 + (unsigned)i, taps);
	host_init(test, 1, taps); /* last: here the test stays */
	if (!taps) tool(test, "ip link add eth0 type bridge");
	for (size_t i = 0; i < host_count && !taps; i++)
		plug_into_bridge(test, &lab->hosts[i], i);
	set_address(test);
	for (size_t i = 0; i < host_count; i++)
		set_address(&lab->hosts[i]);
	if (taps) start_switch(lab, seed);
}

void harness_lab_settle(struct harness_lab *lab, struct harness_cluster *cluster)
{
	for (size_t i = 0; i < cluster->count && i < lab->host_count; i++) {
		size_t flag = 0;
		cluster->members[i].network_fd = lab->hosts[i].network_fd;
		while (cluster->members[i].flags[flag] != NULL)
			flag++;
		cluster->members[i].flags[flag] = "--insecure"; /* it listens on more than loopback, without TLS */
		harness_cluster_place(cluster, i, lab->hosts[i].address, HARNESS_LAB_PORT);
	}
}

/* ---- Partitions ---- */

static void make_filters(struct harness_host *host)
{
	if (host->filters) return;
	tool(host, "nft add table ip fts");
	tool(host, "nft add chain ip fts arriving { type filter hook input priority 0 ; policy accept ; }");
	host->filters = true;
}

void harness_lab_cut(struct harness_lab *lab, size_t from, size_t to)
{
	make_filters(&lab->hosts[to]);
	tool(&lab->hosts[to], "nft add rule ip fts arriving ip saddr %s drop", lab->hosts[from].address);
}

void harness_lab_isolate(struct harness_lab *lab, size_t host, bool with_test)
{
	for (size_t i = 0; i <= HARNESS_LAB_TEST; i++) {
		bool is_other = i != host && (i < lab->host_count || (i == HARNESS_LAB_TEST && with_test));
		if (!is_other) continue;
		harness_lab_cut(lab, i, host);
		harness_lab_cut(lab, host, i);
	}
}

void harness_lab_heal(struct harness_lab *lab)
{
	for (size_t i = 0; i <= HARNESS_LAB_TEST; i++)
		if (lab->hosts[i].filters) tool(&lab->hosts[i], "nft flush chain ip fts arriving");
}

size_t harness_lab_port(const struct harness_lab *lab, size_t host)
{
	return host == HARNESS_LAB_TEST ? lab->host_count : host;
}

int harness_lab_socket(struct harness_lab *lab, size_t host, int kind)
{
	move_to(lab->hosts[host].network_fd);
	int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
	move_to(lab->hosts[HARNESS_LAB_TEST].network_fd);
	if (fd < 0) fail_msg("socket: %s", strerror(errno));
	return fd;
}

void harness_lab_fini(struct harness_lab *lab)
{
	harness_switch_destroy(lab->ether);
	lab->ether = NULL;
	for (size_t i = 0; i <= HARNESS_LAB_TEST; i++) {
		struct harness_host *host = &lab->hosts[i];
		if (host->network_fd <= 0) continue;
		if (host->tap_fd >= 0) close(host->tap_fd);
		close(host->network_fd); /* the namespace ends with its last process */
		host->network_fd = 0;
	}
}
