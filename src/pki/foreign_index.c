/* `openssl ca` and easy-rsa keep an index.txt, one line a certificate: state, end, revocation, serial number, file,
 * subject; the certificates lie in a folder, each named by its serial number. Every line is taken or refused by its
 * number; none is guessed. */
#include <ctype.h>
#include <string.h>

#include <openssl/bn.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "crypto/ossl.h"
#include "model/ledger_records.h"
#include "pki/foreign.h"

enum { FIELDS = 6, REASON_HOLD = 6, NUMBER_MAX = 4096, SERIAL_DIGITS = 42 };

/* "YYMMDDHHMMSSZ" with the pivot of RFC 5280 4.1.2.5.1, or "YYYYMMDDHHMMSSZ". */
static int index_time(const char *s, int64_t *ret)
{
	size_t n = strspn(s, "0123456789"), years = n == 14 ? 4 : 2;
	int v[6] = { 0 };

	if ((n != 12 && n != 14) || strcmp(s + n, "Z") != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		size_t part = i < years ? 0 : 1 + (i - years) / 2;

		v[part] = v[part] * 10 + (s[i] - '0');
	}
	if (years == 2)
		v[0] += v[0] < 50 ? 2000 : 1900;
	if (v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 || v[4] > 59 || v[5] > 60)
		return -1;
	*ret = tm_from_civil((struct civil){ v[0], v[1], v[2], v[3], v[4], v[5] });
	return 0;
}

/* "date", "date,reason", "date,keyTime,when", "date,CAkeyTime,when", "date,holdInstruction,oid". */
static int read_revocation(char *text, struct foreign_cert *c)
{
	char *save, *date = strtok_r(text, ",", &save), *reason = date ? strtok_r(NULL, ",", &save) : NULL;
	char *more = reason ? strtok_r(NULL, ",", &save) : NULL;

	c->revoked = true;
	if (!date || index_time(date, &c->time) != 0)
		return -1;
	if (!reason)
		return 0;
	if (strcasecmp(reason, "keyTime") == 0 || strcasecmp(reason, "CAkeyTime") == 0) {
		c->reason = tolower((unsigned char)*reason) == 'k' ? 1 : 2;
		return more ? index_time(more, &c->invalidity) : -1;
	}
	if (strcasecmp(reason, "holdInstruction") == 0)
		c->reason = REASON_HOLD;
	else if (revocation_reason_parse(reason, &c->reason) != 0 || c->reason == 8)
		return -1;
	c->held = c->reason == REASON_HOLD;
	return 0;
}

static char *serial_of(struct arena *a, const char *text)
{
	size_t n = strlen(text);
	char *hex;

	if (n == 0 || n > SERIAL_DIGITS || strspn(text, "0123456789abcdefABCDEF") != n)
		return NULL;
	hex = n % 2 ? arena_printf(a, "0%s", text) : arena_strdup(a, text);
	for (char *p = hex; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	while (strlen(hex) > 2 && hex[0] == '0' && hex[1] == '0')
		hex += 2;
	return hex;
}

static int read_cert(struct ctx *ctx, const char *serial, const char *const *dirs, struct foreign_cert *c,
		     struct err *e)
{
	static const char *const suffixes[] = { ".pem", ".crt", ".cer" };

	for (; *dirs; dirs++)
		for (size_t i = 0; i < COUNT(suffixes); i++) {
			char *path = arena_printf(ctx->arena, "%s/%s%s", *dirs, serial, suffixes[i]);

			if (fs_exists(path))
				return fs_read_found(ctx->arena, path, FS_LIMIT_CERT, &c->text, e);
		}
	return 0;
}

static int read_row(struct ctx *ctx, const char *const *dirs, char *line, struct foreign_cert *ret, struct err *e)
{
	struct foreign_cert c = { .where = ret->where };
	char *f[FIELDS], *p = line;
	size_t n = 0;

	for (; n < FIELDS && p; n++) {
		f[n] = p;
		p = strchr(p, '\t');
		if (p)
			*p++ = '\0';
	}
	if (n != FIELDS || strlen(f[0]) != 1 || !strchr("VRE", *f[0]))
		return err_set(e, ERR_INVALID, "%s: expected V, R or E and five more fields with tabs between them",
			       c.where);
	c.serial = serial_of(ctx->arena, f[3]);
	if (index_time(f[1], &c.not_after) != 0 || !c.serial || (*f[0] == 'R' && read_revocation(f[2], &c) != 0))
		return err_set(e, ERR_INVALID, "%s: the end, the revocation or the serial number is not valid",
			       c.where);
	if (read_cert(ctx, f[3], dirs, &c, e) != 0)
		return err_ctx(e, "%s", c.where);
	*ret = c;
	return 0;
}

int foreign_index(struct ctx *ctx, const char *file, const char *const *dirs, struct foreign *f, struct err *e)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
	struct bytes text;
	size_t row = 0;

	if (fs_read_found(ctx->arena, file, FS_LIMIT_BATCH, &text, e) != 0)
		return -1;
	if (text.n && memchr(text.p, 0, text.n))
		return err_set(e, ERR_INVALID, "%s: has bytes that no text has", name);
	for (char *line = arena_strndup(ctx->arena, (const char *)text.p, text.n), *next; line; line = next) {
		struct foreign_cert c = { .where = arena_printf(ctx->arena, "%s:%zu", name, ++row) };

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line[strcspn(line, "\r")] = '\0';
		if (*line == '\0' || *line == '#')
			continue;
		if (read_row(ctx, dirs, line, &c, e) != 0)
			return -1;
		f->v = arena_grow(ctx->arena, f->v, f->n, sizeof(*f->v));
		f->v[f->n++] = c;
	}
	return 0;
}

/* --- where things are --- */

/* The file holds the next number, in hex. */
static int read_crl_number(struct ctx *ctx, const char *file, struct foreign *f, struct err *e)
{
	AUTO(BIGNUM) *n = NULL;
	struct bytes text;
	char *hex, *decimal;

	if (fs_read_found(ctx->arena, file, NUMBER_MAX, &text, e) != 0)
		return -1;
	hex = arena_strndup(ctx->arena, (const char *)text.p, strspn((const char *)text.p, "0123456789abcdefABCDEF"));
	if (!*hex || strlen(hex) > SERIAL_DIGITS)
		return err_set(e, ERR_INVALID, "%s: no hexadecimal number", file);
	if (!BN_hex2bn(&n, hex))
		return err_ossl(e, file);
	if (BN_is_zero(n) || BN_is_one(n)) /* none was given yet */
		return 0;
	if (!BN_sub_word(n, 1) || !(decimal = BN_bn2dec(n)))
		return err_ossl(e, file);
	f->crl_number = arena_strdup(ctx->arena, decimal);
	OPENSSL_free(decimal);
	return 0;
}

struct layout {
	char *cert, *key, *index, *number, *crl;
	const char *dirs[6];
};

static int read_layout(struct ctx *ctx, const char *dir, const struct layout *l, struct foreign *ret, struct err *e)
{
	struct foreign f = { 0 };

	if (!l->cert)
		return err_set(e, ERR_NOT_FOUND, "%s: no certificate of an authority was found there", dir);
	if (!l->index)
		return err_set(e, ERR_NOT_FOUND, "%s: no index.txt was found there", dir);
	if (foreign_read_ca(ctx, l->cert, l->key, &f, e) != 0 || foreign_index(ctx, l->index, l->dirs, &f, e) != 0 ||
	    (l->number && read_crl_number(ctx, l->number, &f, e) != 0) ||
	    (l->crl && fs_read_found(ctx->arena, l->crl, FS_LIMIT_BATCH, &f.crl, e) != 0))
		return -1;
	*ret = f;
	return 0;
}

static char *look(const struct conf *c, const char *key, const char *const *names)
{
	char *path = conf_path(c, key);

	return path ? path : foreign_find(c->arena, c->dir, names);
}

static int read_openssl(struct ctx *ctx, const char *dir, struct foreign *ret, struct err *e)
{
	static const char *const certs[] = { "cacert.pem", "ca.pem", "ca.crt", "ca.cert.pem", "certs/ca.cert.pem",
		"certs/cacert.pem",
					     "certs/ca.crt", "certs/ca.pem", NULL };
	static const char *const keys[] = { "private/cakey.pem", "private/ca.key.pem", "private/ca.key",
		"private/ca.pem", "cakey.pem",
					    "ca.key", "ca-key.pem", NULL };
	static const char *const indexes[] = { "index.txt", "index", NULL }, *const numbers[] = { "crlnumber", NULL };
	static const char *const news[] = { "newcerts", "certs", NULL }, *const crls[] = { "crl.pem", "crl/crl.pem",
		"crl/ca.crl.pem", NULL };
	static const char *const index[] = { "demoCA/index.txt", NULL };
	struct layout l = { 0 };
	struct conf c;

	conf_load(ctx->arena, dir, &c);
	if (!conf_path(&c, "database") && !foreign_find(ctx->arena, dir, indexes) &&
	    foreign_find(ctx->arena, dir, index))
		c.dir = fs_join(ctx->arena, dir, "demoCA");
	l.cert = look(&c, "certificate", certs);
	l.key = look(&c, "private_key", keys);
	l.index = look(&c, "database", indexes);
	l.number = look(&c, "crlnumber", numbers);
	l.crl = look(&c, "crl", crls);
	l.dirs[0] = look(&c, "new_certs_dir", news);
	return read_layout(ctx, dir, &l, ret, e);
}

static int read_easyrsa(struct ctx *ctx, const char *dir, struct foreign *ret, struct err *e)
{
	static const char *const certs[] = { "ca.crt", NULL }, *const keys[] = { "private/ca.key", NULL };
	static const char *const indexes[] = { "index.txt", NULL }, *const pki[] = { "pki/index.txt", NULL };
	static const char *const crls[] = { "crl.pem", NULL }, *const numbers[] = { "crlnumber", NULL };
	struct arena *a = ctx->arena;
	struct layout l = { 0 };

	if (foreign_find(a, dir, pki))
		dir = fs_join(a, dir, "pki");
	l.cert = foreign_find(a, dir, certs);
	l.key = foreign_find(a, dir, keys);
	l.index = foreign_find(a, dir, indexes);
	l.number = foreign_find(a, dir, numbers);
	l.crl = foreign_find(a, dir, crls);
	l.dirs[0] = fs_join(a, dir, "certs_by_serial");
	l.dirs[1] = fs_join(a, dir, "revoked/certs_by_serial");
	l.dirs[2] = fs_join(a, dir, "renewed/certs_by_serial");
	l.dirs[3] = fs_join(a, dir, "expired/certs_by_serial");
	return read_layout(ctx, dir, &l, ret, e);
}

const struct foreign_kind foreign_kinds[] = {
	{ "openssl", read_openssl }, { "easyrsa", read_easyrsa }, { "cfssl", foreign_cfssl }, { NULL, NULL }
};
