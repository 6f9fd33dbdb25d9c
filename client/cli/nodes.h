/* Why this file exists: the nodes of a cluster, printed the same way by `status` and `member`. */
#ifndef FTSI_NODES_H
#define FTSI_NODES_H

#include <jansson.h>

#include "fts/cluster/v1/cluster.pb-c.h"

/* A JSON array of them (borrowed). Returned (json_decref). */
json_t *ftsi_nodes_json(Fts__Cluster__V1__NodeStatus *const *nodes, size_t count);
/* A table on standard output. */
void ftsi_nodes_print(Fts__Cluster__V1__NodeStatus *const *nodes, size_t count);

#endif
