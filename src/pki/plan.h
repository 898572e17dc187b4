#pragma once
#include "crypto/cert.h"
#include "crypto/csr.h"
#include "model/config.h"
#include "model/profile.h"
#include "pki/authority.h"

/* From a request, a profile and an authority to the certificate that would be issued, field by field, with the reason
 * of each (P18). Pure: no I/O, no clock, no key; safe on several threads with an arena each. */

/* What is asked for: a CSR, or a subject and key of our own. */
struct request {
	struct bytes subject;      /* DER name */
	struct bytes spki;
	const EVP_PKEY *pub;       /* borrowed; already judged by csr_verify or made by us */
	const struct exts *exts;   /* requested extensions, or NULL */
	const char *sha256;        /* of the CSR, hex; NULL */
};

/* What an operator says beside the profile. */
struct wishes {
	const char *subject;       /* replaces the request's subject */
	struct strv san;           /* replaces the request's SAN */
	/* duration, time or "indefinite"; explicit, so it is refused rather than shortened */
	const char *validity;
	const char *device;        /* ${device_id} */
	bool allow_outlive;
	int64_t path_length;       /* of a CA; -1: the profile's */
	bool keep_subject;         /* the request's subject stays byte for byte: renewals of authorities */
};
#define NO_WISHES ((struct wishes){ .path_length = -1 })

struct reason {                    /* where a field came from */
	const char *field;         /* "subject", "key_usage", "2.5.29.17" */
	const char *source;        /* request, profile, authority, operator, rule */
	const char *text;
};

struct plan {
	struct tbs tbs;
	bool is_ca;
	bool shortened;            /* notAfter was cut to the authority's */
	int64_t partition;         /* CRL partition, -1 none */
	struct reason *reasons;    /* only when asked for */
	size_t nreasons;
	const char *warning;       /* NULL, or one line for the operator */
};

/* `issuer` NULL: self-signed. ERR_DENIED where policy forbids it, ERR_INVALID where the request cannot be met. */
int plan_issue(struct arena *, const struct config *, const struct authority *issuer, const struct profile *,
	       const struct request *, const struct wishes *, int64_t now, bool explain, struct plan *ret,
	       struct err *) NODISCARD;

/* Does the profile's crypto enforcement accept this key? ERR_DENIED says why not (P9). */
int plan_check_key(const struct profile *, const EVP_PKEY *, struct err *) NODISCARD;
/* A validity as text: "90d", "2027-01-01", "indefinite". */
int validity_parse(struct arena *, const char *, struct validity *ret, struct err *) NODISCARD;
/* The end of a validity that starts now; ERR_INVALID beyond the year 9999. */
int validity_end(const struct validity *, int64_t now, int64_t *ret, struct err *) NODISCARD;
/* "${cn}" and friends; ERR_INVALID for an unknown variable or one without a value. */
struct template_vars {
	const char *cn, *device_id, *serial_number, *email;
};
int template_expand(struct arena *, const char *text, const struct template_vars *, char **ret, struct err *) NODISCARD;
