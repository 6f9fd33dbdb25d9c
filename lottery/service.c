/* Why this file exists: see service.h. */
#include "lottery/service.h"

#include <fts/lottery/v1/lottery.fts.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/assert.h"
#include "lottery/key_file.h"
#include "lottery/service_internal.h"

enum { WINNERS_BYTES = 64 * 1024 * 1024 };

/* All that is remembered of the state is hints and winners by draw: hints begin anew, winners follow from what a draw
 * holds once it is drawn, which no state of this cluster changes, but an altered one may have. */
static void on_replaced(void *ctx, struct fts_txn *view)
{
	struct fts_lottery *lottery = ctx;
	(void)view;
	lottery->applied_version = 0;
	lottery->seen_version = UINT64_MAX;
	lottery->look_at_ms = 0;
	ftsi_winners_forget(lottery->winners);
	pthread_mutex_lock(&lottery->lock);
	lottery->warm_count = 0;
	lottery->written = false;
	pthread_mutex_unlock(&lottery->lock);
}

static void set_methods(struct fts_lottery *lottery)
{
	const struct fts_machine_method methods[] = {
	    {.apply = ftsi_lottery_apply_open, .prepare = ftsi_prepare_open},
	    {.apply = ftsi_lottery_apply_store_bet},
	    {.apply = ftsi_lottery_apply_store_batch},
	    {.apply = ftsi_lottery_apply_close},
	    {.read = ftsi_lottery_read_winners},
	    {.read = ftsi_lottery_read_status},
	    {.read = ftsi_lottery_read_list},
	    {.read = ftsi_lottery_read_export},
	};
	const struct fts_machine_method log_methods[] = {
	    {.apply = ftsi_lottery_apply_commit},
	    {.apply = ftsi_lottery_apply_reveal},
	    {.apply = ftsi_lottery_apply_expire},
	};
	_Static_assert(sizeof methods == sizeof lottery->methods, "one a method, in the service's order");
	_Static_assert(sizeof log_methods == sizeof lottery->log_methods, "one a method, in the service's order");
	FTS_ASSERT(fts_lottery_service.method_count == FTSI_METHOD_COUNT);
	FTS_ASSERT(fts_lottery_log_service.method_count == FTSI_LOG_METHOD_COUNT);
	memcpy(lottery->methods, methods, sizeof methods);
	memcpy(lottery->log_methods, log_methods, sizeof log_methods);
	lottery->machines[0] = (struct fts_machine){
	    .service = &fts_lottery_service, .methods = lottery->methods, .ctx = lottery,
	    .on_turn = ftsi_watch_turn,
	    .on_replaced = on_replaced};
	lottery->machines[1] = (struct fts_machine){
	    .service = &fts_lottery_log_service, .methods = lottery->log_methods, .internal = true, .ctx = lottery};
	lottery->machine_list[0] = &lottery->machines[0];
	lottery->machine_list[1] = &lottery->machines[1];
}

enum fts_status fts_lottery_create(const struct fts_lottery_options *options, struct fts_lottery **out_lottery,
				   struct fts_error *out_error)
{
	struct fts_lottery *lottery;
	size_t name_bytes = strlen(options->node);
	enum fts_status status;
	if (name_bytes < 1 || name_bytes > FTSI_NODE_NAME_MAX || !ftsi_text_is_plain(options->node))
		return fts_error_set(out_error, FTS_INVALID_ARGUMENT, "a node's name is 1 to %d bytes of UTF-8",
				     FTSI_NODE_NAME_MAX);
	if (sodium_init() < 0) return fts_error_set(out_error, FTS_INTERNAL, "libsodium can't be initialised");
	lottery = calloc(1, sizeof *lottery);
	if (lottery == NULL) return fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the lottery");
	pthread_mutex_init(&lottery->lock, NULL);
	pthread_cond_init(&lottery->wake, NULL);
	memcpy(lottery->node, options->node, name_bytes);
	lottery->seen_version = UINT64_MAX; /* look once, whatever is there */
	set_methods(lottery);
	status = ftsi_key_load(options->data, lottery->key, out_error);
	if (status == FTS_OK && (lottery->winners = ftsi_winners_create(WINNERS_BYTES)) == NULL)
		status = fts_error_set(out_error, FTS_RESOURCE_EXHAUSTED, "no memory for the lottery");
	if (status != FTS_OK) {
		fts_lottery_destroy(lottery);
		return status;
	}
	*out_lottery = lottery;
	return FTS_OK;
}

const struct fts_machine *const *fts_lottery_machines(const struct fts_lottery *lottery, size_t *out_count)
{
	*out_count = FTSI_MACHINE_COUNT;
	return lottery->machine_list;
}

void fts_lottery_attach(struct fts_lottery *lottery, struct fts_replica *replica)
{
	ftsi_warm_start(lottery, replica);
}

void fts_lottery_detach(struct fts_lottery *lottery)
{
	ftsi_warm_stop(lottery);
}

void fts_lottery_destroy(struct fts_lottery *lottery)
{
	if (lottery == NULL) return;
	FTS_ASSERT(!lottery->warming);
	ftsi_winners_destroy(lottery->winners);
	sodium_memzero(lottery->key, sizeof lottery->key);
	pthread_cond_destroy(&lottery->wake);
	pthread_mutex_destroy(&lottery->lock);
	free(lottery);
}
