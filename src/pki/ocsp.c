/* OCSP answers. Guarantees: an authority is recognised by both of its hashes, in whatever algorithm the client chose; only whole serial
 * numbers match; "good" is said of certificates that are recorded here and of no others; a nonce is repeated or the request refused. */
#include "pki/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "state/ledger.h"

enum { REQUEST_MAX = 16 << 10, ASKED_MAX = 32, NONCE_MAX = 128 };

DEFINE_AUTO(OCSP_REQUEST, OCSP_REQUEST_free)
DEFINE_AUTO(OCSP_RESPONSE, OCSP_RESPONSE_free)
DEFINE_AUTO(OCSP_BASICRESP, OCSP_BASICRESP_free)
DEFINE_AUTO(OCSP_CERTID, OCSP_CERTID_free)
DEFINE_AUTO(ASN1_TIME, ASN1_TIME_free)

static const struct {
	int nid;
	const char *md;
} hashes[OCSP_HASHES] = { { NID_sha1, "SHA1" }, { NID_sha256, "SHA256" }, { NID_sha384, "SHA384" }, { NID_sha512, "SHA512" } };

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
		ret->name_hash[i] = hash(a, hashes[i].md, ca->cert.subject);
		ret->key_hash[i] = hash(a, hashes[i].md, key_bits(ca->cert.spki));
	}
}

/* --- what is asked --- */

struct asked {
	OCSP_CERTID *id;        /* borrowed */
	const struct ocsp_issuer *issuer;
	char *serial;
};

static struct bytes octets(const ASN1_OCTET_STRING *s)
{
	return (struct bytes){ ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) };
}

static const struct ocsp_issuer *find_issuer(const struct ocsp_responder *r, int nid, struct bytes name, struct bytes key)
{
	for (size_t h = 0; h < OCSP_HASHES; h++)
		for (size_t i = 0; hashes[h].nid == nid && i < r->n; i++)
			if (bytes_equal(r->v[i].name_hash[h], name) && bytes_equal(r->v[i].key_hash[h], key))
				return &r->v[i];
	return NULL;
}

/* False: the authority is none of ours. */
static bool read_id(struct arena *a, const struct ocsp_responder *r, OCSP_CERTID *id, struct asked *ret)
{
	ASN1_OCTET_STRING *name = NULL, *key = NULL;
	ASN1_INTEGER *serial = NULL;
	ASN1_OBJECT *md = NULL;
	AUTO(BIGNUM) *n = NULL;
	unsigned char raw[64];
	int len;

	if (OCSP_id_get0_info(&name, &md, &key, &serial, id) != 1)
		return false;
	n = ASN1_INTEGER_to_BN(serial, NULL);
	if (!n || BN_is_negative(n) || (len = BN_num_bytes(n)) > (int)sizeof(raw))
		return false;
	len = BN_bn2bin(n, raw);
	*ret = (struct asked){ id, find_issuer(r, OBJ_obj2nid(md), octets(name), octets(key)),
			       cert_serial_hex(a, (struct bytes){ raw, (size_t)len }) };
	return ret->issuer != NULL;
}

/* --- the state of one certificate --- */

struct standing {
	int status, reason; /* of OpenSSL; reason -1: none */
	int64_t since;
};

static int standing_of(struct ctx *ctx, const struct certrec *c, struct standing *ret)
{
	if (c->status == CERT_HELD)
		*ret = (struct standing){ V_OCSP_CERTSTATUS_REVOKED, OCSP_REVOKED_STATUS_CERTIFICATEHOLD, c->revoked_at };
	else if (c->status == CERT_REVOKED && c->revoked_at <= ctx->now)
		*ret = (struct standing){ V_OCSP_CERTSTATUS_REVOKED, c->revocation_reason > 0 ? c->revocation_reason : -1, c->revoked_at };
	else
		*ret = (struct standing){ V_OCSP_CERTSTATUS_GOOD, -1, 0 };
	return 0;
}

static int look_up(struct ctx *ctx, const struct asked *q, struct standing *ret, struct err *e)
{
	struct err none = { 0 };
	struct certrec c;

	*ret = (struct standing){ V_OCSP_CERTSTATUS_UNKNOWN, -1, 0 };
	if (ledger_cert(ctx->state, q->issuer->ca->rec.id, q->serial, &c, &none) == 0) /* which takes abbreviations too */
		return strcmp(c.serial_number, q->serial) == 0 ? standing_of(ctx, &c, ret) : 0;
	if (none.code == ERR_NOT_FOUND || none.code == ERR_USAGE)
		return 0;
	*e = none;
	return -1;
}

static int add_status(struct ctx *ctx, const struct ocsp_responder *r, OCSP_BASICRESP *basic, OCSP_CERTID *id, const struct standing *s,
		      struct err *e)
{
	AUTO(ASN1_TIME) *this = ASN1_TIME_set(NULL, (time_t)ctx->now), *next = ASN1_TIME_set(NULL, (time_t)(ctx->now + r->validity)),
			*since = ASN1_TIME_set(NULL, (time_t)s->since);

	if (!this || !next || !since || !ASN1_TIME_to_generalizedtime(this, NULL))
		return err_ossl(e, "OCSP times");
	return OCSP_basic_add1_status(basic, id, s->status, s->reason, s->status == V_OCSP_CERTSTATUS_REVOKED ? since : NULL, this, next)
	       ? 0 : err_ossl(e, "OCSP status");
}

/* --- signing --- */

static int sign(OCSP_BASICRESP *basic, const struct ocsp_signer *s, struct err *e)
{
	const unsigned char *p = s->cert.p;
	AUTO(X509) *cert = d2i_X509(NULL, &p, (long)s->cert.n);
	AUTO(EVP_MD_CTX) *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pc = NULL;

	if (!cert || !m || EVP_DigestSignInit(m, &pc, s->alg->md ? ossl_md(s->alg->md) : NULL, NULL, s->key) != 1)
		return err_ossl(e, "OCSP signature");
	if (s->alg->pss && (EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) != 1 ||
			    EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) != 1))
		return err_ossl(e, "OCSP signature");
	if (OCSP_basic_sign_ctx(basic, cert, m, NULL, OCSP_RESPID_KEY) != 1)
		return key_remote_error(e) ? -1 : err_ossl(e, "OCSP signature");
	return 0;
}

static void encode(struct arena *a, int code, OCSP_BASICRESP *basic, struct bytes *ret)
{
	AUTO(OCSP_RESPONSE) *r = OCSP_response_create(code, basic);
	unsigned char *p = NULL;
	int n = r ? i2d_OCSP_RESPONSE(r, &p) : -1;

	if (n <= 0)
		out_of_memory();
	*ret = (struct bytes){ arena_memdup(a, p, (size_t)n), (size_t)n };
	OPENSSL_free(p);
}

static void answer_error(struct arena *a, int code, const char *word, struct ocsp_answer *ret)
{
	ret->status = word;
	encode(a, code, NULL, &ret->der);
}

/* RFC 9654 2.1: 1 to 128 octets. */
static bool nonce_fits(OCSP_REQUEST *req, bool *ret_there)
{
	int at = OCSP_REQUEST_get_ext_by_NID(req, NID_id_pkix_OCSP_Nonce, -1);
	const X509_EXTENSION *x = at >= 0 ? OCSP_REQUEST_get_ext(req, at) : NULL;
	struct der in;
	struct bytes value;

	*ret_there = x != NULL;
	if (!x)
		return true;
	in = der_of(octets(X509_EXTENSION_get_data((X509_EXTENSION *)(uintptr_t)x))); /* takes a const one from OpenSSL 4 on */
	return der_expect(&in, DER_OCTETSTRING, &value) && der_done(&in) && value.n >= 1 && value.n <= NONCE_MAX;
}

static const char *word_of(int status)
{
	return status == V_OCSP_CERTSTATUS_GOOD ? "good" : status == V_OCSP_CERTSTATUS_REVOKED ? "revoked" : "unknown";
}

static int build(struct ctx *ctx, const struct ocsp_responder *r, OCSP_REQUEST *req, const struct asked *v, size_t n, struct ocsp_answer *ret,
		 struct err *e)
{
	AUTO(OCSP_BASICRESP) *basic = OCSP_BASICRESP_new();
	struct ocsp_signer signer;

	if (!basic)
		return err_ossl(e, "OCSP answer");
	for (size_t i = 0; i < n; i++) {
		struct standing s;

		if (look_up(ctx, &v[i], &s, e) != 0 || add_status(ctx, r, basic, v[i].id, &s, e) != 0)
			return -1;
		ret->status = n > 1 ? "several" : word_of(s.status);
	}
	if (req && OCSP_copy_nonce(basic, req) < 0)
		return err_ossl(e, "OCSP nonce");
	if (r->signer(r->arg, v[0].issuer->ca, &signer, e) != 0 || sign(basic, &signer, e) != 0)
		return -1;
	encode(ctx->arena, OCSP_RESPONSE_STATUS_SUCCESSFUL, basic, &ret->der);
	ret->this_update = ctx->now;
	ret->next_update = ctx->now + r->validity;
	return 0;
}

static void answer(struct ctx *ctx, const struct ocsp_responder *r, OCSP_REQUEST *req, struct ocsp_answer *ret)
{
	int n = OCSP_request_onereq_count(req);
	struct asked v[ASKED_MAX];
	struct err e = { 0 };
	bool nonce;

	if (n < 1 || n > ASKED_MAX || !nonce_fits(req, &nonce)) {
		answer_error(ctx->arena, OCSP_RESPONSE_STATUS_MALFORMEDREQUEST, "malformed", ret);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (read_id(ctx->arena, r, OCSP_onereq_get0_id(OCSP_request_onereq_get0(req, i)), &v[i]) && v[i].issuer == v[0].issuer)
			continue;
		answer_error(ctx->arena, OCSP_RESPONSE_STATUS_UNAUTHORIZED, "unauthorized", ret);
		return;
	}
	ret->ca = v[0].issuer->ca->rec.id;
	ret->serial = v[0].serial;
	if (build(ctx, r, req, v, (size_t)n, ret, &e) == 0) {
		ret->good_to_cache = !nonce;
		return;
	}
	ctx_warn(ctx, "ca %s: %s", ret->ca, e.msg);
	answer_error(ctx->arena, e.code == ERR_REMOTE ? OCSP_RESPONSE_STATUS_TRYLATER : OCSP_RESPONSE_STATUS_INTERNALERROR, "internal", ret);
}

void ocsp_answer(struct ctx *ctx, const struct ocsp_responder *r, struct bytes request, struct ocsp_answer *ret)
{
	const unsigned char *p = request.p;
	AUTO(OCSP_REQUEST) *req = request.n && request.n <= REQUEST_MAX ? d2i_OCSP_REQUEST(NULL, &p, (long)request.n) : NULL;

	*ret = (struct ocsp_answer){ 0 };
	if (!req || p != request.p + request.n)
		answer_error(ctx->arena, OCSP_RESPONSE_STATUS_MALFORMEDREQUEST, "malformed", ret);
	else
		answer(ctx, r, req, ret);
	ERR_clear_error();
}

/* --- for static hosting --- */

/* RFC 5019 2.1.1: SHA-1 is what clients that GET use. */
static OCSP_CERTID *make_id(const struct ocsp_issuer *issuer, const struct certrec *c)
{
	AUTO(BIGNUM) *n = NULL;
	ASN1_INTEGER *serial = NULL;
	const unsigned char *p = issuer->ca->cert.subject.p;
	AUTO(X509_NAME) *name = d2i_X509_NAME(NULL, &p, (long)issuer->ca->cert.subject.n);
	struct bytes bits = key_bits(issuer->ca->cert.spki);
	ASN1_BIT_STRING *key = ASN1_BIT_STRING_new();
	OCSP_CERTID *id = NULL;

	if (BN_hex2bn(&n, c->serial_number) > 0)
		serial = BN_to_ASN1_INTEGER(n, NULL);
	if (name && serial && key && ASN1_STRING_set(key, bits.p, (int)bits.n) == 1)
		id = OCSP_cert_id_new(EVP_sha1(), name, key, serial);
	ASN1_INTEGER_free(serial);
	ASN1_BIT_STRING_free(key);
	return id;
}

static int name_of(struct arena *a, OCSP_CERTID *id, char **ret, struct err *e)
{
	AUTO(OCSP_REQUEST) *req = OCSP_REQUEST_new();
	OCSP_CERTID *copy = OCSP_CERTID_dup(id);
	unsigned char *p = NULL;
	int n;

	if (!req || !copy || !OCSP_request_add0_id(req, copy)) {
		OCSP_CERTID_free(copy);
		return err_ossl(e, "OCSP request");
	}
	n = i2d_OCSP_REQUEST(req, &p);
	if (n <= 0)
		return err_ossl(e, "OCSP request");
	*ret = url_encode(a, bytes_of(b64_encode(a, (struct bytes){ p, (size_t)n })));
	OPENSSL_free(p);
	return 0;
}

int ocsp_produce(struct ctx *ctx, const struct ocsp_responder *r, const struct ocsp_issuer *issuer, const struct certrec *c,
		 struct ocsp_answer *ret, char **ret_name, struct err *e)
{
	AUTO(OCSP_CERTID) *id = make_id(issuer, c);
	struct asked q = { id, issuer, c->serial_number };
	struct ocsp_answer out = { .ca = issuer->ca->rec.id, .serial = c->serial_number, .good_to_cache = true };

	if (!id)
		return err_ossl(e, "OCSP certificate id");
	if (build(ctx, r, NULL, &q, 1, &out, e) != 0 || name_of(ctx->arena, id, ret_name, e) != 0)
		return -1;
	*ret = out;
	return 0;
}
