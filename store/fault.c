/* Why this file exists: see store/fault.h. */
#include "store/fault.h"

static ftsi_store_fault_fn current_fault;
static void *current_ctx;
static bool current_still;

void ftsi_store_fault_set(ftsi_store_fault_fn fault, void *ctx)
{
	current_fault = fault;
	current_ctx = ctx;
}

enum fts_status ftsi_store_fault(enum ftsi_store_access access)
{
	return current_fault == NULL ? FTS_OK : current_fault(current_ctx, access);
}

void ftsi_store_still_set(bool still)
{
	current_still = still;
}

bool ftsi_store_is_still(void)
{
	return current_still;
}
