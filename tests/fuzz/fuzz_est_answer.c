/* What EST servers answer: the first byte chooses certificates or the multipart of serverkeygen, whose Content-Type is
 * the first line. Nothing stops the reader, what it takes lies within what came, and it refuses with ERR_INVALID or as
 * OpenSSL does. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "client/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void check_certs(struct arena *a, struct bytes body)
{
	struct bytes *v = NULL;
	struct err e = { 0 };
	size_t n = 0;

	if (answer_certs(a, body, &v, &n, &e) == 0) {
		assert(n >= 1 && n <= ANSWER_CERTS_MAX);
		for (size_t i = 0; i < n; i++)
			assert(v[i].n > 0);
		return;
	}
	assert(e.code == ERR_INVALID || e.code == ERR_CRYPTO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	struct answer_key key;
	struct bytes body;
	struct err e = { 0 };
	const uint8_t *end;

	if (n == 0)
		return 0;
	body = (struct bytes){ arena_memdup(a, data + 1, n - 1), n - 1 };
	if (data[0] & 1) {
		check_certs(a, body);
		return 0;
	}
	end = body.n ? memchr(body.p, '\n', body.n) : NULL;
	if (!end)
		return 0;
	if (answer_keygen(a, arena_strndup(a, (const char *)body.p, (size_t)(end - body.p)),
			  (struct bytes){ end + 1, body.n - (size_t)(end - body.p) - 1 }, &key, &e) != 0) {
		assert(e.code == ERR_INVALID);
		return 0;
	}
	assert(key.der.n > 0 && key.certs.n > 0 && key.certs.p >= body.p && key.certs.p + key.certs.n <= body.p +
	       body.n);
	check_certs(a, key.certs);
	return 0;
}
