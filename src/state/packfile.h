#pragma once
#include "state/pack.h"

/* What pack.c and pack_merge.c share. */
#define PACK_KEEP "lamassu\n" /* content of our .keep files, so that a stale one is recognised */

struct pack_entry {
	struct oid oid;
	uint32_t crc;
	uint64_t off;
};
int pack_raw(struct pack *, struct bytes, struct err *) NODISCARD; /* bytes as they stand in another pack */
void pack_note(struct pack *, const struct oid *, uint32_t crc, uint64_t off);
uint64_t pack_offset(const struct pack *);
const char *pack_path(const struct pack *); /* "…/pack-<hex>" once published */
