#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "model/device.h"
#include "model/ledger_records.h"
#include "rec/query.h"
#include "state/state.h"

/* The ledger: immutable entries whose fold is the state of certificates. Adding goes to the transaction's overlay and
 * becomes real with state_commit; reading goes through the cache, which is brought up to the tip first, and sees the
 * transaction's own entries too. */

/* --- adding --- */
int ledger_add_cert(struct state *, const struct certrec *, struct bytes pem, struct err *) NODISCARD;
int ledger_add_revocation(struct state *, const struct revocation *, struct err *) NODISCARD;
int ledger_add_crl(struct state *, const struct crlrec *, struct bytes der_or_empty, struct err *) NODISCARD;
int ledger_add_meta(struct state *, const struct metachange *, struct err *) NODISCARD;

/* --- reading certificates; the record's status fields are folded as of `now` of the state's env --- */

/* By serial (any case, ':' '-' spaces; 8 digits or more may abbreviate), or SHA-256 fingerprint. `ca` narrows, may be
 * NULL. ERR_NOT_FOUND; ERR_USAGE naming --ca when several match. */
int ledger_cert(struct state *, const char *ca, const char *ref, struct certrec *ret, struct err *) NODISCARD;
int ledger_cert_pem(struct state *, const struct certrec *, struct bytes *ret, struct err *) NODISCARD;
int ledger_certs(struct state *, const struct query *, struct certrec **ret, size_t *ret_n, char **ret_next,
		 struct err *) NODISCARD;
/* The same one at a time, so that a million needs no memory; the record lives until cb returns, and cb may do
 * anything. */
int ledger_each_cert(struct state *, const struct query *, int (*cb)(void *arg, const struct certrec *, struct err *),
		     void *arg, struct err *) NODISCARD;
/* The newest certificate that `ca` issued for a request with this SHA-256 (resumed batches, retried EST); `batch` tells
 * which operation it was. */
int ledger_cert_by_request(struct state *, const char *ca, const char *request_sha256, bool *ret_found,
			   struct certrec *ret, struct err *) NODISCARD;

/* Everything that a CRL of `ca` must know, in order of serial; streamed, so a million rows need no memory. For a delta
 * only what has changed since its base comes: by commit and not by the clock, because what another clone recorded
 * before the base may arrive after it; and what was recorded ahead and has taken effect since. */
struct revoked_span {
	int64_t as_of;            /* thisUpdate: what takes effect later is left out */
	int64_t expired_before;   /* certificates that ended before it are left out */
	const char *since_commit; /* the ledger commit of a delta's base; NULL: everything */
	int64_t since;            /* thisUpdate of the base */
};
struct revoked_row {
	unsigned char serial[20];
	size_t serial_n;
	int64_t time;      /* revocationDate */
	int64_t invalidity; /* 0: none */
	int reason;        /* RFC 5280 5.3.1 code; CRL_REASON_HOLD while held */
	int partition;     /* -1: none */
	bool removed;      /* released from hold since then (delta CRLs: removeFromCRL) */
};
int ledger_each_revoked(struct state *, const char *ca, const struct revoked_span *,
			int (*cb)(void *arg, const struct revoked_row *, struct err *), void *arg,
			struct err *) NODISCARD;

/* One view for many questions in a row, which costs each of them less; nothing may be added or committed in between. */
int ledger_read_begin(struct state *, struct err *) NODISCARD;
void ledger_read_end(struct state *);

/* --- devices --- */
/* An absent time is now, an absent actor the operator, and seq 0 is looked up; who adds many that he has looked up
 * gives it. */
int ledger_add_device(struct state *, const struct device_entry *, struct err *) NODISCARD;
int ledger_device_seq(struct state *, const char *id, int64_t *ret, struct err *) NODISCARD; /* of the next entry */
/* With its versions; ERR_NOT_FOUND. The status is that of now, by the deltas of its device manager. */
int ledger_device(struct state *, const char *id, struct device *ret, struct err *) NODISCARD;
/* without versions */
int ledger_find_device(struct state *, const char *id, bool *ret_found, struct device *ret, struct err *) NODISCARD;
int ledger_devices(struct state *, const struct query *, struct device **ret, size_t *ret_n, char **ret_next,
		   struct err *) NODISCARD;
int ledger_each_device(struct state *, const struct query *, int (*cb)(void *arg, const struct device *, struct err *),
		       void *arg, struct err *) NODISCARD;
/* How many devices that pass the filters have each status. */
int ledger_device_counts(struct state *, const struct query *, int64_t ret[DEVICE_STATUSES], struct err *) NODISCARD;
/* Bootstrap certificates (bind is BOOTSTRAP): all, and those of them that are revoked. */
int ledger_bootstrap_count(struct state *, int64_t *ret_all, int64_t *ret_revoked, struct err *) NODISCARD;
/* Bootstrap certificates of single use that several enrolments revoked, and when: one row for each second, in order. */
struct use {
	char *serial_number, *ca;
	int64_t time;
};
int ledger_reused(struct state *, struct use **ret, size_t *ret_n, struct err *) NODISCARD;
/* The versions of its identity, oldest first. */
int ledger_device_certs(struct state *, const struct device *, struct certrec **ret, size_t *ret_n,
			struct err *) NODISCARD;
/* All that ever happened under this id, in the order of time. */
int ledger_device_events(struct state *, const char *id, struct device_event **ret, size_t *ret_n,
			 struct err *) NODISCARD;

/* --- CRL records --- */
/* The newest record of a scope ("full", "delta", "full/3"); *ret_found false when none. */
int ledger_last_crl(struct state *, const char *ca, const char *scope, bool *ret_found, struct crlrec *ret,
		    struct err *) NODISCARD;
int ledger_crls(struct state *, const char *ca, struct crlrec **ret, size_t *ret_n, struct err *) NODISCARD;
/* ERR_NOT_FOUND: digest only */
int ledger_crl_der(struct state *, const struct crlrec *, struct bytes *ret, struct err *) NODISCARD;

/* --- events --- */
/* an absent actor is the operator */
int ledger_add_event(struct state *, const struct eventrec *, struct err *) NODISCARD;
/* Is there one of this type, subject, time and reason? */
int ledger_has_event(struct state *, const struct eventrec *, bool *ret, struct err *) NODISCARD;
struct refusal_count {
	char *reason;
	int64_t n;
};
/* By reason, of a device manager or of all (NULL). */
int ledger_refusals(struct state *, const char *dms, struct refusal_count **ret, size_t *ret_n, struct err *) NODISCARD;

/* --- numbers --- */
struct cert_count {
	char *ca, *profile;
	int status; /* enum cert_status */
	int64_t n;
};
int ledger_count(struct state *, struct cert_count **ret, size_t *ret_n, struct err *) NODISCARD;
/* Expiry histogram: how many live certificates of `ca` (NULL: all) end in each of n consecutive periods from `from`. */
int ledger_expiry(struct state *, const char *ca, int64_t from, int64_t step, size_t n, int64_t *ret_counts,
		  struct err *) NODISCARD;
/* Entries that cannot be read and serial numbers that one authority used twice, for `repo verify`. */
struct bad_entry {
	char *path, *why;
};
int ledger_bad(struct state *, struct bad_entry **ret, size_t *ret_n, struct err *) NODISCARD;
/* Compares the cache with a fresh fold; ERR_CHECK names the first difference. */
int ledger_check(struct state *, struct err *) NODISCARD;
/* Rebuilds the cache (`repo reindex`); progress may be NULL. */
int ledger_reindex(struct state *, void (*progress)(void *, uint64_t done), void *arg, struct err *) NODISCARD;
const char *ledger_tip(struct state *); /* hex id of the ledger commit that this transaction started from */
bool ledger_contains(struct state *, const char *commit_hex); /* is it the tip or an ancestor of it */
bool ledger_had(struct state *, const char *commit_hex, const char *path); /* was the entry there at that commit */
