/* The ledger as commands see it: entries go in as text, answers come from the cache. Guarantees: what is added is
 * checked before it becomes an entry; names of entries never collide, whoever writes at the same time; answers include
 * the transaction's own entries. A cache that turns out to be damaged is rebuilt on the spot, without a word. */
#include "state/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/cert.h"
#include "state/entry.h"
#include "state/ledger_parts.h"
#include "state/view.h"

enum { CRL_STORED_MAX = 256 << 10 };

/* --- adding --- */

char *ledger_stamp(struct arena *a, int64_t t)
{
	struct civil c = tm_civil(t);

	return arena_printf(a, "%04d%02d%02dT%02d%02d%02dZ", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

char *ledger_writer(struct state *st, struct arena *a)
{
	return arena_printf(a, "%.12s%04zx", st->op_id, st->nentries);
}

int ledger_add_entry(struct state *st, const char *kind, const char *name, const struct schema *sc, const void *rec,
		     struct bytes body, struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_BIG);

	rec_emit(sc, rec, &text);
	buf_put(&text, body.p, body.n);
	if (text.n > ENTRY_MAX)
		return err_set(e, ERR_INVALID, "%s/%s: larger than %d bytes", kind, name, ENTRY_MAX);
	return state_add_entry(st, kind, name, buf_bytes(&text), e);
}

int ledger_add_cert(struct state *st, const struct certrec *rec, struct bytes pem, struct err *e)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	SCOPED_ARENA *a = arena_new();
	struct certrec r = *rec;
	const char *name;

	if (rec_check(a, &certrec_type, &r, e) != 0)
		return err_ctx(e, "certificate %s", r.serial_number ? r.serial_number : "");
	if (pem.n < sizeof(begin) || memcmp(pem.p, begin, sizeof(begin) - 1) != 0 ||
	    memmem(pem.p, pem.n, "PRIVATE KEY", 11))
		return err_set(e, ERR_INVALID, "certificate %s: not a certificate in PEM", r.serial_number);
	/* Ours are random; others number from 1, and two authorities, or two clones that import, have the same. */
	if (strlen(r.serial_number) == 32 && !(r.type && strcmp(r.type, "IMPORTED") == 0))
		name = arena_printf(a, "%s.pem", r.serial_number);
	else
		name = arena_printf(a, "%s.%.8s.%s.pem", r.serial_number, r.fingerprint, ledger_writer(st, a));
	return ledger_add_entry(st, "issued", name, &certrec_type, &r, pem, e);
}

int ledger_add_revocation(struct state *st, const struct revocation *rec, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct revocation r = *rec;

	if (rec_check(a, &revocation_type, &r, e) != 0)
		return err_ctx(e, "revocation of %s", r.serial_number ? r.serial_number : "");
	return ledger_add_entry(st, "revoked",
				arena_printf(a, "%s.%s.%s.yaml", r.serial_number, ledger_stamp(a, r.recorded),
					     ledger_writer(st, a)),
		   &revocation_type, &r, (struct bytes){ 0 }, e);
}

int ledger_add_crl(struct state *st, const struct crlrec *rec, struct bytes der, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct bytes pem = { 0 };
	struct crlrec r = *rec;
	char *scope;

	if (rec_check(a, &crlrec_type, &r, e) != 0)
		return err_ctx(e, "CRL %s", r.number ? r.number : "");
	r.stored = der.n > 0 && der.n <= CRL_STORED_MAX;
	if (r.stored)
		pem = pem_encode(a, "X509 CRL", der);
	scope = arena_strdup(a, r.scope);
	for (char *c = scope; *c; c++)
		*c = *c == '/' ? '-' : *c;
	return ledger_add_entry(st, "crls",
				arena_printf(a, "%s.%s.%s.%s.yaml", r.ca, scope, r.number, ledger_writer(st, a)),
				&crlrec_type, &r, pem, e);
}

int ledger_add_meta(struct state *st, const struct metachange *rec, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct metachange r = *rec;
	const char *slash;

	if (rec_check(a, &metachange_type, &r, e) != 0)
		return err_ctx(e, "metadata");
	slash = strcmp(r.kind, "certificate") == 0 ? strchr(r.id, '/') : NULL;
	return ledger_add_entry(st, "meta",
				arena_printf(a, "%s.%s.%s.yaml", slash ? slash + 1 : entry_device_label(a, r.id),
					     ledger_stamp(a, r.time),
					    ledger_writer(st, a)),
		   &metachange_type, &r, (struct bytes){ 0 }, e);
}

/* --- the cache, with what is not committed yet --- */

struct index *ledger_reading(struct state *st, struct err *e)
{
	struct index *ix;

	if (state_index(st, &ix, e) != 0 || index_preview(ix, st->entries, st->nentries, e) != 0)
		return NULL;
	return ix;
}

bool ask(struct asking *a, struct err *e)
{
	struct err why = { 0 };

	if (a->tries++ == 0) {
		a->r = -1;
		a->ix = ledger_reading(a->st, e);
		return a->ix != NULL;
	}
	if (a->r >= 0 || a->tries > 2 || a->once || e->code != ERR_IO || !index_damaged(a->ix) ||
	    index_drop(a->ix, &why) != 0 ||
	    index_sync(a->ix, a->st->store, &a->st->ledger.commit, NULL, NULL, &why) != 0 ||
	    index_preview(a->ix, a->st->entries, a->st->nentries, &why) != 0)
		return false;
	*e = (struct err){ 0 };
	return true;
}

/* --- certificates --- */

static int find(struct state *st, const struct cert_ref *ref, struct certrec **ret, size_t *ret_n, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_find(a.ix, st->arena, ref, st->env.now, ret, ret_n, e);
	return a.r;
}

static int ambiguous(const char *what, const struct certrec *v, size_t n, bool exact, struct err *e)
{
	SCOPED_BUF cas = buf_init(400);

	for (size_t i = 0; i < n; i++) {
		bool before = false;

		for (size_t k = 0; k < i; k++)
			before |= strcmp(v[k].ca, v[i].ca) == 0;
		if (!before)
			buf_printf(&cas, "%s%s", cas.n ? ", " : "", v[i].ca);
	}
	if (strcmp(buf_str(&cas), v[0].ca) != 0)
		return err_set(e, ERR_USAGE, "\"%s\" names more than one certificate; say which with --ca (%s)", what,
			       buf_str(&cas));
	return err_set(e, ERR_USAGE, "\"%s\" names more than one certificate; give %s", what,
		       exact ? "its fingerprint" : "more digits");
}

int ledger_cert(struct state *st, const char *ca, const char *ref, struct certrec *ret, struct err *e)
{
	const char *shown = text_escape(st->arena, bytes_of(ref));
	char *hex = index_hex(st->arena, ref);
	size_t digits = hex ? strlen(hex) : 0, n = 0;
	struct cert_ref by = { .ca = ca };
	struct certrec *v = NULL;

	if (digits == 0 || (digits > 40 && digits != 64))
		return err_set(e, ERR_USAGE, "\"%s\" is neither a serial number nor a SHA-256 fingerprint", shown);
	if (digits == 64)
		by.fingerprint = hex;
	else
		by.serial = digits % 2 ? arena_printf(st->arena, "0%s", hex) : hex;
	if (find(st, &by, &v, &n, e) != 0)
		return -1;
	if (n == 0 && digits >= 8 && digits < 40) {
		by = (struct cert_ref){ .ca = ca, .serial_from = digits % 2 ? arena_printf(st->arena, "%s0", hex) : hex,
					.serial_to = index_hex_last(st->arena, hex) };
		if (find(st, &by, &v, &n, e) != 0)
			return -1;
	}
	if (n > 1)
		return ambiguous(shown, v, n, by.serial_from == NULL, e);
	if (n == 0)
		return err_set(e, ERR_NOT_FOUND, "certificate \"%s\" is not in the ledger%s%s%s", shown,
			       ca ? " as one of " : "", ca ? ca : "",
			       digits < 8 ? "; serial numbers are shortened to 8 digits or more" : "");
	*ret = v[0];
	return 0;
}

int ledger_cert_by_request(struct state *st, const char *ca, const char *request_sha256, bool *ret_found,
			   struct certrec *ret, struct err *e)
{
	struct cert_ref by = { .ca = ca, .request_sha256 = request_sha256 };
	struct certrec *v;
	size_t n;

	if (find(st, &by, &v, &n, e) != 0)
		return -1;
	*ret_found = n > 0;
	if (n > 0)
		*ret = v[0];
	return 0;
}

/* The text of an entry, committed or not. */
static int entry_text(struct state *st, const char *path, struct bytes *ret, struct err *e)
{
	const struct oid *tree;
	enum obj_type type;
	struct oid id;
	bool found;

	for (size_t i = 0; i < st->nentries; i++)
		if (strcmp(st->entries[i].path, path) == 0) {
			*ret = st->entries[i].text;
			return 0;
		}
	if (state_ledger_tree(st, &tree, e) != 0 || store_lookup(st->store, tree, path, &found, &type, &id, e) != 0)
		return -1;
	if (!found || type != OBJ_BLOB)
		return err_set(e, ERR_CONFLICT, "%s is not in ledger commit %s; it may have been added since", path,
			       ledger_tip(st));
	return store_read(st->store, st->arena, &id, OBJ_BLOB, ENTRY_MAX, ret, e);
}

int ledger_cert_pem(struct state *st, const struct certrec *rec, struct bytes *ret, struct err *e)
{
	struct certrec head;
	struct bytes text;

	if (entry_text(st, rec->path, &text, e) != 0)
		return -1;
	return entry_load(st->arena, &certrec_type, rec->path, text, &head, ret, e);
}

static int query_ids(struct state *st, struct arena *scratch, const struct query *q, int64_t **ids, size_t *n,
		     bool *more, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_query(a.ix, scratch, &(struct query_target){ 0 }, q, st->env.now, ids, n, more, e);
	return a.r;
}

int ledger_certs(struct state *st, const struct query *q, struct certrec **ret, size_t *ret_n, char **ret_next,
		 struct err *e)
{
	SCOPED_ARENA *scratch = arena_new();
	struct index *ix;
	struct certrec *v;
	int64_t *ids;
	bool more;
	size_t n;

	if (query_ids(st, scratch, q, &ids, &n, &more, e) != 0)
		return -1;
	ix = ledger_reading(st, e);
	if (!ix)
		return -1;
	v = arena_new_array(st->arena, n, struct certrec);
	for (size_t i = 0; i < n; i++)
		if (index_get(ix, st->arena, ids[i], st->env.now, &v[i], e) != 0)
			return -1;
	*ret = v;
	*ret_n = n;
	*ret_next = more ? query_bookmark(st->arena, q, q->offset + (int64_t)n) : NULL;
	return 0;
}

/* Rows of one moment: a transaction of the cache each, which keeps nobody waiting for `cb`. */
static int read_certs(struct state *st, struct arena *rows, const int64_t *ids, size_t n, struct certrec *v,
		      struct err *e)
{
	struct index *ix;
	int r = 0;

	if (state_index(st, &ix, e) != 0 || index_read_begin(ix, e) != 0)
		return -1;
	for (size_t i = 0; i < n && r == 0; i++)
		r = index_get(ix, rows, ids[i], st->env.now, &v[i], e);
	index_read_end(ix);
	return r;
}

int ledger_each_cert(struct state *st, const struct query *q,
		     int (*cb)(void *arg, const struct certrec *, struct err *), void *arg,
		     struct err *e)
{
	SCOPED_ARENA *scratch = arena_new();
	int64_t *ids;
	bool more;
	size_t n;
	int r = 0;

	if (query_ids(st, scratch, q, &ids, &n, &more, e) != 0)
		return -1;
	for (size_t i = 0; i < n && r == 0; i += LEDGER_ROWS) {
		size_t some = n - i < LEDGER_ROWS ? n - i : LEDGER_ROWS;
		SCOPED_ARENA *rows = arena_new();
		struct certrec *v = arena_new_array(rows, some, struct certrec);

		r = read_certs(st, rows, ids + i, some, v, e);
		for (size_t k = 0; k < some && r == 0; k++)
			r = cb(arg, &v[k], e);
	}
	return r;
}

/* --- revocations --- */

struct serials {
	struct state *st;
	struct arena *a;
	struct strv v;
};

static void add_serial(struct serials *s, const char *name)
{
	s->v.v = arena_grow(s->a, s->v.v, s->v.n, sizeof(*s->v.v));
	s->v.v[s->v.n++] = arena_strndup(s->a, name, strcspn(name, "."));
}

static int on_changed(void *arg, const char *path, const struct oid *id, bool gone, struct err *e)
{
	const char *slash = strrchr(path, '/');

	(void)id;
	(void)e;
	if (!gone)
		add_serial(arg, slash ? slash + 1 : path);
	return 0;
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static int revoked_tree(struct state *st, const struct oid *tree, const struct oid **ret, struct oid *id, struct err *e)
{
	enum obj_type type;
	bool found;

	if (store_lookup(st->store, tree, "revoked", &found, &type, id, e) != 0)
		return -1;
	*ret = found && type == OBJ_TREE ? id : NULL;
	return 0;
}

/* Whose revocations, holds and releases the ledger has got since the commit: from the names of entries alone. */
static int changed_since(struct serials *s, const char *commit_hex, struct err *e)
{
	struct oid commit, tree, old_id, new_id;
	const struct oid *now, *old_tree, *new_tree;
	struct state *st = s->st;

	if (oid_parse(commit_hex, &commit) != 0)
		return err_set(e, ERR_INVALID, "\"%s\" is not a commit", commit_hex);
	if (store_commit_tree(st->store, &commit, &tree, e) != 0 ||
	    revoked_tree(st, &tree, &old_tree, &old_id, e) != 0 ||
	    state_ledger_tree(st, &now, e) != 0 || revoked_tree(st, now, &new_tree, &new_id, e) != 0 ||
	    store_diff(st->store, old_tree, new_tree, on_changed, s, e) != 0)
		return err_ctx(e, "what changed since %.12s", commit_hex);
	for (size_t i = 0; i < st->nentries; i++)
		if (text_has_prefix(st->entries[i].path, "revoked/"))
			add_serial(s, st->entries[i].path + strlen("revoked/"));
	return 0;
}

static void sort_serials(struct serials *s)
{
	size_t n = 0;

	if (s->v.n)
		qsort(s->v.v, s->v.n, sizeof(*s->v.v), by_text);
	for (size_t i = 0; i < s->v.n; i++)
		if (n == 0 || strcmp(s->v.v[n - 1], s->v.v[i]) != 0)
			s->v.v[n++] = s->v.v[i];
	s->v.n = n;
}

struct revoked_call {
	struct asking *a;
	int (*cb)(void *arg, const struct revoked_row *, struct err *);
	void *arg;
};

static int on_revoked(void *arg, const struct revoked_row *row, struct err *e)
{
	struct revoked_call *c = arg;

	c->a->once = true; /* what the callback has seen cannot be taken back */
	return c->cb(c->arg, row, e);
}

/* What took effect since: recorded meanwhile, or before and ahead. */
static int effective_since(struct serials *s, const char *ca, const struct revoked_span *span, struct err *e)
{
	struct asking a = { .st = s->st };
	struct strv ahead = { 0 };

	if (changed_since(s, span->since_commit, e) != 0)
		return -1;
	while (ask(&a, e))
		a.r = index_revoked_ahead(a.ix, s->a, ca, span->since, span->as_of, &ahead, e);
	for (size_t i = 0; a.r == 0 && i < ahead.n; i++)
		add_serial(s, ahead.v[i]);
	sort_serials(s);
	return a.r;
}

int ledger_each_revoked(struct state *st, const char *ca, const struct revoked_span *span,
			int (*cb)(void *arg, const struct revoked_row *, struct err *), void *arg, struct err *e)
{
	SCOPED_ARENA *scratch = arena_new();
	struct serials only = { .st = st, .a = scratch };
	struct asking a = { .st = st };
	struct revoked_call c = { &a, cb, arg };

	if (span->since_commit && effective_since(&only, ca, span, e) != 0)
		return -1;
	while (ask(&a, e))
		a.r = index_each_revoked(a.ix, ca, span->expired_before, span->as_of,
					 span->since_commit ? &only.v : NULL, on_revoked, &c, e);
	return a.r;
}

/* --- CRL records --- */

int ledger_last_crl(struct state *st, const char *ca, const char *scope, bool *ret_found, struct crlrec *ret,
		    struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_last_crl(a.ix, st->arena, ca, scope, ret_found, ret, e);
	return a.r;
}

int ledger_crls(struct state *st, const char *ca, struct crlrec **ret, size_t *ret_n, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_crls(a.ix, st->arena, ca, ret, ret_n, e);
	return a.r;
}

int ledger_crl_der(struct state *st, const struct crlrec *rec, struct bytes *ret, struct err *e)
{
	struct bytes text, body;
	struct crlrec head;

	if (!rec->stored)
		return err_set(e, ERR_NOT_FOUND, "CRL %s of %s was too large for the ledger, which has its digest only",
			       rec->number, rec->ca);
	if (entry_text(st, rec->path, &text, e) != 0 ||
	    entry_load(st->arena, &crlrec_type, rec->path, text, &head, &body, e) != 0)
		return -1;
	if (!pem_next(st->arena, &body, "X509 CRL", NULL, ret))
		return err_set(e, ERR_CHECK, "%s: no CRL follows the head", rec->path);
	return 0;
}

/* --- numbers --- */

int ledger_count(struct state *st, struct cert_count **ret, size_t *ret_n, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_count(a.ix, st->arena, st->env.now, ret, ret_n, e);
	return a.r;
}

int ledger_expiry(struct state *st, const char *ca, int64_t from, int64_t step, size_t n, int64_t *ret_counts,
		  struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_expiry(a.ix, ca, st->env.now, from, step, n, ret_counts, e);
	return a.r;
}

/* --- the ledger and its cache --- */

int ledger_bad(struct state *st, struct bad_entry **ret, size_t *ret_n, struct err *e)
{
	struct asking a = { .st = st };

	while (ask(&a, e))
		a.r = index_bad(a.ix, st->arena, ret, ret_n, e);
	return a.r;
}

int ledger_check(struct state *st, struct err *e)
{
	struct index *ix;

	return state_index(st, &ix, e) != 0 ? -1 : index_check(ix, st->store, &st->ledger.commit, e);
}

int ledger_reindex(struct state *st, void (*progress)(void *, uint64_t done), void *arg, struct err *e)
{
	struct index *ix;

	if (state_index_as_is(st, &ix, e) != 0 || index_drop(ix, e) != 0 ||
	    index_sync(ix, st->store, &st->ledger.commit, progress, arg, e) != 0)
		return -1;
	view_rebuild(st);
	return 0;
}

const char *ledger_tip(struct state *st)
{
	return oid_hex(st->arena, &st->ledger.commit);
}

bool ledger_contains(struct state *st, const char *commit_hex)
{
	struct oid o;

	return oid_parse(commit_hex, &o) == 0 && store_is_ancestor(st->store, &o, &st->ledger.commit);
}

bool ledger_had(struct state *st, const char *commit_hex, const char *path)
{
	struct err ignored = { 0 };
	struct oid commit, tree, id;
	enum obj_type type;
	bool found = false;

	return oid_parse(commit_hex, &commit) == 0 && store_commit_tree(st->store, &commit, &tree, &ignored) == 0 &&
	       store_lookup(st->store, &tree, path, &found, &type, &id, &ignored) == 0 && found;
}
