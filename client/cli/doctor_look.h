/* Why this file exists: what `doctor` finds out about one address before any call: does somebody listen there, and,
 * with TLS, what its certificate says. A call would only say that it failed.
 *
 * Thread: the main one. Foreign library: GnuTLS, which tells all faults of a certificate; mbedTLS below nng ends at the
 * first and does not say which. */
#ifndef FTSI_DOCTOR_LOOK_H
#define FTSI_DOCTOR_LOOK_H

#include <fts/rpc.h>

#include "rpc/endpoint.h"

enum ftsi_look {
	FTSI_LOOK_WELL,
	FTSI_LOOK_NAME,       /* the host's name can't be resolved */
	FTSI_LOOK_CLOSED,     /* refused: nobody listens */
	FTSI_LOOK_SILENT,     /* no answer in time: the host is down, or something in between drops it */
	FTSI_LOOK_EXPIRED,    /* the certificate's time is over, or has not come yet */
	FTSI_LOOK_OTHER_NAME, /* the certificate is of another name */
	FTSI_LOOK_FOREIGN,    /* ... of another authority */
	FTSI_LOOK_REFUSED,    /* TLS ends for another reason: detail says which */
};

#define FTSI_LOOK_DETAIL_BYTES 256

/* Look at endpoint (borrowed) for timeout_ms at most. tls: borrowed; without ca_file it ends with the connection.
 * out_detail: FTSI_LOOK_DETAIL_BYTES, for people; "" when well. */
enum ftsi_look ftsi_doctor_look(const struct ftsi_endpoint *endpoint, const struct fts_tls *tls, uint32_t timeout_ms,
				char *out_detail);

#endif
