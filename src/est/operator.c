/* Tokens of operators (S2). Guarantees: the same checks as for devices, by the real clock whatever --at says; the token
 * stands in no commit, file or message, its sub, jti and roles do; nothing in them can forge a line of a commit. A set
 * of keys that is kept on disk is believed only where nobody else can write it, for as long as one in memory. */
#include "est/operator.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "crypto/digest.h"
#include "est/jwks.h"
#include "est/jwt.h"
#include "est/kept.h"

enum { FRESH_SECS = 300, KEEP_SECS = 3600, RETRY_SECS = 5, PLAIN_MAX = 200 };

/* --- the set of keys --- */

struct cached {
	struct bytes text; /* n = 0: there is none */
	int64_t age;
};

/* One for each user, so that several may share a repository. */
static char *cache_path(struct arena *a, const struct jwt_auth *j, const char *dir)
{
	char *what = arena_printf(a, "%s\n%s", j->public_key_url, j->ca_file ? j->ca_file : "");

	return arena_printf(a, "%s/jwks-%lld-%.32s.json", dir, (long long)geteuid(), sha256_hex(a, bytes_of(what)));
}

static struct cached read_cache(struct arena *a, const char *path)
{
	struct cached c = { .age = KEEP_SECS + 1 };
	struct err ignored = { 0 };
	struct stat st;
	struct node set;

	if (!path || lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) ||
	    fs_read(a, path, JWKS_BYTES, &c.text, &ignored) != 0 || jwks_parse(a, c.text, &set, &ignored) != 0)
		return (struct cached){ .age = KEEP_SECS + 1 };
	c.age = tm_now() - st.st_mtime;
	if (c.age < 0) /* of another clock */
		c.age = KEEP_SECS + 1;
	return c;
}

static int by_url(struct ctx *ctx, const struct jwt_auth *j, const char *cache, bool again, struct bytes *ret,
		  struct err *e)
{
	const struct wanted w = { .url = j->public_key_url, .ca_file = j->ca_file, .what = "key set", .max = JWKS_BYTES,
				  .check = jwks_is_set };
	const char *path = cache ? cache_path(ctx->arena, j, cache) : NULL;
	struct cached c = read_cache(ctx->arena, path);
	struct err ignored = { 0 };

	*ret = c.text;
	if (c.text.n && c.age <= (again ? RETRY_SECS : FRESH_SECS))
		return 0;
	if (kept_fetch(ctx, ctx->arena, &w, ret, e) != 0) {
		if (!c.text.n || again || c.age > KEEP_SECS)
			return err_set(e, ERR_REMOTE, "the keys of tokens cannot be had: %s",
				       arena_strdup(ctx->arena, e->msg));
		ctx_warn(ctx, "the keys of tokens are those of a while ago: %s", e->msg);
		*ret = c.text;
		return 0;
	}
	if (path && !ctx->dry_run && fs_put(path, *ret, 0600, &ignored) != 0)
		return 0; /* the next command asks again */
	return 0;
}

static int get_keys(struct ctx *ctx, const struct jwt_auth *j, const char *cache, bool again, struct node *ret,
		    struct err *e)
{
	struct bytes text;

	if (!j->public_key_url)
		return jwks_from_file(ctx->arena, j, ret, e) != 0 ? err_ctx(e, "%s", j->public_key_file) : 0;
	return by_url(ctx, j, cache, again, &text, e) != 0 ? -1 : jwks_parse(ctx->arena, text, ret, e);
}

static int verify(struct ctx *ctx, const struct jwt_auth *j, const char *cache, const struct jwt *t, struct err *e)
{
	const struct node *key;
	struct node set;

	if (get_keys(ctx, j, cache, false, &set, e) != 0)
		return -1;
	key = jwt_find_key(t, &set);
	if (!key && j->public_key_url) { /* it may be of a set that has just changed */
		if (get_keys(ctx, j, cache, true, &set, e) != 0)
			return -1;
		key = jwt_find_key(t, &set);
	}
	return key ? jwt_verify(ctx->arena, t, key, e)
		   : err_set(e, ERR_DENIED, "token: no key of the set is the one that signed it");
}

/* --- what it says --- */

/* Fit for a line of a commit, and for the name of its author. */
static bool is_plain(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (n == 0 || n > PLAIN_MAX || s[0] == ' ' || s[n - 1] == ' ' || !utf8_valid(bytes_of(s)))
		return false;
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '<' || *c == '>')
			return false;
	return true;
}

static bool is_mail(const char *s)
{
	return is_plain(s) && strchr(s, '@') && !strchr(s, ' ');
}

static const char *host_of(struct arena *a, const char *issuer)
{
	const char *from = strstr(issuer, "://");

	from = from ? from + 3 : issuer;
	return url_encode(a, (struct bytes){ (const unsigned char *)from, strcspn(from, "/?#") });
}

/* git wants a mail address of an author: the token's, or one that names subject and issuer. */
static char *author(struct arena *a, const struct node *claims, const char *sub, const char *issuer)
{
	const char *mail = est_json_str(claims, "email");
	bool doubtful = node_find(claims, "email_verified") && !est_json_true(claims, "email_verified");

	if (!is_mail(mail) || doubtful)
		mail = is_mail(sub) ? sub : arena_printf(a, "%s@%s", url_encode(a, bytes_of(sub)), host_of(a, issuer));
	return arena_printf(a, "%s <%s>", sub, mail);
}

/* A name as it stands, or steps into objects. */
static const struct node *find_claim(struct arena *a, const struct node *claims, const char *path)
{
	const struct node *n = node_find(claims, path);
	char *rest = arena_strdup(a, path), *step;

	for (const struct node *at = claims; !n && at && (step = strsep(&rest, ".")) != NULL;) {
		at = at->kind == NODE_MAP ? node_find(at, step) : NULL;
		if (!rest)
			return at;
	}
	return n;
}

static void add_role(struct buf *out, const char *role)
{
	buf_puts(out, out->n ? ", " : "");
	json_print_text(role, out);
}

/* A list of texts, or one text with spaces between. What is no text is no role. */
static char *roles_of(struct arena *a, const struct node *claims, const char *path)
{
	const struct node *n = path ? find_claim(a, claims, path) : NULL;
	SCOPED_BUF out = buf_init(BUF_TEXT);
	char *words, *word;

	for (size_t i = 0; n && n->kind == NODE_LIST && i < n->n; i++)
		if (n->items[i].kind == NODE_SCALAR && !n->items[i].plain)
			add_role(&out, n->items[i].text);
	if (n && n->kind == NODE_SCALAR && !n->plain) {
		words = arena_strdup(a, n->text);
		while ((word = strsep(&words, " ")) != NULL)
			if (*word)
				add_role(&out, word);
	}
	return out.n ? arena_strdup(a, buf_str(&out)) : NULL;
}

static int take_claims(struct ctx *ctx, const struct jwt_auth *j, const struct jwt *t, struct err *e)
{
	SCOPED_BUF lines = buf_init(BUF_TEXT);
	const char *sub = est_json_str(&t->claims, "sub"), *jti = est_json_str(&t->claims, "jti");
	const char *roles = roles_of(ctx->arena, &t->claims, j->roles_claim);

	if (!is_plain(sub))
		return err_set(e, ERR_DENIED, "token: its subject is missing, or cannot be the name of an operator");
	if (node_find(&t->claims, "jti") && !is_plain(jti))
		return err_set(e, ERR_DENIED, "token: its jti is no plain text");
	buf_printf(&lines, "Lamassu-Token-Sub: %s\n", sub);
	if (jti)
		buf_printf(&lines, "Lamassu-Token-Jti: %s\n", jti);
	if (roles)
		buf_printf(&lines, "Lamassu-Token-Roles: [%s]\n", roles);
	ctx->actor = author(ctx->arena, &t->claims, sub, j->issuer);
	ctx->trailers = arena_strdup(ctx->arena, buf_str(&lines));
	return 0;
}

int operator_identify(struct ctx *ctx, const struct jwt_auth *j, const char *cache, const char *token, struct err *e)
{
	struct jwt t;

	if (jwt_parse(ctx->arena, token, &t, e) != 0)
		return err_set(e, ERR_DENIED, "%s", arena_strdup(ctx->arena, e->msg));
	if (jwt_check_alg(&t, j, e) != 0 || verify(ctx, j, cache, &t, e) != 0 ||
	    jwt_check_claims(&t, j, tm_now(), e) != 0)
		return -1;
	return take_claims(ctx, j, &t, e);
}
