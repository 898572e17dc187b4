/* Loading authorities. Guarantees: the record, its certificate and its key agree (the certificate's serial is the
 * record's, the key's public half is the certificate's), the chain of parents has no loop, and the status is computed
 * from dates, ledger and the operator's switch alone. Never writes. */
#include "pki/authority.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "engine/engine.h"
#include "pki/crl_parts.h"
#include "state/ledger.h"

enum { MAX_LEVELS = 32 };

void authority_release(struct authority *a)
{
	EVP_PKEY_free(a->key);
	a->key = NULL;
}

bool authority_is_root(const struct authority *a)
{
	return a->cert.der.n > 0 && bytes_equal(a->cert.subject, a->cert.issuer);
}

int authority_compute_status(const struct ca *rec, const struct cert *cert, bool revoked, int64_t now)
{
	if (cert->der.n == 0)
		return CA_PENDING;
	if (revoked)
		return CA_REVOKED;
	if (now > cert->not_after)
		return CA_EXPIRED;
	return rec->disabled || rec->compromised ? CA_INACTIVE : CA_ACTIVE;
}

static int read_cert(struct ctx *ctx, struct authority *a, struct err *e)
{
	const char *path = arena_printf(ctx->arena, "cas/%s/ca.pem", a->rec.id);
	struct bytes pem;
	struct err missing = { 0 };

	if (a->rec.serial_number == NULL)
		return 0; /* requested, not installed yet */
	if (state_read(ctx->state, path, &pem, &missing) != 0) {
		*e = missing;
		return err_ctx(e, "ca %s", a->rec.id);
	}
	if (cert_parse(ctx->arena, pem, &a->cert, e) != 0)
		return err_ctx(e, "%s", path);
	if (strcmp(cert_serial_hex(ctx->arena, a->cert.serial), a->rec.serial_number) != 0)
		return err_set(e, ERR_CHECK, "%s: the certificate's serial number is not that of ca.yaml", path);
	return 0;
}

int authority_check_revoked(struct ctx *ctx, struct authority *a, struct err *e)
{
	const char *issuer = a->parent ? a->parent->rec.id : authority_is_root(a) ? a->rec.id : "-";
	struct certrec rec;
	struct err none = { 0 };
	bool revoked;

	a->revocation_reason = -1;
	if (a->cert.der.n == 0) {
		a->status = CA_PENDING;
		return 0;
	}
	if (ledger_cert(ctx->state, issuer, a->rec.serial_number, &rec, &none) != 0) {
		if (none.code != ERR_NOT_FOUND) {
			*e = none;
			return -1;
		}
		rec = (struct certrec){ .revocation_reason = -1 };
	}
	revoked = rec.status == CERT_REVOKED || rec.status == CERT_HELD;
	if (revoked) {
		a->revocation_reason = rec.revocation_reason;
		a->revoked_at = rec.revoked_at;
	}
	a->status = authority_compute_status(&a->rec, &a->cert, revoked, ctx->now);
	return 0;
}

static int load_chain(struct ctx *ctx, const char *id, int depth, struct authority *ret, struct err *e)
{
	struct authority a = { .revocation_reason = -1 };

	if (depth > MAX_LEVELS)
		return err_set(e, ERR_INVALID, "ca %s: the chain of parents has a loop or more than %d levels", id,
			       MAX_LEVELS);
	if (state_get(ctx->state, &ca_type, id, &a.rec, e) != 0 || read_cert(ctx, &a, e) != 0)
		return -1;
	if (a.rec.parent_id) {
		a.parent = arena_new_array(ctx->arena, 1, struct authority);
		if (load_chain(ctx, a.rec.parent_id, depth + 1, a.parent, e) != 0)
			return err_ctx(e, "ca %s", id);
		a.level = a.parent->level + 1;
	}
	if (authority_check_revoked(ctx, &a, e) != 0)
		return err_ctx(e, "ca %s", id);
	*ret = a;
	return 0;
}

/* `ca show SERIAL` finds the authority that a certificate belongs to (C8); NULL: none. */
static char *by_serial(struct ctx *ctx, const char *ref)
{
	struct certrec rec;
	struct err miss = { 0 };

	return strlen(ref) >= 8 && ledger_cert(ctx->state, NULL, ref, &rec, &miss) == 0 ? rec.ca_id : NULL;
}

/* A CRL issuer that has no certificate yet signs nothing yet. */
static int find_crl_issuer(struct ctx *ctx, struct authority *a, struct err *e)
{
	struct err none = { 0 };
	struct cert signer;
	struct key k;

	if (a->rec.crl.issuer_key == NULL)
		return 0;
	if (crl_signer(ctx, &a->rec, &k, &signer, &none) == 0)
		a->crl_issuer = signer.subject;
	else if (none.code != ERR_NOT_FOUND)
		*e = none;
	return e->code == ERR_NONE ? 0 : -1;
}

int authority_load(struct ctx *ctx, const char *ref, struct authority *ret, struct err *e)
{
	char *id = state_has(ctx->state, &ca_type, ref) ? NULL : by_serial(ctx, ref);

	return load_chain(ctx, id ? id : ref, 0, ret, e) != 0 ? -1 : find_crl_issuer(ctx, ret, e);
}

int authority_key_record(struct ctx *ctx, const struct authority *a, struct key *ret, struct err *e)
{
	if (a->rec.key == NULL)
		return err_set(e, ERR_DENIED, "ca %s has no key here: its type is %s", a->rec.id,
			       ca_kind_names[a->rec.type]);
	return state_get(ctx->state, &key_type, a->rec.key, ret, e) != 0 ? err_ctx(e, "ca %s", a->rec.id) : 0;
}

int authority_clock(struct ctx *ctx, struct err *e)
{
	return ctx->now_given ? 0 : state_clock_check(ctx->state, e);
}

int authority_take_key(struct authority *a, EVP_PKEY *key, struct err *e)
{
	AUTO(EVP_PKEY) *owned = key, *pub = NULL;

	if (a->cert.der.n > 0) {
		if (cert_pubkey(&a->cert, &pub, e) != 0)
			return err_ctx(e, "ca %s", a->rec.id);
		if (!key_matches(key, pub))
			return err_set(e, ERR_DENIED, "ca %s: the key does not belong to the certificate", a->rec.id);
	}
	a->alg = sigalg_default(key);
	if (a->alg == NULL)
		return err_set(e, ERR_UNSUPPORTED, "ca %s: no signature algorithm for its key", a->rec.id);
	a->key = owned;
	owned = NULL;
	return 0;
}

int authority_open_key(struct ctx *ctx, struct authority *a, struct err *e)
{
	struct key rec;
	EVP_PKEY *key;

	if (a->key)
		return 0;
	if (authority_clock(ctx, e) != 0 || authority_key_record(ctx, a, &rec, e) != 0)
		return -1;
	if (engine_key(ctx, &rec, &key, e) != 0)
		return err_ctx(e, "ca %s", a->rec.id);
	return authority_take_key(a, key, e);
}

int authority_may_issue(const struct authority *a, struct err *e)
{
	if (a->rec.compromised)
		return err_set(e, ERR_DENIED, "ca %s is compromised and issues nothing", a->rec.id);
	if (a->status != CA_ACTIVE)
		return err_set(e, ERR_DENIED, "ca %s is %s and issues nothing", a->rec.id, ca_status_names[a->status]);
	if (a->cert.key_usage && !(a->cert.key_usage & USE_CERT_SIGN))
		return err_set(e, ERR_DENIED, "ca %s: its certificate lacks keyCertSign (RFC 5280 4.2.1.3)", a->rec.id);
	for (const struct authority *p = a->parent; p; p = p->parent)
		if (p->status == CA_REVOKED || p->status == CA_EXPIRED)
			return err_set(e, ERR_DENIED, "ca %s issues nothing: its ancestor %s is %s", a->rec.id,
				       p->rec.id, ca_status_names[p->status]);
	return 0;
}

int authority_chain(struct arena *ar, const struct authority *a, struct bytes **ret, size_t *ret_n, struct err *e)
{
	struct bytes *v = NULL;
	size_t n = 0;

	for (; a && a->cert.der.n; a = a->parent) {
		if (n == MAX_LEVELS)
			return err_set(e, ERR_INVALID, "the chain is longer than %d certificates", MAX_LEVELS);
		v = arena_grow(ar, v, n, sizeof(*v));
		v[n++] = a->cert.der;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

struct bytes authority_key_id(struct arena *ar, const struct authority *a)
{
	return a->cert.ski.n ? a->cert.ski : cert_key_id(ar, a->cert.spki);
}

char *authority_subject(struct arena *ar, const struct authority *a)
{
	struct err ignored = { 0 };
	char *text;

	if (a->cert.der.n == 0 || name_format(ar, a->cert.subject, &text, &ignored) != 0)
		return arena_strdup(ar, "");
	return text;
}

static int view_cert(struct ctx *ctx, const struct authority *a, struct ca_view *v, struct err *e)
{
	struct arena *ar = ctx->arena;
	struct bytes pem = cert_pem(ar, a->cert.der);
	AUTO(EVP_PKEY) *pub = NULL;
	const struct keytype *kt;

	v->serial_number = a->rec.serial_number;
	v->valid_from = a->cert.not_before;
	v->valid_to = a->cert.not_after;
	v->subject_key_id = hex_encode(ar, a->cert.ski);
	v->authority_key_id = hex_encode(ar, a->cert.aki);
	v->fingerprint = cert_fingerprint(ar, &a->cert);
	v->certificate = arena_strndup(ar, (const char *)pem.p, pem.n);
	v->key_id = sha256_hex(ar, a->cert.spki);
	if (cert_pubkey(&a->cert, &pub, e) != 0)
		return err_ctx(e, "ca %s", a->rec.id);
	kt = keytype_of(pub);
	v->key_type = arena_strdup(ar, kt ? kt->name : "other");
	return name_format(ar, a->cert.subject, &v->subject, e) || name_format(ar, a->cert.issuer, &v->issuer, e)
	       ? -1 : 0;
}

/* Without a certificate yet: the key that it will be for, to compare with the request. */
static void view_key(struct ctx *ctx, const struct authority *a, struct ca_view *v)
{
	struct err ignored = { 0 };
	const struct keytype *kt;
	struct key k;

	if (authority_key_record(ctx, a, &k, &ignored) != 0)
		return;
	kt = keytype_find(k.algorithm, k.size);
	v->key_id = k.id;
	v->key_type = arena_strdup(ctx->arena, kt ? kt->name : "other");
}

int authority_view(struct ctx *ctx, const struct authority *a, struct ca_view *ret, struct err *e)
{
	struct ca_view v = { .id = a->rec.id, .status = a->status, .type = a->rec.type, .level = a->level,
		.parent_id = a->rec.parent_id, .engine_id = a->rec.engine_id, .profile_id = a->rec.profile_id,
		.issuance_profile_id = a->rec.issuance_profile_id, .metadata = a->rec.metadata,
		.previous_serials = a->rec.previous_serials, .created_at = a->rec.created_at };
	struct engine_doc doc;
	struct err ignored = { 0 };

	if (a->cert.der.n == 0)
		view_key(ctx, a, &v);
	else if (view_cert(ctx, a, &v, e) != 0)
		return -1;
	if (a->rec.engine_id && state_get(ctx->state, &engine_type, a->rec.engine_id, &doc, &ignored) == 0)
		v.security_level = arena_printf(ctx->arena, "SL%d", engine_security_level(&doc));
	if (a->parent)
		v.issuer_metadata = (struct issuer_metadata){ a->parent->rec.serial_number, a->parent->rec.id,
							      a->parent->level };
	else if (authority_is_root(a))
		v.issuer_metadata = (struct issuer_metadata){ a->rec.serial_number, a->rec.id, 0 };
	else
		v.issuer_metadata = (struct issuer_metadata){ NULL, arena_strdup(ctx->arena, "-"), -1 };
	*ret = v;
	return 0;
}

int authority_all(struct ctx *ctx, struct authority **ret, size_t *ret_n, struct err *e)
{
	struct strv ids;
	struct authority *v;

	if (state_ids(ctx->state, &ca_type, &ids, e) != 0)
		return -1;
	v = arena_new_array(ctx->arena, ids.n + 1, struct authority);
	for (size_t i = 0; i < ids.n; i++)
		if (load_chain(ctx, ids.v[i], 0, &v[i], e) != 0)
			return -1;
	*ret = v;
	*ret_n = ids.n;
	return 0;
}
