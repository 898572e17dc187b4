/* Checking a repository as a whole. Guarantees: looks at everything and lists all that is wrong, with a way to put it
 * right; only where looking itself is impossible does it fail. Changes nothing but the local mark of how far the
 * histories were found right. */
#include "pki/verify_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "state/ledger.h"

static const struct field finding_fields[] = {
	STR(finding, object, "What it is about: a record, an entry of the ledger, a branch.", .flags = F_KEY | F_COL),
	STR(finding, problem, "What is wrong.", .flags = F_COL),
	STR(finding, repair, "What to do.", .flags = F_COL),
	END
};
const struct schema finding_type = {
	.name = "finding", .plural = "findings", .doc = "Something that is wrong", .size = sizeof(struct finding),
	.fields = finding_fields
};

enum { FINDINGS_MAX = 10000 };

static void add(void *arg, const char *object, const char *problem, const char *repair)
{
	struct verifying *v = arg;
	struct arena *ar = v->ctx->arena;

	if (v->n == FINDINGS_MAX) {
		v->untold++;
		return;
	}
	v->v = arena_grow(ar, v->v, v->n, sizeof(*v->v));
	v->v[v->n++] = (struct finding){ arena_strdup(ar, object), arena_strdup(ar, problem),
		arena_strdup(ar, repair) };
}

void verify_found(struct verifying *v, const char *object, const char *repair, const char *problem, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, problem);
	vsnprintf(text, sizeof(text), problem, ap);
	va_end(ap);
	add(v, object, text, repair);
}

static void note(void *arg, const char *text)
{
	struct verifying *v = arg;

	ctx_warn(v->ctx, "%s", text);
}

static void tell_untold(const struct verifying *v)
{
	if (v->untold)
		ctx_warn(v->ctx, "%s are not shown: only the first %d are",
			 text_count(v->ctx->arena, v->untold, "further problem", NULL),
			 FINDINGS_MAX);
}

static void tick(void *arg, uint64_t done)
{
	struct verifying *v = arg;

	ctx_progress(v->ctx, "checking", done, 0);
}

static struct verifying begin(struct ctx *ctx)
{
	return (struct verifying){ .ctx = ctx, .inspector = { .arena = ctx->arena, .found = add, .note = note,
		.tick = tick } };
}

/* --- authorities and what they issued --- */

static int by_id(const void *x, const void *y)
{
	return strcmp(((const struct issuer *)x)->rec.id, ((const struct issuer *)y)->rec.id);
}

const struct issuer *verify_issuer(const struct verifying *v, const char *id)
{
	size_t from = 0, to = v->nissuers;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int c = strcmp(id, v->issuers[mid].rec.id);

		if (c == 0)
			return &v->issuers[mid];
		if (c < 0)
			to = mid;
		else
			from = mid + 1;
	}
	return NULL;
}

struct issuer_cert *verify_add_cert(struct verifying *v, struct issuer *is, const char *file, struct bytes pem)
{
	struct err why = { 0 };
	struct issuer_cert c = { .file = file };

	if (cert_parse(v->ctx->arena, pem, &c.cert, &why) != 0 || cert_pubkey(&c.cert, &c.pub, &why) != 0) {
		verify_found(v, file, "git log shows who changed it: take the certificate from an earlier commit", "%s",
			     why.msg);
		return NULL;
	}
	for (size_t i = 0; i < is->n; i++)
		if (bytes_equal(is->v[i].cert.der, c.cert.der)) {
			EVP_PKEY_free(c.pub);
			return &is->v[i];
		}
	if (!c.cert.is_ca || (c.cert.key_usage && !(c.cert.key_usage & (USE_CERT_SIGN | USE_CRL_SIGN))))
		verify_found(v, file, "reissue it with a profile of authorities: lamassu ca reissue",
			     "it is not a certificate of an authority: %s",
			     c.cert.is_ca ? "keyUsage has neither keyCertSign nor cRLSign"
				     : "basicConstraints lacks cA (RFC 5280 4.2.1.9)");
	is->v = arena_grow(v->ctx->arena, is->v, is->n, sizeof(*is->v));
	is->v[is->n] = c;
	return &is->v[is->n++];
}

static bool signature_good(const struct cert *c, const struct issuer_cert *by)
{
	const struct sigalg *alg = sigalg_by_der(c->sig_alg);
	struct err ignored = { 0 };
	bool valid = false;

	if (alg == NULL) /* an old one, of an imported certificate */
		return cert_issued_by(c, &by->cert);
	return sigalg_fits(alg, by->pub) && key_verify(by->pub, alg, c->tbs, false, c->sig, &valid, &ignored) == 0 &&
		valid;
}

static bool could_issue(const struct cert *c, const struct cert *by)
{
	if (!bytes_equal(c->issuer, by->subject) && !name_equal(c->issuer, by->subject))
		return false;
	return !(c->aki.n && by->ski.n) || bytes_equal(c->aki, by->ski);
}

/* What the issuer's certificate says about those below it. */
static const char *check_limits(struct arena *a, const struct cert *c, const struct cert *by)
{
	const struct ext *nc = exts_find(&by->exts, OID_NC), *san = exts_find(&c->exts, OID_SAN);
	struct err why = { 0 };

	if (by->key_usage && !(by->key_usage & USE_CERT_SIGN))
		return "the certificate of its issuer lacks keyCertSign (RFC 5280 4.2.1.3)";
	if (c->is_ca && by->path_length == 0 && !cert_self_issued(c))
		return "its issuer's path length allows no authority below (RFC 5280 4.2.1.9)";
	if ((c->key_usage & USE_CERT_SIGN) && !c->is_ca)
		return "it has keyCertSign without being of an authority (RFC 5280 4.2.1.9)";
	if (nc && !cert_self_issued(c) &&
	    cert_check_name_constraints(a, nc->value, c->subject, san ? san->value : (struct bytes){ 0 }, &why) != 0)
		return arena_strdup(a, why.msg);
	return NULL;
}

const char *verify_chain(struct arena *a, const struct cert *c, const struct issuer *by)
{
	bool named = false;

	for (size_t i = 0; i < by->n; i++) {
		if (!could_issue(c, &by->v[i].cert))
			continue;
		named = true;
		if (signature_good(c, &by->v[i]))
			return check_limits(a, c, &by->v[i].cert);
	}
	return named ? arena_printf(a, "its signature is not of ca %s", by->rec.id)
		     : arena_printf(a, "its issuer is not ca %s: name or key id differs", by->rec.id);
}

/* --- all of it --- */

/* The cache is compared with what it stands for; what the fold could not read, and serial numbers used twice, it
 * knows. */
static int verify_cache(struct verifying *v, struct err *e)
{
	struct err why = { 0 };
	struct bad_entry *bad;
	size_t n;

	if (ledger_check(v->ctx->state, &why) != 0) {
		if (why.code != ERR_CHECK) {
			*e = why;
			return -1;
		}
		verify_found(v, "cache", "lamassu repo reindex", "%s", why.msg);
		return 0;
	}
	if (ledger_bad(v->ctx->state, &bad, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		verify_found(v, bad[i].path, strstr(bad[i].path, "*") ? "revoke the certificate that should not be "
									"there"
								      : "git log on the ledger's branch shows who "
									"made it; it counts for nothing",
			     "%s", bad[i].why);
	return 0;
}

/* Of a ledger that cannot be read, that much has been said already. */
static int verify_ledger(struct verifying *v, struct err *e)
{
	if (verify_former_authorities(v, e) != 0)
		return -1;
	if (v->nissuers)
		qsort(v->issuers, v->nissuers, sizeof(*v->issuers), by_id);
	return verify_entries(v, e) != 0 || verify_cache(v, e) != 0 || verify_crls(v, e) != 0 ? -1 : 0;
}

static int verify_all(struct verifying *v, bool all, struct err *e)
{
	struct err why = { 0 };

	inspect_history(v->ctx->state, all, &v->inspector);
	inspect_policy(v->ctx->state, &v->inspector);
	if (verify_policy(v, e) != 0)
		return -1;
	if (verify_ledger(v, &why) == 0)
		return 0;
	if (why.code == ERR_CANCELLED) {
		*e = why;
		return -1;
	}
	verify_found(v, state_config(v->ctx->state)->ledger_branch, "restore what is missing from another clone; git "
								    "fsck names it", "%s",
		     why.msg);
	return 0;
}

int repo_verify(struct ctx *ctx, bool all, struct finding **ret, size_t *ret_n, uint64_t *ret_more,
		struct verified *ret_seen, struct err *e)
{
	struct verifying v = begin(ctx);
	int r;

	v.inspector.arg = &v;
	r = verify_all(&v, all, e);
	for (size_t i = 0; i < v.nissuers; i++)
		for (size_t k = 0; k < v.issuers[i].n; k++)
			EVP_PKEY_free(v.issuers[i].v[k].pub);
	if (r != 0)
		return -1;
	if (v.n == 0)
		inspect_accept(ctx->state);
	tell_untold(&v);
	*ret = v.v;
	*ret_n = v.n;
	*ret_more = v.untold;
	*ret_seen = v.seen;
	return 0;
}

int repo_verify_push(struct ctx *ctx, const char *dir, struct bytes lines, struct finding **ret, size_t *ret_n,
		     uint64_t *ret_more, struct err *e)
{
	struct verifying v = begin(ctx);

	v.inspector.arg = &v;
	if (inspect_push(dir, lines, &v.inspector, e) != 0)
		return -1;
	tell_untold(&v);
	*ret = v.v;
	*ret_n = v.n;
	*ret_more = v.untold;
	return 0;
}
