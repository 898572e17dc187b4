/* What a handler thread of a validation authority knows: the authorities, how a CertID names them, and who signs for
 * them. */
#include "va/service.h"

int va_key(struct post *p, struct authority *ca, struct err *e)
{
	EVP_PKEY *key;

	if (ca->key)
		return 0;
	if (!ca->rec.key)
		return err_set(e, ERR_DENIED, "ca %s: its key is not here", ca->rec.id);
	return worker_key(p, ca->rec.key, &key, e) != 0 ? -1 : authority_take_key(ca, key, e);
}

static int signer(void *arg, struct authority *ca, struct ocsp_signer *ret, struct err *e)
{
	struct va_memory *m = arg;
	const struct delegate *d = va_delegate(m, ca);

	if (d) {
		*ret = (struct ocsp_signer){ d->key, d->cert, d->alg, d->key_hash };
		return 0;
	}
	if (va_key(m->post, ca, e) != 0)
		return -1;
	*ret = (struct ocsp_signer){ ca->key, ca->cert.der, ca->alg, ocsp_key_hash(m->post->ctx.arena, ca->cert.spki) };
	return 0;
}

static int read_delegates(struct post *p, struct va_memory *m, struct err *e)
{
	struct bytes left = worker_own(p);

	while (left.n) {
		struct delegate d;

		if (va_read_delegate(p->ctx.arena, &left, &d, e) != 0)
			return -1;
		m->delegates = arena_grow(p->ctx.arena, m->delegates, m->ndelegates, sizeof(*m->delegates));
		m->delegates[m->ndelegates++] = d;
	}
	return 0;
}

int va_learn(struct post *p, const void *options, struct err *e)
{
	const struct va_options *o = options;
	struct va_memory *m = arena_new_array(p->ctx.arena, 1, struct va_memory);

	m->post = p;
	m->options = o;
	if (va_authorities(&p->ctx, o, &m->cas, &m->ncas, e) != 0 || read_delegates(p, m, e) != 0)
		return -1;
	m->ocsp = (struct ocsp_responder){ .v = arena_new_array(p->ctx.arena, m->ncas, struct ocsp_issuer),
					   .n = m->ncas, .validity = o->validity, .signer = signer, .arg = m };
	for (size_t i = 0; i < m->ncas; i++)
		ocsp_issuer_init(p->ctx.arena, &m->cas[i], &m->ocsp.v[i]);
	p->memory = m;
	return 0;
}

void va_forget(struct post *p)
{
	struct va_memory *m = p->memory;

	for (size_t i = 0; i < m->ncas; i++)
		authority_release(&m->cas[i]);
	for (size_t i = 0; i < m->ndelegates; i++)
		EVP_PKEY_free(m->delegates[i].key);
}
