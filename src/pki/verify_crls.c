/* CRL records under `repo verify`: their ledger commits are here, the CRLs that are kept are those that the records
 * describe and carry their authority's signature, and within a scope a later CRL always has the larger number. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/crl.h"
#include "crypto/digest.h"
#include "pki/verify_parts.h"
#include "state/ledger.h"

#define AGAIN "make a new CRL: lamassu ca crl"

/* Full and delta CRLs of a partition share one sequence. */
static const char *partition_of(const struct crlrec *r)
{
	const char *slash = strchr(r->scope, '/');

	return slash ? slash : "";
}

static int by_number(const void *x, const void *y)
{
	const struct crlrec *a = x, *b = y;
	size_t n = strlen(a->number), m = strlen(b->number);
	int c = strcmp(partition_of(a), partition_of(b));

	if (c == 0 && n != m)
		c = n < m ? -1 : 1;
	if (c == 0)
		c = strcmp(a->number, b->number);
	return c ? c : strcmp(a->path, b->path);
}

static void check_signature(struct verifying *v, const struct issuer *is, const struct crlrec *r, const struct crl *crl)
{
	struct err why = { 0 };
	bool named = false;

	if (is->rec.crl.issuer_key) /* an indirect CRL: another key signs it */
		return;
	for (size_t i = 0; i < is->n; i++) {
		if (!bytes_equal(crl->issuer, is->v[i].cert.subject))
			continue;
		named = true;
		if (crl_verify(crl, is->v[i].pub, &why) == 0)
			return;
	}
	verify_found(v, r->path, AGAIN, "%s", named ? why.msg : "the CRL's issuer is another");
}

static void check_stored(struct verifying *v, const struct issuer *is, const struct crlrec *r)
{
	SCOPED_ARENA *a = arena_new();
	struct err why = { 0 };
	struct bytes der;
	struct crl crl;

	if (ledger_crl_der(v->ctx->state, r, &der, &why) != 0 || crl_parse(a, der, &crl, &why) != 0)
		verify_found(v, r->path, AGAIN, "%s", why.msg);
	else if (r->sha256 && strcmp(sha256_hex(a, der), r->sha256) != 0)
		verify_found(v, r->path, AGAIN, "sha256: is not the digest of the CRL");
	else if (crl.number == NULL || strcmp(crl.number, r->number) != 0)
		verify_found(v, r->path, AGAIN, "number: the CRL has another");
	else
		check_signature(v, is, r, &crl);
}

/* `low` has a smaller number than `high`, so `high` must not have been there when `low` was made. Neighbours in order
 * of number are enough: a sequence that is out of order somewhere is so between two neighbours. */
static void check_order(struct verifying *v, const struct crlrec *low, const struct crlrec *high)
{
	bool same = strcmp(low->number, high->number) == 0;

	if (strcmp(partition_of(low), partition_of(high)) != 0)
		return;
	/* a full and a delta CRL that are made together share a number (RFC 5280 5.2.4) */
	if (same && strcmp(low->scope, high->scope) == 0 && !(low->sha256 && high->sha256 &&
							      strcmp(low->sha256, high->sha256) == 0))
		verify_found(v, high->path, AGAIN, "number %s was used twice (RFC 5280 5.2.3)", high->number);
	else if (!same && low->ledger_commit && ledger_had(v->ctx->state, low->ledger_commit, high->path))
		verify_found(v, low->path, AGAIN, "number %s was given after the larger %s (RFC 5280 5.2.3)",
			     low->number, high->number);
}

static int check_crls(struct verifying *v, const struct issuer *is, struct err *e)
{
	struct crlrec *r;
	size_t n;

	if (ledger_crls(v->ctx->state, is->rec.id, &r, &n, e) != 0)
		return -1;
	if (n)
		qsort(r, n, sizeof(*r), by_number);
	for (size_t i = 0; i < n; i++) {
		if (r[i].ledger_commit && !ledger_contains(v->ctx->state, r[i].ledger_commit))
			verify_found(v, r[i].path, "lamassu repo sync brings the ledger of the clone that made it",
				     "it was made from ledger commit %.12s, which is not here: revocations may be "
				     "missing", r[i].ledger_commit);
		if (r[i].stored)
			check_stored(v, is, &r[i]);
		if (i)
			check_order(v, &r[i - 1], &r[i]);
	}
	v->seen.crls += n;
	return 0;
}

int verify_crls(struct verifying *v, struct err *e)
{
	for (size_t i = 0; i < v->nissuers; i++)
		if (check_crls(v, &v->issuers[i], e) != 0)
			return -1;
	return 0;
}
