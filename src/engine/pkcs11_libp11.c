/* PKCS#11 modules and tokens through libp11, and URIs through p11-kit: the only file that knows these libraries. They
 * are loaded when an engine is opened, so that commands without one start no slower, and need not be there where nobody
 * has a token. libp11 0.4.12 waits for ever for a session when the token gives none, keeps a copy of the PIN, never
 * logs in again after a loss, and knows no keys but RSA and ECDSA; so it loads the module and finds the tokens, and
 * sessions, login and keys go to the module itself. Each list of slots is a new one, as bringing an old one up to date
 * crashes, and is kept until the module is unloaded: releasing a slot closes everybody's sessions with its token. */
#undef OPENSSL_NO_DEPRECATED /* libp11.h names types of it; nothing here uses them */
#include <dlfcn.h>
#include <libp11.h>
#include <p11-kit/uri.h>
#include <string.h>

#include "base/text.h"
#include "engine/pkcs11.h"

#define P11_CALLS(X) \
	X(PKCS11_CTX_new) X(PKCS11_CTX_load) X(PKCS11_CTX_unload) X(PKCS11_CTX_free) X(PKCS11_enumerate_slots) \
	X(PKCS11_release_all_slots) X(PKCS11_get_slotid_from_slot) X(ERR_get_CKR_code)
#define URI_CALLS(X) \
	X(p11_kit_uri_new) X(p11_kit_uri_free) X(p11_kit_uri_parse) X(p11_kit_uri_message) \
	X(p11_kit_uri_get_pin_value) X(p11_kit_uri_any_unrecognized) X(p11_kit_uri_get_token_info) \
	X(p11_kit_uri_get_attribute) X(p11_kit_uri_get_pin_source) X(p11_kit_uri_get_module_path)

/* Each library as a table of its functions, with their types out of its header. */
#define MEMBER(f) __typeof__(f) *f;
static struct {
	P11_CALLS(MEMBER)
} p11;
static struct {
	URI_CALLS(MEMBER)
} uris;

#define NAME_OF(f) #f "\0"
static const char p11_names[] = P11_CALLS(NAME_OF), uri_names[] = URI_CALLS(NAME_OF);

/* Fills a table; `names` follow each other, each with its NUL, and an empty one is the last. */
static int library(const char *soname, const char *names, void *table, struct err *e)
{
	void *dl = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

	if (!dl)
		return err_set(e, ERR_UNSUPPORTED, "PKCS#11 needs the library %s: %s", soname, dlerror());
	for (char *to = table; *names; names += strlen(names) + 1, to += sizeof(void *)) {
		void *symbol = dlsym(dl, names);

		if (!symbol)
			return err_set(e, ERR_UNSUPPORTED, "the library %s is too old: it has no %s", soname, names);
		memcpy(to, &symbol, sizeof(symbol));
	}
	return 0;
}

static int have_p11(struct err *e)
{
	return p11.ERR_get_CKR_code ? 0 : library("libp11.so.3", p11_names, &p11, e);
}

static int have_uris(struct err *e)
{
	return uris.p11_kit_uri_get_module_path ? 0 : library("libp11-kit.so.0", uri_names, &uris, e);
}

struct slots {
	struct slots *next;
	PKCS11_SLOT *v;
	unsigned n;
};

struct lib {
	struct arena *arena; /* of `all` */
	PKCS11_CTX *ctx;
	CK_FUNCTION_LIST *f;
	bool second; /* f is another instance of the module than libp11's */
	struct slots *all;
};

/* The module's own answer, when it is in OpenSSL's queue of errors. */
static int failed(const char *call, struct err *e)
{
	unsigned long code = ERR_peek_last_error();
	CK_RV rv = ERR_GET_LIB(code) == p11.ERR_get_CKR_code() ? (CK_RV)ERR_GET_REASON(code) : CKR_GENERAL_ERROR;

	ERR_clear_error();
	return p11_err(call, rv, e);
}

/* All that is called without looking must be there. */
static bool complete(const CK_FUNCTION_LIST *f)
{
	return f && f->C_Initialize && f->C_Finalize && f->C_GetMechanismList && f->C_GetMechanismInfo &&
	       f->C_GetTokenInfo && f->C_OpenSession &&
	       f->C_CloseSession && f->C_Login && f->C_FindObjectsInit && f->C_FindObjects && f->C_FindObjectsFinal &&
	       f->C_GetAttributeValue && f->C_SetAttributeValue && f->C_CreateObject && f->C_DestroyObject &&
	       f->C_GenerateKeyPair && f->C_UnwrapKey && f->C_SignInit && f->C_Sign;
}

/* Loaded by ourselves first: libp11 would print why it cannot be. The handle is never closed, as modules with threads
 * of their own do not survive it. */
static int functions(const char *path, CK_FUNCTION_LIST **ret, struct err *e)
{
	CK_C_GetFunctionList get;
	void *dl, *symbol;
	CK_RV rv;

	p11_enter("loading it", 1);
	dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	p11_leave();
	if (!dl)
		return err_set(e, ERR_REMOTE, "module_path: %s", dlerror());
	symbol = dlsym(dl, "C_GetFunctionList");
	if (!symbol)
		return err_set(e, ERR_REMOTE, "module_path: %s is not a PKCS#11 module: it has no C_GetFunctionList",
			       path);
	memcpy(&get, &symbol, sizeof(get));
	p11_enter("C_GetFunctionList", 1);
	rv = p11_left(get(ret));
	if (rv != CKR_OK)
		return p11_err("C_GetFunctionList", rv, e);
	return complete(*ret) ? 0 : err_set(e, ERR_REMOTE, "module_path: %s lacks functions of PKCS#11 2.20", path);
}

/* p11-kit's client gives everybody who asks an instance of its own, and each has to be initialized. */
static int initialize(struct lib *lib, struct err *e)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_RV rv = P11(lib->f, C_Initialize, &args);

	lib->second = rv == CKR_OK;
	return lib->second || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? 0 : p11_err("C_Initialize", rv, e);
}

int p11_load(struct arena *a, const char *path, void **ret_lib, CK_FUNCTION_LIST **ret, struct err *e)
{
	struct lib *lib = arena_new_array(a, 1, struct lib);
	int rc;

	if (have_p11(e) != 0 || functions(path, ret, e) != 0)
		return -1;
	lib->ctx = p11.PKCS11_CTX_new();
	if (!lib->ctx)
		return err_set(e, ERR_IO, "out of memory");
	p11_enter("C_Initialize", 1);
	rc = p11.PKCS11_CTX_load(lib->ctx, path);
	p11_leave();
	if (rc != 0) {
		p11.PKCS11_CTX_free(lib->ctx);
		return failed("C_Initialize", e);
	}
	lib->arena = arena_new();
	lib->f = *ret;
	*ret_lib = lib;
	if (initialize(lib, e) == 0)
		return 0;
	p11_unload(lib);
	return -1;
}

void p11_unload(void *arg)
{
	struct lib *lib = arg;

	p11_enter("C_Finalize", 1);
	for (const struct slots *s = lib->all; s; s = s->next)
		p11.PKCS11_release_all_slots(lib->ctx, s->v, s->n);
	if (lib->second)
		lib->f->C_Finalize(NULL);
	p11.PKCS11_CTX_unload(lib->ctx);
	p11_leave();
	p11.PKCS11_CTX_free(lib->ctx);
	arena_free(lib->arena);
	ERR_clear_error();
}

int p11_tokens(struct arena *a, void *arg, struct p11_token **ret, size_t *ret_n, struct err *e)
{
	struct lib *lib = arg;
	struct slots *s = arena_new_array(lib->arena, 1, struct slots);
	struct p11_token *v;
	size_t n = 0;
	int rc;

	p11_enter("C_GetSlotList", 1);
	rc = p11.PKCS11_enumerate_slots(lib->ctx, &s->v, &s->n);
	p11_leave();
	if (rc != 0)
		return failed("C_GetSlotList", e);
	s->next = lib->all;
	lib->all = s;
	v = arena_new_array(a, s->n + 1, struct p11_token);
	for (unsigned i = 0; i < s->n; i++) {
		const PKCS11_TOKEN *t = s->v[i].token;

		if (t && t->initialized)
			v[n++] = (struct p11_token){ .slot = p11.PKCS11_get_slotid_from_slot(&s->v[i]),
						     .label = arena_strdup(a, t->label ? t->label : ""),
						     .serial = arena_strdup(a, t->serialnr ? t->serialnr : "") };
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

DEFINE_AUTO(P11KitUri, uris.p11_kit_uri_free)

static const char *field(struct arena *a, const CK_UTF8CHAR *p, size_t n)
{
	return p[0] && p[0] != 0xff ? p11_text(a, p, n) : NULL;
}

int p11_uri(struct arena *a, const char *text, struct p11_wanted *ret, struct err *e)
{
	AUTO(P11KitUri) *u = NULL;
	const CK_TOKEN_INFO *t;
	const CK_ATTRIBUTE *id, *label, *class;
	int rc;

	if (have_uris(e) != 0)
		return -1;
	u = uris.p11_kit_uri_new();
	rc = u ? uris.p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, u) : P11_KIT_URI_UNEXPECTED;
	if (rc != P11_KIT_URI_OK)
		return err_set(e, ERR_USAGE, "\"%s\" is not a PKCS#11 URI (RFC 7512): %s", text,
			       uris.p11_kit_uri_message(rc));
	if (uris.p11_kit_uri_get_pin_value(u))
		return err_set(e, ERR_USAGE,
			       "pin-value is not accepted: a PIN on the command line can be seen by others");
	if (uris.p11_kit_uri_any_unrecognized(u))
		return err_set(e, ERR_USAGE, "\"%s\": it has attributes that RFC 7512 does not know", text);
	t = uris.p11_kit_uri_get_token_info(u);
	id = uris.p11_kit_uri_get_attribute(u, CKA_ID);
	label = uris.p11_kit_uri_get_attribute(u, CKA_LABEL);
	class = uris.p11_kit_uri_get_attribute(u, CKA_CLASS);
	if (label && label->ulValueLen && memchr(label->pValue, '\0', label->ulValueLen))
		return err_set(e, ERR_USAGE, "\"%s\": a label with %%00 in it names no key here", text);
	*ret = (struct p11_wanted){
		.token = field(a, t->label, sizeof(t->label)),
		.serial = field(a, t->serialNumber, sizeof(t->serialNumber)),
		.manufacturer = field(a, t->manufacturerID, sizeof(t->manufacturerID)),
		.model = field(a, t->model, sizeof(t->model)), .is_private = true,
		.module_path = arena_strdup(a, uris.p11_kit_uri_get_module_path(u)),
		.pin_source = arena_strdup(a, uris.p11_kit_uri_get_pin_source(u)),
		.object = label ? arena_strndup(a, label->pValue, label->ulValueLen) : NULL,
	};
	if (id)
		ret->id = (struct bytes){ arena_memdup(a, id->pValue, id->ulValueLen), id->ulValueLen };
	if (class && class->ulValueLen == sizeof(CK_OBJECT_CLASS))
		ret->is_private = *(const CK_OBJECT_CLASS *)class->pValue == CKO_PRIVATE_KEY;
	return 0;
}
