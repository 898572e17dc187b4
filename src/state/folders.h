#pragma once
#include "state/internal.h"

/* Where new ledger entries go: <kind>/HH/HH/HH/<name>, numbered folders of 128 entries, always the newest, so that
 * consecutive commits rewrite one small tree. Gives the final path of each entry "<kind>/<name>". */
enum { FOLDER_ENTRIES = 128 };
int folders_assign(struct store *, struct arena *, const struct oid *ledger_tree /* NULL: none */, const struct entry *,
		   size_t n, char **ret_paths, struct err *) NODISCARD;
