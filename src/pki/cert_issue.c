/* Key and certificate in one step. Guarantees: everything that can be refused without a key is refused before one is
 * made; a key that was made for nothing is removed again; private halves leave only where the caller asked for a
 * file. */
#include "pki/cert_issue.h"

#include <string.h>

#include "crypto/key.h"
#include "crypto/name.h"
#include "pki/keys.h"

void cert_made_release(struct cert_made *m)
{
	EVP_PKEY_free(m->private_key);
	m->private_key = NULL;
}

void cert_unmake(struct ctx *ctx, const struct cert_made *m)
{
	if (m->key_is_new)
		keys_abandon(ctx, &m->key);
}

/* The key as asked for: found, made in an engine, or made here. */
static int take_key(struct ctx *ctx, const struct cert_order *o, const char *name, struct cert_made *m,
		    EVP_PKEY **ret_pub, struct err *e)
{
	if (o->key_to_file) {
		if (key_generate(o->keytype, &m->private_key, e) != 0)
			return -1;
		EVP_PKEY_up_ref(m->private_key);
		*ret_pub = m->private_key;
		return 0;
	}
	if (o->key ? keys_take(ctx, o->key, o->engine, &m->key, e) != 0 : keys_create(ctx, o->engine, o->keytype, name,
										      &m->key, e) != 0)
		return -1;
	m->key_is_new = o->key == NULL;
	return key_from_public_pem(bytes_of(m->key.public_key), ret_pub, e);
}

/* What the operator says, beside what issuing noted. */
static int add_metadata(struct ctx *ctx, char *own, struct certrec *rec, struct err *e)
{
	char *note = any_get(ctx->arena, rec->metadata, META_SHORTENED);

	if (own == NULL)
		return 0;
	rec->metadata = own;
	return note ? any_set(ctx->arena, own, META_SHORTENED, note, &rec->metadata, e) : 0;
}

static int make(struct ctx *ctx, struct authority *ca, const struct profile *prof, const struct cert_order *o,
		struct bytes subject, struct cert_made *m, struct err *e)
{
	AUTO(EVP_PKEY) *pub = NULL;
	struct request req = { .subject = subject };
	const char *cn = name_cn(ctx->arena, subject), *name = cn && *cn ? cn : "certificate";
	struct certrec *rec = &m->issued.rec;

	if (take_key(ctx, o, name, m, &pub, e) != 0 || key_spki(ctx->arena, pub, &req.spki, e) != 0)
		return -1;
	req.pub = pub;
	if (issue_sign(ctx, ca, prof, &req, &o->wishes, &m->issued, e) != 0)
		return -1;
	rec->dms = o->dms;
	rec->bind = o->bind;
	if (add_metadata(ctx, o->metadata, rec, e) != 0 || issue_record(ctx, rec, m->issued.der, e) != 0)
		return -1;
	return m->key.id
	       ? keys_bind(ctx, &m->key, "certificate", arena_printf(ctx->arena, "%s/%s", rec->ca, rec->serial_number),
			   e) : 0;
}

int cert_make(struct ctx *ctx, struct authority *ca, const struct cert_order *o, struct cert_made *ret, struct err *e)
{
	SCOPED_CERT_MADE m = { 0 };
	struct profile prof;
	struct bytes subject;

	if (profile_load(ctx, o->profile ? o->profile : ca->rec.issuance_profile_id, &prof, e) != 0 ||
	    name_parse(ctx->arena, o->wishes.subject ? o->wishes.subject : "", &subject, e) != 0)
		return -1;
	if (prof.sign_as_ca)
		return err_set(e, ERR_DENIED, "profile %s makes authorities: use `ca create`", prof.id);
	if (make(ctx, ca, &prof, o, subject, &m, e) != 0) {
		cert_unmake(ctx, &m);
		return -1;
	}
	*ret = m;
	m.private_key = NULL;
	return 0;
}
