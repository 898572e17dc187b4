/* Folders of ledger entries. The newest folder of a kind is found in its tree by descending to the greatest name
 * three times; nothing is counted in a file, so clones that worked apart merge by union. */
#include "state/folders.h"

#include <stdio.h>
#include <string.h>

#include "state/tree.h"

enum { LEVELS = 3, MAX_KINDS = 16, LAST_FOLDER = 0xffffff };

struct kind {
	char *name;
	unsigned folder; /* the one being filled */
	size_t used;
};

/* The greatest "HH" folder of a tree; anything else there is not ours and is passed over. */
static int greatest(struct bytes tree, bool *ret_found, struct tree_entry *ret, unsigned *ret_number, struct err *e)
{
	struct tree_entry t;
	bool more;
	unsigned char b;

	*ret_found = false;
	for (;;) {
		if (tree_next(&tree, &more, &t, e))
			return -1;
		if (!more)
			return 0;
		if (t.mode != MODE_DIR || t.n != 2 || sscanf(t.name, "%2hhx", &b) != 1)
			continue;
		*ret_found = true;
		*ret = t;
		*ret_number = b;
	}
}

static int count_entries(struct bytes tree, size_t *ret, struct err *e)
{
	struct tree_entry t;
	bool more;

	for (*ret = 0;; ++*ret) {
		if (tree_next(&tree, &more, &t, e))
			return -1;
		if (!more)
			return 0;
	}
}

static int find_newest(struct store *s, const struct oid *ledger_tree, struct kind *k, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct tree_entry t = { 0 };
	struct bytes text;
	unsigned number = 0;
	bool found = false;

	if (ledger_tree && tree_find(s, ledger_tree, k->name, &found, &t, e))
		return -1;
	for (int level = 0; level < LEVELS && found; level++) {
		if (tree_read(s, a, &t.oid, &text, e) || greatest(text, &found, &t, &number, e))
			return -1;
		if (found)
			k->folder = k->folder << 8 | number;
		else if (level)
			return err_set(e, ERR_INVALID, "the ledger's folder %s is damaged", k->name);
	}
	return !found ? 0 : tree_read(s, a, &t.oid, &text, e) ? -1 : count_entries(text, &k->used, e);
}

static int kind_of(struct store *s, struct arena *a, const struct oid *tree, struct kind *kinds, size_t *n,
		   const char *path, struct kind **ret,
		   struct err *e)
{
	size_t len = strcspn(path, "/");

	for (size_t i = 0; i < *n; i++)
		if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, path, len) == 0) {
			*ret = &kinds[i];
			return 0;
		}
	if (*n == MAX_KINDS)
		return err_set(e, ERR_INVALID, "too many kinds of entries");
	kinds[*n].name = arena_strndup(a, path, len);
	if (find_newest(s, tree, &kinds[*n], e))
		return -1;
	*ret = &kinds[(*n)++];
	return 0;
}

int folders_assign(struct store *s, struct arena *a, const struct oid *ledger_tree, const struct entry *v, size_t n,
		   char **ret_paths, struct err *e)
{
	struct kind kinds[MAX_KINDS] = { { 0 } }, *k;
	size_t nkinds = 0;

	for (size_t i = 0; i < n; i++) {
		if (!strchr(v[i].path, '/')) { /* init's own file at the top */
			ret_paths[i] = arena_strdup(a, v[i].path);
			continue;
		}
		if (kind_of(s, a, ledger_tree, kinds, &nkinds, v[i].path, &k, e))
			return -1;
		if (k->used >= FOLDER_ENTRIES) {
			if (k->folder == LAST_FOLDER)
				return err_set(e, ERR_UNSUPPORTED, "the ledger is full");
			k->folder++;
			k->used = 0;
		}
		k->used++;
		ret_paths[i] = arena_printf(a, "%s/%02x/%02x/%02x/%s", k->name, k->folder >> 16, k->folder >> 8 & 0xff,
					    k->folder & 0xff,
					    v[i].path + strlen(k->name) + 1);
	}
	return 0;
}
