/* What a key vault says: challenges in all the forms that they come in, hostile ones too; addresses; keys as JSON. */
#include "base/text.h"
#include "engine/azure.h"

#include "tap.h"

#define T "11111111-2222-3333-4444-555555555555"
#define AUTHORITY "https://login.microsoftonline.com/" T
#define SCOPE "https://vault.azure.net/.default"

static const struct {
	const char *header, *tenant, *scope, *error, *claims; /* scope and error NULL: refused */
} challenges[] = {
	{ "Bearer authorization=\"" AUTHORITY "\", resource=\"https://vault.azure.net\"", T, SCOPE, NULL, NULL },
	{ "Bearer resource=\"https://vault.azure.net\", authorization=\"" AUTHORITY "\"", T, SCOPE, NULL, NULL },
	{ "Bearer authorization_uri=\"" AUTHORITY "\", resource=\"https://vault.azure.net/\"", T, SCOPE, NULL, NULL },
	{ "Bearer authorization=" AUTHORITY ", resource=https://vault.azure.net", T, SCOPE, NULL, NULL },
	{ "bearer  authorization=" AUTHORITY " resource=https://vault.azure.net", T, SCOPE, NULL, NULL },
	{ "BEARER\tauthorization = \"" AUTHORITY "\" ,\tscope = \"" SCOPE "\"", T, SCOPE, NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "/oauth2/authorize\", scope=\"" SCOPE "\"", T, SCOPE, NULL, NULL },
	{ "Bearer authorization=\"https://login.microsoftonline.com/\", scope=\"" SCOPE "\"", NULL, SCOPE, NULL, NULL },
	{ "Bearer scope=\"" SCOPE "\"", NULL, SCOPE, NULL, NULL },
	{ "Bearer realm=\"a, b\", x=\"\\\"\", authorization=\"" AUTHORITY "\", resource=\"https://vault.azure.net\"", T,
	  SCOPE, NULL, NULL },
	{ "PoP nonce=\"x=y, Bearer z\", Bearer authorization=\"" AUTHORITY "\", resource=\"https://vault.azure.net\"",
	  T, SCOPE, NULL, NULL },
	{ "Negotiate, Bearer authorization=\"" AUTHORITY "\", resource=\"https://vault.azure.net\", PoP nonce=1", T,
	  SCOPE, NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "\", resource=\"https://managedhsm.azure.net\"", T,
	  "https://managedhsm.azure.net/.default", NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "\", resource=\"https://vault.azure.net\", "
					      "error=\"insufficient_claims\", claims=\"eyJhIjoxfQ==\"", T, SCOPE,
	  "insufficient_claims", "{\"a\":1}" },
	{ "Bearer error=\"invalid_token\", claims=eyJhIjoxfQ", NULL, NULL, "invalid_token", "{\"a\":1}" },
	/* refused */
	{ "", NULL, NULL, NULL, NULL },
	{ "Bearer", NULL, NULL, NULL, NULL },
	{ "Bearer ", NULL, NULL, NULL, NULL },
	{ "Basic realm=\"x\"", NULL, NULL, NULL, NULL },
	{ "BearerX authorization=\"" AUTHORITY "\", resource=\"https://vault.azure.net\"", NULL, NULL, NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "\"", NULL, NULL, NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "\", resource=\"https://vault.azure.net", NULL, NULL, NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "\", resource=\"https://vault.azure.net\", "
					      "resource=\"https://evil.example\"", NULL, NULL, NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "\", resource=\"http://vault.azure.net\"", NULL, NULL, NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "\", resource=\"vault.azure.net\"", NULL, NULL, NULL, NULL },
	{ "Bearer authorization=\"" AUTHORITY "\", resource=\"https://user@vault.azure.net\"", NULL, NULL, NULL, NULL },
	{ "Bearer authorization=\"http://login.example/" T "\", resource=\"https://vault.azure.net\"", NULL, NULL, NULL,
	  NULL },
	{ "Bearer authorization=\"https://login.example/a b\", resource=\"https://vault.azure.net\"", NULL, NULL, NULL,
	  NULL },
	{ "Bearer authorization=\"https://login.example/a%2f\", resource=\"https://vault.azure.net\"", NULL, NULL, NULL,
	  NULL },
	{ "Bearer error=\"x\", claims=\"!!\"", NULL, NULL, NULL, NULL },
	{ "Bearer error=\"x\", claims=\"Zm9v\"", NULL, NULL, NULL, NULL },
	{ "Bearer \x01=x", NULL, NULL, NULL, NULL },
	{ "Bearer ====", NULL, NULL, NULL, NULL },
};

static void test_challenges(struct arena *a)
{
	for (size_t i = 0; i < COUNT(challenges); i++) {
		struct azure_challenge c = { 0 };
		struct err e = { 0 };
		bool good = challenges[i].scope || challenges[i].error;

		ok((azure_challenge_parse(a, challenges[i].header, &c, &e) == 0) == good, "%s: %s",
		   text_escape(a, bytes_of(challenges[i].header)), good ? "read" : "refused");
		if (!good) {
			is_int(e.code, ERR_REMOTE, "the server is to blame");
			continue;
		}
		is_str(c.tenant, challenges[i].tenant, "tenant");
		is_str(c.scope, challenges[i].scope, "scope");
		is_str(c.error, challenges[i].error, "error");
		is_str(c.claims, challenges[i].claims, "claims");
	}
}

static void test_hosts(struct arena *a)
{
	static const struct {
		const char *resource, *vault;
		bool good;
	} rows[] = {
		{ "https://vault.azure.net", "v1.vault.azure.net", true },
		{ "https://VAULT.azure.net", "v1.vault.AZURE.net", true },
		{ "https://vault.azure.net:443", "v1.vault.azure.net", true },
		{ "https://managedhsm.azure.net", "h.managedhsm.azure.net", true },
		{ "https://vault.azure.net", "vault.azure.net", false },
		{ "https://vault.azure.net", "evilvault.azure.net", false },
		{ "https://vault.azure.net", "v1.vault.azure.net.evil.example", false },
		{ "https://vault.azure.net", "v1.vault.azure.cn", false },
		{ "https://evil.example", "v1.vault.azure.net", false },
		{ "https://net", "v1.vault.azure.net", false },
		{ "https://localhost", "v1.localhost", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct azure_challenge c = { .resource = rows[i].resource };
		struct err e = { 0 };

		ok((azure_challenge_check(a, &c, rows[i].vault, &e) == 0) == rows[i].good, "a token for %s %s %s",
		   rows[i].resource, rows[i].good ? "goes to" : "does not go to", rows[i].vault);
		ok(rows[i].good || e.code == ERR_DENIED, "denied");
	}
}

static void test_addresses(struct arena *a)
{
	static const struct {
		const char *text, *origin, *host, *path;
	} good[] = {
		{ "https://v1.vault.azure.net", "https://v1.vault.azure.net", "v1.vault.azure.net", "" },
		{ "HTTPS://V1.Vault.azure.net/", "https://v1.vault.azure.net", "v1.vault.azure.net", "/" },
		{ "https://localhost:8443/a/B", "https://localhost:8443", "localhost", "/a/B" },
		{ "http://localhost:80", "http://localhost:80", "localhost", "" },
		{ "http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1", "" },
	};
	static const char *const bad[] = { "", "https://", "https:///x", "ftp://a", "v1.vault.azure.net",
					   "http://v1.vault.azure.net", "https://a:b@c",
					   "https://a@b/", "https://a/@", "https://a:", "https://a:x",
					   "https://a:123456", "https://a b", "https://a?x",
					   "https://a#x", "https://a\\@b", "https://-a", "https://a/?x=1",
					   "http://127.evil.example.localhost",
					   "https://\xc3\xa4.example" };

	for (size_t i = 0; i < COUNT(good); i++) {
		struct azure_url u = { 0 };
		struct err e = { 0 };

		ok(azure_url_parse(a, good[i].text, &u, &e) == 0, "%s is an address", good[i].text);
		is_str(u.origin, good[i].origin, "origin");
		is_str(u.host, good[i].host, "host");
		is_str(u.path, good[i].path, "path");
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct azure_url u;
		struct err e = { 0 };

		ok(azure_url_parse(a, bad[i], &u, &e) != 0 && e.code == ERR_INVALID, "\"%s\" is none",
		   text_escape(a, bytes_of(bad[i])));
	}
}

static json_t *parse(const char *text)
{
	json_t *j = NULL;
	struct err e = { 0 };

	ok(remote_json(bytes_of(text), &j, &e) == 0, "it is JSON");
	return j;
}

/* Private keys as we write them, public ones as we read them. */
static void test_keys_there_and_back(struct arena *a)
{
	static const char *const types[] = { "rsa:2048", "ecdsa:256", "ecdsa:384", "ecdsa:521" };
	static const size_t lengths[] = { 0, 32, 48, 66 };

	for (size_t i = 0; i < COUNT(types) * 20; i++) { /* EC: numbers with leading zeros turn up */
		size_t t = i % COUNT(types);
		SCOPED_BUF json = buf_init(BUF_TEXT);
		AUTO(EVP_PKEY) *key = NULL;
		AUTO(EVP_PKEY) *pub = NULL;
		AUTO(json_t) *j = NULL;
		struct err e = { 0 };
		struct bytes d = { 0 };

		if (t == 0 && i > 0)
			continue;
		ok(key_generate(keytype_parse(types[t], &e), &key, &e) == 0 &&
		   azure_jwk_private(key, i % 2, &json, &e) == 0, "%s", types[t]);
		j = parse(buf_str(&json));
		ok(azure_jwk_public(a, j, &pub, &e) == 0 && key_matches(key, pub), "its public half is the key's");
		ok(b64url_decode(a, bytes_of(remote_text(j, "d")), &d) == 0 && (t == 0 || d.n == lengths[t]),
		   "d has its length");
	}
}

static void test_keys_refused(struct arena *a)
{
	/* RFC 7515 A.3 */
	static const char x[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
				y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
	AUTO(EVP_PKEY) *pub = NULL;
	AUTO(json_t) *right = parse(arena_printf(a, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", x,
						 y));
	const char *const bad[] = {
		"{}",
		"{\"kty\":\"oct\",\"k\":\"AAAA\"}",
		"{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":5,\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":\"A*\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":\"wQAB\",\"e\":\"AQABAQABAQABAQAB\"}",
		arena_printf(a, "{\"kty\":\"EC\",\"crv\":\"P-256K\",\"x\":\"%s\",\"y\":\"%s\"}", x, y),
		arena_printf(a, "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"%s\",\"y\":\"%s\"}", x, y),
		arena_printf(a, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", x, x),
		arena_printf(a, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA%s\",\"y\":\"%s\"}", x, y),
		arena_printf(a, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\"}", x),
	};
	struct err e = { 0 };

	ok(azure_jwk_public(a, right, &pub, &e) == 0 && keytype_of(pub)->bits == 256,
	   "the key of RFC 7515 A.3 is read");
	for (size_t i = 0; i < COUNT(bad); i++) {
		AUTO(EVP_PKEY) *none = NULL;
		AUTO(json_t) *j = parse(bad[i]);
		struct err why = { 0 };

		ok(azure_jwk_public(a, j, &none, &why) != 0 && !none &&
		   (why.code == ERR_REMOTE || why.code == ERR_UNSUPPORTED), "%.60s is refused",
		   bad[i]);
	}
}

static void test_kids(struct arena *a)
{
	const struct azure az = { .vault = { "https://v1.vault.azure.net", "v1.vault.azure.net", "" } };
	static const struct {
		const char *text, *name, *version;
	} good[] = {
		{ "https://v1.vault.azure.net/keys/a-1/0123", "a-1", "0123" },
		{ "HTTPS://v1.vault.azure.net/keys/a", "a", "" },
		{ "a", "a", "" },
		{ "a/b", "a", "b" },
	};
	static const char *const bad[] = { "", "/", "a/", "a/b/c", "a_b", "../a", "a/..",
					   "https://v2.vault.azure.net/keys/a", "a?b", "a b",
					   "https://v1.vault.azure.net.evil.example/keys/a",
					   "https://v1.vault.azure.net/secrets/a",
					   "https://v1.vault.azure.net/keys/" };

	for (size_t i = 0; i < COUNT(good); i++) {
		struct azure_kid k = { 0 };
		struct err e = { 0 };

		ok(azure_kid_parse(a, &az, good[i].text, &k, &e) == 0, "%s names a key", good[i].text);
		is_str(k.name, good[i].name, "name");
		is_str(k.version, good[i].version, "version");
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct azure_kid k;
		struct err e = { 0 };

		ok(azure_kid_parse(a, &az, bad[i], &k, &e) != 0, "\"%s\" names none", bad[i]);
	}
}

int main(void)
{
	SCOPED_ARENA *a = arena_new();

	test_challenges(a);
	test_hosts(a);
	test_addresses(a);
	test_keys_there_and_back(a);
	test_keys_refused(a);
	test_kids(a);
	return done();
}
