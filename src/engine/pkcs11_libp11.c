/* PKCS#11 modules and tokens through libp11, and URIs through p11-kit: the only file that needs these libraries, linked into
 * lamassu-net alone. libp11 0.4.12 waits for ever for a session when the token gives none, keeps a copy of the PIN, never logs in
 * again after a loss, and knows no keys but RSA and ECDSA; so it loads the module and finds the tokens, and sessions, login and keys
 * go to the module itself. Slots are kept until the module is unloaded: releasing one closes everybody's sessions with its token. */
#undef OPENSSL_NO_DEPRECATED /* libp11.h names types of it; nothing here uses them */
#include <dlfcn.h>
#include <libp11.h>
#include <p11-kit/uri.h>
#include <string.h>

#include "base/text.h"
#include "engine/pkcs11.h"

struct lib {
	PKCS11_CTX *ctx;
	PKCS11_SLOT *slots;
	unsigned nslots;
};

/* The module's own answer, when it is in OpenSSL's queue of errors. */
static int failed(const char *call, struct err *e)
{
	unsigned long code = ERR_peek_last_error();
	CK_RV rv = ERR_GET_LIB(code) == ERR_get_CKR_code() ? (CK_RV)ERR_GET_REASON(code) : CKR_GENERAL_ERROR;

	ERR_clear_error();
	return p11_err(call, rv, e);
}

/* All that is called without looking must be there. */
static bool complete(const CK_FUNCTION_LIST *f)
{
	return f && f->C_Initialize && f->C_GetMechanismList && f->C_GetMechanismInfo && f->C_GetTokenInfo && f->C_OpenSession &&
	       f->C_CloseSession && f->C_Login && f->C_FindObjectsInit && f->C_FindObjects && f->C_FindObjectsFinal &&
	       f->C_GetAttributeValue && f->C_SetAttributeValue && f->C_CreateObject && f->C_DestroyObject &&
	       f->C_GenerateKeyPair && f->C_UnwrapKey && f->C_SignInit && f->C_Sign;
}

/* Loaded by ourselves first: libp11 would print why it cannot be. The handle is never closed, as modules with threads of their own
 * do not survive it. */
static int functions(const char *path, CK_FUNCTION_LIST **ret, struct err *e)
{
	void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol;
	CK_C_GetFunctionList get;
	CK_RV rv;

	if (!dl)
		return err_set(e, ERR_REMOTE, "module_path: %s", dlerror());
	symbol = dlsym(dl, "C_GetFunctionList");
	if (!symbol)
		return err_set(e, ERR_REMOTE, "module_path: %s is not a PKCS#11 module: it has no C_GetFunctionList", path);
	memcpy(&get, &symbol, sizeof(get));
	rv = get(ret);
	if (rv != CKR_OK)
		return p11_err("C_GetFunctionList", rv, e);
	return complete(*ret) ? 0 : err_set(e, ERR_REMOTE, "module_path: %s lacks functions of PKCS#11 2.20", path);
}

static int load(struct arena *a, const char *path, void **ret_lib, CK_FUNCTION_LIST **ret, struct err *e)
{
	struct lib *lib = arena_new_array(a, 1, struct lib);

	if (functions(path, ret, e) != 0)
		return -1;
	lib->ctx = PKCS11_CTX_new();
	if (!lib->ctx)
		return err_set(e, ERR_IO, "out of memory");
	if (PKCS11_CTX_load(lib->ctx, path) != 0) {
		PKCS11_CTX_free(lib->ctx);
		return failed("C_Initialize", e);
	}
	*ret_lib = lib;
	return 0;
}

static void unload(void *arg)
{
	struct lib *lib = arg;

	if (lib->slots)
		PKCS11_release_all_slots(lib->ctx, lib->slots, lib->nslots);
	PKCS11_CTX_unload(lib->ctx);
	PKCS11_CTX_free(lib->ctx);
	ERR_clear_error();
}

static int tokens(struct arena *a, void *arg, struct p11_token **ret, size_t *ret_n, struct err *e)
{
	struct lib *lib = arg;
	struct p11_token *v;
	size_t n = 0;

	if (PKCS11_update_slots(lib->ctx, &lib->slots, &lib->nslots) != 0)
		return failed("C_GetSlotList", e);
	v = arena_new_array(a, lib->nslots + 1, struct p11_token);
	for (unsigned i = 0; i < lib->nslots; i++) {
		const PKCS11_TOKEN *t = lib->slots[i].token;

		if (t && t->initialized)
			v[n++] = (struct p11_token){ .slot = PKCS11_get_slotid_from_slot(&lib->slots[i]),
						     .label = arena_strdup(a, t->label ? t->label : ""),
						     .serial = arena_strdup(a, t->serialnr ? t->serialnr : "") };
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

DEFINE_AUTO(P11KitUri, p11_kit_uri_free)

static const char *field(struct arena *a, const CK_UTF8CHAR *p, size_t n)
{
	return p[0] && p[0] != 0xff ? p11_text(a, p, n) : NULL;
}

static int uri(struct arena *a, const char *text, struct p11_wanted *ret, struct err *e)
{
	AUTO(P11KitUri) *u = p11_kit_uri_new();
	const CK_TOKEN_INFO *t;
	const CK_ATTRIBUTE *id, *label, *class;
	int rc = u ? p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, u) : P11_KIT_URI_UNEXPECTED;

	if (rc != P11_KIT_URI_OK)
		return err_set(e, ERR_USAGE, "\"%s\" is not a PKCS#11 URI (RFC 7512): %s", text, p11_kit_uri_message(rc));
	if (p11_kit_uri_get_pin_value(u))
		return err_set(e, ERR_USAGE, "pin-value is not accepted: a PIN on the command line can be seen by others");
	if (p11_kit_uri_any_unrecognized(u))
		return err_set(e, ERR_USAGE, "\"%s\": it has attributes that RFC 7512 does not know", text);
	t = p11_kit_uri_get_token_info(u);
	id = p11_kit_uri_get_attribute(u, CKA_ID);
	label = p11_kit_uri_get_attribute(u, CKA_LABEL);
	class = p11_kit_uri_get_attribute(u, CKA_CLASS);
	*ret = (struct p11_wanted){
		.token = field(a, t->label, sizeof(t->label)), .serial = field(a, t->serialNumber, sizeof(t->serialNumber)),
		.manufacturer = field(a, t->manufacturerID, sizeof(t->manufacturerID)),
		.model = field(a, t->model, sizeof(t->model)), .is_private = true,
		.module_path = arena_strdup(a, p11_kit_uri_get_module_path(u)),
		.object = label ? arena_strndup(a, label->pValue, label->ulValueLen) : NULL,
	};
	if (id)
		ret->id = (struct bytes){ arena_memdup(a, id->pValue, id->ulValueLen), id->ulValueLen };
	if (class && class->ulValueLen == sizeof(CK_OBJECT_CLASS))
		ret->is_private = *(const CK_OBJECT_CLASS *)class->pValue == CKO_PRIVATE_KEY;
	return 0;
}

const struct p11_loader p11_libp11 = { .load = load, .unload = unload, .tokens = tokens, .uri = uri };
