/* `ca sign`: one request or ten thousand. Certificates leave only after the commit that records them. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "cmd/ca.h"
#include "crypto/bundle.h"
#include "pki/batch.h"
#include "state/state.h"

struct sign_args {
	const char *ca, *profile, *out, *device, *validity, *subject;
	struct strv csr, san;
	int64_t jobs, path_length;
	int format;
	bool chain, atomic, allow_outlive, force;
};
enum format { FORMAT_PEM, FORMAT_DER, FORMAT_P7B };
static const char *const format_names[] = { "pem", "der", "p7b", NULL };
static const char *const format_suffixes[] = { ".pem", ".der", ".p7b" };

/* --- what is printed --- */

struct sign_view {
	char *request;
	char *serial_number;
	char *subject;
	int64_t not_after;
	char *error;
	char *certificate;
	char *file;
};

static const struct field sign_view_fields[] = {
	STR(sign_view, request, "The request's name.", .flags = F_COL),
	STR(sign_view, serial_number, "Serial number of the certificate.", .flags = F_COL | F_KEY),
	STR(sign_view, subject, "Subject of the certificate.", .flags = F_COL),
	TIME(sign_view, not_after, "End of its validity.", .flags = F_COL),
	STR(sign_view, error, "Why the request was refused.", .flags = F_COL),
	STR(sign_view, file, "Where the certificate was written."),
	STR(sign_view, certificate, "The certificate in PEM.", .flags = F_HIDE),
	END
};

static const struct schema sign_view_type = {
	.name = "result", .plural = "results", .doc = "Outcome of `ca sign`, one a request",
	.size = sizeof(struct sign_view),
	.fields = sign_view_fields
};

struct signing {
	struct ctx *ctx;
	const struct sign_args *args;
	const struct authority *ca;
	struct bytes *chain; /* issuers, for --chain */
	size_t nchain;
	bool folder;         /* --out is one */
	char **twins;        /* file names that several requests would get, sorted */
	size_t ntwins;
	size_t total;
	struct buf *text;    /* certificates for standard output or one file */
	struct sign_view *views;
	size_t nviews;
	struct repeated *said; /* warnings, each shown once */
	size_t nsaid;
};
struct repeated {
	char *text;
	size_t n;
};

/* --- certificates --- */

static int encode(struct signing *s, struct bytes der, struct buf *out, struct err *e)
{
	struct arena *ar = s->ctx->arena;
	size_t n = 1 + (s->args->chain ? s->nchain : 0);
	struct bytes *all = arena_new_array(ar, n, struct bytes), p7;

	all[0] = der;
	for (size_t i = 1; i < n; i++)
		all[i] = s->chain[i - 1];
	if (s->args->format == FORMAT_P7B) {
		if (p7_certs(ar, all, n, &p7, e) != 0)
			return -1;
		p7 = pem_encode(ar, "PKCS7", p7);
		buf_put(out, p7.p, p7.n);
		return 0;
	}
	for (size_t i = 0; i < (s->args->format == FORMAT_DER ? 1 : n); i++) {
		struct bytes b = s->args->format == FORMAT_DER ? all[i] : cert_pem(ar, all[i]);
		buf_put(out, b.p, b.n);
	}
	return 0;
}

/* "sensor-1" of "sensor-1.csr". */
static char *stem(struct signing *s, const char *name)
{
	const char *dot = strrchr(name, '.');

	return arena_strndup(s->ctx->arena, name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Requests of several folders may have one name; none of their certificates may overwrite another. */
static void find_twins(struct signing *s, const struct batch *b)
{
	char **v = arena_new_array(s->ctx->arena, b->n, char *);

	for (size_t i = 0; i < b->n; i++)
		v[i] = stem(s, b->items[i].name);
	qsort(v, b->n, sizeof(*v), by_text);
	for (size_t i = 1; i < b->n; i++)
		if (strcmp(v[i - 1], v[i]) == 0)
			v[s->ntwins++] = v[i];
	s->twins = v;
}

/* "sensor-1.csr" -> "sensor-1.pem"; what is not a plain file name, or not the only one, becomes the serial number. */
static char *file_name(struct signing *s, const struct batch_item *it)
{
	const char *suffix = format_suffixes[s->args->format];
	char *base = stem(s, it->name);

	if (strpbrk(base, "/:") || base[0] == '.' || base[0] == '-' ||
	    bsearch(&base, s->twins, s->ntwins, sizeof(base), by_text))
		base = it->rec.serial_number;
	return arena_printf(s->ctx->arena, "%s%s", base, suffix);
}

static int write_one(struct signing *s, const struct batch_item *it, struct sign_view *v, struct err *e)
{
	SCOPED_BUF b = buf_init(BUF_BIG);

	if (!s->folder)
		return encode(s, it->der, s->text, e);
	if (encode(s, it->der, &b, e) != 0)
		return -1;
	v->file = fs_join(s->ctx->arena, s->args->out, file_name(s, it));
	return fs_put(v->file, buf_bytes(&b), 0644, e);
}

/* Ten thousand requests may give one warning ten thousand times. */
static void warn_once(struct signing *s, const struct batch_item *it)
{
	size_t i = 0;

	while (i < s->nsaid && strcmp(s->said[i].text, it->warning) != 0)
		i++;
	if (i < s->nsaid) {
		s->said[i].n++;
		return;
	}
	s->said = arena_grow(s->ctx->arena, s->said, s->nsaid, sizeof(*s->said));
	s->said[s->nsaid++].text = arena_strdup(s->ctx->arena, it->warning);
	ctx_warn(s->ctx, "%s: %s", it->name, it->warning);
}

static void warn_how_often(struct signing *s)
{
	for (size_t i = 0; i < s->nsaid; i++)
		if (s->said[i].n)
			ctx_warn(s->ctx, "%zu more: %s", s->said[i].n, s->said[i].text);
}

static int take_chunk(void *arg, const struct batch_item *items, size_t n, struct err *e)
{
	struct signing *s = arg;
	struct arena *ar = s->ctx->arena;

	for (size_t i = 0; i < n; i++) {
		const struct batch_item *it = &items[i];
		struct sign_view *v = &s->views[s->nviews++];

		v->request = arena_strdup(ar, it->name);
		if (it->err.code != ERR_NONE) {
			v->error = arena_strdup(ar, it->err.msg);
			if (it->err.code == ERR_PARTIAL) /* sound itself, dropped with an atomic batch */
				continue;
			ctx_fault(s->ctx, "%s: %s", it->name, it->err.msg);
			continue;
		}
		if (it->warning)
			warn_once(s, it);
		if (s->ctx->dry_run)
			continue;
		v->serial_number = arena_strdup(ar, it->rec.serial_number);
		v->subject = arena_strdup(ar, it->rec.subject);
		v->not_after = it->rec.not_after;
		if (!out_is_table(s->ctx)) {
			struct bytes pem = cert_pem(ar, it->der);
			v->certificate = arena_strndup(ar, (const char *)pem.p, pem.n);
		}
		if (write_one(s, it, v, e) != 0)
			return -1;
	}
	return 0;
}

/* --- the command --- */

static int check_out(const struct sign_args *a, size_t n, bool dry_run, bool *ret_folder, struct err *e)
{
	*ret_folder = a->out && strcmp(a->out, "-") != 0 && (fs_names_dir(a->out) || n > 1);
	if (a->format == FORMAT_DER && a->chain)
		return err_set(e, ERR_USAGE, "a chain has no DER form: use --format p7b");
	if (a->format == FORMAT_DER && n > 1 && !*ret_folder)
		return err_set(e, ERR_USAGE, "several DER certificates need a folder: give --out");
	if (a->device && n > 1)
		return err_set(e, ERR_USAGE, "--device names one device, but there are %zu requests", n);
	return *ret_folder && !dry_run ? fs_mkdirs(a->out, 0777, e) : 0;
}

static int print_results(struct signing *s, struct err *e)
{
	const struct sign_args *a = s->args;
	bool to_stdout = a->out == NULL || strcmp(a->out, "-") == 0;

	if (s->text->over)
		return err_set(e, ERR_INVALID,
			       "the certificates are larger than 1 GiB together: give --out and a folder");
	if (!s->folder && s->text->n && (!to_stdout || out_is_table(s->ctx))) {
		if (out_bytes(s->ctx, a->out, buf_bytes(s->text), false, true, e) != 0)
			return -1;
		if (to_stdout)
			return 0;
	}
	if (out_is_table(s->ctx) && (to_stdout || cli_globals(s->ctx)->quiet))
		return 0;
	if (s->total == 1)
		return out_record(s->ctx, &sign_view_type, &s->views[0], e);
	return out_list(s->ctx, &sign_view_type, s->views, s->nviews, NULL, e);
}

static int prepare_chain(struct signing *s, struct authority *ca, struct err *e)
{
	return authority_chain(s->ctx->arena, ca, &s->chain, &s->nchain, e);
}

static int sign_all(struct signing *s, struct batch *b, struct err *e)
{
	if (batch_run(s->ctx, b, e) != 0)
		return -1;
	warn_how_often(s);
	if (!s->ctx->dry_run && print_results(s, e) != 0)
		return -1;
	if (b->failed)
		return err_set(e, ERR_PARTIAL, "%zu of %s failed%s", b->failed,
			       text_count(s->ctx->arena, b->n, "request", NULL),
			       b->atomic ? ", so none was signed" : "");
	return 0;
}

static int run_sign(struct ctx *ctx, void *args, struct err *e)
{
	struct sign_args *a = args;
	SCOPED_AUTHORITY ca = { 0 };
	SCOPED_BUF text = buf_init(BUF_BIG);
	struct profile prof;
	struct signing s = { .ctx = ctx, .args = a, .ca = &ca, .text = &text };
	struct batch b = { .ca = &ca, .profile = &prof, .atomic = a->atomic, .jobs = (unsigned)a->jobs,
			   .done = take_chunk, .arg = &s,
		.wishes = { .subject = a->subject, .san = a->san, .validity = a->validity, .device = a->device,
			    .allow_outlive = a->allow_outlive, .path_length = a->path_length } };

	if (a->format < 0)
		a->format = FORMAT_PEM;
	if (a->jobs < 0 || a->jobs > 1024)
		return err_set(e, ERR_USAGE, "--jobs must be from 0 to 1024");
	if (authority_load(ctx, a->ca, &ca, e) != 0 || authority_may_issue(&ca, e) != 0 ||
	    profile_load(ctx, a->profile ? a->profile : ca.rec.issuance_profile_id, &prof, e) != 0 ||
	    batch_collect(ctx, &a->csr, &b.items, &b.n, e) != 0 || check_out(a, b.n, ctx->dry_run, &s.folder, e) != 0 ||
	    prepare_chain(&s, &ca, e) != 0 || authority_open_key(ctx, &ca, e) != 0)
		return -1;
	s.total = b.n;
	if (s.folder)
		find_twins(&s, &b);
	s.views = arena_new_array(ctx->arena, b.n, struct sign_view);
	return sign_all(&s, &b, e);
}

static const struct opt sign_opts[] = {
	OLIST(sign_args, csr, 0, "file|dir|-",
	      "Requests: a file, a folder, or - for standard input (PEM one after the other, DER, or "
	      "a tar archive).", .flags = O_REQ),
	OSTR(sign_args, profile, 'p', "profile", "Profile to apply. Default: the authority's."),
	OSTR(sign_args, out, 0, "file|dir|-",
	     "Where certificates go; a folder gets one file a request. Default: standard output."),
	OFLAG(sign_args, chain, 0, "Add the issuers' certificates."),
	OENUM(sign_args, format, 0, format_names, "Form of the certificates: pem, der or p7b."),
	OSTR(sign_args, device, 0, "device", "The device that the certificate is for; fills ${device_id}."),
	OSTR(sign_args, validity, 0, "duration|time",
	     "Instead of the profile's validity; refused when it passes the authority's end."),
	OSTR(sign_args, subject, 's', "dn", "Instead of the request's subject."),
	OLIST(sign_args, san, 0, "name", "Alternative name instead of the request's, such as DNS:a.example."),
	OFLAG(sign_args, atomic, 0, "All or none."),
	OFLAG(sign_args, allow_outlive, 0, "Permit certificates that end after their authority."),
	OINT(sign_args, path_length, 0, "n", "Path length of a subordinate authority.", .dflt = -1),
	OINT(sign_args, jobs, 'j', "n", "Signatures at once; 0 is one per core."),
	OEND
};

static const struct operand sign_operands[] = { PARAM(sign_args, ca, "ca", "The authority that signs."), { 0 } };

const struct cmd ca_sign_cmd = {
	.name = "sign", .brief = "Sign requests", .opts = sign_opts, .operands = sign_operands,
	.argsize = sizeof(struct sign_args),
	.needs = NEED_STATE | NEED_WRITE, .run = run_sign, .type = &sign_view_type,
	.doc = "Every request's signature is verified and its key judged; what the profile does not allow is left out "
	       "or refused. Of several requests the bad ones are named and the rest are issued (exit 1), unless "
	       "--atomic. A batch that was cut off goes on where it was when it is run again.",
	.example = "lamassu ca sign devices --csr sensor-1.csr --out sensor-1.pem\n"
		   "lamassu ca sign devices --csr requests/ --out certificates/ -o json"
};
