/* Names of objects: SHA-1 as git uses it, in hex and in bytes. The digest is fetched once per process; a libcrypto
 * without SHA-1 cannot work on any git repository of this format and ends the process. */
#include "state/oid.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha1;

static void drop(void)
{
	EVP_MD_free(sha1);
	sha1 = NULL;
}

static void fetch(void)
{
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (!sha1)
		abort();
	atexit(drop);
}

struct hash {
	EVP_MD_CTX *ctx;
};

struct hash *hash_new(struct arena *a)
{
	struct hash *h = arena_alloc(a, 1, sizeof(*h));

	pthread_once(&once, fetch);
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || !EVP_DigestInit_ex2(h->ctx, sha1, NULL))
		abort();
	return h;
}

void hash_add(struct hash *h, struct bytes b)
{
	if (!EVP_DigestUpdate(h->ctx, b.p, b.n))
		abort();
}

void hash_end(struct hash *h, struct oid *ret)
{
	if (!EVP_DigestFinal_ex(h->ctx, ret->b, NULL) || !EVP_DigestInit_ex2(h->ctx, NULL, NULL))
		abort();
}

void hash_free(struct hash *h)
{
	if (h)
		EVP_MD_CTX_free(h->ctx);
}

void hash_object(struct hash *h, enum obj_type type, struct bytes b, struct oid *ret)
{
	static const char *const names[] = { "", "commit", "tree", "blob" };
	char head[40];
	int n = snprintf(head, sizeof(head), "%s %zu", names[type], b.n);

	hash_add(h, (struct bytes){ (unsigned char *)head, (size_t)n + 1 });
	hash_add(h, b);
	hash_end(h, ret);
}

char *oid_hex(struct arena *a, const struct oid *o)
{
	return hex_encode(a, (struct bytes){ o->b, sizeof(o->b) });
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int oid_parse(const char *hex, struct oid *ret)
{
	struct oid o;

	for (size_t i = 0; i < sizeof(o.b); i++) {
		int hi = nibble(hex[2 * i]), lo = hi < 0 ? -1 : nibble(hex[2 * i + 1]);

		if (lo < 0)
			return -1;
		o.b[i] = (unsigned char)(hi << 4 | lo);
	}
	if (hex[2 * sizeof(o.b)])
		return -1;
	*ret = o;
	return 0;
}
