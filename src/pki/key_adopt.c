/* Keys that are in an engine and not in the repository, because somebody else made them. Guarantees: an engine is asked
 * only for what its URIs may mean; a key that two engines have is not chosen between; the record enters the caller's
 * transaction, and nothing is made, changed or deleted in the engine. */
#include <string.h>

#include "base/text.h"
#include "engine/engine.h"
#include "pki/key_uri.h"
#include "pki/keys.h"
#include "state/state.h"

struct search {
	struct ctx *ctx;
	const char *ref, *engine_id; /* as the user gave them; the engine may be NULL */
	const char *scheme, *name;   /* NULL: a plain name; what the engine is asked for */
	struct key_uri uri;          /* of "pkcs11" */
	struct key found;
	struct err why;              /* the first engine that could not answer */
	struct buf asked;
};

static const char *shown(const struct key *k)
{
	return k->name && k->name[0] ? k->name : k->id;
}

static int begin(struct search *s, struct err *e)
{
	s->name = s->ref;
	s->scheme = keys_scheme(s->ref, &s->name);
	if (!s->scheme || strcmp(s->scheme, "pkcs11") != 0)
		return 0;
	s->name = s->ref; /* such an engine reads the whole URI */
	return key_uri_parse(s->ctx->arena, s->ref, &s->uri, e);
}

static bool may_have(const struct search *s, const struct engine_doc *doc)
{
	const struct engine_ops *ops = doc->type ? engine_kind(doc->type) : NULL;
	struct err ignored = { 0 };

	if (!ops || !ops->find || (s->engine_id && strcmp(doc->id, s->engine_id) != 0))
		return false;
	if (!s->scheme)
		return s->engine_id != NULL;
	if (!ops->scheme || strcmp(ops->scheme, s->scheme) != 0)
		return false;
	return key_uri_names(s->ctx->arena, &s->uri, doc) &&
	       key_uri_check_module(s->ctx->arena, &s->uri, doc, &ignored) == 0;
}

static int ask(struct search *s, const char *engine_id, struct err *e)
{
	struct err why = { 0 };
	struct key k;

	buf_printf(&s->asked, "%s%s", s->asked.n ? ", " : "", engine_id);
	if (engine_adopt(s->ctx, engine_id, s->name, &k, &why) != 0) {
		if (why.code == ERR_USAGE) { /* it names several */
			*e = why;
			return -1;
		}
		if (why.code != ERR_NOT_FOUND && !s->why.code)
			s->why = why;
		return 0;
	}
	if (s->found.id)
		return err_set(e, ERR_USAGE, "\"%s\": engines %s and %s both have it; name one with --engine", s->ref,
			       s->found.engine_id, engine_id);
	s->found = k;
	return 0;
}

/* s->found, without an id when no engine has it. */
static int seek(struct search *s, struct err *e)
{
	struct engine_doc *docs;
	size_t n;

	if (begin(s, e) != 0 || (docs = state_all(s->ctx->state, &engine_type, &n, e)) == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (may_have(s, &docs[i]) && ask(s, docs[i].id, e) != 0)
			return -1;
	if (s->found.id || !s->why.code)
		return 0;
	*e = s->why;
	return -1;
}

static int search(struct search *s, struct err *e)
{
	int rc;

	s->asked = buf_init(BUF_TEXT);
	rc = seek(s, e);
	if (rc == 0 && !s->found.id && s->asked.n)
		rc = err_set(e, ERR_NOT_FOUND, "key \"%s\" not found, in %s neither",
			     text_escape(s->ctx->arena, bytes_of(s->ref)), buf_str(&s->asked));
	else if (rc == 0 && !s->found.id)
		rc = keys_missing(s->ctx, s->ref, e);
	buf_release(&s->asked);
	return rc;
}

int keys_resolve(struct ctx *ctx, const char *ref, struct key *ret, struct err *e)
{
	struct search s = { .ctx = ctx, .ref = ref };
	bool found;

	if (keys_find(ctx, ref, &found, ret, e) != 0)
		return -1;
	if (found)
		return 0;
	if (search(&s, e) != 0)
		return -1;
	if (!keys_have(ctx, s.found.id))
		return err_set(e, ERR_NOT_FOUND,
			       "key \"%s\" is in engine %s and has no record here; lamassu kms key import '%s' "
			       "makes one",
			       shown(&s.found), s.found.engine_id, text_escape(ctx->arena, bytes_of(ref)));
	return state_get(ctx->state, &key_type, s.found.id, ret, e);
}

/* The record that stands for what was found: there already, of the public half only until now, or new. */
static int record(struct ctx *ctx, const struct key *found, struct key *ret, struct err *e)
{
	*ret = *found;
	ret->adopted = true;
	if (!keys_have(ctx, found->id))
		return keys_put(ctx, ret, e);
	if (state_get(ctx->state, &key_type, found->id, ret, e) != 0)
		return -1;
	if (ret->has_private_key)
		return 0;
	ret->engine_id = found->engine_id;
	ret->handle = found->handle;
	ret->has_private_key = ret->adopted = true;
	return keys_put(ctx, ret, e);
}

int keys_take(struct ctx *ctx, const char *ref, const char *engine_id, struct key *ret, struct err *e)
{
	struct search s = { .ctx = ctx, .ref = ref, .engine_id = engine_id };
	bool found;

	if (keys_find(ctx, ref, &found, ret, e) != 0)
		return -1;
	if (found)
		return 0;
	return search(&s, e) != 0 ? -1 : record(ctx, &s.found, ret, e);
}

int keys_adopt(struct ctx *ctx, const char *ref, const char *engine_id, const char *name, struct key *ret,
	       struct err *e)
{
	struct search s = { .ctx = ctx, .ref = ref, .engine_id = engine_id };
	struct key old;

	if (search(&s, e) != 0)
		return -1;
	if (name)
		s.found.name = arena_strdup(ctx->arena, name);
	if (!keys_have(ctx, s.found.id))
		return record(ctx, &s.found, ret, e);
	if (state_get(ctx->state, &key_type, s.found.id, &old, e) != 0)
		return -1;
	if (keys_is_in(&old, s.found.engine_id))
		return err_set(e, ERR_EXISTS, "the key is here already: %s (%s) in engine %s", shown(&old), old.id,
			       s.found.engine_id);
	if (!old.has_private_key)
		return record(ctx, &s.found, ret, e);
	*ret = old;
	return keys_add_replica(ctx, ret, s.found.engine_id, s.found.handle, e);
}

/* --- what else is in the engines --- */

struct listing {
	struct ctx *ctx;
	int (*cb)(void *, const struct key *, struct err *);
	void *arg;
};

static int each_stranger(void *arg, const struct key *k, struct err *e)
{
	const struct listing *l = arg;

	return keys_have(l->ctx, k->id) ? 0 : l->cb(l->arg, k, e);
}

/* What the records already say of the engine: these keys it need not be asked for. */
static struct strv handles_in(struct ctx *ctx, const char *engine_id, const struct key *v, size_t n)
{
	struct strv ret = { .set = true };

	for (size_t i = 0; i < n; i++) {
		const char *handle = keys_handle_in(&v[i], engine_id);

		if (!handle)
			continue;
		ret.v = arena_grow(ctx->arena, ret.v, ret.n, sizeof(*ret.v));
		ret.v[ret.n++] = arena_strdup(ctx->arena, handle);
	}
	return ret;
}

int keys_strangers(struct ctx *ctx, int (*cb)(void *, const struct key *, struct err *), void *arg, struct err *e)
{
	struct listing l = { .ctx = ctx, .cb = cb, .arg = arg };
	struct strv ids, known;
	struct key *v;
	size_t n;

	if (state_ids(ctx->state, &engine_type, &ids, e) != 0 || keys_all(ctx, &v, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < ids.n; i++) {
		struct err why = { 0 };

		known = handles_in(ctx, ids.v[i], v, n);
		if (engine_each(ctx, ids.v[i], &known, each_stranger, &l, &why) != 0 && why.code != ERR_UNSUPPORTED)
			ctx_warn(ctx, "its other keys are not shown: %s", why.msg);
	}
	return 0;
}
