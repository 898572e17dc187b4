/* `ca crl`: CRLs by hand, when due, and ahead of time for offline authorities. A CRL leaves only after the commit that
 * records its number. */
#include <string.h>

#include "base/fs.h"
#include "cmd/ca.h"
#include "net/net.h"
#include "pki/crl_issue.h"
#include "state/state.h"
#include "state/sync.h"

struct crl_args {
	const char *ca, *out;
	struct dur validity, horizon, every;
	int format;
	bool delta, due;
	int64_t partition;
};
enum { FORMAT_PEM, FORMAT_DER };
static const char *const crl_formats[] = { "pem", "der", NULL };

struct making {
	struct ctx *ctx;
	const struct crl_args *args;
	struct authority *ca;
	struct crl_made *made;
	size_t n;
};

static int make_one(struct making *m, const struct crl_order *o, const char **ret_number, struct err *e)
{
	m->made = arena_grow(m->ctx->arena, m->made, m->n, sizeof(*m->made));
	if (crl_issue(m->ctx, m->ca, o, &m->made[m->n], e) != 0)
		return -1;
	*ret_number = m->made[m->n++].rec.number;
	return 0;
}

/* With crl.delta of lamassu.yaml a full CRL has its delta beside it, of the same number (RFC 5280 5.2.4): the place
 * that freshestCRL names is never behind. */
static int make_scope(struct making *m, int64_t partition, int64_t this_update, int64_t validity, struct err *e)
{
	struct crl_order o = { .delta = m->args->delta, .partition = partition, .this_update = this_update,
			       .validity = validity };
	const char *number;

	if (!o.delta && !this_update && state_config(m->ctx->state)->crl.delta &&
	    crl_has_base(m->ctx, m->ca, partition, e)) {
		o.delta = true;
		if (make_one(m, &o, &number, e) != 0)
			return -1;
		o.delta = false;
		o.number = number;
	}
	return e->code != ERR_NONE ? -1 : make_one(m, &o, &number, e);
}

/* Every partition, or the one that was asked for; and the complete CRL where one is needed. */
static int make_scopes(struct making *m, int64_t this_update, int64_t validity, struct err *e)
{
	int64_t only = m->args->partition;
	struct crl_scopes s;

	if (crl_scopes(m->ctx, m->ca, &s, e) != 0)
		return -1;
	if (only >= s.partitions && s.partitions == 0)
		return err_set(e, ERR_USAGE, "the CRL of ca %s has no partitions", m->ca->rec.id);
	if (only >= s.partitions)
		return err_set(e, ERR_USAGE, "the CRL of ca %s has the partitions 0 to %d", m->ca->rec.id,
			       (int)s.partitions - 1);
	if (only >= 0)
		return make_scope(m, only, this_update, validity, e);
	if (s.complete && make_scope(m, -1, this_update, validity, e) != 0)
		return -1;
	for (int64_t p = 0; p < s.partitions; p++)
		if (make_scope(m, p, this_update, validity, e) != 0)
			return -1;
	return 0;
}

static int commit(struct making *m, struct err *e)
{
	return state_commit(m->ctx->state,
			    arena_printf(m->ctx->arena, "ca: %scrl of %s", m->args->delta ? "delta " : "",
					 m->ca->rec.id), e);
}

/* One CRL a period, dated ahead, in one sitting. */
static int make_horizon(struct making *m, struct err *e)
{
	const struct crl_args *a = m->args;
	int64_t every = a->every.text ? a->every.secs : 28 * INT64_C(86400);
	int64_t validity = a->validity.secs ? a->validity.secs : every + every / 4;
	int64_t now = m->ctx->now;

	if (a->out == NULL || strcmp(a->out, "-") == 0)
		return err_set(e, ERR_USAGE, "--horizon makes several CRLs: give --out and a folder");
	if (a->delta)
		return err_set(e, ERR_USAGE, "--horizon makes full CRLs: what a delta would list has not happened yet");
	if (every <= 0 || a->horizon.secs <= 0 || a->horizon.secs / every > 1000)
		return err_set(e, ERR_USAGE, "--horizon and --every must give from 1 to 1000 CRLs");
	for (int64_t t = now; t < now + a->horizon.secs; t += every)
		if (make_scopes(m, t, validity, e) != 0)
			return -1;
	return 0;
}

/* A CRL never un-revokes: what other clones have revoked must be in it (C13). */
int ca_crl_sync(struct ctx *ctx, struct err *e)
{
	const char *how = state_config(ctx->state)->crl.sync;
	struct sync_report report;
	struct err why = { 0 };
	bool remote;

	if (ctx->dry_run || strcmp(how, "off") == 0)
		return 0;
	if (state_has_remote(ctx->state, &remote, e) != 0)
		return -1;
	if (!remote || state_sync(ctx->state, NULL, &report, &why) == 0)
		return 0;
	if (strcmp(how, "required") == 0) {
		*e = why;
		return err_ctx(e, "crl.sync is required, and it failed");
	}
	ctx_warn(ctx, "the CRL may lack what other clones have revoked, because the sync failed: %s", why.msg);
	return 0;
}

static struct bytes encode(struct making *m, const struct crl_made *c)
{
	return m->args->format == FORMAT_DER ? c->der : pem_encode(m->ctx->arena, "X509 CRL", c->der);
}

static bool is_delta(const struct crl_made *c)
{
	return strncmp(c->rec.scope, "delta", 5) == 0;
}

/* "root.crl", "root.delta.crl", "root.3.crl"; with --horizon the time from when it holds:
 * "root.20270101T000000Z.crl". */
static char *file_name(struct making *m, const struct crl_made *c)
{
	struct arena *ar = m->ctx->arena;
	const char *part = strchr(c->rec.scope, '/');
	struct civil t = tm_civil(c->rec.this_update);
	char *date = m->args->horizon.secs ? arena_printf(ar, ".%04d%02d%02dT%02d%02d%02dZ", t.year, t.month, t.day,
							  t.hour, t.minute, t.second) : arena_strdup(ar, "");

	return arena_printf(ar, "%s%s%s%s%s.crl", m->ca->rec.id, part ? "." : "", part ? part + 1 : "",
			    is_delta(c) ? ".delta" : "", date);
}

/* Folders without a leading / are in the repository's top folder, wherever the command runs. */
static int publish_one(struct making *m, const char *where, const struct crl_made *c, struct err *e)
{
	struct arena *ar = m->ctx->arena;
	char *path = fs_join(ar, where, file_name(m, c));

	if (net_is_url(where))
		return net_put(m->ctx, path, "application/pkix-crl", c->der, e); /* RFC 5280 4.2.1.13, RFC 2585 */
	if (*where != '/')
		path = fs_join(ar, state_dir(m->ctx->state), path);
	return fs_mkdirs(*where == '/' ? where : fs_join(ar, state_dir(m->ctx->state), where), 0777, e) != 0
	       ? -1 : fs_write(path, c->der, 0644, true, e);
}

/* Addresses need the network; asked for before anything is written. */
int ca_crl_need(struct ctx *ctx, const struct ca *ca, struct err *e)
{
	for (size_t i = 0; i < ca->crl.publish.n; i++)
		if (net_is_url(ca->crl.publish.v[i]) && !ctx->dry_run)
			return net_need(ctx, e);
	return 0;
}

static int publish(struct making *m, struct err *e)
{
	const struct strv *dirs = &m->ca->rec.crl.publish;

	for (size_t i = 0; i < dirs->n && !m->args->horizon.secs; i++)
		for (size_t c = 0; c < m->n; c++)
			if (publish_one(m, dirs->v[i], &m->made[c], e) != 0)
				return err_ctx(e, "the CRL is recorded, but not published");
	return 0;
}

static int into_folder(struct making *m, const char *folder, struct err *e)
{
	if (fs_mkdirs(folder, 0777, e) != 0)
		return -1;
	for (size_t i = 0; i < m->n; i++)
		if (out_bytes(m->ctx, fs_join(m->ctx->arena, folder, file_name(m, &m->made[i])), encode(m, &m->made[i]),
			      false, true, e) != 0)
			return -1;
	return 0;
}

/* One file or standard output has the CRLs that were asked for, not the deltas that came along. */
static int into_one(struct making *m, struct err *e)
{
	SCOPED_BUF all = buf_init(BUF_BIG);

	if (m->n == 1)
		return out_bytes(m->ctx, m->args->out, encode(m, &m->made[0]), false, true, e);
	for (size_t i = 0; i < m->n; i++) {
		struct bytes b = encode(m, &m->made[i]);
		if (is_delta(&m->made[i]) == m->args->delta)
			buf_put(&all, b.p, b.n);
	}
	return out_bytes(m->ctx, m->args->out, buf_bytes(&all), false, true, e);
}

static int deliver(struct making *m, struct err *e)
{
	const char *out = m->args->out;
	bool to_stdout = out == NULL || strcmp(out, "-") == 0;
	struct crlrec *recs = arena_new_array(m->ctx->arena, m->n, struct crlrec);
	size_t asked = 0;

	for (size_t i = 0; i < m->n; i++) {
		recs[i] = m->made[i].rec;
		asked += is_delta(&m->made[i]) == m->args->delta;
	}
	if (out_is_table(m->ctx) || !to_stdout) {
		bool folder = !to_stdout && (asked > 1 || m->args->horizon.secs || fs_names_dir(out));
		if (folder ? into_folder(m, out, e) != 0 : into_one(m, e) != 0)
			return -1;
	}
	if (out_is_table(m->ctx))
		return 0;
	return m->n == 1 ? out_record(m->ctx, &crlrec_type, recs, e)
			 : out_list(m->ctx, &crlrec_type, recs, m->n, NULL, e);
}

static int run_crl(struct ctx *ctx, void *args, struct err *e)
{
	struct crl_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct making m = { .ctx = ctx, .args = a, .ca = &ca };
	struct ca rec;
	bool due = true;

	if (a->format < 0)
		a->format = FORMAT_PEM;
	if (authority_load(ctx, a->ca, &ca, e) != 0 || ca_crl_need(ctx, &ca.rec, e) != 0 ||
	    (a->due && crl_due(ctx, &ca, ctx->now, &due, e) != 0))
		return -1;
	if (!due)
		return 0;
	rec = ca.rec;
	if (ca_crl_sync(ctx, e) != 0 || authority_load(ctx, rec.id, &ca, e) != 0 ||
	    (a->due && crl_due(ctx, &ca, ctx->now, &due, e) != 0))
		return -1;
	if (!due)
		return 0;
	if ((a->horizon.text ? make_horizon(&m, e) : make_scopes(&m, 0, a->validity.secs, e)) != 0 ||
	    commit(&m, e) != 0)
		return -1;
	if (ctx->dry_run)
		return 0;
	return publish(&m, e) != 0 ? -1 : deliver(&m, e);
}

int ca_crl_now(struct ctx *ctx, const char *id, const char *folder, struct err *e)
{
	const struct crl_args a = { .ca = id, .partition = -1, .format = FORMAT_PEM };
	SCOPED_AUTHORITY ca = { 0 };
	struct making m = { .ctx = ctx, .args = &a, .ca = &ca };

	if (authority_load(ctx, id, &ca, e) != 0 || make_scopes(&m, 0, 0, e) != 0 || commit(&m, e) != 0 ||
	    publish(&m, e) != 0)
		return -1;
	return folder ? into_folder(&m, folder, e) : 0;
}

static const struct opt crl_opts[] = {
	OSTR(crl_args, out, 0, "file|dir|-", "Where it goes. Default: standard output."),
	OENUM(crl_args, format, 0, crl_formats, "pem or der."),
	OFLAG(crl_args, delta, 0, "Only what changed since the last full CRL."),
	ODUR(crl_args, validity, 0, "duration", "How long it is valid. Default: crl.validity of lamassu.yaml."),
	OINT(crl_args, partition, 0, "n", "Only this partition. Default: all.", .dflt = -1),
	OFLAG(crl_args, due, 0, "Only if a new one is due; silent otherwise."),
	ODUR(crl_args, horizon, 0, "duration",
	     "For offline authorities: one CRL a period for so long, dated ahead; needs --out and a folder."),
	ODUR(crl_args, every, 0, "duration", "The period of --horizon. Default: 4w."),
	OEND
};
static const struct operand crl_operands[] = { PARAM(crl_args, ca, "ca", "The authority."), { 0 } };

const struct cmd ca_crl_cmd = {
	.name = "crl", .brief = "Make a certificate revocation list", .opts = crl_opts, .operands = crl_operands,
	.argsize = sizeof(struct crl_args), .needs = NEED_STATE | NEED_WRITE, .run = run_crl, .type = &crlrec_type,
	.doc = "Full CRLs by default. Where there is a remote, the ledger is synced first (crl.sync of lamassu.yaml: "
	       "required, try or off). Numbers only grow, and a CRL is refused while the ledger here lacks what the "
	       "last one was made from. Authorities that are revoked or switched off sign CRLs too. Besides --out it "
	       "is written, in DER, to the folders of crl.publish, and sent to the addresses there.",
	.example = "lamassu ca crl devices --out devices.crl\nlamassu ca crl root --horizon 52w --every 4w --out crls/"
};
