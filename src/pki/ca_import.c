/* Importing authorities (C2, C4). Guarantees: only certificates of CAs are taken, key and certificate match, chains may
 * come in any order, parents in the same file become authorities without key, and orphans are re-parented when their
 * parent arrives. */
#include "pki/ca_import.h"

#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/bundle.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "pki/ca_create.h"
#include "pki/issue.h"
#include "pki/keys.h"
#include "pki/revoke.h"
#include "state/ledger.h"

enum { MAX_CHAIN = 32 };

int ca_find_parent(struct ctx *ctx, const struct cert *c, char **ret_id, struct err *e)
{
	struct authority *all;
	size_t n;

	*ret_id = NULL;
	if (bytes_equal(c->subject, c->issuer) && cert_issued_by(c, c))
		return 0;
	if (authority_all(ctx, &all, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (all[i].cert.der.n && cert_issued_by(c, &all[i].cert)) {
			*ret_id = all[i].rec.id;
			return 0;
		}
	return 0;
}

/* What the ledger says of a certificate whose issuer was not known: its revocation must hold under the issuer too. */
static int move_state(struct ctx *ctx, const struct certrec *head, struct certrec *ret_old, struct err *e)
{
	struct revoke_order o = { .action = REVOKE_REVOKE, .note = "recorded before its issuer was known" };
	struct err none = { 0 };

	*ret_old = (struct certrec){ .status = CERT_ACTIVE };
	if (ledger_cert(ctx->state, "-", head->serial_number, ret_old, &none) != 0)
		return none.code == ERR_NOT_FOUND ? 0 : (*e = none, -1);
	if (ret_old->status != CERT_REVOKED && ret_old->status != CERT_HELD)
		return 0;
	o.reason = ret_old->revocation_reason < 0 ? 0 : ret_old->revocation_reason;
	o.at = ret_old->revoked_at < ctx->now ? ret_old->revoked_at : ctx->now;
	return revoke_cert(ctx, head, &o, e);
}

static int adopt(struct ctx *ctx, struct authority *child, const char *parent, struct err *e)
{
	struct certrec head, old;

	child->rec.parent_id = arena_strdup(ctx->arena, parent);
	if (issue_head_of(ctx->arena, parent, &child->cert, ctx->now, &head, e) != 0 ||
	    move_state(ctx, &head, &old, e) != 0)
		return -1;
	head.metadata = old.metadata;
	return ca_store(ctx, &child->rec, child->cert.der, &head, e);
}

static bool is_above(const struct authority *a, const char *id)
{
	for (; a; a = a->parent)
		if (strcmp(a->rec.id, id) == 0)
			return true;
	return false;
}

int ca_adopt_orphans(struct ctx *ctx, const char *id, const struct cert *c, struct err *e)
{
	struct authority *all, parent;
	size_t n;

	if (authority_all(ctx, &all, &n, e) != 0 || authority_load(ctx, id, &parent, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct authority *a = &all[i];

		/* Two that certified each other must not be each other's parents. */
		if (a->rec.parent_id || a->cert.der.n == 0 || authority_is_root(a) || !cert_issued_by(&a->cert, c) ||
		    is_above(&parent, a->rec.id))
			continue;
		if (adopt(ctx, a, id, e) != 0)
			return err_ctx(e, "ca %s", a->rec.id);
	}
	return 0;
}

/* --- which certificate is the one --- */

struct chain {
	struct cert v[MAX_CHAIN];
	size_t n;
};

static int read_chain(struct ctx *ctx, const struct bytes *ders, size_t n, struct chain *ret, struct err *e)
{
	if (n > MAX_CHAIN)
		return err_set(e, ERR_INVALID, "more than %d certificates", MAX_CHAIN);
	for (size_t i = 0; i < n; i++) {
		if (cert_parse(ctx->arena, ders[i], &ret->v[i], e) != 0)
			return err_ctx(e, "certificate %zu", i + 1);
		if (!ret->v[i].is_ca)
			return err_set(e, ERR_DENIED,
				       "certificate %zu is not a CA's: basicConstraints lacks cA (RFC 5280 4.2.1.9)",
				       i + 1);
	}
	ret->n = n;
	return 0;
}

/* The certificate of the key; without a key, the one that issued none of the others. */
static int pick(const struct chain *c, const EVP_PKEY *key, size_t *ret, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		AUTO(EVP_PKEY) *pub = NULL;
		bool issued = false;

		for (size_t j = 0; key == NULL && j < c->n; j++)
			issued = issued || (i != j && cert_issued_by(&c->v[j], &c->v[i]));
		if (key && cert_pubkey(&c->v[i], &pub, e) != 0)
			return -1;
		if (key ? key_matches(key, pub) : !issued) {
			*ret = i;
			return 0;
		}
	}
	return err_set(e, ERR_DENIED,
		       key ? "no certificate in the file is for the key" : "the certificates issued each other");
}

/* --- names for parents that came along --- */

char *ca_slug(struct arena *a, const struct cert *c)
{
	char *cn = name_cn(a, c->subject), *out = arena_strdup(a, cn && *cn ? cn : "ca");
	size_t w = 0;

	for (const char *p = out; *p && w < 48; p++) {
		char ch = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
		bool plain = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
		if (plain || (w > 0 && out[w - 1] != '-'))
			out[w++] = plain ? ch : '-';
	}
	while (w > 0 && out[w - 1] == '-')
		w--;
	out[w] = '\0';
	return w ? out : arena_strdup(a, "ca");
}

static char *free_id(struct ctx *ctx, const struct cert *c)
{
	char *base = ca_slug(ctx->arena, c), *id = base;

	for (int i = 2; state_has(ctx->state, &ca_type, id); i++)
		id = arena_printf(ctx->arena, "%s-%d", base, i);
	return id;
}

/* The authority that a certificate belongs to already; NULL: none of this repository. */
static const char *owner(struct ctx *ctx, const struct cert *c)
{
	const char *serial = cert_serial_hex(ctx->arena, c->serial);
	struct err none = { 0 };
	struct bytes pem;
	struct certrec r;
	struct cert kept;

	if (ledger_cert(ctx->state, NULL, cert_fingerprint(ctx->arena, c), &r, &none) != 0 || r.ca_id == NULL)
		return NULL;
	if (state_read(ctx->state, arena_printf(ctx->arena, "cas/%s/%s.pem", r.ca_id, serial), &pem, &none) != 0 ||
	    cert_parse(ctx->arena, pem, &kept, &none) != 0)
		return NULL;
	return bytes_equal(kept.der, c->der) ? r.ca_id : NULL;
}

/* --- storing --- */

static int store_one(struct ctx *ctx, struct ca *rec, const struct cert *c, struct err *e)
{
	struct certrec head;
	const char *issuer;

	if (ca_find_parent(ctx, c, &rec->parent_id, e) != 0)
		return -1;
	issuer = rec->parent_id ? rec->parent_id : bytes_equal(c->subject, c->issuer) ? rec->id : "-";
	if (issuer == rec->id && !cert_issued_by(c, c))
		return err_set(e, ERR_DENIED,
			       "the certificate names itself as issuer, but its signature does not verify");
	if (issue_head_of(ctx->arena, issuer, c, ctx->now, &head, e) != 0 || ca_store(ctx, rec, c->der, &head, e) != 0)
		return -1;
	return ca_adopt_orphans(ctx, rec->id, c, e);
}

static int store_parents(struct ctx *ctx, const struct chain *c, size_t own, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		struct ca rec;

		if (i == own || owner(ctx, &c->v[i]))
			continue;
		rec_default(ctx->arena, &ca_type, &rec);
		rec.id = free_id(ctx, &c->v[i]);
		rec.type = CA_IMPORTED_WITHOUT_KEY;
		rec.created_at = ctx->now;
		if (store_one(ctx, &rec, &c->v[i], e) != 0)
			return err_ctx(e, "ca %s", rec.id);
		ctx_warn(ctx, "ca %s came along with the chain, without key", rec.id);
	}
	return 0;
}

static void warn_about(struct ctx *ctx, const char *id, const struct cert *c, const EVP_PKEY *pub)
{
	const char *weak = key_weakness(pub);

	if (weak)
		ctx_warn(ctx, "ca %s: its key is weak: %s", id, weak);
	if (c->not_after < ctx->now)
		ctx_warn(ctx, "ca %s: its certificate ended %s", id, tm_format(ctx->arena, c->not_after));
}

bool arrival_needs_passphrase(struct arena *ar, const struct ca_arrival *in)
{
	struct err ignored = { 0 };
	struct bytes *ders;
	size_t n;

	if (in->passphrase)
		return false;
	return (in->key.n && key_is_encrypted(in->key)) || cert_split(ar, in->certs, &ders, &n, &ignored) != 0;
}

/* --- importing --- */

struct importing {
	struct ctx *ctx;
	const struct ca_arrival *in;
	struct chain chain;
	size_t own;        /* which of the chain */
	EVP_PKEY *key;     /* that came in a file, owned; NULL: none */
	struct key rec;    /* id NULL: the authority has no key here */
	bool made;         /* the private part entered an engine just now */
};

static int read_arrival(struct importing *m, struct err *e)
{
	const struct ca_arrival *in = m->in;
	struct err not_certs = { 0 };
	struct p12 p12 = { 0 };

	if (cert_split(m->ctx->arena, in->certs, &p12.certs, &p12.ncerts, &not_certs) != 0 &&
	    p12_load(m->ctx->arena, in->certs, in->passphrase, &p12, e) != 0)
		return e->code == ERR_DENIED ? -1 : (*e = not_certs, -1);
	m->key = p12.key;
	if (m->key == NULL && in->key.n && key_load(in->key, in->passphrase, &m->key, e) != 0)
		return err_ctx(e, "key");
	return read_chain(m->ctx, p12.certs, p12.ncerts, &m->chain, e);
}

/* An existing key that was named, or none. */
static int named_key(struct importing *m, EVP_PKEY **ret, struct err *e)
{
	const char *ref = m->in->key_ref;

	if (ref == NULL)
		return 0;
	if (keys_take(m->ctx, ref, m->in->engine, &m->rec, e) != 0)
		return -1;
	if (!m->rec.has_private_key)
		return err_set(e, ERR_DENIED, "key \"%s\" has only its public part here",
			       text_escape(m->ctx->arena, bytes_of(ref)));
	return key_from_public_pem(bytes_of(m->rec.public_key), ret, e);
}

/* The certificate's key, if its private part is here; and if not, the one that came with it is taken into an engine. */
static int take_key(struct importing *m, struct err *e)
{
	struct ctx *ctx = m->ctx;
	const char *id = sha256_hex(ctx->arena, m->chain.v[m->own].spki);
	struct key here = { 0 };

	if (keys_have(ctx, id) && state_get(ctx->state, &key_type, id, &here, e) != 0)
		return -1;
	if (here.has_private_key) {
		m->rec = here;
	} else if (m->key) {
		if (keys_import(ctx, m->in->engine, m->key, m->in->id, &m->rec, e) != 0)
			return -1;
		m->made = true;
	}
	return m->rec.id ? ca_key_is_free(ctx, &m->rec, e) : 0;
}

static int store_arrival(struct importing *m, struct err *e)
{
	const struct ca_arrival *in = m->in;
	struct arena *ar = m->ctx->arena;
	struct ca rec;

	rec_default(ar, &ca_type, &rec);
	rec.id = arena_strdup(ar, in->id);
	rec.type = m->key || in->key_ref ? CA_IMPORTED_WITH_KEY : m->rec.id ? CA_MANAGED : CA_IMPORTED_WITHOUT_KEY;
	rec.key = m->rec.id;
	rec.engine_id = m->rec.engine_id;
	rec.issuance_profile_id = arena_strdup(ar, in->issuance_profile);
	rec.metadata = in->metadata;
	rec.created_at = m->ctx->now;
	if (store_parents(m->ctx, &m->chain, m->own, e) != 0 || store_one(m->ctx, &rec, &m->chain.v[m->own], e) != 0)
		return -1;
	return m->rec.id ? keys_bind(m->ctx, &m->rec, "ca", rec.id, e) : 0;
}

static int import(struct importing *m, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL, *named = NULL;
	const struct cert *c;
	const char *known;

	if (named_key(m, &named, e) != 0 || read_arrival(m, e) != 0 ||
	    pick(&m->chain, m->key ? m->key : named, &m->own, e) != 0)
		return -1;
	c = &m->chain.v[m->own];
	known = owner(m->ctx, c);
	if (known)
		return err_set(e, ERR_EXISTS, "the certificate is that of ca %s", known);
	if (cert_pubkey(c, &pub, e) != 0)
		return -1;
	warn_about(m->ctx, m->in->id, c, pub);
	return take_key(m, e) != 0 ? -1 : store_arrival(m, e);
}

int ca_import(struct ctx *ctx, const struct ca_arrival *in, struct authority *ret, bool *ret_key_is_new, struct err *e)
{
	struct importing *m = arena_new_array(ctx->arena, 1, struct importing);
	int rc;

	m->ctx = ctx;
	m->in = in;
	if (!id_valid(in->id))
		return err_set(e, ERR_INVALID, "\"%s\" is not an id: [a-z0-9][a-z0-9._-]{0,63}",
			       text_escape(ctx->arena, bytes_of(in->id)));
	if (state_has(ctx->state, &ca_type, in->id))
		return err_set(e, ERR_EXISTS, "ca %s exists already", in->id);
	rc = import(m, e) != 0 || authority_load(ctx, in->id, ret, e) != 0 ? -1 : 0;
	EVP_PKEY_free(m->key);
	if (rc != 0 && m->made)
		keys_abandon(ctx, &m->rec);
	*ret_key_is_new = m->made;
	return rc != 0 ? err_ctx(e, "ca %s", in->id) : 0;
}

/* --- the answer of a parent elsewhere --- */

static int match_answer(struct ctx *ctx, const struct authority *a, const struct chain *c, size_t *ret, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct key k;

	if (authority_key_record(ctx, a, &k, e) != 0 || key_from_public_pem(bytes_of(k.public_key), &pub, e) != 0)
		return -1;
	return pick(c, pub, ret, e);
}

/* Also as one that it has had. */
static bool is_kept(struct ctx *ctx, const struct authority *a, const char *file)
{
	struct err none = { 0 };
	struct bytes pem;

	return state_read(ctx->state, arena_printf(ctx->arena, "cas/%s/%s.pem", a->rec.id, file), &pem, &none) == 0;
}

/* Beside the authority's own certificate; the issuer, if it is here, has recorded it. */
static int install_cross(struct ctx *ctx, const struct authority *a, const struct cert *c, struct err *e)
{
	char *file = arena_printf(ctx->arena, "cross-%s", cert_serial_hex(ctx->arena, c->serial)), *parent;
	struct err none = { 0 };
	struct certrec head, old;

	if (a->cert.der.n == 0)
		return err_set(e, ERR_CONFLICT, "it is PENDING: install its own certificate first");
	if (!name_equal(a->cert.subject, c->subject))
		return err_set(e, ERR_DENIED, "the cross certificate has another subject");
	if (bytes_equal(c->subject, c->issuer))
		return err_set(e, ERR_DENIED, "a cross certificate has another issuer");
	if (is_kept(ctx, a, file))
		return err_set(e, ERR_EXISTS, "certificate %s is installed already", file);
	if (ca_find_parent(ctx, c, &parent, e) != 0 ||
	    issue_head_of(ctx->arena, parent ? parent : "-", c, ctx->now, &head, e) != 0 ||
	    state_write(ctx->state, arena_printf(ctx->arena, "cas/%s/%s.pem", a->rec.id, file),
			cert_pem(ctx->arena, c->der), e) != 0)
		return -1;
	head.is_ca = true;
	head.ca_id = a->rec.id;
	return ledger_cert(ctx->state, head.ca, head.fingerprint, &old, &none) == 0
	       ? 0 : issue_record(ctx, &head, c->der, e);
}

/* A newer certificate in place of the first or of an older one. */
static int install_newest(struct ctx *ctx, struct authority *a, const struct cert *c, struct err *e)
{
	const char *serial = cert_serial_hex(ctx->arena, c->serial);
	struct strv *prev = &a->rec.previous_serials;

	if (a->rec.serial_number) {
		if (!name_equal(a->cert.subject, c->subject))
			return err_set(e, ERR_DENIED, "the certificate has another subject: what was issued would no "
				       "longer chain to it");
		if (is_kept(ctx, a, serial))
			return err_set(e, ERR_EXISTS, "certificate %s is installed already", serial);
		if (!bytes_equal(a->cert.ski, c->ski))
			ctx_warn(ctx, "ca %s: the certificate has another subject key identifier than the one before: "
				 "what was issued may not chain to it", a->rec.id);
		prev->v = arena_grow(ctx->arena, prev->v, prev->n, sizeof(*prev->v));
		prev->v[prev->n++] = a->rec.serial_number;
		prev->set = true;
	}
	if (c->not_after < ctx->now)
		ctx_warn(ctx, "ca %s: the certificate ended %s", a->rec.id, tm_format(ctx->arena, c->not_after));
	return store_one(ctx, &a->rec, c, e);
}

static int install(struct ctx *ctx, struct authority *a, struct bytes certs, bool cross, struct err *e)
{
	struct chain *chain = arena_new_array(ctx->arena, 1, struct chain);
	struct bytes *ders;
	size_t n, own;

	if (cert_split(ctx->arena, certs, &ders, &n, e) != 0 || read_chain(ctx, ders, n, chain, e) != 0 ||
	    match_answer(ctx, a, chain, &own, e) != 0 || store_parents(ctx, chain, own, e) != 0)
		return -1;
	return cross ? install_cross(ctx, a, &chain->v[own], e) : install_newest(ctx, a, &chain->v[own], e);
}

int ca_install(struct ctx *ctx, const char *id, struct bytes certs, bool cross, struct authority *ret, struct err *e)
{
	SCOPED_AUTHORITY a = { 0 };

	if (authority_load(ctx, id, &a, e) != 0)
		return -1;
	if (install(ctx, &a, certs, cross, e) != 0)
		return err_ctx(e, "ca %s", a.rec.id);
	if (authority_load(ctx, a.rec.id, ret, e) != 0)
		return -1;
	if (!cross && ret->parent == NULL && !authority_is_root(ret))
		ctx_warn(ctx, "ca %s: its parent is not known here; import it for whole chains", ret->rec.id);
	return 0;
}
