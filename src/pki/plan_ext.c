/* The extensions of a certificate in the making (RFC 5280 4.2, and the rules for P). Guarantees: basicConstraints CA
 * only with sign_as_ca; key usage bits that the key cannot do are left out (RFC 8813, RFC 9295); of the request's
 * extensions only SAN, the honoured usages and those on the allow list are carried. */
#include <string.h>

#include "base/text.h"
#include "crypto/name.h"
#include "pki/plan_parts.h"

static const struct ext *requested(const struct planning *p, const char *oid)
{
	return p->req->exts ? exts_find(p->req->exts, oid) : NULL;
}

/* --- basic constraints --- */

/* How many authorities may follow the issuer: the least that it or an ancestor leaves; -1: no limit. Those with the
 * name of their issuer do not count (RFC 5280 4.2.1.9, 6.1.4). */
static int64_t room_below(const struct authority *issuer)
{
	int64_t room = -1, passed = 0;

	for (const struct authority *a = issuer; a; a = a->parent) {
		int64_t left = a->cert.path_length - passed;
		if (a->cert.path_length >= 0 && (room < 0 || left < room))
			room = left > 0 ? left : 0;
		passed += !bytes_equal(a->cert.subject, a->cert.issuer);
	}
	return room;
}

static int plan_basic_constraints(struct planning *p, struct err *e)
{
	int64_t len = p->wishes->path_length >= 0 ? p->wishes->path_length : p->prof->path_length;
	int64_t above = -1;

	if (!p->prof->sign_as_ca && p->wishes->path_length >= 0)
		return err_set(e, ERR_USAGE, "a path length is for authorities, which profile %s does not make",
			       p->prof->id);
	if (!p->prof->sign_as_ca) {
		ext_basic_constraints(p->ar, &p->plan.tbs.exts, false, -1);
		plan_reason(p, "basic_constraints", "profile", "an end entity, whatever the request asks");
		return 0;
	}
	if (p->issuer && !bytes_equal(p->plan.tbs.subject, p->issuer->cert.subject))
		above = room_below(p->issuer);
	if (above == 0)
		return err_set(e, ERR_DENIED, "path lengths allow no authority below %s (RFC 5280 4.2.1.9)",
			       p->issuer->rec.id);
	if (above > 0 && (len < 0 || len >= above)) {
		if (p->wishes->path_length >= 0)
			return err_set(e, ERR_DENIED,
				       "path length %d: below %s at most %d is possible (RFC 5280 4.2.1.9)", (int)len,
				       p->issuer->rec.id, (int)above - 1);
		len = above - 1;
		plan_reason(p, "path_length", "authority", "below the parent's");
	}
	ext_basic_constraints(p->ar, &p->plan.tbs.exts, true, len);
	plan_reason(p, "basic_constraints", "profile", "sign_as_ca");
	return 0;
}

/* --- usages --- */

static unsigned bits_for_key(const EVP_PKEY *pub, unsigned bits)
{
	const unsigned encipher = USE_KEY_ENCIPHERMENT | USE_DATA_ENCIPHERMENT;
	const unsigned agree = USE_KEY_AGREEMENT | USE_ENCIPHER_ONLY | USE_DECIPHER_ONLY;

	if (!(bits & USE_KEY_AGREEMENT)) /* without it these two say nothing (RFC 5280 4.2.1.3) */
		bits &= ~(unsigned)(USE_ENCIPHER_ONLY | USE_DECIPHER_ONLY);
	if (EVP_PKEY_is_a(pub, "RSA"))
		return bits;
	return EVP_PKEY_is_a(pub, "EC") ? bits & ~encipher : bits & ~(encipher | agree);
}

static int plan_key_usage(struct planning *p, struct err *e)
{
	const struct ext *asked = requested(p, OID_KU);
	bool from_request = p->prof->honor_key_usage && asked;
	unsigned bits = p->prof->key_usage, fit;

	if (from_request && ext_parse_key_usage(asked->value, &bits, e) != 0)
		return err_ctx(e, "requested keyUsage");
	if (from_request && !p->prof->sign_as_ca && bits & USE_CERT_SIGN)
		return err_set(e, ERR_DENIED, "the request asks for keyCertSign, which only authorities have");
	if (p->prof->sign_as_ca)
		bits |= USE_CERT_SIGN; /* RFC 5280 4.2.1.9 */
	fit = bits_for_key(p->req->pub, bits);
	if (bits && fit == 0)
		return err_set(e, ERR_DENIED,
			       "no key usage of profile %s is possible with this key (RFC 8813, RFC 9295)",
			       p->prof->id);
	if (fit)
		ext_key_usage(p->ar, &p->plan.tbs.exts, fit);
	plan_reason(p, "key_usage", from_request ? "request" : "profile",
		    fit == bits ? "as it stands" : "without what this type of key cannot do");
	return 0;
}

static int plan_eku(struct planning *p, struct err *e)
{
	const struct ext *asked = requested(p, OID_EKU);
	struct strv usages = p->prof->extended_key_usages;
	bool from_request = p->prof->honor_extended_key_usages && asked;

	if (from_request && ext_parse_eku(p->ar, asked->value, &usages, e) != 0)
		return err_ctx(e, "requested extKeyUsage");
	if (usages.n == 0)
		return 0;
	plan_reason(p, "extended_key_usages", from_request ? "request" : "profile", "");
	return ext_eku(p->ar, &p->plan.tbs.exts, &usages, e);
}

/* --- names --- */

static int add_templates(struct planning *p, const struct strv *list, const char *prefix, struct strv *out,
			 struct err *e)
{
	struct subject_fields f;
	struct template_vars vars = { .device_id = p->wishes->device };
	char *text;

	if (list->n == 0)
		return 0;
	if (name_fields(p->ar, p->plan.tbs.subject, &f, e) != 0)
		return -1;
	vars.cn = f.common_name.n ? f.common_name.v[0] : NULL;
	vars.serial_number = f.serial_number.n ? f.serial_number.v[0] : NULL;
	vars.email = f.email.n ? f.email.v[0] : NULL;
	if (vars.device_id == NULL)
		vars.device_id = vars.cn;
	for (size_t i = 0; i < list->n; i++) {
		if (template_expand(p->ar, list->v[i], &vars, &text, e) != 0)
			return err_ctx(e, "subject_alternative_names");
		out->v = arena_grow(p->ar, out->v, out->n, sizeof(char *));
		out->v[out->n++] = arena_printf(p->ar, "%s%s", prefix, text);
	}
	return 0;
}

static int collect_names(struct planning *p, struct strv *names, struct err *e)
{
	const struct ext *asked = requested(p, OID_SAN);
	const struct san_fields *s = &p->prof->subject_alternative_names;

	if (p->wishes->san.n) {
		names->v = arena_memdup(p->ar, p->wishes->san.v, p->wishes->san.n * sizeof(char *));
		names->n = p->wishes->san.n;
		plan_reason(p, "subject_alternative_names", "operator", "in place of the request's");
	} else if (asked && p->prof->honor_extensions) {
		if (san_parse(p->ar, asked->value, names, e) != 0)
			return err_ctx(e, "requested subjectAltName");
		plan_reason(p, "subject_alternative_names", "request", "honor_extensions");
	} else if (asked) {
		plan_reason(p, "subject_alternative_names", "rule", "dropped: honor_extensions is false");
	}
	return add_templates(p, &s->dns, "DNS:", names, e) || add_templates(p, &s->ip, "IP:", names, e) ||
	       add_templates(p, &s->uri, "URI:", names, e) || add_templates(p, &s->email, "email:", names, e) ||
	       add_templates(p, &s->other_name, "otherName:", names, e) ? -1 : 0;
}

static int plan_san(struct planning *p, struct err *e)
{
	struct strv names = { 0 };
	struct bytes value;

	if (collect_names(p, &names, e) != 0)
		return -1;
	if (names.n == 0)
		return 0;
	if (san_build(p->ar, &names, &value, e) != 0)
		return err_ctx(e, "subject_alternative_names");
	/* RFC 5280 4.2.1.6: critical when the subject is empty */
	exts_add(p->ar, &p->plan.tbs.exts, OID_SAN, name_empty(p->plan.tbs.subject), value);
	return 0;
}

/* --- where to find revocation and issuer --- */

static void add_uri(struct arena *ar, struct strv *v, char *uri)
{
	v->v = arena_grow(ar, v->v, v->n, sizeof(char *));
	v->v[v->n++] = uri;
}

#define PARTITION "${partition}"

/* One address for a partition; -1: for what is in none, NULL when the address speaks of a partition. */
static char *fill_partition(struct arena *ar, const char *uri, int64_t partition)
{
	const char *at = strstr(uri, PARTITION);

	if (at == NULL)
		return arena_strdup(ar, uri);
	return partition < 0 ? NULL : arena_printf(ar, "%.*s%d%s", (int)(at - uri), uri, (int)partition,
						   at + strlen(PARTITION));
}

int64_t authority_partitions(const struct config *c, const struct authority *a)
{
	const struct strv *own = &a->rec.crl.crl_distribution_points;
	int64_t n = a->rec.crl.partitions ? a->rec.crl.partitions : c->crl.partitions;

	for (size_t i = 0; i < own->n; i++)
		if (strstr(own->v[i], PARTITION) == NULL)
			return 0;
	return own->n + c->va_domains.n ? n : 0;
}

struct strv authority_cdp(struct arena *ar, const struct config *c, const struct authority *a, int64_t partition)
{
	const struct strv *own = &a->rec.crl.crl_distribution_points;
	char *ski = hex_encode(ar, authority_key_id(ar, a)), *uri;
	struct strv out = { 0 };

	for (size_t i = 0; i < own->n; i++)
		if ((uri = fill_partition(ar, own->v[i], partition)) != NULL)
			add_uri(ar, &out, uri);
	for (size_t i = 0; own->n == 0 && i < c->va_domains.n; i++)
		add_uri(ar, &out, partition < 0 ? arena_printf(ar, "http://%s/crl/%s.crl", c->va_domains.v[i], ski)
				: arena_printf(ar, "http://%s/crl/%s.%d.crl", c->va_domains.v[i], ski, (int)partition));
	return out;
}

/* The profile's own distribution points are no partition's: what it issues is in the complete CRL. */
static struct strv plan_cdp(struct planning *p)
{
	int64_t partitions = authority_partitions(p->config, p->issuer);

	if (p->prof->crl_distribution_points.n)
		return p->prof->crl_distribution_points;
	if (partitions > 0) /* serials are random, so their low octets spread evenly */
		p->plan.partition = (p->plan.tbs.serial[14] << 8 | p->plan.tbs.serial[15]) % partitions;
	return authority_cdp(p->ar, p->config, p->issuer, p->plan.partition);
}

static int plan_addresses(struct planning *p, struct err *e)
{
	const struct authority_info *aia = &p->prof->extensions.authority_info_access;
	struct strv cdp = plan_cdp(p), ocsp = aia->ocsp_server, issuers = aia->ca_issuers;
	struct exts *x = &p->plan.tbs.exts;
	char *ski = hex_encode(p->ar, authority_key_id(p->ar, p->issuer));

	for (size_t i = 0; i < p->config->va_domains.n; i++) {
		if (aia->ocsp_server.n == 0)
			add_uri(p->ar, &ocsp, arena_printf(p->ar, "http://%s/ocsp", p->config->va_domains.v[i]));
		if (aia->ca_issuers.n == 0)
			add_uri(p->ar, &issuers, arena_printf(p->ar, "http://%s/ca/%s.cer", p->config->va_domains.v[i],
							      ski));
	}
	if (cdp.n && ext_cdp(p->ar, x, OID_CDP, &cdp, p->issuer->crl_issuer, e) != 0)
		return -1;
	return ocsp.n + issuers.n ? ext_aia(p->ar, x, &ocsp, &issuers, e) : 0;
}

/* --- the rest --- */

static bool is_allowed(const struct strv *list, const char *oid)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], oid) == 0)
			return true;
	return false;
}

static void plan_carried(struct planning *p)
{
	static const char *const handled[] = { OID_SAN, OID_KU, OID_EKU, NULL };

	for (size_t i = 0; p->req->exts && i < p->req->exts->n; i++) {
		const struct ext *x = &p->req->exts->v[i];
		size_t h = 0;

		while (handled[h] && strcmp(handled[h], x->oid) != 0)
			h++;
		if (handled[h])
			continue;
		if (!is_allowed(&p->prof->allowed_extensions, x->oid)) {
			plan_reason(p, x->oid, "rule", "dropped: not in allowed_extensions");
		} else if (exts_find(&p->plan.tbs.exts, x->oid)) {
			plan_reason(p, x->oid, "rule", "dropped: the profile sets it");
		} else {
			exts_add(p->ar, &p->plan.tbs.exts, x->oid, x->critical, x->value);
			plan_reason(p, x->oid, "request", "in allowed_extensions");
		}
	}
}

static int plan_profile_extensions(struct planning *p, struct err *e)
{
	const struct profile_extensions *x = &p->prof->extensions;
	const struct custom_extension *custom = x->custom.v;
	struct exts *out = &p->plan.tbs.exts;

	if (x->certificate_policies.n && ext_policies(p->ar, out, x->certificate_policies.v, x->certificate_policies.n,
						      e) != 0)
		return -1;
	if (x->name_constraints.permitted.n + x->name_constraints.excluded.n &&
	    ext_name_constraints(p->ar, out, &x->name_constraints, e) != 0)
		return -1;
	if (x->ocsp_must_staple)
		ext_must_staple(p->ar, out);
	if (x->ocsp_no_check)
		ext_ocsp_nocheck(p->ar, out);
	for (size_t i = 0; i < x->custom.n; i++) {
		if (exts_find(out, custom[i].oid))
			return err_set(e, ERR_INVALID, "profile %s: custom extension %s is set twice", p->prof->id,
				       custom[i].oid);
		if (ext_custom(p->ar, out, &custom[i], e) != 0)
			return err_ctx(e, "profile %s", p->prof->id);
	}
	return 0;
}

int plan_extensions(struct planning *p, struct err *e)
{
	struct tbs *t = &p->plan.tbs;
	struct bytes own = cert_key_id(p->ar, t->spki);

	if (plan_basic_constraints(p, e) != 0 || plan_key_usage(p, e) != 0 || plan_eku(p, e) != 0)
		return -1;
	ext_ski(p->ar, &t->exts, own);
	ext_aki(p->ar, &t->exts, p->issuer ? authority_key_id(p->ar, p->issuer) : own);
	if (plan_san(p, e) != 0 || (p->issuer && plan_addresses(p, e) != 0) || plan_profile_extensions(p, e) != 0)
		return -1;
	plan_carried(p);
	return 0;
}
