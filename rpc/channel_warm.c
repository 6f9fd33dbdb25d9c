/* Why this file exists: no dial stands on the way of a failover. While a channel has a connection it makes one to its
 * other servers too, so that what was open on a broken one moves at once (channel_internal.h).
 *
 * A channel that learns members asks one of its servers for them, at the same time and every 30 s (Cluster/Status).
 *
 * Bounded: 5 connections a channel; the first attempt 20 ms after a connection came up, so that a program that makes
 * one call makes one connection; a server that can't be reached is dialed again after 1 s, later 5 s. A channel that
 * has no connection at all dials for its calls only: nobody is knocked at while no server is up. */
#include "rpc/channel_internal.h"

#define NS_PER_MS UINT64_C(1000000)
#define WARM_LINKS_MAX 5u
#define WARM_DELAY_NS (20 * NS_PER_MS)
#define WARM_REDIAL_NS (1000 * NS_PER_MS)
#define WARM_REDIAL_COUNT_MAX 5u
#define MEMBERS_NS (30000 * NS_PER_MS)

static bool is_needed(const struct fts_channel *channel)
{
	return (channel->link_count > 1 || channel->members_at_ns != UINT64_MAX) && !channel->closing;
}

void ftsi_warm_want(struct fts_channel *channel, uint64_t now_ns)
{
	if (!is_needed(channel)) return;
	if (channel->warm_at_ns > now_ns + WARM_DELAY_NS) channel->warm_at_ns = now_ns + WARM_DELAY_NS;
	ftsi_timer_want(channel, channel->warm_at_ns);
}

static void warm_link(struct ftsi_link *link, uint64_t now_ns)
{
	if (now_ns < link->retry_at_ns || now_ns < link->warm_at_ns) return;
	uint32_t count = link->failure_count < WARM_REDIAL_COUNT_MAX ? link->failure_count : WARM_REDIAL_COUNT_MAX;
	link->warm_at_ns = now_ns + WARM_REDIAL_NS * (count > 0 ? count : 1);
	ftsi_link_dial(link, now_ns);
}

static void warm_links(struct fts_channel *channel, uint64_t now_ns)
{
	uint32_t busy_count = 0;
	for (uint32_t i = 0; i < channel->link_count; i++)
		busy_count += channel->links[i]->state != FTSI_LINK_IDLE;
	for (uint32_t i = 0; i < channel->link_count && busy_count < WARM_LINKS_MAX; i++) {
		if (channel->links[i]->state != FTSI_LINK_IDLE) continue;
		warm_link(channel->links[i], now_ns);
		busy_count += channel->links[i]->state != FTSI_LINK_IDLE;
		channel->warm_at_ns = now_ns + WARM_REDIAL_NS;
	}
}

static struct ftsi_link *find_up(struct fts_channel *channel)
{
	for (uint32_t i = 0; i < channel->link_count; i++) {
		if (ftsi_link_is_trusted_up(channel->links[i])) return channel->links[i];
	}
	return NULL;
}

void ftsi_warm_check(struct fts_channel *channel, uint64_t now_ns)
{
	if (now_ns < channel->warm_at_ns || !is_needed(channel)) return;
	channel->warm_at_ns = UINT64_MAX;
	struct ftsi_link *up = find_up(channel);
	if (up == NULL) return;
	warm_links(channel, now_ns);
	if (channel->members_at_ns == UINT64_MAX) return;
	bool is_asked = now_ns >= channel->members_at_ns;
	if (is_asked) channel->members_at_ns = now_ns + MEMBERS_NS;
	if (channel->members_at_ns < channel->warm_at_ns) channel->warm_at_ns = channel->members_at_ns;
	if (is_asked) ftsi_probe_ask_members(channel, up);
}
