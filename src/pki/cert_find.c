/* Finding certificates and their issuers. Guarantees: a name that fits several certificates is refused, never guessed;
 * a chain holds only certificates whose signatures lead from one to the next. */
#include "pki/cert_find.h"

#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "pki/issue.h"
#include "state/ledger.h"

/* Nothing but hexadecimal digits and what may stand between them. */
static bool is_number(const char *ref)
{
	const char *p = strncmp(ref, "0x", 2) == 0 || strncmp(ref, "0X", 2) == 0 ? ref + 2 : ref;

	return *p && p[strspn(p, "0123456789abcdefABCDEF:- ")] == '\0' && strcmp(ref, "-") != 0;
}

static int from_ledger(struct ctx *ctx, const char *ca, const char *ref, struct found_cert *f, struct err *e)
{
	struct bytes pem;

	if (ledger_cert(ctx->state, ca, ref, &f->rec, e) != 0 || ledger_cert_pem(ctx->state, &f->rec, &pem, e) != 0)
		return -1;
	f->recorded = true;
	return cert_parse(ctx->arena, pem, &f->cert, e) != 0 ? err_ctx(e, "certificate %s", f->rec.serial_number) : 0;
}

static int dates_status(const struct ctx *ctx, const struct cert *c)
{
	return ctx->now > c->not_after ? CERT_EXPIRED : CERT_ACTIVE;
}

/* The first certificate of a file; its record if there is one. */
static int from_file(struct ctx *ctx, const char *ca, const char *path, struct found_cert *f, struct err *e)
{
	struct err miss = { 0 };
	struct bytes text, *ders;
	size_t n;

	if (fs_read_input(ctx->arena, path, FS_LIMIT_CERT, &text, e) != 0)
		return -1;
	if (cert_split(ctx->arena, text, &ders, &n, e) != 0 || cert_parse(ctx->arena, ders[0], &f->cert, e) != 0)
		return err_ctx(e, "%s", text_escape(ctx->arena, bytes_of(path)));
	if (ledger_cert(ctx->state, ca, cert_fingerprint(ctx->arena, &f->cert), &f->rec, &miss) == 0) {
		f->recorded = true;
		return 0;
	}
	if (miss.code != ERR_NOT_FOUND) {
		*e = miss;
		return -1;
	}
	if (issue_head_of(ctx->arena, "-", &f->cert, ctx->now, &f->rec, e) != 0)
		return err_ctx(e, "%s", text_escape(ctx->arena, bytes_of(path)));
	f->rec.status = dates_status(ctx, &f->cert);
	return 0;
}

int cert_find_any(struct ctx *ctx, const char *ca, const char *ref, struct found_cert *ret, struct err *e)
{
	struct found_cert f = { 0 };
	struct err miss = { 0 };

	if (!is_number(ref)) {
		if (strcmp(ref, "-") != 0 && !fs_exists(ref))
			return err_set(e, ERR_NOT_FOUND,
				       "\"%s\" is neither a serial number, nor a fingerprint, nor a file",
				       text_escape(ctx->arena, bytes_of(ref)));
		if (from_file(ctx, ca, ref, &f, e) != 0)
			return -1;
	} else if (from_ledger(ctx, ca, ref, &f, &miss) != 0) {
		if (miss.code != ERR_NOT_FOUND || !fs_exists(ref)) {
			*e = miss;
			return -1;
		}
		if (from_file(ctx, ca, ref, &f, e) != 0)
			return -1;
	}
	*ret = f;
	return 0;
}

int cert_find(struct ctx *ctx, const char *ca, const char *ref, struct found_cert *ret, struct err *e)
{
	struct found_cert f;

	if (cert_find_any(ctx, ca, ref, &f, e) != 0)
		return -1;
	if (!f.recorded)
		return err_set(e, ERR_NOT_FOUND,
			       "the certificate in %s (%s) is not recorded here%s%s: `cert import` takes it",
			       text_escape(ctx->arena, bytes_of(ref)), f.rec.serial_number, ca ? " as one of " : "",
			       ca ? ca : "");
	*ret = f;
	return 0;
}

int cert_issuer(struct ctx *ctx, const struct found_cert *f, struct authority *ret, bool *ret_found, struct err *e)
{
	struct authority *all;
	size_t n;

	*ret_found = false;
	if (cert_issued_by(&f->cert, &f->cert))
		return 0;
	if (f->recorded && state_has(ctx->state, &ca_type, f->rec.ca)) {
		if (authority_load(ctx, f->rec.ca, ret, e) != 0)
			return -1;
		*ret_found = ret->cert.der.n && cert_issued_by(&f->cert, &ret->cert);
	}
	if (*ret_found)
		return 0;
	if (authority_all(ctx, &all, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n && !*ret_found; i++)
		if (all[i].cert.der.n && cert_issued_by(&f->cert, &all[i].cert)) {
			*ret = all[i];
			*ret_found = true;
		}
	return 0;
}

int cert_chain(struct ctx *ctx, const struct found_cert *f, struct bytes **ret_ders, size_t *ret_n, struct err *e)
{
	struct authority ca = { 0 };
	struct bytes *above = NULL, *v;
	size_t n = 0;
	bool found;

	if (cert_issuer(ctx, f, &ca, &found, e) != 0 || (found && authority_chain(ctx->arena, &ca, &above, &n, e) != 0))
		return -1;
	v = arena_new_array(ctx->arena, n + 1, struct bytes);
	v[0] = f->cert.der;
	for (size_t i = 0; i < n; i++)
		v[i + 1] = above[i];
	*ret_ders = v;
	*ret_n = n + 1;
	return 0;
}

int cert_set_metadata(struct ctx *ctx, const struct certrec *c, const char *key, const char *value, struct err *e)
{
	struct metachange m = { .kind = arena_strdup(ctx->arena, "certificate"), .key = arena_strdup(ctx->arena, key),
				.time = ctx->now,
		.id = arena_printf(ctx->arena, "%s/%s", c->ca, c->serial_number) };
	char *object;

	if (value) { /* {"v":VALUE}, of which the value is kept */
		if (any_set(ctx->arena, NULL, "v", value, &object, e) != 0)
			return err_ctx(e, "metadata %s", key);
		m.value = arena_strndup(ctx->arena, object + strlen("{\"v\":"), strlen(object) - strlen("{\"v\":}"));
	}
	return ledger_add_meta(ctx->state, &m, e);
}
