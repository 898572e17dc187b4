/* The ledger's certificates under `repo verify`: each head says what its certificate says, and each certificate was
 * issued by the authority that it is filed under. Entries are read by one thread and judged by all cores; authorities
 * that the policy branch no longer has are taken from the ledger itself. */
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/name.h"
#include "pki/verify_parts.h"
#include "state/entry.h"
#include "state/ledger.h"

enum { SLICE = 32 };
#define LOOK "git log on the ledger's branch shows who made it; revoke the certificate, or restore the ledger of " \
	     "another clone"

struct judging {
	struct verifying *v;
	const struct raw_entry *entries;
	size_t n;
	const char **problems; /* one each; NULL: fine */
};

static const char *differs(struct arena *a, const char *field)
{
	return arena_printf(a, "%s: the head says otherwise than the certificate", field);
}

static bool same_text(const char *x, const char *y)
{
	return strcmp(x ? x : "", y ? y : "") == 0;
}

static bool same_list(const struct strv *x, const struct strv *y)
{
	bool same = x->n == y->n;

	for (size_t i = 0; same && i < x->n; i++)
		same = strcmp(x->v[i], y->v[i]) == 0;
	return same;
}

static const char *compare_names(struct arena *a, const struct certrec *r, const struct cert *c)
{
	const struct ext *san = exts_find(&c->exts, OID_SAN);
	struct err why = { 0 };
	struct strv names = { 0 };
	char *subject;

	if (name_format(a, c->subject, &subject, &why) != 0 || (san && san_parse(a, san->value, &names, &why) != 0))
		return arena_strdup(a, why.msg);
	if (!same_text(r->subject, subject))
		return differs(a, "subject");
	if (!same_text(r->common_name, name_cn(a, c->subject)))
		return differs(a, "common_name");
	return same_list(&r->san, &names) ? NULL : differs(a, "san");
}

static const char *compare(struct arena *a, const struct certrec *r, const struct cert *c)
{
	if (!same_text(r->serial_number, cert_serial_hex(a, c->serial)))
		return differs(a, "serial_number");
	if (!same_text(r->fingerprint, cert_fingerprint(a, c)))
		return differs(a, "fingerprint");
	if (r->not_before != c->not_before || r->not_after != c->not_after)
		return differs(a, "not_after");
	if (r->is_ca != c->is_ca)
		return differs(a, "is_ca");
	if (r->key_id && !same_text(r->key_id, sha256_hex(a, c->spki)))
		return differs(a, "key_id");
	return compare_names(a, r, c);
}

static const char *judge(const struct verifying *v, struct arena *a, const struct raw_entry *x)
{
	const struct issuer *by;
	struct err why = { 0 };
	const char *problem;
	struct certrec r;
	struct bytes body;
	struct cert c;

	/* What does not load is known to the fold. */
	if (!text_has_prefix(x->path, "issued/") ||
	    entry_load(a, &certrec_type, x->path, x->text, &r, &body, &why) != 0)
		return NULL;
	if (cert_parse(a, body, &c, &why) != 0)
		return arena_strdup(a, why.msg);
	problem = compare(a, &r, &c);
	if (problem || strcmp(r.ca, "-") == 0)
		return problem;
	by = verify_issuer(v, r.ca);
	return by && by->n ? verify_chain(a, &c, by)
			   : arena_printf(a, "its authority \"%s\" is neither in the repository nor in the ledger",
					  r.ca);
}

static int judge_slice(void *arg, size_t i, struct arena *a, struct err *e)
{
	struct judging *j = arg;

	(void)e;
	for (size_t k = i * SLICE; k < j->n && k < (i + 1) * SLICE; k++) {
		SCOPED_ARENA *scratch = arena_new();

		j->problems[k] = arena_strdup(a, judge(j->v, scratch, &j->entries[k]));
	}
	return 0;
}

static int on_chunk(void *arg, const struct raw_entry *entries, size_t n, struct err *e)
{
	struct verifying *v = arg;
	SCOPED_ARENA *a = arena_new();
	struct judging j = { v, entries, n, arena_new_array(a, n, const char *) };

	if (pool_run((n + SLICE - 1) / SLICE, 0, judge_slice, &j, a, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		v->seen.certificates += text_has_prefix(entries[i].path, "issued/");
		if (j.problems[i])
			verify_found(v, entries[i].path, LOOK, "%s", j.problems[i]);
	}
	return 0;
}

/* --- authorities that were deleted --- */

static struct issuer *former(struct verifying *v, size_t known, const char *id)
{
	for (size_t i = known; i < v->nissuers; i++)
		if (strcmp(v->issuers[i].rec.id, id) == 0)
			return &v->issuers[i];
	v->issuers = arena_grow(v->ctx->arena, v->issuers, v->nissuers, sizeof(*v->issuers));
	v->issuers[v->nissuers] = (struct issuer){ .rec.id = arena_strdup(v->ctx->arena, id) };
	return &v->issuers[v->nissuers++];
}

struct looking {
	struct verifying *v;
	size_t known;
};

static int on_ca_cert(void *arg, const struct certrec *r, struct err *e)
{
	struct looking *l = arg;
	struct verifying *v = l->v;
	struct bytes pem;

	/* The policy's own word on an authority counts alone: anybody who may push could claim one here. */
	if (r->ca_id == NULL || state_has(v->ctx->state, &ca_type, r->ca_id))
		return 0;
	if (ledger_cert_pem(v->ctx->state, r, &pem, e) != 0)
		return -1;
	verify_add_cert(v, former(v, l->known, r->ca_id), arena_strdup(v->ctx->arena, r->path), pem);
	return 0;
}

int verify_former_authorities(struct verifying *v, struct err *e)
{
	struct filter only = { .field = "is_ca", .op = OP_EQ, .value = "true" };
	struct query q = { .filters = &only, .nfilters = 1 };
	struct looking l = { v, v->nissuers };

	return ledger_each_cert(v->ctx->state, &q, on_ca_cert, &l, e);
}

int verify_entries(struct verifying *v, struct err *e)
{
	return inspect_entries(v->ctx->state, on_chunk, v, &v->inspector, e);
}
