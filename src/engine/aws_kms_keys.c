/* What AWS KMS holds and how people find it there: lists, names, states, aliases and tags. Guarantees: lists are
 * read to their end, with a limit on their pages; of aliases and tags only those are changed that lamassu has made. */
#include <string.h>

#include "base/text.h"
#include "base/tm.h"
#include "engine/aws_kms.h"

enum { PAGES_MAX = 1000, ALIAS_MAX = 256, MADE_AGO_SECS = 600, SEARCH_MS = 60000 };

int kms_describe(struct kms *k, struct arena *a, const char *key, json_t **ret, struct err *e)
{
	return aws_call(k->aws, a, "DescribeKey", kms_about(key), false, ret, e);
}

bool kms_signs(json_t *j)
{
	const char *usage = remote_text(j, "KeyMetadata.KeyUsage"), *state = remote_text(j, "KeyMetadata.KeyState");

	return usage && state && remote_text(j, "KeyMetadata.Arn") && strcmp(usage, "SIGN_VERIFY") == 0 &&
	       strcmp(state, "PendingImport") != 0 && strcmp(state, "Creating") != 0;
}

/* --- pages --- */

struct listing {
	const char *operation, *items; /* the member that holds them */
	const char *key;               /* of one key; NULL: all */
	int limit;
	int (*cb)(void *arg, json_t *item, struct err *);
	void *arg;
};

static int each_page(struct kms *k, struct arena *a, const struct listing *l, struct err *e)
{
	const char *marker = NULL;

	for (int page = 0; page < PAGES_MAX; page++) {
		AUTO(json_t) *j = NULL;
		json_t *in = json_pack("{s:i,s:s*,s:s*}", "Limit", l->limit, "KeyId", l->key, "Marker", marker), *item;
		size_t i;

		if (aws_call(k->aws, a, l->operation, in, false, &j, e) != 0)
			return -1;
		json_array_foreach(remote_member(j, l->items), i, item)
			if (l->cb(l->arg, item, e) != 0)
				return -1;
		marker = arena_strdup(a, remote_text(j, "NextMarker"));
		if (!marker || !json_is_true(remote_member(j, "Truncated")))
			return 0;
	}
	return err_set(e, ERR_REMOTE, "kms %s: more than %d pages", l->operation, PAGES_MAX);
}

struct keys {
	struct ctx *ctx;
	struct kms *kms;
	int (*cb)(void *, const struct keyref *, struct err *);
	void *arg;
};

static int each_key(void *arg, json_t *item, struct err *e)
{
	const struct keys *l = arg;
	struct arena *a = l->ctx->arena;
	const char *arn = remote_text(item, "KeyArn"), *label, *state;
	AUTO(json_t) *j = NULL;

	if (!arn)
		return err_set(e, ERR_REMOTE, "kms ListKeys: a key without a name");
	if (kms_describe(l->kms, a, arn, &j, e) != 0)
		return -1;
	state = remote_text(j, "KeyMetadata.KeyState");
	label = remote_text(j, "KeyMetadata.Description");
	if (!kms_signs(j) || strcmp(state, "PendingDeletion") == 0)
		return 0;
	return l->cb(l->arg, &(struct keyref){ .handle = arena_strdup(a, arn),
		     .label = label && label[0] ? text_escape(a, bytes_of(label)) : NULL }, e);
}

int kms_each(struct ctx *ctx, struct engine *en, int (*cb)(void *, const struct keyref *, struct err *), void *arg,
	     struct err *e)
{
	struct keys l = { ctx, en->priv, cb, arg };
	const struct listing all = { .operation = "ListKeys", .items = "Keys", .limit = 1000, .cb = each_key,
				     .arg = &l };

	return each_page(en->priv, ctx->arena, &all, e);
}

/* --- a key whose making was not answered --- */

struct search {
	struct kms *kms;
	struct arena *arena;
	const char *request;
	int64_t after, until; /* made no earlier; searched no longer */
	const char *arn;
};

static int tag_is_ours(void *arg, json_t *item, struct err *e)
{
	struct search *s = arg;
	const char *key = remote_text(item, "TagKey"), *value = remote_text(item, "TagValue");

	(void)e;
	if (key && value && strcmp(key, KMS_TAG_REQUEST) == 0 && strcmp(value, s->request) == 0)
		s->request = NULL; /* found */
	return 0;
}

/* Only what is new enough is asked for its tags. What cannot be looked at is somebody else's. */
static int look_at(void *arg, json_t *item, struct err *e)
{
	struct search *s = arg;
	const char *arn = remote_text(item, "KeyArn");
	const struct listing tags = { "ListResourceTags", "Tags", arn, 50, tag_is_ours, s };
	struct err ignored = { 0 };
	AUTO(json_t) *j = NULL;

	if (!arn || !s->request)
		return 0;
	if (tm_mono_ms() > s->until)
		return err_set(e, ERR_REMOTE, "there are too many keys to look at");
	if (kms_describe(s->kms, s->arena, arn, &j, &ignored) != 0 ||
	    json_number_value(remote_member(j, "KeyMetadata.CreationDate")) < (double)s->after ||
	    each_page(s->kms, s->arena, &tags, &ignored) != 0 || s->request)
		return 0;
	s->arn = arena_strdup(s->arena, arn);
	return 0;
}

int kms_made(struct kms *k, struct arena *a, const char *request, const char **ret_arn, struct err *e)
{
	struct search s = { .kms = k, .arena = a, .request = request, .after = tm_now() - MADE_AGO_SECS,
			    .until = tm_mono_ms() + SEARCH_MS };
	const struct listing all = { .operation = "ListKeys", .items = "Keys", .limit = 1000, .cb = look_at,
				     .arg = &s };

	if (each_page(k, a, &all, e) != 0)
		return -1;
	*ret_arn = s.arn;
	return 0;
}

/* --- one key --- */

/* An id, an ARN, alias/NAME, an alias' ARN, or the bare name of an alias. */
int kms_find(struct ctx *ctx, struct engine *en, const char *name, struct keyref *ret, struct err *e)
{
	struct kms *k = en->priv;
	struct arena *a = ctx->arena;
	struct err first = { 0 };
	AUTO(json_t) *j = NULL;
	const char *label;

	if (kms_describe(k, a, name, &j, &first) != 0) {
		bool bare = !strchr(name, ':') && !text_has_prefix(name, "alias/");

		if (!bare || first.code == ERR_DENIED ||
		    kms_describe(k, a, arena_printf(a, "alias/%s", name), &j, e) != 0) {
			*e = first;
			return -1;
		}
	}
	*e = (struct err){ 0 };
	if (!kms_signs(j))
		return err_set(e, ERR_UNSUPPORTED, "%s is not a key that signs", name);
	label = remote_text(j, "KeyMetadata.Description");
	*ret = (struct keyref){ .handle = arena_strdup(a, remote_text(j, "KeyMetadata.Arn")),
				.label = label && label[0] ? text_escape(a, bytes_of(label)) : NULL };
	return 0;
}

int kms_state(struct ctx *ctx, struct engine *en, const struct keyref *ref, struct key_state *ret, struct err *e)
{
	struct err why = { 0 };
	AUTO(json_t) *j = NULL;
	struct key_state s = { .standing = KEY_USABLE };
	const char *state;
	int64_t created;

	if (kms_describe(en->priv, ctx->arena, ref->handle, &j, &why) != 0) {
		if (why.code == ERR_NOT_FOUND) {
			*ret = (struct key_state){ .standing = KEY_GONE };
			return 0;
		}
		*e = why;
		return -1;
	}
	state = remote_text(j, "KeyMetadata.KeyState");
	if (!state)
		return err_set(e, ERR_REMOTE, "kms DescribeKey: the answer names no state");
	if (strcmp(state, "PendingDeletion") == 0 || strcmp(state, "PendingReplicaDeletion") == 0)
		s.standing = KEY_DELETING;
	else if (strcmp(state, "Enabled") != 0)
		s.standing = KEY_DISABLED;
	s.gone_at = (int64_t)json_number_value(remote_member(j, "KeyMetadata.DeletionDate"));
	created = (int64_t)json_number_value(remote_member(j, "KeyMetadata.CreationDate"));
	s.created = created ? tm_format(ctx->arena, created) : NULL;
	*ret = s;
	return 0;
}

/* --- aliases and tags --- */

int kms_alias(struct kms *k, struct arena *a, const char *alias, const char *key, struct err *e)
{
	struct err why = { 0 };

	if (aws_call(k->aws, a, "CreateAlias", json_pack("{s:s,s:s}", "AliasName", alias, "TargetKeyId", key), false,
		     NULL, &why) == 0)
		return 0;
	if (why.code == ERR_EXISTS)
		return aws_call(k->aws, a, "UpdateAlias",
				json_pack("{s:s,s:s}", "AliasName", alias, "TargetKeyId", key), false, NULL, e);
	*e = why;
	return -1;
}

struct present { /* what KMS has of ours */
	struct arena *arena;
	const char *member, *prefix;
	struct strv names;
};

static int take(void *arg, json_t *item, struct err *e)
{
	struct present *p = arg;
	const char *name = remote_text(item, p->member);

	(void)e;
	if (!name || !text_has_prefix(name, p->prefix))
		return 0;
	p->names.v = arena_grow(p->arena, p->names.v, p->names.n, sizeof(*p->names.v));
	p->names.v[p->names.n++] = arena_strdup(p->arena, name);
	return 0;
}

static bool is_in(const struct strv *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], name) == 0)
			return true;
	return false;
}

static struct strv tag_keys(struct arena *a, const struct strv *tags)
{
	struct strv out = { .v = arena_new_array(a, tags->n + 1, char *), .n = tags->n };

	for (size_t i = 0; i < tags->n; i++)
		out.v[i] = aws_tag_key(a, tags->v[i]);
	return out;
}

/* KMS takes fewer characters than our aliases may have. */
static struct strv alias_names(struct arena *a, const char *prefix, const struct strv *names)
{
	struct strv out = { .v = arena_new_array(a, names->n + 1, char *), .n = names->n };

	for (size_t i = 0; i < names->n; i++) {
		out.v[i] = aws_tag_text(a, arena_printf(a, "%s%s", prefix, names->v[i]), ALIAS_MAX);
		for (char *p = out.v[i]; *p; p++)
			if (strchr(" .=+@", *p))
				*p = '_';
	}
	return out;
}

static int set_aliases(struct kms *k, struct arena *a, const char *key, const struct strv *names, struct err *e)
{
	struct present have = { .arena = a, .member = "AliasName",
				.prefix = arena_printf(a, "alias/%s/", k->config->alias) };
	const struct listing l = { "ListAliases", "Aliases", key, 100, take, &have };
	struct strv want = alias_names(a, have.prefix, names);

	if (each_page(k, a, &l, e) != 0)
		return -1;
	for (size_t i = 0; i < want.n; i++)
		if (!is_in(&have.names, want.v[i]) && kms_alias(k, a, want.v[i], key, e) != 0)
			return -1;
	for (size_t i = 0; i < have.names.n; i++)
		if (!is_in(&want, have.names.v[i]) &&
		    aws_call(k->aws, a, "DeleteAlias", json_pack("{s:s}", "AliasName", have.names.v[i]), false, NULL,
			     e) != 0)
			return -1;
	return 0;
}

static int set_tags(struct kms *k, struct arena *a, const char *key, const char *name, const struct strv *tags,
		    struct err *e)
{
	struct present have = { .arena = a, .member = "TagKey", .prefix = AWS_TAG_PREFIX };
	const struct listing l = { "ListResourceTags", "Tags", key, 50, take, &have };
	struct strv want = tag_keys(a, tags);
	json_t *add = json_pack("[{s:s,s:s}]", "TagKey", "lamassu:name", "TagValue", aws_tag_value(a, name));
	AUTO(json_t) *gone = json_array();

	for (size_t i = 0; i < want.n; i++)
		json_array_append_new(add, json_pack("{s:s,s:s}", "TagKey", want.v[i], "TagValue", ""));
	if (aws_call(k->aws, a, "TagResource", json_pack("{s:s,s:o}", "KeyId", key, "Tags", add), false, NULL,
		     e) != 0 ||
	    each_page(k, a, &l, e) != 0)
		return -1;
	for (size_t i = 0; i < have.names.n; i++)
		if (!is_in(&want, have.names.v[i]))
			json_array_append_new(gone, json_string(have.names.v[i]));
	if (json_array_size(gone) == 0)
		return 0;
	return aws_call(k->aws, a, "UntagResource", json_pack("{s:s,s:O}", "KeyId", key, "TagKeys", gone), false, NULL,
			e);
}

int kms_annotate(struct ctx *ctx, struct engine *en, const struct keyref *ref, const struct key_notes *notes,
		 struct err *e)
{
	struct kms *k = en->priv;
	const char *name = notes->name ? notes->name : "";

	if (aws_call(k->aws, ctx->arena, "UpdateKeyDescription",
		     json_pack("{s:s,s:s}", "KeyId", ref->handle, "Description", name), false, NULL, e) != 0)
		return -1;
	return set_aliases(k, ctx->arena, ref->handle, &notes->aliases, e) != 0 ||
	       set_tags(k, ctx->arena, ref->handle, name, &notes->tags, e) != 0 ? -1 : 0;
}
