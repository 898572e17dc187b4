/* Keys in tokens for those who have no repository. Guarantees: which of several keys of one name is meant is said by a
 * public key, never guessed; a key is removed only by its public half; the PIN comes as for any engine, and from no
 * argument. */
#include "client/token.h"

#include <string.h>

#include "base/text.h"
#include "crypto/key.h"
#include "engine/engine.h"

struct token {
	struct ctx ctx; /* the command's, with an engine of its own */
	const char *uri;
	struct engine_uri wanted;
};

bool token_is_uri(const char *s)
{
	return s && text_has_prefix(s, "pkcs11:");
}

int token_open(struct ctx *ctx, const char *uri, struct token **ret, struct err *e)
{
	struct token *t = arena_new_array(ctx->arena, 1, struct token);

	*t = (struct token){ .ctx = *ctx, .uri = uri };
	if (engine_of_uri(ctx->arena, uri, &t->wanted, e) != 0)
		return -1;
	t->ctx.engines = engines_new(&t->ctx, &t->wanted.doc, 1, t->wanted.doc.id, NULL);
	*ret = t;
	return 0;
}

void token_close(struct token *t)
{
	if (t)
		engines_free(t->ctx.engines);
}

struct search {
	const char *id; /* of the key */
	struct key found;
	bool done;
};

static int look(void *arg, const struct key *k, struct err *e)
{
	struct search *s = arg;

	if (strcmp(k->id, s->id) != 0)
		return 0;
	s->found = *k;
	s->done = true;
	return err_set(e, ERR_CANCELLED, "that is it");
}

static int find(struct token *t, struct bytes spki, struct key *ret, struct err *e)
{
	struct search s = { .id = key_id(t->ctx.arena, spki) };
	const struct strv none = { 0 };
	int r = engine_each(&t->ctx, t->wanted.doc.id, &none, look, &s, e);

	if (!s.done)
		return r != 0 ? -1 : err_set(e, ERR_NOT_FOUND, "token %s: the key of the certificate is not in it",
					     t->wanted.doc.id);
	*e = (struct err){ 0 };
	*ret = s.found;
	return 0;
}

int token_key_for(struct token *t, struct bytes spki, EVP_PKEY **ret, struct err *e)
{
	struct key k;

	return find(t, spki, &k, e) != 0 || engine_key(&t->ctx, &k, ret, e) != 0 ? -1 : 0;
}

int token_key(struct token *t, EVP_PKEY **ret, struct err *e)
{
	struct key k;

	return engine_adopt(&t->ctx, t->wanted.doc.id, t->uri, &k, e) != 0 || engine_key(&t->ctx, &k, ret, e) != 0
	       ? -1 : 0;
}

int token_make(struct token *t, const struct keytype *type, EVP_PKEY **ret, struct err *e)
{
	struct key k;

	if (!t->wanted.object || t->wanted.has_id)
		return err_set(e, ERR_USAGE, "a key that is made is named by object=LABEL in the URI, and by no id, "
			       "which it gets itself");
	if (engine_generate(&t->ctx, t->wanted.doc.id, type, t->wanted.object, &k, e) != 0)
		return -1;
	return engine_key(&t->ctx, &k, ret, e);
}

int token_remove(struct token *t, struct bytes spki, struct err *e)
{
	int64_t gone_at;
	struct key k;

	return find(t, spki, &k, e) != 0 ? -1 : engine_destroy(&t->ctx, &k, &gone_at, e);
}
