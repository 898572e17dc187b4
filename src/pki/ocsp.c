/* OCSP answers. Guarantees: an authority is recognised by both of its hashes, in whatever algorithm the client chose;
 * only whole serial numbers match; "good" is said of certificates that are recorded here and of no others; a nonce is
 * repeated or the request refused. */
#include "pki/ocsp.h"

#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/signed.h"
#include "state/ledger.h"

enum { SERIAL_OCTETS = 20, HOLD = 6 };
enum { GOOD, REVOKED, UNKNOWN };                                              /* tags of CertStatus */
enum { SUCCESSFUL, MALFORMED_REQUEST, INTERNAL_ERROR, TRY_LATER, UNAUTHORIZED = 6 }; /* OCSPResponseStatus */

/* The content of the BIT STRING of a SubjectPublicKeyInfo, which is what a CertID's key hash is of. */
static struct bytes key_bits(struct bytes spki)
{
	struct der d = der_of(spki), in;
	struct bytes body, alg, bits = { 0 };

	if (!der_expect(&d, DER_SEQUENCE, &body))
		return bits;
	in = der_of(body);
	if (!der_expect(&in, DER_SEQUENCE, &alg) || !der_expect(&in, DER_BITSTRING, &bits) || bits.n < 1)
		return (struct bytes){ 0 };
	return (struct bytes){ bits.p + 1, bits.n - 1 };
}

static struct bytes hash(struct arena *a, const char *md, struct bytes b)
{
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_Digest(b.p, b.n, out, &n, ossl_md(md), NULL) != 1)
		n = 0;
	return (struct bytes){ arena_memdup(a, out, n), n };
}

void ocsp_issuer_init(struct arena *a, struct authority *ca, struct ocsp_issuer *ret)
{
	*ret = (struct ocsp_issuer){ .ca = ca };
	for (size_t i = 0; i < OCSP_HASHES; i++) {
		ret->name_hash[i] = hash(a, ocsp_hashes[i].md, ca->cert.subject);
		ret->key_hash[i] = hash(a, ocsp_hashes[i].md, key_bits(ca->cert.spki));
	}
}

struct bytes ocsp_key_hash(struct arena *a, struct bytes spki)
{
	return hash(a, "SHA1", key_bits(spki));
}

/* --- what is asked --- */

struct asked {
	struct bytes id;        /* the CertID */
	const struct ocsp_issuer *issuer;
	char *serial;           /* NULL: none that a certificate can have */
};

static const struct ocsp_issuer *find_issuer(const struct ocsp_responder *r, const struct ocsp_certid *id)
{
	for (size_t i = 0; id->hash >= 0 && i < r->n; i++)
		if (bytes_equal(r->v[i].name_hash[id->hash], id->name_hash) &&
		    bytes_equal(r->v[i].key_hash[id->hash], id->key_hash))
			return &r->v[i];
	return NULL;
}

static char *serial_of(struct arena *a, struct bytes n)
{
	if (n.p[0] & 0x80)
		return NULL; /* negative */
	while (n.n > 1 && n.p[0] == 0)
		n = (struct bytes){ n.p + 1, n.n - 1 };
	return n.n > SERIAL_OCTETS ? NULL : cert_serial_hex(a, n);
}

/* --- the state of one certificate --- */

struct standing {
	int status, reason; /* reason -1: none */
	int64_t since;
	int64_t until;      /* 0: nothing is known that will change it */
};

static struct standing standing_of(struct ctx *ctx, const struct certrec *c)
{
	if (c->status == CERT_HELD)
		return (struct standing){ REVOKED, HOLD, c->revoked_at, 0 };
	if (c->status == CERT_REVOKED && c->revoked_at <= ctx->now)
		return (struct standing){ REVOKED, c->revocation_reason > 0 ? c->revocation_reason : -1, c->revoked_at,
					  0 };
	return (struct standing){ GOOD, -1, 0, c->revoked_at > ctx->now ? c->revoked_at : 0 };
}

static int look_up(struct ctx *ctx, const struct asked *q, struct standing *ret, struct err *e)
{
	struct err none = { 0 };
	struct certrec c;

	*ret = (struct standing){ UNKNOWN, -1, 0, 0 };
	if (!q->serial)
		return 0;
	/* which takes abbreviations too */
	if (ledger_cert(ctx->state, q->issuer->ca->rec.id, q->serial, &c, &none) == 0) {
		if (strcmp(c.serial_number, q->serial) == 0)
			*ret = standing_of(ctx, &c);
		return 0;
	}
	if (none.code == ERR_NOT_FOUND || none.code == ERR_USAGE)
		return 0;
	*e = none;
	return -1;
}

/* --- the answer, backwards as struct derw has it --- */

static void put_status(struct derw *w, const struct standing *s)
{
	size_t mark = derw_mark(w), reason;
	unsigned char code = (unsigned char)s->reason;

	if (s->status != REVOKED) { /* [0] good and [2] unknown are NULL */
		derw_tlv(w, DER_CTX + s->status, NULL, 0);
		return;
	}
	if (s->reason >= 0) {
		reason = derw_mark(w);
		derw_tlv(w, DER_ENUMERATED, &code, 1);
		derw_head(w, DER_CTX_CONS, reason);
	}
	derw_gentime(w, s->since);
	derw_head(w, DER_CTX_CONS + 1, mark);
}

static void put_single(struct derw *w, struct bytes id, const struct standing *s, int64_t this, int64_t next)
{
	size_t mark = derw_mark(w);

	derw_gentime(w, next);
	derw_head(w, DER_CTX_CONS, mark);
	derw_gentime(w, this);
	put_status(w, s);
	derw_raw(w, id.p, id.n);
	derw_head(w, DER_SEQUENCE, mark);
}

/* ResponseData of RFC 6960 4.2.1; the nonce is a whole extension, or empty. */
static void put_data(struct derw *w, const struct asked *v, const struct standing *s, size_t n, struct bytes nonce,
		     struct bytes key_hash, int64_t this, int64_t next)
{
	size_t mark;

	if (nonce.n) {
		derw_raw(w, nonce.p, nonce.n);
		derw_head(w, DER_SEQUENCE, 0);
		derw_head(w, DER_CTX_CONS + 1, 0);
	}
	mark = derw_mark(w);
	for (size_t i = n; i-- > 0;)
		put_single(w, v[i].id, &s[i], this, next);
	derw_head(w, DER_SEQUENCE, mark);
	derw_gentime(w, this);
	mark = derw_mark(w);
	derw_tlv(w, DER_OCTETSTRING, key_hash.p, key_hash.n);
	derw_head(w, DER_CTX_CONS + 2, mark);
	derw_head(w, DER_SEQUENCE, 0);
}

/* BasicOCSPResponse in OCSPResponse: what `whole` has, and the signer's certificate behind it. */
static struct bytes wrap(struct arena *a, struct bytes whole, struct bytes cert)
{
	static const unsigned char successful[] = { DER_ENUMERATED, 1, SUCCESSFUL },
				   basic_oid[] = { DER_OID, 9, 0x2b, 6, 1, 5, 5, 7, 48, 1, 1 };
	const struct bytes status = { successful, sizeof(successful) }, oid = { basic_oid, sizeof(basic_oid) };
	struct der d = der_of(whole);
	struct bytes in, certs, basic;

	if (!der_expect(&d, DER_SEQUENCE, &in))
		in = (struct bytes){ 0 };
	certs = DER_JOIN(a, DER_CTX_CONS, DER_JOIN(a, DER_SEQUENCE, cert));
	basic = DER_JOIN(a, DER_OCTETSTRING, DER_JOIN(a, DER_SEQUENCE, in, certs));
	return DER_JOIN(a, DER_SEQUENCE, status, DER_JOIN(a, DER_CTX_CONS, DER_JOIN(a, DER_SEQUENCE, oid, basic)));
}

static void answer_error(struct arena *a, int code, const char *word, struct ocsp_answer *ret)
{
	const unsigned char status[] = { DER_SEQUENCE, 3, DER_ENUMERATED, 1, (unsigned char)code };

	ret->status = word;
	ret->der = (struct bytes){ arena_memdup(a, status, sizeof(status)), sizeof(status) };
}

static const char *word_of(int status)
{
	return status == GOOD ? "good" : status == REVOKED ? "revoked" : "unknown";
}

static size_t room_for(const struct asked *v, size_t n, struct bytes nonce)
{
	size_t room = 128 + nonce.n;

	for (size_t i = 0; i < n; i++)
		room += 96 + v[i].id.n;
	return room;
}

static int build(struct ctx *ctx, const struct ocsp_responder *r, const struct asked *v, size_t n, struct bytes nonce,
		 struct ocsp_answer *ret, struct err *e)
{
	struct standing s[OCSP_ASKED_MAX];
	struct ocsp_signer signer;
	int64_t next = ctx->now + r->validity;
	struct bytes whole;
	struct derw w;

	for (size_t i = 0; i < n; i++) {
		if (look_up(ctx, &v[i], &s[i], e) != 0)
			return -1;
		if (s[i].until && s[i].until < next)
			/* a revocation that is dated ahead must not be hidden by what was said before it */
			next = s[i].until;
	}
	if (r->signer(r->arg, v[0].issuer->ca, &signer, e) != 0)
		return -1;
	w = signed_begin(ctx->arena, room_for(v, n, nonce));
	put_data(&w, v, s, n, nonce, signer.key_hash, ctx->now, next);
	if (signed_end(&w, signer.key, signer.alg, &whole, e) != 0)
		return -1;
	ret->der = wrap(ctx->arena, whole, signer.cert);
	ret->status = n > 1 ? "several" : word_of(s[0].status);
	ret->this_update = ctx->now;
	ret->next_update = next;
	return 0;
}

static void answer(struct ctx *ctx, const struct ocsp_responder *r, const struct ocsp_request *req,
		   struct ocsp_answer *ret)
{
	const struct ocsp_issuer *issuer = find_issuer(r, &req->ids[0]);
	struct asked v[OCSP_ASKED_MAX];
	struct err e = { 0 };
	bool later;

	for (size_t i = 0; i < req->n; i++) {
		const struct ocsp_certid *id = &req->ids[i];

		v[i] = (struct asked){ id->whole, find_issuer(r, id), serial_of(ctx->arena, id->serial) };
		if (issuer && v[i].issuer == issuer)
			continue;
		answer_error(ctx->arena, UNAUTHORIZED, "unauthorized", ret);
		return;
	}
	ret->ca = issuer->ca->rec.id;
	ret->serial = serial_of(ctx->arena, req->ids[0].serial);
	if (build(ctx, r, v, req->n, req->nonce, ret, &e) == 0) {
		ret->good_to_cache = req->nonce.n == 0;
		return;
	}
	if (e.code == ERR_DENIED && !issuer->ca->rec.key) { /* others answer for it */
		answer_error(ctx->arena, UNAUTHORIZED, "unauthorized", ret);
		return;
	}
	ctx_warn(ctx, "ca %s: %s", ret->ca, e.msg);
	later = e.code == ERR_REMOTE || e.code == ERR_IO;
	answer_error(ctx->arena, later ? TRY_LATER : INTERNAL_ERROR, later ? "try_later" : "internal", ret);
}

void ocsp_answer(struct ctx *ctx, const struct ocsp_responder *r, struct bytes request, struct ocsp_answer *ret)
{
	struct ocsp_request req;

	*ret = (struct ocsp_answer){ 0 };
	if (ocsp_request_parse(request, &req))
		answer(ctx, r, &req, ret);
	else
		answer_error(ctx->arena, MALFORMED_REQUEST, "malformed", ret);
}

/* --- for static hosting --- */

/* RFC 5019 2.1.1: SHA-1 is what clients that GET use. */
static int make_id(struct arena *a, const struct ocsp_issuer *issuer, const char *serial, struct bytes *ret,
		   struct err *e)
{
	unsigned char buf[128];
	struct derw w = derw_init(buf, sizeof(buf));
	struct bytes n;
	size_t mark;

	if (hex_decode(a, serial, &n) != 0)
		return err_set(e, ERR_INVALID, "its serial number is damaged");
	derw_int_bytes(&w, n.p, n.n);
	derw_tlv(&w, DER_OCTETSTRING, issuer->key_hash[0].p, issuer->key_hash[0].n);
	derw_tlv(&w, DER_OCTETSTRING, issuer->name_hash[0].p, issuer->name_hash[0].n);
	mark = derw_mark(&w);
	derw_tlv(&w, DER_NULL, NULL, 0);
	derw_oid(&w, ocsp_hashes[0].oid);
	derw_head(&w, DER_SEQUENCE, mark);
	derw_head(&w, DER_SEQUENCE, 0);
	if (w.over)
		return err_set(e, ERR_INVALID, "its serial number is too long");
	n = derw_bytes(&w);
	*ret = (struct bytes){ arena_memdup(a, n.p, n.n), n.n };
	return 0;
}

int ocsp_produce(struct ctx *ctx, const struct ocsp_responder *r, const struct ocsp_issuer *issuer,
		 const struct certrec *c, struct ocsp_answer *ret, char **ret_name, struct err *e)
{
	struct arena *a = ctx->arena;
	struct asked q = { .issuer = issuer, .serial = c->serial_number };
	struct ocsp_answer out = { .ca = issuer->ca->rec.id, .serial = c->serial_number, .good_to_cache = true };
	struct bytes list;

	if (make_id(a, issuer, c->serial_number, &q.id, e) != 0 ||
	    build(ctx, r, &q, 1, (struct bytes){ 0 }, &out, e) != 0)
		return -1;
	list = DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_SEQUENCE, q.id));
	*ret_name = url_encode(a, bytes_of(b64_encode(a, DER_JOIN(a, DER_SEQUENCE, DER_JOIN(a, DER_SEQUENCE, list)))));
	*ret = out;
	return 0;
}
