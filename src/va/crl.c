/* CRLs over HTTP. Guarantees: what is served is a CRL that the ledger records, and the newest of its scope; where the
 * authority's key is here and the CRL is due, or is not kept in full, a new one is made, recorded and durable before it
 * is served. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "pki/crl_issue.h"
#include "pki/plan_parts.h"
#include "state/ledger.h"
#include "va/service.h"

enum { CRL_MAX = 1 << 30, DIGITS_MAX = 6 };

struct wanted {
	struct authority *ca;
	int64_t partition; /* -1: none */
	bool delta;
};

/* "SKI[.PARTITION][.delta].crl" */
static bool parse(struct arena *a, struct va_memory *m, const char *file, struct wanted *ret)
{
	size_t n = strlen(file);
	struct wanted w = { .partition = -1 };
	char *name, *dot;

	if (n < 5 || strcmp(file + n - 4, ".crl") != 0)
		return false;
	name = arena_strndup(a, file, n - 4);
	n = strlen(name);
	if (n > 6 && strcmp(name + n - 6, ".delta") == 0) {
		w.delta = true;
		name[n - 6] = '\0';
	}
	dot = strchr(name, '.');
	if (dot) {
		*dot = '\0';
		n = strlen(dot + 1);
		if (n == 0 || n > DIGITS_MAX || strspn(dot + 1, "0123456789") != n || (n > 1 && dot[1] == '0'))
			return false;
		w.partition = strtol(dot + 1, NULL, 10);
	}
	for (size_t i = 0; i < m->ncas && !w.ca; i++)
		if (strcmp(name, hex_encode(a, authority_key_id(a, &m->cas[i]))) == 0)
			w.ca = &m->cas[i];
	*ret = w;
	return w.ca != NULL;
}

static char *scope_of(struct arena *a, const struct wanted *w)
{
	const char *kind = w->delta ? "delta" : "full";

	return w->partition < 0 ? arena_strdup(a, kind) : arena_printf(a, "%s/%lld", kind, (long long)w->partition);
}

/* Large CRLs are not in the ledger; this clone keeps those that it made itself. */
static char *kept_path(struct post *p, const struct crlrec *rec)
{
	return arena_printf(p->ctx.arena, "%s/crl/%s.crl", state_private(p->ctx.state), rec->sha256);
}

static int read_der(struct post *p, const struct crlrec *rec, struct bytes *ret, struct err *e)
{
	return rec->stored ? ledger_crl_der(p->ctx.state, rec, ret, e)
			   : fs_read(p->ctx.arena, kept_path(p, rec), CRL_MAX, ret, e);
}

static void keep(struct post *p, const struct crl_made *made)
{
	struct err ignored = { 0 };

	if (!made->rec.stored && fs_mkdirs(arena_printf(p->ctx.arena, "%s/crl", state_private(p->ctx.state)), 0700,
					   &ignored) == 0 &&
	    fs_put(kept_path(p, &made->rec), made->der, 0600, &ignored) != 0)
		ctx_warn(&p->ctx, "%s", ignored.msg);
}

/* The newest of the scope, if there is one that need not be made anew. */
static int find(struct post *p, const struct va_options *o, const struct wanted *w, bool *ret_found, bool *ret_good,
		struct crlrec *rec, struct bytes *der, struct err *e)
{
	struct err none = { 0 };
	bool due = false;

	if (ledger_last_crl(p->ctx.state, w->ca->rec.id, scope_of(p->ctx.arena, w), ret_found, rec, e) != 0)
		return -1;
	if (*ret_found && !o->no_crl && !w->delta && w->ca->rec.key &&
	    crl_scope_due(&p->ctx, w->ca, w->partition, p->ctx.now, &due, &none) != 0)
		due = false;
	*ret_good = *ret_found && !due && rec->next_update > p->ctx.now && read_der(p, rec, der, &none) == 0;
	return 0;
}

static int make(struct post *p, const struct va_options *o, const struct wanted *w, struct crlrec *ret,
		struct bytes *ret_der, struct err *e)
{
	const char *key = arena_printf(p->ctx.arena, "crl/%s", w->ca->rec.id);
	bool found, good;
	struct crl_made made;

	if (va_key(p, w->ca, e) != 0 || post_claim(p, &key, 1, false, e) != 0 ||
	    find(p, o, w, &found, &good, ret, ret_der, e) != 0)
		return -1;
	if (good) { /* somebody else has made it meanwhile */
		post_release(p);
		return 0;
	}
	if (crl_issue(&p->ctx, w->ca, &(struct crl_order){ .delta = w->delta, .partition = w->partition }, &made,
		      e) != 0)
		return -1;
	keep(p, &made);
	*ret = made.rec;
	*ret_der = made.der;
	return post_commit(p, e);
}

/* May a CRL begin that there was none of? Anybody can ask for any name, and each one that is made stays in the
 * ledger. */
static bool may_begin(struct post *p, const struct wanted *w, struct err *e)
{
	const struct config *config = state_config(p->ctx.state);
	struct crl_scopes all;

	if (w->delta)
		return config->crl.delta && crl_has_base(&p->ctx, w->ca, w->partition, e);
	if (w->partition >= 0)
		return w->partition < authority_partitions(config, w->ca);
	return crl_scopes(&p->ctx, w->ca, &all, e) == 0 && all.complete;
}

static int newest(struct post *p, const struct va_options *o, const struct wanted *w, struct crlrec *rec,
		  struct bytes *der, struct err *e)
{
	struct err none = { 0 };
	struct crlrec made;
	bool found, good;

	if (find(p, o, w, &found, &good, rec, der, e) != 0)
		return -1;
	if (good)
		return 0;
	if (!o->no_crl && w->ca->rec.key && (found || may_begin(p, w, &none)) &&
	    make(p, o, w, &made, der, &none) == 0) {
		*rec = made;
		return 0;
	}
	post_release(p);
	if (found && read_der(p, rec, der, e) == 0)
		return 0; /* an old one is better than none: clients see when it ends */
	return none.code ? err_set(e, none.code, "%s", none.msg) : err_set(e, ERR_NOT_FOUND, "there is no such CRL");
}

void va_crl(struct post *post, const struct va_options *o, const char *file, const struct http_request *in,
	    struct http_response *out)
{
	struct wanted w;
	struct crlrec rec;
	struct bytes der;
	struct err e = { 0 };

	out->op = "crl";
	if (!parse(in->arena, post->memory, file, &w)) {
		http_text(in->arena, out, 404, "not_found", "no such CRL");
		return;
	}
	out->realm = w.ca->rec.id;
	if (newest(post, o, &w, &rec, &der, &e) == 0) {
		va_answer(post, in, out, &(struct va_answer){ .body = der, .type = "application/pkix-crl", .op = "crl",
			  .realm = w.ca->rec.id, .from = rec.this_update, .until = rec.next_update, .keep = true });
	} else if (e.code == ERR_NOT_FOUND || e.code == ERR_DENIED) {
		http_text(in->arena, out, 404, "not_found", "there is no such CRL");
	} else {
		ctx_warn(&post->ctx, "ca %s: %s", w.ca->rec.id, e.msg);
		http_text(in->arena, out, 503, "engine", "the CRL cannot be made at the moment");
		http_add_header(out, "Retry-After", "30");
	}
}
