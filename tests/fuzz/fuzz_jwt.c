/* Bearer tokens of anybody: header, claims and signature as the lines of the input, and the input itself as a token and
 * as a key set. What is accepted names the issuer and the audience that were asked for, ends, and is never signed by a
 * key of ours. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "est/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char set_text[] =
	"{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"kid\": \"a\", \"x\": "
	"\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\", \"y\": \"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}, "
	"{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"kid\": \"b\", \"x\": "
	"\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static void need(bool good)
{
	if (!good)
		abort();
}

static struct bytes line(struct bytes *in)
{
	const unsigned char *end = in->n ? memchr(in->p, '\n', in->n) : NULL;
	struct bytes out = { in->p, end ? (size_t)(end - in->p) : in->n };

	in->p += out.n + (end != NULL);
	in->n -= out.n + (end != NULL);
	return out;
}

static void try_token(struct arena *a, const char *text, const struct node *set)
{
	static char es256[] = "ES256", rs256[] = "RS256", ps256[] = "PS256", eddsa[] = "EdDSA", sub[] = "sub",
			      issuer[] = "i", audience[] = "a";
	static char *algorithms[] = { es256, rs256, ps256, eddsa }, *claims[] = { sub };
	const struct jwt_auth rules = { .issuer = issuer, .audience = audience,
					.algorithms = { .v = algorithms, .n = COUNT(algorithms) },
					.required_claims = { .v = claims, .n = COUNT(claims) } };
	const struct node *key;
	struct err e = { 0 };
	struct jwt t;
	double exp;

	if (jwt_parse(a, text, &t, &e) != 0) {
		need(*e.msg);
		return;
	}
	need(t.alg && t.signed_part.n < t.compact.n);
	if (jwt_check_alg(&t, &rules, &e) == 0)
		need(strcmp(t.alg, "none") != 0 && t.alg[0] != 'H');
	key = jwt_find_key(&t, set);
	if (key)
		need(jwt_verify(a, &t, key, &e) != 0);
	if (jwt_check_claims(&t, &rules, 1700000000, &e) == 0)
		need(strcmp(est_json_str(&t.claims, "iss"), "i") == 0 && est_json_number(&t.claims, "exp", &exp) &&
		     exp > 1699999000 && node_find(&t.claims, "sub"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes in = { data, n }, header = line(&in), claims = line(&in);
	struct err e = { 0 };
	struct node set, theirs;

	need(jwks_parse(a, bytes_of(set_text), &set, &e) == 0);
	try_token(a, arena_strndup(a, (const char *)data, n), &set);
	try_token(a, arena_printf(a, "%s.%s.%s", b64url_encode(a, header), b64url_encode(a, claims),
				  b64url_encode(a, in)), &set);
	if (jwks_parse(a, (struct bytes){ data, n }, &theirs, &e) == 0)
		try_token(a, "eyJhbGciOiJFUzI1NiJ9.e30."
			     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
			     &theirs);
	return 0;
}
