/* Why this file exists: messages of a later version than any node's, sent by hand to a port of a node. */
#ifndef FTS_TESTS_UPGRADE_STRANGERS_H
#define FTS_TESTS_UPGRADE_STRANGERS_H

#include <stddef.h>
#include <stdint.h>

/* Say Hello to the node whose calls are at port, as a node of another cluster that writes `format`. */
void stranger_says_hello(uint16_t port, uint32_t format);
/* Call the node at port in a frame of version `frame`; out_answer (size_bytes): the bytes of its answer, printable ones
 * as they are, others as dots. */
void stranger_calls(uint16_t port, uint32_t frame, char *out_answer, size_t size_bytes);

#endif
