/* Issues: a TBSCertificate written backwards into one allocation, one signature, no objects of OpenSSL besides the key.
 * Keeps no state, so that any number of threads may sign with one key. Checks nothing about what is being certified;
 * pki/ has. */
#include "crypto/cert.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "crypto/signed.h"

enum { FIXED_ROOM = 256 /* headers, version, serial, times */ };

void cert_random_serial(struct tbs *t)
{
	t->serial_n = 16;
	if (RAND_bytes(t->serial, 16) != 1)
		abort(); /* without randomness nothing here is safe */
	t->serial[0] = (unsigned char)((t->serial[0] & 0x3f) | 0x40);
}

static size_t room_for(const struct tbs *t, const struct sigalg *alg)
{
	return FIXED_ROOM + alg->der.n + t->issuer.n + t->subject.n + t->spki.n + exts_room(&t->exts);
}

static void write_tbs(struct derw *w, const struct tbs *t, const struct sigalg *alg)
{
	size_t mark;

	if (t->exts.n) {
		exts_write(w, &t->exts);
		derw_head(w, DER_CTX_CONS | 3, 0);
	}
	derw_raw(w, t->spki.p, t->spki.n);
	derw_raw(w, t->subject.p, t->subject.n);
	mark = derw_mark(w);
	derw_time(w, t->not_after);
	derw_time(w, t->not_before);
	derw_head(w, DER_SEQUENCE, mark);
	derw_raw(w, t->issuer.p, t->issuer.n);
	derw_raw(w, alg->der.p, alg->der.n);
	derw_int_bytes(w, t->serial, t->serial_n);
	if (t->exts.n) /* RFC 5280 4.1.2.1: extensions make it version 3 */
		derw_raw(w, "\xa0\x03\x02\x01\x02", 5);
	derw_head(w, DER_SEQUENCE, 0);
}

int cert_sign(struct arena *a, const struct tbs *t, EVP_PKEY *key, const struct sigalg *alg, struct bytes *ret_der,
	      struct err *e)
{
	struct derw w = signed_begin(a, room_for(t, alg));

	write_tbs(&w, t, alg);
	return signed_end(&w, key, alg, ret_der, e);
}
