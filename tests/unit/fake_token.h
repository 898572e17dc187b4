#pragma once
/* A PKCS#11 module that is only a table: objects with attributes as a test wants them, right or not. Nothing here
 * checks what a module should. */
#include <string.h>

#include "engine/pkcs11.h"

enum { FAKE_OBJECTS = 8, FAKE_ATTRS = 12 };

struct fake_attr {
	CK_ATTRIBUTE_TYPE type;
	struct bytes v;
	CK_ULONG says; /* not 0: the length that it claims when it has written */
};

struct fake_object {
	struct fake_attr v[FAKE_ATTRS];
	size_t n;
};

static struct fake_token {
	struct fake_object objects[FAKE_OBJECTS];
	size_t n, at;
	CK_ATTRIBUTE *wanted;
	CK_ULONG nwanted, finds_too_many;
	struct bytes signature;
	CK_ULONG signature_says; /* not 0: the length that C_Sign claims */
	CK_RV find_rv, sign_rv;
	unsigned signs, sessions, logins;
} fake;

static inline struct fake_object *fake_add(CK_OBJECT_CLASS class)
{
	static const CK_BBOOL yes = CK_TRUE;
	static CK_OBJECT_CLASS classes[FAKE_OBJECTS];
	struct fake_object *o = &fake.objects[fake.n];

	classes[fake.n] = class;
	*o = (struct fake_object){ .v = { { CKA_CLASS, { (const unsigned char *)&classes[fake.n], sizeof(class) }, 0 },
					  { CKA_TOKEN, { &yes, sizeof(yes) }, 0 } }, .n = 2 };
	fake.n++;
	return o;
}

static inline void fake_set(struct fake_object *o, CK_ATTRIBUTE_TYPE type, const void *p, size_t n)
{
	if (o->n < FAKE_ATTRS)
		o->v[o->n++] = (struct fake_attr){ type, { p, n }, 0 };
}

static inline const struct fake_attr *fake_get(const struct fake_object *o, CK_ATTRIBUTE_TYPE type)
{
	for (size_t i = o->n; i-- > 0;)
		if (o->v[i].type == type)
			return &o->v[i];
	return NULL;
}

static inline CK_RV fake_attribute(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *t, CK_ULONG n)
{
	const struct fake_attr *a = object && object <= fake.n ? fake_get(&fake.objects[object - 1], t->type) : NULL;

	(void)s, (void)n;
	if (!a) {
		t->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CKR_ATTRIBUTE_TYPE_INVALID;
	}
	if (t->pValue && a->v.n)
		memcpy(t->pValue, a->v.p, a->v.n < t->ulValueLen ? a->v.n : t->ulValueLen);
	t->ulValueLen = t->pValue && a->says ? a->says : a->v.n;
	return CKR_OK;
}

static inline CK_RV fake_find_init(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n)
{
	(void)s;
	fake.wanted = t;
	fake.nwanted = n;
	fake.at = 0;
	return fake.find_rv;
}

static inline bool fake_fits(const struct fake_object *o)
{
	for (CK_ULONG i = 0; i < fake.nwanted; i++) {
		const struct fake_attr *a = fake_get(o, fake.wanted[i].type);

		if (!a || !bytes_equal(a->v, (struct bytes){ fake.wanted[i].pValue, fake.wanted[i].ulValueLen }))
			return false;
	}
	return true;
}

static inline CK_RV fake_find(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *ret_n)
{
	(void)s;
	for (*ret_n = 0; fake.at < fake.n && *ret_n < max; fake.at++)
		if (fake_fits(&fake.objects[fake.at]))
			out[(*ret_n)++] = fake.at + 1;
	*ret_n += fake.finds_too_many;
	return CKR_OK;
}

static inline CK_RV fake_find_end(CK_SESSION_HANDLE s)
{
	(void)s;
	return CKR_OK;
}

static inline CK_RV fake_open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
				      CK_SESSION_HANDLE *ret)
{
	(void)slot, (void)flags, (void)app, (void)notify;
	*ret = ++fake.sessions;
	return CKR_OK;
}

static inline CK_RV fake_close_session(CK_SESSION_HANDLE s)
{
	(void)s;
	return CKR_OK;
}

static inline CK_RV fake_sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	(void)s, (void)m, (void)key;
	return CKR_OK;
}

static inline CK_RV fake_sign(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *ret_n)
{
	(void)s, (void)in, (void)n;
	fake.signs++;
	memcpy(out, fake.signature.p, fake.signature.n < *ret_n ? fake.signature.n : *ret_n);
	*ret_n = fake.signature_says ? fake.signature_says : fake.signature.n;
	return fake.sign_rv;
}

static CK_FUNCTION_LIST fake_functions = {
	.C_GetAttributeValue = fake_attribute, .C_FindObjectsInit = fake_find_init, .C_FindObjects = fake_find,
	.C_FindObjectsFinal = fake_find_end, .C_OpenSession = fake_open_session, .C_CloseSession = fake_close_session,
	.C_SignInit = fake_sign_init, .C_Sign = fake_sign
};

/* An open engine with the fake in it; free it with fake_close. */
static const struct p11_config fake_config = { .login = false };

static inline void fake_engine(struct p11 *p, struct engine *en)
{
	*p = (struct p11){ .arena = arena_new(), .config = &fake_config, .id = "fake", .f = &fake_functions, .max = 2,
			   .guard = p11_guard_new(60) };
	pthread_mutex_init(&p->lock, NULL);
	p11_cond_init(&p->given);
	*en = (struct engine){ .ops = &pkcs11_engine, .priv = p };
}

static inline void fake_close(struct p11 *p)
{
	p11_guard_free(p->guard);
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->lock);
	arena_free(p->arena);
}
