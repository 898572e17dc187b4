/* Builds CRLs (RFC 5280 5): entries are encoded as they come to where they stay, the rest is written around them, so a
 * million of them cost a million short writes and one hash. Says nothing about who is revoked, and never leaves an
 * entry under the wrong issuer. */
#include "crypto/crl.h"

#include <string.h>

#include "base/buf.h"
#include "crypto/der.h"
#include "crypto/signed.h"

enum { ENTRY_ROOM = 256, SERIAL_MAX = 20, ISSUER_MAX = 8192, FRONT = 512, FIRST = 1 << 12, USUAL = 56,
       DAY = 86400, MOST = 1 << 20 /* entries that are made room for unseen */ };

struct crl_builder {
	struct arena *arena, *text_arena;
	struct crl_head head;
	struct bytes exts;           /* encoded */
	unsigned char *text;         /* room in front, the entries, room behind */
	size_t front, n, cap, count; /* n and cap: of the entries */
	struct bytes issuer;         /* to whom the next entry belongs if it says nothing: RFC 5280 5.3.3 */
	/* before the entry before, and its time as it was written: many are revoked on one day */
	int64_t midnight;
	struct bytes time_der;
	unsigned char time_room[20], room[ENTRY_ROOM + ISSUER_MAX]; /* of one entry */
};

static struct bytes copy(struct arena *a, struct bytes b)
{
	return (struct bytes){ b.n ? arena_memdup(a, b.p, b.n) : NULL, b.n };
}

/* Room for entries of so many octets altogether. */
static void reserve(struct crl_builder *b, size_t cap)
{
	unsigned char *text = arena_alloc(b->text_arena, b->front + cap + b->exts.n + SIGNED_TAIL, 1);

	if (b->n)
		memcpy(text + b->front, b->text + b->front, b->n);
	b->text = text;
	b->cap = cap;
}

struct crl_builder *crl_new(const struct crl_head *head)
{
	struct arena *a = arena_new();
	struct crl_builder *b = arena_alloc(a, 1, sizeof(*b));

	b->arena = a;
	b->text_arena = arena_new();
	b->head = (struct crl_head){ .this_update = head->this_update, .next_update = head->next_update };
	b->head.issuer = b->issuer = copy(a, head->issuer);
	if (head->exts.n)
		b->exts = DER_JOIN(a, DER_CTX_CONS, exts_der(a, &head->exts));
	b->front = SIGNED_HEAD + FRONT + head->issuer.n;
	reserve(b, FIRST + USUAL * (head->expected < MOST ? head->expected : MOST));
	return b;
}

void crl_free(struct crl_builder *b)
{
	if (!b)
		return;
	arena_free(b->text_arena);
	arena_free(b->arena);
}

size_t crl_count(const struct crl_builder *b)
{
	return b->count;
}

/* Extension with this last OID arc of id-ce around what was written since `mark`. */
static void entry_ext(struct derw *w, size_t mark, unsigned char arc, bool critical)
{
	derw_head(w, DER_OCTETSTRING, mark);
	if (critical)
		derw_bool(w, true);
	derw_tlv(w, DER_OID, (const unsigned char[]){ 0x55, 0x1d, arc }, 3);
	derw_head(w, DER_SEQUENCE, mark);
}

/* The calendar is asked once for a day: only the last six digits differ, before the Z. */
static void write_time(struct crl_builder *b, struct derw *w, int64_t time)
{
	unsigned char *digits = b->time_room + sizeof(b->time_room) - 7;
	int64_t since = time - b->midnight;

	if (!b->time_der.n || since < 0 || since >= DAY) {
		struct derw t = derw_init(b->time_room, sizeof(b->time_room));

		derw_time(&t, time);
		b->time_der = derw_bytes(&t);
		since = ((time % DAY) + DAY) % DAY;
		b->midnight = time - since;
	}
	for (int64_t unit = DAY / 24; unit; unit /= 60) {
		int64_t n = since / unit % (unit == DAY / 24 ? 24 : 60);

		*digits++ = (unsigned char)('0' + n / 10);
		*digits++ = (unsigned char)('0' + n % 10);
	}
	derw_raw(w, b->time_der.p, b->time_der.n);
}

static void write_entry(struct crl_builder *b, struct derw *w, const struct crl_entry *x, struct bytes new_issuer)
{
	size_t mark;

	if (new_issuer.n) {
		mark = derw_mark(w);
		derw_raw(w, new_issuer.p, new_issuer.n);
		derw_head(w, DER_CTX_CONS | 4, mark); /* directoryName, explicit because Name is a CHOICE */
		derw_head(w, DER_SEQUENCE, mark);
		entry_ext(w, mark, 29, true);
	}
	if (x->invalidity) {
		mark = derw_mark(w);
		derw_gentime(w, x->invalidity);
		entry_ext(w, mark, 24, false);
	}
	if (x->reason && !derw_mark(w)) {
		unsigned char usual[] = { 0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01,
					  (unsigned char)x->reason };

		derw_raw(w, usual, sizeof(usual)); /* the same as below, at once */
	} else if (x->reason) {
		mark = derw_mark(w);
		derw_tlv(w, DER_ENUMERATED, (const unsigned char[]){ (unsigned char)x->reason }, 1);
		entry_ext(w, mark, 21, false);
	}
	if (new_issuer.n || x->invalidity)
		derw_head(w, DER_SEQUENCE, 0);
	write_time(b, w, x->time);
	derw_int_bytes(w, x->serial.p, x->serial.n);
	derw_head(w, DER_SEQUENCE, 0);
}

static void keep(struct crl_builder *b, struct bytes entry)
{
	if (b->cap - b->n < entry.n)
		reserve(b, 2 * b->cap + entry.n);
	memcpy(b->text + b->front + b->n, entry.p, entry.n);
	b->n += entry.n;
	b->count++;
}

int crl_add(struct crl_builder *b, const struct crl_entry *x, struct err *e)
{
	struct bytes issuer = x->certificate_issuer.n ? x->certificate_issuer : b->head.issuer, changed = { 0 };
	struct derw w;

	if (x->serial.n == 0 || x->serial.n > SERIAL_MAX)
		return err_set(e, ERR_INVALID, "serial number of %zu octets (RFC 5280 4.1.2.2)", x->serial.n);
	if (x->reason < 0 || x->reason > 10 || x->reason == 7)
		return err_set(e, ERR_INVALID, "revocation reason %d (RFC 5280 5.3.1)", x->reason);
	if (issuer.n > ISSUER_MAX)
		return err_set(e, ERR_INVALID, "name of the certificate issuer is too long");
	if (!bytes_equal(issuer, b->issuer)) {
		changed = issuer;
		b->issuer = x->certificate_issuer.n ? copy(b->arena, issuer) : b->head.issuer;
	}
	w = derw_init(b->room, sizeof(b->room));
	write_entry(b, &w, x, changed);
	if (w.over || b->n > BUF_BIG)
		return err_set(e, ERR_INVALID, "the CRL is too large");
	keep(b, derw_bytes(&w));
	return 0;
}

int crl_sign(struct arena *a, struct crl_builder *b, EVP_PKEY *key, const struct sigalg *alg, struct bytes *ret_der,
	     struct err *e)
{
	const struct crl_head *h = &b->head;
	unsigned char *entries = b->text + b->front, *end = entries + b->n;
	struct derw w = { .start = b->text, .p = entries, .end = end + b->exts.n };

	if (b->exts.n)
		memcpy(end, b->exts.p, b->exts.n);
	if (b->count) /* RFC 5280 5.1.2.6: absent, not empty */
		derw_head(&w, DER_SEQUENCE, b->exts.n);
	if (h->next_update)
		derw_time(&w, h->next_update);
	derw_time(&w, h->this_update);
	derw_raw(&w, h->issuer.p, h->issuer.n);
	derw_raw(&w, alg->der.p, alg->der.n);
	derw_uint(&w, 1); /* v2 */
	derw_head(&w, DER_SEQUENCE, 0);
	if (signed_end(&w, key, alg, ret_der, e))
		return -1;
	arena_adopt(a, b->text_arena);
	b->text_arena = NULL;
	return 0;
}

void crl_ext_number(struct arena *a, struct exts *x, const char *oid, const char *decimal)
{
	unsigned char big[64] = { 0 }, *out = arena_alloc(a, sizeof(big) + 8, 1);
	struct derw w = derw_init(out, sizeof(big) + 8);

	for (; *decimal >= '0' && *decimal <= '9'; decimal++) {
		unsigned carry = (unsigned)(*decimal - '0');

		for (size_t i = sizeof(big); i-- > 0;) {
			carry += big[i] * 10U;
			big[i] = (unsigned char)carry;
			carry >>= 8;
		}
	}
	derw_int_bytes(&w, big, sizeof(big));
	exts_add(a, x, oid, strcmp(oid, OID_DELTA_CRL) == 0, derw_bytes(&w));
}

static bool uri_ok(const char *uri)
{
	for (const char *p = uri; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return strchr(uri, ':') > uri;
}

int crl_ext_idp(struct arena *a, struct exts *x, const struct crl_idp *idp, struct err *e)
{
	size_t room = 64, mark;
	struct derw w;

	for (size_t i = 0; i < idp->uris.n; i++) {
		if (!uri_ok(idp->uris.v[i]))
			return err_set(e, ERR_INVALID,
				       "distribution point \"%s\" is not a URI in ASCII (RFC 5280 5.2.5)",
				       idp->uris.v[i]);
		room += strlen(idp->uris.v[i]) + 8;
	}
	if (idp->only_user && idp->only_ca)
		return err_set(e, ERR_INVALID, "a CRL cannot be for user certificates only and for CA certificates "
			       "only (RFC 5280 5.2.5)");
	if (!idp->uris.n && !idp->only_user && !idp->only_ca && !idp->indirect)
		return err_set(e, ERR_INVALID, "an empty issuingDistributionPoint is not allowed (RFC 5280 5.2.5)");
	w = derw_init(arena_alloc(a, room, 1), room);
	if (idp->indirect)
		derw_tlv(&w, DER_CTX | 4, "\xff", 1);
	if (idp->only_ca)
		derw_tlv(&w, DER_CTX | 2, "\xff", 1);
	if (idp->only_user)
		derw_tlv(&w, DER_CTX | 1, "\xff", 1);
	if (idp->uris.n) {
		mark = derw_mark(&w);
		for (size_t i = idp->uris.n; i-- > 0;)
			derw_tlv(&w, DER_CTX | 6, idp->uris.v[i], strlen(idp->uris.v[i]));
		derw_head(&w, DER_CTX_CONS, mark); /* fullName */
		derw_head(&w, DER_CTX_CONS, mark); /* distributionPoint */
	}
	derw_head(&w, DER_SEQUENCE, 0);
	exts_add(a, x, OID_IDP, true, derw_bytes(&w));
	return 0;
}
