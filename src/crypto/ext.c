/* Makes certificate extensions (RFC 5280 4.2), one function a kind. Values are in the arena; each goes into the list
 * once, and critical is what the RFC says it is. What can be wrong is refused here, so that nothing is signed that a
 * reader would refuse. */
#include "crypto/ext.h"

#include <string.h>

#include "base/text.h"
#include "crypto/dn.h"
#include "crypto/gn.h"

const struct ext *exts_find(const struct exts *x, const char *oid)
{
	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->v[i].oid, oid) == 0)
			return &x->v[i];
	return NULL;
}

void exts_add(struct arena *a, struct exts *x, const char *oid, bool critical, struct bytes value)
{
	struct ext one = { oid, critical, value };

	for (size_t i = 0; i < x->n; i++)
		if (strcmp(x->v[i].oid, oid) == 0) {
			x->v[i] = one;
			return;
		}
	x->v = arena_grow(a, x->v, x->n, sizeof(*x->v));
	x->v[x->n++] = one;
}

void exts_write(struct derw *w, const struct exts *x)
{
	size_t seq = derw_mark(w);

	for (size_t i = x->n; i-- > 0;) {
		size_t one = derw_mark(w);

		derw_tlv(w, DER_OCTETSTRING, x->v[i].value.p, x->v[i].value.n);
		if (x->v[i].critical)
			derw_bool(w, true);
		derw_oid(w, x->v[i].oid);
		derw_head(w, DER_SEQUENCE, one);
	}
	derw_head(w, DER_SEQUENCE, seq);
}

size_t exts_room(const struct exts *x)
{
	enum { AROUND = 160 }; /* headers and OID */
	size_t n = AROUND;

	for (size_t i = 0; i < x->n; i++)
		n += x->v[i].value.n + AROUND;
	return n;
}

struct bytes exts_der(struct arena *a, const struct exts *x)
{
	size_t room = exts_room(x);
	struct derw w = derw_init(arena_alloc(a, room, 1), room);

	exts_write(&w, x);
	return derw_bytes(&w);
}

static struct bytes small(struct arena *a, const void *p, size_t n)
{
	return (struct bytes){ arena_memdup(a, p, n), n };
}

/* A whole OID element; the caller knows that `dotted` is one. */
static struct bytes oid_tlv(struct arena *a, const char *dotted)
{
	struct derw w = derw_init(arena_alloc(a, 300, 1), 300);

	derw_oid(&w, dotted);
	return derw_bytes(&w);
}

void ext_basic_constraints(struct arena *a, struct exts *x, bool ca, int64_t path_length)
{
	unsigned char buf[32];
	struct derw w = derw_init(buf, sizeof(buf));

	if (ca && path_length >= 0)
		derw_uint(&w, (uint64_t)path_length);
	if (ca)
		derw_bool(&w, true);
	derw_head(&w, DER_SEQUENCE, 0);
	exts_add(a, x, OID_BC, ca, small(a, w.p, derw_mark(&w)));
}

void ext_key_usage(struct arena *a, struct exts *x, unsigned bits)
{
	/* Named bits: bit 0 is the first octet's highest, and trailing zero bits are left out (X.690 11.2.2). */
	unsigned char v[5] = { DER_BITSTRING, 0 };
	unsigned last = 0;

	for (unsigned i = 0; i < 9; i++)
		if (bits >> i & 1) {
			v[3 + i / 8] |= (unsigned char)(0x80 >> i % 8);
			last = i + 1;
		}
	v[1] = (unsigned char)(1 + (last + 7) / 8);
	v[2] = (unsigned char)((8 - last % 8) % 8);
	exts_add(a, x, OID_KU, true, small(a, v, v[1] + 2U));
}

int ext_eku(struct arena *a, struct exts *x, const struct strv *names, struct err *e)
{
	struct bytes *parts = arena_new_array(a, names->n + 1, struct bytes);
	bool stamping = false;

	for (size_t i = 0; i < names->n; i++) {
		const char *oid = eku_oid(names->v[i]);

		if (!oid_valid(oid))
			return err_set(e, ERR_INVALID, "\"%s\" is not an extended key usage",
				       text_escape(a, bytes_of(names->v[i])));
		stamping = stamping || strcmp(names->v[i], "timeStamping") == 0;
		parts[i] = oid_tlv(a, oid);
	}
	if (names->n == 0)
		return 0;
	if (stamping && names->n > 1)
		return err_set(e, ERR_INVALID, "the extended key usage timeStamping must stand alone (RFC 3161 2.3)");
	exts_add(a, x, OID_EKU, stamping, der_join(a, DER_SEQUENCE, parts, names->n));
	return 0;
}

void ext_ski(struct arena *a, struct exts *x, struct bytes keyid)
{
	exts_add(a, x, OID_SKI, false, DER_JOIN(a, DER_OCTETSTRING, keyid));
}

void ext_aki(struct arena *a, struct exts *x, struct bytes keyid)
{
	exts_add(a, x, OID_AKI, false, DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_CTX, keyid)));
}

/* One distribution point: the URIs are ways to the same CRL. */
int ext_cdp(struct arena *a, struct exts *x, const char *oid, const struct strv *uris, struct bytes issuer,
	    struct err *e)
{
	struct bytes *parts = arena_new_array(a, uris->n + 1, struct bytes), full, by = { 0 };

	for (size_t i = 0; i < uris->n; i++)
		if (gn_uri(a, uris->v[i], &parts[i], e) < 0)
			return err_ctx(e, "CRL distribution point");
	if (uris->n == 0)
		return 0;
	full = der_join(a, DER_CTX_CONS, parts, uris->n);
	if (issuer.n) /* cRLIssuer; directoryName is explicit because Name is a CHOICE */
		by = DER_JOIN(a, DER_CTX_CONS | 2, DER_JOIN(a, DER_CTX_CONS | 4, issuer));
	exts_add(a, x, oid, false,
		 DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_CTX_CONS, full), by)));
	return 0;
}

int ext_aia(struct arena *a, struct exts *x, const struct strv *ocsp, const struct strv *issuers, struct err *e)
{
	struct bytes *parts = arena_new_array(a, ocsp->n + issuers->n + 1, struct bytes), uri;
	size_t n = 0;

	for (size_t i = 0; i < ocsp->n + issuers->n; i++) {
		bool is_ocsp = i < ocsp->n;

		if (gn_uri(a, is_ocsp ? ocsp->v[i] : issuers->v[i - ocsp->n], &uri, e) < 0)
			return err_ctx(e, "authority information access");
		parts[n++] = DER_JOIN(a, DER_SEQUENCE,
				      oid_tlv(a, is_ocsp ? "1.3.6.1.5.5.7.48.1" : "1.3.6.1.5.5.7.48.2"), uri);
	}
	if (n)
		exts_add(a, x, OID_AIA, false, der_join(a, DER_SEQUENCE, parts, n));
	return 0;
}

static int build_qualifiers(struct arena *a, const struct policy_info *p, struct bytes *ret, struct err *e)
{
	struct bytes uri, parts[2];
	size_t n = 0, chars = 0;
	struct der d;

	if (p->cps) {
		if (gn_uri(a, p->cps, &uri, e) < 0)
			return err_ctx(e, "policy %s", p->oid);
		d = der_of(uri);
		if (!der_expect(&d, GN_URI, &uri))
			return err_set(e, ERR_INVALID, "policy %s: malformed URI", p->oid);
		parts[n++] = DER_JOIN(a, DER_SEQUENCE, oid_tlv(a, "1.3.6.1.5.5.7.2.1"), DER_JOIN(a, DER_IA5, uri));
	}
	if (p->user_notice) {
		for (const char *s = p->user_notice; *s; s++)
			chars += ((unsigned char)*s & 0xc0) != 0x80;
		if (chars == 0 || chars > 200 || !utf8_valid(bytes_of(p->user_notice)))
			return err_set(e, ERR_INVALID,
				       "policy %s: the notice needs 1 to 200 characters (RFC 5280 4.2.1.4)", p->oid);
		parts[n++] = DER_JOIN(a, DER_SEQUENCE, oid_tlv(a, "1.3.6.1.5.5.7.2.2"),
				      DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_UTF8, bytes_of(p->user_notice))));
	}
	*ret = n ? der_join(a, DER_SEQUENCE, parts, n) : (struct bytes){ 0 };
	return 0;
}

int ext_policies(struct arena *a, struct exts *x, const struct policy_info *p, size_t n, struct err *e)
{
	struct bytes *parts = arena_new_array(a, n + 1, struct bytes), qualifiers;

	for (size_t i = 0; i < n; i++) {
		if (!oid_valid(p[i].oid))
			return err_set(e, ERR_INVALID, "\"%s\" is not a policy's OID",
				       text_escape(a, bytes_of(p[i].oid)));
		if (build_qualifiers(a, &p[i], &qualifiers, e) < 0)
			return -1;
		parts[i] = DER_JOIN(a, DER_SEQUENCE, oid_tlv(a, p[i].oid), qualifiers);
	}
	if (n)
		exts_add(a, x, OID_CP, false, der_join(a, DER_SEQUENCE, parts, n));
	return 0;
}

static int build_subtrees(struct arena *a, int tag, const struct strv *names, struct bytes *ret, struct err *e)
{
	struct bytes *parts = arena_new_array(a, names->n + 1, struct bytes), base;

	for (size_t i = 0; i < names->n; i++) {
		if (gn_build(a, names->v[i], true, &base, e) < 0)
			return err_ctx(e, "name constraint");
		parts[i] = DER_JOIN(a, DER_SEQUENCE, base);
	}
	*ret = names->n ? der_join(a, tag, parts, names->n) : (struct bytes){ 0 };
	return 0;
}

int ext_name_constraints(struct arena *a, struct exts *x, const struct name_constraints *nc, struct err *e)
{
	struct bytes permitted, excluded;

	if (build_subtrees(a, DER_CTX_CONS, &nc->permitted, &permitted, e) < 0 ||
	    build_subtrees(a, DER_CTX_CONS + 1, &nc->excluded, &excluded, e) < 0)
		return -1;
	if (permitted.n + excluded.n)
		exts_add(a, x, OID_NC, true, DER_JOIN(a, DER_SEQUENCE, permitted, excluded));
	return 0;
}

void ext_must_staple(struct arena *a, struct exts *x)
{
	static const unsigned char status_request[] = { 0x30, 3, 2, 1, 5 };

	exts_add(a, x, OID_TLS_FEATURE, false, small(a, status_request, sizeof(status_request)));
}

void ext_ocsp_nocheck(struct arena *a, struct exts *x)
{
	static const unsigned char null[] = { DER_NULL, 0 };

	exts_add(a, x, OID_OCSP_NOCHECK, false, small(a, null, sizeof(null)));
}
