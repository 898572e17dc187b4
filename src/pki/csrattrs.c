/* Attributes of requests. Guarantees: an algorithm is named only where the profile accepts no other; one
 * extensionRequest at most, with one value of type Extensions (RFC 9908 3.2), which strict clients insist on. Nothing
 * here says what is enforced: the profile does. */
#include "pki/csrattrs.h"

#include <string.h>

#include "base/text.h"
#include "crypto/csr.h"
#include "crypto/der.h"
#include "crypto/dn.h"
#include "crypto/ext.h"

#define OID_CHALLENGE_PASSWORD "1.2.840.113549.1.9.7"
#define OID_EST_IDENTITY_LINKING "1.2.840.113549.1.9.16.2.58"
#define OID_REQUEST_TEMPLATE "1.2.840.113549.1.9.16.2.61"
#define OID_EXTENSION_TEMPLATE "1.2.840.113549.1.9.16.2.62"
#define OID_COMMON_NAME "2.5.4.3"

enum { PARTS = 16, CTX_0 = 0xa0, CTX_1 = 0xa1 };

struct parts {
	struct bytes v[PARTS];
	size_t n;
};

static void part(struct parts *p, struct bytes der)
{
	if (der.n && p->n < PARTS)
		p->v[p->n++] = der;
}

static struct bytes oid(struct arena *a, const char *dotted)
{
	struct bytes content;

	return dn_oid(a, dotted, &content) == 0 ? DER_JOIN(a, DER_OID, content) : (struct bytes){ 0 };
}

/* Attribute ::= SEQUENCE { type, SET OF value } */
static struct bytes integer(struct arena *a, uint64_t v)
{
	struct derw w = derw_init(arena_alloc(a, 16, 1), 16);

	derw_uint(&w, v);
	return derw_bytes(&w);
}

/* --- the key --- */

struct key_wish {
	const char *algorithm, *signature; /* object identifiers */
	struct bytes parameter;            /* curve, or size of an RSA key; empty: none */
};

static int64_t smallest(const struct intv *v, int64_t least)
{
	int64_t best = 0;

	for (size_t i = 0; i < v->n; i++)
		if (v->v[i] >= least && (best == 0 || v->v[i] < best))
			best = v->v[i];
	return best ? best : least;
}

/* False where a device has a choice. */
static bool only_key(struct arena *a, const struct crypto_enforcement *c, struct key_wish *ret)
{
	static const struct {
		int64_t bits;
		const char *curve, *signature;
	} curves[] = {
		{ 256, "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.2" }, { 384, "1.3.132.0.34", "1.2.840.10045.4.3.3" },
		{ 521, "1.3.132.0.35", "1.2.840.10045.4.3.4" }
	};
	int kinds = c->allow_rsa_keys + c->allow_ecdsa_keys + c->allow_ed25519_keys + c->allow_mldsa_keys;

	if (!c->enabled || kinds != 1 || c->allow_mldsa_keys)
		return false;
	if (c->allow_ed25519_keys) {
		*ret = (struct key_wish){ "1.3.101.112", NULL, { 0 } };
	} else if (c->allow_rsa_keys) {
		*ret = (struct key_wish){ "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11",
					  integer(a, (uint64_t)smallest(&c->allowed_rsa_key_sizes, 2048)) };
	} else {
		size_t i = 0;

		while (i < COUNT(curves) - 1 && curves[i].bits < smallest(&c->allowed_ecdsa_key_sizes, 256))
			i++;
		*ret = (struct key_wish){ "1.2.840.10045.2.1", curves[i].signature, oid(a, curves[i].curve) };
	}
	return true;
}

/* --- extensions --- */

static int wanted_exts(struct arena *a, const struct profile *p, struct exts *ret, struct err *e)
{
	if (!p->honor_key_usage && p->key_usage)
		ext_key_usage(a, ret, p->key_usage);
	return !p->honor_extended_key_usages && p->extended_key_usages.n ? ext_eku(a, ret, &p->extended_key_usages, e)
									 : 0;
}

/* --- the template --- */

/* SingleAttributeTemplate in a set of its own; without text the device fills it in. */
static int rdn(struct arena *a, const char *type, const char *text, struct parts *to, struct err *e)
{
	struct bytes value = { 0 };
	struct ava v;

	if (text && ava_encode(a, attr_find(type), text, &v, e) != 0)
		return -1;
	if (text)
		value = DER_JOIN(a, v.tag, v.value);
	part(to, DER_JOIN(a, DER_SET, DER_JOIN(a, DER_SEQUENCE, oid(a, type), value)));
	return 0;
}

static int subject_template(struct arena *a, const struct profile *p, struct bytes *ret, struct err *e)
{
	struct parts rdns = { .n = 0 };

	if (p->subject.common_name.n == 0 && rdn(a, OID_COMMON_NAME, NULL, &rdns, e) != 0)
		return -1;
	for (size_t i = 0; i < ATTR_FIELDS; i++) {
		const struct strv *v = (const struct strv *)(const void *)((const char *)&p->subject + attrs[i].field);

		for (size_t k = 0; k < v->n; k++)
			if (rdn(a, attrs[i].oid, v->v[k], &rdns, e) != 0)
				return err_ctx(e, "subject");
	}
	*ret = der_join(a, DER_SEQUENCE, rdns.v, rdns.n);
	return 0;
}

static int request_template(struct arena *a, const struct profile *p, const struct exts *x, const struct key_wish *key,
			    struct bytes *ret, struct err *e)
{
	struct bytes subject, spki = { 0 }, extensions = { 0 };

	if (subject_template(a, p, &subject, e) != 0)
		return -1;
	if (key)
		spki = DER_JOIN(a, CTX_0,
				DER_JOIN(a, DER_SEQUENCE, oid(a, key->algorithm),
					 key->signature && key->parameter.p[0] == DER_OID
								   ? key->parameter : (struct bytes){ 0 }));
	if (x->n)
		extensions = csr_attribute_build(a, OID_EXTENSION_TEMPLATE, exts_der(a, x));
	*ret = csr_attribute_build(a, OID_REQUEST_TEMPLATE, DER_JOIN(a, DER_SEQUENCE, integer(a, 0), subject, spki,
								      DER_JOIN(a, CTX_1, extensions)));
	return 0;
}

int csrattrs_build(struct arena *a, const struct profile *p, const struct csrattrs_wishes *w, struct bytes *ret,
		   struct err *e)
{
	struct exts x = { 0 };
	struct parts all = { .n = 0 };
	struct key_wish key = { 0 };
	bool named = only_key(a, &p->crypto_enforcement, &key);
	struct bytes template_;

	if (wanted_exts(a, p, &x, e) != 0)
		return -1;
	if (w->pop) {
		part(&all, oid(a, OID_CHALLENGE_PASSWORD));
		part(&all, oid(a, OID_EST_IDENTITY_LINKING));
	}
	if (w->template_) {
		if (request_template(a, p, &x, named ? &key : NULL, &template_, e) != 0)
			return -1;
		part(&all, template_);
	} else if (x.n) {
		part(&all, csr_attribute_build(a, OID_EXTENSION_REQUEST, exts_der(a, &x)));
	}
	if (named) {
		part(&all, key.parameter.n ? csr_attribute_build(a, key.algorithm, key.parameter)
					   : oid(a, key.algorithm));
		if (key.signature)
			part(&all, oid(a, key.signature));
	}
	*ret = der_join(a, DER_SEQUENCE, all.v, all.n);
	return 0;
}
