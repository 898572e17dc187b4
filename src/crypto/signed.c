/* The envelope that certificates, CRLs and requests share. What is signed is written backwards by the caller; the
 * signature is put behind it and the header before it, so that even a CRL of a million entries is never copied. */
#include "crypto/signed.h"

#include <string.h>

#include "crypto/key.h"

struct derw signed_begin(struct arena *a, size_t room)
{
	return derw_init(arena_alloc(a, SIGNED_HEAD + room + SIGNED_TAIL, 1), SIGNED_HEAD + room);
}

int signed_end(struct derw *w, EVP_PKEY *key, const struct sigalg *alg, struct bytes *ret_der, struct err *e)
{
	SCOPED_BUF sig = buf_init(BUF_TEXT);
	struct bytes in = derw_bytes(w);
	unsigned char buf[SIGNED_TAIL];
	struct derw tail = derw_init(buf, sizeof(buf)), all;

	if (w->over)
		return err_set(e, ERR_INVALID, "what is to be signed is too long");
	if (key_sign(key, alg, in, &sig, e))
		return -1;
	derw_raw(&tail, sig.p, sig.n);
	derw_raw(&tail, "", 1); /* no unused bits */
	derw_head(&tail, DER_BITSTRING, 0);
	derw_raw(&tail, alg->der.p, alg->der.n);
	if (tail.over)
		return err_set(e, ERR_CRYPTO, "the signature is too long");
	memcpy(w->end, tail.p, derw_mark(&tail));
	all = (struct derw){ w->start, w->p, w->end + derw_mark(&tail), false };
	derw_head(&all, DER_SEQUENCE, 0);
	if (all.over)
		return err_set(e, ERR_INVALID, "what is to be signed is too long");
	*ret_der = derw_bytes(&all);
	return 0;
}
