/* Keys in Azure Key Vault and Managed HSM. Guarantees: a key is made under a name that nobody has, so that a create
 * never becomes a new version of somebody's key; it is named by its kid with the version ever after, so that a rotation
 * does not change what signs; no kid of another vault is followed; raw signatures have exactly the length of their
 * curve and become DER. */
#include <openssl/rand.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "engine/azure.h"

enum { NAME_MAX_OURS = 60, TAG_MAX = 256, PAGES_MAX = 100000, RANDOM_OCTETS = 8 };

/* --- kids --- */

static bool name_ok(const char *s, size_t max)
{
	static const char fit[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";
	size_t n = strlen(s);

	return n > 0 && n <= max && strspn(s, fit) == n;
}

int azure_kid_parse(struct arena *a, const struct azure *az, const char *text, struct azure_kid *ret, struct err *e)
{
	size_t n = strlen(az->vault.origin);
	char *name, *slash;

	if (strncasecmp(text, "http:", 5) == 0 || strncasecmp(text, "https:", 6) == 0) {
		if (strncasecmp(text, az->vault.origin, n) != 0 || !text_has_prefix(text + n, "/keys/"))
			return err_set(e, ERR_INVALID, "\"%.300s\" is not a key of the vault %s",
				       text_escape(a, bytes_of(text)), az->vault.origin);
		text += n + strlen("/keys/");
	}
	name = arena_strdup(a, text);
	slash = strchr(name, '/');
	if (slash)
		*slash++ = '\0';
	if (!name_ok(name, 127) || (slash && !name_ok(slash, 64)))
		return err_set(e, ERR_INVALID, "\"%.300s\" is not a name of a key: NAME, NAME/VERSION or its URL",
			       text_escape(a, bytes_of(text)));
	*ret = (struct azure_kid){ name, slash ? slash : "" };
	return 0;
}

static char *path_of(struct arena *a, const struct azure_kid *kid, const char *verb)
{
	return arena_printf(a, "/keys/%s%s%s%s", kid->name, kid->version[0] ? "/" : "", kid->version, verb);
}

int azure_get(struct azure *az, struct arena *a, const struct azure_kid *kid, json_t **ret, struct err *e)
{
	const struct azure_request r = { .method = "GET", .path = path_of(a, kid, ""), .what = "get key" };

	if (azure_call(az, a, &r, ret, e) != 0)
		return -1;
	return *ret ? 0 : err_set(e, ERR_REMOTE, "get key: the answer is empty");
}

int azure_kid_of(struct arena *a, const struct azure *az, json_t *bundle, char **ret, struct err *e)
{
	const char *text = remote_text(bundle, "key.kid");
	struct azure_kid kid;

	if (!text || !text_has_prefix(text, "http") || azure_kid_parse(a, az, text, &kid, e) != 0 || !kid.version[0])
		return err_set(e, ERR_REMOTE, "the vault does not say which key it means");
	*ret = arena_printf(a, "%s%s", az->vault.origin, path_of(a, &kid, ""));
	return 0;
}

/* --- key types --- */

static bool can_hold(const struct keytype *t)
{
	return strcmp(t->ossl, "RSA") == 0 || azure_curve(t->group);
}

/* No call lists them; that the vault is there and takes our token is asked. A role that may not list keys is a good
 * one. */
int azure_keytypes(struct engine *en, uint32_t *ret, struct err *e)
{
	int status = 0;
	const struct azure_request r = { .method = "GET", .path = "/keys", .query = "maxresults=1", .what = "list keys",
					 .ret_status = &status };
	struct azure *az = en->priv;
	SCOPED_ARENA *a = arena_new();
	struct err why = { 0 };
	uint32_t bits = 0;

	if (!az->probed && azure_call(az, a, &r, NULL, &why) != 0 && status != 403) {
		*e = why;
		return -1;
	}
	az->probed = true;
	for (size_t i = 0; keytypes[i].name; i++)
		if (can_hold(&keytypes[i]))
			bits |= UINT32_C(1) << i;
	*ret = bits;
	return 0;
}

/* --- making --- */

/* What people read in the portal, and a random end: names are never used twice, not even those of deleted keys. */
static int fresh_name(struct arena *a, const char *label, char **ret, struct err *e)
{
	unsigned char noise[RANDOM_OCTETS];
	SCOPED_BUF name = buf_init(BUF_TEXT);

	if (RAND_bytes(noise, sizeof(noise)) != 1)
		return err_set(e, ERR_CRYPTO, "no random numbers");
	for (const char *p = label ? label : ""; *p && name.n < NAME_MAX_OURS; p++) {
		char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			buf_putc(&name, c);
		else if (name.n && name.p[name.n - 1] != '-')
			buf_putc(&name, '-');
	}
	if (name.n == 0)
		buf_puts(&name, "lamassu");
	if (name.p[name.n - 1] != '-')
		buf_putc(&name, '-');
	buf_puts(&name, hex_encode(a, (struct bytes){ noise, sizeof(noise) }));
	*ret = arena_strdup(a, buf_str(&name));
	return 0;
}

static void remember(struct engine *en, const char *kid, EVP_PKEY *key)
{
	struct azure *az = en->priv;

	EVP_PKEY_free(az->seen_key);
	az->seen_key = EVP_PKEY_up_ref(key) ? key : NULL;
	az->seen_kid = arena_strdup(en->arena, kid);
}

static int take_bundle(struct engine *en, json_t *bundle, const char *label, struct keyref *ret, EVP_PKEY **ret_pub,
		       struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	json_t *jwk = remote_member(bundle, "key");
	char *kid;

	if (!json_is_object(jwk))
		return err_set(e, ERR_REMOTE, "the answer has no key");
	if (azure_kid_of(en->arena, en->priv, bundle, &kid, e) != 0 || azure_jwk_public(en->arena, jwk, &pub, e) != 0)
		return -1;
	remember(en, kid, pub);
	*ret = (struct keyref){ .handle = kid, .label = arena_strdup(en->arena, label) };
	if (ret_pub) {
		*ret_pub = pub;
		pub = NULL;
	}
	return 0;
}

/* Makes one key. An answer that was lost leaves one question, which is asked: is a key there under the name that only
 * we know? */
static int make(struct ctx *ctx, struct engine *en, const struct azure_request *r, const char *name, json_t **ret,
		struct err *e)
{
	const struct azure_kid kid = { name, "" };
	struct err why = { 0 };

	if (azure_call(en->priv, ctx->arena, r, ret, e) == 0)
		return *ret ? 0 : err_set(e, ERR_REMOTE, "%s: the answer is empty", r->what);
	if (e->code != ERR_REMOTE)
		return -1;
	if (azure_get(en->priv, ctx->arena, &kid, ret, &why) == 0) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (why.code == ERR_NOT_FOUND)
		return -1;
	return err_set(e, ERR_REMOTE, "%s (it is not known whether the vault has made the key %s)",
		       arena_strdup(ctx->arena, e->msg), name);
}

static json_t *labels(const char *label)
{
	return json_pack("{s:s, s:s}", "lamassu-name", label && strlen(label) <= TAG_MAX && utf8_valid(bytes_of(label))
			 ? label : "", "created-by",
			 "lamassu");
}

int azure_generate(struct ctx *ctx, struct engine *en, const struct keytype *type, const char *label,
		   struct keyref *ret, EVP_PKEY **ret_pub, struct err *e)
{
	const struct azure *az = en->priv;
	bool rsa = strcmp(type->ossl, "RSA") == 0;
	struct azure_request r = { .method = "POST", .what = "create key", .once = true };
	AUTO(EVP_PKEY) *pub = NULL;
	AUTO(json_t) *bundle = NULL;
	AUTO(json_t) *body = json_pack("{s:s+, s:[ss], s:o}", "kty", rsa ? "RSA" : "EC", az->config->hsm ? "-HSM" : "",
				       "key_ops", "sign", "verify",
				       "tags", labels(label));
	char *name;

	if (!body ||
	    json_object_set_new(body, rsa ? "key_size" : "crv",
				rsa ? json_integer(type->bits) : json_string(type->group)) != 0)
		out_of_memory();
	if (fresh_name(ctx->arena, label, &name, e) != 0)
		return -1;
	r.path = arena_printf(ctx->arena, "/keys/%s/create", name);
	r.body = bytes_of(azure_json(ctx->arena, body));
	if (make(ctx, en, &r, name, &bundle, e) != 0 || take_bundle(en, bundle, label, ret, &pub, e) != 0)
		return -1;
	if (keytype_of(pub) != type)
		return err_set(e, ERR_REMOTE, "create key: the vault has made a key of another type, %s", ret->handle);
	*ret_pub = pub;
	pub = NULL;
	return 0;
}

int azure_import(struct ctx *ctx, struct engine *en, EVP_PKEY *key, const char *label, struct keyref *ret,
		 struct err *e)
{
	const struct azure *az = en->priv;
	struct azure_request r = { .method = "PUT", .what = "import key", .once = true };
	SCOPED_BUF body = buf_init(BUF_TEXT);
	AUTO(EVP_PKEY) *pub = NULL;
	AUTO(json_t) *bundle = NULL;
	AUTO(json_t) *tags = labels(label);
	char *name;

	if (fresh_name(ctx->arena, label, &name, e) != 0)
		return -1;
	buf_puts(&body, "{\"key\":");
	if (azure_jwk_private(key, az->config->hsm, &body, e) != 0)
		return -1;
	buf_printf(&body, ",\"Hsm\":%s,\"tags\":%s}", az->config->hsm ? "true" : "false",
		   tags ? azure_json(ctx->arena, tags) : "{}");
	r.path = arena_printf(ctx->arena, "/keys/%s", name);
	r.body = buf_bytes(&body);
	if (make(ctx, en, &r, name, &bundle, e) != 0 || take_bundle(en, bundle, label, ret, &pub, e) != 0)
		return -1;
	return key_matches(pub, key) ? 0 : err_set(e, ERR_REMOTE, "import key: the vault has another key as %s",
						   ret->handle);
}

/* --- using --- */

static const struct {
	const char *name, *alg;
	size_t raw; /* octets of an ECDSA signature */
} algorithms[] = {
	{ "RSASSA_PKCS1_V1_5_SHA_256", "RS256", 0 }, { "RSASSA_PKCS1_V1_5_SHA_384", "RS384", 0 },
	{ "RSASSA_PKCS1_V1_5_SHA_512", "RS512", 0 },
	{ "RSASSA_PSS_SHA_256", "PS256", 0 },	     { "RSASSA_PSS_SHA_384", "PS384",
						       0 },	  { "RSASSA_PSS_SHA_512", "PS512", 0 },
	{ "ECDSA_SHA_256", "ES256", 64 },	     { "ECDSA_SHA_384", "ES384",
						       96 },		  { "ECDSA_SHA_512", "ES512", 132 }
};

static int sign_call(struct azure *az, struct arena *a, const struct azure_kid *kid, size_t alg, struct bytes digest,
		     struct bytes *ret, struct err *e)
{
	const char *body = arena_printf(a, "{\"alg\":\"%s\",\"value\":\"%s\"}", algorithms[alg].alg,
					b64url_encode(a, digest)), *value;
	const struct azure_request r = { .method = "POST", .path = path_of(a, kid, "/sign"), .body = bytes_of(body),
					 .what = "sign" };
	AUTO(json_t) *answer = NULL;

	if (azure_call(az, a, &r, &answer, e) != 0) {
		if (e->code == ERR_NOT_FOUND) /* whoever signs had a key a moment ago */
			e->code = ERR_REMOTE;
		return -1;
	}
	value = remote_text(answer, "value");
	if (!value || b64url_decode(a, bytes_of(value), ret) != 0)
		return err_set(e, ERR_REMOTE, "sign: there is no signature in the answer");
	return 0;
}

int azure_sign(struct engine *en, const struct keyref *ref, const struct sigalg *alg, struct bytes in, struct buf *sig,
	       struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct azure_kid kid;
	struct bytes raw;
	size_t i;

	for (i = 0; i < COUNT(algorithms); i++)
		if (strcmp(algorithms[i].name, alg->name) == 0)
			break;
	if (i == COUNT(algorithms))
		return err_set(e, ERR_UNSUPPORTED, "Azure Key Vault has no %s", alg->name);
	if (azure_kid_parse(a, en->priv, ref->handle, &kid, e) != 0 ||
	    sign_call(en->priv, a, &kid, i, in, &raw, e) != 0)
		return -1;
	if (!algorithms[i].raw) {
		buf_put(sig, raw.p, raw.n);
		return 0;
	}
	if (key_ecdsa_der(raw, algorithms[i].raw, sig, e) != 0) {
		e->code = ERR_REMOTE;
		return -1;
	}
	return 0;
}

int azure_pubkey(struct ctx *ctx, struct engine *en, const struct keyref *ref, EVP_PKEY **ret, struct err *e)
{
	const struct azure *az = en->priv;
	AUTO(json_t) *bundle = NULL;
	struct azure_kid kid;
	struct keyref again;

	if (az->seen_key && strcmp(az->seen_kid, ref->handle) == 0 && EVP_PKEY_up_ref(az->seen_key)) {
		*ret = az->seen_key;
		return 0;
	}
	if (azure_kid_parse(ctx->arena, az, ref->handle, &kid, e) != 0 ||
	    azure_get(en->priv, ctx->arena, &kid, &bundle, e) != 0)
		return -1;
	return take_bundle(en, bundle, NULL, &again, ret, e);
}

/* --- finding --- */

/* A key by its name is its newest version. */
int azure_find(struct ctx *ctx, struct engine *en, const char *name, struct keyref *ret, struct err *e)
{
	AUTO(json_t) *bundle = NULL;
	struct azure_kid kid;

	if (azure_kid_parse(ctx->arena, en->priv, name, &kid, e) != 0) {
		e->code = ERR_NOT_FOUND; /* nor can it be in this vault */
		return -1;
	}
	if (azure_get(en->priv, ctx->arena, &kid, &bundle, e) != 0)
		return e->code == ERR_NOT_FOUND ? azure_say_deleted(en->priv, ctx->arena, &kid, e) : -1;
	return take_bundle(en, bundle, kid.name, ret, NULL, e);
}

struct page {
	struct ctx *ctx;
	struct engine *engine;
	int (*cb)(void *, const struct keyref *, struct err *);
	void *arg;
};

/* One of a list, which says its name only. A key that cannot be used here is passed over with a warning. */
static int each_item(const struct page *p, json_t *item, struct err *e)
{
	struct azure *az = p->engine->priv;
	const char *text = remote_text(item, "kid");
	AUTO(json_t) *bundle = NULL;
	struct err why = { 0 };
	struct azure_kid kid;
	struct keyref ref;

	if (!text || azure_kid_parse(p->ctx->arena, az, text, &kid, &why) != 0)
		return err_set(e, ERR_REMOTE, "list keys: the vault lists what is not a key of its own");
	if (azure_get(az, p->ctx->arena, &kid, &bundle, &why) != 0) {
		if (why.code != ERR_NOT_FOUND && why.code != ERR_DENIED) {
			*e = why;
			return -1;
		}
	} else if (take_bundle(p->engine, bundle, kid.name, &ref, NULL, &why) == 0) {
		return p->cb(p->arg, &ref, e);
	}
	ctx_warn(p->ctx, "engine %s: key %s is left out: %s", p->engine->doc->id, kid.name, why.msg);
	return 0;
}

int azure_each(struct ctx *ctx, struct engine *en, int (*cb)(void *, const struct keyref *, struct err *), void *arg,
	       struct err *e)
{
	const struct page page = { ctx, en, cb, arg };
	struct azure_request r = { .method = "GET", .path = "/keys", .query = "maxresults=25", .what = "list keys" };

	for (int i = 0; i < PAGES_MAX; i++) {
		AUTO(json_t) *list = NULL;
		const char *next;
		json_t *items;

		if (azure_call(en->priv, ctx->arena, &r, &list, e) != 0)
			return -1;
		items = remote_member(list, "value");
		for (size_t k = 0; k < json_array_size(items); k++)
			if (each_item(&page, json_array_get(items, k), e) != 0)
				return -1;
		next = remote_text(list, "nextLink");
		if (!next || !*next)
			return 0;
		if (strcmp(next, r.path) == 0)
			break;
		r.path = arena_strdup(ctx->arena, next);
		r.query = NULL;
	}
	return err_set(e, ERR_REMOTE, "list keys: the vault's pages do not end");
}

/* --- names --- */

static void join(struct arena *a, json_t *tags, const char *name, const struct strv *v)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);

	for (size_t i = 0; i < v->n && text.n + strlen(v->v[i]) + 2 <= TAG_MAX; i++)
		buf_printf(&text, "%s%s", i ? ", " : "", v->v[i]);
	if (v->n == 0)
		json_object_del(tags, name);
	else if (json_object_set_new(tags, name, json_string(arena_strdup(a, buf_str(&text)))) != 0)
		out_of_memory();
}

/* Tags of others stay: an update replaces all of them. */
int azure_annotate(struct ctx *ctx, struct engine *en, const struct keyref *ref, const struct key_notes *notes,
		   struct err *e)
{
	struct azure_request r = { .method = "PATCH", .what = "update key" };
	AUTO(json_t) *bundle = NULL;
	AUTO(json_t) *body = NULL;
	struct azure_kid kid;
	struct strv name = { 0 };
	char *one = arena_strdup(ctx->arena, notes->name ? notes->name : "");
	json_t *tags;

	if (azure_kid_parse(ctx->arena, en->priv, ref->handle, &kid, e) != 0 ||
	    azure_get(en->priv, ctx->arena, &kid, &bundle, e) != 0)
		return -1;
	tags = remote_member(bundle, "tags");
	body = json_pack("{s:o}", "tags", json_is_object(tags) ? json_copy(tags) : json_object());
	tags = remote_member(body, "tags");
	if (!tags)
		out_of_memory();
	name = (struct strv){ &one, one[0] ? 1 : 0, true };
	join(ctx->arena, tags, "lamassu-name", &name);
	join(ctx->arena, tags, "lamassu-aliases", &notes->aliases);
	join(ctx->arena, tags, "lamassu-tags", &notes->tags);
	r.path = path_of(ctx->arena, &kid, "");
	r.body = bytes_of(azure_json(ctx->arena, body));
	return azure_call(en->priv, ctx->arena, &r, NULL, e);
}
