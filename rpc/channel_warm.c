/* Why this file exists: no dial stands on the way of a failover. While a channel has a connection it makes one to its
 * other servers too, so that what was open on a broken one moves at once (channel_internal.h).
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

void ftsi_warm_want(struct fts_channel *channel, uint64_t now_ns)
{
	if (channel->link_count < 2 || channel->closing) return;
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

void ftsi_warm_check(struct fts_channel *channel, uint64_t now_ns)
{
	uint32_t up_count = 0, busy_count = 0;
	if (now_ns < channel->warm_at_ns || channel->closing) return;
	channel->warm_at_ns = UINT64_MAX;
	for (uint32_t i = 0; i < channel->link_count; i++) {
		up_count += channel->links[i]->state == FTSI_LINK_UP;
		busy_count += channel->links[i]->state != FTSI_LINK_IDLE;
	}
	if (up_count == 0) return;
	for (uint32_t i = 0; i < channel->link_count && busy_count < WARM_LINKS_MAX; i++) {
		if (channel->links[i]->state != FTSI_LINK_IDLE) continue;
		warm_link(channel->links[i], now_ns);
		busy_count += channel->links[i]->state != FTSI_LINK_IDLE;
		channel->warm_at_ns = now_ns + WARM_REDIAL_NS;
	}
}
