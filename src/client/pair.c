/* Replacing a device's key and certificate. Guarantees: at any moment either the pair in place fits, or KEY.pending
 * holds the one that does and the next run puts it there; in a file with both nobody ever sees half of it. A private
 * key is in no file that others read. */
#include "client/pair.h"

#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fs.h"
#include "crypto/cert.h"
#include "crypto/csr.h"
#include "crypto/key.h"

#define OLD "REPLACED CERTIFICATE" /* no label of anybody else */

static char *pending_path(struct arena *a, const struct pair_paths *p)
{
	return arena_printf(a, "%s.pending", p->key);
}

/* All certificates of a PEM text, as one. */
static struct bytes only_certs(struct arena *a, struct bytes text)
{
	SCOPED_BUF all = buf_init(BUF_TEXT);
	struct bytes der;

	while (pem_next(a, &text, "CERTIFICATE", NULL, &der) && der.n) {
		struct bytes pem = cert_pem(a, der);

		buf_put(&all, pem.p, pem.n);
	}
	return (struct bytes){ all.n ? arena_memdup(a, all.p, all.n) : NULL, all.n };
}

int pending_load(struct ctx *ctx, const struct pair_paths *p, struct pending *ret, struct err *e)
{
	const char *path = pending_path(ctx->arena, p);
	AUTO(EVP_PKEY) *key = NULL;
	struct err why = { 0 };
	struct bytes text;
	struct csr csr;

	*ret = (struct pending){ 0 };
	if (fs_read(ctx->arena, path, FS_LIMIT_CERT, &text, &why) != 0) {
		if (why.code == ERR_NOT_FOUND)
			return 0;
		*e = why;
		return -1;
	}
	if ((!p->elsewhere && key_load(text, NULL, &key, &why) != 0) || csr_parse(ctx->arena, text, &csr, &why) != 0) {
		ctx_warn(ctx, "%s: %s; a new key is made", path, why.msg);
		return 0;
	}
	*ret = (struct pending){ .key = key, .csr = csr.der, .certs = only_certs(ctx->arena, text) };
	if (!pem_next(ctx->arena, &text, OLD, NULL, &ret->old))
		ret->old = (struct bytes){ 0 };
	key = NULL;
	return 0;
}

int pending_save(struct ctx *ctx, const struct pair_paths *p, const struct pending *x, struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);
	struct bytes key = { 0 }, csr = pem_encode(ctx->arena, "CERTIFICATE REQUEST", x->csr), old = { 0 };

	if (!p->elsewhere && key_plain_pem(ctx->arena, x->key, &key, e) != 0)
		return -1;
	if (x->old.n)
		old = pem_encode(ctx->arena, OLD, x->old);
	buf_put(&text, key.p, key.n);
	buf_put(&text, csr.p, csr.n);
	buf_put(&text, x->certs.p, x->certs.n);
	buf_put(&text, old.p, old.n);
	return fs_write(pending_path(ctx->arena, p), buf_bytes(&text), 0600, true, e);
}

static mode_t mode_of(const char *path, mode_t usual)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_mode & 0777 : usual;
}

int pending_install(struct ctx *ctx, const struct pair_paths *p, const struct pending *x, struct err *e)
{
	SCOPED_BUF both = buf_init(BUF_TEXT);
	struct bytes key;

	if (p->elsewhere)
		return fs_write(p->cert, x->certs, mode_of(p->cert, 0644), true, e);
	if (key_plain_pem(ctx->arena, x->key, &key, e) != 0)
		return -1;
	if (strcmp(p->cert, p->key) == 0) {
		buf_put(&both, key.p, key.n);
		buf_put(&both, x->certs.p, x->certs.n);
		return fs_write(p->key, buf_bytes(&both), mode_of(p->key, 0600), true, e);
	}
	if (fs_write(p->key, key, mode_of(p->key, 0600), true, e) != 0)
		return -1;
	return fs_write(p->cert, x->certs, mode_of(p->cert, 0644), true, e);
}

int pending_done(struct ctx *ctx, const struct pair_paths *p, struct err *e)
{
	const char *path = pending_path(ctx->arena, p);

	return unlink(path) == 0 ? 0 : err_sys(e, path);
}
