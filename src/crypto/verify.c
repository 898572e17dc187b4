/* Path validation (RFC 5280 6) by OpenSSL, at a given time, with CRLs when there are any. Nothing of the environment
 * takes part: no trust store of the system, no clock. */
#include <pthread.h>

#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/digest.h"
#include "crypto/name.h"

static X509 *read_cert(struct bytes der)
{
	const unsigned char *p = der.p;

	return d2i_X509(NULL, &p, (long)der.n);
}

/* Authorities come again and again, and OpenSSL takes long to decode a public key: those that were read last are kept,
 * apart from what clients have just shown to TLS. */
enum { KEPT = 32 };
struct ring {
	struct {
		unsigned char digest[SHA256_LEN];
		X509 *x;
	} v[KEPT];
	size_t next;
};
static struct ring authorities, shown;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static X509 *find_kept(const struct ring *r, const unsigned char digest[SHA256_LEN])
{
	X509 *x = NULL;

	pthread_mutex_lock(&kept_lock);
	for (size_t i = 0; i < KEPT && !x; i++)
		if (r->v[i].x && memcmp(r->v[i].digest, digest, SHA256_LEN) == 0 && X509_up_ref(r->v[i].x) == 1)
			x = r->v[i].x;
	pthread_mutex_unlock(&kept_lock);
	return x;
}

/* With a reference of its own. */
static void keep(struct ring *r, const unsigned char digest[SHA256_LEN], X509 *x)
{
	X509 *old;

	if (X509_up_ref(x) != 1)
		return;
	pthread_mutex_lock(&kept_lock);
	old = r->v[r->next].x;
	r->v[r->next].x = x;
	memcpy(r->v[r->next].digest, digest, SHA256_LEN);
	r->next = (r->next + 1) % KEPT;
	pthread_mutex_unlock(&kept_lock);
	X509_free(old);
}

void cert_remember(struct bytes der, X509 *x)
{
	unsigned char digest[SHA256_LEN];
	X509 *same;

	sha256(der, digest);
	same = find_kept(&shown, digest);
	if (!same)
		keep(&shown, digest, x);
	X509_free(same);
}

static X509 *read_leaf(struct bytes der)
{
	unsigned char digest[SHA256_LEN];
	X509 *x;

	sha256(der, digest);
	x = find_kept(&shown, digest);
	return x ? x : read_cert(der);
}

static X509 *read_authority(struct bytes der)
{
	unsigned char digest[SHA256_LEN];
	X509 *x;

	sha256(der, digest);
	x = find_kept(&authorities, digest);
	if (x)
		return x;
	x = read_cert(der);
	if (x)
		keep(&authorities, digest, x);
	return x;
}

static void free_certs(STACK_OF(X509) **s)
{
	sk_X509_pop_free(*s, X509_free);
}

static int add_roots(X509_STORE *store, const struct bytes *roots, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		AUTO(X509) *x = read_authority(roots[i]);

		if (!x || X509_STORE_add_cert(store, x) != 1)
			return err_ossl(e, "trusted certificate");
	}
	return 0;
}

static int add_crls(X509_STORE *store, const struct bytes *crls, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned char *p = crls[i].p;
		AUTO(X509_CRL) *crl = d2i_X509_CRL(NULL, &p, (long)crls[i].n);

		if (!crl || X509_STORE_add_crl(store, crl) != 1)
			return err_ossl(e, "CRL");
	}
	return 0;
}

/* A trust anchor is trusted as it is: nobody above it could revoke it. All others need their issuer's CRL. */
static int on_error(int good, X509_STORE_CTX *ctx)
{
	int last = sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) - 1;

	if (!good && X509_STORE_CTX_get_error(ctx) == X509_V_ERR_UNABLE_TO_GET_CRL &&
	    X509_STORE_CTX_get_error_depth(ctx) == last) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	return good;
}

static int say_why(X509_STORE_CTX *ctx, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	X509 *x = X509_STORE_CTX_get_current_cert(ctx);
	struct err ignored = { 0 };
	unsigned char *der = NULL;
	char *subject = arena_strdup(a, "");
	int n = x ? i2d_X509_NAME(X509_get_subject_name(x), &der) : 0;

	if (n > 0 && name_format(a, (struct bytes){ der, (size_t)n }, &subject, &ignored) < 0)
		subject = arena_strdup(a, "");
	OPENSSL_free(der);
	err_ossl(&ignored, "verify");
	return err_set(e, ERR_CHECK, "certificate \"%s\" at depth %d: %s", text_escape(a, bytes_of(subject)),
		       X509_STORE_CTX_get_error_depth(ctx),
		       X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
}

/* One attempt; *ret_dead: the certificate of `others` that it failed at, or NULL. */
static int try_path(X509_STORE *store, X509 *leaf, STACK_OF(X509) *others, unsigned long flags, int64_t at,
		    X509 **ret_dead, struct err *e)
{
	AUTO(X509_STORE_CTX) *ctx = X509_STORE_CTX_new();

	*ret_dead = NULL;
	if (!ctx || X509_STORE_CTX_init(ctx, store, leaf, others) != 1)
		return err_ossl(e, "verify");
	X509_STORE_CTX_set_flags(ctx, flags);
	X509_STORE_CTX_set_time(ctx, 0, (time_t)at);
	X509_STORE_CTX_set_verify_cb(ctx, on_error);
	if (X509_verify_cert(ctx) == 1)
		return 0;
	if (X509_STORE_CTX_get_error_depth(ctx) > 0)
		*ret_dead = X509_STORE_CTX_get_current_cert(ctx);
	return say_why(ctx, e);
}

static bool drop(STACK_OF(X509) *v, const X509 *x)
{
	for (int i = 0; x && i < sk_X509_num(v); i++) {
		if (sk_X509_value(v, i) != x)
			continue;
		X509_free(sk_X509_delete(v, i));
		return true;
	}
	return false;
}

/* OpenSSL follows one issuer of each name. With cross-certificates that may be the wrong one, so a path that fails is
 * tried again without the certificate that it failed at. */
static int try_paths(X509_STORE *store, X509 *leaf, STACK_OF(X509) *others, unsigned long flags, int64_t at,
		     struct err *e)
{
	struct err first = { 0 }, later = { 0 };
	X509 *dead;
	int r = try_path(store, leaf, others, flags, at, &dead, &first);

	while (r != 0 && drop(others, dead))
		r = try_path(store, leaf, others, flags, at, &dead, &later);
	if (r != 0)
		*e = first;
	return r;
}

int cert_verify(struct bytes leaf, const struct bytes *chain, size_t nchain, const struct bytes *roots, size_t nroots,
		const struct bytes *crls, size_t ncrls, int64_t at, struct err *e)
{
	AUTO(X509_STORE) *store = X509_STORE_new();
	AUTO(X509) *x = read_leaf(leaf);
	__attribute__((cleanup(free_certs))) STACK_OF(X509) *others = sk_X509_new_null();
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;

	if (!store || !x || !others)
		return err_ossl(e, "certificate");
	if (add_roots(store, roots, nroots, e) < 0 || add_crls(store, crls, ncrls, e) < 0)
		return -1;
	for (size_t i = 0; i < nchain; i++) {
		X509 *one = read_authority(chain[i]);

		if (!one || sk_X509_push(others, one) <= 0) {
			X509_free(one);
			return err_ossl(e, "certificate of the chain");
		}
	}
	if (ncrls)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL | X509_V_FLAG_EXTENDED_CRL_SUPPORT |
			 X509_V_FLAG_USE_DELTAS;
	return try_paths(store, x, others, flags, at, e);
}

/* Of interest is what the CRL says, not whether the certificate has ended. */
static int on_date(int good, X509_STORE_CTX *ctx)
{
	int why = X509_STORE_CTX_get_error(ctx);

	if (good || (why != X509_V_ERR_CERT_HAS_EXPIRED && why != X509_V_ERR_CERT_NOT_YET_VALID))
		return good;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

enum revoked cert_crl_status(struct bytes cert, struct bytes issuer, X509_CRL *const *crls, size_t n, int64_t now)
{
	bool there = true;
	AUTO(X509_STORE) *store = X509_STORE_new();
	AUTO(X509_STORE_CTX) *ctx = X509_STORE_CTX_new();
	AUTO(X509) *x = read_cert(cert);
	struct err ignored = { 0 };
	int why = X509_V_ERR_UNSPECIFIED;

	for (size_t i = 0; store && i < n; i++)
		there = there && X509_STORE_add_crl(store, crls[i]) == 1;
	if (store && ctx && x && n && there && add_roots(store, &issuer, 1, &ignored) == 0 &&
	    X509_STORE_CTX_init(ctx, store, x, NULL) == 1) {
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_CRL_CHECK |
					 X509_V_FLAG_EXTENDED_CRL_SUPPORT |
						      X509_V_FLAG_USE_DELTAS);
		X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
		X509_STORE_CTX_set_verify_cb(ctx, on_date);
		why = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	}
	(void)err_ossl(&ignored, "");
	return why == X509_V_OK ? REVOCATION_GOOD : why == X509_V_ERR_CERT_REVOKED
	       ? REVOCATION_REVOKED : REVOCATION_UNKNOWN;
}
