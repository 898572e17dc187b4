/* Housekeeping of packs: joins small ones by concatenating their bodies (nothing is decompressed; offsets to delta
 * bases are relative and stay right) and sweeps .keep files of killed processes. A pack that is anything but an
 * ordinary small one is left alone; old packs go only after the new one is durable. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "state/pack.h"
#include "state/packfile.h"

/* Larger packs are for `repo gc`: a commit must not stop for seconds. */
enum { SMALL = 16 << 20, NAME_LEN = 45 /* "pack-" and 40 hex digits */ };

struct small {
	char *base;       /* path without suffix */
	size_t size;
	bool joined;
};

struct smalls {
	struct small *v;
	size_t n;
};

static bool is_pack_name(const char *name, const char *suffix)
{
	return strlen(name) == NAME_LEN + strlen(suffix) && strncmp(name, "pack-", 5) == 0 &&
			strcmp(name + NAME_LEN, suffix) == 0;
}

static char *pack_dir(struct arena *a, struct store *s)
{
	return arena_printf(a, "%s/objects/pack", store_git_dir(s));
}

static bool is_ordinary(struct arena *a, const char *base)
{
	static const char *const marks[] = { ".keep", ".promisor", ".mtimes", ".bitmap" };

	for (size_t i = 0; i < COUNT(marks); i++)
		if (fs_exists(arena_printf(a, "%s%s", base, marks[i])))
			return false;
	return true;
}

static int list_small(struct arena *a, const char *dir, struct smalls *ret, struct err *e)
{
	struct strv names;
	struct stat st;

	if (fs_list(a, dir, SIZE_MAX, &names, e))
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		if (!is_pack_name(names.v[i], ".idx"))
			continue;
		char *base = arena_printf(a, "%s/%.*s", dir, NAME_LEN, names.v[i]);
		if (stat(arena_printf(a, "%s.pack", base), &st) || st.st_size < 32 || st.st_size > SMALL ||
		    !is_ordinary(a, base))
			continue;
		ret->v = arena_grow(a, ret->v, ret->n, sizeof(*ret->v));
		ret->v[ret->n++] = (struct small){ base, (size_t)st.st_size, false };
	}
	return 0;
}

static int by_size(const void *x, const void *y)
{
	const struct small *p = x, *q = y;

	return p->size < q->size ? -1 : p->size > q->size;
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The number of objects of a version 2 index whose tables fit into it, or 0. */
static size_t index_count(struct bytes idx)
{
	if (idx.n < 8 + 1024 + 40 || memcmp(idx.p, "\377tOc\0\0\0\2", 8) != 0)
		return 0;
	size_t n = be32(idx.p + 8 + 1020);
	return n <= (idx.n - 8 - 1024 - 40) / 28 ? n : 0;
}

/* Appends one pack, unless it holds an object that is already there or does not look as it must: then git's repack
 * deals with it. */
static int join(struct pack *into, struct small *from, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes idx, body;

	if (fs_read(a, arena_printf(a, "%s.idx", from->base), SMALL, &idx, e) ||
	    fs_read(a, arena_printf(a, "%s.pack", from->base), SMALL, &body, e))
		return -1;
	size_t n = index_count(idx);
	const unsigned char *names = idx.p + 8 + 1024, *crcs = names + n * 20, *offs = crcs + n * 4;
	if (!n || body.n < 32 || memcmp(body.p, "PACK\0\0\0\2", 8) != 0 || be32(body.p + 8) != n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct oid o;
		uint32_t off = be32(offs + 4 * i);

		memcpy(o.b, names + 20 * i, sizeof(o.b));
		if (pack_has(into, &o) || off < 12 || off >= body.n - 20)
			return 0;
	}
	uint64_t start = pack_offset(into);
	if (pack_raw(into, (struct bytes){ body.p + 12, body.n - 32 }, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct oid o;

		memcpy(o.b, names + 20 * i, sizeof(o.b));
		pack_note(into, &o, be32(crcs + 4 * i), be32(offs + 4 * i) - 12 + start);
	}
	from->joined = true;
	return 0;
}

static void remove_joined(struct arena *a, const char *dir, const struct smalls *v, const char *made)
{
	/* the index first: without it git ignores the rest */
	static const char *const parts[] = { ".idx", ".rev", ".pack" };

	unlink(fs_join(a, dir, "multi-pack-index")); /* a cache that would name packs that are gone */
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < COUNT(parts) && v->v[i].joined && strcmp(v->v[i].base, made) != 0; k++)
			unlink(arena_printf(a, "%s%s", v->v[i].base, parts[k]));
}

int pack_merge(struct store *s, const char *tmp_dir, size_t least, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	SCOPED_PACK *p = NULL;
	char *dir = pack_dir(a, s);
	struct smalls v = { 0 };
	size_t sum = 0, joined = 0;

	if (list_small(a, dir, &v, e))
		return -1;
	if (v.n < least)
		return 0;
	qsort(v.v, v.n, sizeof(*v.v), by_size);
	if (pack_begin(a, s, tmp_dir, &p, e))
		return -1;
	/* Geometric: a pack is taken along only when the smaller ones are at least half as large together, so that
	 * each byte is copied a number of times that grows with the logarithm of the whole. */
	for (size_t i = 0; i < v.n && (i < 2 || v.v[i].size <= 2 * sum); i++) {
		if (join(p, &v.v[i], e))
			return -1;
		sum += v.v[i].size;
		joined += v.v[i].joined;
	}
	if (joined < 2)
		return 0;
	if (pack_end(p, e))
		return -1;
	remove_joined(a, dir, &v, pack_path(p));
	pack_unkeep(p);
	return 0;
}

static bool is_our_keep(struct arena *a, const char *path)
{
	struct bytes text;
	struct err ignored = { 0 };

	return fs_read(a, path, sizeof(PACK_KEEP), &text, &ignored) == 0 && bytes_equal(text, bytes_of(PACK_KEEP));
}

int pack_count_all(struct store *s, size_t *ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	char *dir = pack_dir(a, s);
	struct strv names = { 0 };

	if (fs_exists(dir) && fs_list(a, dir, SIZE_MAX, &names, e))
		return -1;
	*ret = 0;
	for (size_t i = 0; i < names.n; i++)
		*ret += is_pack_name(names.v[i], ".idx");
	return 0;
}

int pack_bytes(struct store *s, uint64_t *ret, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	char *dir = pack_dir(a, s);
	struct strv names = { 0 };
	struct stat st;

	if (fs_exists(dir) && fs_list(a, dir, SIZE_MAX, &names, e))
		return -1;
	*ret = 0;
	for (size_t i = 0; i < names.n; i++)
		if (is_pack_name(names.v[i], ".pack") && stat(fs_join(a, dir, names.v[i]), &st) == 0)
			*ret += (uint64_t)st.st_size;
	return 0;
}

int pack_sweep(struct store *s, size_t *ret_packs, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	char *dir = pack_dir(a, s);
	struct strv names;
	size_t packs = 0;

	*ret_packs = 0;
	if (!fs_exists(dir))
		return 0;
	if (fs_list(a, dir, SIZE_MAX, &names, e))
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *path = fs_join(a, dir, names.v[i]);

		packs += is_pack_name(names.v[i], ".idx");
		if (!is_pack_name(names.v[i], ".keep") || !is_our_keep(a, path))
			continue;
		char *base = arena_printf(a, "%s/%.*s", dir, NAME_LEN, names.v[i]);
		if (!fs_exists(arena_printf(a, "%s.idx", base))) /* killed between the two renames */
			unlink(arena_printf(a, "%s.pack", base));
		unlink(path);
	}
	*ret_packs = packs;
	return 0;
}
