/* What a PKCS#11 token says of its objects, and URIs for them: attributes of any type, length and content, on several
 * objects. None of it may crash, be read past its end, or come out as a name that is not text. Input: for each
 * attribute its object and type in a byte, its length in another (a quarter of it, of a certificate), and its octets;
 * all of it is tried as a URI too. */
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"
#include "crypto/key.h"
#include "../unit/fake_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(bool good)
{
	if (!good)
		abort();
}

static const CK_ATTRIBUTE_TYPE types[16] = {
	CKA_KEY_TYPE, CKA_ID, CKA_LABEL, CKA_EC_PARAMS, CKA_EC_POINT, CKA_MODULUS, CKA_PUBLIC_EXPONENT,
	CKA_PUBLIC_KEY_INFO, CKA_VALUE,
	CKA_SIGN, CKA_ALWAYS_AUTHENTICATE, CKA_KEY_TYPE, CKA_EC_POINT, CKA_ID, CKA_LABEL, CKA_MODULUS
};
static const CK_KEY_TYPE kinds[4] = { CKK_RSA, CKK_EC, CKK_EC_EDWARDS, CKK_AES };
static const CK_OBJECT_CLASS classes[4] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_CERTIFICATE, CKO_PRIVATE_KEY };

/* Two bits of the object, one of a length that is not true, one of a key type that is known, four of the type. */
static void fill(const uint8_t *data, size_t n)
{
	while (n > 2) {
		struct fake_object *o = &fake.objects[data[0] >> 6];
		CK_ATTRIBUTE_TYPE type = types[data[0] & 15];
		size_t len = type == CKA_VALUE ? 4U * data[1] : data[1];

		if (len > n - 2)
			len = n - 2;
		if (type == CKA_KEY_TYPE && data[0] & 16)
			fake_set(o, type, &kinds[data[1] & 3], sizeof(kinds[0]));
		else
			fake_set(o, type, data + 2, len);
		if (data[0] & 32)
			o->v[o->n - 1].says = len + 1 + data[1];
		data += 2 + len;
		n -= 2 + len;
	}
}

static void look(struct p11_use *u, CK_OBJECT_HANDLE object)
{
	char *handle = p11_handle(u, object);
	struct err e = { 0 };
	AUTO(EVP_PKEY) *direct = NULL;
	AUTO(EVP_PKEY) *pub = NULL;

	need(p11_public(u, object, &direct, &e) == 0 ? direct != NULL : e.code != ERR_NONE);
	if (!handle)
		return;
	need(*handle && utf8_valid(bytes_of(handle)));
	e = (struct err){ 0 };
	need(p11_pubkey(u, handle, &pub, &e) == 0 ? pub != NULL : e.code != ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	struct p11 p = { .arena = a, .config = &fake_config, .f = &fake_functions, .max = 1 };
	struct p11_use u = { .p = &p, .f = &fake_functions, .arena = a, .s = 1 };
	struct err e = { 0 };
	struct p11_wanted w;
	char *text = arena_strndup(a, (const char *)data, n);

	pthread_mutex_init(&p.lock, NULL);
	fake = (struct fake_token){ .n = 0 };
	for (size_t i = 0; i < COUNT(classes); i++)
		fake_add(classes[i]);
	fill(data, n);
	for (size_t i = 0; i < COUNT(classes); i++)
		look(&u, i + 1);
	if (p11_uri(a, text, &w, &e) == 0)
		need(strncasecmp(text, "pkcs11:", 7) == 0);
	else
		need(*e.msg);
	pthread_mutex_destroy(&p.lock);
	return 0;
}
