#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypto/der.h"
#include "model/profile.h"

/* Certificate extensions in DER: one function a kind, each appending a whole Extension to a list. */
struct ext {
	const char *oid;     /* dotted */
	bool critical;
	struct bytes value;  /* content of extnValue */
};
struct exts {
	struct ext *v;
	size_t n;
};

const struct ext *exts_find(const struct exts *, const char *oid);
/* replaces one of the same OID */
void exts_add(struct arena *, struct exts *, const char *oid, bool critical, struct bytes value);
/* `seq` is a whole Extensions element. Duplicates are refused (RFC 5280 4.2), and more than EXTS_MAX. */
int exts_parse(struct arena *, struct bytes seq, struct exts *ret, struct err *) NODISCARD;
enum { EXTS_MAX = 64 };
void exts_write(struct derw *, const struct exts *); /* the SEQUENCE OF Extension */
size_t exts_room(const struct exts *);               /* that it takes at the most */
struct bytes exts_der(struct arena *, const struct exts *); /* the same by itself */

#define OID_SKI "2.5.29.14"
#define OID_KU "2.5.29.15"
#define OID_SAN "2.5.29.17"
#define OID_BC "2.5.29.19"
#define OID_CRL_NUMBER "2.5.29.20"
#define OID_CRL_REASON "2.5.29.21"
#define OID_DELTA_CRL "2.5.29.27"
#define OID_IDP "2.5.29.28"
#define OID_NC "2.5.29.30"
#define OID_CDP "2.5.29.31"
#define OID_CP "2.5.29.32"
#define OID_AKI "2.5.29.35"
#define OID_EKU "2.5.29.37"
#define OID_FRESHEST "2.5.29.46"
#define OID_AIA "1.3.6.1.5.5.7.1.1"
#define OID_TLS_FEATURE "1.3.6.1.5.5.7.1.24"
#define OID_OCSP_NOCHECK "1.3.6.1.5.5.7.48.1.5"

/* A general name as text: "DNS:a", "IP:10.0.0.1", "email:a@b", "URI:…", "dirName:CN=a", "otherName:OID;UTF8:x",
 * "RID:1.2.3"; without a prefix the kind is guessed (address, URI with ://, @, else DNS). International names become
 * A-labels. NUL, invalid characters and empty values are refused. */
int san_build(struct arena *, const struct strv *names, struct bytes *ret_value, struct err *) NODISCARD;
int san_parse(struct arena *, struct bytes value, struct strv *ret, struct err *) NODISCARD;

/* critical for CAs; leaf: empty SEQUENCE */
void ext_basic_constraints(struct arena *, struct exts *, bool ca, int64_t path_length);
int ext_parse_basic_constraints(struct bytes value, bool *ret_ca, int64_t *ret_pathlen, struct err *) NODISCARD;
void ext_key_usage(struct arena *, struct exts *, unsigned bits); /* critical */
int ext_parse_key_usage(struct bytes value, unsigned *ret, struct err *) NODISCARD;
/* timeStamping alone is critical */
int ext_eku(struct arena *, struct exts *, const struct strv *canonical, struct err *) NODISCARD;
int ext_parse_eku(struct arena *, struct bytes value, struct strv *ret_canonical, struct err *) NODISCARD;
void ext_ski(struct arena *, struct exts *, struct bytes keyid);
void ext_aki(struct arena *, struct exts *, struct bytes keyid);
/* OID_CDP or OID_FRESHEST; `issuer` is the name of who signs the CRL where that is not the certificate's issuer. */
int ext_cdp(struct arena *, struct exts *, const char *oid, const struct strv *uris, struct bytes issuer,
	    struct err *) NODISCARD;
int ext_aia(struct arena *, struct exts *, const struct strv *ocsp, const struct strv *issuers, struct err *) NODISCARD;
int ext_policies(struct arena *, struct exts *, const struct policy_info *, size_t n, struct err *) NODISCARD;
/* critical */
int ext_name_constraints(struct arena *, struct exts *, const struct name_constraints *, struct err *) NODISCARD;
void ext_must_staple(struct arena *, struct exts *); /* TLS feature 5, RFC 7633 */
void ext_ocsp_nocheck(struct arena *, struct exts *);
int ext_custom(struct arena *, struct exts *, const struct custom_extension *, struct err *) NODISCARD;
/* For `show` and `preview`: one line such as "keyUsage critical: digitalSignature, keyEncipherment". */
char *ext_describe(struct arena *, const struct ext *);
