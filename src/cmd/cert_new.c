/* `cert issue`, `cert renew`: certificates whose key is ours. A key file is written before the commit that records its
 * certificate, and removed again when that fails; one that it replaces stays until then. Certificates are printed after
 * the commit. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/ca.h"
#include "cmd/cert.h"
#include "crypto/key.h"
#include "pki/cert_issue.h"
#include "state/ledger.h"

/* --- issue --- */

struct issue_args {
	const char *ca, *subject, *profile, *validity, *key, *key_type, *engine, *out, *key_out, *device;
	struct strv san, metadata;
	bool allow_outlive, encrypt_key, chain, force;
};

/* The file's private key: plain, or sealed with a passphrase (PBES2, AES-256, scrypt). */
static int key_text(struct ctx *ctx, const EVP_PKEY *key, bool encrypt, struct bytes *ret, struct err *e)
{
	const struct secret_ask ask = { .what = "passphrase of the key file", .env = "LAMASSU_EXPORT_PASSPHRASE",
		.env_general = "LAMASSU_PASSPHRASE", .confirm = true };
	struct key_seal seal;
	struct bytes derived;
	char *passphrase;

	if (!encrypt)
		return key_plain_pem(ctx->arena, key, ret, e);
	if (ctx->secret(ctx, &ask, &passphrase, e) != 0 || key_seal_new(ctx->arena, KDF_SCRYPT, &seal, e) != 0 ||
	    key_derive(ctx->arena, &seal, passphrase, &derived, e) != 0)
		return -1;
	return key_seal_pem(ctx->arena, &seal, derived, key, ret, e);
}

static int make_order(struct ctx *ctx, const struct issue_args *a, struct cert_order *o, struct err *e)
{
	*o = (struct cert_order){ .profile = a->profile, .key = a->key, .engine = a->engine,
				  .key_to_file = a->key_out != NULL,
		.wishes = { .subject = a->subject, .san = a->san, .validity = a->validity, .device = a->device,
			    .allow_outlive = a->allow_outlive, .path_length = -1 } };
	if (a->key && (a->key_type || a->key_out || a->engine))
		return err_set(e, ERR_USAGE,
			       "--key names an existing key; --key-type, --engine and --key-out are for new ones");
	if (a->key_out && a->engine)
		return err_set(e, ERR_USAGE, "a key for a file (--key-out) is made in no engine");
	if (a->encrypt_key && a->key_out == NULL)
		return err_set(e, ERR_USAGE, "--encrypt-key is for --key-out");
	if (a->key_out && strcmp(a->key_out, "-") == 0)
		return err_set(e, ERR_USAGE, "--key-out needs a file");
	if (a->key == NULL && (o->keytype = keytype_parse(a->key_type ? a->key_type : "ecdsa:256", e)) == NULL)
		return err_ctx(e, "--key-type");
	return metadata_from_list(ctx, &a->metadata, &o->metadata, e);
}

/* However the two are spelt. */
static bool same_file(const char *x, const char *y)
{
	struct stat a, b;

	return lstat(x, &a) == 0 && S_ISREG(a.st_mode) && lstat(y, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* Key file, then commit; one without the other is taken back. A key that is replaced is lost only when the new one is
 * certified: until then that one lies beside it. */
static int commit_issue(struct ctx *ctx, const struct issue_args *a, const struct cert_made *m, struct err *e)
{
	struct stat st;
	bool file = m->private_key && !ctx->dry_run, there = file && lstat(a->key_out, &st) == 0, written = false;
	bool beside = there && a->force && S_ISREG(st.st_mode);
	const char *path = beside ? arena_printf(ctx->arena, "%s.new", a->key_out) : a->key_out;
	struct bytes pem;
	int rc = 0;

	if (file) {
		rc = key_text(ctx, m->private_key, a->encrypt_key, &pem, e);
		if (rc == 0)
			rc = fs_write(path, pem, 0600, a->force && !beside, e) != 0 ? err_ctx(e, "--key-out") : 0;
		written = rc == 0 && (beside || !there);
		if (rc == 0 && a->out && same_file(a->out, a->key_out))
			rc = err_set(e, ERR_USAGE,
				     "--out and --key-out name one file, and the certificate would replace the key");
	}
	if (rc == 0)
		rc = state_commit(ctx->state,
				  arena_printf(ctx->arena, "certificate: issue %s with %s", m->issued.rec.serial_number,
					       m->issued.rec.ca), e);
	if (rc != 0 || ctx->dry_run)
		cert_unmake(ctx, m);
	if (rc == 0 && beside && fs_write(a->key_out, pem, 0600, true, e) != 0)
		return err_ctx(e, "the certificate is recorded, and its key is in %s", path);
	if (written && (rc != 0 || beside))
		unlink(path);
	return rc;
}

/* PEM to a file, or to standard output where a table would stand; else the record. */
static int deliver(struct ctx *ctx, const char *out, bool chain, struct authority *ca, const struct issued *made,
		   struct err *e)
{
	SCOPED_BUF b = buf_init(BUF_BIG);
	struct bytes *above, pem = cert_pem(ctx->arena, made->der);
	bool to_stdout = out == NULL || strcmp(out, "-") == 0;
	size_t n = 0;

	if (made->warning)
		ctx_warn(ctx, "%s", made->warning);
	buf_put(&b, pem.p, pem.n);
	if (chain && authority_chain(ctx->arena, ca, &above, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		pem = cert_pem(ctx->arena, above[i]);
		buf_put(&b, pem.p, pem.n);
	}
	if ((!to_stdout || out_is_table(ctx)) && out_bytes(ctx, out, buf_bytes(&b), false, true, e) != 0)
		return -1;
	return to_stdout && out_is_table(ctx) ? 0 : cert_print(ctx, &made->rec, 1, e);
}

static int run_issue(struct ctx *ctx, void *args, struct err *e)
{
	const struct issue_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	SCOPED_CERT_MADE made = { 0 };
	struct cert_order o;

	if (make_order(ctx, a, &o, e) != 0 || authority_load(ctx, a->ca, &ca, e) != 0 ||
	    authority_may_issue(&ca, e) != 0)
		return -1;
	if (a->key_out && !a->force && fs_exists(a->key_out))
		return err_set(e, ERR_EXISTS, "%s exists already: --force replaces it", a->key_out);
	if (authority_open_key(ctx, &ca, e) != 0 || cert_make(ctx, &ca, &o, &made, e) != 0 ||
	    commit_issue(ctx, a, &made, e) != 0)
		return -1;
	return deliver(ctx, a->out, a->chain, &ca, &made.issued, e);
}

static const struct opt issue_opts[] = {
	OSTR(issue_args, ca, 0, "ca", "The authority that signs.", .flags = O_REQ),
	OSTR(issue_args, subject, 's', "dn", "Distinguished name, such as \"CN=www.example.com,O=Acme Corp\"."),
	OLIST(issue_args, san, 0, "name", "Alternative name, such as DNS:www.example.com or IP:192.0.2.1."),
	OSTR(issue_args, key_type, 'k', "key-type", "Type of the new key. Default: ecdsa:256."),
	OSTR(issue_args, engine, 'e', "engine",
	     "Engine where the key is made. Default: the repository's default engine."),
	OSTR(issue_args, key, 0, "key", "An existing key: id, alias or URI."),
	OSTR(issue_args, key_out, 0, "file",
	     "Make the key outside of the engines and write it to this file (PKCS#8, mode 0600)."),
	OFLAG(issue_args, encrypt_key, 0,
	      "Encrypt the file of --key-out; the passphrase is LAMASSU_EXPORT_PASSPHRASE or asked for."),
	OSTR(issue_args, profile, 'p', "profile", "Profile to apply. Default: the authority's."),
	OSTR(issue_args, validity, 0, "duration|time", "Instead of the profile's validity."),
	OSTR(issue_args, out, 0, "file|-", "Where the certificate goes. Default: standard output."),
	OFLAG(issue_args, chain, 0, "Add the issuers' certificates."),
	OSTR(issue_args, device, 0, "device", "The device that the certificate is for; fills ${device_id}."),
	OLIST(issue_args, metadata, 0, "key=value", "Free data."),
	OFLAG(issue_args, allow_outlive, 0, "Permit a certificate that ends after its authority."),
	OFLAG(issue_args, force, 0, "Replace the file of --key-out."),
	OEND
};

const struct cmd cert_issue_cmd = {
	.name = "issue", .brief = "Make a key and its certificate in one step", .opts = issue_opts,
	.argsize = sizeof(struct issue_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_issue, .type = &certrec_type,
	.doc = "The key is made in an engine, where `cert renew` finds it again and `cert export` may let it out; or "
	       "in a file, with --key-out, of which nothing is kept.",
	.example = "lamassu cert issue --ca web --profile tls-server --subject CN=www.example.com --san "
		   "DNS:www.example.com --out www.pem\n"
		   "lamassu cert issue --ca web --subject CN=db --san DNS:db.lan --key-type rsa:2048 --key-out db.key "
		   "--out db.pem"
};

/* --- renew --- */

struct renew_args {
	struct strv certs;
	const char *ca, *out;
	bool due, force, atomic;
};

struct renew_view {
	char *renewed_from, *serial_number, *subject, *ca;
	int64_t not_after;
	char *error, *file;
};
static const struct field renew_view_fields[] = {
	STR(renew_view, renewed_from, "Serial number of the old certificate.", .flags = F_COL),
	STR(renew_view, serial_number, "Serial number of the new one.", .flags = F_COL | F_KEY),
	STR(renew_view, subject, "Subject.", .flags = F_COL),
	STR(renew_view, ca, "The authority."),
	TIME(renew_view, not_after, "End of the new one's validity.", .flags = F_COL),
	STR(renew_view, error, "Why it was not renewed.", .flags = F_COL),
	STR(renew_view, file, "Where the new one was written."),
	END
};
static const struct schema renew_view_type = {
	.name = "renewal", .plural = "renewals", .doc = "Outcome of `cert renew`, one a certificate",
	.size = sizeof(struct renew_view),
	.fields = renew_view_fields
};

struct renewing {
	struct ctx *ctx;
	const struct renew_args *args;
	struct certrec *old;
	struct issued *made;
	struct renew_view *views;
	size_t n, failed;
};

static int collect(struct renewing *r, struct err *e)
{
	const struct strv *refs = &r->args->certs;

	if (r->args->due == (refs->n > 0))
		return err_set(e, ERR_USAGE, "name certificates, or give --due: one of them");
	if (r->args->due)
		return cert_renewals_due(r->ctx, false, &r->old, &r->n, e);
	r->old = arena_new_array(r->ctx->arena, refs->n, struct certrec);
	for (; r->n < refs->n; r->n++) {
		struct found_cert f;
		if (cert_find(r->ctx, r->args->ca, refs->v[r->n], &f, e) != 0)
			return -1;
		r->old[r->n] = f.rec;
	}
	return 0;
}

static int renew_all(struct renewing *r, struct err *e)
{
	SCOPED_AUTHORITY ca = { 0 };

	r->made = arena_new_array(r->ctx->arena, r->n + 1, struct issued);
	r->views = arena_new_array(r->ctx->arena, r->n + 1, struct renew_view);
	for (size_t i = 0; i < r->n; i++) {
		const struct certrec *c = &r->old[i];
		struct renew_view *v = &r->views[i];
		struct err why = { 0 };

		*v = (struct renew_view){ .renewed_from = c->serial_number, .subject = c->subject, .ca = c->ca };
		if (cert_renew(r->ctx, &ca, c, r->args->force, &r->made[i], &why) != 0) {
			if (r->n == 1 || r->args->atomic) {
				*e = why;
				return -1;
			}
			r->failed++;
			v->error = arena_strdup(r->ctx->arena, why.msg);
			ctx_fault(r->ctx, "%s", why.msg);
			continue;
		}
		v->serial_number = r->made[i].rec.serial_number;
		v->not_after = r->made[i].rec.not_after;
		if (r->made[i].warning)
			ctx_warn(r->ctx, "%s: %s", v->serial_number, r->made[i].warning);
	}
	return 0;
}

/* Into a folder one file a certificate, else all into one. */
static int write_renewed(struct renewing *r, struct err *e)
{
	const char *out = r->args->out;
	bool folder = out && strcmp(out, "-") != 0 && (fs_names_dir(out) || r->n > 1);
	SCOPED_BUF all = buf_init(BUF_BIG);

	if (r->ctx->dry_run || (out == NULL && !(r->n == 1 && out_is_table(r->ctx))))
		return 0;
	if (folder && fs_mkdirs(out, 0777, e) != 0)
		return -1;
	for (size_t i = 0; i < r->n; i++) {
		struct bytes pem;

		if (r->made[i].der.n == 0)
			continue;
		pem = cert_pem(r->ctx->arena, r->made[i].der);
		if (!folder) {
			buf_put(&all, pem.p, pem.n);
			continue;
		}
		r->views[i].file = fs_join(r->ctx->arena, out,
					   arena_printf(r->ctx->arena, "%s.pem", r->views[i].serial_number));
		if (fs_write(r->views[i].file, pem, 0644, true, e) != 0)
			return -1;
	}
	return folder ? 0 : out_bytes(r->ctx, out, buf_bytes(&all), false, true, e);
}

static int run_renew(struct ctx *ctx, void *args, struct err *e)
{
	const struct renew_args *a = args;
	struct renewing r = { .ctx = ctx, .args = a };
	bool printed;

	if (collect(&r, e) != 0 || renew_all(&r, e) != 0 ||
	    state_commit(ctx->state,
			 r.n == 1 ? arena_printf(ctx->arena, "certificate: renew %s", r.old[0].serial_number)
					      : arena_printf(ctx->arena, "certificate: renew %s",
							     text_count(ctx->arena, r.n - r.failed, "certificate",
									NULL)), e) != 0)
		return -1;
	printed = r.n == 1 && out_is_table(ctx) && (a->out == NULL || strcmp(a->out, "-") == 0);
	if (write_renewed(&r, e) != 0)
		return -1;
	if (!printed && (r.n || !out_is_table(ctx)) &&
	    (r.n == 1 ? out_record(ctx, &renew_view_type, r.views, e) : out_list(ctx, &renew_view_type, r.views, r.n,
										 NULL, e)) != 0)
		return -1;
	return r.failed ? err_set(e, ERR_PARTIAL, "%zu of %s %s not renewed", r.failed,
				  text_count(ctx->arena, r.n, "certificate", NULL), r.failed == 1 ? "was" : "were") : 0;
}

static const struct opt renew_opts[] = {
	OFLAG(renew_args, due, 0,
	      "All whose key is in our engines and that are inside their profile's renewal window."),
	OFLAG(renew_args, force, 0, "Before the window too."),
	OSTR(renew_args, out, 0, "file|dir|-",
	     "Where certificates go; a folder gets one file each, named by serial number."),
	OSTR(renew_args, ca, 0, "ca", CERT_CA_DOC),
	OFLAG(renew_args, atomic, 0, "All or none."),
	OEND
};
static const struct operand renew_operands[] = { PARAMS_OPT(renew_args, certs, "cert", CERT_REF_DOC), { 0 } };

const struct cmd cert_renew_cmd = {
	.name = "renew", .brief = "Issue certificates anew for the same keys", .opts = renew_opts,
	.operands = renew_operands, .argsize = sizeof(struct renew_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_renew, .type = &renew_view_type,
	.doc = "Subject and alternative names stay what they were; the rest is what the profile says today. The old "
	       "certificate stays valid until its end. Each is renewed once; its metadata names the new one.",
	.example = "lamassu cert renew --due --out renewed/\nlamassu cert renew 5f3a0c11 --force --out www.pem"
};
