/* Why this file exists: what is kept of imports: how far each is judged, and which row was stored with what content.
 * Rows are kept 256 to a value, so that a batch touches one or two of them. */
#include "lottery/state.h"
#include "lottery/state_keys.h"

static void import_key(struct fts_key *key, uint16_t table, uint32_t id, const struct ftsi_import *import)
{
	fts_key_begin(key, table);
	fts_key_u32(key, id);
	fts_key_u32(key, import->agency);
	fts_key_text(key, import->name.data, import->name.size_bytes);
}

enum fts_status ftsi_import_load(struct fts_txn *txn, uint32_t id, struct ftsi_import *import)
{
	struct fts_key key;
	struct fts_value value = {0};
	struct ftsi_reader reader;
	enum fts_status status;
	import_key(&key, FTSI_TABLE_IMPORT, id, import);
	import->judged_row = 0;
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	if (status != FTS_OK) return status == FTS_NOT_FOUND ? FTS_OK : status;
	reader = ftsi_reader_of(value.data, value.size_bytes);
	import->judged_row = ftsi_get_u64(&reader);
	fts_value_release(&value);
	return reader.failed ? FTS_DATA_LOSS : FTS_OK;
}

enum fts_status ftsi_import_save(struct fts_txn *txn, uint32_t id, const struct ftsi_import *import)
{
	struct fts_key key;
	uint8_t bytes[8];
	ftsi_put_u64(bytes, import->judged_row);
	import_key(&key, FTSI_TABLE_IMPORT, id, import);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){bytes, sizeof bytes});
}

static void page_key(struct fts_key *key, uint32_t id, const struct ftsi_import *import, uint64_t number)
{
	import_key(key, FTSI_TABLE_PAGE, id, import);
	fts_key_u64(key, number);
}

enum fts_status ftsi_page_load(struct fts_txn *txn, uint32_t id, const struct ftsi_import *import, uint64_t number,
			       struct ftsi_page *out_page)
{
	struct fts_key key;
	struct fts_value value = {0};
	bool readable;
	enum fts_status status;
	page_key(&key, id, import, number);
	out_page->number = number;
	out_page->changed = false;
	status = fts_txn_get(txn, fts_key_bytes(&key), &value);
	if (status == FTS_NOT_FOUND) {
		memset(out_page->prints, 0, sizeof out_page->prints);
		return FTS_OK;
	}
	if (status != FTS_OK) return status;
	readable = value.size_bytes == sizeof out_page->prints;
	if (readable) memcpy(out_page->prints, value.data, sizeof out_page->prints);
	fts_value_release(&value);
	return readable ? FTS_OK : FTS_DATA_LOSS;
}

enum fts_status ftsi_page_save(struct fts_txn *txn, uint32_t id, const struct ftsi_import *import,
			       const struct ftsi_page *page)
{
	struct fts_key key;
	page_key(&key, id, import, page->number);
	return fts_txn_put(txn, fts_key_bytes(&key), (struct fts_bytes){page->prints[0], sizeof page->prints});
}
