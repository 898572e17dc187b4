/* Whether a certificate of another authority is revoked (E7). Guarantees: fails closed, unless the manager says
 * revocation_unreachable: allow, and then with a warning; a CRL counts while it is current and signed by the issuer;
 * one that is fetched is kept until its end and fetched anew every ten minutes; a file is decoded when it has changed.
 * What the certificate itself names is asked only when its path was found good. */
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "crypto/crl.h"
#include "est/crls.h"
#include "est/kept.h"
#include "est/revoked.h"
#include "est/service.h"
#include "net/net.h"

enum { CRL_BYTES = 16 << 20, CRLS_MAX = 32, FRESH_MS = 600000, KEEP_MS = 20 * 86400000, SETTLE_SECS = 2 };

struct question {
	struct asking *q;
	const struct client_cert_auth *rules;
	const struct cert *cert, *issuer;
	struct refusal *why;
	bool asked; /* there was somebody to ask */
};

static int is_crl(struct arena *a, struct bytes text, struct err *e)
{
	struct crl ignored;

	return crl_parse(a, text, &ignored, e);
}

struct stamp { /* of a file; compared with memcmp */
	int64_t dev, ino, size, mtime_s, mtime_ns, ctime_s, ctime_ns;
};

/* One that was written a moment ago may be written again without a trace in its stamp. */
static bool settled(const char *path, struct stamp *ret, int64_t now)
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	*ret = (struct stamp){ (int64_t)st.st_dev, (int64_t)st.st_ino, st.st_size, st.st_mtim.tv_sec,
			       st.st_mtim.tv_nsec, st.st_ctim.tv_sec,
			       st.st_ctim.tv_nsec };
	return st.st_ctim.tv_sec + SETTLE_SECS < now;
}

static X509_CRL *decode(struct question *k, const char *place, struct bytes key, struct bytes text)
{
	struct arena *a = k->q->http->arena;
	struct err e = { 0 };
	struct crl crl;

	return text.n && crl_parse(a, text, &crl, &e) == 0 ? crls_keep(place, key, crl.der, &e) : NULL;
}

static X509_CRL *read_file(struct question *k, const char *path)
{
	struct stamp stamp;
	struct bytes text = { 0 }, key = { (const unsigned char *)&stamp, sizeof(stamp) };
	bool keeps = settled(path, &stamp, (int64_t)time(NULL));
	X509_CRL *crl = keeps ? crls_find(path, key) : NULL;
	struct err e = { 0 };

	if (crl)
		return crl;
	if (fs_read_found(k->q->http->arena, path, CRL_BYTES, &text, &e) != 0)
		ctx_warn(&k->q->post->ctx, "dms %s: CRL: %s", k->q->served->dms.id, e.msg);
	return decode(k, path, keeps ? key : (struct bytes){ 0 }, text);
}

/* The CRL at a path or a URL; NULL: it cannot be had. -1: later. */
static int read_crl(struct question *k, const char *place, bool again, X509_CRL **ret)
{
	const struct wanted w = { .url = place, .what = "CRL", .fresh_ms = FRESH_MS, .keep_ms = KEEP_MS,
				  .max = CRL_BYTES, .again = again, .check = is_crl };
	struct bytes text;

	k->asked = true;
	if (!net_is_url(place)) {
		*ret = read_file(k, place);
		return 0;
	}
	if (kept_get(k->q, &w, &text, k->why) != 0)
		return -1;
	*ret = text.n ? crls_find(place, text) : NULL;
	if (!*ret)
		*ret = decode(k, place, text, text);
	return 0;
}

static int by_crls(struct question *k, char *const *places, size_t n, enum revoked *ret)
{
	X509_CRL *crls[CRLS_MAX];

	/* once more when those at hand have ended */
	for (int again = 0; again < 2 && *ret == REVOCATION_UNKNOWN && n; again++) {
		size_t have = 0;
		int r = 0;

		for (size_t i = 0; i < n && have < CRLS_MAX && r == 0; i++) {
			X509_CRL *crl = NULL;

			r = read_crl(k, places[i], again, &crl);
			if (crl)
				crls[have++] = crl;
		}
		if (r == 0)
			*ret = cert_crl_status(k->cert->der, k->issuer->der, crls, have, k->q->post->ctx.now);
		while (have)
			X509_CRL_free(crls[--have]);
		if (r != 0)
			return r;
	}
	return 0;
}

static int by_ocsp(struct question *k, char *const *urls, size_t n, enum revoked *ret)
{
	for (size_t i = 0; i < n && *ret == REVOCATION_UNKNOWN; i++) {
		struct err e = { 0 };

		k->asked = true;
		if (wait_begin(k->q, k->why) != 0)
			return -1;
		*ret = ocsp_ask(k->q, urls[i], k->cert, k->issuer, &e);
		wait_end(k->q);
		if (*ret == REVOCATION_UNKNOWN)
			ctx_warn(&k->q->post->ctx, "dms %s: OCSP: %s", k->q->served->dms.id, e.msg);
	}
	return 0;
}

static int find_out(struct question *k, enum revoked *ret)
{
	struct arena *a = k->q->http->arena;
	char *urls[SOURCES_MAX] = { k->rules->ocsp_url };
	size_t n = k->rules->ocsp_url ? 1 : cert_ocsp_urls(a, k->cert->der, urls);

	if (by_crls(k, k->rules->crls.v, k->rules->crls.n, ret) != 0 || by_ocsp(k, urls, n, ret) != 0)
		return -1;
	return by_crls(k, urls, *ret == REVOCATION_UNKNOWN ? cert_crl_urls(a, k->cert->der, urls) : 0, ret);
}

int auth_revoked(struct asking *q, const struct client_cert_auth *rules, const struct cert *c,
		 const struct cert *issuer, struct refusal *why)
{
	struct question k = { .q = q, .rules = rules, .cert = c, .issuer = issuer, .why = why };
	enum revoked r = REVOCATION_UNKNOWN;

	if (find_out(&k, &r) != 0)
		return -1;
	if (r == REVOCATION_REVOKED)
		return refuse(why, 401, "revoked_certificate", "the client's certificate is revoked");
	if (r == REVOCATION_GOOD)
		return 0;
	if (rules->revocation_unreachable == UNREACHABLE_ALLOW) {
		ctx_warn(&q->post->ctx,
			 "dms %s: a client is let in although nobody knows whether its certificate is revoked",
			 q->served->dms.id);
		return 0;
	}
	if (k.asked)
		return refuse(why, 503, "revocation_unreachable",
			      "whether the client's certificate is revoked cannot be asked at the moment");
	return refuse(why, 401, "untrusted_certificate",
		      "whether the client's certificate is revoked is not known here");
}
