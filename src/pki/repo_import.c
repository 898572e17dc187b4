/* Taking over an authority with its past. Guarantees: all or nothing, in one commit; each certificate is the
 * authority's by its signature and has the serial number of its record; revocations keep their times and reasons; CRL
 * numbers go on where they were. */
#include "pki/repo_import.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "crypto/crl.h"
#include "crypto/key.h"
#include "pki/authority.h"
#include "pki/ca_create.h"
#include "pki/ca_import.h"
#include "pki/crl_issue.h"
#include "pki/issue.h"
#include "pki/keys.h"
#include "state/ledger.h"

enum { SLICE = 16 };

static const struct field imported_fields[] = {
	STR(imported, ca, "The authority's id here.", .flags = F_KEY),
	STR(imported, from, "The program that kept it."),
	STR(imported, subject, "Distinguished name of the authority."),
	BOOL(imported, key, "Whether its private key came along.", .flags = F_SHOW0),
	INT(imported, certificates, "Certificates that were imported.", .flags = F_SHOW0),
	INT(imported, revoked, "Those that are revoked, with or without a certificate.", .flags = F_SHOW0),
	INT(imported, held, "Those that are on hold.", .flags = F_SHOW0),
	INT(imported, expired, "Those that have expired.", .flags = F_SHOW0),
	INT(imported, missing, "Records without a certificate: only their revocations were imported.",
	    .flags = F_SHOW0),
	STR(imported, crl_number, "Number of the last CRL."),
	END
};
const struct schema imported_type = {
	.name = "import", .doc = "What was imported", .size = sizeof(struct imported), .fields = imported_fields
};

struct importing {
	struct ctx *ctx;
	const struct import_order *order;
	struct foreign f;
	struct authority ca;
	bool key_is_new;
	struct certrec *heads;   /* one for each of f.v that has a certificate, else without serial number */
	struct bytes *ders;
	struct imported result;
};

/* --- the authority --- */

/* ERR_EXISTS when one of its certificates is an authority's here. */
static int refuse_known(struct importing *m, struct err *e)
{
	struct authority *all;
	struct bytes *ders;
	size_t n, known;

	if (cert_split(m->ctx->arena, m->f.ca, &ders, &n, e) != 0 || authority_all(m->ctx, &all, &known, e) != 0)
		return -1;
	for (size_t i = 0; i < known; i++)
		if (bytes_equal(all[i].cert.der, ders[0]))
			return err_set(e, ERR_EXISTS, "%s: the authority is here already, as ca %s", m->order->dir,
				       all[i].rec.id);
	return 0;
}

static int default_id(struct importing *m, char **ret, struct err *e)
{
	struct bytes *ders;
	struct cert c;
	size_t n;

	if (cert_split(m->ctx->arena, m->f.ca, &ders, &n, e) != 0 || cert_parse(m->ctx->arena, ders[0], &c, e) != 0)
		return -1;
	*ret = ca_slug(m->ctx->arena, &c);
	return 0;
}

static int import_authority(struct importing *m, struct err *e)
{
	struct ctx *ctx = m->ctx;
	struct ca_arrival in = { .id = m->order->ca, .certs = m->f.ca, .key = m->f.key, .engine = m->order->engine,
		.issuance_profile = m->order->profile };
	const char *key_file = m->f.key_file ? m->f.key_file : "the key";
	const struct secret_ask ask = { .what = arena_printf(ctx->arena, "passphrase of %s", key_file),
		.env = "LAMASSU_IMPORT_PASSPHRASE", .env_general = "LAMASSU_PASSPHRASE" };
	char *id = NULL, *secret;

	if (refuse_known(m, e) != 0 || (in.id == NULL && default_id(m, &id, e) != 0))
		return -1;
	if (in.id == NULL)
		in.id = id;
	if (in.key.n && key_is_encrypted(in.key)) {
		if (ctx->secret(ctx, &ask, &secret, e) != 0)
			return -1;
		in.passphrase = secret;
	}
	if (ca_import(ctx, &in, &m->ca, &m->key_is_new, e) != 0)
		return -1;
	m->result = (struct imported){ .ca = m->ca.rec.id, .from = arena_strdup(ctx->arena, m->order->from->name),
		.subject = authority_subject(ctx->arena, &m->ca), .key = m->f.key.n > 0 };
	return 0;
}

/* --- its certificates --- */

static int check_one(struct importing *m, struct arena *a, size_t i, struct err *e)
{
	const struct foreign_cert *f = &m->f.v[i];
	struct certrec *head = &m->heads[i];
	struct cert c;

	if (f->text.n == 0)
		return 0;
	if (cert_parse(a, f->text, &c, e) != 0)
		return -1;
	if (strcmp(cert_serial_hex(a, c.serial), f->serial) != 0)
		return err_set(e, ERR_CHECK, "the certificate has the serial number %s, and the record says %s",
			       cert_serial_hex(a, c.serial),
			       f->serial);
	m->ders[i] = c.der;
	if (bytes_equal(c.der, m->ca.cert.der))
		return 0; /* its own, which is in the ledger by now */
	if (!cert_issued_by(&c, &m->ca.cert))
		return err_set(e, ERR_CHECK, "the certificate %s was not issued by %s: name, key id or signature "
					     "differs", f->serial,
			       authority_subject(a, &m->ca));
	return issue_head_of(a, m->ca.rec.id, &c, m->ctx->now, head, e);
}

static int check_slice(void *arg, size_t slice, struct arena *a, struct err *e)
{
	struct importing *m = arg;

	for (size_t i = slice * SLICE; i < m->f.n && i < (slice + 1) * SLICE; i++)
		if (check_one(m, a, i, e) != 0)
			return err_ctx(e, "%s", m->f.v[i].where);
	return 0;
}

static int by_serial(const void *x, const void *y)
{
	return strcmp((*(const struct foreign_cert *const *)x)->serial,
		      (*(const struct foreign_cert *const *)y)->serial);
}

static int refuse_twice(struct importing *m, struct err *e)
{
	const struct foreign_cert **v = arena_new_array(m->ctx->arena, m->f.n + 1, const struct foreign_cert *);

	for (size_t i = 0; i < m->f.n; i++)
		v[i] = &m->f.v[i];
	if (m->f.n)
		qsort(v, m->f.n, sizeof(const struct foreign_cert *), by_serial);
	for (size_t i = 1; i < m->f.n; i++)
		if (strcmp(v[i - 1]->serial, v[i]->serial) == 0)
			return err_set(e, ERR_CHECK, "the serial number %s is recorded twice: %s and %s", v[i]->serial,
				       v[i - 1]->where,
				       v[i]->where);
	return 0;
}

static int record_revocation(struct importing *m, const struct foreign_cert *f, const struct certrec *head,
			     struct err *e)
{
	struct revocation r = { .serial_number = f->serial, .ca = m->ca.rec.id,
		.action = f->held ? REVOKE_HOLD : REVOKE_REVOKE,
		.reason = arena_strdup(m->ctx->arena, revocation_reason_names[f->reason]), .time = f->time,
		.invalidity_date = f->invalidity, .recorded = m->ctx->now,
		.not_after = head->serial_number ? head->not_after : f->not_after,
		.note = arena_printf(m->ctx->arena, "imported from %s", m->order->from->name) };

	if (f->held)
		m->result.held++;
	else
		m->result.revoked++;
	return ledger_add_revocation(m->ctx->state, &r, e);
}

static int record_one(struct importing *m, size_t i, struct err *e)
{
	const struct foreign_cert *f = &m->f.v[i];
	struct certrec *head = &m->heads[i];

	if (f->text.n && head->serial_number == NULL)
		return 0; /* the authority's own */
	if (f->text.n == 0) {
		m->result.missing++;
	} else {
		head->profile = arena_strdup(m->ctx->arena, m->order->profile);
		m->result.certificates++;
		m->result.expired += head->not_after < m->ctx->now;
		if (issue_record(m->ctx, head, m->ders[i], e) != 0)
			return -1;
	}
	return f->revoked ? record_revocation(m, f, head, e) : 0;
}

static int import_certificates(struct importing *m, struct err *e)
{
	m->heads = arena_new_array(m->ctx->arena, m->f.n + 1, struct certrec);
	m->ders = arena_new_array(m->ctx->arena, m->f.n + 1, struct bytes);
	if (refuse_twice(m, e) != 0 || pool_run((m->f.n + SLICE - 1) / SLICE, 0, check_slice, m, m->ctx->arena, NULL,
						e) != 0)
		return -1;
	for (size_t i = 0; i < m->f.n; i++)
		if (record_one(m, i, e) != 0)
			return err_ctx(e, "%s", m->f.v[i].where);
	if (m->result.missing)
		ctx_warn(m->ctx, "%s without a certificate in %s: only revocations among them were imported",
			 text_count(m->ctx->arena, (uint64_t)m->result.missing, "record", NULL), m->order->dir);
	return 0;
}

/* --- its CRLs --- */

static bool is_above(const char *x, const char *y)
{
	size_t n = strlen(x), m = y ? strlen(y) : 0;

	return y == NULL || n > m || (n == m && strcmp(x, y) > 0);
}

/* The last CRL is kept, so that relying parties see numbers grow; a number that was given later is noted without its
 * CRL. */
static int import_crls(struct importing *m, struct err *e)
{
	struct ctx *ctx = m->ctx;
	struct crlrec rec = { .ca = m->ca.rec.id, .scope = arena_strdup(ctx->arena, "full"), .number = m->f.crl_number,
		.this_update = ctx->now, .next_update = ctx->now };
	struct crl_made made;
	struct err why = { 0 };
	struct crl crl;

	if (m->f.crl.n && crl_parse(ctx->arena, m->f.crl, &crl, &why) == 0 && crl.number) {
		if (crl_install(ctx, &m->ca, m->f.crl, &made, &why) != 0)
			ctx_warn(ctx, "the CRL there was left out: %s", why.msg);
		else
			m->result.crl_number = made.rec.number;
	}
	if (m->f.crl_number == NULL || !is_above(m->f.crl_number, m->result.crl_number))
		return 0;
	m->result.crl_number = m->f.crl_number;
	return ledger_add_crl(ctx->state, &rec, (struct bytes){ 0 }, e);
}

/* --- all of it --- */

static void abandon_key(struct importing *m)
{
	struct err ignored = { 0 };
	struct key k;

	if (m->key_is_new && m->ca.rec.key && state_get(m->ctx->state, &key_type, m->ca.rec.key, &k, &ignored) == 0)
		keys_abandon(m->ctx, &k);
}

int repo_import(struct ctx *ctx, const struct import_order *o, struct imported *ret, struct err *e)
{
	struct importing m = { .ctx = ctx, .order = o };
	struct profile p;
	int r;

	if (o->profile && profile_load(ctx, o->profile, &p, e) != 0)
		return -1;
	if (o->from->read(ctx, o->dir, &m.f, e) != 0 || import_authority(&m, e) != 0)
		return -1;
	if (import_crls(&m, e) != 0 || import_certificates(&m, e) != 0) {
		abandon_key(&m);
		authority_release(&m.ca);
		return -1;
	}
	r = ca_commit(ctx, &m.ca, m.key_is_new, arena_printf(ctx->arena, "repo: import %s from %s", m.ca.rec.id,
							     o->from->name), e);
	authority_release(&m.ca);
	*ret = m.result;
	return r;
}
