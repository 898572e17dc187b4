/* The answer to cacerts. Guarantees: it never holds a certificate that must not be trusted any more; what a client
 * needs to build any path to a device's certificate, before and after a root's key was changed, is in it. */
#include "pki/est_cacerts.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/bundle.h"
#include "pki/authority.h"
#include "state/ledger.h"

struct bag {
	struct ctx *ctx;
	struct authority *all;
	size_t nall;
	bool *taken; /* of all */
	bool chains;
	struct bytes *v;
	size_t n;
};

static bool trusted(const struct bag *b, const struct authority *a)
{
	return a->cert.der.n && !a->rec.compromised && a->status != CA_REVOKED && a->cert.not_after >= b->ctx->now;
}

static void add(struct bag *b, struct bytes der)
{
	for (size_t i = 0; i < b->n; i++)
		if (bytes_equal(b->v[i], der))
			return;
	b->v = arena_grow(b->ctx->arena, b->v, b->n, sizeof(*b->v));
	b->v[b->n++] = der;
}

/* A certificate beside the authority's own: OldWithNew or NewWithOld, if it still holds. */
static int add_link(struct bag *b, const struct authority *a, const struct authority *issuer, const char *name,
		    struct err *e)
{
	const char *path = arena_printf(b->ctx->arena, "cas/%s/%s.pem", a->rec.id, name);
	struct certrec rec;
	struct bytes text;
	struct cert c;

	if (state_read(b->ctx->state, path, &text, e) != 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		*e = (struct err){ 0 };
		return 0;
	}
	if (cert_parse(b->ctx->arena, text, &c, e) != 0)
		return err_ctx(e, "%s", path);
	if (ledger_cert(b->ctx->state, issuer->rec.id, cert_serial_hex(b->ctx->arena, c.serial), &rec, e) != 0)
		return err_ctx(e, "%s", path);
	if (rec.status == CERT_ACTIVE)
		add(b, c.der);
	return 0;
}

static const char *reissued_from(struct bag *b, const struct authority *a)
{
	return any_get(b->ctx->arena, a->rec.metadata, "lamassu.io/ca/reissued-from");
}

static int take(struct bag *b, const struct authority *a, struct err *e);

/* The generations before and after a root: each vouches for the other. */
static int take_generations(struct bag *b, const struct authority *a, struct err *e)
{
	const char *from = reissued_from(b, a);

	for (size_t i = 0; i < b->nall; i++) {
		const struct authority *o = &b->all[i], *old = NULL, *fresh = NULL;
		const char *of = reissued_from(b, o);

		if (strcmp(o->rec.id, a->rec.id) == 0 || !authority_is_root(o) || !trusted(b, o))
			continue;
		if (from && o->rec.serial_number && strcmp(from, o->rec.serial_number) == 0) {
			old = o;
			fresh = a;
		} else if (of && a->rec.serial_number && strcmp(of, a->rec.serial_number) == 0) {
			old = a;
			fresh = o;
		}
		if (old && (take(b, o, e) != 0 || add_link(b, old, fresh, "old-with-new", e) != 0 ||
			    add_link(b, fresh, old, "new-with-old", e) != 0))
			return -1;
	}
	return 0;
}

static int take(struct bag *b, const struct authority *a, struct err *e)
{
	size_t i = 0;

	while (strcmp(b->all[i].rec.id, a->rec.id) != 0) /* parents are copies */
		i++;
	if (b->taken[i] || !trusted(b, a))
		return 0;
	b->taken[i] = true;
	add(b, a->cert.der);
	if (!b->chains)
		return 0;
	if (a->parent && take(b, a->parent, e) != 0)
		return -1;
	return authority_is_root(a) ? take_generations(b, a, e) : 0;
}

static int take_id(struct bag *b, const char *id, struct err *e)
{
	for (size_t i = 0; i < b->nall; i++)
		if (strcmp(b->all[i].rec.id, id) == 0)
			return take(b, &b->all[i], e);
	return err_set(e, ERR_NOT_FOUND, "ca %s does not exist", id);
}

int est_cacerts(struct ctx *ctx, const struct dms *d, const char *system_ca, struct bytes **ret, size_t *ret_n,
		struct err *e)
{
	const struct ca_distribution_settings *s = &d->settings.ca_distribution_settings;
	const char *enrollment = d->settings.enrollment_settings.enrollment_ca;
	struct bag b = { .ctx = ctx, .chains = s->full_chain };

	if (authority_all(ctx, &b.all, &b.nall, e) != 0)
		return -1;
	b.taken = arena_new_array(ctx->arena, b.nall + 1, bool);
	if (s->include_lamassu_system_ca && take_id(&b, system_ca ? system_ca : enrollment, e) != 0)
		return -1;
	for (size_t i = 0; i < s->managed_cas.n; i++)
		if (take_id(&b, s->managed_cas.v[i], e) != 0)
			return -1;
	if (s->include_enrollment_ca && take_id(&b, enrollment, e) != 0)
		return -1;
	if (b.n == 0)
		return err_set(e, ERR_CONFLICT,
			       "dms %s: every authority that it distributes is compromised, revoked or expired", d->id);
	*ret = b.v;
	*ret_n = b.n;
	return 0;
}

/* X.690 11.6: the encodings of a set's members in ascending order. */
static int by_der(const void *x, const void *y)
{
	const struct bytes *a = x, *b = y;
	int r = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);

	return r != 0 ? r : (a->n > b->n) - (a->n < b->n);
}

int est_p7(struct arena *a, const struct bytes *ders, size_t n, struct bytes *ret, struct err *e)
{
	struct bytes *sorted = arena_new_array(a, n + 1, struct bytes);

	for (size_t i = 0; i < n; i++)
		sorted[i] = ders[i];
	if (n)
		qsort(sorted, n, sizeof(*sorted), by_der);
	return p7_certs(a, sorted, n, ret, e);
}
