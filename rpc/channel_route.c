/* Why this file exists: which server a call goes to (channel_internal.h).
 *
 * A try asks first the server that the last answer pointed to, else the home of the method's route: for calls to the
 * leader the leader as far as known; for the others the server that answered last, so that a reader sticks to one.
 * Readers of replicas start at a random endpoint, so that clients spread; all others at the first in the list.
 * When that one is not connected and has failed before, any that is connected is asked, else one is dialed. A server
 * that has gone silent is asked when there is no other. */
#include "rpc/channel_internal.h"

#include "base/assert.h"

#include <string.h>

uint64_t ftsi_link_bit(uint32_t link)
{
	return UINT64_C(1) << link;
}

bool ftsi_link_is_trusted_up(const struct ftsi_link *link)
{
	return link->state == FTSI_LINK_UP && !link->probe.is_distrusted;
}

bool ftsi_link_can_be_dialed(const struct ftsi_link *link, uint64_t now_ns)
{
	if (link->state == FTSI_LINK_IDLE) return now_ns >= link->retry_at_ns;
	return link->state == FTSI_LINK_DIALING || link->state == FTSI_LINK_GREETING;
}

static uint32_t step(const struct fts_channel *channel, uint32_t link)
{
	FTS_ASSERT(channel->link_count > 0); /* from opening on */
	return (link + 1) % channel->link_count;
}

uint32_t ftsi_route_pick(struct fts_channel *channel, const struct ftsi_open_call *call, uint64_t now_ns)
{
	uint32_t first = call->target != FTSI_NO_LINK ? call->target : channel->homes[call->method->route];
	const struct ftsi_link *wished = channel->links[first];
	bool is_wish_fresh = call->target != FTSI_NO_LINK || wished->failure_count == 0;
	bool is_wish_good =
	    ftsi_link_is_trusted_up(wished) || (is_wish_fresh && ftsi_link_can_be_dialed(wished, now_ns));
	if (!(call->refused & ftsi_link_bit(first)) && is_wish_good) return first;

	uint32_t dialed = FTSI_NO_LINK, silent = FTSI_NO_LINK;
	for (uint32_t i = 0, at = first; i < channel->link_count; i++, at = step(channel, at)) {
		const struct ftsi_link *link = channel->links[at];
		if (call->refused & ftsi_link_bit(at)) continue;
		if (ftsi_link_is_trusted_up(link)) return at;
		if (link->state == FTSI_LINK_UP && silent == FTSI_NO_LINK) silent = at;
		if (ftsi_link_can_be_dialed(link, now_ns) && dialed == FTSI_NO_LINK) dialed = at;
	}
	return dialed != FTSI_NO_LINK ? dialed : silent;
}

uint32_t ftsi_route_next(const struct fts_channel *channel, uint32_t link)
{
	for (uint32_t at = step(channel, link); at != link; at = step(channel, at)) {
		if (ftsi_link_is_trusted_up(channel->links[at])) return at;
	}
	return step(channel, link);
}

bool ftsi_route_has_untried(const struct fts_channel *channel, const struct ftsi_open_call *call, uint64_t now_ns)
{
	uint64_t tried = call->asked | call->refused | ftsi_link_bit(call->link);
	for (uint32_t i = 0; i < channel->link_count; i++) {
		const struct ftsi_link *link = channel->links[i];
		if (tried & ftsi_link_bit(i)) continue;
		if (ftsi_link_is_trusted_up(link) || ftsi_link_can_be_dialed(link, now_ns)) return true;
	}
	return false;
}

uint32_t ftsi_route_learn(struct fts_channel *channel, const char *address)
{
	struct ftsi_endpoint endpoint;
	if (address[0] == '\0' || ftsi_endpoint_parse(address, strlen(address), &endpoint, NULL) != FTS_OK)
		return FTSI_NO_LINK;
	for (uint32_t i = 0; i < channel->link_count; i++) {
		if (strcmp(channel->links[i]->endpoint.text, endpoint.text) == 0) return i;
	}
	if (channel->stay_local && !ftsi_endpoint_is_loopback(&endpoint)) return FTSI_NO_LINK;
	return ftsi_link_create(channel, &endpoint, NULL) == FTS_OK ? channel->link_count - 1 : FTSI_NO_LINK;
}

void ftsi_route_leave(struct fts_channel *channel, uint32_t link)
{
	for (uint32_t route = 0; route < FTSI_ROUTE_COUNT; route++) {
		if (channel->homes[route] == link) channel->homes[route] = ftsi_route_next(channel, link);
	}
}
