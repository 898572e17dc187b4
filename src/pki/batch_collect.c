/* Finding the requests of a batch. Guarantees: keys and other files that lie beside requests are never taken for
 * requests, and the order is the order given, folders in order of name. Limits: a million requests, 1 GiB of standard
 * input. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "pki/batch.h"

enum { MAX_ITEMS = 1000000, TAR_BLOCK = 512 };

struct collecting {
	struct arena *ar;
	struct batch_item *v;
	size_t n;
};

static int add(struct collecting *c, const char *name, const char *path, struct bytes text, struct err *e)
{
	if (c->n == MAX_ITEMS)
		return err_set(e, ERR_INVALID, "more than %d requests", MAX_ITEMS);
	c->v = arena_grow(c->ar, c->v, c->n, sizeof(*c->v));
	c->v[c->n++] = (struct batch_item){ .name = name, .path = path, .text = text };
	return 0;
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n > m && strcmp(s + n - m, suffix) == 0;
}

/* *.pem may be anything: only a request counts. */
static bool is_request_pem(struct arena *ar, const char *path)
{
	struct err ignored = { 0 };
	struct bytes text;

	return fs_read_found(ar, path, CSR_MAX * 2, &text, &ignored) == 0 &&
	       memmem(text.p, text.n, "CERTIFICATE REQUEST-----", 24) != NULL;
}

static int add_folder(struct collecting *c, const char *dir, struct err *e)
{
	static const char *const suffixes[] = { ".csr", ".req", ".p10", ".der" };
	struct strv names;
	size_t before = c->n;

	if (fs_list(c->ar, dir, MAX_ITEMS, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		const char *path = fs_join(c->ar, dir, names.v[i]);
		bool take = false;

		for (size_t s = 0; s < COUNT(suffixes); s++)
			take = take || has_suffix(names.v[i], suffixes[s]);
		if (!take && has_suffix(names.v[i], ".pem"))
			take = is_request_pem(c->ar, path);
		if (take && add(c, names.v[i], path, (struct bytes){ 0 }, e) != 0)
			return -1;
	}
	if (c->n == before)
		return err_set(e, ERR_NOT_FOUND, "no requests in folder %s (*.csr *.req *.p10 *.der *.pem)", dir);
	return 0;
}

/* --- standard input --- */

static bool is_tar(struct bytes t)
{
	return t.n >= 2 * TAR_BLOCK && memcmp(t.p + 257, "ustar", 5) == 0;
}

static int tar_octal(const unsigned char *p, size_t n, size_t *ret)
{
	size_t v = 0;

	for (size_t i = 0; i < n && p[i] && p[i] != ' '; i++) {
		if (p[i] < '0' || p[i] > '7' || v > SIZE_MAX / 16)
			return -1;
		v = v * 8 + (size_t)(p[i] - '0');
	}
	*ret = v;
	return 0;
}

/* The sum over the header, its own field counted as spaces (POSIX, ustar). */
static bool tar_header_ok(const unsigned char *h)
{
	size_t told, sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : h[i];
	return memcmp(h + 257, "ustar", 5) == 0 && tar_octal(h + 148, 8, &told) == 0 && told == sum;
}

/* An archive without its end was cut off: nothing of it is taken. */
static int add_tar(struct collecting *c, struct bytes t, struct err *e)
{
	for (size_t at = 0; at + TAR_BLOCK > t.n || t.p[at];) {
		const unsigned char *h = t.p + at;
		const char *name;
		size_t size;

		if (at + TAR_BLOCK > t.n || !tar_header_ok(h) || tar_octal(h + 124, 12, &size) != 0 ||
		    size > t.n - at - TAR_BLOCK)
			return err_set(e, ERR_INVALID, "standard input: damaged tar archive");
		name = arena_strndup(c->ar, (const char *)h, strnlen((const char *)h, 100));
		if ((h[156] == '0' || h[156] == '\0') &&
		    add(c, name, NULL, (struct bytes){ h + TAR_BLOCK, size }, e) != 0)
			return -1;
		at += TAR_BLOCK + (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	}
	return 0;
}

static int add_text(struct collecting *c, const char *name, struct bytes text, struct err *e)
{
	struct bytes *ders;
	size_t n;

	if (is_tar(text))
		return add_tar(c, text, e);
	if (memmem(text.p, text.n, "-----BEGIN", 10) == NULL)
		return add(c, name, NULL, text, e);
	if (csr_split(c->ar, text, &ders, &n, e) != 0)
		return err_ctx(e, "%s", name);
	if (n == 1 && ders[0].n == 0) /* damaged, as the reader will say */
		return add(c, name, NULL, text, e);
	for (size_t i = 0; i < n; i++)
		if (add(c, n == 1 ? name : arena_printf(c->ar, "%s:%zu", name, i + 1), NULL, ders[i], e) != 0)
			return -1;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int add_file(struct collecting *c, const char *path, struct err *e)
{
	struct bytes text;

	if (fs_read_input(c->ar, path, FS_LIMIT_BATCH, &text, e) != 0)
		return -1;
	return add_text(c, base_name(path), text, e);
}

int batch_collect(struct ctx *ctx, const struct strv *sources, struct batch_item **ret, size_t *ret_n, struct err *e)
{
	struct collecting c = { .ar = ctx->arena };

	for (size_t i = 0; i < sources->n; i++) {
		const char *s = sources->v[i];
		struct bytes text;

		if (strcmp(s, "-") == 0) {
			if (fs_read_input(c.ar, s, FS_LIMIT_BATCH, &text, e) != 0 ||
			    add_text(&c, "standard input", text, e) != 0)
				return -1;
		} else if (fs_is_dir(s) ? add_folder(&c, s, e) != 0 : add_file(&c, s, e) != 0) {
			return -1;
		}
	}
	if (c.n == 0)
		return err_set(e, ERR_INVALID, "no requests were given");
	*ret = c.v;
	*ret_n = c.n;
	return 0;
}
