/* Decoded CRLs. Guarantees: memory is bounded by their number and the limit for one; an entry is used for the bytes or
 * the file that it was made of, never for others; decoding keeps nobody waiting. */
#include "est/crls.h"

#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

enum { PLACES = 32 };

static struct decoded {
	struct arena *arena; /* NULL: free */
	char *place;
	struct bytes key;
	X509_CRL *crl;
	uint64_t used;
} places[PLACES];
static uint64_t uses;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

X509_CRL *crls_find(const char *place, struct bytes key)
{
	X509_CRL *found = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < PLACES && !found; i++) {
		struct decoded *d = &places[i];

		if (!d->arena || strcmp(d->place, place) != 0 || !bytes_equal(d->key, key) ||
		    X509_CRL_up_ref(d->crl) != 1)
			continue;
		found = d->crl;
		d->used = ++uses;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

/* The place of the one before, a free one, or that of the one which nobody needed for longest. */
static struct decoded *room_for(const char *place)
{
	struct decoded *best = &places[0];

	for (size_t i = 0; i < PLACES; i++) {
		if (places[i].arena && strcmp(places[i].place, place) == 0)
			return &places[i];
		if (best->arena && (!places[i].arena || places[i].used < best->used))
			best = &places[i];
	}
	return best;
}

X509_CRL *crls_keep(const char *place, struct bytes key, struct bytes der, struct err *e)
{
	const unsigned char *p = der.p;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)der.n);
	struct arena *a;
	struct decoded *d;

	if (!crl || X509_CRL_up_ref(crl) != 1) {
		(void)err_ossl(e, "CRL");
		X509_CRL_free(crl);
		return NULL;
	}
	a = arena_new();
	pthread_mutex_lock(&lock);
	d = room_for(place);
	if (d->arena) {
		X509_CRL_free(d->crl);
		arena_free(d->arena);
	}
	*d = (struct decoded){ .arena = a, .place = arena_strdup(a, place),
			       .key = { arena_memdup(a, key.p, key.n), key.n }, .crl = crl, .used = ++uses };
	pthread_mutex_unlock(&lock);
	return crl;
}
