/* Proving who we are with a certificate (RFC 7523 2.2): a JWT that the certificate's key has signed. Guarantees: each
 * has a name of its own and ends within minutes, so that one that is seen is worth nothing; the private key leaves its
 * handle only as signatures. */
#include <openssl/rand.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "crypto/bundle.h"
#include "crypto/cert.h"
#include "crypto/digest.h"
#include "engine/azure.h"

enum { GOOD_FOR_SECS = 300, CHAIN_MAX = 8 };

struct azure_certificate {
	EVP_PKEY *key;
	const struct sigalg *alg;
	const char *header; /* of every assertion, encoded */
};

struct pieces {
	EVP_PKEY *key;
	struct bytes *certs;
	size_t n;
};

static int read_file(struct arena *a, const char *file, const char *password, struct pieces *ret, struct err *e)
{
	struct p12 bag;
	struct bytes text;

	if (fs_read_input(a, file, FS_LIMIT_CERT, &text, e) != 0)
		return -1;
	if (text.n && text.p[0] == 0x30) {
		if (p12_load(a, text, password ? password : "", &bag, e) != 0)
			return err_ctx(e, "%s", file);
		*ret = (struct pieces){ bag.key, bag.certs, bag.ncerts };
		return bag.key ? 0 : err_set(e, ERR_INVALID, "%s: there is no private key in it", file);
	}
	if (key_load(text, password, &ret->key, e) != 0 || cert_split(a, text, &ret->certs, &ret->n, e) != 0)
		return err_ctx(e, "%s", file);
	return 0;
}

/* The certificate of the key goes first; the rest of the file is its chain. */
static int find_certificate(struct arena *a, const char *file, struct pieces *p, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		AUTO(EVP_PKEY) *pub = NULL;
		struct cert c;
		struct bytes first = p->certs[0];

		if (cert_parse(a, p->certs[i], &c, e) != 0 || cert_pubkey(&c, &pub, e) != 0)
			return err_ctx(e, "%s", file);
		if (!key_matches(p->key, pub))
			continue;
		p->certs[0] = p->certs[i];
		p->certs[i] = first;
		return 0;
	}
	return err_set(e, ERR_INVALID, "%s: there is no certificate for the private key in it", file);
}

static int make_header(struct arena *a, const struct azure_config *config, const struct pieces *p, const char **ret,
		       struct err *e)
{
	SCOPED_BUF json = buf_init(BUF_TEXT);
	unsigned char hash[32];

	if (EVP_Digest(p->certs[0].p, p->certs[0].n, hash, NULL, ossl_md("SHA256"), NULL) != 1)
		return err_ossl(e, "SHA-256");
	buf_printf(&json, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"x5t#S256\":\"%s\"",
		   config->certificate_algorithm ? "RS256" : "PS256",
		   b64url_encode(a, (struct bytes){ hash, sizeof(hash) }));
	for (size_t i = 0; config->send_certificate_chain && i < p->n && i < CHAIN_MAX; i++)
		buf_printf(&json, "%s\"%s\"", i ? "," : ",\"x5c\":[", b64_encode(a, p->certs[i]));
	buf_puts(&json, config->send_certificate_chain ? "]}" : "}");
	*ret = b64url_encode(a, buf_bytes(&json));
	return 0;
}

int azure_certificate_load(struct arena *a, const struct azure_config *config, const char *file, const char *password,
			   struct azure_certificate **ret, struct err *e)
{
	struct azure_certificate *c = arena_new_array(a, 1, struct azure_certificate);
	AUTO(EVP_PKEY) *key = NULL;
	struct pieces p = { 0 };
	int rc = read_file(a, file, password, &p, e);

	key = p.key;
	if (rc != 0 || find_certificate(a, file, &p, e) != 0 || make_header(a, config, &p, &c->header, e) != 0)
		return -1;
	if (!EVP_PKEY_is_a(key, "RSA"))
		return err_set(e, ERR_UNSUPPORTED, "%s: Entra takes certificates with RSA keys only", file);
	c->alg = sigalg_find(config->certificate_algorithm ? "RSASSA_PKCS1_V1_5_SHA_256" : "RSASSA_PSS_SHA_256");
	c->key = key;
	key = NULL;
	*ret = c;
	return 0;
}

void azure_certificate_free(struct azure_certificate *c)
{
	if (c)
		EVP_PKEY_free(c->key);
}

int azure_assertion(struct arena *a, const struct azure_certificate *c, const char *client, const char *audience,
		    char **ret, struct err *e)
{
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	unsigned char id[16];
	const char *claims, *text;
	int64_t now = tm_now();

	if (RAND_bytes(id, sizeof(id)) != 1)
		return err_ossl(e, "random numbers");
	claims = arena_printf(a, "{\"aud\":\"%s\",\"iss\":\"%s\",\"sub\":\"%s\",\"jti\":\"%s\","
			      "\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld}",
			      audience, client, client, hex_encode(a, (struct bytes){ id, sizeof(id) }),
			      (long long)now, (long long)now, (long long)now + GOOD_FOR_SECS);
	text = arena_printf(a, "%s.%s", c->header, b64url_encode(a, bytes_of(claims)));
	if (key_sign(c->key, c->alg, bytes_of(text), &sig, e) != 0)
		return -1;
	*ret = arena_printf(a, "%s.%s", text, b64url_encode(a, buf_bytes(&sig)));
	return 0;
}
