/* `device bootstrap`: certificates that devices carry from the factory to their first enrolment, in bulk. A key file is
 * written before the commit that records its certificate; what a failed commit leaves is removed. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "cmd/device.h"
#include "crypto/key.h"
#include "model/dms.h"
#include "pki/cert_issue.h"
#include "pki/device.h"
#include "state/ledger.h"

enum { CHUNK = 1000, MAX_COUNT = 1000000, DAY = 86400, NAME_BYTES = 200 };

struct bootstrap_args {
	struct strv devices;
	const char *dms, *ca, *profile, *validity, *key_type, *out, *prefix;
	int64_t count;
	bool reusable;
};

struct made {
	struct certrec rec;
	const char *key_file, *cert_file;
	struct bytes der;
};

struct job {
	struct ctx *ctx;
	const struct bootstrap_args *a;
	struct authority *ca;
	struct cert_order order;
	struct made v[CHUNK]; /* not committed yet */
	size_t n, done;
};

/* RFC 4514 2.4: a name as the value of CN. */
static char *subject_of(struct arena *a, const char *name)
{
	SCOPED_BUF b = buf_init(BUF_TEXT);
	size_t n = strlen(name);

	buf_puts(&b, "CN=");
	for (size_t i = 0; i < n; i++) {
		if (strchr(",+\"\\<>;=", name[i]) || (i == 0 && name[i] == '#') ||
		    (name[i] == ' ' && (i == 0 || i == n - 1)))
			buf_putc(&b, '\\');
		buf_putc(&b, name[i]);
	}
	return arena_strdup(a, buf_str(&b));
}

static void take_back(struct job *j)
{
	for (size_t i = 0; i < j->n; i++)
		if (j->v[i].key_file)
			unlink(j->v[i].key_file);
	j->n = 0;
}

static int commit(struct job *j, struct err *e)
{
	struct ctx *ctx = j->ctx;

	if (j->n == 0)
		return 0;
	if (state_commit(ctx->state, arena_printf(ctx->arena, "device: %zu bootstrap certificates of %s", j->n,
						  j->ca->rec.id), e) != 0)
		return -1;
	for (size_t i = 0; i < j->n && !ctx->dry_run; i++) {
		struct bytes pem = cert_pem(ctx->arena, j->v[i].der);

		if (fs_write(j->v[i].cert_file, pem, 0644, false, e) != 0)
			return err_ctx(e, "certificate %s is issued, but could not be written",
				       j->v[i].rec.serial_number);
	}
	j->done += j->n;
	j->n = 0;
	return 0;
}

static int make_one(struct job *j, const char *name, const char *device, struct err *e)
{
	struct arena *ar = j->ctx->arena;
	struct made *m = &j->v[j->n];
	SCOPED_CERT_MADE made = { 0 };
	char *bootstrap = NULL, *base = arena_printf(ar, "%s/%s", j->a->out, text_file_name(ar, name, NAME_BYTES));
	struct bytes pem;

	*m = (struct made){ .cert_file = arena_printf(ar, "%s.pem", base) };
	if (any_set(ar, NULL, "single_use", j->a->reusable ? "false" : "true", &bootstrap, e) != 0 ||
	    (device && any_set(ar, bootstrap, "device", device, &bootstrap, e) != 0))
		return -1;
	if (fs_exists(m->cert_file) || fs_exists(arena_printf(ar, "%s.key", base)))
		return err_set(e, ERR_EXISTS, "%s.pem or .key exists already", base);
	j->order.wishes.subject = subject_of(ar, name);
	j->order.metadata = NULL;
	if (any_set(ar, NULL, META_BOOTSTRAP, bootstrap, &j->order.metadata, e) != 0 ||
	    cert_make(j->ctx, j->ca, &j->order, &made, e) != 0)
		return err_ctx(e, "%s", name);
	m->rec = made.issued.rec;
	m->der = made.issued.der;
	if (!j->ctx->dry_run) {
		if (key_plain_pem(ar, made.private_key, &pem, e) != 0 ||
		    fs_write(arena_printf(ar, "%s.key", base), pem, 0600, false, e) != 0)
			return -1;
		m->key_file = arena_printf(ar, "%s.key", base);
	}
	j->n++;
	return j->n == CHUNK ? commit(j, e) : 0;
}

static int make_all(struct job *j, struct err *e)
{
	const struct bootstrap_args *a = j->a;
	size_t total = a->devices.n + (size_t)a->count;

	for (size_t i = 0; i < a->devices.n; i++)
		if (device_id_check(a->devices.v[i], e) != 0 || make_one(j, a->devices.v[i], a->devices.v[i], e) != 0)
			return -1;
	for (int64_t i = 0; i < a->count; i++) {
		const char *name = arena_printf(j->ctx->arena, "%s-%06lld", a->prefix ? a->prefix : "bootstrap",
						(long long)i + 1);

		if (make_one(j, name, NULL, e) != 0)
			return -1;
		if (i % 100 == 0)
			ctx_progress(j->ctx, "issuing", (uint64_t)i, total);
	}
	return commit(j, e);
}

/* The device manager's validation authority, when there is one that can issue. */
static int find_ca(struct ctx *ctx, const struct bootstrap_args *a, const char **ret, struct err *e)
{
	struct dms d;
	const struct strv *v =
		&d.settings.enrollment_settings.est_rfc7030_settings.authentication.client_certificate.validation_cas;

	if (a->dms && state_get(ctx->state, &dms_type, a->dms, &d, e) != 0)
		return -1;
	*ret = a->ca;
	if (a->ca)
		return 0;
	if (!a->dms)
		return err_set(e, ERR_USAGE, "give --dms, or --ca");
	if (v->n != 1)
		return err_set(e, ERR_USAGE, "dms %s has %zu validation authorities: say which with --ca", a->dms,
			       v->n);
	*ret = v->v[0];
	return 0;
}

static int check(struct ctx *ctx, const struct bootstrap_args *a, struct err *e)
{
	struct validity v;
	int64_t end;

	if (a->devices.n == 0 && a->count <= 0)
		return err_set(e, ERR_USAGE, "give the devices, or --count");
	if (a->count < 0 || a->count > MAX_COUNT)
		return err_set(e, ERR_USAGE, "--count must be from 1 to %d", MAX_COUNT);
	if (mkdir(a->out, 0700) != 0 && !fs_exists(a->out))
		return err_sys(e, a->out);
	if (!a->validity)
		return 0;
	if (validity_parse(ctx->arena, a->validity, &v, e) != 0 || validity_end(&v, ctx->now, &end, e) != 0)
		return err_ctx(e, "--validity");
	if (end - ctx->now > 90 * DAY)
		return err_set(e, ERR_DENIED, "--validity: a bootstrap certificate is good for 90 days at most; "
			       "whoever finds it can enrol");
	if (end - ctx->now < 30 * DAY)
		ctx_warn(ctx, "bootstrap certificates of less than 30 days may end before the devices are switched on");
	return 0;
}

static int run_bootstrap(struct ctx *ctx, void *args, struct err *e)
{
	const struct bootstrap_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	struct job *j = arena_new_array(ctx->arena, 1, struct job);
	static char bind[] = BIND_BOOTSTRAP;
	const char *ca_id;

	*j = (struct job){ .ctx = ctx, .a = a, .ca = &ca,
			   .order = { .profile = a->profile, .key_to_file = true,
				      .dms = arena_strdup(ctx->arena, a->dms), .bind = bind,
				      .wishes = { .validity = a->validity, .path_length = -1 } } };
	j->order.keytype = keytype_parse(a->key_type ? a->key_type : "ecdsa:256", e);
	if (!j->order.keytype)
		return err_ctx(e, "--key-type");
	if (check(ctx, a, e) != 0 || find_ca(ctx, a, &ca_id, e) != 0 || authority_load(ctx, ca_id, &ca, e) != 0 ||
	    authority_may_issue(&ca, e) != 0 || authority_open_key(ctx, &ca, e) != 0)
		return -1;
	if (make_all(j, e) != 0) {
		take_back(j);
		return j->done ? err_ctx(e, "after %zu bootstrap certificates", j->done) : -1;
	}
	return out_done(ctx, e, "issued %zu bootstrap certificate%s to %s", j->done, j->done == 1 ? "" : "s", a->out);
}

static const struct opt opts[] = {
	OSTR(bootstrap_args, dms, 0, "dms", "The device manager that they are for."),
	OSTR(bootstrap_args, ca, 0, "ca",
	     "The authority that issues. Default: the device manager's one validation authority."),
	OINT(bootstrap_args, count, 0, "n", "How many that are not for a certain device."),
	OSTR(bootstrap_args, prefix, 0, "text", "Their names are PREFIX-000001 and so on. Default: bootstrap."),
	OSTR(bootstrap_args, out, 0, "dir", "Folder for NAME.pem and NAME.key (PKCS#8, mode 0600).", .flags = O_REQ),
	OSTR(bootstrap_args, validity, 0, "duration|time", "From 30 to 90 days. Default: the profile's."),
	OSTR(bootstrap_args, profile, 'p', "profile", "Profile to apply. Default: the authority's."),
	OSTR(bootstrap_args, key_type, 'k', "key-type", "Type of the keys. Default: ecdsa:256."),
	OFLAG(bootstrap_args, reusable, 0,
	      "Several devices may enrol with one of them. Default: each is revoked by the first enrolment."),
	OEND
};
static const struct operand operands[] = {
	PARAMS_OPT(bootstrap_args, devices, "device", "Devices; the certificate's common name is the device's id."),
	{ 0 }
};
const struct cmd device_bootstrap_cmd = {
	.name = "bootstrap", .brief = "Issue bootstrap certificates for first enrolments", .opts = opts,
	.operands = operands, .argsize = sizeof(struct bootstrap_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_bootstrap, .type = &certrec_type,
	.doc = "Keys and certificates for a provisioning line. They are marked for single use in the ledger: the "
	       "enrolment that one of them authorises revokes it in the same commit.",
	.example = "lamassu device bootstrap --dms factory --count 500 --validity 60d --out line-3"
};
