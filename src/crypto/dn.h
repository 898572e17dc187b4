#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "model/profile.h"

/* Distinguished names taken apart: what name.c and name_text.c share. One row for each attribute type that we know. */
struct attr {
	const char *name; /* as printed */
	const char *oid;
	int tag;          /* string type that we write */
	size_t max;       /* upper bound in characters */
	const char *aka[2];
	size_t field;     /* offset of its list in struct subject_fields, or NO_FIELD */
};
enum { NO_FIELD = 9999, NAME_MAX_AVAS = 128, NAME_MAX_DER = 32 << 10 };
extern const struct attr attrs[]; /* ends with an empty row; the ATTR_FIELDS first have fields, in the order of P7 */
enum { ATTR_FIELDS = 9 };

/* One attribute type and value. */
struct ava {
	const struct attr *attr; /* NULL: a type that we do not know */
	struct bytes oid;        /* content octets */
	int tag;
	struct bytes value;      /* content octets */
	bool joins;              /* in one RDN with the one before */
};
struct dn {
	struct ava *v;
	size_t n;
};

const struct attr *attr_find(const char *name_or_oid); /* NULL when unknown */

int dn_oid(struct arena *, const char *dotted, struct bytes *ret_content) NODISCARD; /* -1: not an OID */

/* Structure only: -1 when it is not a Name, or larger than the limits. */
int dn_read(struct arena *, struct bytes der, struct dn *ret, struct err *) NODISCARD;
struct bytes dn_write(struct arena *, const struct dn *);
void dn_add(struct arena *, struct dn *, struct ava);
/* A value as UTF-8; NULL when it is no string or not valid in its type. */
char *ava_text(struct arena *, const struct ava *);
/* A text value in the string type of its attribute; refuses what does not fit there. */
int ava_encode(struct arena *, const struct attr *, const char *text, struct ava *ret, struct err *) NODISCARD;
/* Lenient, for certificates of others: a value that OpenSSL reads, so that all that is built on it does. */
bool ava_readable(struct arena *, const struct ava *);
/* Strict: a valid string of a type that RFC 5280 A.1 allows, within its bound, without control characters. */
/* Requests come in all string types; what we issue has those of P7 (RFC 5280 4.1.2.4 leaves UTF8String and
 * PrintableString). */
int ava_renew(struct arena *, struct ava *, struct err *) NODISCARD;
int ava_check(struct arena *, const struct ava *, struct err *) NODISCARD;
