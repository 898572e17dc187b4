/* Importing authorities (C2, C4). Guarantees: only certificates of CAs are taken, key and certificate match, chains may come in any
 * order, parents in the same file become authorities without key, and orphans are re-parented when their parent arrives. */
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

static int adopt(struct ctx *ctx, struct authority *child, const char *parent, struct err *e)
{
	struct certrec head;

	child->rec.parent_id = arena_strdup(ctx->arena, parent);
	if (issue_head_of(ctx->arena, parent, &child->cert, ctx->now, &head, e) != 0)
		return -1;
	return ca_store(ctx, &child->rec, child->cert.der, &head, e);
}

int ca_adopt_orphans(struct ctx *ctx, const char *id, const struct cert *c, struct err *e)
{
	struct authority *all;
	size_t n;

	if (authority_all(ctx, &all, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct authority *a = &all[i];
		if (a->rec.parent_id || a->cert.der.n == 0 || authority_is_root(a) || strcmp(a->rec.id, id) == 0 ||
		    !cert_issued_by(&a->cert, c))
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
			return err_set(e, ERR_DENIED, "certificate %zu is not a CA's: basicConstraints lacks cA (RFC 5280 4.2.1.9)", i + 1);
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
	return err_set(e, ERR_DENIED, key ? "the key belongs to none of the certificates" : "the certificates issued each other");
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

static bool known_already(struct ctx *ctx, const struct cert *c, struct err *e)
{
	struct authority *all;
	size_t n;

	if (authority_all(ctx, &all, &n, e) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (bytes_equal(all[i].cert.der, c->der))
			return true;
	return false;
}

/* --- storing --- */

static int store_one(struct ctx *ctx, struct ca *rec, const struct cert *c, struct err *e)
{
	struct certrec head;
	const char *issuer;

	if (ca_find_parent(ctx, c, &rec->parent_id, e) != 0)
		return -1;
	issuer = rec->parent_id ? rec->parent_id : bytes_equal(c->subject, c->issuer) ? rec->id : "-";
	if (issue_head_of(ctx->arena, issuer, c, ctx->now, &head, e) != 0 || ca_store(ctx, rec, c->der, &head, e) != 0)
		return -1;
	return ca_adopt_orphans(ctx, rec->id, c, e);
}

static int store_parents(struct ctx *ctx, const struct chain *c, size_t own, struct err *e)
{
	for (size_t i = 0; i < c->n; i++) {
		struct ca rec;

		if (i == own || known_already(ctx, &c->v[i], e))
			continue;
		rec_default(ctx->arena, &ca_type, &rec);
		rec.id = free_id(ctx, &c->v[i]);
		rec.type = CA_IMPORTED_WITHOUT_KEY;
		rec.created_at = ctx->now;
		if (store_one(ctx, &rec, &c->v[i], e) != 0)
			return -1;
		ctx_warn(ctx, "its issuer came along as ca %s", rec.id);
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

/* Finds or imports the key; *ret_key stays NULL when the authority comes without. */
static int take_key(struct ctx *ctx, const struct ca_arrival *in, EVP_PKEY *from_p12, EVP_PKEY **ret_key, struct key *ret_rec,
		    bool *ret_made, struct err *e)
{
	AUTO(EVP_PKEY) *key = from_p12;

	*ret_made = false;
	if (in->key_ref) {
		AUTO(EVP_PKEY) *pub = NULL;
		if (keys_resolve(ctx, in->key_ref, ret_rec, e) != 0 || key_from_public_pem(bytes_of(ret_rec->public_key), &pub, e) != 0)
			return -1;
		*ret_key = pub;
		pub = NULL;
		return 0;
	}
	if (key == NULL && in->key.n && key_load(in->key, in->passphrase, &key, e) != 0)
		return err_ctx(e, "key");
	*ret_key = key;
	key = NULL;
	return 0;
}

int ca_import(struct ctx *ctx, const struct ca_arrival *in, struct authority *ret, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL, *pub = NULL;
	struct chain *chain = arena_new_array(ctx->arena, 1, struct chain);
	struct p12 p12 = { 0 };
	struct bytes *ders;
	struct key krec = { 0 };
	struct ca rec;
	size_t n, own;
	bool made;
	struct err not_certs = { 0 };

	if (!id_valid(in->id))
		return err_set(e, ERR_INVALID, "\"%s\" is not an id", text_escape(ctx->arena, bytes_of(in->id)));
	if (state_has(ctx->state, &ca_type, in->id))
		return err_set(e, ERR_EXISTS, "ca %s exists already", in->id);
	if (cert_split(ctx->arena, in->certs, &ders, &n, &not_certs) != 0) {
		if (p12_load(ctx->arena, in->certs, in->passphrase, &p12, e) != 0)
			return e->code == ERR_DENIED ? -1 : (*e = not_certs, -1);
		ders = p12.certs;
		n = p12.ncerts;
	}
	if (take_key(ctx, in, p12.key, &key, &krec, &made, e) != 0 || read_chain(ctx, ders, n, chain, e) != 0 ||
	    pick(chain, key, &own, e) != 0 || cert_pubkey(&chain->v[own], &pub, e) != 0)
		return -1;
	warn_about(ctx, in->id, &chain->v[own], pub);
	if (key && in->key_ref == NULL) {
		if (keys_import(ctx, in->engine, key, in->id, &krec, e) != 0)
			return -1;
		made = true;
	} else if (key == NULL && keys_have(ctx, sha256_hex(ctx->arena, chain->v[own].spki)) &&
		   keys_resolve(ctx, sha256_hex(ctx->arena, chain->v[own].spki), &krec, e) != 0) {
		return -1;
	}
	rec_default(ctx->arena, &ca_type, &rec);
	rec.id = arena_strdup(ctx->arena, in->id);
	rec.type = key ? CA_IMPORTED_WITH_KEY : krec.id ? CA_MANAGED : CA_IMPORTED_WITHOUT_KEY;
	rec.key = krec.id;
	rec.engine_id = krec.engine_id;
	rec.issuance_profile_id = arena_strdup(ctx->arena, in->issuance_profile);
	rec.metadata = in->metadata;
	rec.created_at = ctx->now;
	if (store_parents(ctx, chain, own, e) != 0 || store_one(ctx, &rec, &chain->v[own], e) != 0 ||
	    (krec.id && keys_bind(ctx, &krec, "ca", rec.id, e) != 0) || authority_load(ctx, rec.id, ret, e) != 0) {
		if (made)
			keys_abandon(ctx, &krec);
		return err_ctx(e, "ca %s", in->id);
	}
	return 0;
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

static int install_cross(struct ctx *ctx, const struct authority *a, const struct cert *c, struct err *e)
{
	struct certrec head;
	char *parent;
	char *serial = cert_serial_hex(ctx->arena, c->serial);

	if (a->cert.der.n && !name_equal(a->cert.subject, c->subject))
		return err_set(e, ERR_DENIED, "the cross certificate has another subject than ca %s", a->rec.id);
	if (ca_find_parent(ctx, c, &parent, e) != 0 ||
	    issue_head_of(ctx->arena, parent ? parent : "-", c, ctx->now, &head, e) != 0)
		return -1;
	head.is_ca = true;
	head.ca_id = a->rec.id;
	return state_write(ctx->state, arena_printf(ctx->arena, "cas/%s/cross-%s.pem", a->rec.id, serial),
			   cert_pem(ctx->arena, c->der), e) != 0 ? -1 : issue_record(ctx, &head, c->der, e);
}

int ca_install(struct ctx *ctx, const char *id, struct bytes certs, bool cross, struct authority *ret, struct err *e)
{
	SCOPED_AUTHORITY a = { 0 };
	struct chain *chain = arena_new_array(ctx->arena, 1, struct chain);
	struct bytes *ders;
	size_t n, own;

	if (authority_load(ctx, id, &a, e) != 0 || cert_split(ctx->arena, certs, &ders, &n, e) != 0 ||
	    read_chain(ctx, ders, n, chain, e) != 0 || match_answer(ctx, &a, chain, &own, e) != 0)
		return err_ctx(e, "ca %s", id);
	if (store_parents(ctx, chain, own, e) != 0)
		return -1;
	if (cross)
		return install_cross(ctx, &a, &chain->v[own], e) != 0 ? err_ctx(e, "ca %s", id) : authority_load(ctx, id, ret, e);
	if (a.rec.serial_number) {
		a.rec.previous_serials.v = arena_grow(ctx->arena, a.rec.previous_serials.v, a.rec.previous_serials.n, sizeof(char *));
		a.rec.previous_serials.v[a.rec.previous_serials.n++] = a.rec.serial_number;
		a.rec.previous_serials.set = true;
	}
	if (store_one(ctx, &a.rec, &chain->v[own], e) != 0)
		return err_ctx(e, "ca %s", id);
	if (a.rec.parent_id == NULL && !bytes_equal(chain->v[own].subject, chain->v[own].issuer))
		ctx_warn(ctx, "ca %s: its parent is not known here; import it for whole chains", id);
	return authority_load(ctx, id, ret, e);
}
