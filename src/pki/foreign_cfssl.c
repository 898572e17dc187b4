/* cfssl keeps what it issued in a table of an SQLite database, and its authority as ca.pem and ca-key.pem beside it. A
 * database may serve several authorities: rows of others are passed over, and said so. */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "crypto/ossl.h"
#include "pki/foreign.h"
#include "state/index_import.h"

enum { REASON_HOLD = 6, REASON_LAST = 10, MAGIC = 16 };

struct reading {
	struct ctx *ctx;
	struct foreign *f;
	struct cert ca;
	size_t row, others;
};

static char *hex_serial(struct arena *a, const char *decimal)
{
	AUTO(BIGNUM) *n = NULL;
	unsigned char octets[20];
	int len;

	if (!*decimal || strlen(decimal) > 49 || strspn(decimal, "0123456789") != strlen(decimal) ||
	    !BN_dec2bn(&n, decimal) ||
	    BN_num_bytes(n) > (int)sizeof(octets))
		return NULL;
	len = BN_bn2bin(n, octets);
	return len ? hex_encode(a, (struct bytes){ octets, (size_t)len }) : arena_strdup(a, "00");
}

/* "2026-01-02 03:04:05+00:00", "2026-01-02T03:04:05Z", with fractions or without a zone. */
static int read_time(struct arena *a, const char *text, int64_t *ret)
{
	char *t = arena_strdup(a, text), *zone;
	struct err ignored = { 0 };

	if (strlen(t) > 10 && t[10] == ' ')
		t[10] = 'T';
	zone = strlen(t) > 19 ? strpbrk(t + 19, "Z+-") : NULL;
	return tm_parse(strlen(t) >= 19 && !zone ? arena_printf(a, "%sZ", t) : t, ret, &ignored);
}

static bool of_this_authority(const struct reading *r, const char *aki)
{
	struct bytes id;

	if (!*aki || r->ca.ski.n == 0 || hex_decode(r->ctx->arena, aki, &id) != 0)
		return true; /* the signature decides */
	return bytes_equal(id, r->ca.ski);
}

static int on_row(void *arg, const struct cfssl_row *row, struct err *e)
{
	struct reading *r = arg;
	struct arena *a = r->ctx->arena;
	struct foreign_cert c = { .where = arena_printf(a, "certificates row %zu", ++r->row) };
	char *pem = arena_strdup(a, row->pem);

	if (!of_this_authority(r, row->aki)) {
		r->others++;
		return 0;
	}
	c.serial = hex_serial(a, row->serial);
	c.text = bytes_of(pem);
	c.revoked = strcmp(row->status, "revoked") == 0;
	if (!c.serial || (!c.revoked && strcmp(row->status, "good") != 0))
		return err_set(e, ERR_INVALID, "%s: serial_number or status is not valid", c.where);
	if (c.revoked && (read_time(a, row->revoked_at, &c.time) != 0 || row->reason < 0 || row->reason > REASON_LAST ||
			  row->reason == 7 ||
			  row->reason == 8))
		return err_set(e, ERR_INVALID, "%s: revoked_at or reason is not valid", c.where);
	if (read_time(a, row->expiry, &c.not_after) != 0)
		c.not_after = 0; /* the certificate says it */
	c.reason = c.revoked ? (int)row->reason : 0;
	c.held = c.revoked && c.reason == REASON_HOLD;
	r->f->v = arena_grow(a, r->f->v, r->f->n, sizeof(*r->f->v));
	r->f->v[r->f->n++] = c;
	return 0;
}

static bool is_sqlite(struct arena *a, const char *path)
{
	struct err ignored = { 0 };
	struct bytes text;

	return fs_read_found(a, path, FS_LIMIT_BATCH, &text, &ignored) == 0 && text.n >= MAGIC &&
	       memcmp(text.p, "SQLite format 3", MAGIC) == 0;
}

/* By its name, or any database in the folder. */
static char *find_database(struct arena *a, const char *dir)
{
	static const char *const names[] = { "certs.db", "cfssl.db", "certdb.db", "certstore_development.db",
		"certstore_production.db", NULL };
	static const char *const suffixes[] = { ".db", ".sqlite", ".sqlite3" };
	char *found = foreign_find(a, dir, names);
	struct err ignored = { 0 };
	struct strv all = { 0 };

	if (found || fs_list(a, dir, 100000, &all, &ignored) != 0)
		return found;
	for (size_t i = 0; i < all.n; i++)
		for (size_t k = 0; k < COUNT(suffixes); k++) {
			const char *dot = strrchr(all.v[i], '.');
			char *path = fs_join(a, dir, all.v[i]);

			if (dot && strcmp(dot, suffixes[k]) == 0 && is_sqlite(a, path))
				return path;
		}
	return NULL;
}

int foreign_cfssl(struct ctx *ctx, const char *dir, struct foreign *ret, struct err *e)
{
	static const char *const certs[] = { "ca.pem", "ca.crt", "intermediate_ca.pem", "intermediate.pem",
		"root_ca.pem", NULL };
	static const char *const keys[] = { "ca-key.pem", "ca.key", "intermediate_ca-key.pem", "intermediate-key.pem",
		"root_ca-key.pem",
					    NULL };
	struct foreign f = { 0 };
	struct reading r = { .ctx = ctx, .f = &f };
	char *cert = foreign_find(ctx->arena, dir, certs), *db = find_database(ctx->arena, dir);
	struct bytes *ders;
	size_t n;

	if (!cert)
		return err_set(e, ERR_NOT_FOUND, "%s: no ca.pem was found there", dir);
	if (!db)
		return err_set(e, ERR_NOT_FOUND, "%s: no SQLite database was found there", dir);
	if (foreign_read_ca(ctx, cert, foreign_find(ctx->arena, dir, keys), &f, e) != 0 ||
	    cert_split(ctx->arena, f.ca, &ders, &n, e) != 0 || cert_parse(ctx->arena, ders[0], &r.ca, e) != 0 ||
	    cfssl_each(db, on_row, &r, e) != 0)
		return err_ctx(e, "%s", dir);
	if (r.others)
		ctx_warn(ctx, "%s of other authorities left out; import those from their own folders",
			 text_count(ctx->arena, r.others, "row", NULL));
	*ret = f;
	return 0;
}
