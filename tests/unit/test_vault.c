/* Vault's engines against a server that is only a script: what is sent, in which order, and what is made of every
 * answer, also of those that no honest server gives. */
#include <fnmatch.h>
#include <stdlib.h>

#include "base/text.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "engine/sealed.h"
#include "engine/vault.h"

#include "tap.h"

static struct arena *arena;

/* --- the network --- */

struct step {
	/* "GET secret/data/x", with the token that is to be sent after a space; * is any text; NULL: anything */
	const char *want;
	int status;       /* 0: the connection is lost */
	const char *body;
};

static const struct step *script;
static size_t sent;
static char *last_body;

static int fake_open(struct ctx *ctx, const struct net_options *o, struct net_client **ret, struct err *e)
{
	(void)ctx, (void)o, (void)e;
	*ret = NULL;
	return 0;
}

static void fake_close(struct net_client *c)
{
	(void)c;
}

static int fake_send(struct net_client *c, struct arena *a, const struct net_request *r, struct net_answer *ret,
		     enum net_fault *ret_fault, struct err *e)
{
	const struct step *s = &script[sent];
	const char *token = NULL, *path = strstr(r->url, "/v1/");
	char *line;

	(void)c;
	for (size_t i = 0; i < r->nheaders; i++)
		if (strcmp(r->headers[i].name, "X-Vault-Token") == 0)
			token = r->headers[i].value;
	line = arena_printf(a, "%s %s%s%s", r->method, path ? path + 4 : "", token ? " " : "", token ? token : "");
	if (!s->want && !s->status) {
		ok(false, "nothing is expected, but sent: %s", line);
		return err_set(e, ERR_REMOTE, "end of the script");
	}
	if (s->want && strchr(s->want, '*'))
		ok(fnmatch(s->want, line, 0) == 0, "the request: %s", line);
	else if (s->want)
		is_str(line, s->want, "the request");
	sent++;
	last_body = arena_strndup(arena, (const char *)r->body.p, r->body.n);
	*ret_fault = NET_AGAIN;
	if (!s->status)
		return err_set(e, ERR_REMOTE, "the connection was lost");
	*ret = (struct net_answer){ .status = s->status, .body = bytes_of(s->body) };
	return 0;
}

static const struct net_ops fake = { .open = fake_open, .close = fake_close, .send = fake_send };

static struct ctx begin(const char *type, const char *config, const struct step *steps, struct engine **ret)
{
	struct engine_doc doc = { .id = arena_strdup(arena, "v"), .type = arena_strdup(arena, type),
				  .security_level = -1, .config = arena_strdup(arena, config) };
	struct ctx ctx = { .arena = arena };
	struct err e = { 0 };

	script = steps;
	sent = 0;
	ctx.engines = engines_new(&ctx, &doc, 1, NULL, "/nonexistent");
	if (engine_get(&ctx, NULL, ret, &e) != 0) {
		ok(false, "%s", e.msg);
		exit(1);
	}
	return ctx;
}

#define KV "HASHICORP_VAULT_KV_V2"
#define TRANSIT "HASHICORP_VAULT_TRANSIT"
#define AT "\"address\":\"https://vault.example.org\",\"timeout\":\"2s\","
#define GIVEN "{" AT "\"token\":\"env:TEST_TOKEN\"}"
#define APPROLE "{" AT "\"role_id\":\"role\",\"secret_id\":\"env:TEST_SECRET\"}"
#define LOOKED { "GET auth/token/lookup-self tok", 200, "{\"data\":{\"ttl\":0,\"renewable\":false}}" }
#define LOGIN(n) { "POST auth/approle/login", 200, "{\"auth\":{\"client_token\":\"tok" n "\",\"lease_duration\":0}}" }
#define SECRET(b64, v) "{\"data\":{\"data\":{\"key\":\"" b64 "\"},\"metadata\":{\"version\":" v "}}}"
#define END_OF_SCRIPT { NULL, 0, NULL }
#define SCRIPT(...) ((const struct step[]){ __VA_ARGS__, END_OF_SCRIPT })

/* Gets the blob "x": 0 or the code of the error. */
static int get(const char *config, const struct step *steps, struct bytes *ret, const char **version, struct err *e)
{
	struct engine *en;
	struct ctx ctx = begin(KV, config, steps, &en);
	int rc;

	*e = (struct err){ 0 };
	rc = en->ops->store->get(&ctx, en, "x", ret, version, e);
	return rc == 0 ? 0 : (int)e->code;
}

static void addresses(void)
{
	static const struct {
		const char *config, *url; /* url NULL: refused */
	} rows[] = {
		{ "\"https://a.example:8200/\"", "https://a.example:8200" },
		{ "\"https://a.example/base/\"", "https://a.example/base" },
		{ "\"http://127.0.0.1:8200\"", "http://127.0.0.1:8200" },
		{ "\"http://localhost\"", "http://localhost" },
		{ "\"http://[::1]:8200\"", "http://[::1]:8200" },
		{ "\"a.example\"", "https://a.example:8200" },
		{ "{\"host\":\"a.example\"}", "https://a.example:8200" },
		{ "{\"hostname\":\"a.example\",\"port\":\"443\",\"protocol\":\"https\",\"base_path\":\"/vault\"}",
		  "https://a.example:443/vault" },
		{ "{\"host\":\"::1\",\"protocol\":\"http\",\"tls\":{\"ca_file\":\"x\"}}", "http://[::1]:8200" },
		{ "{\"host\":\"127.0.0.1\",\"TLS\":false}", "http://127.0.0.1:8200" },
		{ "{\"host\":\"https://a.example\"}", "https://a.example" },
		{ "\"http://a.example:8200\"", NULL }, { "\"http://127.0.0.1@a.example\"", NULL },
		{ "\"http://localhost.a.example\"", NULL },
		{ "\"ftp://a.example\"", NULL }, { "\"https://\"", NULL }, { "\"https://a.example?x\"", NULL },
		{ "\"https://a.example#x\"", NULL },
		{ "\"https://a b\"", NULL }, { "\"\"", NULL }, { "7", NULL }, { "[]", NULL }, { "{}", NULL },
		{ "{\"host\":7}", NULL },
		{ "{\"host\":\"a\",\"port\":0}", NULL }, { "{\"host\":\"a\",\"port\":\"x\"}", NULL },
		{ "{\"host\":\"a\",\"port\":65536}", NULL },
		{ "{\"host\":\"a\",\"protocol\":\"http\"}", NULL }, { "{\"host\":\"a\",\"protocol\":7}", NULL },
		{ "{\"host\":\"a\",\"tls\":{\"insecure_skip_verify\":true}}", NULL }, { "{\"host\":\"a/b?c\"}", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct vault_config c = { .address = arena_strdup(arena, rows[i].config),
					  .protocol = arena_strdup(arena, "https"), .port = 8200 };
		struct vault_place p = { 0 };
		struct err e = { 0 };
		int rc = vault_place(arena, &c, &p, &e);

		if (rows[i].url)
			is_str(rc == 0 ? p.url : e.msg, rows[i].url, rows[i].config);
		else
			ok(rc != 0 && e.code == ERR_INVALID, "refused: %s: %s", rows[i].config, e.msg);
	}
	is_str(vault_path(arena, "/se cret//", "data", "a/b", "x.y"), "se%20cret/data/a/b/x.y", "a path");
	ok(vault_name_ok("a.b-C_9") && !vault_name_ok("") && !vault_name_ok(".a") && !vault_name_ok("a/b") &&
	   !vault_name_ok("a b"), "names");
}

static void logins(void)
{
	struct bytes blob = { 0 };
	const char *version;
	struct err e;

	is_int(get(GIVEN, SCRIPT(LOOKED, { "GET secret/data/x tok", 200, SECRET("aGVsbG8=", "7") }), &blob, &version,
		   &e), 0, "a token that is given");
	ok(bytes_equal(blob, bytes_of("hello")), "its blob");
	is_str(version, "7", "its version");
	is_int(get(APPROLE,
		   SCRIPT(LOGIN("1"), { "GET secret/data/x tok1", 403, "{\"errors\":[\"permission denied\"]}" },
			  LOGIN("2"), { "GET secret/data/x tok2", 200, SECRET("aGVsbG8=", "1") }), &blob, &version, &e),
			  0, "an expired token: %s");
	ok(!last_body, "a GET has no body");
	is_int(get(APPROLE, SCRIPT(LOGIN("1"), { "GET secret/data/x tok1", 403, "{\"errors\":[]}" }, LOGIN("2"),
				   { "GET secret/data/x tok2", 403, "{\"errors\":[]}" }), &blob, &version, &e),
				   ERR_DENIED, "twice is a policy");
	is_int((int)sent, 4, "with one login more");
	is_int(get(GIVEN, SCRIPT(LOOKED, { "GET secret/data/x tok", 403, "" }), &blob, &version, &e), ERR_DENIED,
	       "no login, no second try");
	is_int(get(APPROLE, SCRIPT({ "POST auth/approle/login", 400, "{\"errors\":[\"invalid role or secret ID\"]}" }),
		   &blob, &version, &e), ERR_DENIED,
	       "a wrong secret id");
	ok(strstr(e.msg, "invalid role or secret ID") && !strstr(e.msg, "geheim"), "is told: %s", e.msg);
	is_str(last_body, "{\"role_id\":\"role\",\"secret_id\":\"geheim\"}", "the login");
	is_int(get(APPROLE, SCRIPT({ "POST auth/approle/login", 200, "{\"auth\":null}" }), &blob, &version, &e),
	       ERR_REMOTE, "a login without a token");
	is_int(get(APPROLE, SCRIPT({ "POST auth/approle/login", 200, "{\"auth\":{\"client_token\":\"a\\nb\"}}" }),
		   &blob, &version, &e), ERR_REMOTE,
	       "a token of two lines");
	is_int(get(GIVEN,
		   SCRIPT({ "GET auth/token/lookup-self tok", 403, "" },
			  { "GET secret/data/x tok", 200, SECRET("aGVsbG8=", "1") }), &blob,
		   &version, &e), 0, "a token that may not look at itself");
}

static void answers(void)
{
	static const struct {
		int status;
		const char *body;
		enum err_code code;
		const char *says;
		size_t requests;
	} rows[] = {
		{ 503, "{\"errors\":[\"Vault is sealed\"]}", ERR_REMOTE, "is sealed", 1 },
		{ 307, "", ERR_REMOTE, "stands by", 1 },
		{ 472, "{}", ERR_REMOTE, "stands by", 1 },
		{ 473, "{}", ERR_REMOTE, "stands by", 1 },
		{ 501, "{}", ERR_REMOTE, "not initialized", 1 },
		{ 400, "{\"errors\":[\"1 error occurred:\\n\\t* bad\\n\\n\"]}", ERR_REMOTE, ": bad (400)", 1 },
		{ 404, "{\"errors\":[]}", ERR_NOT_FOUND, "no private key here", 1 },
		{ 404, "{\"errors\":[\"no handler for route \\\"x\\\"\"]}", ERR_REMOTE, "nothing is mounted", 1 },
		{ 404, "<html>", ERR_REMOTE, "not how Vault answers", 1 },
		{ 404, "{\"data\":{\"data\":null,\"metadata\":{\"version\":3,\"destroyed\":true}}}", ERR_NOT_FOUND,
		  "version 3", 1 },
		{ 200, "<html>", ERR_REMOTE, "JSON", 1 },
		{ 200, "", ERR_REMOTE, "version 2", 1 },
		{ 200, "{}", ERR_REMOTE, "version 2", 1 },
		{ 200, "{\"data\":[1,2]}", ERR_REMOTE, "version 2", 1 },
		{ 200, "{\"data\":{\"key\":\"aGVsbG8=\"}}", ERR_REMOTE, "version 2", 1 },
		{ 200, SECRET("aGVsbG8=", "-1"), ERR_REMOTE, "version 2", 1 },
		{ 200, SECRET("!", "1"), ERR_REMOTE, "not base64", 1 },
		{ 200, "{\"data\":{\"data\":{\"key\":7},\"metadata\":{\"version\":1}}}", ERR_NOT_FOUND, "no member",
		  1 },
		{ 418, "{\"errors\":[7,null,\"\\u001b[31mtea\"]}", ERR_REMOTE, "\\x1b[31mtea", 1 },
	};
	struct bytes blob;
	const char *version;
	struct err e;

	for (size_t i = 0; i < COUNT(rows); i++) {
		int code = get(GIVEN, SCRIPT(LOOKED, { "GET secret/data/x tok", rows[i].status, rows[i].body }), &blob,
			       &version, &e);

		ok(code == (int)rows[i].code && strstr(e.msg, rows[i].says) && sent == rows[i].requests + 1,
		   "%d %s: %s", rows[i].status, rows[i].body, e.msg);
	}
	is_int(get(GIVEN,
		   SCRIPT(LOOKED, { NULL, 500, "{}" }, { NULL, 412, "{}" }, { NULL, 200, SECRET("-----BEGIN X", "1") }),
		   &blob, &version, &e), 0,
	       "what passes is waited for; PEM as it is");
	ok(bytes_equal(blob, bytes_of("-----BEGIN X")), "its text");
}

static int put(const char *over, const struct step *steps, struct err *e)
{
	struct engine *en;
	struct ctx ctx = begin(KV, GIVEN, steps, &en);
	int rc;

	*e = (struct err){ 0 };
	rc = en->ops->store->put(&ctx, en, "x", bytes_of("hello"), over, e);
	return rc == 0 ? 0 : (int)e->code;
}

static void writing(void)
{
#define MOUNT { "GET sys/internal/ui/mounts/secret tok", 200, \
		"{\"data\":{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}}" }
#define WRITTEN { "POST secret/data/x tok", 200, "{\"data\":{\"version\":2}}" }
#define MISMATCH { "POST secret/data/x tok", 400, "{\"errors\":[\"check-and-set parameter did not match the current " \
						  "version\"]}" }
#define THERE(b64, v) { "GET secret/data/x tok", 200, SECRET(b64, v) }
	struct err e;

	is_int(put(NULL, SCRIPT(LOOKED, MOUNT, WRITTEN), &e), 0, "a new one");
	is_str(last_body, "{\"options\":{\"cas\":0},\"data\":{\"key\":\"aGVsbG8=\"}}", "that must not be there");
	is_int(put("4", SCRIPT(LOOKED, MOUNT, WRITTEN, { "PUT secret/destroy/x tok", 204, "" }), &e), 0, "a newer one");
	is_str(last_body, "{\"versions\":[4]}", "destroys what it replaces");
	is_int(put(NULL, SCRIPT(LOOKED, MOUNT, MISMATCH, THERE("b3RoZXI=", "1")), &e), ERR_EXISTS, "the name is taken");
	is_int(put("1", SCRIPT(LOOKED, MOUNT, MISMATCH, THERE("b3RoZXI=", "2")), &e), ERR_CONFLICT,
	       "somebody was faster");
	is_int(put(NULL, SCRIPT(LOOKED, MOUNT, { "POST secret/data/x tok", 0, NULL }, MISMATCH, THERE("aGVsbG8=", "1")),
		   &e), 0,
	       "it was ours, whose answer was lost");
	is_int(put(NULL,
		   SCRIPT(LOOKED, MOUNT, MISMATCH,
			  { "GET secret/data/x tok", 404, "{\"data\":{\"data\":null,\"metadata\":{\"version\":5}}}" },
			  WRITTEN), &e), 0, "one that was deleted softly");
	is_str(last_body, "{\"options\":{\"cas\":5},\"data\":{\"key\":\"aGVsbG8=\"}}", "is written over");
	is_int(put(NULL,
		   SCRIPT(LOOKED,
			  { "GET sys/internal/ui/mounts/secret tok", 200,
			    "{\"data\":{\"type\":\"kv\",\"options\":null}}" }), &e), ERR_REMOTE,
	       "nothing is written to version 1");
	is_int(put(NULL, SCRIPT(LOOKED, { "GET sys/internal/ui/mounts/secret tok", 403, "{}" }, WRITTEN), &e), 0,
	       "a mount that may not be looked at");
}

static void signing(void)
{
	static const char *const bad[] = {
		"{\"data\":{\"signature\":\"vault:v2:aGVsbG8=\"}}", "{\"data\":{\"signature\":\"aGVsbG8=\"}}",
		"{\"data\":{\"signature\":\"vault:v1:!\"}}",
		"{\"data\":{\"signature\":7}}", "{\"data\":{}}", "{}",
	};
	static const char *const handles[] = { "k", "k:", "k:0", "k:-1", "k:x", "k:1x", ":1", "../k:1", "a/b:1",
					       "k:99999999999999999999x" };
	const struct sigalg *alg = sigalg_find("ECDSA_SHA_256");
	struct keyref ref = { .handle = "k:1" };
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	struct err e = { 0 };
	struct engine *en;
	struct ctx ctx = begin(TRANSIT, GIVEN,
			       SCRIPT(LOOKED,
				      { "POST transit/sign/k tok", 200,
					"{\"data\":{\"signature\":\"vault:v1:aGVsbG8=\"}}" }), &en);

	ok(en->ops->sign(en, &ref, alg, bytes_of("digest"), &sig, &e) == 0 &&
	   bytes_equal(buf_bytes(&sig), bytes_of("hello")), "signed %s", e.msg);
	is_str(last_body, "{\"input\":\"ZGlnZXN0\",\"key_version\":1,\"prehashed\":true,"
	       "\"hash_algorithm\":\"sha2-256\",\"marshaling_algorithm\":\"asn1\"}",
	       "the request");
	for (size_t i = 0; i < COUNT(bad); i++) {
		ctx = begin(TRANSIT, GIVEN, SCRIPT(LOOKED, { "POST transit/sign/k tok", 200, bad[i] }), &en);
		ok(en->ops->sign(en, &ref, alg, bytes_of("digest"), &sig, &e) != 0 && e.code == ERR_REMOTE,
		   "refused: %s: %s", bad[i], e.msg);
	}
	for (size_t i = 0; i < COUNT(handles); i++) {
		ref.handle = handles[i];
		ctx = begin(TRANSIT, GIVEN, SCRIPT(LOOKED), &en);
		ok(en->ops->sign(en, &ref, alg, bytes_of("digest"), &sig, &e) != 0 && e.code == ERR_INVALID &&
		   sent == 0, "nothing is sent for %s", handles[i]);
	}
	(void)ctx;
}

/* The answer that shows a public key, and the key itself when `ret` is not NULL. */
static const char *shown(const char *type, const char *format, EVP_PKEY **ret)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct err e = { 0 };
	char *pem, *at;

	if (key_generate(keytype_parse(type, &e), &key, &e) != 0 || key_public_pem(arena, key, &pem, &e) != 0)
		exit(1);
	while ((at = strchr(pem, '\n')))
		pem = arena_printf(arena, "%.*s\\n%s", (int)(at - pem), pem, at + 1);
	if (ret) {
		*ret = key;
		key = NULL;
	}
	return arena_printf(arena, "%.*s%s%s", (int)strcspn(format, "%"), format, pem, strchr(format, '%') + 1);
}

static int import(EVP_PKEY *key, const struct step *steps, struct err *e)
{
	struct engine *en;
	struct keyref ref;
	struct ctx ctx = begin(TRANSIT, GIVEN, steps, &en);
	int rc;

	*e = (struct err){ 0 };
	rc = en->ops->import(&ctx, en, key, "label", &ref, e);
	return rc == 0 ? 0 : (int)e->code;
}

static void importing(void)
{
#define OF_KEY "{\"data\":{\"keys\":{\"1\":{\"public_key\":\"%\"}}}}"
#define LOST { "POST transit/keys/lamassu-label-*/import tok", 0, NULL }
	AUTO(EVP_PKEY) *key = NULL;
	const char *wrapping = shown("rsa:2048", "{\"data\":{\"public_key\":\"%\"}}", NULL);
	const char *ours = shown("ecdsa:256", OF_KEY, &key), *other = shown("ecdsa:256", OF_KEY, NULL);
	const struct step wrap = { "GET transit/wrapping_key tok", 200, wrapping };
	struct err e;

	is_int(import(key, SCRIPT(LOOKED, wrap, LOST, { "GET transit/keys/lamassu-label-* tok", 200, ours }), &e), 0,
	       "an import whose answer was lost came in");
	is_int(import(key,
		      SCRIPT(LOOKED, wrap, LOST, { "GET transit/keys/lamassu-label-* tok", 404, "{\"errors\":[]}" }),
		      &e), ERR_REMOTE,
	       "or did not");
	is_int(import(key, SCRIPT(LOOKED, wrap, LOST, { "GET transit/keys/lamassu-label-* tok", 200, other }), &e),
	       ERR_REMOTE,
	       "another key is not taken for it");
}

int main(void)
{
	arena = arena_new();
	setenv("TEST_TOKEN", "tok", 1);
	setenv("TEST_SECRET", "geheim", 1);
	unsetenv("VAULT_ADDR"), unsetenv("BAO_ADDR"), unsetenv("VAULT_TOKEN"), unsetenv("BAO_TOKEN"),
	unsetenv("VAULT_NAMESPACE"), unsetenv("BAO_NAMESPACE");
	net_here = &fake;
	addresses();
	logins();
	answers();
	writing();
	signing();
	importing();
	arena_free(arena);
	return done();
}
