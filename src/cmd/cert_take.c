/* `cert import`: certificates that were made elsewhere enter the ledger, all in one commit. */
#include "base/fs.h"
#include "base/text.h"
#include "cmd/ca.h"
#include "cmd/cert.h"
#include "pki/cert_import.h"
#include "state/state.h"

struct import_args {
	struct strv files, metadata;
	const char *ca, *profile, *device;
	bool atomic;
};

struct importing {
	struct ctx *ctx;
	const struct import_args *args;
	struct cert_arrival in;
	struct certrec *v;
	size_t n, total, failed;
	struct strv complaints;
};

static int take(struct importing *m, const char *file, struct bytes der, struct err *e)
{
	struct err why = { 0 };

	m->total++;
	m->v = arena_grow(m->ctx->arena, m->v, m->n, sizeof(*m->v));
	if (cert_import(m->ctx, &m->in, der, &m->v[m->n], &why) == 0) {
		m->n++;
		return 0;
	}
	if (m->args->atomic) {
		*e = why;
		return err_ctx(e, "%s", file);
	}
	if (m->failed++ == 0)
		*e = why; /* the one that a single certificate ends with */
	m->complaints.v = arena_grow(m->ctx->arena, m->complaints.v, m->complaints.n, sizeof(char *));
	m->complaints.v[m->complaints.n++] = arena_printf(m->ctx->arena, "%s: %s", file, why.msg);
	return 0;
}

static int take_file(struct importing *m, const char *path, struct err *e)
{
	const char *file = text_escape(m->ctx->arena, bytes_of(path));
	struct bytes text, *ders;
	size_t n;

	if (fs_read_input(m->ctx->arena, path, FS_LIMIT_BATCH, &text, e) != 0)
		return -1;
	if (cert_split(m->ctx->arena, text, &ders, &n, e) != 0)
		return err_ctx(e, "%s", file);
	for (size_t i = 0; i < n; i++)
		if (take(m, file, ders[i], e) != 0)
			return -1;
	return 0;
}

static int run_import(struct ctx *ctx, void *args, struct err *e)
{
	const struct import_args *a = args;
	struct importing m = { .ctx = ctx, .args = a,
			       .in = { .ca = a->ca, .profile = a->profile, .device = a->device } };
	struct err first = { 0 };

	if (metadata_from_list(ctx, &a->metadata, &m.in.metadata, e) != 0)
		return -1;
	for (size_t i = 0; i < a->files.n; i++)
		if (take_file(&m, a->files.v[i], &first) != 0) {
			*e = first;
			return -1;
		}
	if (m.total == 1 && m.failed) {
		*e = first;
		return -1;
	}
	for (size_t i = 0; i < m.complaints.n; i++)
		ctx_fault(ctx, "%s", m.complaints.v[i]);
	if (m.n &&
	    (state_commit(ctx->state,
			  m.n == 1 ? arena_printf(ctx->arena, "certificate: import %s", m.v[0].serial_number)
					       : arena_printf(ctx->arena, "certificate: import %s",
							      text_count(ctx->arena, m.n, "certificate", NULL)),
							      e) != 0 ||
	     cert_print(ctx, m.v, m.n, e) != 0))
		return -1;
	return m.failed ? err_set(e, ERR_PARTIAL, "%zu of %s %s not imported", m.failed,
				  text_count(ctx->arena, m.total, "certificate", NULL),
				  m.failed == 1 ? "was" : "were") : 0;
}

static const struct opt import_opts[] = {
	OSTR(import_args, ca, 0, "ca",
	     "The authority that issued them; its signature is checked. Default: found among the authorities."),
	OSTR(import_args, profile, 'p', "profile", "The profile to note with them, for renewals and lists."),
	OSTR(import_args, device, 0, "device", "The device that they belong to."),
	OLIST(import_args, metadata, 0, "key=value", "Free data."),
	OFLAG(import_args, atomic, 0, "All or none."),
	OEND
};
static const struct operand import_operands[] = {
	PARAMS(import_args, files, "file", "Certificates in PEM, DER or PKCS#7; - is standard input."), { 0 }
};

const struct cmd cert_import_cmd = {
	.name = "import", .brief = "Record certificates that were made elsewhere", .opts = import_opts,
	.operands = import_operands, .argsize = sizeof(struct import_args), .needs = NEED_STATE | NEED_WRITE,
	.run = run_import, .type = &certrec_type,
	.doc = "The issuer is the authority whose signature they bear, or - when none here does. What is recorded "
	       "already is named and left alone. Weak keys are warned of, not refused.",
	.example = "lamassu cert import old/*.pem --metadata source=easy-rsa"
};
