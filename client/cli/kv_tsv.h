/* Why this file exists: the form in which keys and values lie in a file: key, tab, value, a line each.
 *
 * As it is (default), bytes stand for themselves: a value may hold tabs, neither may hold a line feed. Escaped, \\ \t
 * \n \r and \0 are written so, and every key and value can be. Nothing is guessed: what is read is what was written in
 * the same form.
 *
 * Invariants: memory is constant: a line longer than any key and value is read past and refused. An empty line is no
 * record. A carriage return belongs to the value. */
#ifndef FTSI_KV_TSV_H
#define FTSI_KV_TSV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ftsi_tsv_line {
	uint64_t number;    /* from 1 */
	uint64_t end_bytes; /* of the file, behind it */
	uint8_t *key;       /* borrowed until the next line, as value */
	uint8_t *value;
	size_t key_size_bytes;
	size_t value_size_bytes;
	const char *reason; /* why it is no record; NULL: it is one. Borrowed until the next line. */
	const char *raw;    /* where it begins, for the account; borrowed until the next line */
	size_t raw_size_bytes;
};

struct ftsi_tsv;

/* in: borrowed until destroy. Returned (ftsi_tsv_destroy); NULL: no memory. */
struct ftsi_tsv *ftsi_tsv_create(FILE *in, bool escaped);
void ftsi_tsv_destroy(struct ftsi_tsv *tsv); /* NULL: no-op */

/* The next line that is not empty. False: the file has ended, or can't be read (ferror). */
bool ftsi_tsv_next(struct ftsi_tsv *tsv, struct ftsi_tsv_line *out_line);

/* Whether a record can be written in the form. key, value: borrowed. */
bool ftsi_tsv_fits(const uint8_t *key, size_t key_size_bytes, const uint8_t *value, size_t value_size_bytes,
		   bool escaped);
/* One line. out: borrowed. */
void ftsi_tsv_write(FILE *out, const uint8_t *key, size_t key_size_bytes, const uint8_t *value, size_t value_size_bytes,
		    bool escaped);

#endif
