#pragma once
#include "model/ledger_records.h"
#include "state/store.h"

/* The cache: SQLite at .git/lamassu/index.db, a fold of the ledger, stamped with its commit. Never the truth: missing, damaged
 * or behind, it is rebuilt or caught up by comparing trees. Only index*.c use SQLite. */
struct index;

/* Read-only media, or a cache that cannot be written: in memory. */
int index_open(struct arena *, const char *path, struct index **ret, struct err *) NODISCARD;
void index_close(struct index *);
/* Brings the cache to `commit`; *progress may be NULL. */
int index_sync(struct index *, struct store *, const struct oid *commit, void (*progress)(void *, uint64_t done), void *arg, struct err *) NODISCARD;
/* Our own commit, already written: its entries are folded in without reading them back. */
struct entry {
	const char *path;
	struct bytes text;
	struct oid oid;
};
int index_apply(struct index *, const struct oid *from, const struct oid *to, const struct entry *, size_t n, struct err *) NODISCARD;
/* Throws everything away, so that the next index_sync rebuilds. */
int index_drop(struct index *, struct err *) NODISCARD;
/* Compares the cache with a fresh fold in memory; ERR_CHECK names the first difference. */
int index_check(struct index *, struct store *, const struct oid *commit, struct err *) NODISCARD;
