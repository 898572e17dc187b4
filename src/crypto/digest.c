/* SHA-256 of short things: identifiers, fingerprints, names of objects. The algorithm is fetched once for the process;
 * a build of OpenSSL without SHA-256 cannot do anything for us, so there is no error to handle. */
#include "crypto/digest.h"

#include <stdlib.h>

#include "base/text.h"
#include "crypto/ossl.h"

void sha256(struct bytes in, unsigned char out[SHA256_LEN])
{
	if (EVP_Digest(in.p ? (const void *)in.p : "", in.n, out, NULL, ossl_md("SHA256"), NULL) != 1)
		abort();
}

char *sha256_hex(struct arena *a, struct bytes in)
{
	unsigned char out[SHA256_LEN];

	sha256(in, out);
	return hex_encode(a, (struct bytes){ out, sizeof(out) });
}
