#pragma once
/* A small hierarchy made with our own builders, for tests of what reads certificates. */
#include <stdlib.h>

#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/name.h"

enum { T0 = 1700000000, DAY = 86400 };

struct node {
	EVP_PKEY *key;
	struct bytes der;
	struct cert cert;
};

static inline struct strv words(struct arena *a, const char *one)
{
	struct strv l = { .v = arena_new_array(a, 1, char *), .n = one != NULL, .set = true };

	l.v[0] = arena_strdup(a, one);
	return l;
}

/* parent NULL: self-signed. Ends the test program when something fails. */
static inline struct node make_node(struct arena *a, const struct node *parent, const char *subject, bool ca,
				    const char *san,
				    const struct exts *more)
{
	struct strv names = words(a, san);
	struct node n = { 0 };
	struct err e = { 0 };
	struct bytes value;
	struct tbs t = { .not_before = T0, .not_after = T0 + 100 * DAY };

	if (key_generate(keytype_parse("ecdsa:256", &e), &n.key, &e) < 0 || key_spki(a, n.key, &t.spki, &e) < 0 ||
	    name_parse(a, subject, &t.subject, &e) < 0)
		exit(99);
	cert_random_serial(&t);
	t.issuer = parent ? parent->cert.subject : t.subject;
	for (size_t i = 0; more && i < more->n; i++)
		exts_add(a, &t.exts, more->v[i].oid, more->v[i].critical, more->v[i].value);
	ext_basic_constraints(a, &t.exts, ca, -1);
	ext_key_usage(a, &t.exts, ca ? 0x60 : 1);
	ext_ski(a, &t.exts, cert_key_id(a, t.spki));
	ext_aki(a, &t.exts, parent ? parent->cert.ski : cert_key_id(a, t.spki));
	if (san && san_build(a, &names, &value, &e) < 0)
		exit(99);
	if (san)
		exts_add(a, &t.exts, OID_SAN, false, value);
	if (cert_sign(a, &t, parent ? parent->key : n.key, sigalg_default(parent ? parent->key : n.key), &n.der,
		      &e) < 0 ||
	    cert_parse(a, n.der, &n.cert, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		exit(99);
	}
	return n;
}
