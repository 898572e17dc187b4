#pragma once
#include "state/store.h"

/* Writes objects into one new pack with its index: nothing is visible before pack_end, everything is durable after
 * it. */
struct pack;

/* tmp_dir is on the same file system as objects/. */
int pack_begin(struct arena *, struct store *, const char *tmp_dir, struct pack **ret, struct err *) NODISCARD;
/* an object twice is stored once */
int pack_add(struct pack *, enum obj_type, struct bytes, struct oid *ret, struct err *) NODISCARD;
void pack_name(struct pack *, enum obj_type, struct bytes, struct oid *ret); /* the id only */
bool pack_has(const struct pack *, const struct oid *);
size_t pack_count(const struct pack *);
/* Publishes the pack with a .keep file, so that no `git gc` takes it before a ref names it; pack_unkeep drops that. */
int pack_end(struct pack *, struct err *) NODISCARD;
void pack_unkeep(struct pack *);
void pack_abort(struct pack *); /* NULL is allowed; after pack_end it only releases */
static inline void pack_abort_scoped(struct pack **p)
{
	pack_abort(*p);
}
#define SCOPED_PACK __attribute__((cleanup(pack_abort_scoped))) struct pack

/* Joins small packs into one when there are `least` of them or more, by concatenation: nothing is compressed again. */
int pack_merge(struct store *, const char *tmp_dir, size_t least, struct err *) NODISCARD;
/* Removes the .keep files that a killed process of ours left; counts packs. */
int pack_sweep(struct store *, size_t *ret_packs, struct err *) NODISCARD;
int pack_count_all(struct store *, size_t *ret, struct err *) NODISCARD;
int pack_bytes(struct store *, uint64_t *ret, struct err *) NODISCARD; /* of all together */
