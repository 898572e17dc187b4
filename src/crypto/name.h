#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "model/profile.h"

/* Distinguished names as DER. Encoding rules (P7 of docs/features.md): C and serialNumber PrintableString; DC and email
 * IA5String; the rest UTF8String; upper bounds of RFC 5280 A.1. */

/* "CN=Acme Root CA,O=Acme Corp,C=US", also "/CN=…/O=…": RFC 4514 escapes, multi-valued RDNs with '+', order as written.
 * The RFC 4514 string is read left to right as written, most specific first or last alike: the first RDN written is the
 * first in the DER, as `openssl req -subj` does. */
int name_parse(struct arena *, const char *text, struct bytes *ret_der, struct err *) NODISCARD;
/* For people and records: "CN=…,O=…,C=US" in DER order, values escaped; unknown types as OIDs; "" when empty. */
int name_format(struct arena *, struct bytes der, char **ret, struct err *) NODISCARD;
int name_fields(struct arena *, struct bytes der, struct subject_fields *ret, struct err *) NODISCARD;
int name_from_fields(struct arena *, const struct subject_fields *, struct bytes *ret_der, struct err *) NODISCARD;
/* P7: fields that the profile names replace all of the base name's values of that type, in place of the first; the
 * others keep their order; types that the base lacks are appended in the order C ST L O OU CN serialNumber DC email. */
int name_merge(struct arena *, struct bytes base_der, const struct subject_fields *, struct bytes *ret_der,
	       struct err *) NODISCARD;
char *name_cn(struct arena *, struct bytes der); /* first common name as UTF-8, or NULL */
bool name_empty(struct bytes der);
int name_check(struct bytes der, struct err *) NODISCARD; /* strict: well-formed, string types valid, no NUL, bounds */
bool name_equal(struct bytes a, struct bytes b);          /* RFC 5280 7.1 comparison */
