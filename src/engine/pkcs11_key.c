/* Making, naming and removing keys on a token. Guarantees: private keys are made to stay (sensitive, not extractable);
 * half a pair, or a pair whose making was reported as failed, is removed before anything is tried again; both halves
 * carry the same CKA_ID, which is the key's id where the token permits that. */
#include <openssl/rand.h>
#include <string.h>

#include "base/text.h"
#include "crypto/key.h"
#include "engine/pkcs11.h"

enum { ID_LEN = 16, SAME_ID = 16 };
#define LUNA_RSA_FIPS_186_3 (CKM_VENDOR_DEFINED + 0x143) /* Thales: the only way in FIPS mode */

int p11_writable(const struct p11 *p, struct err *e)
{
	if (p->config->read_only)
		return err_set(e, ERR_DENIED, "it is read-only, as its document says");
	if (p->read_only)
		return err_set(e, ERR_DENIED, "the token is write-protected");
	return 0;
}

static void remove_class(struct p11_use *u, const char *handle, CK_OBJECT_CLASS class)
{
	CK_OBJECT_HANDLE v[SAME_ID];
	struct err ignored = { 0 };
	CK_RV rv = u->rv;
	size_t n;

	if (p11_objects(u, handle, class, v, COUNT(v), &n, &ignored) == 0)
		for (size_t i = 0; i < n; i++)
			P11(u->f, C_DestroyObject, u->s, v[i]);
	u->rv = rv; /* of what went wrong before */
}

int p11_fresh_id(struct p11_use *u, struct bytes *id, struct err *e)
{
	unsigned char random[ID_LEN];

	if (id->n) {
		p11_remove(u, *id);
		return 0;
	}
	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_ossl(e, "random numbers");
	*id = (struct bytes){ arena_memdup(u->arena, random, sizeof(random)), sizeof(random) };
	return 0;
}

void p11_remove(struct p11_use *u, struct bytes id)
{
	const char *handle = hex_encode(u->arena, id);

	remove_class(u, handle, CKO_PRIVATE_KEY);
	remove_class(u, handle, CKO_PUBLIC_KEY);
}

/* --- generate --- */

struct making {
	const struct keytype *type;
	const char *label;
	struct bytes id;
	char *handle;
	EVP_PKEY *pub;
};

CK_MECHANISM_TYPE p11_rsa_generator(const struct p11 *p)
{
	static const CK_MECHANISM_TYPE ways[] = { CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_X9_31_KEY_PAIR_GEN,
						  LUNA_RSA_FIPS_186_3 };

	for (size_t i = 0; i < COUNT(ways); i++)
		if (p11_has(p, ways[i]))
			return ways[i];
	return P11_NONE;
}

static CK_MECHANISM_TYPE mechanism_for(const struct p11 *p, const struct keytype *type)
{
	if (strcmp(type->ossl, "RSA") == 0)
		return p11_rsa_generator(p);
	return type->group ? CKM_EC_KEY_PAIR_GEN : CKM_EC_EDWARDS_KEY_PAIR_GEN;
}

static CK_RV make_pair(struct p11_use *u, const struct making *m, struct bytes curve, CK_OBJECT_HANDLE pair[2])
{
	static const CK_BYTE exponent[] = { 1, 0, 1 };
	CK_MECHANISM how = { .mechanism = mechanism_for(u->p, m->type) };
	CK_ULONG bits = (CK_ULONG)m->type->bits;
	CK_ATTRIBUTE pub[8] = { P11_VAR(CKA_TOKEN, p11_yes), P11_VAR(CKA_PRIVATE, p11_no), P11_VAR(CKA_VERIFY, p11_yes),
				P11_ATTR(CKA_LABEL, m->label, strlen(m->label)), P11_ATTR(CKA_ID, m->id.p, m->id.n) };
	CK_ATTRIBUTE priv[] = { P11_VAR(CKA_TOKEN, p11_yes), P11_VAR(CKA_PRIVATE, p11_yes),
				P11_VAR(CKA_SENSITIVE, p11_yes),
				P11_VAR(CKA_EXTRACTABLE, p11_no), P11_VAR(CKA_SIGN, p11_yes),
				P11_ATTR(CKA_LABEL, m->label, strlen(m->label)), P11_ATTR(CKA_ID, m->id.p, m->id.n) };
	size_t n = 5;

	if (curve.n) {
		pub[n++] = P11_ATTR(CKA_EC_PARAMS, curve.p, curve.n);
	} else {
		pub[n++] = P11_VAR(CKA_MODULUS_BITS, bits);
		pub[n++] = P11_ATTR(CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
	}
	return P11_SLOW(u->f, C_GenerateKeyPair, u->s, &how, pub, n, priv, COUNT(priv), &pair[0], &pair[1]);
}

/* Ed25519 by its name as well: before PKCS#11 3.0 some took only that. */
static CK_RV make_any(struct p11_use *u, const struct making *m, CK_OBJECT_HANDLE pair[2])
{
	static const struct bytes by_name = { (const unsigned char *)"\x13\x0c" "edwards25519", 14 };
	CK_RV rv = make_pair(u, m, p11_curve(m->type), pair);

	if (strcmp(m->type->ossl, "ED25519") == 0 && p11_not_able(rv))
		rv = make_pair(u, m, by_name, pair);
	return rv;
}

int p11_settle(struct p11_use *u, const CK_OBJECT_HANDLE pair[2], const EVP_PKEY *pub, struct bytes id_now,
	       char **ret_handle, struct err *e)
{
	CK_ATTRIBUTE now = P11_ATTR(CKA_ID, id_now.p, id_now.n), wanted;
	struct bytes spki, id;

	if (key_spki(u->arena, pub, &spki, e) != 0 || hex_decode(u->arena, key_id(u->arena, spki), &id) != 0)
		return -1;
	wanted = P11_ATTR(CKA_ID, id.p, id.n);
	*ret_handle = hex_encode(u->arena, id);
	if (P11(u->f, C_SetAttributeValue, u->s, pair[1], &wanted, 1) != CKR_OK) {
		*ret_handle = hex_encode(u->arena, id_now);
	} else if (P11(u->f, C_SetAttributeValue, u->s, pair[0], &wanted, 1) != CKR_OK) {
		*ret_handle = hex_encode(u->arena, id_now);
		if (P11(u->f, C_SetAttributeValue, u->s, pair[1], &now, 1) != CKR_OK)
			return err_set(e, ERR_REMOTE, "the token gives the halves of the new key different names");
	}
	return 0;
}

static int make(struct p11_use *u, void *arg, struct err *e)
{
	struct making *m = arg;
	CK_OBJECT_HANDLE pair[2];
	CK_RV rv;

	m->label = arena_strdup(u->arena, m->label);
	if (p11_fresh_id(u, &m->id, e) != 0)
		return -1;
	rv = make_any(u, m, pair);
	if (rv == CKR_OK && p11_public(u, pair[0], &m->pub, e) == 0 &&
	    p11_settle(u, pair, m->pub, m->id, &m->handle, e) == 0)
		return 0;
	p11_remove(u, m->id);
	return rv == CKR_OK ? -1 : p11_fail(u, "C_GenerateKeyPair", rv, e);
}

int p11_generate(struct ctx *ctx, struct engine *en, const struct keytype *type, const char *label, struct keyref *ret,
		 EVP_PKEY **ret_pub, struct err *e)
{
	struct making m = { .type = type, .label = label ? label : "" };
	struct p11 *p = en->priv;

	if (p11_writable(p, e) != 0)
		return -1;
	if (p11_run(ctx, p, ctx->arena, make, &m, e) != 0) {
		EVP_PKEY_free(m.pub);
		return -1;
	}
	*ret = (struct keyref){ .handle = m.handle, .label = label };
	*ret_pub = m.pub;
	return 0;
}

/* --- destroy --- */

static int destroy(struct p11_use *u, void *arg, struct err *e)
{
	const struct keyref *ref = arg;
	struct p11_known k;
	CK_RV rv;

	if (p11_key(u, ref->handle, &k, e) != 0)
		return -1;
	rv = P11(u->f, C_DestroyObject, u->s, k.object);
	if (rv != CKR_OK)
		return p11_fail(u, "C_DestroyObject", rv, e);
	remove_class(u, ref->handle, CKO_PUBLIC_KEY);
	return 0;
}

int p11_destroy(struct ctx *ctx, struct engine *en, const struct keyref *ref, int64_t *ret_gone_at, struct err *e)
{
	struct keyref named = *ref;

	if (p11_writable(en->priv, e) != 0 || p11_run(ctx, en->priv, ctx->arena, destroy, &named, e) != 0)
		return -1;
	*ret_gone_at = 0;
	return 0;
}

/* --- the name that people see --- */

struct labelling {
	const char *handle, *label;
};

static int set_label(struct p11_use *u, void *arg, struct err *e)
{
	const struct labelling *l = arg;
	CK_ATTRIBUTE t = P11_ATTR(CKA_LABEL, arena_strdup(u->arena, l->label), strlen(l->label));
	CK_OBJECT_HANDLE pub;
	struct p11_known k;
	size_t n;
	CK_RV rv;

	if (p11_key(u, l->handle, &k, e) != 0 || p11_objects(u, l->handle, CKO_PUBLIC_KEY, &pub, 1, &n, e) != 0)
		return -1;
	rv = P11(u->f, C_SetAttributeValue, u->s, k.object, &t, 1);
	if (rv == CKR_OK && n)
		rv = P11(u->f, C_SetAttributeValue, u->s, pub, &t, 1);
	return rv == CKR_OK || p11_not_able(rv) ? 0 : p11_fail(u, "C_SetAttributeValue", rv, e);
}

/* A key that is known by its label alone keeps it. */
int p11_annotate(struct ctx *ctx, struct engine *en, const struct keyref *ref, const struct key_notes *notes,
		 struct err *e)
{
	struct labelling l = { ref->handle, notes->name };
	struct p11 *p = en->priv;

	if (p->read_only || !l.label || !l.label[0] || text_has_prefix(ref->handle, "label:"))
		return 0;
	return p11_run(ctx, p, ctx->arena, set_label, &l, e);
}
