#pragma once
#include "crypto/algs.h"
#include "crypto/ext.h"
#include "crypto/ossl.h"

/* What is put into a certificate (RFC 5280 4.1), ready to be signed. */
struct tbs {
	unsigned char serial[20];
	size_t serial_n;
	struct bytes issuer, subject; /* DER names; the issuer is a byte copy of the CA's subject */
	int64_t not_before, not_after;
	struct bytes spki;
	struct exts exts;
};

/* Serial: positive, random 128 bits with the two top bits 01, so always 16 octets. */
void cert_random_serial(struct tbs *);
/* Signs; DER in the arena. Safe to call from several threads with one key, each with its own arena. */
int cert_sign(struct arena *, const struct tbs *, EVP_PKEY *, const struct sigalg *, struct bytes *ret_der,
	      struct err *) NODISCARD;

/* A certificate, read. Everything points into `der`, or the arena. */
struct cert {
	struct bytes der;
	struct bytes tbs, sig_alg, sig;
	struct bytes serial;          /* content octets of the INTEGER */
	struct bytes issuer, subject, spki;
	int64_t not_before, not_after;
	struct exts exts;
	/* decoded from exts */
	bool is_ca;
	int64_t path_length;          /* -1: none */
	unsigned key_usage;           /* 0: extension absent */
	struct bytes ski, aki;        /* n = 0: absent */
};
/* DER or PEM; ERR_INVALID with the reason; trailing bytes are refused. */
int cert_parse(struct arena *, struct bytes text, struct cert *ret, struct err *) NODISCARD;
/* All certificates in PEM, DER, PKCS#7 text: chains. */
int cert_split(struct arena *, struct bytes text, struct bytes **ret_der, size_t *ret_n, struct err *) NODISCARD;
char *cert_serial_hex(struct arena *, struct bytes serial);    /* lower case, even length, no sign octet */
/* "5F:3a-…" -> hex; does not pad */
int serial_normalise(struct arena *, const char *text, char **ret, struct err *) NODISCARD;
char *cert_fingerprint(struct arena *, const struct cert *);   /* SHA-256, hex */
struct bytes cert_pem(struct arena *, struct bytes der);
struct bytes pem_encode(struct arena *, const char *label, struct bytes der);
/* The next PEM block with this label (NULL: any); *ret_label when not NULL. Advances *text. false: no more. A damaged
 * block comes without bytes: *ret_der.n == 0. */
bool pem_next(struct arena *, struct bytes *text, const char *label, char **ret_label, struct bytes *ret_der);
bool cert_issued_by(const struct cert *, const struct cert *issuer); /* names, key ids and signature */
bool cert_self_issued(const struct cert *);
int cert_pubkey(const struct cert *, EVP_PKEY **ret, struct err *) NODISCARD;
/* SKI of what we issue: SHA-256 of the SPKI, 32 octets */
struct bytes cert_key_id(struct arena *, struct bytes spki);
/* RFC 5280 path validation by OpenSSL at time `at`: leaf first; chain may be empty; roots are trusted. Says what
 * failed. */
int cert_verify(struct bytes leaf, const struct bytes *chain, size_t nchain, const struct bytes *roots, size_t nroots,
		const struct bytes *crls, size_t ncrls, int64_t at, struct err *) NODISCARD;
/* What TLS has decoded already, so that cert_verify need not do it again for this leaf. Takes a reference of its
 * own. */
void cert_remember(struct bytes der, X509 *);
/* What CRLs say of a certificate, as RFC 5280 6.3 reads them: those that its issuer signed, that are current at `now`,
 * and that it is in the scope of. The dates of the certificate do not matter. */
enum revoked { REVOCATION_UNKNOWN, REVOCATION_GOOD, REVOCATION_REVOKED };
enum revoked cert_crl_status(struct bytes cert, struct bytes issuer, X509_CRL *const *crls, size_t n, int64_t now);
/* Is this subject and SAN within the name constraints of an issuer? ERR_DENIED names the constraint (RFC 5280
 * 4.2.1.10). */
int cert_check_name_constraints(struct arena *, struct bytes nc_value, struct bytes subject, struct bytes san_value,
				struct err *) NODISCARD;
