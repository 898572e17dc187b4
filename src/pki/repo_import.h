#pragma once
#include "pki/foreign.h"
#include "rec/schema.h"

/* Moving here from another program: its authority, everything that it issued, everything that it revoked. */
struct import_order {
	const struct foreign_kind *from;
	const char *dir;
	const char *ca;      /* id; NULL: made from the common name */
	const char *profile; /* default for what it issues; noted on what it issued; may be NULL */
	const char *engine;  /* NULL: the default */
};
struct imported {
	char *ca, *from, *subject;
	bool key;                 /* its key came along */
	int64_t certificates;     /* all, the authority's own aside */
	int64_t revoked, held, expired;
	int64_t missing;          /* known to the other program, but no longer kept there */
	char *crl_number;         /* the last; the next is larger */
};
extern const struct schema imported_type;
/* One commit. ERR_EXISTS when the authority is here already; ERR_CHECK when a certificate is not what the records of
 * the other program say, or not of the authority. */
int repo_import(struct ctx *, const struct import_order *, struct imported *ret, struct err *) NODISCARD;
