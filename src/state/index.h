#pragma once
#include "model/device.h"
#include "model/ledger_records.h"
#include "rec/query.h"
#include "state/ledger.h"
#include "state/store.h"

/* The cache: SQLite at .git/lamassu/index.db, a fold of the ledger, stamped with its commit. Never the truth: missing,
 * damaged or behind, it is rebuilt or caught up by comparing trees. Only index*.c use SQLite. */
struct index;

/* Read-only media, or a cache that cannot be written: a private one of this process, which index_sync fills. */
int index_open(struct arena *, const char *path, struct index **ret, struct err *) NODISCARD;
void index_close(struct index *); /* NULL is allowed */
/* Brings the cache to `commit`, or leaves it when it is further on; progress may be NULL. Needs no lock of ours: it is
 * one transaction of SQLite, which looks at the stamp again once it may write. */
int index_sync(struct index *, struct store *, const struct oid *commit, void (*progress)(void *, uint64_t done),
	       void *arg, struct err *) NODISCARD;
/* A commit of our own: its entries are folded in without reading them back. */
struct entry {
	const char *path;
	struct bytes text;
	struct oid oid;
};
/* Before the commit is visible: folds, and keeps others from folding the same, until index_apply_end says that the
 * ledger is at `to` now, or (NULL) that it is not. false: the cache is not at `from`, or is in the way of somebody: the
 * next index_sync will do it. */
bool index_apply_begin(struct index *, const struct oid *from, const struct entry *, size_t n) NODISCARD;
void index_apply_end(struct index *, const struct oid *to);
/* Shows the entries of an open transaction to its own reading functions: entries are only ever appended, and what is
 * not committed is forgotten by the next index_sync, index_apply_begin or index_close. */
int index_preview(struct index *, const struct entry *, size_t n, struct err *) NODISCARD;
void index_forget(struct index *); /* ends a preview */
/* Throws everything away, so that the next index_sync rebuilds. */
int index_drop(struct index *, struct err *) NODISCARD;
/* Compares the cache with a fresh fold in memory; ERR_CHECK names the first difference. */
int index_check(struct index *, struct store *, const struct oid *commit, struct err *) NODISCARD;
/* The commit that the cache stands for; false: none yet. */
bool index_stamp(struct index *, struct oid *ret);
/* Whether the last failure was of the cache's content, so that dropping and syncing it may help. */
bool index_damaged(const struct index *);

/* --- reading, for ledger.c --- */

/* Around each reading function, and around many of them: one view of a cache that stands for a commit. */
int index_read_begin(struct index *, struct err *) NODISCARD;
void index_read_end(struct index *);

struct cert_ref {
	const char *ca;               /* NULL: any */
	const char *serial;           /* hex, even length; NULL: by one of the others */
	const char *serial_from, *serial_to; /* a range, both ends included */
	const char *fingerprint;
	const char *request_sha256;
};
/* At most 8 matches. */
int index_find(struct index *, struct arena *, const struct cert_ref *, int64_t now, struct certrec **ret,
	       size_t *ret_n, struct err *) NODISCARD;
/* What a query is about. */
struct dms_deltas {
	const char *dms;
	struct device_deltas deltas;
};
struct query_target {
	bool devices;                    /* else certificates */
	const struct dms_deltas *deltas; /* of devices; a device manager that is not listed has DEVICE_DELTAS_DEFAULT */
	size_t ndeltas;
};
/* Row ids in the query's order; *ret_more: there are more than the page holds. */
int index_query(struct index *, struct arena *, const struct query_target *, const struct query *, int64_t now,
		int64_t **ret, size_t *ret_n, bool *ret_more, struct err *) NODISCARD;
int index_get(struct index *, struct arena *, int64_t id, int64_t now, struct certrec *ret, struct err *) NODISCARD;
/* Devices; the caller sets the status. */
int index_find_device(struct index *, struct arena *, const char *id, bool *ret_found, struct device *ret,
		      struct err *) NODISCARD;
int index_get_device(struct index *, struct arena *, int64_t row, struct device *ret, struct err *) NODISCARD;
int index_device_entries(struct index *, struct arena *, const char *id, struct device_entry **ret, size_t *ret_n,
			 struct err *) NODISCARD;
/* In the order of versions; `since` as in struct device. */
int index_device_certs(struct index *, struct arena *, const char *id, int64_t since, int64_t now, struct certrec **ret,
		       size_t *ret_n, struct err *) NODISCARD;
/* Bootstrap certificates: all, and those of them that are revoked. */
int index_bootstrap(struct index *, int64_t *ret_all, int64_t *ret_revoked, struct err *) NODISCARD;
/* Bootstrap certificates that were used more than once, and when: one row for each time, by serial number and time. */
int index_reused(struct index *, struct arena *, struct use **ret, size_t *ret_n, struct err *) NODISCARD;
int index_refusals(struct index *, struct arena *, const char *dms, struct refusal_count **ret, size_t *ret_n,
		   struct err *) NODISCARD;
int index_has_event(struct index *, const struct eventrec *, bool *ret, struct err *) NODISCARD;
/* How many devices that pass the filters have each status. */
int index_device_count(struct index *, struct arena *, const struct query_target *, const struct query *, int64_t now,
		       int64_t ret[DEVICE_STATUSES], struct err *) NODISCARD;
/* `only`: sorted serials in hex, n of them; NULL: all. With it, released holds are rows too. */
int index_each_revoked(struct index *, const char *ca, int64_t expired_before, int64_t as_of, const struct strv *only,
		       int (*cb)(void *arg, const struct revoked_row *, struct err *), void *arg,
		       struct err *) NODISCARD;
/* Serials, in hex, of those that were recorded ahead and took effect after one time and until another. */
int index_revoked_ahead(struct index *, struct arena *, const char *ca, int64_t after, int64_t until, struct strv *ret,
			struct err *) NODISCARD;
int index_last_crl(struct index *, struct arena *, const char *ca, const char *scope, bool *ret_found,
		   struct crlrec *ret, struct err *) NODISCARD;
int index_crls(struct index *, struct arena *, const char *ca, struct crlrec **ret, size_t *ret_n,
	       struct err *) NODISCARD;
int index_count(struct index *, struct arena *, int64_t now, struct cert_count **ret, size_t *ret_n,
		struct err *) NODISCARD;
int index_expiry(struct index *, const char *ca, int64_t now, int64_t from, int64_t step, size_t n, int64_t *ret,
		 struct err *) NODISCARD;
int index_bad(struct index *, struct arena *, struct bad_entry **ret, size_t *ret_n, struct err *) NODISCARD;

/* Hex digits as people write them: lower case, without ':' '-' ' ' and 0x; NULL when there is anything else. */
char *index_hex(struct arena *, const char *text);
char *index_hex_last(struct arena *, const char *digits); /* the last serial number that begins with these */
