/* The PKCS#11 engine: keys in hardware modules, smart cards, TPMs and SoftHSM. Its document, what its token can do, and
 * the keys that are there already. Guarantees: a token is known by its label or serial number, never by its slot;
 * opening an engine asks for no PIN; private keys never leave the token. */
#include "engine/pkcs11.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { USUAL_SESSIONS = 8, MANY_MECHANISMS = 4096, PAGE = 64, KEYS_MAX = 1 << 16 };

static const char *const path_aka[] = { "module", NULL };
static const char *const token_aka[] = { "token_label", NULL };
static const char *const serial_aka[] = { "token_serial", NULL };

static const struct field extra_fields[] = {
	ANY(p11_extra, env, "Environment variables that are set before the module is loaded, such as SOFTHSM2_CONF."),
	END
};
static const struct schema extra_type = {
	.name = "module_extra_options", .doc = "Options of the module", .size = sizeof(struct p11_extra),
	.fields = extra_fields
};

static const struct field config_fields[] = {
	STR(p11_config, module_path, "The module: absolute path of a shared object that speaks PKCS#11.",
	    .flags = F_REQ, .aka = path_aka),
	STR(p11_config, token, "Label of the token. May be left out when the module has one token only.",
	    .aka = token_aka),
	STR(p11_config, serial, "Serial number of the token, when the label is not enough.", .aka = serial_aka),
	STR(p11_config, pin,
	    "The user's PIN, by reference. Without it LAMASSU_PIN_<ENGINE> or LAMASSU_PIN is looked for, then the "
	    "person at the terminal is asked; a token with a key pad of its own is told to ask there. A wrong PIN is "
	    "tried once.", .flags = F_SECRET),
	OBJ(p11_config, module_extra_options, &extra_type, "Options of the module."),
	BOOL(p11_config, login, "Log in. Some modules, such as accelerators, want none.", .dflt = "true"),
	BOOL(p11_config, read_only, "Make, change and delete nothing on the token.", .dflt = "false"),
	DUR(p11_config, timeout,
	    "How long one call of the module may last before it is given up; the making of a key, ten times as long.",
	    .dflt = "1m",
	    .min = 1, .max = 3600),
	INT(p11_config, max_sessions,
	    "Sessions, and so signatures, at once. 0: one for each core, at most 8. Never more than the token allows.",
	    .dflt = "0",
	    .max = P11_SESSIONS),
	STRV(p11_config, mechanisms,
	     "Use these mechanisms only, by number (0x1041) or name (CKM_ECDSA), although the token says that it "
	     "has more.",
	     .flags = F_LAX),
	STRV(p11_config, key_types,
	     "Make and take in keys of these types only, although the token says that it can more.",
	     .flags = F_LAX),
	END
};

static const struct {
	const char *name;
	CK_MECHANISM_TYPE type;
} mechanisms[] = {
#define MECHANISM(n) { #n, n }
	MECHANISM(CKM_RSA_PKCS_KEY_PAIR_GEN), MECHANISM(CKM_RSA_X9_31_KEY_PAIR_GEN), MECHANISM(CKM_RSA_PKCS),
	MECHANISM(CKM_RSA_PKCS_PSS), MECHANISM(CKM_RSA_PKCS_OAEP), MECHANISM(CKM_EC_KEY_PAIR_GEN), MECHANISM(CKM_ECDSA),
	MECHANISM(CKM_EC_EDWARDS_KEY_PAIR_GEN), MECHANISM(CKM_EDDSA), MECHANISM(CKM_AES_KEY_WRAP_PAD),
};

static bool mechanism_parse(const char *text, CK_MECHANISM_TYPE *ret)
{
	char *end;

	for (size_t i = 0; i < COUNT(mechanisms); i++)
		if (text_same_name(text, mechanisms[i].name)) {
			*ret = mechanisms[i].type;
			return true;
		}
	*ret = strtoul(text, &end, 0);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static int config_check(struct arena *a, void *rec, struct err *e)
{
	const struct p11_config *c = rec;
	const char *env = c->module_extra_options.env;
	CK_MECHANISM_TYPE ignored;

	(void)a;
	if (c->module_path[0] != '/')
		return err_set(e, ERR_INVALID, "module_path: \"%s\" is not an absolute path", c->module_path);
	if (env && env[0] != '{')
		return err_set(e, ERR_INVALID, "module_extra_options.env: must be a mapping of names to values");
	for (size_t i = 0; i < c->mechanisms.n; i++)
		if (!mechanism_parse(c->mechanisms.v[i], &ignored))
			return err_set(e, ERR_INVALID,
				       "mechanisms: \"%s\" is neither a number nor a name that is used here",
				       c->mechanisms.v[i]);
	for (size_t i = 0; i < c->key_types.n; i++)
		if (!keytype_parse(c->key_types.v[i], e))
			return err_ctx(e, "key_types");
	return 0;
}

static const struct schema config_type = {
	.name = "config", .doc = "The PKCS#11 engine", .size = sizeof(struct p11_config), .fields = config_fields,
	.check = config_check
};

/* --- the token --- */

static bool fits(const struct p11_config *c, const struct p11_token *t)
{
	return (!c->token || strcmp(c->token, t->label) == 0) && (!c->serial || strcmp(c->serial, t->serial) == 0);
}

/* The tokens that fit, where that is too many of them; all that are there, where none does. */
static int no_token(const struct p11_config *c, const struct p11_token *v, size_t n, size_t fit, struct err *e)
{
	SCOPED_BUF wanted = buf_init(BUF_TEXT);
	SCOPED_BUF list = buf_init(BUF_TEXT);

	for (size_t i = 0; i < n; i++)
		if (!fit || fits(c, &v[i]))
			buf_printf(&list, "%s\"%s\" (serial %s)", list.n ? ", " : "", v[i].label, v[i].serial);
	if (fit)
		return err_set(e, ERR_CONFLICT, "several tokens fit: set token or serial to one of %s", buf_str(&list));
	if (c->token)
		buf_printf(&wanted, " \"%s\"", c->token);
	if (c->serial)
		buf_printf(&wanted, " of serial number %s", c->serial);
	return err_set(e, ERR_REMOTE, "no token%s is there; the module has: %s", buf_str(&wanted),
		       n ? buf_str(&list) : "none");
}

int p11_token_find(struct p11 *p, struct arena *a, struct err *e)
{
	struct p11_token *v;
	size_t n, fit = 0;
	CK_RV rv;

	if (p11_tokens(a, p->module->lib, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (fits(p->config, &v[i]) && fit++ == 0)
			p->slot = v[i].slot;
	if (fit != 1)
		return no_token(p->config, v, n, fit, e);
	rv = P11(p->f, C_GetTokenInfo, p->slot, &p->token);
	return rv == CKR_OK ? 0 : p11_err("C_GetTokenInfo", rv, e);
}

static bool allowed(const struct p11_config *c, CK_MECHANISM_TYPE type)
{
	CK_MECHANISM_TYPE t;

	for (size_t i = 0; i < c->mechanisms.n; i++)
		if (mechanism_parse(c->mechanisms.v[i], &t) && t == type)
			return true;
	return c->mechanisms.n == 0;
}

static int ask_mechanisms(struct p11 *p, struct err *e)
{
	CK_MECHANISM_TYPE all[MANY_MECHANISMS];
	CK_ULONG n = MANY_MECHANISMS;
	CK_RV rv = P11(p->f, C_GetMechanismList, p->slot, all, &n);

	if (rv != CKR_OK)
		return p11_err("C_GetMechanismList", rv, e);
	if (n > MANY_MECHANISMS)
		return err_set(e, ERR_REMOTE,
			       "C_GetMechanismList: the module says that there are more than it had room for");
	p->mechanisms = arena_new_array(p->arena, n + 1, CK_MECHANISM_TYPE);
	for (CK_ULONG i = 0; i < n; i++)
		if (allowed(p->config, all[i]))
			p->mechanisms[p->nmechanisms++] = all[i];
	return 0;
}

bool p11_has(const struct p11 *p, CK_MECHANISM_TYPE type)
{
	for (size_t i = 0; i < p->nmechanisms; i++)
		if (p->mechanisms[i] == type)
			return true;
	return false;
}

/* --- open, close --- */

static unsigned most_sessions(const struct p11 *p)
{
	CK_ULONG limit = p->read_only ? p->token.ulMaxSessionCount : p->token.ulMaxRwSessionCount;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = cores < 1 ? 1 : cores > USUAL_SESSIONS ? USUAL_SESSIONS : (unsigned)cores;

	if (p->config->max_sessions)
		n = (unsigned)p->config->max_sessions;
	if (limit != CK_UNAVAILABLE_INFORMATION && limit != CK_EFFECTIVELY_INFINITE && limit < n)
		n = (unsigned)limit;
	return n;
}

struct opening {
	struct ctx *ctx;
	struct engine *en;
	struct p11 *p;
};

static int open_token(void *arg, struct arena *a, struct err *e)
{
	const struct opening *o = arg;
	const struct p11_config *c = o->p->config;
	const char *dir = o->ctx->dry_run ? NULL : o->en->dir;
	struct p11 *p = o->p;

	(void)a;
	if (p11_module_open(c->module_path, c->module_extra_options.env, dir, &p->module, e) != 0)
		return -1;
	p->f = p->module->f;
	if (p11_token_find(p, p->arena, e) == 0 && ask_mechanisms(p, e) == 0)
		return 0;
	p11_module_close(p->module);
	return -1;
}

/* What threads of the guard know is in an arena of its own, which stays when one of them is stuck. */
static int p11_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	const struct p11_config *c = config;
	struct arena *a = arena_new();
	struct p11 *p = arena_new_array(a, 1, struct p11);
	struct opening o = { ctx, en, p };

	*p = (struct p11){ .config = c, .id = en->doc->id, .arena = a, .guard = p11_guard_new(c->timeout.secs) };
	if (p11_guarded(p->guard, NULL, open_token, &o, e) != 0) {
		if (p11_guard_free(p->guard))
			arena_free(a);
		return -1;
	}
	p->read_only = c->read_only || p->token.flags & CKF_WRITE_PROTECTED;
	p->max = most_sessions(p);
	pthread_mutex_init(&p->lock, NULL);
	p11_cond_init(&p->given);
	en->priv = p;
	return 0;
}

static int close_token(void *arg, struct arena *a, struct err *e)
{
	struct p11 *p = arg;

	(void)a, (void)e;
	p11_sessions_close(p);
	p11_module_close(p->module);
	return 0;
}

static void p11_close(struct engine *en)
{
	struct err ignored = { 0 };
	struct p11 *p = en->priv;

	(void)!p11_guarded(p->guard, NULL, close_token, p, &ignored);
	en->priv = NULL;
	if (!p11_guard_free(p->guard))
		return;
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->lock);
	arena_free(p->arena);
}

/* --- what it can do --- */

/* Some modules count RSA sizes in octets. */
static bool size_fits(const struct p11 *p, CK_MECHANISM_TYPE type, CK_ULONG bits, bool rsa)
{
	CK_MECHANISM_INFO info;
	CK_ULONG unit;

	if (!p11_has(p, type) || P11(p->f, C_GetMechanismInfo, p->slot, type, &info) != CKR_OK)
		return false;
	unit = rsa && info.ulMaxKeySize >= 128 && info.ulMaxKeySize <= 1024 ? 8 : 1;
	return info.ulMaxKeySize == 0 || (info.ulMinKeySize * unit <= bits && bits <= info.ulMaxKeySize * unit);
}

static bool chosen(const struct p11_config *c, const struct keytype *k)
{
	struct err ignored = { 0 };

	for (size_t i = 0; i < c->key_types.n; i++)
		if (keytype_parse(c->key_types.v[i], &ignored) == k)
			return true;
	return c->key_types.n == 0;
}

static bool can(const struct p11 *p, const struct keytype *k)
{
	CK_ULONG bits = (CK_ULONG)k->bits;

	if (!chosen(p->config, k))
		return false;
	if (strcmp(k->ossl, "RSA") == 0)
		return p11_rsa_generator(p) != P11_NONE && size_fits(p, p11_rsa_generator(p), bits, true) &&
		       size_fits(p, CKM_RSA_PKCS, bits, true);
	if (k->group)
		return size_fits(p, CKM_EC_KEY_PAIR_GEN, bits, false) && size_fits(p, CKM_ECDSA, bits, false);
	return strcmp(k->ossl, "ED25519") == 0 && p11_has(p, CKM_EC_EDWARDS_KEY_PAIR_GEN) && p11_has(p, CKM_EDDSA);
}

struct asking {
	struct p11 *p;
	uint32_t can;
};

static int ask_types(void *arg, struct arena *a, struct err *e)
{
	struct asking *q = arg;

	(void)a, (void)e;
	for (size_t i = 0; keytypes[i].name; i++)
		if (can(q->p, &keytypes[i]))
			q->can |= UINT32_C(1) << i;
	return 0;
}

static int keytypes_of(struct engine *en, uint32_t *ret, struct err *e)
{
	struct asking q = { .p = en->priv };

	if (p11_guarded(q.p->guard, NULL, ask_types, &q, e) != 0)
		return -1;
	*ret = q.can;
	return 0;
}

/* --- keys that are there --- */

struct keys {
	struct keyref *v;
	size_t n;
	const struct p11_wanted *want; /* NULL: all that are fit to sign */
};

static bool wanted(struct p11_use *u, CK_OBJECT_HANDLE object, const struct p11_wanted *w)
{
	struct bytes v;

	if (!w)
		return p11_attr_true(u, object, CKA_SIGN);
	if (w->id.p && !(p11_attr(u, object, CKA_ID, &v) && bytes_equal(v, w->id)))
		return false;
	return !w->object || (p11_attr(u, object, CKA_LABEL, &v) && bytes_equal(v, bytes_of(w->object)));
}

static int add_ref(struct p11_use *u, struct keys *k, CK_OBJECT_HANDLE object)
{
	struct bytes label;
	char *handle;

	if (!wanted(u, object, k->want))
		return 0;
	handle = p11_handle(u, object);
	if (!handle)
		return 0;
	k->v = arena_grow(u->arena, k->v, k->n, sizeof(*k->v));
	k->v[k->n] = (struct keyref){ .handle = handle };
	if (p11_attr(u, object, CKA_LABEL, &label) && label.n && utf8_valid(label))
		k->v[k->n].label = arena_strndup(u->arena, (const char *)label.p, label.n);
	k->n++;
	return 0;
}

static int list(struct p11_use *u, void *arg, struct err *e)
{
	static const CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE t[] = { P11_VAR(CKA_CLASS, class), P11_VAR(CKA_TOKEN, p11_yes) };
	CK_OBJECT_HANDLE *v = arena_new_array(u->arena, KEYS_MAX, CK_OBJECT_HANDLE);
	struct keys *k = arg;
	size_t n;

	k->n = 0;
	if (p11_find(u, t, COUNT(t), v, KEYS_MAX, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_ref(u, k, v[i]) != 0)
			return -1;
	return 0;
}

/* All names first, then their keys: a token may have no second session. */
static int each(struct ctx *ctx, struct engine *en, int (*cb)(void *, const struct keyref *, struct err *), void *arg,
		struct err *e)
{
	struct keys k = { 0 };

	if (p11_run(ctx, en->priv, ctx->arena, list, &k, e) != 0)
		return -1;
	for (size_t i = 0; i < k.n; i++)
		if (cb(arg, &k.v[i], e) != 0)
			return -1;
	return 0;
}

static bool same(const char *want, const CK_UTF8CHAR *field, size_t n, struct arena *a)
{
	return !want || strcmp(want, p11_text(a, field, n)) == 0;
}

static int check_place(struct ctx *ctx, const struct p11 *p, const struct p11_wanted *w, struct err *e)
{
	const CK_TOKEN_INFO *t = &p->token;
	struct arena *a = ctx->arena;

	if (!w->is_private)
		return err_set(e, ERR_USAGE, "the URI must name a private key: type=private");
	if (!w->object && !w->id.p)
		return err_set(e, ERR_USAGE, "the URI names no key: give object or id");
	if (w->module_path && strcmp(w->module_path, p->config->module_path) != 0 &&
	    strcmp(w->module_path, p->module->path) != 0)
		return err_set(e, ERR_USAGE, "the URI's module-path is not the module of this engine");
	if (!same(w->token, t->label, sizeof(t->label), a) ||
	    !same(w->serial, t->serialNumber, sizeof(t->serialNumber), a) ||
	    !same(w->manufacturer, t->manufacturerID, sizeof(t->manufacturerID), a) ||
	    !same(w->model, t->model, sizeof(t->model), a))
		return err_set(e, ERR_NOT_FOUND, "the URI names another token than this engine's, \"%s\"",
			       p11_text(a, t->label, sizeof(t->label)));
	return 0;
}

static int find_wanted(struct ctx *ctx, struct engine *en, const struct p11_wanted *w, struct keys *ret, struct err *e)
{
	*ret = (struct keys){ .want = w };
	return p11_run(ctx, en->priv, ctx->arena, list, ret, e);
}

/* A URI, with or without its scheme; else a label; else a CKA_ID in hexadecimal. */
static int find(struct ctx *ctx, struct engine *en, const char *name, struct keyref *ret, struct err *e)
{
	struct p11_wanted w = { .is_private = true, .object = name };
	bool uri = text_has_prefix(name, "pkcs11:");
	struct err ignored = { 0 };
	struct keys k;

	if (uri ? p11_uri(ctx->arena, name, &w, e) != 0
		: strchr(name, '=') &&
		p11_uri(ctx->arena, arena_printf(ctx->arena, "pkcs11:%s", name), &w, &ignored) == 0)
		uri = true;
	if (e->code || (uri && check_place(ctx, en->priv, &w, e) != 0) || find_wanted(ctx, en, &w, &k, e) != 0)
		return -1;
	if (k.n == 0 && !uri && hex_decode(ctx->arena, name, &w.id) == 0) {
		w.object = NULL;
		if (find_wanted(ctx, en, &w, &k, e) != 0)
			return -1;
	}
	if (k.n == 0)
		return err_set(e, ERR_NOT_FOUND, "the token has no private key \"%s\"", name);
	if (k.n > 1)
		return err_set(e, ERR_USAGE, "\"%s\" names %zu private keys of the token; give the id", name, k.n);
	*ret = k.v[0];
	return 0;
}

struct reading {
	const char *handle;
	EVP_PKEY *pub;
	struct p11_known key;
};

static int read_pub(struct p11_use *u, void *arg, struct err *e)
{
	struct reading *r = arg;

	return p11_pubkey(u, r->handle, &r->pub, e);
}

static int pubkey(struct ctx *ctx, struct engine *en, const struct keyref *ref, EVP_PKEY **ret, struct err *e)
{
	struct reading r = { .handle = ref->handle };

	if (p11_run(ctx, en->priv, ctx->arena, read_pub, &r, e) != 0)
		return -1;
	*ret = r.pub;
	return 0;
}

static int look_up(struct p11_use *u, void *arg, struct err *e)
{
	struct reading *r = arg;

	return p11_key(u, r->handle, &r->key, e);
}

static int prepare(struct ctx *ctx, struct engine *en, const struct keyref *ref, struct err *e)
{
	struct reading r = { .handle = ref->handle };

	return p11_run(ctx, en->priv, ctx->arena, look_up, &r, e);
}

/* SoftHSM is software, whatever interface it has. */
static int p11_level(const void *config)
{
	const struct p11_config *c = config;
	const char *slash = strrchr(c->module_path, '/');

	return strncmp(slash ? slash + 1 : c->module_path, "libsofthsm", 10) == 0 ? 0 : 2;
}

const struct engine_ops pkcs11_engine = {
	.kind = "PKCS11", .provider = "PKCS#11", .security_level = 2, .level = p11_level, .scheme = "pkcs11",
	.config = &config_type, .caps = CAP_GENERATE | CAP_IMPORT | CAP_DELETE | CAP_LIST, .open = p11_open,
	.close = p11_close, .keytypes = keytypes_of, .generate = p11_generate, .import = p11_import, .prepare = prepare,
	.sign = p11_sign, .pubkey = pubkey, .destroy = p11_destroy, .each = each, .find = find,
	.annotate = p11_annotate, .child = p11_child
};
