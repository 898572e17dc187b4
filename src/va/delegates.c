/* Responder certificates: issued when the listener starts, and anew by a worker before the last one ends. Guarantees:
 * one that signs holds longer than the answers that it signs; a new one is recorded and durable before it signs; where
 * none can be had the authority's own key answers. Keys live in this process and nowhere else. */
#include <pthread.h>
#include <string.h>

#include "base/text.h"
#include "crypto/key.h"
#include "pki/issue.h"
#include "pki/templates.h"
#include "va/service.h"

enum { EXPIRY_MARGIN = 3600, RETRY_SECS = 60 };

struct pause { /* of an authority: when it is tried again */
	const char *ca;
	int64_t until;
	struct pause *next;
};

struct renewals {
	pthread_mutex_t lock; /* held while one is made: others for the same worker wait for it */
	struct arena *arena;  /* never freed: what threads have found stays */
	struct delegate *newest;
	struct pause *pauses;
};

struct renewals *renewals_new(struct arena *a)
{
	struct renewals *all = arena_new_array(a, 1, struct renewals);

	*all = (struct renewals){ .arena = a };
	pthread_mutex_init(&all->lock, NULL);
	return all;
}

int va_make_delegate(struct ctx *ctx, struct authority *ca, struct buf *out, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	struct wishes wishes = NO_WISHES;
	struct profile prof;
	struct issued is;
	struct bytes pem;

	wishes.subject = arena_printf(ctx->arena, "CN=OCSP responder of %s", ca->rec.id);
	if (template_profile(ctx->arena, "ocsp-responder", &prof, e) != 0 ||
	    key_generate(keytype_find("ECDSA", 256), &key, e) != 0 ||
	    issue_own(ctx, ca, &prof, key, &wishes, &is, e) != 0 ||
	    key_plain_pem(ctx->arena, key, &pem, e) != 0)
		return -1;
	buf_put_run(out, bytes_of(ca->rec.id));
	buf_put_run(out, is.der);
	buf_put_run(out, pem);
	return 0;
}

int va_read_delegate(struct arena *a, struct bytes *left, struct delegate *ret, struct err *e)
{
	struct bytes ca, cert, key;
	struct delegate d = { 0 };
	struct cert parsed;

	if (!bytes_take_run(left, &ca) || !bytes_take_run(left, &cert) || !bytes_take_run(left, &key))
		return err_set(e, ERR_INVALID, "OCSP responders are cut off");
	d.ca = arena_strndup(a, (const char *)ca.p, ca.n);
	d.cert = (struct bytes){ arena_memdup(a, cert.p, cert.n), cert.n };
	if (cert_parse(a, d.cert, &parsed, e) != 0 || key_load(key, NULL, &d.key, e) != 0)
		return -1;
	d.not_before = parsed.not_before;
	d.not_after = parsed.not_after;
	d.key_hash = ocsp_key_hash(a, parsed.spki);
	d.alg = sigalg_default(d.key);
	*ret = d;
	return 0;
}

/* --- while serving --- */

static int64_t margin(const struct va_memory *m, const struct delegate *d)
{
	int64_t tenth = (d->not_after - d->not_before) / 10;

	return m->options->validity + (tenth < EXPIRY_MARGIN ? tenth : EXPIRY_MARGIN);
}

static bool holds(const struct va_memory *m, const struct delegate *d, const struct authority *ca)
{
	return strcmp(d->ca, ca->rec.id) == 0 && m->post->ctx.now <= d->not_after - margin(m, d);
}

static bool had_one(const struct va_memory *m, const struct authority *ca)
{
	struct err ignored = { 0 };

	for (size_t i = 0; i < m->ndelegates; i++)
		if (strcmp(m->delegates[i].ca, ca->rec.id) == 0)
			return authority_may_issue(ca, &ignored) == 0;
	return false;
}

static struct pause *pause_of(struct renewals *all, const char *ca)
{
	struct pause *p = all->pauses;

	while (p && strcmp(p->ca, ca) != 0)
		p = p->next;
	if (p)
		return p;
	p = arena_new_array(all->arena, 1, struct pause);
	*p = (struct pause){ .ca = arena_strdup(all->arena, ca), .next = all->pauses };
	return all->pauses = p;
}

static int renew(struct va_memory *m, struct authority *ca, struct arena *lasting, struct delegate *ret, struct err *e)
{
	const char *claim = arena_printf(m->post->ctx.arena, "ocsp/%s", ca->rec.id);
	SCOPED_BUF own = buf_init(BUF_TEXT);
	struct bytes left;

	if (va_key(m->post, ca, e) != 0 || post_claim(m->post, &claim, 1, false, e) != 0 ||
	    va_make_delegate(&m->post->ctx, ca, &own, e) != 0)
		return -1;
	left = buf_bytes(&own);
	if (va_read_delegate(lasting, &left, ret, e) != 0)
		return -1;
	if (post_commit(m->post, e) == 0)
		return 0;
	EVP_PKEY_free(ret->key);
	return -1;
}

static const struct delegate *find_new(struct va_memory *m, struct renewals *all, struct authority *ca)
{
	struct pause *pause = pause_of(all, ca->rec.id);
	struct delegate *d = all->newest;
	struct err e = { 0 };

	while (d && !holds(m, d, ca))
		d = d->next;
	if (d || m->post->ctx.now < pause->until || !had_one(m, ca))
		return d;
	d = arena_new_array(all->arena, 1, struct delegate);
	if (renew(m, ca, all->arena, d, &e) != 0) {
		post_release(m->post);
		pause->until = m->post->ctx.now + RETRY_SECS;
		ctx_warn(&m->post->ctx, "OCSP responder of ca %s: %s", ca->rec.id, e.msg);
		return NULL;
	}
	d->next = all->newest;
	all->newest = d;
	if (holds(m, d, ca))
		return d;
	pause->until = INT64_MAX; /* the profile has them end too soon */
	return NULL;
}

const struct delegate *va_delegate(struct va_memory *m, struct authority *ca)
{
	struct renewals *all = ((struct va_shared *)worker_shared(m->post))->renewals;
	const struct delegate *found = NULL;

	for (size_t i = 0; i < m->ndelegates && !found; i++)
		if (holds(m, &m->delegates[i], ca))
			found = &m->delegates[i];
	if (found || m->options->no_delegate)
		return found;
	pthread_mutex_lock(&all->lock);
	found = find_new(m, all, ca);
	pthread_mutex_unlock(&all->lock);
	return found;
}
