/* A client of OCSP (RFC 6960). Guarantees: an answer counts only when the issuer signed it, or a responder that the
 * issuer named for this; it is about this certificate, and of now; one with a nonce has ours. */
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/text.h"
#include "crypto/ossl.h"
#include "est/revoked.h"
#include "est/service.h"
#include "net/net.h"

enum { TIMEOUT_MS = 5000, ANSWER_MAX = 64 << 10, SKEW_SECS = 300 };

DEFINE_AUTO(OCSP_REQUEST, OCSP_REQUEST_free)
DEFINE_AUTO(OCSP_RESPONSE, OCSP_RESPONSE_free)
DEFINE_AUTO(OCSP_BASICRESP, OCSP_BASICRESP_free)
DEFINE_AUTO(OCSP_CERTID, OCSP_CERTID_free)

static X509 *read_cert(struct bytes der)
{
	const unsigned char *p = der.p;

	return d2i_X509(NULL, &p, (long)der.n);
}

static size_t add_url(struct arena *a, const ASN1_IA5STRING *uri, char *ret[SOURCES_MAX], size_t n)
{
	char *text = arena_strndup(a, (const char *)ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));

	if (n == SOURCES_MAX || strlen(text) != (size_t)ASN1_STRING_length(uri) || !net_is_url(text))
		return n;
	ret[n] = text;
	return n + 1;
}

size_t cert_ocsp_urls(struct arena *a, struct bytes cert, char *ret[SOURCES_MAX])
{
	AUTO(X509) *x = read_cert(cert);
	AUTHORITY_INFO_ACCESS *aia = x ? X509_get_ext_d2i(x, NID_info_access, NULL, NULL) : NULL;
	size_t n = 0;

	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(aia); i++) {
		const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(aia, i);

		if (OBJ_obj2nid(d->method) == NID_ad_OCSP && d->location->type == GEN_URI)
			n = add_url(a, d->location->d.uniformResourceIdentifier, ret, n);
	}
	AUTHORITY_INFO_ACCESS_free(aia);
	return n;
}

size_t cert_crl_urls(struct arena *a, struct bytes cert, char *ret[SOURCES_MAX])
{
	AUTO(X509) *x = read_cert(cert);
	CRL_DIST_POINTS *points = x ? X509_get_ext_d2i(x, NID_crl_distribution_points, NULL, NULL) : NULL;
	size_t n = 0;

	for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT_NAME *name = sk_DIST_POINT_value(points, i)->distpoint;

		for (int k = 0; name && name->type == 0 && k < sk_GENERAL_NAME_num(name->name.fullname); k++) {
			const GENERAL_NAME *g = sk_GENERAL_NAME_value(name->name.fullname, k);

			if (g->type == GEN_URI)
				n = add_url(a, g->d.uniformResourceIdentifier, ret, n);
		}
	}
	CRL_DIST_POINTS_free(points);
	return n;
}

/* --- the question --- */

static int ask(struct asking *q, const char *url, OCSP_REQUEST *request, OCSP_RESPONSE **ret, struct err *e)
{
	static const struct net_header type = { "Content-Type", "application/ocsp-request" };
	const struct net_options options = { .answer_max = ANSWER_MAX };
	struct net_request r = { .method = "POST", .url = url, .headers = &type, .nheaders = 1, .what = "ocsp",
				 .timeout_ms = TIMEOUT_MS };
	unsigned char *der = NULL;
	const unsigned char *p;
	int n = i2d_OCSP_REQUEST(request, &der), failed;
	struct net_client *client;
	struct net_answer a;
	enum net_fault fault;

	if (n <= 0)
		return err_ossl(e, "request to the responder");
	r.body = (struct bytes){ arena_memdup(q->http->arena, der, (size_t)n), (size_t)n };
	OPENSSL_free(der);
	if (net_here->open(&q->post->ctx, &options, &client, e) != 0)
		return -1;
	failed = net_here->send(client, q->http->arena, &r, &a, &fault, e);
	net_here->close(client);
	if (failed)
		return -1;
	p = a.body.p;
	if (a.status != 200 || !(*ret = d2i_OCSP_RESPONSE(NULL, &p, (long)a.body.n)))
		return err_set(e, ERR_REMOTE, "status %d, no answer of OCSP", a.status);
	return 0;
}

/* --- the answer --- */

static int verify(OCSP_BASICRESP *basic, OCSP_REQUEST *request, X509 *issuer, struct err *e)
{
	AUTO(X509_STORE) *store = X509_STORE_new();
	STACK_OF(X509) *others = sk_X509_new_null();
	int good = 0;

	if (store && others && X509_STORE_add_cert(store, issuer) == 1 &&
	    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
	    sk_X509_push(others, issuer) > 0)
		good = OCSP_basic_verify(basic, others, store, 0) == 1;
	sk_X509_free(others);
	if (!good)
		return err_ossl(e, "the answer of the responder");
	if (OCSP_check_nonce(request, basic) == 0)
		return err_set(e, ERR_REMOTE, "the answer is to another request");
	return 0;
}

static enum revoked status_of(OCSP_BASICRESP *basic, OCSP_CERTID *id, struct err *e)
{
	ASN1_GENERALIZEDTIME *from, *until;
	int status, reason;

	if (OCSP_resp_find_status(basic, id, &status, &reason, NULL, &from, &until) != 1) {
		(void)err_set(e, ERR_REMOTE, "the answer is about another certificate");
		return REVOCATION_UNKNOWN;
	}
	if (OCSP_check_validity(from, until, SKEW_SECS, until ? -1 : 86400) != 1) {
		(void)err_ossl(e, "the answer of the responder");
		return REVOCATION_UNKNOWN;
	}
	if (status == V_OCSP_CERTSTATUS_UNKNOWN)
		(void)err_set(e, ERR_REMOTE, "the responder does not know the certificate");
	return status == V_OCSP_CERTSTATUS_GOOD ? REVOCATION_GOOD : status == V_OCSP_CERTSTATUS_REVOKED
	       ? REVOCATION_REVOKED : REVOCATION_UNKNOWN;
}

enum revoked ocsp_ask(struct asking *q, const char *url, const struct cert *c, const struct cert *issuer, struct err *e)
{
	AUTO(X509) *subject = read_cert(c->der);
	AUTO(X509) *above = read_cert(issuer->der);
	AUTO(OCSP_REQUEST) *request = OCSP_REQUEST_new();
	/* RFC 5019 2.1.1: what all know */
	AUTO(OCSP_CERTID) *id = subject && above ? OCSP_cert_to_id(EVP_sha1(), subject, above) : NULL;
	OCSP_CERTID *sent = id ? OCSP_CERTID_dup(id) : NULL;
	AUTO(OCSP_RESPONSE) *answer = NULL;
	AUTO(OCSP_BASICRESP) *basic = NULL;

	if (!request || !sent || !OCSP_request_add0_id(request, sent) ||
	    OCSP_request_add1_nonce(request, NULL, -1) != 1) {
		(void)err_ossl(e, "request to the responder");
		return REVOCATION_UNKNOWN;
	}
	if (ask(q, url, request, &answer, e) != 0)
		return REVOCATION_UNKNOWN;
	if (OCSP_response_status(answer) != OCSP_RESPONSE_STATUS_SUCCESSFUL ||
	    !(basic = OCSP_response_get1_basic(answer))) {
		(void)err_set(e, ERR_REMOTE, "the responder answers %s",
			      OCSP_response_status_str(OCSP_response_status(answer)));
		return REVOCATION_UNKNOWN;
	}
	return verify(basic, request, above, e) != 0 ? REVOCATION_UNKNOWN : status_of(basic, id, e);
}
