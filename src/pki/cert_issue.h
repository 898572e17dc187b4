#pragma once
#include "pki/cert_find.h"
#include "pki/issue.h"

/* Certificates whose key is ours: key and certificate in one step, and renewal with the same key (C17). All go into the
 * transaction; the caller commits. */
struct cert_order {
	const char *profile;           /* NULL: the authority's */
	const char *key;               /* reference to an existing key, or */
	const struct keytype *keytype; /* the type of a new one */
	const char *engine;            /* of a new key; NULL: the default */
	bool key_to_file;              /* the new key enters no engine: it is the caller's to keep */
	struct wishes wishes;          /* the subject among them */
	char *metadata;
	char *dms, *bind;              /* of the ledger's head; NULL: none */
};
struct cert_made {
	struct issued issued;
	struct key key;                /* id NULL with key_to_file */
	bool key_is_new;
	EVP_PKEY *private_key;         /* owned; key_to_file only */
};
void cert_made_release(struct cert_made *);
#define SCOPED_CERT_MADE __attribute__((cleanup(cert_made_release))) struct cert_made

/* `ca` has its key open. On failure a key that was made is removed again. */
int cert_make(struct ctx *, struct authority *ca, const struct cert_order *, struct cert_made *ret,
	      struct err *) NODISCARD;
/* Takes back what no transaction covers: the new key in its engine. For a commit that failed, or a dry run. */
void cert_unmake(struct ctx *, const struct cert_made *);

/* Renewal. `ca` is released and loaded again when it is another one than the certificate needs; start with { 0 }.
 * `early` permits it before the profile's window. */
int cert_renew(struct ctx *, struct authority *ca, const struct certrec *old, bool early, struct issued *ret,
	       struct err *) NODISCARD;
/* What is due: key in our engines, inside the renewal window, not renewed yet; with only_auto, profiles with
 * auto_renew_enabled. */
int cert_renewals_due(struct ctx *, bool only_auto, struct certrec **ret, size_t *ret_n, struct err *) NODISCARD;

#define META_RENEWED_AS "lamassu.io/certificate/renewed-as"
#define META_RENEWED_FROM "lamassu.io/certificate/renewed-from"
