#pragma once
#include "base/ctx.h"
#include "crypto/cert.h"

/* What other programs keep of an authority: read here, taken over by repo_import. Everything in it is hostile until it
 * is checked. */
struct foreign_cert {
	const char *where;   /* for messages: "index.txt:12" */
	char *serial;        /* hex; as the records of the other program say */
	struct bytes text;   /* the certificate; n == 0: it is not kept */
	bool revoked, held;
	int reason;          /* code of RFC 5280 5.3.1 */
	int64_t time;        /* of the revocation */
	int64_t invalidity;  /* 0: none */
	int64_t not_after;
};

struct foreign {
	struct bytes ca;       /* certificates */
	struct bytes key;      /* n == 0: not there, or not to be read */
	const char *key_file;
	struct foreign_cert *v;
	size_t n;
	struct bytes crl;      /* the last one; n == 0: none */
	char *crl_number;      /* decimal; the last that was given; NULL: none */
};

struct foreign_kind {
	const char *name;
	int (*read)(struct ctx *, const char *dir, struct foreign *ret, struct err *);
};
extern const struct foreign_kind foreign_kinds[]; /* openssl, easyrsa, cfssl; ends with an empty row */

/* foreign_files.c: finding things. */
char *foreign_find(struct arena *, const char *dir, const char *const *names); /* the first that exists, or NULL */
int foreign_read_ca(struct ctx *, const char *cert, const char *key, struct foreign *, struct err *) NODISCARD;
struct conf { /* the section of openssl.cnf that `openssl ca` works with */
	struct arena *arena;
	const char *dir;    /* where the folder is now, whatever the file says */
	struct strv keys, values;
};
/* Finds it in a file of the folder; empty where there is none. */
void conf_load(struct arena *, const char *dir, struct conf *ret);
char *conf_path(const struct conf *, const char *key); /* a file or folder that exists, or NULL */

/* foreign_index.c: the database of `openssl ca`. */
int foreign_index(struct ctx *, const char *file, const char *const *cert_dirs, struct foreign *,
		  struct err *) NODISCARD;
int foreign_cfssl(struct ctx *, const char *dir, struct foreign *ret, struct err *) NODISCARD;
